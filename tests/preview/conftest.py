"""A fake camera for the preview."""

from __future__ import annotations

import pytest
from fakes_vb2 import FakeVideo, Vb2System
from sites import CONTROLS


@pytest.fixture
def camera(vb2: Vb2System) -> FakeVideo:
    """``/dev/video0``: YUYV 64x32, with controls; its frames come when the test says so."""
    made = FakeVideo(vb2, pixelformat="YUYV", auto=False, controls=CONTROLS)
    vb2.nodes["/dev/video0"] = made
    return made

"""The devices that the commands' tests have."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from fake_vb2user import devices
from fakes_vb2 import Vb2System

from vb2user.uapi import kernel


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vb2System]:
    """Those of fake_vb2user.py; at the end nothing of theirs is left."""
    made = devices()
    monkeypatch.setattr(kernel, "system", made)
    yield made
    gc.collect()
    assert not made.leaks()

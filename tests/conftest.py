"""What all unit tests share. Being here puts ``tests/`` on the path, so that they can import ``fakes``."""

from __future__ import annotations

import pytest
from fakes import FakeSystem

from vb2user.uapi import kernel


@pytest.fixture
def fake_system(monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    """A kernel without devices, in the place of the real one; its test puts nodes into it."""
    system = FakeSystem()
    monkeypatch.setattr(kernel, "system", system)
    return system

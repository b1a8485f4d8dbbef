"""What the tests of the seam to the kernel share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vb2user.uapi.kernel import Fd


@pytest.fixture(autouse=True)
def _balanced() -> Iterator[None]:
    """As many descriptors at the end as at the beginning."""
    gc.collect()
    before = sorted(Path("/proc/self/fd").iterdir())
    yield
    gc.collect()
    assert sorted(Path("/proc/self/fd").iterdir()) == before


@pytest.fixture
def pipe() -> Iterator[tuple[Fd, Fd]]:
    r, w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    with Fd(r, "the pipe") as reader, Fd(w, "the other end") as writer:
        yield reader, writer

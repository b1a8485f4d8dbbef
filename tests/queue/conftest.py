"""What the tests of queues share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes_vb2 import FakeVideo
from queues import CAP

from vb2user.memory.mmap import Mmap
from vb2user.queue.queue import Queue
from vb2user.uapi.kernel import Fd, open_node


@pytest.fixture
def fd(node: FakeVideo) -> Iterator[Fd]:
    with open_node("/dev/video0") as opened:
        yield opened


@pytest.fixture
def queue(node: FakeVideo, fd: Fd) -> Iterator[Queue]:
    with Queue(fd, CAP, Mmap(), [node.format.sizeimage]) as made:
        yield made

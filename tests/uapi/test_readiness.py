"""A node's readiness as an fd of its own, over real pipes and a real epoll."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from forks import in_child

from vb2user.errors import KernelError
from vb2user.uapi import fork
from vb2user.uapi.kernel import POLLIN, POLLOUT, Fd
from vb2user.uapi.readiness import Readiness

WAIT = 20


class Pipe:
    """A pipe; its reading end is the node."""

    def __init__(self) -> None:
        reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.node = Fd(reader, "/dev/video0")


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.node.close()
    os.close(made.writer)


@pytest.fixture
def readiness(pipe: Pipe) -> Iterator[Readiness]:
    made = Readiness(pipe.node, POLLIN)
    yield made
    made.close()


def readable(readiness: Readiness, timeout: float = 0) -> bool:
    return bool(select.select([readiness.fileno()], [], [], timeout)[0])


def polled(readiness: Readiness) -> set[int]:
    """The fds that the kernel polls for it."""
    lines = Path(f"/proc/self/fdinfo/{readiness.fileno()}").read_text().splitlines()
    return {int(line.split()[1]) for line in lines if line.startswith("tfd:")}


def test_ready_as_the_node_is(pipe: Pipe, readiness: Readiness) -> None:
    assert not readable(readiness)
    os.write(pipe.writer, b"x")
    assert readable(readiness)
    os.read(pipe.node.fileno(), 1)
    assert not readable(readiness)


def test_events(pipe: Pipe) -> None:
    with Fd(os.dup(pipe.writer), "/dev/video1") as node:
        made = Readiness(node, POLLOUT)
        assert readable(made)
        made.close()


def test_dropped(pipe: Pipe, readiness: Readiness) -> None:
    """Readable for ever, so that whoever waits looks again; and the node is polled no more."""
    assert pipe.node.fileno() in polled(readiness)
    readiness.drop()
    readiness.drop()
    assert pipe.node.fileno() not in polled(readiness)
    assert len(polled(readiness)) == 1
    assert all(readable(readiness) for _ in range(3))


def test_dropped_by_another_thread_while_one_waits(readiness: Readiness) -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(readable(readiness, WAIT)))
    thread.start()
    readiness.drop()
    thread.join(WAIT)
    assert found == [True]


def test_the_node_closed_before(pipe: Pipe, readiness: Readiness) -> None:
    pipe.node.close()
    readiness.drop()
    assert readable(readiness)


def test_closed() -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    pipe = Pipe()
    made = Readiness(pipe.node, POLLIN)
    made.close()
    made.close()
    made.drop()
    with pytest.raises(ValueError, match="closed"):
        made.fileno()
    pipe.node.close()
    os.close(pipe.writer)
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_a_child_leaves_it_alone(pipe: Pipe, readiness: Readiness) -> None:
    """The epoll instance and the eventfd are the same ones on both sides of a fork."""
    in_child(readiness.drop)
    in_child(readiness.close)
    assert not readable(readiness)
    assert pipe.node.fileno() in polled(readiness)
    os.write(pipe.writer, b"x")
    assert readable(readiness)


def test_what_epoll_does_not_take(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with Fd(os.open(tmp_path, os.O_RDONLY), "/dev/video0") as node:
        with pytest.raises(KernelError, match="/dev/video0: epoll_ctl failed: EPERM"):
            Readiness(node, POLLIN)
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_generations() -> None:
    here = fork.generation
    assert in_child(lambda: fork.generation) == str(here + 1)
    assert in_child(lambda: in_child(lambda: fork.generation)) == str(here + 2)
    assert fork.generation == here

"""Ctrl-C and signal handlers at any instruction of a queue."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable

import pytest
from fakes_vb2 import FakeVideo, Vb2System
from interrupts import Interrupt, ctrl_c, points
from queues import CAP, WAIT, filled, ours, states

from vb2user.errors import BuffersExhaustedError, StreamTimeoutError
from vb2user.memory.mmap import Mmap
from vb2user.queue.queue import Queue
from vb2user.uapi.kernel import Fd


def test_a_frame_that_comes_while_none_seems_to_be_queued_is_handed_out(
    node: FakeVideo, queue: Queue
) -> None:
    """A signal handler queues a buffer just then: at any instruction of what would say
    BuffersExhaustedError.
    """
    node.auto = False
    filled(queue, 1)
    came: list[int] = []
    for at in points(1):
        node.complete(len(node.queued))
        held = queue.buffer(queue.dequeue(WAIT).buffer_index)

        def queue_it() -> None:
            queue.enqueue(held)  # noqa: B023
            node.complete()

        interrupt = Interrupt(at, queue_it)
        with interrupt, contextlib.suppress(BuffersExhaustedError, StreamTimeoutError):
            came.append(queue.dequeue(0).sequence)
        if not interrupt.fired:
            break
        if not came:
            came.append(queue.dequeue(WAIT).sequence)
        assert ours(queue) == states(node) == {0: "dequeued"}, interrupt.where
        came.clear()
        queue.enqueue(held)
    assert interrupt.points > 10


@pytest.mark.parametrize("step", ["allocate", "create", "remove", "enqueue", "dequeue", "stop"])
def test_ctrl_c_at_any_instruction_of_a_queue_is_mended_by_a_resync(
    node: FakeVideo, fd: Fd, vb2: Vb2System, step: str
) -> None:
    """Library and kernel agree afterwards on which buffers there are, and whose they are."""
    for at in points(1):
        interrupt = Interrupt(at, ctrl_c)
        with Queue(fd, CAP, Mmap(), [node.format.sizeimage]) as queue:
            steps: dict[str, Callable[[], object]] = {
                "allocate": lambda: queue.allocate(2),
                "create": lambda: queue.create(2, node.format),
                "remove": lambda: queue.remove(1, 1),
                "enqueue": lambda: queue.enqueue(queue.buffers[1]),
                "dequeue": lambda: queue.dequeue(WAIT),
                "stop": queue.stop,
            }
            if step != "allocate":
                filled(queue, 3)
                queue.dequeue(WAIT)
                queue.dequeue(WAIT)
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                steps[step]()
            queue.resync()
            assert ours(queue) == states(node), interrupt.where
        gc.collect()
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break
    assert interrupt.points > 5

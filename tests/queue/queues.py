"""A queue, made ready, and what it and the kernel say of its buffers."""

from __future__ import annotations

from fakes_vb2 import FakeVideo

from vb2user.queue.queue import Queue
from vb2user.uapi.enums import BufType

CAP = BufType.VIDEO_CAPTURE


WAIT = 20  # seconds until a hanging thread is a failure


def filled(queue: Queue, count: int = 3) -> Queue:
    """Allocated, queued and started."""
    queue.allocate(count)
    for buffer in queue.buffers:
        queue.enqueue(buffer)
    queue.start()
    return queue


def states(node: FakeVideo) -> dict[int, str]:
    """What the kernel says, in our words."""
    return {i: {"done": "queued"}.get(b.state, b.state) for i, b in node.buffers.items()}


def ours(queue: Queue) -> dict[int, str]:
    return {b.index: b.state.value for b in queue.buffers}

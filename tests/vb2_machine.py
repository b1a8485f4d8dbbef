"""Random requests to a :class:`~vb2user.queue.queue.Queue`: the rules hold on a fake and on a real kernel.

``tests/queue/test_machine.py`` adds faults and unplugging on the fake; ``hwtests/test_fake.py`` runs these
rules on vivid.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vb2user.errors import KernelError, Vb2Error
from vb2user.memory.base import BufferBackend
from vb2user.memory.dmabuf import DmaBuf
from vb2user.queue.queue import Queue
from vb2user.queue.state import TRANSITIONS, Action, BufferState
from vb2user.uapi import calls
from vb2user.uapi.buffer import Dequeued
from vb2user.uapi.enums import BufType
from vb2user.uapi.kernel import Fd, open_node

INDEX = st.integers(0, 5)


class QueueRules(RuleBasedStateMachine):
    """Drives one queue. A subclass opens it by an ``@initialize`` and knows its kernel.

    Attributes:
        astray: a request to give something back was refused: the kernel has more than the queue knows.
    """

    fd: Fd
    queue: Queue
    exports: list[DmaBuf]
    astray = False

    def open_queue(self, path: str, type: BufType, memory: BufferBackend) -> None:
        """The queue of a node, in the node's format."""
        self.exports = []
        self.fd = open_node(path)
        self.format = calls.g_fmt(self.fd, type)
        self.queue = Queue(self.fd, type, memory, [p.sizeimage for p in self.format.planes])

    # -- what a kernel is asked ---------------------------------------------------------------------

    def kernel_states(self) -> dict[int, str]:
        """The state of every buffer that the kernel has; those that are finished are "queued"."""
        raise NotImplementedError

    def kernel_streams(self) -> bool:
        """Whether the kernel takes the queue for streaming."""
        raise NotImplementedError

    def requests_made(self) -> int | None:
        """How many ioctls came to the node, or None where that is not known."""
        raise NotImplementedError

    def check_dequeued(self, done: Dequeued) -> None:
        """Check what the kernel said of a buffer."""

    def refused(self, *, giving_back: bool) -> None:
        """A KernelError came; ``giving_back``: from a request that frees something."""
        raise NotImplementedError

    # -- rules --------------------------------------------------------------------------------------

    def states(self) -> dict[int, str]:
        """The state of every buffer as the queue believes it."""
        return {b.index: b.state.value for b in self.queue.buffers}

    @contextlib.contextmanager
    def kernel_may_refuse(self, *, giving_back: bool = False) -> Iterator[None]:
        """A refusal changes nothing."""
        before, streaming = self.states(), self.queue.streaming
        try:
            yield
        except KernelError:
            if not giving_back:
                # A refused STREAMON gives the buffers back.
                dequeued = dict.fromkeys(before, BufferState.DEQUEUED.value)
                assert self.states() in (before, dequeued)
                assert self.queue.streaming == streaming
            self.refused(giving_back=giving_back)
        except Vb2Error:
            self.refused(giving_back=False)

    def allowed(self, index: int, action: Action) -> bool:
        """Whether the table of transitions has this one."""
        return (self.queue.buffers[index].state, action) in TRANSITIONS

    @rule(count=st.integers(0, 6))
    def allocate(self, count: int) -> None:
        with self.kernel_may_refuse(giving_back=True):
            self.queue.allocate(count)

    @rule(count=st.integers(1, 3))
    def create(self, count: int) -> None:
        with self.kernel_may_refuse(giving_back=True):
            self.queue.create(count, self.format)

    @rule(index=INDEX, action=st.sampled_from(["enqueue", "prepare"]))
    def hand_over(self, index: int, action: str) -> None:
        if index >= len(self.queue.buffers):
            return
        buffer = self.queue.buffers[index]
        may = self.allowed(index, Action.QBUF if action == "enqueue" else Action.PREPARE)
        requests = self.requests_made()
        with self.kernel_may_refuse():
            getattr(self.queue, action)(buffer)
        if not may:  # the table refused: the kernel was not even asked
            assert self.requests_made() == requests

    @rule()
    def dequeue(self) -> None:
        with self.kernel_may_refuse():
            done = self.queue.dequeue(0)
            assert self.queue.buffer(done.buffer_index).state is BufferState.DEQUEUED
            self.check_dequeued(done)

    @rule()
    def start(self) -> None:
        with self.kernel_may_refuse():
            self.queue.start()

    @rule()
    def stop(self) -> None:
        with self.kernel_may_refuse(giving_back=True):
            self.queue.stop()
        assert not self.queue.streaming

    @rule()
    def free(self) -> None:
        with self.kernel_may_refuse(giving_back=True):
            self.queue.free()
        assert not self.queue.buffers

    @rule(index=INDEX, count=st.integers(1, 2))
    def remove(self, index: int, count: int) -> None:
        with self.kernel_may_refuse():
            self.queue.remove(index, count)

    @rule(index=INDEX)
    def export(self, index: int) -> None:
        with self.kernel_may_refuse():
            self.exports.append(self.queue.export(index))

    @invariant()
    def agrees_with_the_kernel(self) -> None:
        if self.astray:
            return
        assert self.states() == self.kernel_states()
        assert self.queue.streaming == self.kernel_streams()

    def end(self) -> None:
        """Give back everything."""
        with contextlib.suppress(KernelError):
            self.queue.close()
        for export in self.exports:
            export.close()
        self.fd.close()

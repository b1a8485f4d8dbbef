"""Layer 3: the buffers of a queue: allocated, created, removed, described."""

from __future__ import annotations

import contextlib
import errno
import itertools
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from vb2user import checks
from vb2user.errors import ClosedError, KernelError, NotSupportedError, StateError, UsageError
from vb2user.memory.base import BufferBackend
from vb2user.memory.dmabuf import DmaBuf
from vb2user.memory.mmap import EXPORT_FLAGS, MmapBuffer, export
from vb2user.queue import refusals
from vb2user.queue.buffer import Buffer
from vb2user.queue.state import Action, BufferState, after
from vb2user.uapi import calls, fork
from vb2user.uapi.enums import BufCap, BufFlag, BufType
from vb2user.uapi.kernel import Fd, eventfd

_T = TypeVar("_T")


class Buffers(ABC):
    """The buffers of a :class:`~vb2user.queue.queue.Queue`, which takes the same arguments."""

    def __init__(self, node: Fd, type: BufType, memory: BufferBackend, sizes: Sequence[int]) -> None:
        self._node = node
        self.type = type
        self.memory = memory
        self.sizes = tuple(sizes)
        self.buffers: list[Buffer] = []
        #: Buffers of the kernel that got no memory and that REMOVE_BUFS did not free, each with its format.
        self._orphans: dict[int, calls.Format | None] = {}
        #: The format that a CREATE_BUFS in progress asks for.
        self._wished: calls.Format | None = None
        self.capabilities = BufCap(0)
        self._lock = threading.RLock()
        #: How many steps of several ioctls the thread with the lock has begun and not ended.
        self._steps = 0
        #: What a signal handler asked for during a step or wait of its thread: done at the end.
        self._deferred: list[Callable[[], None]] = []
        self._allocated = False
        self._closed = False
        self._wake: Fd | None = None
        self._born = fork.generation

    @property
    def name(self) -> str:
        """The node's name, for messages."""
        return self._node.name

    @property
    def inherited(self) -> bool:
        """Whether the queue belongs to the parent of this forked process, which then makes no ioctl on it."""
        return self._born != fork.generation

    def __len__(self) -> int:
        return len(self.buffers)

    def _in_step(self, act: Callable[[], _T]) -> _T:
        """Run several ioctls that belong together; a signal handler's stop or close comes after them.

        StreamStoppedError: a signal handler ended the queue meanwhile.
        """
        # Not a context manager of contextlib: a Ctrl-C at the beginning of its exit would keep the lock taken
        # as long as the traceback lives.
        with self._lock:
            try:
                self._steps += 1
                done = act()
            finally:
                self._steps -= 1
                ended = self._do_deferred()
            if ended:
                raise refusals.stopped(self.name)
            return done

    def _do_deferred(self) -> bool:
        """Do the deferred actions, unless a step is in progress; returns whether there were any."""
        if self._steps or not self._deferred:
            return False
        while self._deferred:
            todo = self._deferred[0]
            todo()
            self._deferred.remove(todo)  # only now: after an error or a Ctrl-C the next call does it again
        return True

    def allocate(self, count: int) -> int:
        """REQBUFS(``count``) and memory for each; returns how many the driver granted.

        On any failure it frees everything before it raises the error.
        """
        count = checks.count(count, f"{self.name}: buffers", least=1, most=checks.U32)
        return self._in_step(lambda: self._allocate(count))

    def _allocate(self, count: int) -> int:
        self._check_open()
        if self._allocated:
            raise StateError(f"{self.name}: buffers are allocated already", hint="free() them first")
        granted = self._first(lambda: self.memory.request(self._node, self.type, count))
        self.capabilities = granted.capabilities
        try:
            self._wake = eventfd(f"wake of {self.name}")
            self.memory.provide(granted.count, self.sizes)
            self._adopt(range(granted.count))
        except BaseException:
            self._free_after_error()
            raise
        return granted.count

    def create(self, count: int, format: calls.Format) -> int:
        """CREATE_BUFS: ``count`` more buffers, also while streaming; returns how many were granted.

        On failure the queue has the buffers that it had before. (A kernel without REMOVE_BUFS keeps the new
        ones; the next call uses them first.) ENOTTY: the driver lacks it; ENOBUFS: the queue is full.
        """
        count = checks.count(count, f"{self.name}: more buffers", least=1, most=checks.U32)
        return self._in_step(lambda: self._create(count, format))

    def _create(self, count: int, format: calls.Format) -> int:
        self._check_open()
        first = not self._allocated
        new = [index for index, made in self._orphans.items() if made == format][:count]
        if not new:
            self._wished = format  # _agree() needs it if a Ctrl-C hides the kernel's answer
            made = self._first(lambda: self._ask(count, format)) if first else self._ask(count, format)
            self.capabilities |= made.capabilities
            new = list(range(made.index, made.index + made.count))
        self._orphans |= dict.fromkeys(new, format)  # until each has its memory
        self._wished = None
        try:
            if self._wake is None:
                self._wake = eventfd(f"wake of {self.name}")
            if first:
                self.memory.provide(len(new), self.sizes)
            self._adopt(new)
        except BaseException:
            if first:
                self._free_after_error()
            else:
                self._disown(new)
            raise
        for index in new:
            del self._orphans[index]
        return len(new)

    def _ask(self, count: int, format: calls.Format) -> calls.BuffersGranted:
        return calls.create_bufs(self._node, self.memory.kind, count, format, self.memory.flags)

    def _first(self, ask: Callable[[], calls.BuffersGranted]) -> calls.BuffersGranted:
        """Ask for a queue's first buffers, and free them if a Ctrl-C hides the kernel's answer."""
        self._allocated = True
        try:
            return ask()
        except KernelError:
            self._allocated = False
            raise
        except BaseException:
            self._free_after_error()
            raise

    def _adopt(self, indices: Sequence[int]) -> None:
        for index in indices:
            memory = self.memory.attach(self._node, self.type, index, self.sizes)
            self.buffers.append(Buffer(index, memory.arg, memory))

    def _disown(self, indices: Sequence[int]) -> None:
        for buffer in [b for b in self.buffers if b.index in indices]:
            buffer.memory.close()
            self.buffers.remove(buffer)
        with contextlib.suppress(KernelError):
            for index in indices:
                self.memory.release(self._node, self.type, index)
                del self._orphans[index]

    def _agree(self) -> dict[int, BufFlag]:
        """Make the list of buffers equal to the kernel's; returns the flags of each.

        After a Ctrl-C during CREATE_BUFS or REMOVE_BUFS only the kernel knows which buffers exist.
        """
        there = self._there()
        for buffer in [b for b in self.buffers if b.index not in there]:
            buffer.state = BufferState.FREED
            buffer.memory.close()
            self.buffers.remove(buffer)
        unknown = there.keys() - {b.index for b in self.buffers}
        self._orphans = {index: self._orphans.get(index, self._wished) for index in sorted(unknown)}
        self._wished = None
        self._disown(list(self._orphans))
        return there

    def _there(self) -> dict[int, BufFlag]:
        """QUERYBUF of every index up to the first free one above the known; returns the flags of each."""
        last = max([*self._orphans, *(b.index for b in self.buffers)], default=-1)
        found: dict[int, BufFlag] = {}
        for index in itertools.count():
            try:
                found[index] = self.query(index).flags
            except KernelError as e:
                if e.errno != errno.EINVAL:
                    raise
                if index > last:
                    break
        return found

    def remove(self, index: int, count: int = 1) -> bool:
        """REMOVE_BUFS: free some buffers that the program owns; False where kernel or driver lack it."""
        self._check_process()
        index = checks.u32(index, f"{self.name}: index")
        count = checks.count(count, f"{self.name}: buffers to remove", least=1, most=checks.U32)
        return self._in_step(lambda: self._remove(index, count))

    def _remove(self, index: int, count: int) -> bool:
        gone = [self.buffer(i) for i in range(index, index + count)]
        states = [after(b.state, Action.REMOVE, b.index, self.name) for b in gone]
        try:
            self.memory.release(self._node, self.type, index, count)
        except NotSupportedError:
            return False
        for buffer, state in zip(gone, states, strict=True):
            buffer.state = state
            buffer.memory.close()
            self.buffers.remove(buffer)
        return True

    def buffer(self, index: int) -> Buffer:
        """The buffer with this index. UsageError: there is none."""
        buffers = self.buffers  # once: a signal handler may close the queue meanwhile
        if 0 <= index < len(buffers) and (found := buffers[index]).index == index:
            return found
        for buffer in buffers:  # after REMOVE_BUFS the list has gaps
            if buffer.index == index:
                return buffer
        raise UsageError(f"{self.name} has no buffer {index}", hint=f"it has {len(self.buffers)}")

    def query(self, index: int) -> calls.BufferInfo:
        """QUERYBUF."""
        return calls.querybuf(self._node, self.type, self.memory.kind, index)

    def export(self, index: int, plane: int = 0, flags: int = EXPORT_FLAGS) -> DmaBuf:
        """EXPBUF: return plane ``plane`` of an MMAP buffer as a dma-buf, which the caller closes."""
        for buffer in self.buffers:
            if buffer.index == index and isinstance(buffer.memory, MmapBuffer):
                return buffer.memory.get_dmabuf(plane, flags)
        return export(self._node, self.type, index, plane, flags)  # the kernel's errno says what is wrong

    def exporter(self) -> str | None:
        """Return ``exp_name`` of buffer 0's dma-buf, or of the dma-buf that EXPBUF makes of it.

        For MMAP it names the driver's allocator: ``videobuf2_vmalloc``, ``videobuf2_dma_contig`` or
        ``videobuf2_dma_sg``. None where there is no dma-buf.
        """
        return self.buffers[0].memory.exporter() if self.buffers else None

    @abstractmethod
    def _free_after_error(self) -> None:
        """Stop and free everything, and suppress kernel errors: the caller raises the first error."""

    def _check_process(self) -> None:
        if self._born != fork.generation:
            raise refusals.of_the_parent(self.name)

    def _check_open(self) -> None:
        self._check_process()
        if self._closed:
            raise ClosedError(f"{self.name}: the queue was closed", hint="make a new one")

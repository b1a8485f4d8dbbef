"""Beside the layers: the whole life of a queue's buffers in one memory type, mem op by mem op.

Each step is one call of a method named after the op that it drives (see :mod:`vb2user.memory.base`). It runs
inside a *phase*, so that a trace can assign the kernel's calls to the Python call. This module knows nothing
of tracing: without a trace the steps show what user space sees.

A life begins with a free queue. At its end, also after an error, the queue is free again, and every buffer,
mapping, export and fd is released.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeVar

from vb2user.errors import ClosedError, KernelError, NotSupportedError, StreamTimeoutError, Vb2Error
from vb2user.memory.base import BufferBackend, BufferMemory
from vb2user.memory.fileio import FileIO
from vb2user.memory.mmap import Mmap, MmapBuffer
from vb2user.memory.ops import Op
from vb2user.memory.types import MEMORY_TYPES, Given
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg, is_output
from vb2user.uapi.enums import BufFlag
from vb2user.uapi.kernel import POLLERR, POLLIN, POLLOUT
from vb2user.validate.steps import POISON, Life, Setting, Step

#: Seconds for one frame; emulated machines are slow.
DEADLINE = 20.0

_T = TypeVar("_T")


class _Living:
    """A running life: its record, and the resources to release at its end."""

    def __init__(self, setting: Setting, life: Life, stack: ExitStack) -> None:
        self.setting = setting
        self.life = life
        self.stack = stack
        self.filled = 0

    def step(self, op: Op, call: str, action: str, do: Callable[[], _T]) -> _T:
        """Do one action in a phase of its own and note its result."""
        with self.setting.phase(Step(op, call, action).phase):
            try:
                result = do()
            except Vb2Error as e:
                self.life.steps.append(Step(op, call, action, error=str(e)))
                raise
        self._note(Step(op, call, action, _seen(result)))
        return result

    def _note(self, step: Step) -> None:
        steps = self.life.steps
        if steps and replace(steps[-1], times=1) == step:
            steps[-1] = replace(steps[-1], times=steps[-1].times + 1)
        else:
            steps.append(step)

    def optional(self, op: Op, call: str, action: str, do: Callable[[], object]) -> bool:
        """Do a step that this kernel or driver may lack; tell whether it was possible."""
        try:
            self.step(op, call, action, do)
        except NotSupportedError as e:
            self.life.steps.pop()  # a failed step is never merged with others
            self.life.notes.append(f"{call}: {e.request} is not in this kernel or driver")
            return False
        return True

    # -- frames -------------------------------------------------------------------------------------

    def stream(self, buffers: Sequence[BufferMemory]) -> None:
        """Queue every buffer, move frames, and stop. The ops that the driver causes run here."""
        s = self.setting
        try:
            for buffer in buffers:
                self._queue(buffer)
            if s.no_frames is not None:
                return
            calls.streamon(s.node, s.type)
            by_index = {b.index: b for b in buffers}
            arg = BufferArg(s.type, buffers[0].arg.memory)
            for left in range(s.frames - 1, -1, -1):
                self._wait(arg)
                buffer = by_index[arg.raw.index]
                self._judge(buffer, arg)
                # An output's driver may keep the last frame until another one comes.
                if left >= len(buffers) or (left and is_output(s.type)):
                    self._queue(buffer)
        finally:
            with contextlib.suppress(KernelError):
                calls.streamoff(s.node, s.type)

    def _queue(self, buffer: BufferMemory) -> None:
        s = self.setting
        arg = buffer.arg
        if is_output(s.type):
            _access(buffer, True, lambda: self._fill(buffer))
            for plane, length in enumerate(s.lengths):
                arg.set_payload(plane, length)
        elif s.check is not None and not (s.shared and isinstance(buffer, MmapBuffer)):
            # A frame that the driver does not write must not pass as the one before it.
            _access(buffer, True, lambda: _poison(buffer.planes))
        buffer.vaddr()

    def _fill(self, buffer: BufferMemory) -> None:
        if self.setting.fill is not None:
            self.setting.fill(self.setting.format, buffer.planes, self.filled)
        self.filled += 1

    def _wait(self, arg: BufferArg) -> None:
        s = self.setting
        events = POLLOUT if is_output(s.type) else POLLIN
        while not calls.dqbuf(s.node, arg):
            seen, _ = s.node.poll(events, DEADLINE)
            if not seen:
                raise StreamTimeoutError(f"{s.node.name}: no frame came in {DEADLINE:g} s")
            if seen & POLLERR:
                if calls.dqbuf(s.node, arg):
                    return
                raise s.node.error_of(errno.EIO, "poll")

    def _judge(self, buffer: BufferMemory, arg: BufferArg) -> None:
        life, s = self.life, self.setting
        life.frames += 1
        if arg.flags & BufFlag.ERROR:
            life.errors += 1
            return
        if is_output(s.type) or life.fault is not None:
            return
        sequence = int(arg.raw.sequence)
        spans = [slice(arg.data_offset(p), arg.bytesused(p)) for p in range(len(s.format.planes))]
        life.fault = s.too_short([span.stop - span.start for span in spans], sequence)
        if s.check is not None and life.fault is None:
            check = s.check
            payload = [plane[span] for plane, span in zip(buffer.planes, spans, strict=True)]
            life.fault = _access(buffer, False, lambda: check(s.format, payload, sequence))


def _access(buffer: BufferMemory, write: bool, look: Callable[[], _T]) -> _T:
    buffer.begin_access(write=write)
    try:
        return look()
    finally:
        buffer.end_access(write=write)


def _poison(planes: Sequence[memoryview]) -> None:
    for plane in planes:
        plane[:] = bytes([POISON]) * len(plane)


def _told(error: KernelError) -> str:
    """Return an error's text without the device's name, so that equal errors have equal texts."""
    number = errno.errorcode.get(error.errno or 0, str(error.errno))
    meaning = f": {error.explanation}" if error.explanation else ""
    return f"{error.request.removeprefix('VIDIOC_')} says {number}{meaning}"


def _seen(result: object) -> str | None:
    """Return an action's result in words."""
    if isinstance(result, BufFlag):
        names = [f.name for f in BufFlag if f & result and f.name and "TIMESTAMP" not in f.name]
        return " ".join(n for n in names if n != "TSTAMP_SRC_SOE") or "no flags"
    if isinstance(result, calls.BuffersGranted):
        return f"{result.count} buffers granted"
    if isinstance(result, bool):
        return str(result).lower()
    return None if result is None else str(result)


# --- the lives --------------------------------------------------------------------------------------


def live(
    setting: Setting, column: str, memory: BufferBackend | None = None, source: str | None = None
) -> Life:
    """Take one memory type through its whole life.

    Args:
        setting: the node and how to judge frames.
        column: one of :data:`~vb2user.validate.steps.COLUMNS`.
        memory: the strategy, closed at the end; None: what the memory type makes of nothing.
        source: where its memory comes from, in words.

    Returns:
        The result. Errors of the kernel are in it, and are not raised. An error of the first step is the
        life's ``reason``, an error of a later step its ``fault``.
    """
    life = Life(column, source=source, no_frames=setting.no_frames)
    entry = MEMORY_TYPES.get(column)  # None: write(2)
    if (entry is None or entry.make is None) and setting.no_frames is not None:
        life.reason = setting.no_frames
        return life
    try:
        with ExitStack() as stack:
            living = _Living(setting, life, stack)
            if entry is None or entry.make is None:
                _file_io(living)
            elif entry.imported is not None:
                _import(living, memory or entry.make(Given()), *entry.imported)
            else:
                _mmap(living)
    except Vb2Error as e:
        if isinstance(e, KernelError) and e.errno == errno.EFAULT and not life.frames:
            # PREPARE_BUF fails, or the first QBUF if the driver has no PREPARE_BUF.
            life.reason, life.other_memory = _told(e), True
        if life.reason is None:
            life.fault = life.fault or str(e)
    if life.errors:
        flagged = f"{life.errors} of {life.frames} frames were flagged ERROR"
        if setting.known_errors is None:
            life.fault = life.fault or flagged
        else:
            life.notes.append(f"{flagged}: {setting.known_errors}")
    return life


def _ask(living: _Living, memory: BufferBackend, ask: Callable[[], calls.BuffersGranted]) -> int:
    """Allocate by REQBUFS, and return the number.

    The end frees the buffers, also after a Ctrl-C in between.
    """
    living.stack.callback(_give_back, living.setting, memory)
    try:
        return ask().count
    except KernelError as e:
        living.life.reason = _told(e)
        raise


def _give_back(setting: Setting, memory: BufferBackend) -> None:
    # After an error, a buffer that is gone already is not a second error. STREAMOFF comes first: a streaming
    # queue does not free its buffers.
    with contextlib.suppress(KernelError, ClosedError):
        calls.streamoff(setting.node, setting.type)
    with contextlib.suppress(KernelError, ClosedError):
        memory.release(setting.node, setting.type)


def _mmap(living: _Living) -> None:
    s = living.setting
    memory = Mmap()
    call = f"Mmap.alloc({s.count})"
    alloc = lambda: memory.alloc(s.node, s.type, s.count)  # noqa: E731
    count = _ask(living, memory, lambda: living.step(Op.ALLOC, call, "REQBUFS", alloc))
    buffers = [memory.buffer(s.node, s.type, i) for i in range(count)]
    for buffer in buffers:
        living.stack.callback(buffer.close)
    first = buffers[0]
    living.step(Op.NUM_USERS, "MmapBuffer.num_users()", "QUERYBUF", first.num_users)
    for buffer in buffers:
        living.step(Op.MMAP, "MmapBuffer.mmap()", "mmap", lambda b=buffer: _mapped(b))  # type: ignore[misc]
    living.step(Op.NUM_USERS, "MmapBuffer.num_users()", "QUERYBUF", first.num_users)
    try:
        exported = living.step(Op.GET_DMABUF, "MmapBuffer.get_dmabuf()", "EXPBUF", first.get_dmabuf)
    except KernelError as e:
        if e.errno not in (errno.ENOTTY, errno.EINVAL):
            raise
        exported = None
        living.life.notes.append(f"no export: {e}")
    if exported is not None:
        living.stack.callback(exported.close)
        living.life.source = exported.exporter
    _prepare_and_finish(living, first)
    _stream(living, buffers)
    if exported is not None:
        living.step(Op.PUT, "DmaBuf.close()", "close of the exported fd", exported.close)
    for buffer in buffers:
        living.step(Op.PUT, "MmapBuffer.put()", "munmap", buffer.put)
    if len(buffers) > 1:
        index = buffers[-1].index
        living.optional(Op.PUT, "Mmap.put(index)", "REMOVE_BUFS", lambda: memory.put(s.node, s.type, index))
    living.step(Op.PUT, "Mmap.put()", "REQBUFS(0)", lambda: memory.put(s.node, s.type))


def _mapped(buffer: MmapBuffer) -> str:
    return " + ".join(f"{len(p)} bytes" for p in buffer.mmap())


def _prepare_and_finish(living: _Living, buffer: BufferMemory) -> None:
    """Drive prepare and finish. Without PREPARE_BUF, which drivers may lack, they run only with a frame."""
    name = type(buffer).__name__
    if living.optional(Op.PREPARE, f"{name}.prepare()", "PREPARE_BUF", buffer.prepare):
        living.step(Op.FINISH, f"{name}.finish()", "STREAMOFF", buffer.finish)


def _take_in(living: _Living, op: Op, buffers: Sequence[BufferMemory]) -> None:
    """The op by which the kernel takes the program's memory; without PREPARE_BUF, QBUF does it later."""
    name = type(buffers[0]).__name__
    for buffer in buffers:
        if not living.optional(op, f"{name}.{op}()", "PREPARE_BUF", getattr(buffer, op)):
            return
    living.step(Op.FINISH, f"{name}.finish()", "STREAMOFF", buffers[0].finish)
    _prepare_and_finish(living, buffers[0])


def _stream(living: _Living, buffers: Sequence[BufferMemory]) -> None:
    name = type(buffers[0]).__name__
    actions = "QBUF, STREAMOFF" if living.setting.no_frames else "QBUF, STREAMON, DQBUF, STREAMOFF"
    living.step(Op.VADDR, f"{name}.vaddr()", actions, lambda: living.stream(buffers))


def _imported(living: _Living, memory: BufferBackend) -> list[BufferMemory]:
    s = living.setting
    # For an imported memory type REQBUFS drives no op.
    count = _ask(living, memory, lambda: memory.request(s.node, s.type, s.count))
    try:
        memory.provide(count, s.lengths)
        made: list[BufferMemory] = []
        for index in range(count):
            made.append(memory.attach(s.node, s.type, index, s.lengths))
            living.stack.callback(made[-1].close)
    except Vb2Error as e:
        living.life.reason, living.life.other_memory = f"no memory for it: {e.message}", True
        raise
    return made


def _import(living: _Living, memory: BufferBackend, take: Op, give: Op, give_all: Op) -> None:
    """Memory that the kernel takes in, by the ops that stand in the memory type's entry."""
    s = living.setting
    living.stack.callback(memory.close)
    buffers = _imported(living, memory)
    name = type(buffers[0]).__name__
    _take_in(living, take, buffers)
    living.step(Op.NUM_USERS, f"{name}.num_users()", "QUERYBUF", buffers[0].num_users)
    _stream(living, buffers)
    if len(buffers) > 1:
        living.optional(give, f"{name}.{give}()", "REMOVE_BUFS", getattr(buffers[-1], give))
    free = getattr(memory, give_all)
    living.step(give_all, f"{type(memory).__name__}.{give_all}()", "REQBUFS(0)", lambda: free(s.node, s.type))


def _file_io(living: _Living) -> None:
    s, life = living.setting, living.life
    writing = is_output(s.type)
    # Only close(2) of the file handle ends file I/O, so it gets a handle of its own.
    node = s.node.reopen()
    living.stack.callback(node.close)
    io = FileIO(node)
    living.step(Op.ALLOC, "FileIO.alloc()", "poll", lambda: io.alloc(POLLOUT if writing else POLLIN))
    buffer = memoryview(bytearray(s.lengths[0]))
    for number in range(s.frames):
        try:
            if writing:
                if s.fill is not None:
                    s.fill(s.format, [buffer], number)
                living.step(Op.VADDR, "FileIO.write()", "write", lambda: io.write(buffer, DEADLINE))
            else:
                _poison([buffer])
                used = living.step(Op.VADDR, "FileIO.vaddr()", "read", lambda: io.vaddr(buffer, DEADLINE))
                _judge_read(living, buffer, used, number)
        except KernelError as e:
            if not number:
                life.reason = _not_offered(e, writing, len(s.lengths))
            raise
        life.frames += 1
    living.step(Op.PUT, "FileIO.put()", "close", io.put)


def _not_offered(error: KernelError, writing: bool, planes: int) -> str | None:
    """Return why the first read or write failed, if that is not a fault."""
    if error.errno == errno.EBUSY and planes > 1:  # the queue is free, so EBUSY is about the number of planes
        return f"not offered: videobuf2 reads and writes queues of one memory plane, this has {planes}"
    return _told(error) if error.errno == errno.EINVAL and writing else None


def _judge_read(living: _Living, buffer: memoryview, used: int, number: int) -> None:
    """Judge a frame of read(2). It has no ERROR flag, so a frame that the driver did not write looks good.

    videobuf2 leaves out what lies before the payload.
    """
    life, s = living.life, living.setting
    short = s.too_short([used], number)
    if short is not None:
        life.fault = life.fault or short
        return
    wrong = None if s.check is None else s.check(s.format, [buffer[:used]], None)
    if wrong is None:
        return
    if s.known_errors is None:
        life.fault = life.fault or wrong
    elif not life.notes:
        life.notes.append(f"read(2) gave a frame as good that is {wrong}: {s.known_errors}")

"""Run an action at any point at which CPython runs signal handlers, one point after the other.

    with Interrupt(at=17, action=stream.close):
        next(frames)

A handler runs between two bytecodes of its own thread: after a call has returned, at the beginning of a
function and at the end of a loop's turn. A trace function sees all of these, so a test can try each of them.
An action that raises is a Ctrl-C.
"""

from __future__ import annotations

import _weakrefset
import contextlib
import dis
import functools
import itertools
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

import vb2user

ROOT = str(Path(vb2user.__file__).parent)
#: Modules of the standard library, in Python, that the library calls where it acquires and releases.
#: Without threading: an error inside of its Condition.wait, in Python, leaves the lock to another thread.
LIBRARY = tuple(str(module.__file__) for module in (contextlib, weakref, _weakrefset))
#: After these the interpreter looks for signals: the calls, turns and beginnings of Python 3.10 to 3.14.
CHECKED = frozenset(
    number
    for name, number in dis.opmap.items()
    if name.startswith(("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE"))
    and not name.startswith(("CALL_INTRINSIC", "JUMP_BACKWARD_NO_INTERRUPT"))
)
WAIT = 20  # seconds until what hangs is a failure


class Interrupt:
    """Run ``action`` at the ``at``-th point inside of this library, or at the next one outside of a fake.

    ``fired`` says whether there was one.

    Args:
        at: which point.
        action: what a handler would do.
        library: the standard library's part of the way is tried, too.
    """

    def __init__(self, at: int, action: Callable[[], object], *, library: bool = False) -> None:
        self.at, self.action = at, action
        #: Between any two instructions: of other threads, where Python has no GIL.
        self.everywhere = False
        self.files = (ROOT, *LIBRARY) if library else (ROOT,)  #: whose code is tried
        self.points = 0
        self.fired = False
        self.where = ""
        self._last: dict[int, int] = {}  # by frame: the offset of the instruction before
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        self._before = sys.gettrace()
        # In 3.12 settrace() turns the events on only if a frame has asked for them before.
        sys._getframe().f_trace_opcodes = True
        sys.settrace(self._call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        if self.fired or not frame.f_code.co_filename.startswith(self.files):
            return None
        if frame.f_code.co_name in ("remove", "_remove"):
            return None  # a weak reference's callback: Python prints and forgets an error in it
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        self._last[id(frame)] = -1
        return self._opcode

    def _opcode(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        if event == "opcode" and not self.fired:
            code, before = frame.f_code, self._last.get(id(frame), -1)
            self._last[id(frame)] = frame.f_lasti
            checked = before >= 0 and operation(code, before) in CHECKED
            if self.everywhere or (checked and same_handler(code, before, frame.f_lasti)):
                self.points += 1
                if self.points >= self.at and not in_the_fake(frame):
                    self.fired = True
                    self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
                    sys.settrace(self._before)
                    self.action()
        return self._opcode


def in_the_fake(frame: FrameType | None) -> bool:
    """Whether a stack is inside of a fake kernel: no handler runs inside of a real one."""
    while frame is not None:
        if Path(frame.f_code.co_filename).name.startswith("fakes"):
            return True
        frame = frame.f_back
    return False


@functools.cache
def operation(code: CodeType, offset: int) -> int:
    """The instruction at an offset, past the prefixes of a long argument: from 3.12 on they are no steps."""
    plain = code.co_code  # without what the interpreter has put in place of it: a copy
    while plain[offset] == dis.EXTENDED_ARG:
        offset += 2
    return plain[offset]


@functools.cache
def handlers(code: CodeType) -> list[tuple[int, int, int]]:
    """Python's exception table: first offset, one past the last, and the handler's; empty before 3.11."""
    entries = getattr(dis.Bytecode(code), "exception_entries", ())
    return [(entry.start, entry.end, entry.target) for entry in entries]


def same_handler(code: CodeType, call: int, following: int) -> bool:
    """Whether an error at ``following`` is caught as one in the call before it is.

    To CPython an interrupt after a call belongs to the call; what a trace function raises belongs to the
    instruction that follows, which may lie outside of the ``try``.
    """
    targets = [
        [target for start, end, target in handlers(code) if start <= offset < end]
        for offset in (call, following)
    ]
    return targets[0] == targets[1]


def points(step: int, first: int = 1) -> Iterator[int]:
    """Every ``step``-th point; whoever sees that an interrupt has not fired ends the loop."""
    return itertools.count(first, step)


def ctrl_c() -> None:
    """What Python's own handler of SIGINT does."""
    raise KeyboardInterrupt


@contextmanager
def watchdog(seconds: float = WAIT) -> Iterator[None]:
    """Raise in the main thread where it hangs: a lock's wait ends by a signal whose handler raises."""

    def late(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"it hangs for {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

"""Layer 5: which buffers are out with the program, and how each comes back to the driver.

A buffer is out from its delivery until its frame was released (or dropped) and the last view of it is
gone. Both ends are noticed by weak references whose callback is ``deque.append``: a C function. Were it
a Python function, a signal that comes while it runs would raise KeyboardInterrupt inside of it, where
Python can only print and forget it, and Ctrl-C would be lost. What was noticed is acted upon in
:meth:`Leases.reap`, which the stream calls in the ordinary course of things.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vb2user.capture.engine import Engine
from vb2user.errors import Vb2Error

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


class _Ref(weakref.ref[Any]):
    """A weak reference that knows whose it is."""

    __slots__ = ("lease",)
    lease: Lease


class Lease:
    """One buffer that is out.

    Attributes:
        slot: the buffer's index.
        sequence: the number of the frame that lies in it.
        roots: the arrays that every view of this delivery derives from, once somebody has looked.
        seen: arrays that were handed out and do not derive from those.

    One thread may look for the first time while another one releases. Neither waits for the other: the
    releaser finds that somebody is looking and leaves the rest to him, and he looks for a release when he
    is done.
    """

    __slots__ = (
        "_frame",
        "_leases",
        "_lock",
        "_looked",
        "_looking",
        "_released",
        "_unreturned",
        "_unsettled",
        "_watched",
        "roots",
        "seen",
        "sequence",
        "slot",
    )

    def __init__(self, leases: Leases, slot: int, sequence: int) -> None:
        self._leases = leases
        self.slot = slot
        self.sequence = sequence
        self.roots: list[Array] = []
        self.seen: list[Array] = []
        #: Of those who look for the first time. Re-entrant: a signal handler may look, too.
        self._lock = threading.RLock()
        self._looking = 0
        self._looked = False
        self._released = False
        #: Tickets: of several threads the one that takes it does it.
        self._unsettled, self._unreturned = [True], [True]
        # By identity: a weak reference without a hash of its own has none once its target is gone.
        self._watched: dict[int, _Ref] = {}
        self._frame: _Ref | None = None

    def watch(self, frame: object) -> None:
        """A frame that is dropped counts as released."""
        self._frame = self._ref(frame)

    def look(self, memory: Sequence[memoryview]) -> list[Array]:
        """The roots, made over ``memory`` at the first look; none: it was released meanwhile.

        The list is the caller's own, so that what he looks at lives as long as he does.
        """
        if roots := list(self.roots):
            return roots
        with self._lock:
            self._looking += 1
            try:
                if not self.roots and not self._released:  # else another thread was faster
                    self._begin(memory)
                return list(self.roots)
            finally:
                self._looking -= 1
                if self._released and not self._looking:
                    with contextlib.suppress(Vb2Error):  # it is owed; what is told here is the release
                        self._settle()

    def _begin(self, memory: Sequence[memoryview]) -> None:
        """The CPU is about to look."""
        import numpy as np

        self._leases.engine.begin(self.slot)
        self._looked = True
        # Not numpy.ndarray(buffer=...): that holds no export of the mapping's buffer.
        made = [np.frombuffer(view, np.uint8) for view in memory]
        if not self.roots and not self._released:
            self.roots += made

    def looked(self, root: Array, seen: Array, *, needs_end: bool) -> None:
        """Somebody has looked already, at this array."""
        self.roots.append(root)
        self.seen.append(seen)
        self._looked = needs_end

    def release(self) -> None:
        """The frame lets go; what still looks at the buffer does so by one of the roots. Idempotent.

        KernelError: the driver did not take the buffer back.
        """
        self._released = True  # first: who begins to look from now on finds it
        if not self._looking:
            self._settle()

    def _settle(self) -> None:
        if not _taken(self._unsettled):
            return
        self._frame = None
        watched = [self._ref(array) for array in (*self.roots, *self.seen)]
        self._watched = {id(ref): ref for ref in watched}
        self.roots.clear()
        self.seen.clear()
        # Those that died with the line above are noticed too, and then no longer watched for.
        for ref in watched:
            if ref() is None:
                self._watched.pop(id(ref), None)
        if not self._watched:
            self._return()

    def noticed(self, ref: _Ref) -> None:
        """A frame or a root is gone."""
        if ref is self._frame:
            self.release()
        elif self._watched.pop(id(ref), None) is not None and not self._watched:
            self._return()

    def describe(self) -> str:
        """Who holds it, in words."""
        what = f"frame {self.sequence} (buffer {self.slot})"
        if not self._released:
            return f"{what} is not released"
        return f"{what} is released, but {len(self._watched)} of its views live" if self._watched else what

    def finish(self) -> None:
        """The end of looking, where the engine wants to know of it."""
        if self._looked:
            self._looked = False
            self._leases.engine.end(self.slot)

    def forget(self) -> None:
        """The stream is over: nothing goes back any more; views live on by themselves."""
        self._released = True
        self._frame = None
        self._watched.clear()
        self.roots.clear()
        self.seen.clear()

    def _ref(self, target: object) -> _Ref:
        ref = _Ref(target, self._leases.gone.append)
        ref.lease = self
        return ref

    def _return(self) -> None:
        if not _taken(self._unreturned):
            return
        self._leases.out.pop(self.slot, None)
        try:
            self.finish()
        finally:
            self._leases.give_back(self.slot)


class _Mark:
    """What lies among the gone and is not: it makes the short way stop and think."""

    def __init__(self) -> None:
        self.lease = self

    def noticed(self, ref: object) -> None:
        """Nobody is gone."""


#: The short way shall end.
BELL = _Mark()
#: The driver has got a buffer.
LOOK = _Mark()


class _Over:
    """The lease of a frame whose buffer went back without one."""

    def look(self, memory: Sequence[memoryview]) -> list[Array]:
        """It was released."""
        return []

    def release(self) -> None:
        """It was."""


OVER: Any = _Over()


def _taken(ticket: list[bool]) -> bool:
    """Whether this call is the first for this ticket, of whichever thread."""
    try:
        return ticket.pop()
    except IndexError:
        return False


class Leases:
    """All buffers of one running stream that are out.

    Attributes:
        engine: where they go back to.
        out: the leases by buffer; it keeps them, and so their weak references, alive.
        gone: what was noticed and not yet acted upon.
        owed: buffers that the driver did not take back, to be tried again.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.out: dict[int, Lease] = {}
        self.gone: deque[Any] = deque()
        self.owed: list[int] = []

    def describe(self) -> str:
        """Who holds what, in words."""
        return (
            "; ".join(lease.describe() for lease in list(self.out.values()))
            or "frames that were not taken yet"
        )

    def lend(self, slot: int, sequence: int = 0) -> Lease:
        """A buffer goes out, with the frame of that number."""
        lease = self.out[slot] = Lease(self, slot, sequence)
        return lease

    def finish(self) -> None:
        """The stream ends: so does all looking, as far as the engine is concerned."""
        for lease in list(self.out.values()):  # a reader may be giving one back
            with contextlib.suppress(Vb2Error):
                lease.finish()

    def close(self) -> None:
        """The stream is over. Breaks every circle, so that mappings go with their last view."""
        for slot in list(self.out):
            if (lease := self.out.pop(slot, None)) is not None:  # else a reader gave it back meanwhile
                lease.forget()
        self.gone.clear()
        self.gone.append(BELL)  # whoever waits on the short way comes out of it, and hears that now
        self.owed.clear()

    def give_back(self, slot: int) -> None:
        """The driver gets a buffer again. KernelError: it did not take it; :meth:`reap` tries again."""
        try:
            self.engine.give_back(slot)
            self.gone.append(LOOK)  # whoever counts the driver's buffers does so now
        except BaseException:
            self.owed.append(slot)
            raise

    def reap(self) -> None:
        """Take back what nobody looks at any more. KernelError: the driver did not take it."""
        while self.owed:
            self.give_back(self.owed.pop())
        while self.gone:
            ref = self.gone.popleft()
            ref.lease.noticed(ref)

"""Which buffers the program has, and how each comes back to the driver.

A buffer is out from its delivery until its frame was released (or dropped) and the last view of it has died.
The next turn releases the frame of the turn before. What outlives that is watched: a frame that the program
holds, and the arrays of views that it keeps. The callback of these weak references is ``deque.append``, a C
function. A callback in Python would run inside of a destructor, where Python prints and forgets the
KeyboardInterrupt of a Ctrl-C. The reader acts upon what was noticed at its next turn (:meth:`Leases.reap`).

Any thread may release a frame, a signal handler too, at any moment. Therefore:

* A buffer stays in :attr:`Leases.out` until the driver gets it. Both change under one lock.
* The lock is re-entrant, and each step leaves a state that a handler of the same thread can go on from.
* A Ctrl-C may come between an ioctl and the note of it. Then only the kernel knows whose the buffer is, and
  the next turn asks it (:meth:`Leases.recover`).
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from vb2user.errors import Vb2Error
from vb2user.stream.engine import Engine
from vb2user.uapi import fork

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


class _Watch(weakref.ref[Any]):
    """A weak reference that knows its lease."""

    __slots__ = ("lease",)
    lease: Lease


class Lease:
    """One buffer that is out.

    Attributes:
        slot: the buffer's index.
        sequence: the number of the frame that lies in it.
        roots: the arrays from which every view of this delivery derives, made at the first look.
        released: the frame was released, or dropped.
        stopped: the stream was closed.
        returned: the driver has the buffer again.

    One thread may look for the first time while another one releases. Neither waits for the other: the
    releaser finds that a look is under way and leaves the rest to the looking thread, which checks for a
    release when it is done.
    """

    __slots__ = (
        "_frame",
        "_leases",
        "_looked",
        "_looking",
        "_refs",
        "_watches",
        "released",
        "returned",
        "roots",
        "sequence",
        "slot",
        "stopped",
    )

    def __init__(self, leases: Leases, slot: int, sequence: int) -> None:
        self._leases = leases
        self.slot = slot
        self.sequence = sequence
        self.roots: tuple[Array, ...] = ()
        self._looking = 0
        self._looked = self.released = self.stopped = self.returned = False
        #: To the roots.
        self._refs: tuple[weakref.ref[Any], ...] = ()
        #: To roots and frames that outlive the turn in which they were made.
        self._watches: tuple[_Watch, ...] = ()
        self._frame: weakref.ref[Any] | None = None

    def watch(self, frame: object) -> None:
        """Notice when the program drops a frame that it holds: that counts as a release."""
        self._frame = self._watch(frame)

    def look(self) -> tuple[Array, ...]:
        """Return the roots, made at the first look; none if the frame was released meanwhile.

        The roots live as long as the caller has what is returned.
        """
        if roots := self.roots:
            return roots
        with self._leases.looks:
            try:
                self._looking += 1
                if not self.roots and not self.released:  # else another thread was faster
                    self._begin()
                return self.roots
            finally:
                self._looking -= 1
                if self.released and not self._looking:
                    # The next turn tries again; the caller hears of the release.
                    with contextlib.suppress(Vb2Error):
                        self.release()

    def _begin(self) -> None:
        """The CPU is about to look."""
        engine = self._leases.engine
        if engine.syncs:
            engine.begin(self.slot)
            self._looked = True
        # Not numpy.ndarray(buffer=...): that holds no export of the mapping's buffer.
        memory = engine.memory(self.slot)
        frombuffer, uint8 = self._leases.frombuffer, self._leases.uint8
        if len(memory) == 1:
            made: tuple[Array, ...] = (frombuffer(memory[0], uint8),)
            self._refs = (weakref.ref(made[0]),)
        else:
            made = tuple([frombuffer(view, uint8) for view in memory])
            self._refs = tuple([weakref.ref(root) for root in made])
        if not self.roots and not self.released:
            self.roots = made

    def release(self) -> None:
        """End the frame's own look; views that the program keeps end theirs when they die. Idempotent.

        KernelError: the driver did not take the buffer back.
        """
        self.released = True  # first: a look that begins from now on finds it
        if self._looking:
            return
        self.roots = ()
        for ref in self._refs:
            if ref() is not None:
                if self._is_seen():
                    return
                break  # another thread has dropped the last view just now
        self._leases.give_back(self)

    def _is_seen(self) -> bool:
        """Return whether a view lives; if so, its end is noticed from now on."""
        try:
            roots = [root for ref in self._refs if (root := ref()) is not None]
            if roots and not self._watches:
                self._watches = tuple([self._watch(root) for root in roots])
            return bool(roots)
        except BaseException:  # a Ctrl-C: the next turn looks at this lease again
            self._leases.refused = True
            raise

    def settle(self, *, orphans: bool = False) -> None:
        """Give the buffer back if the frame is released, or dropped, and no view lives. Idempotent.

        Args:
            orphans: a lease that no frame has got counts as released.
        """
        if not self.released:
            if self._frame is None:
                if not orphans:
                    return
            elif self._frame() is not None:
                return
        self.release()

    def drop_references(self) -> None:
        """Break the circle of the lease and its weak references, so that no lease waits for the collector."""
        self._frame = None
        self._refs = self._watches = ()

    def describe(self) -> str:
        """Say what holds the buffer."""
        what = f"frame {self.sequence} (buffer {self.slot})"
        if not self.released:
            return f"{what} is not released"
        views = sum(ref() is not None for ref in self._refs)
        return f"{what} is released, but {views} of its views live" if views else what

    def finish(self) -> None:
        """End the CPU's access, where the engine wants to know of it."""
        if self._looked:
            self._looked = False
            self._leases.engine.end(self.slot)

    def forget(self) -> None:
        """The stream is over: the buffer goes back no more, and views live on by themselves."""
        self.released = self.stopped = True
        self.drop_references()
        self.roots = ()

    def _watch(self, target: object) -> _Watch:
        watch = _Watch(target, self._leases.gone.append)
        watch.lease = self
        return watch


class Leases:
    """All buffers of one running stream that are out.

    Attributes:
        engine: where they go back to.
        out: the leases by buffer.
        gone: references whose frame or root has died, not yet acted upon.
        refused: a driver did not take a buffer back, or a release was interrupted: the next turn tries again.
        looks: held during a first look. Re-entrant: a signal handler may look, too.
        interrupted: a Ctrl-C came amidst a step: :meth:`recover` asks the kernel whose the buffers are.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.out: dict[int, Lease] = {}
        self.gone: deque[_Watch] = deque()
        self.interrupted = False
        self.refused = False
        self.looks = threading.RLock()
        self._lock = threading.RLock()
        self._born = fork.generation
        import numpy  # here: the command line starts faster without it

        self.frombuffer, self.uint8 = numpy.frombuffer, numpy.dtype(numpy.uint8)

    def describe(self) -> str:
        """Say what holds each buffer."""
        return (
            "; ".join(lease.describe() for lease in list(self.out.values()))
            or "frames that were not taken yet"
        )

    def lend(self, slot: int, sequence: int = 0) -> Lease:
        """A buffer goes out, with the frame of that number."""
        lease = self.out[slot] = Lease(self, slot, sequence)
        return lease

    def give_back(self, lease: Lease) -> None:
        """The driver gets the buffer of a lease, once. KernelError: the next turn tries again."""
        slot = lease.slot
        if self._born != fork.generation:  # nor may a lock be waited for that a thread of the parent's holds
            return
        with self._lock:
            if self.out.get(slot) is not lease or self.interrupted:  # the next turn asks the kernel first
                return
            try:
                self.out.pop(slot, None)  # a signal handler may have closed the stream just now
                lease.finish()
                self.engine.give_back(slot)
                lease.returned = True
                lease.drop_references()
            except BaseException as error:
                self.out[slot] = lease
                if isinstance(error, Vb2Error):
                    self.refused = True
                else:
                    self.interrupted = True
                raise

    def discard(self, slot: int) -> None:
        """The driver gets a buffer whose frame is not handed out. KernelError: the next turn tries again."""
        self.lend(slot).release()

    def reap(self) -> None:
        """Give back what no frame and no view holds any more. KernelError: the driver did not take it."""
        if self.refused:
            self.refused = False
            self._settle_all()
        while self.gone:
            try:
                ref = self.gone.popleft()
            except IndexError:  # the stream was closed just now
                return
            if not ref.lease.returned:
                ref.lease.settle()

    def _settle_all(self, *, orphans: bool = False) -> None:
        for lease in list(self.out.values()):
            lease.settle(orphans=orphans)

    def recover(self, waiting: Collection[int]) -> None:
        """After a Ctrl-C: give back what no frame holds, and every buffer that only the kernel knows of.

        Args:
            waiting: buffers that came, and are neither out nor to go back.
        """
        with self._lock:
            try:
                self.engine.recover({*self.out, *waiting})
                self.interrupted = False
                self._settle_all(orphans=True)
            except BaseException:
                self.interrupted = True
                raise

    def finish(self) -> None:
        """The stream ends: so does the CPU's access, as far as the engine is concerned."""
        for lease in list(self.out.values()):  # another thread may be giving one back
            with contextlib.suppress(Vb2Error):
                lease.finish()

    def close(self) -> None:
        """The stream is over. Breaks every circle, so that mappings go with their last view."""
        for slot in list(self.out):
            if (lease := self.out.pop(slot, None)) is not None:  # else another thread gave it back meanwhile
                lease.forget()
        self.gone.clear()

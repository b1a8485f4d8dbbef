"""Layer 5: which buffers the program has, and how each comes back to the driver.

A buffer is out from its delivery until its frame was released (or dropped) and the last view of it has died.
Each turn releases the frame of the turn before. Weak references watch what outlives that: a frame that the
program holds, and the root arrays of the views that it keeps. Their callback is the C function
``deque.append``. A callback in Python would run inside a destructor, where Python prints and forgets the
KeyboardInterrupt of a Ctrl-C. The reader's next turn returns these buffers (:meth:`Leases.reap`).

Any thread may release a frame, a signal handler too, at any moment. Therefore:

* A buffer stays in :attr:`Leases.out` until the driver gets it. Both change under one lock.
* The lock is re-entrant, and each step leaves a state in which a handler of the same thread can run.
* A Ctrl-C may come after an ioctl and before Python stores its result. Then only the kernel knows who owns
  the buffer, and the next turn asks it (:meth:`Leases.recover`).
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
    """A weak reference with its lease."""

    __slots__ = ("lease",)
    lease: Lease


class Lease:
    """One buffer that is out.

    Attributes:
        slot: the buffer's index.
        sequence: the number of the frame that lies in it.
        roots: the arrays from which every view of this delivery derives, made at the first access.
        released: the frame was released, or dropped.
        stopped: the stream was closed.
        returned: the driver has the buffer again.

    One thread may make the first access while another thread releases. Neither waits for the other. The
    release then leaves the buffer to the accessing thread, which checks for a release afterwards.
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
        #: References to the roots.
        self._refs: tuple[weakref.ref[Any], ...] = ()
        #: References with callbacks, to roots and frames that outlive their turn.
        self._watches: tuple[_Watch, ...] = ()
        self._frame: weakref.ref[Any] | None = None

    def watch(self, frame: object) -> None:
        """Watch a frame that the program holds: if the program drops it, that counts as a release."""
        self._frame = self._watch(frame)

    def look(self) -> tuple[Array, ...]:
        """Return the roots, made at the first access; none if the frame was released meanwhile.

        The roots live as long as the caller keeps the returned tuple.
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
                    # The next turn tries again; for the caller the frame is released.
                    with contextlib.suppress(Vb2Error):
                        self.release()

    def _begin(self) -> None:
        """Begin the CPU's access, and make the roots."""
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
        """Release the frame, and return its buffer unless the program keeps views of it. Idempotent.

        KernelError: the driver did not take the buffer back.
        """
        self.released = True  # first: each access checks it
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
        """Return whether a view lives, and watch the roots if so."""
        try:
            roots = [root for ref in self._refs if (root := ref()) is not None]
            if roots and not self._watches:
                self._watches = tuple([self._watch(root) for root in roots])
            return bool(roots)
        except BaseException:  # a Ctrl-C: the next turn checks this lease again
            self._leases.refused = True
            raise

    def settle(self, *, orphans: bool = False) -> None:
        """Give the buffer back if the frame is released, or dropped, and no view lives. Idempotent.

        Args:
            orphans: a lease without a frame counts as released.
        """
        if not self.released:
            if self._frame is None:
                if not orphans:
                    return
            elif self._frame() is not None:
                return
        self.release()

    def drop_references(self) -> None:
        """Break the reference cycle of the lease and its weak references, without the garbage collector."""
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
        """End the CPU's access, where the engine has begun one."""
        if self._looked:
            self._looked = False
            self._leases.engine.end(self.slot)

    def forget(self) -> None:
        """Drop the buffer, because the stream was closed; views of it stay valid."""
        self.released = self.stopped = True
        self.drop_references()
        self.roots = ()

    def _watch(self, target: object) -> _Watch:
        watch = _Watch(target, self._leases.gone.append)
        watch.lease = self
        return watch


class Leases:
    """All buffers of one running stream that the program has.

    Attributes:
        engine: takes the buffers back.
        out: the leases by buffer.
        gone: references whose frame or root has died, for the next turn.
        refused: a driver did not take a buffer back, or a release was interrupted: the next turn tries again.
        looks: the lock of a first access. Re-entrant: a signal handler may access a frame, too.
        interrupted: a Ctrl-C came during a step: :meth:`recover` asks the kernel who owns the buffers.
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
        """Make the lease of a buffer, with the number of its frame."""
        lease = self.out[slot] = Lease(self, slot, sequence)
        return lease

    def give_back(self, lease: Lease) -> None:
        """Return the buffer of a lease to the driver, once. KernelError: the next turn tries again."""
        slot = lease.slot
        if self._born != fork.generation:  # before the lock: a thread of the parent may hold it for good
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
        """Return a buffer whose frame is left out. KernelError: the next turn tries again."""
        self.lend(slot).release()

    def reap(self) -> None:
        """Return the buffers without a frame or a view. KernelError: the driver did not take one."""
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
        """Ask the kernel after a Ctrl-C, and return every buffer that no frame and no delivery has.

        Args:
            waiting: buffers of deliveries that the session has not handed out yet.
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
        """End the CPU's access to every buffer, because the stream ends."""
        for lease in list(self.out.values()):  # another thread may be giving one back
            with contextlib.suppress(Vb2Error):
                lease.finish()

    def close(self) -> None:
        """Drop all leases. This breaks every reference cycle, so each mapping is freed with its last view."""
        for slot in list(self.out):
            if (lease := self.out.pop(slot, None)) is not None:  # else another thread gave it back meanwhile
                lease.forget()
        self.gone.clear()

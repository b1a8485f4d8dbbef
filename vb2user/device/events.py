"""Layer 4: V4L2 events as iterators: ``cam.events(…)``, ``cam.controls.events(…)``.

Each iterator opens a file handle of its own. So several iterators do not take each other's events, the
program's own changes are reported, too, and closing the handle ends its subscriptions. On a memory-to-memory
node each handle is a context of its own, and some drivers allow a single handle. There one iterator at a time
uses the device's own handle.

The iterator dequeues an event only when the program asks for one, also under asyncio. Until then the kernel
keeps the newest event of each kind and counts the others (:attr:`DeviceEvent.lost`).

Source: https://docs.kernel.org/userspace-api/media/v4l/vidioc-dqevent.html and vidioc-subscribe-event.html
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from vb2user import checks
from vb2user.device.controls.convert import Value, choice, to_python
from vb2user.device.node import M2M
from vb2user.errors import (
    ClosedError,
    DeviceBusyError,
    KernelError,
    StateError,
    StreamTimeoutError,
    UsageError,
)
from vb2user.uapi import fork
from vb2user.uapi.calls.events import (
    ControlChange,
    Event,
    Payload,
    dqevent,
    subscribe_event,
    unsubscribe_event,
)
from vb2user.uapi.enums import CtrlChange, CtrlFlag, CtrlType, EventSubFlag, EventType
from vb2user.uapi.kernel import POLLERR, POLLHUP, POLLPRI, Fd, eventfd
from vb2user.uapi.readiness import Readiness

if TYPE_CHECKING:
    from vb2user.device.controls.control import Control
    from vb2user.device.event_source import EventSource

What = EventType | str | tuple[EventType, int]


@dataclass(frozen=True)
class DeviceEvent:
    """One event of ``VIDIOC_DQEVENT``, a ``struct v4l2_event``.

    Attributes:
        type: what.
        id: to which object: a control, an input or a pad.
        payload: the details, by the type.
        lost: the number of events that were lost just before this one. The kernel keeps the newest of each
            object.
        sequence: counts the events of this iterator.
        timestamp_ns: CLOCK_MONOTONIC, nanoseconds.
    """

    type: EventType
    id: int
    payload: Payload
    lost: int
    sequence: int
    timestamp_ns: int


@dataclass(frozen=True)
class ControlEvent(DeviceEvent):
    """A control changed.

    Attributes:
        control: which.
        changes: the changed parts: value, flags, range. They include the changes of lost events.
        flags: its flags now.
        value: its value in the event. Events do not carry texts, arrays and compound values: for these it is
            the value at the time of the call. None if the value cannot be read.
    """

    control: Control
    changes: CtrlChange
    flags: CtrlFlag
    value: Value | None

    @property
    def text(self) -> str | None:
        """A menu's text; None for other controls."""
        return choice(self.control.items, self.value)


_E = TypeVar("_E", bound=DeviceEvent)
_Self = TypeVar("_Self", bound="Events[Any]")  # typing.Self is of Python 3.11


class Events(Generic[_E]):
    """The events of a device, for ``for``, ``async for`` or :meth:`next_event`.

    A loop ends when any thread or task closes the events or the device. An unplugged device raises
    DeviceRemovedError. Several threads may read at once; each event goes to one of them. Only one task at a
    time may read.

    Args:
        device: whose.
        subscriptions: types and objects.
        initial: the present state of each first (``V4L2_EVENT_SUB_FL_SEND_INITIAL``), where it has one.
        timeout: seconds to wait for each; None: no limit.

    Attributes:
        lost: the number of events lost so far.
    """

    def __init__(
        self,
        device: EventSource,
        subscriptions: Sequence[tuple[EventType, int]],
        *,
        initial: bool = False,
        timeout: float | None = None,
    ) -> None:
        self.lost = 0
        self._device, self._name = device, device.path
        self._timeout = checks.seconds(timeout, f"{device.path}: timeout")
        self._born = fork.generation
        # Re-entrant: a signal handler may close the events amidst a call of its own thread.
        self._lock = threading.RLock()
        self._calls: dict[object, None] = {}  # the calls in flight
        self._closed = True  # until all of it is there
        self._task_waits = False
        self._subscriptions = list(subscriptions)
        self._node, self._shared = _handle(device)
        #: The number of the next event; the device's own handle may have counted others before.
        self._expected: int | None = None if self._shared else 0
        self._holdings = _Holdings(self._node, self._shared)
        try:
            self._wake = eventfd(f"wake of the events of {self._name}")
            self._holdings.own.append(self._wake)
            self._readiness = Readiness(self._node, POLLPRI)
            self._holdings.own.append(self._readiness)
            # A finalizer closes events that the program dropped. __del__ would also run for closed ones, and
            # Python ignores a Ctrl-C that comes inside of it.
            self._dropped = weakref.finalize(self, self._holdings.close)
            self._dropped.atexit = False
            flags = EventSubFlag.ALLOW_FEEDBACK | (EventSubFlag.SEND_INITIAL if initial else 0)
            for type, id in self._subscriptions:
                self._holdings.subscribe(type, id, flags)
        except BaseException:
            self._holdings.close()
            raise
        self._closed = False

    # -- one by one ---------------------------------------------------------------------------------

    def next_event(self, timeout: float | None = None) -> _E:
        """Wait for the next event; ``timeout`` in seconds replaces that of the constructor.

        StreamTimeoutError: no event came in time; ClosedError: the events were closed, before or meanwhile;
            DeviceRemovedError: the device was unplugged.
        """
        deadline = self._deadline(timeout)
        call = object()
        try:
            self._enter(call)
            while True:
                if (found := self._take()) is not None:
                    return found
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                seen, woken = self._node.poll(POLLPRI, left, self._wake)
                if not seen and not woken:
                    raise self._late()
                self._judge(seen)
        finally:
            self._calls.pop(call, None)  # not in a function of its own: a Ctrl-C may come at its beginning
            self._leave()

    async def anext_event(self, timeout: float | None = None) -> _E:
        """Wait for the next event in a task of asyncio. StateError: another task waits already."""
        deadline = self._deadline(timeout)
        call = object()
        try:
            self._enter(call)
            while True:
                if (found := self._take()) is not None:
                    return found
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if not await self._ready(left):
                    raise self._late()
                self._judge(self._node.poll(POLLPRI, 0)[0])
        finally:
            self._calls.pop(call, None)  # not in a function of its own: a Ctrl-C may come at its beginning
            self._leave()

    def _deadline(self, timeout: float | None) -> float | None:
        wait = self._timeout if timeout is None else checks.seconds(timeout, f"{self._name}: timeout")
        return None if wait is None else time.monotonic() + wait

    def _take(self) -> _E | None:
        """Return the next event if the kernel has one."""
        with self._lock:
            if self._closed:
                raise ClosedError(f"{self._name}: the events were closed")
            event = dqevent(self._node)
            if event is None:
                return None
            expected = event.sequence if self._expected is None else self._expected
            self._expected = (event.sequence + 1) & 0xFFFFFFFF
            lost = (event.sequence - expected) & 0xFFFFFFFF
            self.lost += lost
        return cast(_E, self._made(event, lost))

    def _made(self, event: Event, lost: int) -> DeviceEvent:
        plain = (event.type, event.id, event.payload, lost, event.sequence, event.timestamp_ns)
        if not isinstance(event.payload, ControlChange):
            return DeviceEvent(*plain)
        control = self._device.controls[event.id]
        change = event.payload
        value: Value | None = None
        if change.flags & CtrlFlag.HAS_PAYLOAD or change.type == CtrlType.STRING:
            with contextlib.suppress(KernelError):
                value = control.value
        elif not change.flags & CtrlFlag.WRITE_ONLY:
            value = to_python(control._known, change.value)
        return ControlEvent(*plain, control, change.changes, change.flags, value)

    def _judge(self, seen: int) -> None:
        if seen & POLLPRI or not seen & (POLLERR | POLLHUP) or self._closed:
            return
        # No event will come any more, so without this check the caller would call DQEVENT again and again.
        # For an unplugged device, DQEVENT itself raises the error.
        if dqevent(self._node) is None:
            raise self._node.error_of(errno.EIO, "poll")

    def _late(self) -> StreamTimeoutError:
        return StreamTimeoutError(f"{self._name}: no event came in time")

    async def _ready(self, timeout: float | None) -> bool:
        """Wait in the running loop for an event, the device's end or close(); False: the time is over."""
        if self._task_waits:
            raise StateError(
                f"{self._name}: another task waits for these events", hint="let one task read them"
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()

        def tell(ready: bool) -> None:
            if not future.done():
                future.set_result(ready)

        fd = self._readiness.fileno()
        self._task_waits = True
        timer = None
        try:
            loop.add_reader(fd, tell, True)
            timer = None if timeout is None else loop.call_later(timeout, tell, False)
            return await future
        finally:
            self._task_waits = False
            if timer is not None:
                timer.cancel()
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.remove_reader(fd)

    # -- loops --------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[_E]:
        return self

    def __next__(self) -> _E:
        try:
            return self.next_event()
        except ClosedError:
            raise StopIteration from None

    def __aiter__(self: _Self) -> _Self:
        return self

    async def __anext__(self) -> _E:
        try:
            return await self.anext_event()
        except ClosedError:
            raise StopAsyncIteration from None

    # -- life ---------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def _enter(self, call: object) -> None:
        if self._born != fork.generation:
            raise StateError(
                f"{self._name}: these events are the parent's", hint="ask for them after the fork"
            )
        self._calls[call] = None  # before the check: a close() from now on leaves the release to this call
        if self._closed:
            raise ClosedError(f"{self._name}: the events were closed")

    def _leave(self) -> None:
        if self._closed and not self._calls:
            self._release()

    def _release(self) -> None:
        # The finalizer runs once only: after a Ctrl-C inside of it, a second call would do nothing.
        self._holdings.close()
        self._dropped.detach()

    def close(self) -> None:
        """End the subscriptions, and every wait. Idempotent; any thread."""
        if self._born != fork.generation:  # a thread of the parent may hold the lock
            self._closed = True
            self._release()
            return
        with self._lock:
            self._closed = True
            if self._calls:  # each time: a Ctrl-C may have come between the two
                # The last call in flight releases; it may have done so just now.
                with contextlib.suppress(ClosedError):
                    self._wake.signal()
                self._readiness.drop()
        if not self._calls:
            self._release()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, kind: object, error: object, tb: object) -> None:
        self.close()

    async def __aenter__(self: _Self) -> _Self:
        return self

    async def __aexit__(self, kind: object, error: object, tb: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._subscriptions)} subscribed, {self.lost} lost"
        return f"<Events of {self._name}: {state}>"


class _Holdings:
    """The handle and subscriptions of one iterator, and their release.

    Args:
        node: where the events come.
        shared: the handle is the device's own one; any other handle is closed here.

    Attributes:
        own: what is closed with it.
    """

    def __init__(self, node: Fd, shared: bool) -> None:
        self.own: list[Fd | Readiness] = []
        self._node, self._shared = node, shared
        self._born = fork.generation
        self._subscribed: list[tuple[EventType, int]] = []

    def subscribe(self, type: EventType, id: int, flags: int) -> None:
        self._subscribed.append((type, id))  # before it is: a Ctrl-C may come when the kernel has done it
        subscribe_event(self._node, type, id, flags)

    def close(self) -> None:
        """End the subscriptions; close the handle unless it is the device's. Idempotent; any thread.

        After a Ctrl-C the next call does the rest.
        """
        for one in reversed(self.own):
            one.close()
        if not self._shared:
            self._node.close()
        elif self._born == fork.generation:
            for subscription in list(self._subscribed):
                with contextlib.suppress(KernelError, ClosedError):
                    unsubscribe_event(self._node, *subscription)
                with contextlib.suppress(ValueError):  # another thread was faster
                    self._subscribed.remove(subscription)


def _handle(device: EventSource) -> tuple[Fd, bool]:
    """Return the file handle for events, and whether it is the device's own."""
    if not device.caps & M2M:
        with contextlib.suppress(DeviceBusyError):  # the driver allows one handle
            return device.node.reopen(), False
    if any(other._shared and not other.closed for other in device.open_events()):
        raise StateError(
            f"{device.path}: the driver allows one iterator of events at a time, and one is open already",
            hint="ask for all events in one call of events()",
        )
    return device.node, True


def subscriptions(device: EventSource, whats: Sequence[What]) -> list[tuple[EventType, int]]:
    """Return the types and objects of the events that :meth:`Device.events` was asked for.

    UsageError: no such event.
    """
    found: list[tuple[EventType, int]] = []
    for what in whats:
        if isinstance(what, tuple):
            found.append((EventType(what[0]), what[1]))
            continue
        if isinstance(what, str):
            name = what.upper().removeprefix("V4L2_EVENT_")
            if name not in EventType.__members__ or name == "ALL":
                known = [n.lower() for n in EventType.__members__ if n not in ("ALL", "PRIVATE_START")]
                raise UsageError(f"there is no event {what!r}", hint=f"it is one of {', '.join(known)}")
            what = EventType[name]
        if what == EventType.CTRL:
            found += [(what, control.id) for control in device.controls]
        elif what == EventType.SOURCE_CHANGE:
            # One subscription for each input. A node without a choice of inputs reports input 0.
            found += [(what, one.index) for one in device.inputs] or [(what, 0)]
        else:
            found.append((what, 0))
    return found

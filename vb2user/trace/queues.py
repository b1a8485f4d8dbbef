"""Beside the layers: find a device's queues in the kernel, and wait for late references.

Several nodes may share one ``struct device`` (all of vivid's do), so an allocator's ``dev`` argument does not
identify the node. The pointer of ``struct vb2_queue`` does. :func:`calibrate` opens the device and allocates
one MMAP buffer in each of its queues under the tracer. The ``alloc`` events then name the queues. It frees
all buffers before it returns.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from vb2user.device.device import Device
from vb2user.errors import DeviceBusyError, DeviceRemovedError, KernelError
from vb2user.memory.ops import Op
from vb2user.trace.buffers import ALL_BUFFERS, Scope
from vb2user.trace.events import Event, EventKind
from vb2user.trace.ledger import Ledger
from vb2user.trace.probes import FUNCTIONS
from vb2user.trace.tracer import Tracer
from vb2user.uapi import calls
from vb2user.uapi.enums import BufType, Cap, Memory

#: Seconds within which the kernel drops the references of an ended process.
SETTLE = 5.0
#: The queues of other kinds than video and metadata. Raw and sliced VBI may be one queue.
_OTHERS = (
    (Cap.VBI_CAPTURE, BufType.VBI_CAPTURE),
    (Cap.SLICED_VBI_CAPTURE, BufType.SLICED_VBI_CAPTURE),
    (Cap.VBI_OUTPUT, BufType.VBI_OUTPUT),
    (Cap.SLICED_VBI_OUTPUT, BufType.SLICED_VBI_OUTPUT),
    (Cap.SDR_CAPTURE, BufType.SDR_CAPTURE),
    (Cap.SDR_OUTPUT, BufType.SDR_OUTPUT),
)
_PHASE = "which queues are this device's?"


@dataclass(frozen=True)
class Calibration:
    """The queues of a device in the kernel.

    Attributes:
        queues: their addresses; empty if they are not known.
        allocator: their allocator's name; None if it is not known.
        why: why the queues are not known; None if they are.
        foreign: whether its driver uses none of the watched allocators, so the trace shows nothing of it.
        in_use: whether other file handles owned every queue, so the driver's allocator is not known either.
    """

    queues: frozenset[int]
    allocator: str | None
    why: str | None = None
    foreign: bool = False
    in_use: bool = False

    def blind(self, ledger: Ledger) -> str | None:
        """Return why a ledger has no calls of a device that was in use; None if it has calls.

        The device's driver may not use videobuf2.
        """
        if not self.in_use or any(True for _ in ledger.keys(self.scope)):
            return None
        return f"{self.why}; and no mem op was called meanwhile, so nothing can be judged"

    @property
    def scope(self) -> Scope:
        """The device's buffers, or all buffers of its allocator if the queues are not known."""
        return Scope(self.queues or None, self.allocator)


def calibrate(tracer: Tracer, path: str | os.PathLike[str]) -> Calibration:
    """Find a device's queues. The tracer's events up to then are discarded.

    Raises:
        NoSuchDeviceError, PermissionDeniedError, DeviceRemovedError: the device cannot be opened.
    """
    tracer.collect()
    with Device(path) as device:
        if not tracer.probed:
            return Calibration(
                frozenset(), None, "the kernel has no probes, which alone show a queue's address"
            )
        asked = _ask(tracer, device)
        if asked.foreign is not None:
            return Calibration(frozenset(), None, asked.foreign, foreign=True)
        if not asked.allocations:
            why = f"its queues cannot be asked for: {asked.refusal}"
            return Calibration(frozenset(), None, why, in_use=bool(asked.busy))
        allocators = {FUNCTIONS[e.function][0].name for e in asked.allocations}
        allocator = allocators.pop() if len(allocators) == 1 else None
        if asked.busy:
            names = ", ".join(type_.name for type_ in asked.busy)
            return Calibration(frozenset(), allocator, f"its queue {names} is in use")
        queues = _queues(asked.allocations)
        # A driver with separate queues for each open file (memory-to-memory) shows other queues the second
        # time.
        with contextlib.suppress(DeviceBusyError), Device(path) as again:
            second = _ask(tracer, again)
            if not second.busy and _queues(second.allocations) != queues:
                return Calibration(frozenset(), allocator, "every open file of it has queues of its own")
    return Calibration(queues, allocator)


def queue_types(device: Device) -> list[BufType]:
    """Return every queue type that a node may have; none for a radio or a node with controls only."""
    found = [type_ for type_ in (device.capture_type, device.output_type) if type_ is not None]
    return found + [type_ for cap, type_ in _OTHERS if device.caps & cap]


@dataclass
class _Asked:
    """The result of allocating one buffer in each queue.

    Attributes:
        granted: the queues that granted a buffer.
        allocations: the calls of ``alloc`` during that.
        errors: the queues that granted none, with the reason.
    """

    granted: list[BufType] = field(default_factory=list)
    allocations: list[Event] = field(default_factory=list)
    errors: dict[BufType, KernelError] = field(default_factory=dict)

    @property
    def busy(self) -> list[BufType]:
        """The queues that other file handles own now."""
        return [type_ for type_, error in self.errors.items() if isinstance(error, DeviceBusyError)]

    @property
    def foreign(self) -> str | None:
        """Why the trace shows nothing of this driver, or None."""
        if not self.granted and not self.errors:
            return "it has no queue of buffers: it is a radio, or a node for controls alone"
        if self.granted and not self.allocations:
            return "its driver uses none of videobuf2's allocators for MMAP"
        return None

    @property
    def refusal(self) -> str:
        """Why no queue granted a buffer."""
        return "it is in use" if self.busy else str(next(iter(self.errors.values())))


def _ask(tracer: Tracer, device: Device) -> _Asked:
    asked = _Asked()
    with tracer.phase(_PHASE):
        for type_ in queue_types(device):
            try:
                calls.reqbufs(device.node, type_, Memory.MMAP, 1)
                asked.granted.append(type_)
            except DeviceRemovedError:
                raise
            except KernelError as error:
                asked.errors[type_] = error
            finally:
                with contextlib.suppress(KernelError):
                    calls.reqbufs(device.node, type_, Memory.MMAP, 0)
    events = tracer.collect()
    # The number of this thread in the trace. In a container, gettid(2) returns another number.
    own = {e.tid for e in events if e.what is EventKind.BEGIN and e.text == _PHASE}
    asked.allocations = [
        e
        for e in events
        if e.what is EventKind.ENTER
        and e.tid in own
        and FUNCTIONS.get(e.function, (None, None))[1] is Op.ALLOC
    ]
    return asked


def is_free(device: Device) -> bool:
    """Tell whether all queues of a device are free. This allocates nothing."""
    for type_ in queue_types(device):
        try:
            calls.reqbufs(device.node, type_, Memory.MMAP, 0)
        except DeviceBusyError:
            return False
        except DeviceRemovedError:
            raise
        except KernelError:  # the queue has no MMAP, or not with this input: then no file handle owns it
            continue
    return True


def _queues(events: Iterable[Event]) -> frozenset[int]:
    return frozenset(q for e in events if isinstance(q := e.values.get("queue"), int))


def settle(tracer: Tracer, ledger: Ledger, scope: Scope = ALL_BUFFERS, timeout: float = SETTLE) -> bool:
    """Feed events to the ledger until no reference is outstanding, or for ``timeout`` seconds at most.

    After a process has ended, the kernel drops its references a moment later, in any thread.

    Returns:
        Whether no reference is outstanding.
    """
    deadline = time.monotonic() + timeout
    while True:
        ledger.extend(tracer.collect())
        if not ledger.verdict(scope).leaks:
            return True
        left = deadline - time.monotonic()
        if left <= 0 or not tracer.wait(left):
            ledger.extend(tracer.collect())
            return not ledger.verdict(scope).leaks

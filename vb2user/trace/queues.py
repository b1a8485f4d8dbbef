"""Beside the layers: which of the kernel's queues are a device's, and when a trace has come to rest.

Devices may hang together (all of vivid's do), so the device that an allocator is told says too little. The
pointer of ``struct vb2_queue`` says it: the device is opened, each of its queues allocates one MMAP buffer
under the tracer, and the ``alloc`` events name the queues. All is given back before anything else happens.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

from vb2user.device.device import Device
from vb2user.errors import DeviceBusy, KernelError
from vb2user.memory.ops import Op
from vb2user.trace.buffers import EVERYTHING, Scope
from vb2user.trace.events import Event, What
from vb2user.trace.ledger import Ledger
from vb2user.trace.probes import FUNCTIONS
from vb2user.trace.tracer import Tracer
from vb2user.uapi import calls
from vb2user.uapi.enums import Memory

#: Seconds in which references are given back after a process has ended.
SETTLE = 5.0
_PHASE = "which queues are this device's?"


@dataclass(frozen=True)
class Calibration:
    """What a device's queues are.

    Attributes:
        queues: their addresses; empty where they cannot be told.
        allocator: their allocator's name; None where not even that is known.
        why: why the queues cannot be told from others; None where they can.
        foreign: whether its driver uses none of the watched allocators, so that nothing can be told of it.
    """

    queues: frozenset[int]
    allocator: str | None
    why: str | None = None
    foreign: bool = False

    @property
    def scope(self) -> Scope:
        """The device's buffers; where its queues cannot be told, all of its allocator's."""
        return Scope(self.queues or None, self.allocator)


def calibrate(tracer: Tracer, path: str | os.PathLike[str]) -> Calibration:
    """Find a device's queues. What the tracer saw meanwhile is discarded.

    Raises:
        NoSuchDevice, PermissionDenied, DeviceGone: the device cannot be opened.
    """
    tracer.collect()
    with Device(path) as device:
        if not tracer.probed:
            return Calibration(
                frozenset(), None, "the kernel has no probes, which alone show a queue's address"
            )
        try:
            first = _allocate(tracer, device)
        except KernelError as error:
            why = "it is in use" if isinstance(error, DeviceBusy) else str(error)
            return Calibration(frozenset(), None, f"its queues cannot be asked for: {why}")
        if not first:
            why = "its driver uses none of videobuf2's allocators for MMAP"
            return Calibration(frozenset(), None, why, foreign=True)
        allocators = {FUNCTIONS[e.function][0].name for e in first}
        allocator = allocators.pop() if len(allocators) == 1 else None
        queues = _queues(first)
        # A driver with queues for each open file (memory-to-memory) shows others the second time.
        with contextlib.suppress(DeviceBusy), Device(path) as again:
            if _queues(_allocate(tracer, again)) != queues:
                return Calibration(frozenset(), allocator, "every open file of it has queues of its own")
    return Calibration(queues, allocator)


def _allocate(tracer: Tracer, device: Device) -> list[Event]:
    with tracer.phase(_PHASE):
        for type_ in (device.capture_type, device.output_type):
            if type_ is not None:
                try:
                    calls.reqbufs(device.node, type_, Memory.MMAP, 1)
                finally:
                    with contextlib.suppress(KernelError):
                        calls.reqbufs(device.node, type_, Memory.MMAP, 0)
    events = tracer.collect()
    # The number of this thread as the trace has it: in a container it is not what gettid(2) says.
    own = {e.tid for e in events if e.what is What.BEGIN and e.text == _PHASE}
    return [
        e
        for e in events
        if e.what is What.ENTER and e.tid in own and FUNCTIONS.get(e.function, (None, None))[1] is Op.ALLOC
    ]


def _queues(events: Iterable[Event]) -> frozenset[int]:
    return frozenset(q for e in events if isinstance(q := e.values.get("queue"), int))


def settle(tracer: Tracer, ledger: Ledger, scope: Scope = EVERYTHING, timeout: float = SETTLE) -> bool:
    """Take in events until nothing is outstanding, or for ``timeout`` seconds at most.

    The kernel drops the references of a process that has ended a moment later, in whatever thread it likes.

    Returns:
        Whether nothing is outstanding.
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

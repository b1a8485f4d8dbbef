"""Beside the layers: trace one device while its memory types are examined.

It combines the tracer, the queues and the ledger of :mod:`vb2user.trace` for :mod:`.memops`. Its interface
has phases, and the kernel's calls after each life.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

from vb2user.device.device import Device
from vb2user.errors import KernelError, MissingPrerequisiteError
from vb2user.memory.ops import Op
from vb2user.trace.buffers import Scope
from vb2user.trace.ledger import Ledger
from vb2user.trace.queues import Calibration, calibrate, settle
from vb2user.trace.tracefs import switched_off
from vb2user.trace.tracer import Tracer
from vb2user.validate.memops import Observed


class Watch:
    """A device under a tracer.

    Args:
        tracer: opened; it may watch several devices, one after the other.
        device: the device whose queues are traced; no program may stream from it yet.
        others: exporting nodes, whose references are judged as well.
    """

    def __init__(self, tracer: Tracer, device: Device, others: Sequence[str] = ()) -> None:
        self._tracer = tracer
        self._phases: list[str] = []
        self.calibration: Calibration = calibrate(tracer, device.path)
        queues = self.calibration.queues
        for path in others if queues else ():
            with suppress(KernelError):
                queues |= calibrate(tracer, path).queues
        # The scope may have one allocator or several: the addresses alone identify the queues.
        self._judged = Scope(queues) if queues else self.calibration.scope

    @property
    def hopeless(self) -> str | None:
        """Return why the trace shows nothing of this device, or None."""
        return self.calibration.why if self.calibration.foreign else None

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Assign the kernel's calls inside the block to the phase ``name``."""
        if name not in self._phases:
            self._phases.append(name)
        return self._tracer.phase(name)

    def take(self) -> Observed:
        """Return the kernel's calls since the last time.

        First wait shortly for references that are dropped late.
        """
        ledger = Ledger()
        scope = self.calibration.scope
        settle(self._tracer, ledger, self._judged)
        verdict = ledger.verdict(self._judged)
        phases, self._phases = self._phases, []
        remarks, off = [*verdict.remarks], switched_off()
        if self.calibration.why is not None:
            remarks.append(f"calls of the whole allocator are counted: {self.calibration.why}")
        unseen = off or self.calibration.blind(ledger)
        if unseen is not None:
            remarks.insert(0, str(unseen))
        blind = verdict.balanced is None or unseen is not None
        return Observed(
            {op: ledger.calls(op, scope=scope) for op in Op},
            None if blind else verdict.balanced,
            [*verdict.faults, *map(str, verdict.leaks)] if verdict.balanced is False else [],
            "; ".join(remarks) or str(verdict) if blind else None,
            [] if blind else remarks,
            {name: ledger.by_op(phase=name, scope=scope) for name in phases},
        )


@contextmanager
def observing(
    device: Device, tracer: Tracer | None = None, others: Sequence[str] = ()
) -> Iterator[tuple[Watch | None, str | None]]:
    """Trace a device during the block.

    Args:
        device: opened; its driver's allocator is loaded then.
        tracer: an opened one; None: one is opened for this block.
        others: see :class:`Watch`.

    Yields:
        The watch and None, or None and why nothing can be traced here.
    """
    with ExitStack() as stack:
        try:
            used = stack.enter_context(Tracer(_watched(device))) if tracer is None else tracer
        except MissingPrerequisiteError as e:
            yield None, str(e)
            return
        watch = Watch(used, device, others)
        yield (None, watch.hopeless) if watch.hopeless else (watch, None)


def _watched(device: Device) -> list[str] | None:
    """Return the allocator to trace, since each takes time to set up; None (all) if it is not known."""
    try:
        name = device.allocator()
    except KernelError:
        return None
    return None if name is None else [name]

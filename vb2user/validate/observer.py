"""Beside the layers: one device watched while its memory types are lived through.

It brings the tracer, the queues and the ledger of :mod:`vb2user.trace` together behind the small face that
:mod:`.memops` wants: phases, and after each life what the kernel did in it.
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
        device: whose queues are meant; nobody may stream from it yet.
        others: nodes whose references are judged as well, for they lend their memory: exporters.
    """

    def __init__(self, tracer: Tracer, device: Device, others: Sequence[str] = ()) -> None:
        self._tracer = tracer
        self._phases: list[str] = []
        self.calibration: Calibration = calibrate(tracer, device.path)
        queues = self.calibration.queues
        for path in others if queues else ():
            with suppress(KernelError):
                queues |= calibrate(tracer, path).queues
        # Of one allocator or of several: the addresses alone say whose they are.
        self._judged = Scope(queues) if queues else self.calibration.scope

    @property
    def hopeless(self) -> str | None:
        """Why nothing can be told of this device at all."""
        return self.calibration.why if self.calibration.foreign else None

    def phase(self, name: str) -> AbstractContextManager[None]:
        """The kernel's calls inside belong to ``name``."""
        if name not in self._phases:
            self._phases.append(name)
        return self._tracer.phase(name)

    def take(self) -> Observed:
        """What the kernel did since it was asked last; waits a moment for what is given back late."""
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
    """Watch a device for as long as the block lasts.

    Args:
        device: opened; its driver's allocator is loaded then.
        tracer: an opened one; None: one is opened for this block.
        others: see :class:`Watch`.

    Yields:
        The watch and None, or None and why nothing can be watched here.
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
    """The allocator to be watched: each takes its time to set up. None: all, where nobody can tell."""
    try:
        name = device.allocator()
    except KernelError:
        return None
    return None if name is None else [name]

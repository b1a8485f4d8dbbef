"""Beside the layers: traces of the kernel's mem op calls, and the ledger of buffer references.

    with Tracer() as tracer:
        with tracer.phase("allocate"):
            queue.allocate(4)
        ledger = Ledger(tracer.collect())
    ledger.calls(Op.ALLOC, phase="allocate")  # 4
    print(ledger.verdict())                   # leaked: 4 buffers never freed

Each name is loaded from its module at its first use, as in the whole package.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes longer to import than all of this

if TYPE_CHECKING:
    from vb2user.trace.buffers import ALL_BUFFERS as ALL_BUFFERS
    from vb2user.trace.buffers import Buffer as Buffer
    from vb2user.trace.buffers import RefKind as RefKind
    from vb2user.trace.buffers import Scope as Scope
    from vb2user.trace.events import Event as Event
    from vb2user.trace.events import EventKind as EventKind
    from vb2user.trace.ledger import Ledger as Ledger
    from vb2user.trace.queues import Calibration as Calibration
    from vb2user.trace.queues import calibrate as calibrate
    from vb2user.trace.queues import settle as settle
    from vb2user.trace.tracer import Tracer as Tracer
    from vb2user.trace.tracer import available as available
    from vb2user.trace.verdicts import Leak as Leak
    from vb2user.trace.verdicts import Status as Status
    from vb2user.trace.verdicts import Verdict as Verdict

_WHERE = {
    "vb2user.trace.buffers": ("ALL_BUFFERS", "Buffer", "RefKind", "Scope"),
    "vb2user.trace.events": ("Event", "EventKind"),
    "vb2user.trace.ledger": ("Ledger",),
    "vb2user.trace.queues": ("Calibration", "calibrate", "settle"),
    "vb2user.trace.tracer": ("Tracer", "available"),
    "vb2user.trace.verdicts": ("Leak", "Status", "Verdict"),
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted(_MODULE)


def __getattr__(name: str) -> object:
    module = _MODULE.get(name)
    if module is None:
        raise AttributeError(f"module 'vb2user.trace' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE})

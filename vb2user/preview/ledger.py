"""Beside the layers: live counts of the kernel's mem ops during the preview.

It adapts :mod:`vb2user.trace` for the page: present counts, or the reason why there are none. It counts the
buffers that this process allocates or imports.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

from vb2user.device.device import Device
from vb2user.errors import KernelError, Vb2Error
from vb2user.memory.ops import ALLOCATORS, OPS, Op, implemented
from vb2user.trace.buffers import ALL_BUFFERS, Scope
from vb2user.trace.events import EventKind
from vb2user.trace.ledger import Ledger
from vb2user.trace.queues import settle
from vb2user.trace.tracer import Tracer

_PHASE = "vb2user preview"


class LiveLedger:
    """The ledger of this process's buffers, from :meth:`open` to :meth:`close`. Any thread.

    Attributes:
        why: why nothing can be observed; None if the trace works.
    """

    def __init__(self) -> None:
        self.why: str | None = "tracing is not set up yet"
        self._lock = threading.Lock()
        self._tracer: Tracer | None = None
        self._ledger = Ledger()
        self._scope: Scope = ALL_BUFFERS
        self._remarks: list[str] = []
        self._there: frozenset[Op] = frozenset(Op)
        self._allocator: str | None = None

    def open(self, device: Device) -> None:
        """Begin to trace; if that fails, :attr:`why` has the reason. The device's queue must be free."""
        with self._lock:
            with suppress(KernelError):
                self._allocator = device.allocator()
            tracer = Tracer(None if self._allocator is None else [self._allocator])
            try:
                tracer.open()
            except Vb2Error as error:
                self.why = str(error)
                return
            try:
                self._scope = self._own(tracer)
            except BaseException:
                tracer.close()
                raise
            if self._allocator is not None:
                self._there = implemented(ALLOCATORS[self._allocator])
            self._tracer, self.why = tracer, None

    def _own(self, tracer: Tracer) -> Scope:
        """Return the scope of the buffers that this process will allocate or import."""
        with tracer.phase(_PHASE):
            pass
        told = [e.tid for e in tracer.collect() if e.what is EventKind.BEGIN and e.text == _PHASE]
        whole = Scope(allocator=self._allocator)
        if not tracer.probed:
            self._remarks.append("the calls of the whole machine are counted: the kernel has no probes")
            return whole
        if told != [threading.get_native_id()]:  # in a container: other numbers
            self._remarks.append("the calls of the whole allocator are counted: this runs in a container")
            return whole
        return Scope(makers=frozenset({os.getpid()}))

    def look(self) -> dict[str, Any]:
        """Return the present counts for the page."""
        with self._lock:
            if self._tracer is None:
                return {"why": self.why}
            self._ledger.extend(self._tracer.collect())
            return self._told()

    def _told(self) -> dict[str, Any]:
        ledger, scope = self._ledger, self._scope
        held: Counter[str] = Counter()
        for buffer in ledger.held(scope):
            for hold, count in buffer.outstanding.items():
                held[str(hold.takes)] += count
        counts = ledger.by_op(scope=scope)
        remarks = [*self._remarks]
        if ledger.lost or ledger.missed:
            remarks.append(f"{ledger.lost + ledger.missed} events were lost")
        return {
            "why": None,
            "allocator": self._allocator,
            "ops": [
                {
                    "op": str(op),
                    "calls": counts.get(op, 0),
                    "explanation": OPS[op].explanation,
                    "at": OPS[op].at,
                    "there": op in self._there,
                }
                for op in Op
            ],
            "held": dict(held),
            "faults": [str(fault) for fault in ledger.faults],
            "remarks": remarks,
        }

    def close(self) -> str | None:
        """End the trace. Return the verdict in words, or None if nothing was observed. Idempotent.

        Close the stream first, or its references count as leaks.
        """
        with self._lock:
            tracer, self._tracer = self._tracer, None
            if tracer is None:
                return None
            self.why = "the preview has ended"
            try:
                settle(tracer, self._ledger, self._scope)
                return str(self._ledger.verdict(self._scope))
            finally:
                tracer.close()

"""Beside the layers: the ledger of references, with its verdict."""

from __future__ import annotations

from typing import Any

from vb2user.trace import verdicts
from vb2user.trace.buffers import ALL_BUFFERS, Scope
from vb2user.trace.references import References
from vb2user.trace.verdicts import Verdict


class Ledger(References):
    """References to buffers, and calls of ops, from the events of a trace: the count, and the verdict.

    Args:
        events: what to begin with; :meth:`feed` takes more.
        keep: how many ended buffers to remember one by one.

    The attributes are those of :class:`~vb2user.trace.references.References`.
    """

    def verdict(self, scope: Scope = ALL_BUFFERS) -> Verdict:
        """Return the present verdict on the references of a scope."""
        return verdicts.verdict(self, scope)

    def to_json(self, scope: Scope = ALL_BUFFERS) -> dict[str, Any]:
        """Return the whole ledger as a JSON document."""
        return verdicts.to_json(self, scope)

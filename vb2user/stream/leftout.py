"""Layer 5: the frames that a stream left out, and why, as a sentence. Pure."""

from __future__ import annotations

from typing import Literal

#: Why a frame was left out.
Reason = Literal["short", "error", "gap", "old", "newer"]

_WORDS: dict[Reason, str] = {
    "short": "short",
    "error": "flagged ERROR",
    "gap": "after a gap",
    "old": "taken before flush()",
    "newer": "passed over",
}
_HINTS: dict[Reason, str] = {
    "short": "on_truncated='yield' hands short frames out; device or cable deliver less than a picture",
    "error": "on_error='yield' hands flagged frames out; check signal, cable and bandwidth",
    "gap": "on_gap='yield' hands out frames that come after a gap",
    "old": "wait longer for a frame that was taken after flush()",
    "newer": "wait longer for the next frame",
}


class LeftOut:
    """The frames that were left out since the last one that was handed out.

    Attributes:
        counts: how many for each reason.
    """

    def __init__(self) -> None:
        self.counts: dict[Reason, int] = {}
        self._flaw = ""

    def add(self, reason: Reason, flaw: str | None = None) -> None:
        """Count one more; ``flaw``: what a short frame lacks."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self._flaw = flaw or self._flaw

    def clear(self) -> None:
        """Forget all of them: the stream handed a frame out."""
        self.counts.clear()

    def describe(self) -> tuple[str, str] | None:
        """Return how many and why, and a hint; None: none was left out."""
        if not self.counts:
            return None
        total = sum(self.counts.values())
        came = "1 frame came and was" if total == 1 else f"{total} frames came and were"
        reasons = [reason for reason in _WORDS if reason in self.counts]
        flaw = f" ({self._flaw})" if self._flaw else ""
        each = [
            f"{self.counts[reason]} {_WORDS[reason]}{flaw if reason == 'short' else ''}" for reason in reasons
        ]
        return f"{came} left out: {', '.join(each)}", "; ".join(_HINTS[reason] for reason in reasons)

"""Beside the layers: what came of one check of ``vb2user validate``."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Status(str, Enum):
    """What a check says. Only ``pass`` says that the driver was tried and is right."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    MISS = "miss"
    SKIP = "skip"
    XFAIL = "xfail"

    __str__ = str.__str__

    @property
    def meaning(self) -> str:
        """The status in words, for summaries."""
        return _MEANINGS[self]


_MEANINGS = {
    Status.PASS: "the driver keeps the rule",
    Status.FAIL: "the driver breaks the rule",
    Status.ERROR: "the check itself broke",
    Status.MISS: "the check could not be set up here",
    Status.SKIP: "the rule is not for this device",
    Status.XFAIL: "a known failure, in the baseline",
}


class CheckEndedError(Exception):
    """A check ends early; ``args[0]`` says why."""

    status = Status.ERROR


class RuleBrokenError(CheckEndedError):
    """The driver breaks the rule of the check."""

    status = Status.FAIL


class NotHereError(CheckEndedError):
    """The check cannot be set up on this machine: no root, no tracefs, no source of dma-bufs."""

    status = Status.MISS


class NotOfThisDeviceError(CheckEndedError):
    """The device has not what the check is about."""

    status = Status.SKIP


@dataclass
class Outcome:
    """What came of one check on one device.

    Attributes:
        id: the check's.
        status: see :class:`Status`.
        done: the last call that the check made, if it failed.
        detail: one sentence: what came and what should have come, or why it was not tried.
        evidence: lines that show it: ioctls with their results, lines of the kernel's log, references.
        seconds: how long it took.
        calls: the last ioctls with arguments and results, if it failed.
        picture: the first wrong frame, as the address ``data:image/…`` of a file, or "".
    """

    id: str
    status: Status
    detail: str = ""
    evidence: list[str] = field(default_factory=list)
    seconds: float = 0.0
    done: str = ""
    calls: list[str] = field(default_factory=list)
    picture: str = ""

    def worsen(self, detail: str, evidence: list[str]) -> None:
        """Add a finding that was made after the check: it fails, whatever it said itself."""
        told = self.status is Status.FAIL
        self.detail = f"{self.detail}; {detail}" if told and self.detail else detail
        self.status = Status.FAIL
        self.evidence += evidence

    def to_json(self) -> dict[str, Any]:
        """The fields, as JSON has them."""
        return {
            "id": self.id,
            "status": str(self.status),
            "done": self.done,
            "detail": self.detail,
            "evidence": self.evidence,
            "calls": self.calls,
            "picture": self.picture,
            "seconds": round(self.seconds, 3),
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Outcome:
        """The outcome that :meth:`to_json` told."""
        return cls(**{**told, "status": Status(told["status"])})

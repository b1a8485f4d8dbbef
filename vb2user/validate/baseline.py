"""Beside the layers: failures that are known: of stock drivers, and those in a user's baseline.

Both are JSON files of one form::

    {"known": [{"driver": "vivid", "check": "streaming.*", "kernel": "6.1.*", "why": "…", "link": "…"}]}

``kernel`` and ``link`` may be left out. Driver, check and kernel are patterns as a shell has them.
"""

from __future__ import annotations

import fnmatch
import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from vb2user.errors import UsageError
from vb2user.validate.outcome import Status
from vb2user.validate.runner import DeviceReport

_NAMES = frozenset({"driver", "check", "kernel", "why", "link"})


@dataclass(frozen=True)
class Known:
    """One known failure.

    Attributes:
        driver, check, kernel: patterns of whom it is of.
        why: why it fails.
        link: where more is said of it.
    """

    driver: str
    check: str
    why: str
    kernel: str = "*"
    link: str = ""

    def is_of(self, driver: str, check: str, kernel: str) -> bool:
        """Whether it is about this check of this driver on this kernel."""
        return (
            fnmatch.fnmatchcase(driver, self.driver)
            and fnmatch.fnmatchcase(check, self.check)
            and fnmatch.fnmatchcase(kernel, self.kernel)
        )


def of_drivers() -> list[Known]:
    """The known deviations of stock drivers, which the package brings."""
    return _parsed(resources.files("vb2user.validate").joinpath("known.json").read_text(), "known.json")


def read(path: Path) -> list[Known]:
    """A user's baseline. UsageError: it cannot be read, or is not a baseline."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the baseline {path} cannot be read: {error}") from None
    return _parsed(text, str(path))


def _parsed(text: str, name: str) -> list[Known]:
    try:
        entries = json.loads(text)["known"]
        for entry in entries:
            odd = set(entry) - _NAMES
            if odd or not all(isinstance(value, str) for value in entry.values()):
                raise ValueError(f"an entry has {sorted(odd) or 'a value that is no text'}")
        return [Known(**entry) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{name} is not a baseline: {type(error).__name__}: {error}",
            hint="'vb2user validate DEV --write-baseline FILE' writes one",
        ) from None


def apply(report: DeviceReport, known: Iterable[Known]) -> list[Known]:
    """Turn known failures into :attr:`Status.XFAIL`; returns the entries that any outcome needed."""
    used: list[Known] = []
    for outcome in report.outcomes:
        if outcome.status is Status.FAIL:
            for entry in known:
                if entry.is_of(report.target.driver, outcome.id, platform.release()):
                    outcome.status = Status.XFAIL
                    more = f" ({entry.link})" if entry.link else ""
                    outcome.detail = f"{outcome.detail}; known: {entry.why}{more}"
                    used.append(entry)
                    break
    return used


def document(reports: Iterable[DeviceReport]) -> dict[str, Any]:
    """A baseline in which each failure of these reports is known, for this kernel."""
    return {
        "known": [
            asdict(Known(report.target.driver, outcome.id, outcome.detail, platform.release()))
            for report in reports
            for outcome in report.outcomes
            if outcome.status is Status.FAIL
        ]
    }

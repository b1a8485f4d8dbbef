"""Beside the layers: the reports of ``vb2user validate`` for programs: one module for each format.

A format is a module in this folder and its line in :data:`FORMATS`. The command makes its option from the
line. The module has ``text(validation)``, and ``appended(validation)`` if the format has a second part.
Importing this is cheap: a format's module is imported when its report is written.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vb2user.validate.baseline import Known
    from vb2user.validate.check import Check
    from vb2user.validate.runner import DeviceReport


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: of its option and of its module.
        help: what the option writes.
        is_flag: the option names no file; the report goes to standard output.
        variable: of the environment; it names a file to which ``appended(validation)`` is appended.
    """

    name: str
    help: str
    is_flag: bool = False
    variable: str | None = None

    def text(self, validation: Validation) -> str:
        """The report."""
        return str(self._module().text(validation))

    def appended(self, validation: Validation) -> str:
        """What the file of :attr:`variable` gets."""
        return str(self._module().appended(validation))

    def _module(self) -> ModuleType:
        return importlib.import_module(f"{__name__}.{self.name}")


FORMATS = (
    Format("json", "The report as JSON"),
    Format("junit", "The report as JUnit's XML"),
    Format("ktap", "The report as KTAP"),
    Format("kcidb", "The report for KCIDB"),
    Format("lava", "The report as signals for LAVA"),
    Format("html", "The report as one page of HTML"),
    Format(
        "github",
        "Annotations for GitHub Actions, and its job summary",
        is_flag=True,
        variable="GITHUB_STEP_SUMMARY",
    ),
)


@dataclass
class Validation:
    """One run of the command: what every format is made from.

    Attributes:
        checks: those that were chosen, by id.
        known: the failures that are known, of the baselines.
        seed: the user's number, from which checks draw at random.
        origin: the name under which a CI system sends its reports.
        began: when, in UTC.
        devices: the report of each device, so far.
    """

    checks: Mapping[str, Check]
    known: Sequence[Known] = ()
    seed: int = 0
    origin: str = "vb2user"
    began: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    devices: list[DeviceReport] = field(default_factory=list)

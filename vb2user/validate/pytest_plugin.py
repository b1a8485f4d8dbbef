"""Beside the layers: the checks as tests of pytest, those of this package and those of any project.

In a test file a function with :func:`vb2user.validate.check.check` is a test for each ``--vb2-device``. So is
each check of a list whose name begins with ``test_``. Every pytest run of an environment with vb2user loads
this plugin. Its import is cheap, and it does nothing until a test file has a check.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vb2user.errors import Vb2Error
from vb2user.text import printable
from vb2user.validate.outcome import CheckEndedError, Status

if TYPE_CHECKING:
    from vb2user.validate.baseline import Known
    from vb2user.validate.check import Check
    from vb2user.validate.outcome import Outcome
    from vb2user.validate.runner import Trial

#: What a device that cannot be tried raises.
_UNUSABLE = (Vb2Error, CheckEndedError)
#: The classes of checks, which are markers here.
_KINDS = {
    "spec": "a check whose rule the kernel's documentation demands",
    "framework": "a check whose rule every driver on videobuf2 keeps",
    "quality": "a check whose rule users need",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("vb2user", "checks of V4L2 drivers")
    group.addoption(
        "--vb2-device", action="append", default=[], metavar="DEV", help="try checks on this node"
    )
    group.addoption("--vb2-baseline", metavar="FILE", help="failures of checks that are known")
    group.addoption("--vb2-seed", type=int, default=0, metavar="N", help="what checks draw from at random")


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers."""
    for name, meaning in _KINDS.items():
        config.addinivalue_line("markers", f"{name}: {meaning} (vb2user)")
    config.stash[_DEVICES] = devices = _Devices(config)
    config.add_cleanup(devices.close)


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[CheckItem] | None:
    """Make tests of the checks that a test file has."""
    found = _checks_in(name, obj)
    if not found:
        return None
    if hasattr(collector.config, "workerinput"):
        raise collector.CollectError("checks need the device for themselves: run pytest without -n")
    paths: list[str] = collector.config.getoption("--vb2-device")
    if not paths:
        raise collector.CollectError(
            f"{found[0].id} is a check of a driver: name its node, e.g. --vb2-device /dev/video0"
        )
    return [
        CheckItem.from_parent(collector, name=f"{one.id}[{path}]", check=one, path=path)
        for path in paths
        for one in found
    ]


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Give the device back before a test that does not check a driver."""
    if isinstance(item, CheckItem) and not isinstance(nextitem, CheckItem):
        item.config.stash[_DEVICES].close()


def _checks_in(name: str, obj: object) -> list[Check]:
    module = sys.modules.get("vb2user.validate.check")
    if module is None:  # then no function can be a check
        return []
    if name.startswith("test_") and isinstance(obj, list):
        return obj if all(isinstance(one, module.Check) for one in obj) else []
    one = module.check_of(obj)
    return [] if one is None else [one]


class CheckItem(pytest.Item):
    """One check on one device."""

    def __init__(self, *, check: Check, path: str, **named: Any) -> None:
        super().__init__(**named)
        self.check, self.device_path = check, path
        self.add_marker(str(check.kind))

    def runtest(self) -> None:
        """Try the check in a process of its own, as ``vb2user validate`` does."""
        devices = self.config.stash[_DEVICES]
        trial = devices.trial(self.device_path)
        outcome = trial.attempt(self.check)
        devices.forgive(trial)
        if trial.report.ended is not None:
            self.session.shouldstop = trial.report.ended
        if outcome.status is Status.XFAIL:
            pytest.xfail(outcome.detail)
        if outcome.status in (Status.SKIP, Status.MISS):
            pytest.skip(f"{outcome.status.meaning}: {outcome.detail}")
        if outcome.status is not Status.PASS:
            raise CheckFailedError(outcome)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the finding, and the calls in place of Python's frames."""
        from vb2user.validate.summary import sentence

        if isinstance(excinfo.value, _UNUSABLE):
            return f"{self.device_path} cannot be tried: {excinfo.value}"
        if not isinstance(excinfo.value, CheckFailedError):
            return super().repr_failure(excinfo, style)
        outcome = excinfo.value.outcome
        lines = [sentence(outcome, self.check), f"documentation: {self.check.doc}", *outcome.evidence]
        return "\n".join(map(printable, lines))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the check stands, and its name."""
        return self.path, self.check.run.__code__.co_firstlineno - 1, self.name


class CheckFailedError(Exception):
    """A check failed or broke."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


class _Devices:
    """The device that is under test now: one at a time, since each is traced."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._trial: Trial | None = None
        self._known: list[Known] | None = None
        self._unusable: dict[str, Exception] = {}

    def trial(self, path: str) -> Trial:
        """The trial of a device; that of another one ends."""
        from vb2user.validate.examination import examine
        from vb2user.validate.runner import Trial

        if path in self._unusable:
            raise self._unusable[path]
        if self._trial is None or self._trial.report.target.path != path:
            self.close()
            try:
                target = examine(path)
            except _UNUSABLE as error:
                self._unusable[path] = error
                raise
            target.seed = self._config.getoption("--vb2-seed")
            self._trial = Trial(target).__enter__()
        return self._trial

    def forgive(self, trial: Trial) -> None:
        """Turn a failure that is known into that."""
        from vb2user.validate import baseline

        if self._known is None:
            file = self._config.getoption("--vb2-baseline")
            self._known = [*(baseline.read(Path(file)) if file else []), *baseline.of_drivers()]
        baseline.apply(trial.report, self._known)

    def close(self) -> None:
        """End the trial."""
        if self._trial is not None:
            self._trial.close()
            self._trial = None


_DEVICES = pytest.StashKey[_Devices]()

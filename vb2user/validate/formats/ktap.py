"""Beside the layers: the report as KTAP, version 1: a nested test for each device.

Source: https://docs.kernel.org/dev-tools/ktap.html.
"""

from __future__ import annotations

import re

from vb2user.text import printable
from vb2user.validate.formats import Validation
from vb2user.validate.outcome import Status
from vb2user.validate.runner import DeviceReport


def text(validation: Validation) -> str:
    """The document of ``--ktap``."""
    lines = ["KTAP version 1", f"1..{len(validation.devices)}"]
    for number, report in enumerate(validation.devices, 1):
        name = f"{re.sub('[^A-Za-z0-9_-]', '_', report.target.driver)}_{number}"
        lines += [f"  {line}" for line in _nested(report, name)]
        bad = report.count(Status.FAIL) + report.count(Status.ERROR) or report.ended is not None
        lines.append(f"{'not ok' if bad else 'ok'} {number} {name}")
    return "\n".join(lines) + "\n"


def _nested(report: DeviceReport, name: str) -> list[str]:
    lines = ["KTAP version 1", f"# Subtest: {name}", f"1..{len(report.outcomes)}"]
    for number, outcome in enumerate(report.outcomes, 1):
        told = printable(" ".join(outcome.detail.replace("#", " ").split()))
        lines += [f"#   {printable(line)}" for line in outcome.evidence]
        if outcome.status in (Status.FAIL, Status.ERROR) and told:
            lines.append(f"# {told}")
        directive = {
            Status.SKIP: f" # SKIP {told}",
            Status.MISS: f" # SKIP not tried here: {told}",
            Status.XFAIL: f" # XFAIL {told}",
            Status.ERROR: f" # ERROR {told}",
        }.get(outcome.status, "")
        right = outcome.status not in (Status.FAIL, Status.ERROR)
        lines.append(f"{'ok' if right else 'not ok'} {number} {outcome.id}{directive}")
    return lines

"""Beside the layers: the reports of ``vb2user validate`` that programs read: JSON, JUnit, KTAP."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import vb2user
from vb2user.validate.check import Check
from vb2user.validate.outcome import Outcome, Status
from vb2user.validate.queues import queue_name
from vb2user.validate.runner import DeviceReport

#: The version of the JSON document; it changes when a reader has to.
SCHEMA = 1
#: What XML 1.0 cannot hold, and the kernel's log does.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_json(reports: Sequence[DeviceReport], checks: Sequence[Check]) -> dict[str, Any]:
    """The document of ``--json``; its schema is ``report.schema.json`` in this package."""
    return {
        "schema": SCHEMA,
        "vb2user": vb2user.__version__,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "devices": [report.to_json(checks) for report in reports],
    }


def to_junit(reports: Sequence[DeviceReport], checks: Sequence[Check]) -> str:
    """The document of ``--junit``: a suite for each device; a known failure counts as skipped."""
    rules = {check.id: check.rule for check in checks}
    suites = ElementTree.Element("testsuites")
    for report in reports:
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=f"vb2user.validate.{report.target.driver}",
            tests=str(len(report.outcomes)),
            failures=str(report.count(Status.FAIL)),
            errors=str(report.count(Status.ERROR)),
            skipped=str(sum(report.count(s) for s in (Status.SKIP, Status.MISS, Status.XFAIL))),
            time=f"{report.seconds:.3f}",
            hostname=_text(os.uname().nodename),
        )
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in (
            ("device", report.target.path),
            ("queue", queue_name(report.target.type)),
            ("card", report.target.card),
            ("kernel", platform.release()),
            ("vb2user", vb2user.__version__),
        ):
            ElementTree.SubElement(properties, "property", name=name, value=_text(value))
        for outcome in report.outcomes:
            _case(suite, report, outcome, rules[outcome.id])
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)


def _case(suite: ElementTree.Element, report: DeviceReport, outcome: Outcome, rule: str) -> None:
    group, _, name = outcome.id.partition(".")
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"vb2user.validate.{_text(report.target.driver)}.{group}",
        name=name,
        time=f"{outcome.seconds:.3f}",
    )
    tag = {Status.FAIL: "failure", Status.ERROR: "error"}.get(outcome.status, "skipped")
    if outcome.status is not Status.PASS:
        told = ElementTree.SubElement(
            case, tag, type=str(outcome.status), message=_text(f"{outcome.detail} (rule: {rule})")
        )
        told.text = _text("\n".join(outcome.evidence))


def _text(text: str) -> str:
    return _NOT_XML.sub("�", text)


def to_ktap(reports: Sequence[DeviceReport]) -> str:
    """The document of ``--ktap``, version 1: a nested test for each device.

    Source: https://docs.kernel.org/dev-tools/ktap.html.
    """
    lines = ["KTAP version 1", f"1..{len(reports)}"]
    for number, report in enumerate(reports, 1):
        lines += [f"  {line}" for line in _nested(report)]
        bad = report.count(Status.FAIL) + report.count(Status.ERROR) or report.ended is not None
        name = re.sub(r"[^A-Za-z0-9_-]", "_", report.target.driver)
        lines.append(f"{'not ok' if bad else 'ok'} {number} {name}_{number}")
    return "\n".join(lines) + "\n"


def _nested(report: DeviceReport) -> list[str]:
    lines = ["KTAP version 1", f"1..{len(report.outcomes)}"]
    for number, outcome in enumerate(report.outcomes, 1):
        told = " ".join(outcome.detail.replace("#", " ").split())
        lines += [f"# {line}" for line in outcome.evidence]
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

"""Beside the layers: the report as JUnit's XML, as CI systems read it."""

from __future__ import annotations

import os
import platform
from xml.etree import ElementTree

import vb2user
from vb2user.text import printable_lines
from vb2user.validate.formats import Validation
from vb2user.validate.outcome import Outcome, Status
from vb2user.validate.queues import queue_name
from vb2user.validate.runner import DeviceReport


def text(validation: Validation) -> str:
    """The document of ``--junit``: a suite for each device; a known failure counts as skipped."""
    suites = ElementTree.Element("testsuites")
    for report in validation.devices:
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=f"vb2user.validate.{_text(report.target.driver)}",
            tests=str(len(report.outcomes)),
            failures=str(report.count(Status.FAIL)),
            errors=str(report.count(Status.ERROR)),
            skipped=str(sum(report.count(s) for s in (Status.SKIP, Status.MISS, Status.XFAIL))),
            time=f"{report.seconds:.3f}",
            timestamp=validation.began.strftime("%Y-%m-%dT%H:%M:%S"),
            hostname=_text(os.uname().nodename),
        )
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in (
            ("device", report.target.path),
            ("queue", queue_name(report.target.type)),
            ("card", report.target.card),
            ("kernel", platform.release()),
            ("vb2user", vb2user.__version__),
            ("seed", str(validation.seed)),
        ):
            ElementTree.SubElement(properties, "property", name=name, value=_text(value))
        for outcome in report.outcomes:
            _case(suite, report, outcome, validation.checks[outcome.id].rule)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


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
        told.text = _text("\n".join([*outcome.evidence, f"repeat: {report.repeat(outcome.id)}"]))


def _text(text: str) -> str:
    """XML 1.0 cannot hold most control characters, and the kernel's log may have them."""
    return printable_lines(text)

"""Beside the layers: the report for KCIDB, the database of kernel test results; version 5.3 of its schema.

Source: the package kcidb-io, whose schema the tests apply.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from pathlib import Path
from typing import Any

import vb2user
from vb2user.text import printable_lines
from vb2user.validate.baseline import Known
from vb2user.validate.formats import Validation
from vb2user.validate.outcome import Outcome, Status
from vb2user.validate.runner import DeviceReport

#: Characters that an excerpt of a log may have.
_EXCERPT = 16384
#: A known failure is a failure, and an incident of an issue.
_STATUS = {Status.XFAIL: "FAIL"}


def text(validation: Validation) -> str:
    """The document of ``--kcidb``: checkout, build, tests; a known failure is an issue and an incident.

    The kernel that runs stands for the checkout and for the build: where it was built is not known here.
    """
    origin, kernel = validation.origin, f"{platform.release()} {platform.version()}"
    checkout = f"{origin}:{_hash(kernel)}"
    build = f"{origin}:{_hash(kernel, platform.machine())}"
    document: dict[str, Any] = {
        "version": {"major": 5, "minor": 3},
        "checkouts": [{"id": checkout, "origin": origin, "comment": f"Linux {kernel}"}],
        "builds": [
            {
                "id": build,
                "origin": origin,
                "checkout_id": checkout,
                "architecture": re.sub("[^a-z0-9_]", "_", platform.machine().lower()),
                "comment": f"the kernel that ran: {kernel}",
            }
        ],
        "tests": [],
        "issues": [],
        "incidents": [],
    }
    for report in validation.devices:
        for outcome in report.outcomes:
            test = {"build_id": build, **_test(validation, report, outcome)}
            document["tests"].append(test)
            if outcome.status is Status.XFAIL:
                _incident(document, validation, report, outcome, test["id"])
    return json.dumps(document, indent=1)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="backslashreplace")).hexdigest()[:32]


def _test(validation: Validation, report: DeviceReport, outcome: Outcome) -> dict[str, Any]:
    check, target = validation.checks[outcome.id], report.target
    run = (validation.began.isoformat(), os.uname().nodename, target.path, outcome.id)
    test: dict[str, Any] = {
        "id": f"{validation.origin}:{_hash(*run)}",
        "origin": validation.origin,
        "path": f"v4l2.vb2user.{outcome.id}",
        "status": _STATUS.get(outcome.status, outcome.status.upper()),
        "comment": printable_lines(f"{check.rule} {outcome.detail}".strip()),
        "start_time": validation.began.isoformat(),
        "duration": round(outcome.seconds, 3),
        "environment": _environment(report),
        "misc": {
            "class": str(check.kind),
            "documentation": check.doc,
            "repeat": report.repeat(outcome.id),
            "vb2user": vb2user.__version__,
        },
    }
    if outcome.evidence:
        test["log_excerpt"] = printable_lines("\n".join(outcome.evidence))[-_EXCERPT:]
    return test


def _environment(report: DeviceReport) -> dict[str, Any]:
    target = report.target
    environment: dict[str, Any] = {
        "comment": printable_lines(f"{target.card} by {target.driver}"),
        "misc": {
            "device": target.path,
            "driver": target.driver,
            "card": target.card,
            "allocator": report.allocator or "not known",
        },
    }
    tree = Path("/proc/device-tree/compatible")
    if tree.exists():
        names = tree.read_bytes().split(b"\0")
        environment["compatible"] = [name.decode(errors="replace") for name in names if name]
    return environment


def _incident(
    document: dict[str, Any], validation: Validation, report: DeviceReport, outcome: Outcome, test: str
) -> None:
    entry = _entry(validation, report, outcome)
    issue = f"{validation.origin}:{_hash(entry.driver, entry.check, entry.kernel)}"
    if not any(known["id"] == issue for known in document["issues"]):
        told = {"id": issue, "version": 1, "origin": validation.origin, "comment": printable_lines(entry.why)}
        if re.match(r"https?://\S+$", entry.link):
            told["report_url"] = entry.link
        document["issues"].append({**told, "culprit": {"code": True}})
    document["incidents"].append(
        {
            "id": f"{validation.origin}:{_hash(issue, test)}",
            "origin": validation.origin,
            "issue_id": issue,
            "issue_version": 1,
            "test_id": test,
            "present": True,
        }
    )


def _entry(validation: Validation, report: DeviceReport, outcome: Outcome) -> Known:
    """The entry of a baseline that made it a known failure."""
    kernel = platform.release()
    return next(k for k in validation.known if k.is_of(report.target.driver, outcome.id, kernel))

"""Runs in the guest: each mutant of a plan is loaded and tried, and what came of it is written at once.

Usage: ``in_guest.py PLAN``. The folder VB2USER_RESULTS gets ``results.jsonl``, a line for each mutant, and
``current``, the name of the one that is tried. Status 75 asks for a new guest: the kernel had an oops, or a
module stayed.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import drivers_of_mutants as nodes
from mutant_results import NEW_GUEST

from vb2user.errors import Vb2Error
from vb2user.trace.kernel_log import KernelLog, known_reports, reports
from vb2user.validate import baseline
from vb2user.validate.check import Check, all_checks
from vb2user.validate.examination import examine
from vb2user.validate.outcome import CheckEndedError
from vb2user.validate.runner import attempt, run

#: Seconds without a word of validate, and for v4l2-compliance, after which the process is killed.
_SILENCE, _COMPLIANCE = 150.0, 200.0
_BAD = ("fail", "error")
#: The kernel's taint flag of an oops (Documentation/admin-guide/tainted-kernels.rst).
_DIED = 1 << 7


def _matching(patterns: list[str]) -> list[Check]:
    found = [one for pattern in patterns for one in all_checks() if fnmatch.fnmatchcase(one.id, pattern)]
    return list(dict.fromkeys(found))


def ordered(first: list[str], seconds: dict[str, float]) -> list[Check]:
    """All checks: those that a mutant names, and then the others, the quickest first."""
    others = sorted(all_checks(), key=lambda one: seconds.get(one.id, 1.0))
    return list(dict.fromkeys([*_matching(first), *others]))


def _child(path: str, plan: dict[str, Any], one: dict[str, Any], writer: int) -> None:
    """Validate a node until the first failure; each outcome is a line of JSON. It never returns."""

    def tell(id: str, status: str, detail: str, seconds: float) -> None:
        line = json.dumps({"id": id, "status": status, "detail": detail, "seconds": seconds})
        os.write(writer, line.encode() + b"\n")

    try:
        os.setsid()
        try:
            target = examine(path)
        except (CheckEndedError, Vb2Error) as error:
            tell("examine", "fail", str(error), 0.0)
            os._exit(0)
        if target.no_frames:
            tell("examine", "note", target.no_frames, 0.0)
        # What a program sees is seen without the trace as well, whose set-up takes long.
        for check in _matching(one["first"]) if one["seen"] else ():
            last = attempt(check, target)
            tell(last.id, str(last.status), last.detail, last.seconds)
            if str(last.status) in _BAD:
                os._exit(0)
        known = baseline.of_drivers()
        for report in run(target, ordered(one["first"], plan["seconds"])):
            if not report.outcomes:
                continue
            baseline.apply(report, known)
            last = report.outcomes[-1]
            tell(last.id, str(last.status), last.detail, last.seconds)
            if str(last.status) in _BAD and not one["whole"]:
                break
        tell("end", "note", "", 0.0)
    finally:
        os._exit(0)


def validated(path: str, plan: dict[str, Any], one: dict[str, Any]) -> list[dict[str, Any]]:
    """The outcomes of the checks of a node, in a process that an oops may kill."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(path, plan, one, writer)
    os.close(writer)
    data, poller = b"", select.poll()
    poller.register(reader, select.POLLIN)
    while poller.poll(_SILENCE * 1000):
        some = os.read(reader, 1 << 16)
        if not some:
            break
        data += some
    else:
        data += json.dumps({"id": "silence", "status": "fail", "detail": "validate hangs"}).encode() + b"\n"
    os.close(reader)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    found: list[dict[str, Any]] = [json.loads(line) for line in data.splitlines()]
    if not found or (found[-1]["id"] != "end" and found[-1]["status"] not in _BAD):
        found.append({"id": "validate", "status": "fail", "detail": "its process ended without a word"})
    return found


def complied(path: str, plan: dict[str, Any]) -> str:
    """What v4l2-compliance says of a node, streaming included; its end is missing where it hung."""
    argv = [*plan["compliance"], "-d", path, *plan["compliance_options"]]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        return process.communicate(timeout=_COMPLIANCE)[0]
    except subprocess.TimeoutExpired as error:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=10)[0]
        return (error.stdout or b"").decode(errors="replace")


def tried(plan: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """One mutant: loaded, validated, given to v4l2-compliance and unloaded."""
    began, killed, details = time.monotonic(), [], {}
    result: dict[str, Any] = {"mutant": one["name"], "digest": one["digest"], "on": one["on"]}
    stage = "loading"
    with KernelLog() as log:

        def outside() -> None:
            """Whether the kernel reported trouble while no check ran."""
            known = known_reports("vivid")
            for found in reports(log.read()):
                if not any(text in str(found) for text in known):
                    killed.append(f"log while {stage}")
                    details[killed[-1]] = found.title

        try:
            with nodes.replaced(one["module"], one["ko"]), nodes.loaded(one["on"], one) as path:
                outside()
                stage = "validate"
                outcomes = validated(path, plan, one)
                for outcome in outcomes:
                    if outcome["status"] in _BAD:
                        killed.append(outcome["id"])
                        details[outcome["id"]] = f"{outcome['status']}: {outcome['detail']}"
                result["note"] = [o["detail"] for o in outcomes if o["id"] == "examine"]
                if one["whole"]:
                    result["checks"] = {o["id"]: o["status"] for o in outcomes}
                    result["check_seconds"] = {o["id"]: o.get("seconds", 0.0) for o in outcomes}
                result["validate_seconds"] = round(time.monotonic() - began, 1)
                log.read()
                stage = "v4l2-compliance"
                if not nodes.tainted(_DIED):
                    since = time.monotonic()
                    result["compliance"] = complied(path, plan)
                    result["compliance_seconds"] = round(time.monotonic() - since, 1)
                result["compliance_log"] = [found.title for found in reports(log.read())]
                stage = "unloading"
            outside()
        except Vb2Error as error:
            killed.append(stage)
            details[stage] = str(error)
    result |= {"killed_by": killed, "details": details, "seconds": round(time.monotonic() - began, 1)}
    return result


@contextlib.contextmanager
def _current(folder: Path, name: str) -> Iterator[None]:
    """The file ``current`` says what is tried; it stays where the machine is lost meanwhile."""
    with (folder / "current").open("w") as file:
        file.write(name)
        file.flush()
        os.fsync(file.fileno())
    yield
    (folder / "current").unlink()


def main() -> int:
    """Try each mutant of the plan until the guest is spoilt."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(os.environ["VB2USER_RESULTS"])
    for one in plan["mutants"]:
        with _current(folder, one["name"]):
            result = tried(plan, one)
            with (folder / "results.jsonl").open("a") as file:
                file.write(json.dumps(result) + "\n")
                file.flush()
                os.fsync(file.fileno())
        print(
            f"{one['name']}: {', '.join(result['killed_by']) or 'survived'} ({result['seconds']} s)",
            flush=True,
        )
        if nodes.tainted(_DIED) or not nodes.clean():
            return NEW_GUEST
    return 0


if __name__ == "__main__":
    sys.exit(main())

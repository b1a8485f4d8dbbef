"""Beside the layers: the report for GitHub Actions: annotations on standard output, and a job summary.

GitHub shows at most ten errors and ten warnings of a step, and drops a job summary of more than 1 MiB.
Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands.
"""

from __future__ import annotations

from collections import defaultdict

from vb2user.text import printable, printable_lines
from vb2user.validate.formats import Validation
from vb2user.validate.outcome import Outcome, Status
from vb2user.validate.runner import DeviceReport
from vb2user.validate.summary import counts, sentence

#: Annotations of one kind that GitHub shows of a step.
ANNOTATIONS = 10
#: Bytes of a job summary of a step.
SUMMARY = 1 << 20
#: Statuses that become annotations. A known failure is none: it is not new.
_KINDS = {Status.FAIL: "error", Status.ERROR: "warning"}


def text(validation: Validation) -> str:
    """The annotations of ``--github``: one for each group of failed checks of a device."""
    found: dict[str, list[str]] = {kind: [] for kind in _KINDS.values()}
    for report in validation.devices:
        groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
        for outcome in report.outcomes:
            if outcome.status in _KINDS:
                groups[_KINDS[outcome.status], outcome.id.partition(".")[0]].append(outcome)
        for (kind, group), outcomes in groups.items():
            title = f"{report.target.driver}: {group}: {len(outcomes)} failed"
            message = "\n".join(f"{o.id}: {sentence(o, validation.checks[o.id])}" for o in outcomes)
            found[kind].append(f"::{kind} title={_property(title)}::{_data(message)}")
        if report.ended is not None:
            message = f"{report.target.path}: {report.ended}"
            found["error"].append(f"::error title=the run ended early::{_data(message)}")
    return "".join(f"{line}\n" for lines in found.values() for line in _limited(lines))


def _limited(lines: list[str]) -> list[str]:
    """The lines that GitHub shows; the last one says how many more there are."""
    if len(lines) <= ANNOTATIONS:
        return lines
    kind = lines[0].split()[0]
    more = f"{kind} title=and more::{len(lines) - ANNOTATIONS + 1} more groups: see the job summary"
    return [*lines[: ANNOTATIONS - 1], more]


def _data(message: str) -> str:
    text = printable_lines(message)
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")


def appended(validation: Validation) -> str:
    """The job summary: a table of each device's statuses, and each failure with its evidence."""
    kept: list[str] = []
    room = SUMMARY - 1024
    parts = [part for report in validation.devices for part in _device(validation, report)]
    for number, part in enumerate(parts):
        room -= len(part.encode())
        if room < 0:
            kept.append(f"\n{len(parts) - number} parts are left out: GitHub takes no more than 1 MiB.\n")
            break
        kept.append(part)
    return "".join(kept)


def _device(validation: Validation, report: DeviceReport) -> list[str]:
    target = report.target
    head = f"### {_html(target.path)}: {_html(target.driver)}, {_html(target.card)}\n\n{counts(report)}\n\n"
    rows = "".join(
        f"<tr><td>{o.id}</td><td>{o.status}</td><td>{_html(o.detail)}</td></tr>\n"
        for o in report.outcomes
        if o.status is not Status.PASS
    )
    parts = [head, f"<table>\n{rows}</table>\n\n" if rows else ""]
    for outcome in report.outcomes:
        if outcome.status in _KINDS:
            told = sentence(outcome, validation.checks[outcome.id])
            lines = _html("\n".join([*outcome.evidence, f"repeat: {report.repeat(outcome.id)}"]))
            parts.append(
                f"<details><summary>{outcome.id}: {_html(told)}</summary>\n<pre>{lines}</pre>\n</details>\n\n"
            )
    return parts


def _html(text: str) -> str:
    """Text of devices for the job summary, where neither HTML nor Markdown has a meaning in it.

    An empty line would end the element for Markdown.
    """
    lines = "\n".join(line for line in printable_lines(text).split("\n") if line.strip())
    return "".join(c if c.isalnum() or c in " .,-\n" or ord(c) > 127 else f"&#{ord(c)};" for c in lines)

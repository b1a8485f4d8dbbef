"""Beside the layers: the report as one page of HTML that needs no other file."""

from __future__ import annotations

import html
import platform

import vb2user
from vb2user.text import printable_lines
from vb2user.validate.formats import Validation
from vb2user.validate.outcome import Outcome, Status
from vb2user.validate.runner import DeviceReport
from vb2user.validate.summary import counts, sentence

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }
table { border-collapse: collapse; }
td, th { border: 1px solid #8886; padding: .2em .6em; text-align: left; vertical-align: top; }
pre { background: #8881; overflow: auto; padding: .6em; }
.pass { background: #2a62; } .fail { background: #d334; } .error { background: #d0d3; }
.miss { background: #dc04; } .skip { color: #888; } .xfail { background: #d802; }
"""
#: Statuses that have a paragraph of their own.
_TOLD = (Status.FAIL, Status.ERROR, Status.XFAIL)


def text(validation: Validation) -> str:
    """The document of ``--html``: a matrix of checks and devices, and each failure with its evidence."""
    title = _text(f"vb2user validate: {', '.join(report.target.path for report in validation.devices)}")
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        f"<p>Linux {_text(platform.release())} on {_text(platform.machine())}, ",
        f"vb2user {vb2user.__version__}, {validation.began:%Y-%m-%d %H:%M} UTC, seed {validation.seed}</p>\n",
        "<dl>\n",
        *(f'<dt class="{status}">{status}</dt><dd>{status.meaning}</dd>\n' for status in Status),
        "</dl>\n",
        *_matrix(validation),
    ]
    for number, report in enumerate(validation.devices):
        parts += _device(validation, number, report)
    return "".join([*parts, "</body>\n</html>\n"])


def _text(text: str) -> str:
    return html.escape(printable_lines(text))


def _matrix(validation: Validation) -> list[str]:
    """A row for each check and a column for each device. A check that was not tried has an empty cell."""
    tried = [{outcome.id: outcome for outcome in report.outcomes} for report in validation.devices]
    heads = (f"<th>{_text(r.target.path)}<br>{_text(r.target.driver)}</th>" for r in validation.devices)
    lines = [
        f"<h2>Checks</h2>\n<table>\n<tr><th>check</th><th>class</th><th>rule</th>{''.join(heads)}</tr>\n"
    ]
    for check in validation.checks.values():
        cells = "".join(_cell(number, outcomes.get(check.id)) for number, outcomes in enumerate(tried))
        rule = f'<a href="{html.escape(check.doc)}">{_text(check.rule)}</a>'
        lines.append(f"<tr><td>{check.id}</td><td>{check.kind}</td><td>{rule}</td>{cells}</tr>\n")
    return [*lines, "</table>\n"]


def _cell(number: int, outcome: Outcome | None) -> str:
    if outcome is None:
        return "<td></td>"
    shown = str(outcome.status)
    if outcome.status in _TOLD:
        shown = f'<a href="#{_anchor(number, outcome)}">{shown}</a>'
    return f'<td class="{outcome.status}" title="{_text(outcome.detail)}">{shown}</td>'


def _anchor(number: int, outcome: Outcome) -> str:
    return f"d{number}-{outcome.id}"


def _device(validation: Validation, number: int, report: DeviceReport) -> list[str]:
    target = report.target
    parts = [
        f"<h2>{_text(target.path)}: {_text(target.driver)}, {_text(target.card)}, ",
        f"{_text(report.allocator or 'allocator not known')}</h2>\n",
        f"<p>{counts(report)} of {len(report.outcomes)} checks in {report.seconds:.1f} s</p>\n",
    ]
    remarks = (*report.unwatched, *([report.ended] if report.ended else []))
    parts += [f"<p>{_text(line)}</p>\n" for line in remarks]
    for outcome in report.outcomes:
        if outcome.status in _TOLD:
            evidence = "\n".join([*outcome.evidence, f"repeat: {report.repeat(outcome.id)}"])
            parts += [
                f'<h3 id="{_anchor(number, outcome)}" class="{outcome.status}">{outcome.id}</h3>\n',
                f"<p>{_text(sentence(outcome, validation.checks[outcome.id]))}</p>\n",
                f"<pre>{_text(evidence)}</pre>\n",
            ]
            if outcome.picture:
                parts.append(
                    f'<p><img alt="the first wrong frame" src="{html.escape(outcome.picture)}"></p>\n'
                )
            if outcome.calls:
                calls = _text("\n".join(outcome.calls))
                parts.append(f"<details><summary>ioctls</summary><pre>{calls}</pre></details>\n")
    return parts

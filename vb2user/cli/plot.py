"""Layer 6: a stream's course as a picture: a PNG by matplotlib, or text in the terminal by plotext.

Neither needs a display. Both are optional (the extra ``plot``) and imported on use only.
"""

from __future__ import annotations

import importlib
import io
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from vb2user import files
from vb2user.capture.course import Course
from vb2user.errors import MissingPrerequisite, UsageError, install

#: What --plot takes for the terminal.
TERMINAL = ("-", "terminal")
_ROWS = 9  # of each of the terminal's plots
_INK, _ALERT = "#2563c9", "#c02b2b"


@dataclass(frozen=True)
class Panel:
    """One quantity over time.

    Attributes:
        title: of what, and in which unit.
        seconds, values: its points.
        bars: they are counts, drawn as bars.
    """

    title: str
    seconds: list[float]
    values: list[float]
    bars: bool = False


def panels(course: Course) -> list[Panel]:
    """Rate, jitter, latency and drops of a stream; what the driver does not tell is left out."""
    seconds = course.seconds
    found = [
        Panel("rate, frames per second", seconds[1:], course.rates),
        Panel("jitter, ms", seconds[1:], course.jitters_ms),
    ]
    if course.latencies_ms and len(course.latencies_ms) == len(seconds):
        found.append(Panel("latency, ms", seconds, course.latencies_ms))
    found.append(Panel("drops, frames missing", seconds, [float(gap) for gap in course.gaps], bars=True))
    return found


def check(target: str) -> None:
    """Can it be drawn there? Better said before the capture than after it.

    Raises:
        MissingPrerequisite: the library is not installed. UsageError: no name of a PNG.
    """
    if target in TERMINAL:
        _library("plotext")
        return
    if Path(target).suffix.lower() != ".png":
        raise UsageError(f"--plot {target} is no PNG", remedy="name it FILE.png, or 'terminal'")
    _library("matplotlib")


def draw(course: Course, title: str, target: str) -> None:
    """Draw it: to a file, or to standard output.

    Raises:
        UsageError: fewer than two frames, or a file that cannot be written. MissingPrerequisite.
    """
    if len(course.stamps_ns) < 2:
        raise UsageError("a plot needs two frames at least", remedy="capture more: --count")
    if target in TERMINAL:
        click.echo(in_terminal(course, title), color=True)
        return
    try:
        to_png(course, title, Path(target))
    except OSError as e:
        raise UsageError(
            f"{target}: cannot be written: {e.strerror or e}", remedy="choose another file"
        ) from None


def to_png(course: Course, title: str, path: Path) -> None:
    """By matplotlib, which needs no display for this. OSError: it cannot be written."""
    _library("matplotlib")
    figures = importlib.import_module("matplotlib.figure")
    shown = panels(course)
    figure = figures.Figure(figsize=(10, 1.9 * len(shown) + 0.6), layout="constrained")
    axes = figure.subplots(len(shown), 1, sharex=True)
    for axis, panel in zip(axes, shown, strict=True):
        _panel(axis, panel)
    axes[-1].set_xlabel("seconds")
    for second, bad in zip(course.seconds, course.bad, strict=True):
        if bad:
            for axis in axes:
                axis.axvline(second, color=_ALERT, alpha=0.35, linewidth=1)
    figure.suptitle(title + (f" - red: {sum(course.bad)} flagged as broken" if any(course.bad) else ""))
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    files.write_whole(path, [drawn.getvalue()])


def _panel(axis: Any, panel: Panel) -> None:
    if panel.bars:
        axis.vlines(panel.seconds, 0, panel.values, color=_ALERT, linewidth=2)
        axis.set_ylim(0, max(1.0, *panel.values) * 1.1)
    else:
        axis.plot(panel.seconds, panel.values, color=_INK, linewidth=1)
    axis.set_ylabel(panel.title.replace(", ", "\n"), fontsize="small")
    axis.grid(alpha=0.3)
    axis.margins(x=0.01)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def in_terminal(course: Course, title: str) -> str:
    """By plotext, as lines of text; in colours where standard output is a terminal that has them."""
    plotext = _library("plotext")
    width = shutil.get_terminal_size((100, 24)).columns
    colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    drawn = [title]
    for panel in panels(course):
        if panel.bars and not any(panel.values):
            drawn.append("no frames are missing")
            continue
        figure = plotext.figure
        figure.clear()  # there is one of it
        if not colours:
            figure.theme("colorless")
        figure.plot_size(width, _ROWS)
        figure.title(panel.title)
        signal = figure.signal(panel.seconds, panel.values)
        if panel.bars:
            signal.fillx()
        else:
            signal.lines(True)
        figure.draw(signal)
        text = figure.build().string()
        drawn.append(text if colours else plotext.uncolorize(text))
    return "\n".join(part.rstrip("\n") for part in drawn)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPrerequisite(
            f"--plot needs {name}, which is not installed", remedy=install("plot")
        ) from error

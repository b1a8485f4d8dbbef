"""Layer 8: plots of a stream's rate and drops over time: a PNG by matplotlib, or text by plotext.

Neither needs a display. Both are optional (the extra ``plot``) and imported on use only.
"""

from __future__ import annotations

import importlib
import io
import os
import shutil
import sys
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vb2user import files
from vb2user.cli.output import cannot_write, say_drawn
from vb2user.errors import MissingPrerequisiteError, UsageError, install
from vb2user.stream.timing_log import TimingLog
from vb2user.text import printable

#: The values of --plot for the terminal.
TERMINAL = ("-", "terminal")
_ROWS = 9  # of each of the terminal's plots
_LETTERS = 100  # of a line of the title
_INK, _ALERT = "#2563c9", "#c02b2b"
#: Options of every matplotlib text: a "$" in a device's name must not begin a formula.
_LITERAL = {"text.parse_math": False, "text.usetex": False, "axes.formatter.use_mathtext": False}


@dataclass(frozen=True)
class Panel:
    """One quantity over time.

    Attributes:
        title: the quantity and its unit.
        seconds, values: its points.
        bars: whether the values are counts, which are drawn as bars.
    """

    title: str
    seconds: list[float]
    values: list[float]
    bars: bool = False


def panels(course: TimingLog) -> list[Panel]:
    """Return rate, jitter, latency and drops of a stream, without those that the driver does not report."""
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
    """Check before the capture that the plot can be drawn.

    Raises:
        MissingPrerequisiteError: the library is not installed. UsageError: the name does not end in .png.
    """
    if target in TERMINAL:
        _library("plotext")
        return
    if Path(target).suffix.lower() != ".png":
        raise UsageError(f"--plot {target} does not end in .png", hint="name it FILE.png, or 'terminal'")
    _library("matplotlib")


def draw(course: TimingLog, title: str, target: str) -> None:
    """Draw the plot to a file or to standard output.

    Raises:
        UsageError: there are fewer than two frames, or the file cannot be written. MissingPrerequisiteError:
            the library is not installed.
    """
    if len(course.stamps_ns) < 2:
        raise UsageError("a plot needs two frames at least", hint="capture more: --count")
    if target in TERMINAL:
        say_drawn(in_terminal(course, title))
        return
    try:
        to_png(course, title, Path(target))
    except OSError as e:
        raise cannot_write(target, e) from None


def to_png(course: TimingLog, title: str, path: Path) -> None:
    """Draw a PNG by matplotlib, without a display. OSError: the file cannot be written."""
    with _library("matplotlib").rc_context(_LITERAL), warnings.catch_warnings():
        # matplotlib draws a box for a character that the font lacks. Its warning is not needed.
        warnings.filterwarnings("ignore", r"Glyph .* missing from ", UserWarning)
        drawn = io.BytesIO()
        _drawn(course, printable(title)).savefig(drawn, format="png", dpi=110)
    files.write_whole(path, [drawn.getvalue()])


def _drawn(course: TimingLog, title: str) -> Any:
    """Return matplotlib's figure."""
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
    broken = f" - red: {sum(course.bad)} flagged as broken" if any(course.bad) else ""
    # Not by matplotlib's own wrap, which always takes a "$" for mathematics.
    figure.suptitle("\n".join(textwrap.wrap(title + broken, _LETTERS)))
    return figure


def _panel(axis: Any, panel: Panel) -> None:
    if panel.bars:
        axis.vlines(panel.seconds, 0, panel.values, color=_ALERT, linewidth=2)
        axis.set_ylim(0, max(1.0, *panel.values) * 1.1)
        axis.yaxis.get_major_locator().set_params(integer=True)  # counts of frames are whole numbers
    else:
        axis.plot(panel.seconds, panel.values, color=_INK, linewidth=1)
    axis.set_ylabel(panel.title.replace(", ", "\n"), fontsize="small")
    axis.grid(alpha=0.3)
    axis.margins(x=0.01)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def in_terminal(course: TimingLog, title: str) -> str:
    """Return lines of text by plotext, in colours if standard output is a terminal with colours."""
    plotext = _library("plotext")
    width = shutil.get_terminal_size((100, 24)).columns
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    drawn = [printable(title)]
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
        raise MissingPrerequisiteError(
            f"--plot needs {name}, which is not installed", hint=install("plot")
        ) from error

"""Plots of what was measured. They need matplotlib, which is imported here only, and on use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vb2user.errors import MissingPrerequisiteError, install


def _axes(width: float, height: float) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPrerequisiteError("matplotlib is not installed", hint=install("plot")) from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def bars(rows: Sequence[tuple[str, float, float]], path: Path, title: str) -> None:
    """User and kernel instructions of each (name, user, kernel), on a logarithmic axis.

    MissingPrerequisiteError without matplotlib.
    """
    figure, axes = _axes(8, 0.42 * len(rows) + 1.2)
    places = range(len(rows))
    axes.barh([p - 0.2 for p in places], [user for _, user, _ in rows], 0.38, label="user", color="#3b6ea5")
    axes.barh([p + 0.2 for p in places], [own for _, _, own in rows], 0.38, label="kernel", color="#c9a227")
    for place, (_, user, kernel) in zip(places, rows, strict=True):
        axes.text(user * 1.1, place - 0.2, f"{user:,.0f}", va="center", fontsize=7)
        axes.text(kernel * 1.1, place + 0.2, f"{kernel:,.0f}", va="center", fontsize=7)
    axes.set_yticks(list(places), [name for name, _, _ in rows])
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(title)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def lines(named: Mapping[str, Mapping[str, float]], path: Path, x: str, y: str) -> None:
    """A line for each name, of values by what was varied. MissingPrerequisiteError without matplotlib."""
    figure, axes = _axes(6, 3.6)
    for name, values in named.items():
        axes.plot(list(values), list(values.values()), marker="o", label=name)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)

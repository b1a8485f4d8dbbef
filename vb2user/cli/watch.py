"""Layer 8: the drawings of ``vb2user capture``: a plot and a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vb2user.cli import plot as plots
from vb2user.errors import CorruptFrameError, UsageError
from vb2user.stream.frame import Frame
from vb2user.stream.stats import StreamStats
from vb2user.stream.timing_log import TimingLog

if TYPE_CHECKING:
    from vb2user.media.contact_sheet import Shot

#: Pictures on a sheet, and how wide each is in pixels.
_PICTURES, _WIDTH = 24, 240


class Watch:
    """Collects data of each frame, and draws at the end.

    Args:
        plot: where to draw the stream's rate and drops; None: nowhere.
        sheet: the PNG to lay frames out in; None: none.
        count: how many frames there will be: those on the sheet are spread over them evenly.
        stdout_is_free: whether nothing else goes to standard output.

    Raises:
        UsageError: the name does not end in .png, or standard output is needed twice.
        MissingPrerequisiteError: a library is not installed.
    """

    def __init__(
        self, plot: str | None, sheet: str | None, count: int, *, stdout_is_free: bool = True
    ) -> None:
        self._plot, self._sheet = plot, sheet
        self._course = TimingLog()
        self._shots: list[Shot] = []
        self._seen = 0
        shown = min(_PICTURES, count)
        self._chosen = {round(i * (count - 1) / max(1, shown - 1)) for i in range(shown)}
        if plot is not None:
            if plot in plots.TERMINAL and not stdout_is_free:
                raise UsageError(
                    f"--plot {plot} wants standard output, and something else does, too",
                    hint="plot to a FILE.png",
                )
            plots.check(plot)
        if sheet is not None:
            if Path(sheet).suffix.lower() != ".png":
                raise UsageError(f"--contact-sheet {sheet} does not end in .png", hint="name it FILE.png")
            from vb2user.pixels.ffmpeg import av

            av()

    def __call__(self, frame: Frame, stats: StreamStats) -> None:
        """Add a frame of the stream."""
        if self._plot is not None:
            self._course.add(frame, stats)
        if self._sheet is not None and self._seen in self._chosen:
            self._keep(frame)
        self._seen += 1

    def _keep(self, frame: Frame) -> None:
        from vb2user.media.contact_sheet import Shot
        from vb2user.pixels.picture import to_rgb

        try:
            picture = to_rgb(frame, _WIDTH)
        except CorruptFrameError:
            return  # too short for a picture: the stream counts it as an error
        self._shots.append(Shot(picture, f"{frame.sequence} at {frame.timestamp:.3f} s", alert=not frame.ok))

    def finish(self, result: dict[str, Any]) -> None:
        """Draw; ``result`` is what ``capture --json`` prints.

        Raises:
            UsageError: there are too few frames, or the file cannot be written.
        """
        what = f"{result['format']} {result['width']}x{result['height']}, {result['memory']}"
        if self._sheet is not None:
            from vb2user.media.contact_sheet import contact_sheet

            said = (
                f"{result['frames']} frames at {result['rate']:g} fps, {result['drops']} dropped, "
                f"{result['errors']} with errors"
            )
            contact_sheet(
                self._shots,
                self._sheet,
                title=f"{result['card']} - {what}",
                subtitle=said,
                width=_WIDTH,
            )
        if self._plot is not None:
            plots.draw(self._course, f"{result['card']} ({result['device']}), {what}", self._plot)

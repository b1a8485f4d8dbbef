"""Layer 8: ``vb2user capture``: capture frames through any memory type, with or without a file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from vb2user.camera import Camera
from vb2user.camera import open as open_camera
from vb2user.cli import complete
from vb2user.cli.output import document, json_option, say, table, talk, will_write
from vb2user.cli.streaming import StreamOptions, progress, refuse_fewer_buffers, set_up, stream_options
from vb2user.errors import UsageError, Vb2Error
from vb2user.files import Replacement
from vb2user.memory.types import MEMORY_TYPES
from vb2user.stream import clock
from vb2user.stream.frame import Frame
from vb2user.stream.stream import Stream

if TYPE_CHECKING:
    from vb2user.cli.watch import Watch


@click.command()
@stream_options
@click.option("--count", type=click.IntRange(1), default=100, show_default=True, help="Frames to capture.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The frames' bytes, one after the other; - for stdout.",
    shell_complete=complete.files,
)
@click.option(
    "--plot",
    metavar="FILE.png|terminal",
    help="Draw rate, jitter, latency and drops over time; 'terminal' or '-': in the terminal.",
    shell_complete=complete.files,
)
@click.option(
    "--contact-sheet",
    "sheet",
    metavar="FILE.png",
    help="Lay up to 24 of the frames out.",
    shell_complete=complete.files,
)
@json_option
def capture(
    device: str,
    wish: StreamOptions,
    count: int,
    output: str | None,
    plot: str | None,
    sheet: str | None,
    as_json: bool,
) -> None:
    """Capture frames from the node DEV and say how it went.

    Ends with 1 if the driver flagged frames as broken. A format, size or rate that the driver would
    change is refused with what it offers instead.
    """
    if output == "-" and as_json:
        raise UsageError("-o - and --json both want standard output", hint="write the frames to a file")
    will_write(output, sheet, plot if plot and Path(plot).suffix else None)
    watch = None
    if plot is not None or sheet is not None:
        from vb2user.cli.watch import Watch

        watch = Watch(plot, sheet, count, stdout_is_free=not as_json and output != "-")
    with open_camera(device) as cam:
        set_up(cam, wish)
        with _output(output) as write:
            result = run(cam, wish, count, write, watch)
    if as_json:
        document(result)
    else:
        _show(result, to_stderr=output == "-")
    if watch is not None:
        watch.finish(result)
    sys.exit(1 if result["errors"] else 0)


@contextlib.contextmanager
def _output(name: str | None) -> Iterator[Callable[[Frame], int] | None]:
    """Return a function that writes a frame and returns its bytes.

    An old file stays until a frame is written.
    """
    if name is None:
        yield None
    elif name == "-":
        yield lambda frame: _write(sys.stdout.buffer, frame)
    else:
        try:
            out = Replacement(name, growing=True)
        except OSError as e:
            raise UsageError(f"{name}: cannot be written: {e.strerror}", hint="choose another file") from None

        def write(frame: Frame) -> int:
            size = _write(out.file, frame)
            out.commit()
            return size

        try:
            with out:
                yield write
        except OSError as e:  # close() writes, too
            if isinstance(e, (Vb2Error, BrokenPipeError)):
                raise
            raise UsageError(
                f"{name}: writing failed: {e.strerror}", hint="make room, or choose another file"
            ) from None


def run(
    cam: Camera,
    wish: StreamOptions,
    count: int,
    write: Callable[[Frame], int] | None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Capture, and return the document of ``capture --json``. A KeyboardInterrupt has the frames so far."""
    stream = wish.stream(cam, count, on_error="yield")
    begun = time.monotonic()
    errors = size = 0
    try:
        with stream, progress("capturing", count) as step:
            refuse_fewer_buffers(stream, wish)
            exporter = stream.exporter()
            for frame in stream:
                step()
                errors += not frame.ok
                if watch is not None:
                    watch(frame, stream.stats)
                # What a driver leaves free before a picture (data_offset) counts as used, and is not written.
                size += frame.bytesused if write is None else write(frame)
    except KeyboardInterrupt:
        talk(f"interrupted after {stream.stats.frames} of {count} frames; everything was given back")
        sys.exit(130)
    if (told := clock.describe(stream.stats)) is not None:
        talk(f"{cam.path}: {told}")
    return _result(cam, wish, stream, exporter, time.monotonic() - begun) | {"bytes": size}


def _write(file: IO[bytes], frame: Frame) -> int:
    return sum(file.write(plane.data) for plane in frame.planes)


def _result(
    cam: Camera, wish: StreamOptions, stream: Stream, exporter: str | None, seconds: float
) -> dict[str, Any]:
    f, stats = stream.format, stream.stats
    return {
        "device": cam.path,
        "driver": cam.driver,
        "card": cam.card,
        "memory": wish.memory,
        "heap": (wish.heap or "system") if "heap" in MEMORY_TYPES[wish.memory].takes else None,
        "exporter": exporter,
        "format": str(f.pixelformat),
        "width": f.width,
        "height": f.height,
        "buffers": stream.buffers,
        "frames": stats.frames,
        "drops": stats.drops,
        "errors": stats.errors,
        "rate": round(stats.rate, 3),
        "seconds": round(seconds, 3),
    }


def _show(result: dict[str, Any], *, to_stderr: bool) -> None:
    text = (
        f"{result['frames']} frames of {result['format']} {result['width']}x{result['height']} "
        f"at {result['rate']:g} fps, {result['drops']} dropped, {result['errors']} with errors"
    )
    if to_stderr:
        talk(text)
        return
    say(text)
    table("", ("", ""), [(key, str(value)) for key, value in result.items() if value is not None])

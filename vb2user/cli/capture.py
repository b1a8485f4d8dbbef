"""Layer 6: ``vb2user capture``: frames through any memory type, to a file or to nowhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from vb2user.capture.camera import MEMORY_NAMES, Camera
from vb2user.capture.camera import open as open_camera
from vb2user.capture.frame import Frame
from vb2user.capture.stream import Stream
from vb2user.cli import complete
from vb2user.cli.output import document, json_option, table, talk
from vb2user.errors import UsageError, Vb2Error
from vb2user.uapi import calls
from vb2user.uapi.fourcc import FourCC


@dataclass(frozen=True)
class _Wish:
    """What the command line asks for."""

    memory: str
    heap: str | None
    format: str | None
    size: tuple[int, int] | None
    fps: float | None
    count: int
    buffers: int
    timeout: float
    input: int | None


class _Size(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic from click 8.4 on
    name = "WxH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        width, _, height = str(value).lower().partition("x")
        if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
            self.fail(f"{value!r} is no size: write it as 640x480", param, ctx)
        return int(width), int(height)


@click.command()
@click.argument("device", metavar="DEV", shell_complete=complete.nodes)
@click.option("--memory", type=click.Choice(MEMORY_NAMES), default="mmap", show_default=True)
@click.option(
    "--heap",
    metavar="NAME|DEV",
    help="With dmabuf: system, udmabuf, or a node that exports.",
    shell_complete=complete.heaps,
)
@click.option(
    "--format",
    "pixelformat",
    metavar="F",
    help="Pixel format, e.g. YUYV, NV12, MJPG.",
    shell_complete=complete.formats,
)
@click.option("--size", type=_Size(), help="Width and height in pixels.", shell_complete=complete.sizes)
@click.option("--fps", type=click.FloatRange(0, min_open=True), help="Frames per second.")
@click.option("--count", type=click.IntRange(1), default=100, show_default=True, help="Frames to capture.")
@click.option("--buffers", type=int, default=4, show_default=True)
@click.option("--input", "input_index", type=click.IntRange(0), help="Index of the input to choose first.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="For each frame.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The frames' bytes, one after the other; - for stdout.",
    shell_complete=complete.files,
)
@json_option
def capture(
    device: str,
    memory: str,
    heap: str | None,
    pixelformat: str | None,
    size: tuple[int, int] | None,
    fps: float | None,
    count: int,
    buffers: int,
    input_index: int | None,
    timeout: float,
    output: str | None,
    as_json: bool,
) -> None:
    """Capture frames from the node DEV and say how it went.

    Ends with 1 if the driver flagged frames as broken. A format, size or rate that the driver would
    change is refused with what it offers instead.
    """
    if heap is not None and memory != "dmabuf":
        raise UsageError(f"--heap {heap} goes with --memory dmabuf, not with {memory}")
    if output == "-" and as_json:
        raise UsageError("-o - and --json both want standard output", remedy="write the frames to a file")
    wish = _Wish(memory, heap, pixelformat, size, fps, count, buffers, timeout, input_index)
    with open_camera(device) as cam:
        set_up(cam, wish)
        with _output(output) as sink:
            result = run(cam, wish, sink)
    if as_json:
        document(result)
    else:
        _show(result, to_stderr=output == "-")
    sys.exit(1 if result["errors"] else 0)


def set_up(cam: Camera, wish: _Wish) -> None:
    """Input, format, size and rate; what the driver would change is refused."""
    if wish.input is not None:
        cam.set_input(wish.input)
    if wish.format is not None or wish.size is not None:
        width, height = wish.size or (None, None)
        _refuse_change(cam, wish, cam.try_format(wish.format, width, height))
        cam.set_format(wish.format, width, height)
    if wish.fps is not None:
        granted = float(cam.set_fps(wish.fps))
        if abs(granted - wish.fps) > 0.01 * wish.fps:
            raise UsageError(
                f"{cam.path}: the driver makes {granted:g} frames per second of {wish.fps:g}",
                remedy=f"use --fps {granted:g}; 'vb2user info {cam.path}' lists the rates",
            )


def _refuse_change(cam: Camera, wish: _Wish, granted: calls.Format) -> None:
    if wish.format is not None and granted.pixelformat != FourCC(wish.format):
        offers = ", ".join(dict.fromkeys(str(f.pixelformat) for f in cam.formats()))
        raise UsageError(
            f"{cam.path}: the driver has no {FourCC(wish.format)} and would give {granted.pixelformat}",
            remedy=f"use one of {offers}",
        )
    if wish.size is not None and (granted.width, granted.height) != wish.size:
        sizes = ", ".join(str(s) for s in cam.frame_sizes(granted.pixelformat))
        raise UsageError(
            f"{cam.path}: the driver makes {granted.width}x{granted.height} of {wish.size[0]}x{wish.size[1]}",
            remedy=f"use --size {granted.width}x{granted.height}" + (f", or one of {sizes}" if sizes else ""),
        )


@contextlib.contextmanager
def _output(name: str | None) -> Iterator[IO[bytes] | None]:
    if name is None:
        yield None
    elif name == "-":
        yield sys.stdout.buffer
    else:
        try:
            file = Path(name).open("wb")  # noqa: SIM115 - closed below, after the error was told apart
        except OSError as e:
            raise UsageError(
                f"{name}: cannot be written: {e.strerror}", remedy="choose another file"
            ) from None
        try:
            with file:
                yield file
        except OSError as e:  # closing writes, too
            if isinstance(e, (Vb2Error, BrokenPipeError)):
                raise
            raise _cannot_write(name, e) from None


def run(cam: Camera, wish: _Wish, sink: IO[bytes] | None) -> dict[str, Any]:
    """Capture; returns what ``capture --json`` prints. KeyboardInterrupt says how far it came."""
    stream = cam.stream(
        memory=wish.memory,
        heap=wish.heap,
        buffers=wish.buffers,
        timeout=wish.timeout,
        count=wish.count,
        on_error="yield",
    )
    begun = time.monotonic()
    errors = size = 0
    try:
        with stream, _progress(wish.count) as step:
            if stream.buffers < wish.buffers:
                raise UsageError(
                    f"{cam.path}: the driver granted {stream.buffers} buffers of {wish.buffers}",
                    remedy=f"use --buffers {stream.buffers}",
                )
            exporter = stream.exporter()
            for frame in stream:
                step()
                size += frame.bytesused
                errors += not frame.ok
                if sink is not None:
                    _write(sink, frame)
    except KeyboardInterrupt:
        talk(f"interrupted after {stream.stats.frames} of {wish.count} frames; everything was given back")
        sys.exit(130)
    return _result(cam, wish, stream, exporter, time.monotonic() - begun) | {"bytes": size}


def _write(sink: IO[bytes], frame: Frame) -> None:
    try:
        for plane in frame.planes:
            sink.write(plane.data)
    except BrokenPipeError:
        raise
    except OSError as e:
        raise _cannot_write(sink.name, e) from None


def _cannot_write(name: str, error: OSError) -> UsageError:
    return UsageError(f"{name}: writing failed: {error.strerror}", remedy="make room, or choose another file")


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Any]:
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("capturing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)


def _result(cam: Camera, wish: _Wish, stream: Stream, exporter: str | None, seconds: float) -> dict[str, Any]:
    f, stats = stream.format, stream.stats
    return {
        "device": cam.path,
        "driver": cam.driver,
        "card": cam.card,
        "memory": wish.memory,
        "heap": (wish.heap or "system") if wish.memory == "dmabuf" else None,
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
    click.echo(text)
    table("", ("", ""), [(key, str(value)) for key, value in result.items() if value is not None])

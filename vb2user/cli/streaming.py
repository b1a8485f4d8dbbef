"""Layer 8: the common part of the commands that stream: options, set-up, progress."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from vb2user.camera import Camera
from vb2user.cli import complete
from vb2user.cli.node import device_argument
from vb2user.cli.output import talk
from vb2user.device.discovery import no_frames_note
from vb2user.errors import UsageError
from vb2user.memory.types import MEMORY_TYPES
from vb2user.stream.stream import Stream

#: The default number of buffers.
BUFFERS = 4

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class StreamOptions:
    """The stream options of a command line; ``exact``: fewer buffers than asked for are an error."""

    memory: str
    heap: str | None
    format: str | None
    size: tuple[int, int] | None
    fps: float | None
    buffers: int
    timeout: float
    input: int | None
    exact: bool = False

    def stream(self, cam: Camera, count: int | None, **policies: Any) -> Stream:
        """Return the stream for these options, not started."""
        return cam.stream(
            memory=self.memory,
            heap=self.heap,
            buffers=self.buffers,
            timeout=self.timeout,
            count=count,
            **policies,
        )


class Size(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic from click 8.4 on
    """Width and height, written as 640x480."""

    name = "WxH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return the two numbers; any other text is wrong usage."""
        width, _, height = str(value).lower().partition("x")
        if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
            self.fail(f"{value!r} is not a size: write it as 640x480", param, ctx)
        return int(width), int(height)


_SET_UP = (
    device_argument,
    click.option("--memory", type=click.Choice(tuple(MEMORY_TYPES)), default="mmap", show_default=True),
    click.option(
        "--heap",
        metavar="NAME|DEV",
        help="With dmabuf: system, udmabuf, or a node that exports.",
        shell_complete=complete.heaps,
    ),
    click.option(
        "--format",
        "pixelformat",
        metavar="F",
        help="Pixel format, e.g. YUYV, NV12, MJPG.",
        shell_complete=complete.formats,
    ),
    click.option("--size", type=Size(), help="Width and height in pixels.", shell_complete=complete.sizes),
    click.option("--fps", type=click.FloatRange(0, min_open=True), help="Frames per second."),
    click.option(
        "--input", "input_index", type=click.IntRange(0), help="Index of the input to choose first."
    ),
)
_STREAM = (
    click.option(
        "--buffers",
        type=int,
        help=f"How many, exactly; by default {BUFFERS}, or as many as the driver grants.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="For each frame.",
    ),
)


def set_up_options(command: _F) -> _F:
    """Add DEV and its settings: the command gets ``device`` and ``wish``, a :class:`StreamOptions`."""
    return _wishing(command, _SET_UP)


def stream_options(command: _F) -> _F:
    """Add :func:`set_up_options`, and the options of the stream."""
    return _wishing(command, _SET_UP + _STREAM)


def _wishing(command: _F, options: Sequence[Callable[[Any], Any]]) -> _F:
    @functools.wraps(command)
    def wished(
        *,
        memory: str,
        heap: str | None,
        pixelformat: str | None,
        size: tuple[int, int] | None,
        fps: float | None,
        input_index: int | None,
        buffers: int | None = None,
        timeout: float = 10.0,
        **rest: Any,
    ) -> Any:
        takers = [t.name for t in MEMORY_TYPES.values() if "heap" in t.takes]
        if heap is not None and memory not in takers:
            raise UsageError(f"--heap {heap} goes with --memory {' or '.join(takers)}, not with {memory}")
        count, exact = (BUFFERS, False) if buffers is None else (buffers, True)
        wish = StreamOptions(memory, heap, pixelformat, size, fps, count, timeout, input_index, exact)
        return command(wish=wish, **rest)

    decorated: Any = wished
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def set_up(cam: Camera, wish: StreamOptions) -> None:
    """Set input, format, size and rate. The driver must not change them. Print a note on a metadata node.

    UsageError: the node converts from memory to memory, and no command writes to its output queue.
    """
    if (note := no_frames_note(cam)) is not None:
        if cam.m2m:
            raise UsageError(
                f"{note[0]}, and this command gives it nothing",
                hint="write a program with stream() and output() of one vb2user.Camera",
            )
        talk(note[0])
    if wish.input is not None:
        cam.set_input(wish.input)
    if wish.format is not None or wish.size is not None:
        width, height = wish.size or (None, None)
        cam.set_format(wish.format, width, height, strict=True)
    if wish.fps is not None:
        told = cam.set_fps(wish.fps)
        granted = wish.fps if told is None else float(told)
        if told is None:
            talk(f"{cam.path}: the driver does not tell which rate it makes of {wish.fps:g}")
        if abs(granted - wish.fps) > 0.01 * wish.fps:
            raise UsageError(
                f"{cam.path}: the driver makes {granted:g} frames per second of {wish.fps:g}",
                hint=f"use --fps {granted:g}; 'vb2user info {cam.path}' lists the rates",
            )


def refuse_fewer_buffers(stream: Stream, wish: StreamOptions) -> None:
    """Raise UsageError if the driver granted a started stream fewer buffers than the user asked for."""
    if wish.exact and stream.buffers < wish.buffers:
        raise UsageError(
            f"{stream.name}: the driver granted {stream.buffers} buffers of {wish.buffers}",
            hint=f"use --buffers {stream.buffers}",
        )


@contextlib.contextmanager
def progress(what: str, frames: int | None, seconds: float | None = None) -> Iterator[Callable[..., None]]:
    """Show a bar on standard error if that is a terminal. Call the result for each frame.

    Args:
        what: the action's name.
        frames: the number of frames; None if not known.
        seconds: how long it will take by the frames' times, where that is what ends it.
    """
    if not sys.stderr.isatty():
        yield lambda frame=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
    )
    by_time = frames is None and seconds is not None
    first: list[int] = []
    seen = 0
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=seconds if by_time else frames, text="")

        def step(frame: Any = None) -> None:
            nonlocal seen
            seen += 1
            done: float = seen
            if by_time and frame is not None:
                first[:] = first or [frame.time_ns]
                done = (frame.time_ns - first[0]) / 1e9
            text = f"{seen}/{frames} frames" if frames else f"{seen} frames"
            bar.update(task, completed=done, text=text)

        yield step

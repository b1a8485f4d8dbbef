"""Layer 8: ``vb2user record`` and ``vb2user snapshot``: save videos and pictures to files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vb2user.camera import Camera
from vb2user.camera import open as open_camera
from vb2user.cli import complete
from vb2user.cli.output import document, json_option, say, table, talk, will_write
from vb2user.cli.streaming import StreamOptions, progress, refuse_fewer_buffers, set_up, stream_options
from vb2user.errors import CorruptFrameError, UsageError
from vb2user.stream.frame import Frame

if TYPE_CHECKING:
    from vb2user.media.recorder import Recorder
    from vb2user.media.recording import Recording
    from vb2user.stream.stream import Stream
    from vb2user.uapi.calls import Format


def _options(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise UsageError(f"--option {name}: it has no value", hint="write it as NAME=VALUE, e.g. crf=18")
    return {name: value for name, _, value in pairs}


@click.command()
@stream_options
@click.argument("file", type=click.Path(), shell_complete=complete.files)
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="How long.")
@click.option("--count", type=click.IntRange(1), help="How many frames.")
@click.option("--codec", metavar="NAME", help="An encoder of FFmpeg's, e.g. libx264, ffv1, mjpeg.")
@click.option("--pix-fmt", metavar="NAME", help="What to encode, as FFmpeg names it, e.g. yuv420p10le.")
@click.option("--option", "pairs", metavar="NAME=VALUE", multiple=True, help="Of the encoder, e.g. crf=18.")
@json_option
def record(
    device: str,
    wish: StreamOptions,
    file: str,
    seconds: float | None,
    count: int | None,
    codec: str | None,
    pix_fmt: str | None,
    pairs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Record from the node DEV into FILE: .mkv, .mp4, .mov, .webm, .y4m, .mjpg, .h264 or .raw.

    Without --seconds and --count it records until Ctrl-C. MJPG, H.264 and HEVC are not encoded again unless
    --codec is given. Frames keep their times, so lost frames leave gaps. FILE can always be played, also
    after an error or Ctrl-C. Frames that the driver flagged as broken are left out. Ends with 1 if there were
    such frames, or if FILE is clearly shorter than --seconds.
    """
    from vb2user.media import container
    from vb2user.pixels import ffmpeg

    options = _options(pairs)
    will_write(file)
    if container.kind_of(Path(file)).name:
        ffmpeg.av()  # before the device is touched
    with open_camera(device) as cam:
        set_up(cam, wish)
        result, status = _run(cam, wish, file, seconds, count, codec, pix_fmt, options)
    if as_json:
        document(result)
    else:
        say(
            f"{result['frames']} frames, {result['seconds']:g} s of {result['codec'] or 'raw frames'} in "
            f"{file}: {result['bytes']} bytes; {result['drops']} dropped, {result['errors']} with errors"
            + _others(result)
        )
        table("", ("", ""), [(key, str(value)) for key, value in result.items() if value is not None])
    sys.exit(status)


def _others(result: dict[str, Any]) -> str:
    """Return a text about the frames that are not in the file, or an empty one."""
    found = [f"{result[name]} {name}" for name in ("short", "corrupt", "skipped") if result[name]]
    return f"; left out: {', '.join(found)}" if found else ""


def _run(
    cam: Camera,
    wish: StreamOptions,
    file: str,
    seconds: float | None,
    count: int | None,
    codec: str | None,
    pix_fmt: str | None,
    options: dict[str, str],
) -> tuple[dict[str, Any], int]:
    """Record. Return the document of ``--json`` and the exit status, which is another one after Ctrl-C."""
    from vb2user.media import record as recording
    from vb2user.media.recorder import Recorder
    from vb2user.stream import clock

    stream = wish.stream(cam, count)
    out = Recorder(file, stream.format, fps=cam.fps, codec=codec, pix_fmt=pix_fmt, options=options)
    bits_told = _tell_lost_bits(out, pix_fmt)  # now, because the recording may take hours
    interrupted = False
    try:
        with out, stream, progress("recording", count, seconds) as step:
            refuse_fewer_buffers(stream, wish)
            exporter = stream.exporter()
            recording.record(stream, out, seconds=seconds, on_frame=step)
    except KeyboardInterrupt:
        interrupted = True
        if not out.frames:
            raise
    done = out.result(stream.stats)
    complete = not (interrupted and (seconds or count))
    if seconds and not interrupted and not count:
        complete = _is_long_enough(done, seconds, float(cam.fps or stream.stats.rate))
    if (told := clock.describe(stream.stats)) is not None:
        talk(f"{cam.path}: {told}")
    if interrupted and (seconds or count):
        talk(f"interrupted after {done.frames} frames; {file} is finished and can be played")
    if not bits_told:  # without a rate, only the first two frames told it
        _tell_lost_bits(out, pix_fmt)
    result = {
        "device": cam.path,
        "memory": wish.memory,
        "exporter": exporter,
        "seconds_asked": seconds,
        "complete": complete,
        "interrupted": interrupted,
        **_document(stream.format, done),
    }
    failed = done.stats.errors or not (complete or interrupted)
    return result, 130 if interrupted and (seconds or count) else 1 if failed else 0


def _document(format: Format, done: Recording) -> dict[str, Any]:
    """Return the document of ``--json``."""
    return {
        "file": str(done.path),
        "format": str(format.pixelformat),
        "width": format.width,
        "height": format.height,
        "codec": done.codec,
        "passed_through": done.passed_through,
        "lost_bits": done.lost_bits,
        "frames": done.frames,
        "seconds": round(done.duration, 6),
        "bytes": done.size,
        "skipped": done.skipped,
        "retimed": done.retimed,
        "drops": done.stats.drops,
        "errors": done.stats.errors,
        "short": done.stats.truncated,
        "corrupt": done.corrupt,
        "rate": round(done.stats.rate, 3),
        "clock": done.stats.clock,
        "bad_timestamps": done.stats.bad_timestamps,
    }


def _tell_lost_bits(out: Recorder, pix_fmt: str | None) -> bool:
    """Print how many bits of a sample are lost, unless the user chose the format. False: none so far."""
    if out.lost_bits and pix_fmt is None:
        talk(
            f"{out.codec} gets {out.lost_bits} bits fewer than each sample of {out.format.pixelformat} has; "
            "--codec ffv1 keeps all"
        )
    return out.lost_bits > 0


def _is_long_enough(done: Recording, seconds: float, rate: float) -> bool:
    """Tell whether the file is long enough. Print a message if two frames and a twentieth are missing."""
    missing = seconds - done.duration
    if missing <= max(2 / rate if rate else 0.0, seconds / 20):
        return True
    talk(
        f"{done.path} has {done.duration:.3g} s of the {seconds:g} s that were asked for: after that no "
        f"frame came in time; {done.stats.drops} were dropped, {done.frames} are in it. If this machine is "
        "too slow for the encoder: a smaller --size, --codec mjpeg, more --buffers"
    )
    return False


def _still(stream: Stream, skip: int, timeout: float, save: Callable[[Frame], Path]) -> tuple[Frame, Path]:
    """Return the first good frame after ``skip`` others. CorruptFrameError: there was none in time."""
    for _ in range(skip):
        stream.next_frame()
    deadline = time.monotonic() + timeout
    while True:
        frame = stream.next_frame()
        try:
            return frame, save(frame)
        except CorruptFrameError:
            if time.monotonic() >= deadline:
                raise


@click.command()
@stream_options
@click.argument("file", type=click.Path(), shell_complete=complete.files)
@click.option(
    "--skip",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Frames to leave out first: a camera needs some to find its exposure.",
)
@click.option("--quality", type=click.IntRange(1, 100), default=90, show_default=True, help="Of a JPEG.")
@json_option
def snapshot(device: str, wish: StreamOptions, file: str, skip: int, quality: int, as_json: bool) -> None:
    """Take one picture from the node DEV into FILE: .png, .jpg, .npy or .raw."""
    from vb2user.pixels import picture

    will_write(file)
    picture.check_name(file)
    with open_camera(device) as cam:
        set_up(cam, wish)
        with wish.stream(cam, None) as stream:
            refuse_fewer_buffers(stream, wish)
            frame, path = _still(stream, skip, wish.timeout, lambda frame: frame.save(file, quality=quality))
            result = {
                "device": cam.path,
                "file": str(path),
                "format": str(frame.format.pixelformat),
                "width": frame.width,
                "height": frame.height,
                "sequence": frame.sequence,
                "timestamp": frame.timestamp,
                "bytes": path.stat().st_size,
            }
    if as_json:
        document(result)
    else:
        say(f"frame {result['sequence']}, {frame.format}, in {file}: {result['bytes']} bytes")

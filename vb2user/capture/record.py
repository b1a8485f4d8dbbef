"""Layer 5: frames into a video file, each at its own time, and a file that can be played on every way out.

The file's times are those at which frames were taken (``Frame.time_ns``), counted from the first: a frame
that was lost leaves a gap, and nothing is put there. MJPG, H.264 and HEVC go into the file as they came; all
else is encoded by PyAV, the extra ``media``. Knows frames and files, no devices.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from vb2user.capture import bitstream, colour, container, ffmpeg, y4m
from vb2user.capture.channels import Encoding
from vb2user.capture.clock import rate_of
from vb2user.capture.container import TICK
from vb2user.capture.layout import Layout
from vb2user.capture.picture import remedy_for
from vb2user.capture.recording import Recording as Recording
from vb2user.capture.recording import record as record
from vb2user.errors import ClosedError, CorruptFrame, KernelError, UsageError, Vb2Error

if TYPE_CHECKING:
    from vb2user.capture.ffmpeg import Array
    from vb2user.capture.frame import Frame
    from vb2user.capture.stats import StreamStats
    from vb2user.uapi import calls

_LEFT_OUT = "it is not in the file: go on with the next frame"
_HD = 720  #: Lines from which on R'G'B' becomes Y'CbCr by Rec. 709, as players take it.


class Recorder:
    """A video file that takes frames.

        with vb2user.Recorder("x.mkv", stream.format, fps=cam.fps) as out:
            for frame in stream:
                out.write(frame)

    What kind of file its name says: ``.mkv``, ``.mp4``, ``.mov``, ``.webm``, ``.y4m``, ``.mjpg``,
    ``.h264`` or ``.raw``; the last four keep no times. Two fields that lie one after the other are woven, as
    in :meth:`Frame.to_rgb`; a single field (``V4L2_FIELD_ALTERNATE``) is a frame of half the height.

    Args:
        path: the file; it is overwritten.
        format: of every frame, ``stream.format``.
        fps: frames per second, a hint for players and encoder; None: as the first two frames lie apart.
            Where each frame is a single field, twice as many come.
        codec: FFmpeg's name of an encoder, e.g. ``ffv1`` (loses nothing); None: frames that are compressed
            stay as they are, and others get what suits the kind of file.
        options: of the encoder, as ffmpeg(1) takes them, e.g. ``{"crf": "18"}``.
        pix_fmt: FFmpeg's name of the pixel format to encode; None: chosen.

    Attributes:
        frames, skipped, retimed, corrupt, duration: see :class:`Recording`.

    Raises:
        UsageError: a kind of file, codec or combination that there is not. MissingPrerequisite: no PyAV.
        KernelError: the file cannot be written; errno is told.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        format: calls.Format,
        *,
        fps: Fraction | float | None = None,
        codec: str | None = None,
        options: dict[str, str] | None = None,
        pix_fmt: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.format = format
        self.kind = container.kind_of(self.path)
        self.passed_through = codec is None and str(format.pixelformat) in self.kind.passes
        self.frames = self.skipped = self.retimed = self.corrupt = 0
        self.codec = codec or self.kind.codec
        self._fps = rate_of(fps, format.field)
        self._options = container.DEFAULTS.get(self.codec, {}) | (options or {})
        self._pix_fmt = pix_fmt
        self._lock = threading.Lock()
        self._planes = self.kind.name == y4m.NAME
        self._pending: tuple[Any, int] | None = None
        #: Of the first picture, where they are encoded; None: none came.
        self._size: tuple[int, int] | None = None
        self._first_ns = 0
        self._last_tick = -1
        self._file: IO[bytes] | None = None
        self._out: Any = None
        self._stream: Any = None
        self._closed = False
        self._entry = container.Entry(container.CODECS.get(str(format.pixelformat), ""))
        self._check(codec)
        with self._telling("open"):
            file = self.path.open("wb")
        if self.kind.name:
            # FFmpeg opens it by itself: no Python runs while it writes, so that no signal gets between.
            file.close()
            self._prepare()
        else:
            self._file = file

    def _prepare(self) -> None:
        """Open the encoder while no frame waits for it: its code may have to come from a cold disk."""
        f = self.format
        planes = [(p.bytesperline, p.sizeimage) for p in f.planes]
        layout = Layout.of(f.pixelformat, f.width, f.height, planes)
        if self._fps is None or self.passed_through or not layout.components:
            return  # what it is to be like, the first frames have to tell
        sizes = [max(p.sizeimage, layout.min_bytes(i)) for i, p in enumerate(f.planes)]
        blank = layout.arrays([np.zeros(size, np.uint8) for size in sizes], sizes)
        try:
            with self._telling("open"):
                self._begin(self._picture(blank, f.field))
        except BaseException:  # a Ctrl-C just after the encoder was opened, too
            self._finish(quietly=True)
            with contextlib.suppress(OSError):
                self.path.unlink()
            raise

    def _check(self, codec: str | None) -> None:
        code = str(self.format.pixelformat)
        if not self.kind.name:
            if codec is not None:
                raise UsageError(f"{self.path}: raw frames have no codec", remedy="record to .mkv")
            self.codec, self.passed_through = "", True
            return
        pyav = ffmpeg.av()
        if self.passed_through:
            self.codec = container.CODECS[code]
            return
        if code in container.CODECS and code not in ffmpeg.JPEGS:
            raise UsageError(
                f"{self.path}: {code} is not decoded here",
                remedy="record it as it is: to .mkv, without a codec",
            )
        try:
            found = pyav.Codec(self.codec, "w")
        except (ValueError, pyav.FFmpegError):
            raise UsageError(
                f"{self.path}: this FFmpeg has no encoder '{self.codec}'",
                remedy="choose another codec, e.g. ffv1, mjpeg, mpeg4",
            ) from None
        if found.type != "video":
            raise UsageError(f"{self.path}: '{self.codec}' encodes no pictures")

    # -- frames -------------------------------------------------------------------------------------

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        if not self.frames:
            return 0.0
        if not self.kind.timed:
            return float(self.frames / (self._fps or 25))
        return float(max(self._last_tick, 0) * TICK + 1 / (self._fps or 25))

    def write(self, frame: Frame) -> None:
        """Encode and write one frame; it can be released afterwards.

        Raises:
            KernelError: it cannot be written, e.g. ENOSPC. The recorder is closed then, and the file can be
                played up to there.
            UsageError: a frame of another format.
            CorruptFrame: it cannot be decoded: short, or no JPEG image. It is not in the file, and counted in
                ``corrupt``; the next frame can be written.
            ClosedError: the recorder is closed.
        """
        with self._lock:
            if self._closed:
                raise ClosedError(f"{self.path}: this recording is finished")
            if (frame.width, frame.height, frame.format.pixelformat) != (
                self.format.width,
                self.format.height,
                self.format.pixelformat,
            ):
                raise UsageError(
                    f"{self.path}: a frame of {frame.format} into a recording of {self.format}",
                    remedy="make a Recorder for each format",
                )
            try:
                with self._telling("write"):
                    self._write(frame)
            except CorruptFrame:
                self.corrupt += 1
                raise
            except KernelError:
                self._finish(quietly=True)
                raise

    async def awrite(self, frame: Frame) -> None:
        """:meth:`write` in a thread, so that other tasks go on meanwhile."""
        await asyncio.to_thread(self.write, frame)

    def _write(self, frame: Frame) -> None:
        if self._file is not None and self._write_own(self._file, frame):
            self.frames += 1
            return
        item = self._item(frame)
        if item is None:
            self.skipped += 1
            return
        stamp = frame.time_ns
        if self._fps is None:
            if self._pending is None:
                self._pending = (item, stamp)  # until the next one says how far apart they are
                return
            distance = stamp - self._pending[1]
            self._fps = Fraction(10**9, distance).limit_denominator(1000) if distance > 0 else Fraction(25)
        self._flush_pending()
        self._put(item, stamp)

    def _write_own(self, file: IO[bytes], frame: Frame) -> bool:
        """Write what lies in the driver's buffer, right from there; False: it is not what the file has."""
        if not self._planes:
            for plane in frame.planes:
                file.write(plane.data)
            return True
        components = ffmpeg.woven(frame.components, frame.field)
        planes = y4m.planes_of(frame.format.pixelformat, components, self._pix_fmt or "")
        if planes is not None:
            y4m.write(file, planes)
        return planes is not None

    def _flush_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            self._put(*pending)

    def _item(self, frame: Frame) -> Any:
        """What goes into the file: bytes, or a picture of FFmpeg's; nothing of it is the driver's."""
        if self.passed_through:
            return self._as_it_is(frame)
        item = self._picture(frame.components, frame.field)
        size = (item[0].width, item[0].height)
        if size != (self._size or size):
            raise CorruptFrame(
                f"{self.path}: frame {frame.sequence} is a picture of {size[0]}x{size[1]} among those of "
                "{}x{}".format(*(self._size or size)),
                remedy=_LEFT_OUT,
            )
        self._size = size
        return item

    def _as_it_is(self, frame: Frame) -> bytes | None:
        data = frame.array.tobytes()
        item: bytes | None = data
        flaw = bitstream.beginning_flaw(self.format.pixelformat, memoryview(data))
        if flaw is None and self._out is None and self._pending is None:
            item = self._entry.look(data)
            flaw = None if item is None else self._probed(item)
        if flaw is not None:
            raise CorruptFrame(
                f"{self.path}: frame {frame.sequence} cannot be decoded: {flaw}", remedy=_LEFT_OUT
            )
        return item

    def _probed(self, item: bytes) -> str | None:
        """Why a file cannot begin with this frame: FFmpeg finds no picture in it."""
        pyav = ffmpeg.av()
        try:
            with pyav.open(io.BytesIO(item), format=self.codec) as probe:
                return None if probe.streams.video[0].width else "FFmpeg finds no picture in it"
        except (pyav.FFmpegError, IndexError) as error:
            return f"FFmpeg says: {error}"

    def _picture(self, components: tuple[Array, ...], field: int) -> tuple[Any, str, container.Tags]:
        """A frame in the pixel format of the encoder, its colours as they are, and what they are."""
        f = self.format
        code = str(f.pixelformat)
        fields = {k: int(getattr(f, k)) for k in ("colorspace", "ycbcr_enc", "quantization")}
        arrays = ffmpeg.woven(components, field)
        hsv = code in ("HSV3", "HSV4")
        source = None if hsv else ffmpeg.wrap(arrays, f.pixelformat, **fields)
        before = colour.encoding_of(source.family if source else "rgb", **fields, jpeg=code in ffmpeg.JPEGS)
        if source is None or (source.family == "rgb" and not before.full):
            # What FFmpeg doesn't know, it gets as R'G'B' in full range.
            rgb = colour.to_rgb(arrays, f.pixelformat, **fields)
            source = ffmpeg.Source(ffmpeg.av().VideoFrame.from_ndarray(rgb, format="rgb24"), "rgb")
            before = Encoding(before.ycbcr_enc, full=True)
        wish = self._pix_fmt = self._pix_fmt or self._chosen(source)
        target = before
        if not _is_rgb(wish):
            matrix, full = before.ycbcr_enc, before.full
            if source.family == "rgb":  # as players take it where they are told nothing
                matrix, full = (2 if f.height >= _HD else 1), False
            target = Encoding(matrix, full or wish.startswith("yuvj") or self.codec == "mjpeg")
        picture = source.frame
        if picture.format.name != wish or before.full != target.full:
            matrix = colour.MATRICES.get(target.ycbcr_enc, 9)
            picture = ffmpeg.reformat(picture, wish, matrix=matrix, full=(before.full, target.full))
        return picture, wish, container.Tags.of(target, fields["colorspace"], int(f.xfer_func))

    def _chosen(self, source: ffmpeg.Source) -> str:
        offered = [f.name for f in ffmpeg.av().Codec(self.codec, "w").video_formats or ()]
        size = (source.frame.width, source.frame.height)
        return container.pixel_format(self.codec, offered, source.frame.format.name, source.family, size)

    # -- the file -----------------------------------------------------------------------------------

    def _put(self, item: Any, stamp: int) -> None:
        if self._out is None and self._file is None:
            self._begin(item)
        if self._file is not None:
            y4m.write(self._file, y4m.planes_of_picture(item[0]))
            self.frames += 1
            return
        if self._last_tick < 0:
            self._first_ns = stamp
        if self.kind.timed:
            tick = round((stamp - self._first_ns) / 10**9 / TICK)
            if tick <= self._last_tick:
                tick, self.retimed = self._last_tick + 1, self.retimed + 1
        else:
            tick = self._last_tick + 1
        self._last_tick = tick
        if self.passed_through:
            packet = ffmpeg.av().Packet(item)
            packet.stream, packet.time_base = self._stream, self._tick
            packet.pts = packet.dts = tick
            packet.duration = self._interval
            packet.is_keyframe = self._entry.is_key(item)
            self._out.mux(packet)
        else:
            picture = item[0]
            picture.pts, picture.time_base = tick, self._tick
            self._mux(self._stream.encode(picture))
        self.frames += 1

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            if not packet.duration:
                packet.duration = self._interval
            self._out.mux(packet)

    def _begin(self, item: Any) -> None:
        pyav = ffmpeg.av()
        rate = self._fps or Fraction(25)
        self._tick = TICK if self.kind.timed else 1 / rate
        self._interval = max(1, round(1 / rate / self._tick))
        if self._planes:
            first = y4m.header(item[0], lambda out: self._encoder(out, item, rate))
            file = self.path.open("wb")
            file.write(first)
            self._file = file  # last: what goes into a file without its first line cannot be played
            return
        # With a protocol in front no name is taken for one ("a:b.mkv").
        out = pyav.open(f"file:{self.path}", "w", format=self.kind.name, options=self.kind.options)
        try:
            if self.passed_through:
                with pyav.open(io.BytesIO(item), format=self.codec) as probe:
                    template = probe.streams.video[0]
                    self._stream = out.add_stream_from_template(template, opaque=True)
                    self._stream.time_base = self._tick
                    out.start_encoding()
            else:
                self._stream = self._encoder(out, item, rate)
        except BaseException:
            with contextlib.suppress(Exception):
                out.close()
            raise
        self._out = out

    def _encoder(self, out: Any, item: Any, rate: Fraction) -> Any:
        picture, pix_fmt, tags = item
        stream = out.add_stream(self.codec, rate=rate, options=dict(self._options))
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, pix_fmt
        stream.time_base = stream.codec_context.time_base = self._tick
        for name in ("qmin", "qmax"):
            if name in self._options:
                setattr(stream.codec_context, name, int(self._options[name]))
        coder = stream.codec_context
        if not _is_rgb(pix_fmt):
            coder.colorspace = tags.colorspace
            coder.color_range = 2 if tags.full else 1
        coder.color_primaries, coder.color_trc = tags.color_primaries, tags.color_trc
        out.start_encoding()
        return stream

    def close(self) -> None:
        """Finish the file. Idempotent. One into which no frame came is taken away.

        Raises:
            KernelError: its end could not be written; it can be played up to there.
        """
        with self._lock:
            self._finish()

    def _finish(self, *, quietly: bool = False) -> None:
        if self._closed:
            return
        try:
            with contextlib.suppress(Exception) if quietly else self._telling("write"):
                try:
                    self._flush_pending()
                    if self._out is not None and not self.passed_through:
                        self._mux(self._stream.encode(None))
                finally:
                    # An interrupt anywhere above still comes to here.
                    for opened in (self._out, self._file):
                        if opened is not None:
                            opened.close()
        finally:
            self._closed = True
            if not self.frames and not quietly:
                with contextlib.suppress(OSError):
                    self.path.unlink()

    @contextlib.contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """What the system says of the file becomes one line that names it."""
        try:
            yield
        except Vb2Error:
            raise
        except OSError as e:  # PyAV's errors are some, too
            number, text = e.errno or 0, e.strerror or str(e)
        except ValueError as e:  # FFmpeg's EINVAL
            number, text = 0, str(e)
        else:
            return
        if number <= 0 or number == 22:
            raise UsageError(
                f"{self.path}: {self.codec} into {self.path.suffix} does not go: {text}",
                remedy="choose another codec or kind of file, or other options",
            )
        # Some may not have left FFmpeg's hands: it writes in pieces of a second.
        done = f"it can be played up to about frame {self.frames}" if self.frames else None
        raise KernelError(number, what, str(self.path), meaning=done, remedy=remedy_for(self.path))

    def result(self, stats: StreamStats) -> Recording:
        """What it has become, with what the stream saw."""
        with contextlib.suppress(OSError):
            return self._result(stats, self.path.stat().st_size)
        return self._result(stats, 0)

    def _result(self, stats: StreamStats, size: int) -> Recording:
        return Recording(
            self.path,
            self.codec,
            self.passed_through,
            self.frames,
            self.duration,
            size,
            self.skipped,
            self.retimed,
            stats,
            self.corrupt,
        )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Vb2Error:
            if error is None:  # an error while cleaning up never hides the first one
                raise

    def __repr__(self) -> str:
        state = "finished" if self._closed else "open"
        return f"<Recorder {self.path} {self.format}, {self.frames} frames, {state}>"


def _is_rgb(pix_fmt: str) -> bool:
    return any(name in pix_fmt for name in ("rgb", "bgr", "gbr"))

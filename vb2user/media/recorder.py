"""Layer 6: write frames into a video file, each at its own time.

The file's times are the frames' own (``Frame.time_ns``), counted from the first, so a lost frame leaves a
gap. MJPG, H.264 and HEVC go into the file as they came. PyAV, the extra ``media``, encodes all other frames.
The file can be played on every way out. This module knows frames and files, but no devices.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import io
import os
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from vb2user import checks
from vb2user.errors import ClosedError, CorruptFrameError, KernelError, StateError, UsageError, Vb2Error
from vb2user.files import Replacement
from vb2user.media import container, y4m
from vb2user.media.container import TICK
from vb2user.media.encoder_input import Pictures
from vb2user.media.recording import Recording
from vb2user.pixels import bitstream, ffmpeg
from vb2user.pixels.layout import Layout
from vb2user.pixels.picture import hint_for
from vb2user.stream.clock import rate_of

if TYPE_CHECKING:
    from vb2user.stream.frame import Frame
    from vb2user.stream.stats import StreamStats
    from vb2user.uapi import calls

_LEFT_OUT = "it is not in the file: go on with the next frame"


class _Telling:
    """Replaces the system's error by an error of this library.

    This is not a contextlib generator. In CPython 3.12.1 and 3.13.0 such a generator keeps an error that it
    replaces, and with it the objects of the callers' frames.
    """

    def __init__(self, meant: Callable[[OSError | ValueError], Vb2Error]) -> None:
        self._meant = meant

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, (OSError, ValueError)) and not isinstance(error, Vb2Error):
            raise self._meant(error)


class Recorder:
    """A video file that takes frames.

        with vb2user.Recorder("x.mkv", stream.format, fps=cam.fps) as out:
            for frame in stream:
                out.write(frame)

    The end of its name chooses the kind of file: ``.mkv``, ``.mp4``, ``.mov``, ``.webm``, ``.y4m``,
    ``.mjpg``, ``.h264`` or ``.raw``. The last four keep no times. Two fields that lie one after the other are
    woven, as in :meth:`Frame.to_rgb`. A single field (``V4L2_FIELD_ALTERNATE``) is a frame of half the
    height.

    Args:
        path: the file. An old file stays until the first frame is in the new one, so a recording without
            frames changes nothing. A FIFO or a device node is written to.
        format: of every frame, ``stream.format``.
        fps: frames per second, a hint for players and encoder. None: the first two frames give the rate. If
            each frame is a single field, twice as many come.
        codec: FFmpeg's name of an encoder, e.g. ``ffv1``, which keeps every sample. An encoder that takes
            fewer bits than the samples have raises UsageError. None: compressed frames stay as they are, and
            others get the file's default codec, in 8 bits.
        options: of the encoder, as ffmpeg(1) takes them, e.g. ``{"crf": "18"}``.
        pix_fmt: FFmpeg's name of the pixel format to encode, also one of fewer bits; None: chosen.

    Attributes:
        frames, skipped, retimed, corrupt, duration: see :class:`Recording`.

    Raises:
        UsageError: the kind of file, the codec or their combination does not exist. MissingPrerequisiteError:
            no PyAV.
        KernelError: the file cannot be written, e.g. ENOSPC; EBUSY: another recording writes to it.
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
        rate = None if fps is None else checks.rate(fps, f"{self.path}: fps", most=1_000_000)
        self._fps = rate_of(rate, format.field)
        self._options = container.DEFAULTS.get(self.codec, {}) | (options or {})
        # A re-entrant lock: a signal handler may call close() while its own thread is in write().
        self._lock = threading.RLock()
        self._busy = self._close_asked = False
        self._planes = self.kind.name == y4m.NAME
        self._pending: tuple[Any, int] | None = None
        #: Of the first picture, where they are encoded; None: none came.
        self._size: tuple[int, int] | None = None
        self._first_ns = 0
        self._last_tick = -1
        self._file: IO[bytes] | None = None
        self._beside = self.path  #: Where FFmpeg thinks that it writes.
        self._out: Any = None
        self._stream: Any = None
        self._closed = False
        self._entry = container.Entry(container.CODECS.get(str(format.pixelformat), ""))
        self._check(codec)
        self._pictures = Pictures(format, self.codec, pix_fmt, asked=codec is not None)
        with self._telling("open"):
            self._target = Replacement(self.path, growing=True)
        self._beside = self._target.path
        if self.kind.name:
            self._prepare()
        else:
            self._file = self._target.file

    def _prepare(self) -> None:
        """Open the encoder while no frame waits for it: its code may have to come from a cold disk."""
        f = self.format
        planes = [(p.bytesperline, p.sizeimage) for p in f.planes]
        layout = Layout.of(f.pixelformat, f.width, f.height, planes)
        if self._fps is None or self.passed_through or not layout.components:
            return  # the encoder's settings depend on the first frames
        sizes = [max(p.sizeimage, layout.min_bytes(i)) for i, p in enumerate(f.planes)]
        blank = layout.arrays([np.zeros(size, np.uint8) for size in sizes], sizes)
        try:
            with self._telling("open"):
                self._begin(self._pictures.make(blank, f.field))
        except BaseException:  # also after a Ctrl-C that came just when the encoder was open
            self._finish(quietly=True)
            raise

    def _check(self, codec: str | None) -> None:
        code = str(self.format.pixelformat)
        if not self.kind.name:
            if codec is not None:
                raise UsageError(f"{self.path}: raw frames have no codec", hint="record to .mkv")
            self.codec, self.passed_through = "", True
            return
        pyav = ffmpeg.av()
        if self.passed_through:
            self.codec = container.CODECS[code]
            return
        if code in container.CODECS and code not in ffmpeg.JPEGS:
            raise UsageError(
                f"{self.path}: {code} is not decoded here",
                hint="record it as it is: to .mkv, without a codec",
            )
        try:
            found = pyav.Codec(self.codec, "w")
        except (ValueError, pyav.FFmpegError):
            raise UsageError(
                f"{self.path}: this FFmpeg has no encoder '{self.codec}'",
                hint="choose another codec, e.g. ffv1, mjpeg, mpeg4",
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

    @property
    def lost_bits(self) -> int:
        """See :class:`Recording`; known from the beginning where ``fps`` is."""
        return self._pictures.lost_bits

    def write(self, frame: Frame) -> None:
        """Encode and write one frame; it can be released afterwards.

        Raises:
            KernelError: the frame cannot be written, e.g. ENOSPC. The recorder closes itself, and the file
                can be played up to this frame.
            UsageError: the frame has another format.
            CorruptFrameError: the frame cannot be decoded: it is short, or not a JPEG image. It is not in the
                file, and ``corrupt`` counts it. The next frame can be written.
            ClosedError: the recorder is closed. StateError: a signal handler called this while the same
                thread writes a frame.
        """
        with self._lock:
            if self._busy:
                raise StateError(
                    f"{self.path}: a frame is being written, and this call interrupts it",
                    hint="do not write in a signal handler; close() is allowed there",
                )
            written = False
            try:
                self._busy = True
                self._write_checked(frame)
                written = True
            finally:
                self._busy = False
                if self._close_asked:
                    self._finish(quietly=not written)

    def _write_checked(self, frame: Frame) -> None:
        if self._closed:
            raise ClosedError(f"{self.path}: this recording is finished")
        if (frame.width, frame.height, frame.format.pixelformat) != (
            self.format.width,
            self.format.height,
            self.format.pixelformat,
        ):
            raise UsageError(
                f"{self.path}: a frame of {frame.format} into a recording of {self.format}",
                hint="make a Recorder for each format",
            )
        try:
            with self._telling("write"):
                self._write(frame)
                if self.frames:  # the first frame: from here on the file has its name
                    self._target.commit()
        except CorruptFrameError:
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
                self._pending = (item, stamp)  # until the next frame gives the rate
                return
            distance = stamp - self._pending[1]
            self._fps = Fraction(10**9, distance).limit_denominator(1000) if distance > 0 else Fraction(25)
        self._flush_pending()
        self._put(item, stamp)

    def _write_own(self, file: IO[bytes], frame: Frame) -> bool:
        """Write a frame directly from the driver's buffer; False if the file has another pixel format."""
        if not self._planes:
            for plane in frame.planes:
                file.write(plane.data)
            return True
        components = ffmpeg.woven(frame.components, frame.field)
        planes = y4m.planes_of(frame.format.pixelformat, components, self._pictures.pix_fmt or "")
        if planes is not None:
            y4m.write(file, planes)
        return planes is not None

    def _flush_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            self._put(*pending)

    def _item(self, frame: Frame) -> Any:
        """Return bytes or a picture of FFmpeg's for the file. It is a copy, so the frame can be released."""
        if self.passed_through:
            return self._as_it_is(frame)
        item = self._pictures.make(frame.components, frame.field)
        size = (item[0].width, item[0].height)
        if size != (self._size or size):
            raise CorruptFrameError(
                f"{self.path}: frame {frame.sequence} is a picture of {size[0]}x{size[1]} among those of "
                "{}x{}".format(*(self._size or size)),
                hint=_LEFT_OUT,
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
            raise CorruptFrameError(
                f"{self.path}: frame {frame.sequence} cannot be decoded: {flaw}", hint=_LEFT_OUT
            )
        return item

    def _probed(self, item: bytes) -> str | None:
        """Return why a file cannot begin with this frame: FFmpeg finds no picture in it."""
        pyav = ffmpeg.av()
        try:
            with pyav.open(io.BytesIO(item), format=self.codec) as probe:
                return None if probe.streams.video[0].width else "FFmpeg finds no picture in it"
        except (pyav.FFmpegError, IndexError) as error:
            return f"FFmpeg says: {error}"

    # -- the file -----------------------------------------------------------------------------------

    def _put(self, item: Any, stamp: int) -> None:
        if self._out is None and self._file is None:
            self._begin(item)
        if self._file is not None:
            y4m.write(self._file, ffmpeg.planes_of(item[0]))
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
            first = y4m.header(
                item[0], lambda out: self._pictures.encoder(out, item, rate, self._tick, self._options)
            )
            self._target.file.write(first)
            # Last: a file without its first line cannot be played.
            self._file = self._target.file
            return
        # FFmpeg opens the file by itself: no Python runs while it writes, so no signal handler interrupts it.
        # The prefix "file:" keeps FFmpeg from reading a protocol in a name like "a:b.mkv". A FIFO is open
        # already, and must not be opened twice.
        target = self._target
        name = f"pipe:{target.file.fileno()}" if target.direct else f"file:{target.path}"
        out = pyav.open(name, "w", format=self.kind.name, options=self.kind.options)
        try:
            if self.passed_through:
                with pyav.open(io.BytesIO(item), format=self.codec) as probe:
                    template = probe.streams.video[0]
                    self._stream = out.add_stream_from_template(template, opaque=True)
                    self._stream.time_base = self._tick
                    out.start_encoding()
            else:
                self._stream = self._pictures.encoder(out, item, rate, self._tick, self._options)
        except BaseException:
            with contextlib.suppress(Exception):
                out.close()
            raise
        self._out = out

    def close(self) -> None:
        """Finish the file. Idempotent. Without a frame no file is made, and an old file stays.

        Any thread may call this; it waits for a frame that another thread writes. In a signal handler that
        interrupts :meth:`write` it returns at once. The interrupted call then finishes the file before it
        returns.

        Raises:
            KernelError: the end of the file could not be written. The file can be played up to there.
        """
        # Before the lock is taken: an interrupted write() checks this last.
        self._close_asked = True
        with self._lock:
            if not self._busy:
                self._finish()

    def _finish(self, *, quietly: bool = False) -> None:
        if self._closed:
            return
        try:
            self._closed = True  # first: a signal handler's close() then leaves the rest to this call
            with contextlib.suppress(Exception) if quietly else self._telling("write"):
                try:
                    self._write_end()
                finally:
                    self._target.close()  # close() of the container writes, too
        finally:
            self._target.close()  # also if an interrupt came before

    def _write_end(self) -> None:
        try:
            self._flush_pending()
            if self._out is not None and not self.passed_through:
                self._mux(self._stream.encode(None))
        finally:
            # An interrupt anywhere above still comes to here.
            if self._out is not None:
                self._out.close()
            if self.frames:
                self._target.commit()

    def _telling(self, what: str) -> _Telling:
        """Return the system's error as an error of this library that names the file."""
        return _Telling(functools.partial(self._meant, what))

    def _meant(self, what: str, error: OSError | ValueError) -> Vb2Error:
        if isinstance(error, OSError):  # PyAV's errors are some, too
            number, text = error.errno or 0, error.strerror or str(error)
        else:  # FFmpeg's EINVAL
            number, text = 0, str(error)
        text = text.replace(str(self._beside), str(self.path))
        if number <= 0 or number == 22:
            return UsageError(
                f"{self.path}: {self.codec} into {self.path.suffix} is not possible: {text}",
                hint="choose another codec or kind of file, or other options",
            )
        # FFmpeg writes in pieces of a second, and may still have some frames in memory.
        done = f"it can be played up to about frame {self.frames}" if self.frames else None
        if number == errno.EBUSY:
            done = text  # two recordings with one name
        return KernelError(number, what, str(self.path), explanation=done, hint=hint_for(self.path))

    def result(self, stats: StreamStats) -> Recording:
        """Return the recording's result, with the stream's counters."""
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
            self.lost_bits,
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

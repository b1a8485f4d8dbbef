"""Beside the layers: the camera and its stream behind the page, in a thread of their own.

One thread starts and stops streams, waits for frames and encodes them. So none of this blocks the event loop,
and there is one stream at a time. Other threads ask it for changes and get futures. This module knows no web.

An error of any class stays with its cause. A change or a still that fails has the error in its future. A
frame that cannot be shown leaves its error in :attr:`Session.trouble`. A stream that fails can be started
again. The thread ends when the session is closed, and not before.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from vb2user.camera import Camera
from vb2user.errors import (
    ClosedError,
    CorruptFrameError,
    DeviceRemovedError,
    KernelError,
    StateError,
    StreamStoppedError,
    UsageError,
)
from vb2user.preview.encoder import Encoder, Still, still
from vb2user.preview.trouble import Trouble, report
from vb2user.stream.frame import Frame
from vb2user.stream.stats import StreamStats
from vb2user.stream.stream import Stream
from vb2user.uapi import calls

_T = TypeVar("_T")

#: Seconds without a frame after which the device is asked whether it is there.
SILENCE = 1.0
#: The hint for an unplugged device.
UNPLUGGED = "plug it in: the picture comes back by itself"
#: Seconds in which the thread has to end.
_PATIENCE = 60.0


class State(str, Enum):
    """The state of the stream."""

    STARTING = "starting"
    STREAMING = "streaming"
    SILENT = "silent"  #: it runs, and no frames come
    GONE = "gone"  #: the device is unplugged, and the session waits for it
    STOPPED = "stopped"  #: it cannot run; an error says why
    CLOSED = "closed"

    __str__ = str.__str__


@dataclass(frozen=True)
class PreviewSettings:
    """The settings of a stream; None leaves a setting as it is."""

    pixelformat: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    input: int | None = None
    memory: str = "mmap"
    heap: str | None = None
    buffers: int = 4


@dataclass(frozen=True)
class Picture:
    """One frame for the viewers.

    Attributes:
        jpeg: what is shown.
        sequence, gap, timestamp_ns: the frame's.
    """

    jpeg: bytes
    sequence: int
    gap: int
    timestamp_ns: int


def _answer(future: Future[_T] | None, result: _T | None = None, error: BaseException | None = None) -> None:
    """Set a request's future once.

    Its client may have given up, and the first stream has no client at all.
    """
    if future is None or future.done() or not future.set_running_or_notify_cancel():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Change:
    """The settings that a client wants, with the future for the result."""

    wish: PreviewSettings
    answer: Future[calls.Format] | None = None


class Session:
    """The camera during the preview.

    Args:
        cam: opened; it is closed with the session.
        wish: how to stream at first.
        encoder: makes the pictures.
        publish: gets each picture, in the session's thread.
        wanted: tells whether any viewer is ready for a picture.
        before: called in the session's thread, while the device's queue is still free.

    Attributes:
        state: what the stream is doing.
        trouble: why the stream does not run, or why there is no picture.
        encode_ns: what the last picture took.
        encoded: how many there were.
    """

    def __init__(
        self,
        cam: Camera,
        wish: PreviewSettings,
        encoder: Encoder,
        publish: Callable[[Picture], object],
        wanted: Callable[[], bool],
        before: Callable[[Camera], object] = lambda cam: None,
    ) -> None:
        self.cam = cam
        self.wish = wish
        self.state = State.STARTING
        self.trouble: Trouble | None = None
        self.encode_ns = self.encoded = 0
        self._encoder, self._publish, self._wanted, self._before = encoder, publish, wanted, before
        self._changed = threading.Condition()  # held for a moment only: the event loop takes it, too
        self._ending = (
            threading.Lock()
        )  # held while another thread closes the stream, as long as the driver takes
        self._pending: deque[_Change] = deque()
        self._stills: deque[Future[Still]] = deque()
        self._stream: Stream | None = None
        self._stats = StreamStats()
        self._closing = False
        self._last = (0, time.monotonic())  # frames that came, and since when there are so many
        self._thread = threading.Thread(target=self._work, name="vb2user preview", daemon=True)

    # -- for others, from any thread ------------------------------------------------------------------

    def start(self) -> None:
        """Begin to stream in the session's thread. Errors are in :attr:`trouble`."""
        self._thread.start()

    @property
    def stats(self) -> StreamStats:
        """The counters of the present stream, or else of the last one."""
        return self._stats

    @property
    def format(self) -> calls.Format | None:
        """The format of the stream; None if no stream runs."""
        stream = self._stream
        return None if stream is None else stream.format

    def change(self, wish: PreviewSettings) -> Future[calls.Format]:
        """Stop, change settings, and start again. The future has the granted format, or the error.

        After an error the old settings are restored, if the device allows it. The call itself may block, too.
        """
        answer: Future[calls.Format] = Future()
        # The check comes first: the present stream can wait for its device, but a new one could not start.
        gone = self.state is State.GONE or self._is_gone()
        with self._changed:
            if self._closing:
                raise ClosedError("the preview has ended")
            if gone:
                raise StateError(f"{self.cam.path} is unplugged", hint=UNPLUGGED)
            self._pending.append(_Change(wish, answer))
            self._changed.notify_all()
            stream = self._stream
        with suppress(KernelError):
            self._end(stream)
        return answer

    def _end(self, stream: Stream | None) -> None:
        """Close the stream from another thread. The session's thread waits for the end of the close."""
        with self._ending:
            if stream is not None:
                stream.close()

    def still(self) -> Future[Still]:
        """Return a future for the next frame, as a picture to keep. It does not block."""
        answer: Future[Still] = Future()
        with self._changed:
            if self._stream is None or self.state is State.GONE:
                raise StateError("there is no picture now", hint="wait until the stream runs")
            self._stills.append(answer)
        answer.add_done_callback(self._forget_still)
        return answer

    def _forget_still(self, answer: Future[Still]) -> None:
        with self._changed, suppress(ValueError):
            self._stills.remove(answer)

    def _is_gone(self) -> bool:
        """Tell whether the device is gone."""
        try:
            calls.querycap(self.cam.node)
        except (DeviceRemovedError, ClosedError):
            return True
        except KernelError:
            return False
        return False

    def check(self) -> State:
        """Check that the device is still there.

        It may block. Call it from time to time, since an idle unplugged device reports no error.
        """
        came = self._stats.frames + self._stats.discarded
        now = time.monotonic()
        with self._changed:
            stream = self._stream
            if came != self._last[0]:
                self._last = (came, now)
                if stream is not None and came:
                    self.state = State.STREAMING
        if stream is None or now - self._last[1] < SILENCE:
            return self.state
        found = State.GONE if self._is_gone() else State.SILENT
        with self._changed:
            # A frame or an end that came meanwhile has set the state already.
            if self._stream is stream and self._stats.frames + self._stats.discarded == came:
                self.state = found
        return self.state

    def close(self) -> None:
        """End the stream and close the camera. Idempotent.

        StateError: the driver does not return to the thread.
        """
        try:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
                stream = self._stream
            self._end(stream)
        finally:
            if self._thread.is_alive():
                self._thread.join(_PATIENCE)
            if self._thread.is_alive():
                raise StateError(f"{self.cam.path}: the driver has not answered for {_PATIENCE:g} seconds")
            self.cam.close()

    # -- the session's own thread ---------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._prepare()
            change: _Change | None = _Change(self.wish)
            while change is not None:
                change = self._live(change)
        except BaseException as error:
            self._stop(error)
        finally:
            self._give_up()

    def _prepare(self) -> None:
        try:
            self._before(self.cam)
        except Exception as error:
            report(error)  # the picture does not need it

    def _live(self, change: _Change) -> _Change | None:
        """Run one stream from its beginning to its end.

        Return the next change, or None at the end of the session.
        """
        try:
            stream = self._begin(change.wish)
        except Exception as error:
            if change.answer is None:
                self._stop(error)
                return self._next()
            _answer(change.answer, error=error)
            return _Change(self.wish)  # as it was
        try:
            with stream:
                self.wish = self._as_set(change.wish, stream.format)
                _answer(change.answer, stream.format)
                self._pump(stream)
        except Exception as error:
            self._stop(error)
            _answer(change.answer, error=error)
        finally:
            with self._ending:  # the next stream begins when all of this one was given back
                with self._changed:
                    self._stream = None
                self._refuse_stills()
        return self._next()

    def _begin(self, wish: PreviewSettings) -> Stream:
        """Apply the settings and start."""
        cam = self.cam
        self.state, self.trouble = State.STARTING, None
        if wish.input is not None and cam.input != wish.input:
            cam.set_input(wish.input)
        if wish.pixelformat is not None or wish.width is not None or wish.height is not None:
            cam.set_format(wish.pixelformat, wish.width, wish.height)
        # Some devices report a rate, but refuse to set one. A rate that is set already is not set again.
        if wish.fps is not None and (cam.fps is None or abs(float(cam.fps) - wish.fps) > 0.001):
            cam.set_fps(wish.fps)
        stream = cam.stream(
            memory=wish.memory,
            heap=wish.heap,
            buffers=wish.buffers,
            latest=True,
            on_error="yield",
            reconnect=True,
        ).start()
        with self._changed:
            self._stream, self._stats = stream, stream.stats
            self._last = (0, time.monotonic())
        return stream

    def _as_set(self, wish: PreviewSettings, granted: calls.Format) -> PreviewSettings:
        """Return the complete settings, to restore them when others fail."""
        fps = input = None
        with suppress(KernelError):
            fps, input = self.cam.fps, self.cam.input
        return replace(
            wish,
            pixelformat=str(granted.pixelformat),
            width=granted.width,
            height=granted.height,
            fps=None if fps is None else float(fps),
            input=input,
        )

    def _pump(self, stream: Stream) -> None:
        """Handle frames until a change is requested or the stream ends."""
        while not self._pending and not self._closing:
            try:
                frame = stream.next_frame()
            except StreamStoppedError:
                return
            if self.state is not State.STREAMING:
                self.state = State.STREAMING
            try:
                self._keep(frame)
                if self._wanted():
                    self._show(frame)
            finally:
                frame.release()

    def _show(self, frame: Frame) -> None:
        begun = time.monotonic_ns()
        try:
            jpeg = self._encoder.encode(frame)
            self.trouble = None
            self.encode_ns = time.monotonic_ns() - begun
            self.encoded += 1
            self._publish(Picture(jpeg, frame.sequence, frame.gap, frame.timestamp_ns))
        except CorruptFrameError:
            pass  # it is counted as an error or as short
        except UsageError as error:
            self.trouble = Trouble(f"no picture: {error.message}", "choose another format")
        except Exception as error:
            self._fail_to_show(error)

    def _fail_to_show(self, error: Exception) -> None:
        trouble = Trouble.of(error)
        if self.trouble != trouble:  # the next frame may have the same fault: it is reported once
            report(error)
        self.trouble = trouble

    def _keep(self, frame: Frame) -> None:
        """Give a frame to the requests for a still."""
        waiting = self._waiting_stills()
        if not waiting:
            return
        kept: Still | None = None
        failed: Exception | None = None
        try:
            kept = still(frame)
        except Exception as error:
            failed = error
        for answer in waiting:
            _answer(answer, kept, failed)

    def _waiting_stills(self) -> list[Future[Still]]:
        """Take the requests that wait for a frame. The caller must answer each of them."""
        if not self._stills:
            return []
        with self._changed:
            waiting = list(self._stills)
            self._stills.clear()
        return waiting

    def _refuse_stills(self) -> None:
        for answer in self._waiting_stills():
            _answer(answer, error=StateError("the stream ended before the next frame"))

    def _stop(self, error: BaseException) -> None:
        report(error)
        self.state, self.trouble = State.STOPPED, Trouble.of(error)

    def _next(self) -> _Change | None:
        """Return the next change; None at the end of the session."""
        with self._changed:
            while not self._pending and not self._closing:
                self._changed.wait()
            return None if self._closing else self._pending.popleft()

    def _give_up(self) -> None:
        with self._changed:
            self._closing = True
            if self.trouble is None:
                self.state = State.CLOSED
            pending = list(self._pending)
            self._pending.clear()
        for change in pending:
            _answer(change.answer, error=ClosedError("the preview has ended"))
        self._refuse_stills()


def merged(wish: PreviewSettings, given: dict[str, Any]) -> PreviewSettings:
    """Return the settings with the page's changes.

    Args:
        wish: how it streams now.
        given: fields of :data:`vb2user.preview.fields.STREAM`, checked.
    """
    if given.get("input") not in (None, wish.input):
        # Another input has formats and rates of its own.
        wish = replace(wish, pixelformat=None, width=None, height=None, fps=None)
    if "memory" in given:
        wish = replace(wish, heap=None)
    return replace(wish, **given)

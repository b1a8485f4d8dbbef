"""Recorder.close() from a signal handler or any thread: it returns, and the file is finished."""

from __future__ import annotations

import contextlib
import faulthandler
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stills import Still, format_of, noise

from vb2user.errors import ClosedError, CorruptFrameError, StateError
from vb2user.media.recorder import Recorder

av = pytest.importorskip("av")

FORMAT = format_of("YUYV")
WAIT = 20  # seconds until what hangs is a failure

pytestmark = pytest.mark.usefixtures("no_fd_stays")


def frames(path: Path) -> int:
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0))


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


class Interrupting(Still):
    """A frame whose samples cannot be read without a handler running first, in the thread that writes it."""

    def __init__(self, handler: Callable[[], Any], number: int) -> None:
        self._made = noise(FORMAT, number)
        self._handler = handler
        super().__init__(FORMAT, self._made.components, 40_000_000 * number, number)

    def __getattribute__(self, name: str) -> Any:
        if name in ("planes", "components") and "_handler" in self.__dict__:
            self.__dict__.pop("_handler")()
        return super().__getattribute__(name)


def interrupting(handler: Callable[[], Any], number: int = 0) -> Any:
    """See :class:`Interrupting`."""
    return Interrupting(handler, number)


def in_time(work: Callable[[], Any]) -> Any:
    """Run it in a thread of its own, so that what hangs fails."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as e:
            found.append(e)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(WAIT)
    assert not thread.is_alive(), "it hangs"
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".y4m", ".raw"])
def test_a_handler_closes_while_a_frame_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    out = Recorder(path, FORMAT, fps=25)
    out.write(noise(FORMAT, 0))
    in_time(lambda: out.write(interrupting(out.close, 1)))
    assert "finished" in repr(out)
    assert out.frames == 2, "the frame that was interrupted is in the file"
    assert suffix == ".raw" or frames(path) == 2
    with pytest.raises(ClosedError, match="finished"):
        out.write(noise(FORMAT, 2))
    out.close()
    assert names(tmp_path) == [path.name]


def test_a_handler_closes_while_a_frame_fails(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    out = Recorder(path, FORMAT, fps=25)
    out.write(noise(FORMAT, 0))

    def handler() -> None:
        out.close()
        raise CorruptFrameError("short frame")

    with pytest.raises(CorruptFrameError):
        in_time(lambda: out.write(interrupting(handler, 1)))
    assert "finished" in repr(out)
    assert frames(path) == 1


def test_a_handler_closes_while_the_file_is_being_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.mkv"
    out = Recorder(path, FORMAT, codec="ffv1")  # the first frame waits for the second one
    out.write(noise(FORMAT, 0))
    mux = out._mux

    def interrupted(packets: list[Any]) -> None:
        out.close()
        mux(packets)
        out.close()

    monkeypatch.setattr(out, "_mux", interrupted)
    in_time(out.close)
    assert frames(path) == out.frames == 1


def test_a_handler_cannot_write_in_the_midst_of_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    with Recorder(path, FORMAT, fps=25) as out:
        with pytest.raises(StateError, match=r"x\.mkv: a frame is being written.*signal handler"):
            in_time(lambda: out.write(interrupting(lambda: out.write(noise(FORMAT, 5)), 0)))
        out.write(noise(FORMAT, 1))
    assert frames(path) == 1


def test_another_thread_waits_for_the_frame(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    out = Recorder(path, FORMAT, fps=25)
    closer = threading.Thread(target=out.close, daemon=True)
    in_time(lambda: out.write(interrupting(closer.start)))
    closer.join(WAIT)
    assert not closer.is_alive()
    assert frames(path) == out.frames == 1


@pytest.fixture
def random_switches() -> Iterator[random.Random]:
    """Threads change at random intervals; a hang ends the process with a traceback."""
    before = sys.getswitchinterval()
    faulthandler.dump_traceback_later(WAIT, exit=True)
    chosen = random.Random(7)
    sys.setswitchinterval(chosen.choice([1e-6, 1e-5, 1e-4]))
    yield chosen
    faulthandler.cancel_dump_traceback_later()
    sys.setswitchinterval(before)


@pytest.mark.parametrize("suffix", [".mkv", ".y4m", ".raw"])
def test_signals_and_threads_at_random(tmp_path: Path, random_switches: random.Random, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    made = [noise(FORMAT, number, 40 * number) for number in range(30)]
    recorders: list[Recorder] = []

    def handler(*arguments: object) -> None:
        recorders[-1].close()

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for turn in range(25):
            out = Recorder(path, FORMAT, fps=25, codec=None if suffix != ".mkv" else "ffv1")
            recorders.append(out)
            thread = threading.Timer(random_switches.uniform(0, 0.02), out.close)
            thread.start()
            if turn % 2:
                signal.setitimer(signal.ITIMER_REAL, random_switches.uniform(1e-5, 0.02))
            with contextlib.suppress(ClosedError):
                for frame in made:
                    out.write(frame)
            signal.setitimer(signal.ITIMER_REAL, 0)
            thread.join()
            out.close()
            if out.frames:
                size = np.prod([out.frames, 64, 48, 2])
                assert path.stat().st_size == size if suffix == ".raw" else frames(path) == out.frames
                path.unlink()
            assert names(tmp_path) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(recorders) == 25

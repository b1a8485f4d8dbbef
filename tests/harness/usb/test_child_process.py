"""Commands that run beside an emulated device."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from vb2user.harness.usb import child_process


def test_status_and_environment() -> None:
    assert child_process.run(["sh", "-c", 'exit "$NUMBER"'], {"NUMBER": "7"}) == 7
    assert "NUMBER" not in os.environ
    assert child_process.run(["sh", "-c", "kill -9 $$"], {}) == 128 + 9
    with pytest.raises(FileNotFoundError):
        child_process.run(["/no/such/command"], {})


def test_beside_the_main_thread() -> None:
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(child_process.run(["true"], {})))
    thread.start()
    thread.join()
    assert got == [0]


def test_sigterm_is_passed_on() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    before = signal.getsignal(signal.SIGTERM)
    with child_process.passing_on(child):
        os.kill(os.getpid(), signal.SIGTERM)
        assert child.wait(timeout=30) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert child.stdin is not None
    child.stdin.close()


def test_an_error_meanwhile_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(child_process, "end", lambda child: ended.append(child.wait()))
    waits = iter([KeyboardInterrupt()])
    wait = subprocess.Popen.wait

    def interrupted(self: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        for error in waits:
            raise error
        return wait(self, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        child_process.run(["true"], {})
    assert ended == [0]


def test_the_end_of_one_that_is_deaf() -> None:
    code = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child_process.end(child, patience=0.05)
    assert child.returncode == -signal.SIGKILL
    child.stdout.close()

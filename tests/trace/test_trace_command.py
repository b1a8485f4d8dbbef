"""``vb2user trace`` where nothing can be traced, and what it says of a trace."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tracing import QUEUE, Kernel

from vb2user.errors import KernelError, MissingPrerequisiteError, UsageError
from vb2user.memory.ops import Op
from vb2user.trace import Calibration, Ledger, Scope, kernel_log, run
from vb2user.trace.command import _show, trace
from vb2user.trace.run import TraceOptions, TraceReport
from vb2user.uapi.enums import Cap


def refused() -> Path:
    raise MissingPrerequisiteError("no tracing today", hint="ask again tomorrow")


class Node:
    """A device that can be opened, and says nothing of itself."""

    def __init__(self, path: str) -> None:
        self.path, self.driver, self.card = path, "fake", "a fake"
        self.caps, self.capture_type, self.output_type = Cap(0), None, None

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def memory_types(self) -> list[object]:
        return []

    def allocator(self, type: object = None) -> str:
        raise KernelError(22, "VIDIOC_REQBUFS", self.path)


@pytest.fixture(autouse=True)
def kmsg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The kernel's log: a file that says nothing by itself."""
    path = tmp_path / "kmsg"
    path.touch()
    monkeypatch.setattr(kernel_log, "KMSG", path)
    return path


@pytest.fixture(autouse=True)
def _no_tracefs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vb2user.trace.tracefs.find", refused)
    monkeypatch.setattr(run, "Device", Node)


def test_the_program_is_run_all_the_same(tmp_path: Path) -> None:
    note = tmp_path / "note"
    report = run.run(TraceOptions("/dev/video0", ["sh", "-c", f"echo ran > {note}; exit 5"]))
    assert note.read_text() == "ran\n"
    assert report.status == 5
    assert report.unobserved == "no tracing today; ask again tomorrow"
    assert (report.exit_status, report.verdict) == (3, None)
    assert report.to_json()["trace"] is None


def test_what_the_kernel_reports_meanwhile_is_a_fault(kmsg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kmsg.write_text("4,1,1,-;WARNING: long ago\n")
    warning = "4,2,2,-;WARNING: CPU: 0 PID: 1 at drivers/media/x.c:1 x+0x1/0x2"
    report = run.run(TraceOptions("/dev/video0", ["sh", "-c", f"echo '{warning}' >> {kmsg}"]))
    assert report.exit_status == 1
    (document,) = report.to_json()["kernel_log"]["reports"]
    assert document == "WARNING: CPU: 0 PID: 1 at drivers/media/x.c:1 x+0x1/0x2"
    _show(report)
    assert "fault: the kernel reported meanwhile: WARNING: CPU: 0 PID: 1" in capsys.readouterr().out


def test_a_log_of_the_kernel_that_cannot_be_read_is_said(
    kmsg: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kmsg.unlink()
    report = run.run(TraceOptions("/dev/video0", ["true"]))
    _show(report)
    assert "root can read it" in capsys.readouterr().err
    assert report.exit_status == 3


def test_json_is_one_document_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        trace.main(["--json", "/dev/video0", "--", "echo", "--json"], standalone_mode=False)
    output, errors = capfd.readouterr()
    assert ended.value.code == 3
    assert json.loads(output)["command"] == {"argv": ["echo", "--json"], "status": 0}
    assert errors == "--json\n"


def test_usage() -> None:
    runner = CliRunner()
    assert runner.invoke(trace, ["/dev/video0"]).exit_code == 2
    assert runner.invoke(trace, ["/dev/video0", "--"]).exit_code == 2
    with pytest.raises(UsageError, match="cannot be run: there is no such program"):
        run.run(TraceOptions("/dev/video0", ["/no/such/program"]))


def test_a_program_that_a_signal_ended() -> None:
    report = run.run(TraceOptions("/dev/video0", ["sh", "-c", "kill -TERM $$"]))
    assert report.status == 128 + signal.SIGTERM


def test_signals_are_the_programs_while_it_runs() -> None:
    """What ends us ends it, and we live to tell; handlers are put back."""
    before = signal.getsignal(signal.SIGTERM)
    program = f"import os, signal; os.kill({os.getpid()}, signal.SIGTERM); signal.pause()"
    report = run.run(TraceOptions("/dev/video0", [sys.executable, "-c", program]))
    assert report.status == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_signals_before_the_program_end_us() -> None:
    with run._Signals(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with run._Signals(), pytest.raises(SystemExit) as ended:
        signal.raise_signal(signal.SIGHUP)
    assert ended.value.code == 128 + signal.SIGHUP
    with run._Signals() as signals:
        signals.done()
        signal.raise_signal(signal.SIGINT)


#: Runs a program that counts its SIGINTs, by the terminal that is its standard input.
_AT_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from test_trace_command import Node, refused
from vb2user.trace import run, tracefs
tracefs.find, run.Device = refused, Node
counting = '''
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("ready", flush=True)
signal.sigwaitinfo([signal.SIGINT])
print("twice" if signal.sigtimedwait([signal.SIGINT], 1) else "once", flush=True)
'''
print(run.run(run.TraceOptions("/dev/video0", [sys.executable, "-c", counting])).status, flush=True)
"""


@pytest.mark.parametrize("typed", [True, False])
def test_the_program_is_interrupted_once(typed: bool) -> None:
    """By a key it is interrupted by the terminal, as all of the foreground is; by kill(1), by us."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _AT_A_TERMINAL],
            stdin=theirs,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
            start_new_session=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            if typed:
                os.write(ours, b"\x03")
            else:
                process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
    finally:
        os.close(ours)
        os.close(theirs)
    assert rest == ("once\n0\n" if typed else f"{128 + signal.SIGTERM}\n")
    assert process.returncode == 0


def report_of(kernel: Kernel, why: str | None = None, status: int = 0) -> TraceReport:
    calibration = Calibration(frozenset() if why else frozenset({QUEUE}), "vmalloc", why)
    return TraceReport(
        "/dev/video0",
        "vivid",
        "vivid",
        ["program"],
        status,
        "vmalloc",
        ["MMAP"],
        True,
        None,
        calibration,
        calibration.scope,
        Ledger(kernel.events),
    )


def test_exit_status() -> None:
    kernel = Kernel()
    assert report_of(kernel).exit_status == 0
    assert report_of(kernel, status=4).exit_status == 1
    kernel.born(Op.ALLOC)
    assert report_of(kernel).exit_status == 1


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    kernel = Kernel()
    buffer = kernel.born(Op.ALLOC, 2)
    kernel.op(Op.PUT, priv=kernel.born(Op.ALLOC))
    kernel.exported(buffer)
    kernel.op(Op.PUT_USERPTR, priv=kernel.born(Op.GET_USERPTR, memory=2))
    kernel.op(Op.ALLOC, ret=0, queue=QUEUE, vb=1, memory=1)
    kernel.born(Op.ALLOC, queue=QUEUE + 1)
    _show(report_of(kernel, "it is in use"))
    output, errors = capsys.readouterr()
    rows = [line.split() for line in output.splitlines()]
    assert output.startswith("/dev/video0: vivid, vmalloc: kernel calls\n")
    assert ["mem", "op", "mmap", "userptr"] in rows
    assert ["alloc", "4", "(1", "failed)"] in rows
    assert ["get_userptr", "1"] in rows
    assert ["cookie", "-", "-"] in rows
    assert "2 of 4 buffers were given back whole\n" in output
    assert output.endswith("leaked: 2 buffers never freed; 1 exported dma-buf still open\n")
    assert "told of every queue of the allocator" in errors
    report = report_of(kernel)
    report.scope = Scope(frozenset({QUEUE}))
    _show(report)
    output, errors = capsys.readouterr()
    assert output.endswith("leaked: 1 buffer never freed; 1 exported dma-buf still open\n")
    assert errors == ""

"""vm.run against a guest that is a script: bytes, exit status, deadlines, lost machines; no QEMU."""

from __future__ import annotations

import io
import json
import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from vb2user.errors import MissingPrerequisiteError, UsageError
from vb2user.harness.commands import vm as commands
from vb2user.harness.kernels import cache as kernels
from vb2user.harness.kernels.cache import Kernel
from vb2user.harness.vm import kvm
from vb2user.harness.vm import machine as vm
from vb2user.harness.vm.agent_rootfs import TAG
from vb2user.harness.vm.machine import MachineLostError, Options

FAKE = Path(__file__).with_name("fake_guest.py")
KERNEL = Kernel("0.0", Path("/nowhere/vmlinuz"), "a test")
WARNED = "".join(
    f"kern  :warn  : [    2.500000] {text}\n" for text in ("WARNING: CPU: 0 PID: 1 at lib/x.c:1", "x+0x1")
)
Run = Callable[..., "tuple[int, bytes, bytes]"]


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    return tmp_path / "pids"


@pytest.fixture
def run(tmp_path: Path, pids: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(way: str, **options: object) -> tuple[int, bytes, bytes]:
        def command(kernel: Kernel, options: Options, results: Path, channel: Path) -> list[str]:
            return [sys.executable, str(FAKE), str(channel), way, str(pids)]

        monkeypatch.setattr(vm, "virtme_command", command)
        out, err = io.BytesIO(), io.BytesIO()
        chosen = Options(**({"results": tmp_path / "results", "timeout": 30.0} | options))  # type: ignore[arg-type]
        return vm.run(KERNEL, ["true"], chosen, stdout=out, stderr=err), out.getvalue(), err.getvalue()

    return call


def gone(pid: int) -> bool:
    """Has the process ended, or does it within five seconds?"""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], 5.0)[0])
    finally:
        os.close(fd)


def test_every_byte_arrives_apart(run: Run) -> None:
    status, out, err = run("talks")
    assert status == 0
    assert out == err == b"".join(bytes([b]) * 300 for b in range(256))


def test_the_exit_status_is_the_commands(run: Run) -> None:
    assert run("7")[0] == 7


def test_nothing_is_left_running(run: Run, pids: Path) -> None:
    run("talks")
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_the_command_gets_its_environment(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VB2USER_HW", "1")
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    monkeypatch.setenv("WANTED", "y")
    _, out, _ = run("environment", env=("WANTED",), drivers=())
    start = json.loads(out)
    env = start["env"]
    assert start["argv"] == ["true"]
    assert start["cwd"] == str(Path.cwd())
    assert start["drivers"] == []
    assert env["VB2USER_HW"] == "1"
    assert env["WANTED"] == "y"
    assert "SECRET_OF_THE_HOST" not in env
    assert env["VB2USER_RESULTS"] == str(tmp_path / "results")
    assert env["PATH"].split(":")[0] == str(Path(sys.executable).parent)


@pytest.mark.parametrize("way", ["warns", "warns-and-hangs"])
def test_the_kernels_log_is_among_the_results(run: Run, tmp_path: Path, way: str) -> None:
    if way == "warns":
        run(way)
    else:
        with pytest.raises(MachineLostError):
            run(way, timeout=6.0)
    assert "kern  :warn  : [    2.500000] " in (tmp_path / "results" / "kernel.log").read_text()


def test_standard_input_is_passed_on(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = os.urandom(200_000)
    file = tmp_path / "in"
    file.write_bytes(text)
    with file.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert run("echoes", stdin=True)[1] == text


@pytest.mark.parametrize(
    ("way", "options", "said", "booted"),
    [
        ("hangs-at-boot", {"boot_timeout": 0.5}, "before the guest came up: not up within 0.5 s", False),
        ("hangs-at-boot", {"timeout": 0.5}, "not done within 0.5 s", False),
        ("hangs", {"timeout": 6.0}, "was lost: not done within 6 s", True),
        ("panics", {}, "the kernel panicked: nothing works", True),
        ("panics-at-boot", {}, "before the guest came up: the kernel panicked: Fatal", False),
        ("mute", {}, "without an exit status of the command: virtme-run: no busybox was found", False),
        ("garbles", {}, "the channel is garbled", True),
    ],
)
def test_lost_machines(
    run: Run, pids: Path, way: str, options: dict[str, float], said: str, booted: bool
) -> None:
    started = time.monotonic()
    with pytest.raises(MachineLostError, match=said) as caught:
        run(way, **options)
    assert caught.value.exit_status == 3
    assert caught.value.booted is booted
    assert caught.value.console
    assert time.monotonic() - started < 20
    assert all(gone(int(pid)) for pid in pids.read_text().split())


@pytest.mark.parametrize(
    ("way", "kvm", "boots"),
    [
        ("panics-twice-at-boot", False, 3),
        ("panics-at-boot", False, 3),
        ("panics-at-boot", True, 1),
        ("panics", False, 1),
        ("hangs-at-boot", False, 1),
    ],
)
def test_a_panic_of_an_emulated_boot_is_not_the_last_word(
    run: Run, pids: Path, tmp_path: Path, way: str, kvm: bool, boots: int
) -> None:
    """The command has not begun by then, so nothing is done twice."""
    lost = None
    try:
        status, _, err = run(way, kvm=kvm, boot_timeout=0.5 if way == "hangs-at-boot" else 20.0)
    except MachineLostError as error:
        lost = error
    else:
        assert status == 0
        assert err.startswith(b"vb2user: the kernel panicked at boot, as an emulated one now and then does")
    assert (lost is None) == (way == "panics-twice-at-boot")
    begun = (tmp_path / "results" / "console.log").read_bytes().count(b"Linux version")
    assert begun == 1  # the log is that of the last boot
    assert len(Path(f"{pids}.boots").read_text()) == boots
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_a_guest_that_cannot_be_prepared(run: Run, pids: Path) -> None:
    with pytest.raises(MissingPrerequisiteError, match="in the guest: no module vivid; look for one"):
        run("refuses")
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_wrong_usage_boots_nothing(run: Run, pids: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="NOT_SET_ANYWHERE"):
        run("talks", env=("NOT_SET_ANYWHERE",))
    with pytest.raises(UsageError, match="no command"):
        vm.run(KERNEL, [], Options(results=tmp_path))
    assert not pids.exists()


def test_folders_that_the_guest_replaces(tmp_path: Path) -> None:
    assert "/work" not in vm.overlays("/nonexistent/folder")
    assert "/etc" in vm.overlays("/")
    with pytest.raises(UsageError, match="/run"):
        vm.overlays("/run/user/1000/project")


def test_the_command_line_of_virtme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vb2user.harness.host_tools.require", lambda name: f"/bin/{name}")
    options = Options(cpus=3, append=("a=b",), qemu=("-icount", "shift=0"), kvm=False)
    argv = vm.virtme_command(KERNEL, options, tmp_path, tmp_path / "a,b")
    assert argv[0] == "/bin/virtme-run"
    assert "--disable-kvm" in argv
    assert "--disable-kvm" not in vm.virtme_command(KERNEL, Options(kvm=True), tmp_path, tmp_path / "c")
    assert argv[argv.index("--cpus") + 1] == "3"
    assert argv[argv.index("--kopt") + 1] == "a=b"
    assert argv[argv.index("--rwdir") + 1] == str(tmp_path)
    assert argv.index("--qemu-opts") < argv.index("-icount") == len(argv) - 2  # the last word counts
    assert f"socket,id=vb2user,path={tmp_path}/a,,b" in argv
    assert any(a.endswith(f"mount_tag={TAG}") for a in argv)
    monkeypatch.setenv("PYTHONPATH", "/a b")
    again = vm.virtme_command(KERNEL, options, tmp_path, tmp_path / "c")
    assert "exec env 'PYTHONPATH=/a b' " in again[again.index("--script-sh") + 1]
    with pytest.raises(UsageError, match="--results"):
        vm.virtme_command(KERNEL, options, tmp_path / "a:b", tmp_path / "c")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """The command with its kernel and its machine replaced; what it was run with is noted."""
    seen: list[Options] = []

    def run(kernel: Kernel, command: list[str], options: Options) -> int:
        seen.append(options)
        if options.kvm:
            raise MachineLostError("it span for ever")
        return 42

    monkeypatch.setattr(kernels, "get", lambda spec, **_: KERNEL)
    monkeypatch.setattr(vm, "run", run)
    return seen


def test_kvm_that_lies_is_found_out(
    machine: list[Options], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(kvm, "known", lambda: kvm.Answer(True, "it booted once"))
    monkeypatch.setattr(kvm, "remember", lambda works, why: kept.append(works))
    done = CliRunner().invoke(commands.vm, ["run", "--", "true"])
    assert done.exit_code == 42
    assert [o.kvm for o in machine] == [True, False]
    assert kept == [False]
    insisted = CliRunner().invoke(commands.vm, ["run", "--kvm", "--", "true"])
    assert isinstance(insisted.exception, MachineLostError)


def test_arguments_of_qemu_are_split_as_a_shell_does(machine: list[Options]) -> None:
    args = ["run", "--no-kvm", "--qemu-opts", "-icount shift=0", "--qemu-opts=-plugin 'a b.so'", "true"]
    assert CliRunner().invoke(commands.vm, args).exit_code == 42
    assert machine[0].qemu == ("-icount", "shift=0", "-plugin", "a b.so")
    wrong = CliRunner().invoke(commands.vm, ["run", "--qemu-opts", "-append 'x", "true"])
    assert wrong.exit_code == 2
    assert "--qemu-opts" in wrong.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kernal", "6.12", "--", "true"], "No such option '--kernal'. Did you mean '--kernel'?"),
        (["--memory", "dmabuf", "true"], "'dmabuf' is not a size: give e.g. 2G or 512M"),
    ],
)
def test_misspelt_options_boot_nothing(machine: list[Options], arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(commands.vm, ["run", *arguments])
    assert done.exit_code == 2
    assert words in done.output
    assert machine == []


def test_what_came_back_is_told(
    machine: list[Options], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    (results / "old.raw").write_text("x")
    os.utime(results / "old.raw", (1, 1))
    args = ["run", "--no-kvm", "--results", str(results), "true"]
    assert "came back" not in CliRunner().invoke(commands.vm, args).stderr

    def run(kernel: Kernel, command: list[str], options: Options) -> int:
        (results / "sheets").mkdir()
        (results / "console.log").write_text("Linux version")
        for name in ("sheets/a.png", "b", "c", "d", "e", "f"):
            (results / name).write_text("x")
        return 0

    monkeypatch.setattr(vm, "run", run)
    done = CliRunner().invoke(commands.vm, args)
    assert f"vb2user: came back in {results}: b, c, d, e, f and 1 more\n" in done.stderr


@pytest.mark.parametrize(
    ("log", "option", "status", "word"),
    [
        ("", [], 0, ""),
        ("kern  :info  : [    0.000000] Linux version 0.0\n", ["--fail-on-warning"], 0, ""),
        (WARNED, [], 0, "reported trouble once"),
        (WARNED, ["--fail-on-warning"], 1, "1) WARNING: CPU: 0 PID: 1 at lib/x.c:1\n     x+0x1"),
    ],
)
def test_what_the_guests_kernel_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: str, option: list[str], status: int, word: str
) -> None:
    def run(kernel: Kernel, command: list[str], options: Options) -> int:
        (options.results / "kernel.log").write_text(log)
        return 0

    monkeypatch.setattr(kernels, "get", lambda spec, **_: KERNEL)
    monkeypatch.setattr(vm, "run", run)
    done = CliRunner().invoke(commands.vm, ["run", "--no-kvm", "--results", str(tmp_path), *option, "true"])
    assert done.exit_code == status
    assert word in done.stderr
    assert ("trouble" in done.stderr) == (log == WARNED)
    assert "came back" not in done.stderr


def test_a_failed_command_keeps_its_status_where_the_kernel_warned(
    machine: list[Options], tmp_path: Path
) -> None:
    (tmp_path / "kernel.log").write_text(WARNED)
    args = ["run", "--no-kvm", "--results", str(tmp_path), "--fail-on-warning", "true"]
    assert CliRunner().invoke(commands.vm, args).exit_code == 42


def test_a_kernel_whose_log_is_missing_is_not_judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernels, "get", lambda spec, **_: KERNEL)
    monkeypatch.setattr(vm, "run", lambda *_: 0)
    args = ["run", "--no-kvm", "--results", str(tmp_path), "--fail-on-warning", "true"]
    done = CliRunner().invoke(commands.vm, args)
    assert isinstance(done.exception, MissingPrerequisiteError)
    assert "cannot be told" in str(done.exception)


def test_what_the_kernel_of_a_lost_machine_reported_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(kernel: Kernel, command: list[str], options: Options) -> int:
        (options.results / "kernel.log").write_text(WARNED)
        raise MachineLostError("it hangs")

    monkeypatch.setattr(kernels, "get", lambda spec, **_: KERNEL)
    monkeypatch.setattr(vm, "run", run)
    done = CliRunner().invoke(commands.vm, ["run", "--no-kvm", "--results", str(tmp_path), "true"])
    assert isinstance(done.exception, MachineLostError)
    assert "reported trouble once" in done.stderr


def test_options_after_the_command_are_its_own(machine: list[Options]) -> None:
    args = ["run", "--no-kvm", "--no-vivid", "--cpus", "1", "prog", "--cpus", "5", "--json", "-k", "x"]
    done = CliRunner().invoke(commands.vm, args)
    assert done.exit_code == 42
    assert machine[0].cpus == 1
    assert machine[0].drivers == ()

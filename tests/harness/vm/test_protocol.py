"""The frames between host and guest, and the agent's own half of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from vb2user.harness.vm.agent import Agent, HostGoneError
from vb2user.harness.vm.protocol import GarbledError, Kind, Unpacker, pack, pack_json, shell_status


@pytest.mark.parametrize("size", [1, 2, 5, 6, 1000])
def test_frames_survive_any_cutting(size: int) -> None:
    frames = [(Kind.STDOUT, b"\x00\xff" * 50), (Kind.STDERR, b""), (Kind.EXIT, b"{}")]
    data = b"".join(pack(kind, payload) for kind, payload in frames)
    unpacker = Unpacker()
    found = [f for i in range(0, len(data), size) for f in unpacker.feed(data[i : i + size])]
    assert found == frames


@pytest.mark.parametrize("noise", [b"login: ", b"\x04\xff\xff\xff\xff"])
def test_noise_is_no_frame(noise: bytes) -> None:
    with pytest.raises(GarbledError):
        list(Unpacker().feed(noise))


def test_an_end_as_shells_tell_it() -> None:
    assert shell_status(0) == 0
    assert shell_status(7) == 7
    assert shell_status(-signal.SIGKILL) == 137


NO_LOG = "/no/such/file"  # this machine's log does not belong here


def converse(
    argv: list[str], *, stdin: bytes | None = None, cwd: str = "/", pieces: int = 1 << 23, log: str = NO_LOG
) -> dict[Kind, bytes]:
    """Run the agent over a socket pair, in a process of its own; what it sent, joined by kind.

    Everything is written before anything is read.
    """
    host, guest = socket.socketpair()
    code = f"a = g.Agent({guest.fileno()}, {log!r}); a.run(); a.await_end()"
    start = {"argv": argv, "cwd": cwd, "env": dict(os.environ), "stdin": stdin is not None, "drivers": []}
    # debugfs, tracefs and udev are the guest's business, not this machine's.
    code = "import vb2user.harness.vm.agent as g; g.prepare = lambda *_: None; " + code
    with host, subprocess.Popen([sys.executable, "-c", code], pass_fds=[guest.fileno()]) as process:
        guest.close()
        host.sendall(pack_json(Kind.START, start))
        host.settimeout(20)
        try:
            for position in range(0, len(stdin or b""), pieces):
                host.sendall(pack(Kind.STDIN, (stdin or b"")[position : position + pieces]))
            if stdin is not None:
                host.sendall(pack(Kind.STDIN))
        except TimeoutError:
            process.kill()
            raise
        unpacker, found = Unpacker(), dict.fromkeys(Kind, b"")
        while not found[Kind.EXIT]:
            data = host.recv(1 << 16)
            assert data, "the agent left without an exit status"
            for kind, payload in unpacker.feed(data):
                found[kind] += payload
        host.close()
        assert process.wait(20) == 0
    return found


def test_the_agent_keeps_the_streams_apart() -> None:
    found = converse(["sh", "-c", "printf 'a\\0b'; printf c >&2; exit 9"])
    assert (found[Kind.STDOUT], found[Kind.STDERR]) == (b"a\0b", b"c")
    assert found[Kind.EXIT] == b'{"status": 9}'


def test_the_agent_passes_input_on() -> None:
    text = os.urandom(3_000_000)
    assert converse(["cat"], stdin=text)[Kind.STDOUT] == text
    # A command that does not read its input must not stop the conversation.
    assert converse(["true"], stdin=text[:100_000])[Kind.EXIT] == b'{"status": 0}'


def test_the_agent_takes_input_while_its_output_is_not_read() -> None:
    """More than the sockets and the command's pipes hold, so it would stand still if a write could block."""
    data = os.urandom(1_500_000)
    found = converse(["cat"], stdin=data, pieces=1 << 16)
    assert found[Kind.STDOUT] == data
    assert found[Kind.EXIT] == b'{"status": 0}'


def test_the_agent_sends_the_kernels_log(tmp_path: Path) -> None:
    """A pipe stands in for /dev/kmsg, which gives one record at a time."""
    fifo = tmp_path / "kmsg"
    os.mkfifo(fifo)
    script = f"printf '4,1,2500000,-;something is wrong\\n' > {fifo}"
    with os.fdopen(os.open(fifo, os.O_RDWR | os.O_NONBLOCK), "rb"):
        found = converse(["sh", "-c", script], log=str(fifo))
    assert found[Kind.KERNEL] == b"kern  :warn  : [    2.500000] something is wrong\n"
    assert found[Kind.EXIT] == b'{"status": 0}'


def test_the_agent_says_that_it_cannot_read_the_kernels_log() -> None:
    found = converse(["true"], log=NO_LOG)
    assert f"vb2user vm: the kernel's log {NO_LOG} cannot be read".encode() in found[Kind.NOTE]
    assert found[Kind.EXIT] == b'{"status": 0}'


def test_the_agent_tells_of_signals_and_of_missing_programs(tmp_path: Path) -> None:
    assert converse(["sh", "-c", "kill -9 $$"])[Kind.EXIT] == b'{"status": 137}'
    missing = converse(["no-such-program"])
    assert missing[Kind.EXIT] == b'{"status": 127}'
    assert b"no-such-program" in missing[Kind.STDERR]
    assert converse([str(tmp_path)])[Kind.EXIT] == b'{"status": 126}'
    assert converse(["true"], cwd="/no/such/folder")[Kind.STDERR].startswith(b"vb2user vm: /no/such/folder")


def test_a_daemon_left_behind_does_not_hold_the_run() -> None:
    found = converse(["sh", "-c", "sleep 30 & echo done"])
    assert found[Kind.STDOUT] == b"done\n"
    assert found[Kind.EXIT] == b'{"status": 0}'


def test_the_agent_notices_that_the_host_is_gone() -> None:
    host, guest = socket.socketpair()
    host.close()
    with pytest.raises((HostGoneError, OSError)):
        Agent(guest.fileno()).run()
    guest.close()

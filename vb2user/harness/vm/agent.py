"""Beside the layers: the agent that runs inside the guest as root, started by virtme's init.

The agent says hello over the channel and prepares the machine: files, udev, debugfs, tracefs, drivers. It
runs one command with its output on pipes, and sends bytes and exit status back. When the host goes away, the
agent powers the machine off, so that no guest outlives the run it belongs to.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vb2user.errors import MissingPrerequisiteError, Vb2Error
from vb2user.harness import host_tools
from vb2user.harness.drivers.registry import DRIVERS
from vb2user.harness.vm import agent_rootfs
from vb2user.harness.vm.protocol import PORT, Kind, Unpacker, pack, pack_json, shell_status
from vb2user.trace.kernel_log import KMSG, KernelLog

_CHUNK = 1 << 16
#: Bytes that wait for a reader, on each way: beyond this their source is left unread.
_MAX_PENDING = 1 << 20
#: Records of the kernel's log that are sent at once.
_RECORDS = 200
_MOST_TURNS = 1000


class HostGoneError(Exception):
    """The host closed its end of the channel."""


def open_port(name: str = PORT) -> int:
    """Open the virtio-serial port; its number is found in sysfs, udev's link not being needed."""
    for file in Path("/sys/class/virtio-ports").glob("*/name"):
        if file.read_text().strip() == name:
            return os.open(f"/dev/{file.parent.name}", os.O_RDWR | os.O_CLOEXEC)
    raise OSError(errno.ENODEV, f"no virtio-serial port named {name}")


class Agent:
    """One run of one command, told over ``port``.

    While the command runs, nothing here blocks. Bytes that the host does not take yet are kept up to a limit.
    Beyond it the command's output is not read. The same holds for its input and the kernel's log.

    Args:
        port: the channel.
        log: where the kernel's log is read.
    """

    def __init__(self, port: int, log: str = KMSG) -> None:
        self._port = port
        self._log_path = log
        self._log: KernelLog | None = None
        self._unpacker = Unpacker()
        self._sending = bytearray()
        os.set_blocking(port, False)

    def send(self, frame: bytes) -> None:
        """Write one frame, and wait until all is written."""
        self._sending += frame
        while self._sending:
            if self._wait(select.POLLOUT) & select.POLLOUT:
                self._write()
            else:
                raise HostGoneError

    def _write(self) -> None:
        """Called when the port has room."""
        with contextlib.suppress(BlockingIOError):
            del self._sending[: os.write(self._port, self._sending[:_CHUNK])]

    def _read(self) -> list[tuple[Kind, bytes]]:
        try:
            data = os.read(self._port, _CHUNK)
        except BlockingIOError:
            return []
        if not data:
            raise HostGoneError
        return list(self._unpacker.feed(data))

    def _wait(self, events: int) -> int:
        poll = select.poll()
        poll.register(self._port, events)
        return poll.poll()[0][1]

    def await_end(self) -> None:
        """Wait until the host hangs up."""
        with contextlib.suppress(HostGoneError):
            while self._wait(select.POLLIN) & select.POLLIN:
                self._read()

    def note(self, text: str) -> None:
        """Say something on the host's standard error."""
        self.send(pack(Kind.NOTE, f"vb2user vm: {text}\n".encode()))

    def run(self) -> None:
        """The whole conversation."""
        try:
            self._converse()
        finally:
            if self._log is not None:
                self._log.close()

    def _converse(self) -> None:
        self.send(pack_json(Kind.HELLO, {"release": platform.release()}))
        start: dict[str, Any] | None = None
        rest: list[tuple[Kind, bytes]] = []
        while start is None:
            self._wait(select.POLLIN)
            for kind, payload in self._read():
                if kind is Kind.START:
                    start = json.loads(payload)
                else:
                    rest.append((kind, payload))
        os.environ.update(start["env"])
        try:
            self._log = KernelLog(self._log_path, from_start=True)
            self._send_log()
        except MissingPrerequisiteError as error:
            self.note(str(error))
        try:
            prepare(start, self.note)
        except Vb2Error as error:
            self._send_log()
            self.send(pack_json(Kind.REFUSED, {"message": error.message, "hint": error.hint}))
            return
        status = self._command(start, rest)
        os.sync()
        self._send_log()
        self.send(pack_json(Kind.EXIT, {"status": status}))

    def _send_log(self) -> None:
        """Send what the kernel's log has, up to its end, which a kernel that never stops talking has not."""
        for _ in range(_MOST_TURNS):
            if not self._take_log():
                return
            self.send(b"")

    def _take_log(self) -> bool:
        """Put what is next in the kernel's log among what is sent; says whether there was something."""
        lines = self._log.read(_RECORDS) if self._log is not None else []
        if lines:
            self._sending += pack(Kind.KERNEL, "".join(f"{line}\n" for line in lines).encode())
        return bool(lines)

    def _command(self, start: dict[str, Any], rest: list[tuple[Kind, bytes]]) -> int:
        argv: list[str] = start["argv"]
        try:
            process = subprocess.Popen(
                argv,
                cwd=start["cwd"],
                env=start["env"],
                stdin=subprocess.PIPE if start["stdin"] else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            # 127 and 126 are what a shell ends with here.
            missing = error.errno == errno.ENOENT
            what = error.filename if isinstance(error.filename, str) else argv[0]
            self.send(pack(Kind.STDERR, f"vb2user vm: {what}: {os.strerror(error.errno or 0)}\n".encode()))
            return 127 if missing else 126
        self.send(pack(Kind.RUNNING))
        with process:
            try:
                return shell_status(self._pump(process, rest))
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise

    def _pump(self, process: subprocess.Popen[bytes], rest: list[tuple[Kind, bytes]]) -> int:
        """Move bytes both ways until the command ends and its pipes are empty."""
        assert process.stdout is not None
        assert process.stderr is not None
        outputs = {process.stdout.fileno(): Kind.STDOUT, process.stderr.fileno(): Kind.STDERR}
        stdin = _Stdin(process)
        for kind, payload in rest:
            stdin.take(kind, payload)
        ended = os.pidfd_open(process.pid)
        done = False
        try:
            while True:
                # After the command's end only the bytes in the pipes count: a daemon may keep them open
                # without end.
                room = len(self._sending) < _MAX_PENDING
                log = () if self._log is None or not room else (self._log.fileno(),)
                watched = [*(outputs if room else ()), *(() if done else (ended,)), *log]
                events = self._poll(watched, stdin).poll(0 if done and room else None)
                if done and room and not any(fd in outputs for fd, _ in events):
                    return process.wait()
                for fd, event in events:
                    if fd in outputs:
                        if data := os.read(fd, _CHUNK):
                            self._sending += pack(outputs[fd], data)
                        else:
                            del outputs[fd]
                    elif fd == ended:
                        done = True
                    elif fd == stdin.number:
                        stdin.write()
                    elif fd in log:
                        self._take_log()
                    else:
                        self._exchange(event, stdin)
        finally:
            os.close(ended)

    def _exchange(self, event: int, stdin: _Stdin) -> None:
        if event & select.POLLOUT:
            self._write()
        if event & select.POLLIN:
            for kind, payload in self._read():
                stdin.take(kind, payload)
        elif event & select.POLLHUP:
            raise HostGoneError

    def _poll(self, readable: list[int], stdin: _Stdin) -> select.poll:
        poll = select.poll()
        for fd in readable:
            poll.register(fd, select.POLLIN)
        # Registered even when nothing more is wanted: the host's going shows here.
        events = select.POLLIN if len(stdin.pending) < _MAX_PENDING else 0
        poll.register(self._port, events | (select.POLLOUT if self._sending else 0))
        if stdin.pending:
            poll.register(stdin.number, select.POLLOUT)
        return poll


class _Stdin:
    """The command's standard input: never blocks, keeps what the command has not read yet."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._pipe = process.stdin
        self.number = -1 if self._pipe is None else self._pipe.fileno()
        self.pending = bytearray()
        self._eof = False
        if self._pipe is not None:
            os.set_blocking(self.number, False)

    def take(self, kind: Kind, payload: bytes) -> None:
        """A frame from the host; an empty one ends the input."""
        if kind is not Kind.STDIN or self._pipe is None or self._pipe.closed:
            return
        self.pending += payload
        self._eof = self._eof or not payload
        self._close_if_over()

    def write(self) -> None:
        """Called when the pipe has room."""
        try:
            del self.pending[: os.write(self.number, self.pending[:_CHUNK])]
        except BlockingIOError:
            return
        except BrokenPipeError:  # the command reads no more
            self.pending.clear()
            self._eof = True
        self._close_if_over()

    def _close_if_over(self) -> None:
        if self._eof and not self.pending and self._pipe is not None:
            self._pipe.close()


def prepare(start: dict[str, Any], note: Callable[[str], None]) -> None:
    """What a stock machine has running and a bare guest may lack; then the drivers that are asked for."""
    try:
        agent_rootfs.cache()
    except (OSError, subprocess.CalledProcessError) as error:
        note(f"the host's files are not cached, which makes programs slow to start: {_said(error)}")
    for kind, where in (("debugfs", "/sys/kernel/debug"), ("tracefs", "/sys/kernel/tracing")):
        if not os.path.ismount(where):
            subprocess.run(["mount", "-t", kind, kind, where], stderr=subprocess.DEVNULL)
    _udev(note)
    for wanted in start["drivers"]:
        try:
            DRIVERS[wanted["name"]].code().make(wanted["config"]).up()
        except Vb2Error as error:
            if wanted["required"]:
                raise
            note(f"no {wanted['name']} in this guest: {error}")


def _said(error: OSError | subprocess.CalledProcessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return error.stderr.decode(errors="replace").strip() or str(error)
    return str(error)


def _udev(note: Callable[[str], None]) -> None:
    udevadm = host_tools.find("udevadm")
    if udevadm is None:
        note("udev is not installed, device nodes get neither links nor permissions")
        return
    ping = [udevadm, "control", "--ping", "--timeout=5"]
    if subprocess.run(ping, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        return
    daemons = ("/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd")
    daemon = next((d for d in daemons if os.access(d, os.X_OK)), None) or host_tools.find("udevd")
    if daemon is None:
        note("systemd-udevd is not installed")
        return
    subprocess.run([daemon, "--daemon"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for kind in ("subsystems", "devices"):
        subprocess.run([udevadm, "trigger", f"--type={kind}", "--action=add"])
    subprocess.run([udevadm, "settle", "--timeout=60"])


def main() -> int:
    """Entry point of ``python -m vb2user.harness.vm.agent``."""
    port = open_port()
    try:
        agent = Agent(port)
        agent.run()
        # The host ends the machine; leaving first could cut off the last frame.
        agent.await_end()
    except (HostGoneError, OSError) as error:
        print(f"vb2user.harness.vm.agent: {error!r}", file=sys.stderr)
    subprocess.run(["poweroff", "-f"])
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Beside the layers: runs one command in a stock kernel, in a virtual machine made by virtme-ng.

The guest's root is this machine's, shared copy-on-write, so it has the checkout and its virtual environment.
Only writes to the results folder reach this machine. Output, exit status, input and the kernel's log use a
separate channel (:mod:`.protocol`), and never the console. The console is recorded for the case that the
machine is lost. A lost machine (panic, QEMU gone, deadline) is an error of its own, never taken for a failed
command.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from vb2user import checks
from vb2user.errors import UsageError, Vb2Error
from vb2user.harness import host_tools
from vb2user.harness.drivers import vivid
from vb2user.harness.drivers.registry import Wanted
from vb2user.harness.kernels.cache import Kernel
from vb2user.harness.vm.agent_rootfs import TAG
from vb2user.harness.vm.conversation import Conversation, standard_input
from vb2user.harness.vm.protocol import PORT, Kind, pack_json

#: Folders that virtme-ng itself overlays, so that the guest may write there and nothing comes back.
_OVERLAYS = ("/etc", "/lib", "/home", "/opt", "/srv", "/usr", "/var", "/tmp")
#: Paths that the guest mounts afresh: nothing of the host's shows through.
_NOT_SHARED = ("/proc", "/sys", "/dev", "/run")
_PASSED = ("CI", "NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "LINES", "LANG", "LC_ALL", "TZ")
_CHUNK = 1 << 16
#: Files of the results folder: what the console said, and the kernel's log with levels and times.
CONSOLE_LOG, KERNEL_LOG = "console.log", "kernel.log"
_TAIL = 80  # lines of the console that are told: as many as an oops, or a task that hangs, has
#: How often an emulated machine is booted before its panic is believed: QEMU, emulating several processors,
#: now and then lets one of them run code that the kernel, booting, patches meanwhile ("Oops: int3").
_BOOTS = 3


class MachineLostError(Vb2Error):
    """The virtual machine ended, hung or never came up, so the command's result is not known.

    Attributes:
        booted: had the guest come up?
        console: the last lines of its console.
        panicked: did the kernel say that it panicked?
    """

    exit_status: ClassVar[int] = 3

    def __init__(
        self, message: str, *, booted: bool = False, console: str = "", panicked: bool = False
    ) -> None:
        super().__init__(message)
        self.booted = booted
        self.console = console
        self.panicked = panicked


@dataclass(frozen=True)
class Options:
    """How a machine is made.

    Attributes:
        cpus: processors; memory: as QEMU takes it, e.g. ``2G``.
        boot_timeout: seconds until the guest must have come up.
        timeout: seconds until everything must be over.
        results: folder that the guest writes through to, exported as ``VB2USER_RESULTS``.
        kvm: hardware virtualisation; False emulates.
        append: further kernel parameters.
        qemu: further arguments of QEMU, after all others, e.g. ``("-icount", "shift=0,sleep=off")``.
        env: names of further environment variables to pass on.
        drivers: what is loaded before the command, in this order; by default vivid, where it can be.
        stdin: pass this process's standard input on.
    """

    cpus: int = 2
    memory: str = "2G"
    boot_timeout: float = 180.0
    timeout: float = 600.0
    results: Path = Path("build/vm")
    kvm: bool = False
    append: tuple[str, ...] = ()
    qemu: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    drivers: tuple[Wanted, ...] = (Wanted("vivid", vivid.for_guest(), required=False),)
    stdin: bool = False

    def __post_init__(self) -> None:
        # Frozen: the plain numbers take the place of those that were given.
        object.__setattr__(self, "cpus", checks.count(self.cpus, "cpus", least=1, most=4096))
        for name in ("boot_timeout", "timeout"):
            object.__setattr__(self, name, checks.number(getattr(self, name), name, least=0))


def run(
    kernel: Kernel,
    command: Sequence[str],
    options: Options | None = None,
    *,
    stdout: BinaryIO | None = None,
    stderr: BinaryIO | None = None,
) -> int:
    """Boot ``kernel``, run ``command`` in it, and return its exit status (128 + N for signal N).

    An emulated kernel that panics before the guest is up, so before the command began, is booted again, twice
    at most.

    Args:
        kernel: from :func:`.kernels.get`.
        command: the program and its arguments; no shell is involved.
        options: see :class:`Options`.
        stdout: gets the command's standard output byte for byte, as it comes.
        stderr: likewise.

    Raises:
        MachineLostError: the machine ended before the command's exit status came.
        MissingPrerequisiteError: QEMU or virtme-ng is missing, or the guest could not be prepared.
        UsageError: the folders in play cannot be shared.
    """
    chosen = options or Options()
    if not command:
        raise UsageError("no command given to run in the virtual machine")
    if not (chosen.boot_timeout > 0 and chosen.timeout > 0):  # nan compares with nothing
        raise UsageError(
            f"boot_timeout {chosen.boot_timeout!r} and timeout {chosen.timeout!r} must be seconds above 0"
        )
    out, err = stdout or sys.stdout.buffer, stderr or sys.stderr.buffer
    notice = b""
    for left in range(_BOOTS - 1, -1, -1):
        with tempfile.TemporaryDirectory(prefix="vb2user-vm-") as work:
            try:
                return _Machine(kernel, chosen, Path(work)).run(list(command), out, err, notice)
            except MachineLostError as error:
                if error.booted or not error.panicked or chosen.kvm or not left:
                    raise
        notice = b"vb2user: the kernel panicked at boot, as an emulated one now and then does; once more\n"
    raise AssertionError("the last boot returns or raises")


class _Machine:
    """One virtual machine and the conversation with its agent."""

    def __init__(self, kernel: Kernel, options: Options, work: Path) -> None:
        self._kernel = kernel
        self._options = options
        self._work = work
        self._results = options.results.absolute()
        self._console = bytearray()
        self._booted = False

    def run(self, command: list[str], stdout: BinaryIO, stderr: BinaryIO, notice: bytes) -> int:
        self._results.mkdir(parents=True, exist_ok=True)
        address = self._work / "channel"
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(_short(address))
            server.listen(1)
            log = stack.enter_context((self._results / CONSOLE_LOG).open("wb"))
            kernel_log = stack.enter_context((self._results / KERNEL_LOG).open("wb"))
            # Both are made before the boot, so that wrong usage costs no waiting.
            start = self._start_frame(command)
            stdin = standard_input() if self._options.stdin else None
            argv = virtme_command(self._kernel, self._options, self._results, address)
            process = stack.enter_context(_group(argv, self._work))
            options = self._options
            talk = Conversation(
                self,
                start,
                stdout,
                stderr,
                log,
                kernel_log,
                boot_timeout=options.boot_timeout,
                timeout=options.timeout,
                stdin=stdin,
                notice=notice,
            )
            return talk.hold(server, process)

    def _start_frame(self, command: list[str]) -> bytes:
        options = self._options
        document: dict[str, Any] = {
            "argv": command,
            "cwd": str(Path.cwd()),
            "env": guest_environment(os.environ, self._results, options.env),
            "stdin": options.stdin,
            "drivers": [asdict(wanted) for wanted in options.drivers],
        }
        return pack_json(Kind.START, document)

    def lost(self, why: str) -> MachineLostError:
        """The error for a machine that is lost, with what its console said last."""
        text = self._console.decode(errors="replace").replace("\r", "")
        panic = re.findall(r"Kernel panic - not syncing: (.*)", text)
        if panic:
            why = f"the kernel panicked: {panic[-1].strip()}"
        elif not self._booted and "Linux version" not in text:
            # No kernel spoke: what virtme-run or QEMU said last is the reason.
            why = ": ".join([why, *(line.strip() for line in text.strip().splitlines()[-1:])])
        when = "" if self._booted else " before the guest came up"
        tail = "\n".join(text.splitlines()[-_TAIL:])
        log = self._results / CONSOLE_LOG
        return MachineLostError(
            f"the virtual machine ({self._kernel.release or self._kernel.image}) was lost{when}: {why}; "
            f"its console is in {log}",
            booted=self._booted,
            console=tail,
            panicked=bool(panic),
        )

    def heard(self, data: bytes) -> None:
        """Keep the end of what the console said."""
        self._console += data
        del self._console[: -(1 << 16)]

    def booted(self) -> None:
        self._booted = True


def _short(path: Path) -> str:
    if len(os.fsencode(path)) > 100:
        raise UsageError(f"{path.parent}: too long a path for a socket", hint="set TMPDIR to a shorter one")
    return str(path)


def guest_environment(env: Mapping[str, str], results: Path, further: Sequence[str] = ()) -> dict[str, str]:
    """The environment of the command: little of this machine's, all of ``VB2USER_*``."""
    for name in further:
        if name not in env:
            raise UsageError(f"the environment variable {name} is not set here, so it cannot be passed on")
    names = {n for n in env if n in _PASSED or n.startswith("VB2USER_")} | set(further)
    home = env.get("HOME", "/root") if os.geteuid() == 0 else "/run/tmp/roothome"
    base = {
        "PATH": host_tools.search_path(env.get("PATH")),
        "HOME": home,
        "USER": "root",
        "LOGNAME": "root",
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }
    if prefix := env.get("VIRTUAL_ENV"):
        base["VIRTUAL_ENV"] = prefix
    passed = {n: env[n] for n in sorted(names)}
    # Its home may be another there; what is cached (modules that were built) is to be found all the same.
    base["VB2USER_CACHE"] = str(host_tools.cache_dir())
    return base | passed | {"VB2USER_RESULTS": str(results), "VB2USER_VM": "1"}


def overlays(*folders: str) -> list[str]:
    """The top folders that the guest must be able to write to without anything coming back.

    Raises:
        UsageError: one of ``folders`` lies where the guest mounts something of its own.
    """
    found = [f for f in _OVERLAYS if Path(f).is_dir()]
    for folder in folders:
        parts = Path(folder).absolute().parts
        if len(parts) < 2:
            continue
        top = f"/{parts[1]}"
        if top in _NOT_SHARED:
            raise UsageError(f"{folder}: the guest has a {top} of its own, so that folder is not seen there")
        if top not in found and Path(top).is_dir():
            found.append(top)
    return found


def virtme_command(kernel: Kernel, options: Options, results: Path, channel: Path) -> list[str]:
    """The command line of virtme-run."""
    host_tools.require(host_tools.qemu_name())
    if not re.fullmatch(r"[a-zA-Z0-9_+ /.-]+", str(results)):
        raise UsageError(f"{results}: virtme-ng shares no folder with such a name", hint="use --results")
    # The agent is this very package, wherever this process has found it: both speak one version of the wire.
    where = [f"PYTHONPATH={path}"] if (path := os.environ.get("PYTHONPATH")) else []
    agent = shlex.join(["env", *where, sys.executable, "-m", "vb2user.harness.vm.agent"])
    package = Path(__file__).resolve().parents[3]
    folders = (str(Path.cwd()), sys.prefix, sys.base_prefix, str(package), str(Path.home()))
    argv = [host_tools.require("virtme-run"), "--kimg", str(kernel.image), "--mods=auto", "--force-9p"]
    argv += ["--cpus", str(options.cpus), "--memory", options.memory, "--show-boot-console"]
    argv += [] if options.kvm else ["--disable-kvm"]
    argv += [part for folder in overlays(*folders) for part in ("--overlay-rwdir", folder)]
    argv += ["--rwdir", str(results)]
    argv += [part for option in options.append for part in ("--kopt", option)]
    argv += ["--script-sh", f"exec {agent}"]
    # virtme-run made a virtio-serial bus for its own ports; this is one more on a bus of its own.
    address = str(channel).replace(",", ",,")
    argv += ["--qemu-opts", "-device", "virtio-serial-pci,id=vb2user"]
    argv += ["-chardev", f"socket,id=vb2user,path={address}"]
    argv += ["-device", f"virtserialport,bus=vb2user.0,name={PORT},chardev=vb2user"]
    # virtme-ng's own 9p has no cache, and no option for it: the same folder again, for the agent to mount.
    root = "local,id=vb2root,path=/,security_model=none,readonly=on,multidevs=remap"
    argv += ["-fsdev", root, "-device", f"virtio-9p-pci,fsdev=vb2root,mount_tag={TAG}"]
    return [*argv, *options.qemu]


@contextlib.contextmanager
def _group(argv: list[str], work: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, which is gone, whole, when the block ends."""
    env = os.environ | {"PATH": host_tools.search_path(), "TMPDIR": str(work)}
    process = subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end_group(process)
        if process.stdout is not None:
            _until_closed(process.stdout.fileno())
            process.stdout.close()


def _until_closed(fd: int, deadline: float = 5.0) -> None:
    """Read until the other end is closed. Then QEMU, a grandchild, has ended as well."""
    end = time.monotonic() + deadline
    while (left := end - time.monotonic()) > 0:
        if not select.select([fd], [], [], left)[0] or not os.read(fd, _CHUNK):
            return


def end_group(process: subprocess.Popen[bytes], grace: float = 2.0) -> None:
    """End a process group: asked first, so that virtme-run tidies up, then killed."""
    for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)
    # virtme-run may be gone before QEMU, its child: SIGKILL went to the whole group either way.

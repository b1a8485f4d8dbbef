"""Beside the layers: find tracefs, check that it is usable, and make an instance of it.

This module knows nothing of videobuf2. Its instances have the name ``vb2user-<pid>-<n>``, and its groups of
probes ``vb2user_<pid>_<n>``. So the next process recognises and removes what a killed process left behind.

Source: https://docs.kernel.org/trace/ftrace.html ("Instances"), https://docs.kernel.org/trace/kprobetrace.html.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from vb2user.errors import MissingPrerequisiteError

#: Places where tracefs may be mounted; older distributions have the second one.
PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_SWITCH = Path("/proc/sys/kernel/ftrace_enabled")
_FILESYSTEMS = Path("/proc/filesystems")
_PROC = Path("/proc")
_numbers = itertools.count()


def write(path: Path, text: str, *, append: bool = False) -> None:
    """Write to a control file. Some take one word at a time, so a short write(2) is allowed."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | (os.O_APPEND if append else os.O_TRUNC))
    try:
        left = text.encode()
        while left:
            left = left[os.write(fd, left) :]
    finally:
        os.close(fd)


def find() -> Path:
    """Return the path of a usable tracefs.

    Raises:
        MissingPrerequisiteError: the kernel has no tracefs or no function tracer, it is not mounted, this
            user may not write to it, or it is switched off.
    """
    mounted = next((p for p in PLACES if _exists(p / "trace_pipe")), None)
    if mounted is None:
        _explain_absence()
    assert mounted is not None
    try:
        tracers = (mounted / "available_tracers").read_text().split()
        if not (mounted / "instances").is_dir():
            raise MissingPrerequisiteError(f"{mounted} has no instances: this kernel's tracing is too old")
    except PermissionError as error:
        raise _denied(mounted, error) from None
    if "function" not in tracers:
        raise MissingPrerequisiteError(
            "this kernel has no function tracer", hint="boot one with CONFIG_FUNCTION_TRACER"
        )
    if not os.access(mounted / "instances", os.W_OK):
        number = errno.EROFS if os.statvfs(mounted).f_flag & os.ST_RDONLY else errno.EACCES
        raise _denied(mounted, OSError(number, os.strerror(number)))
    off = switched_off()
    if off is not None:
        raise off
    return mounted


def switched_off() -> MissingPrerequisiteError | None:
    """Return why no function is traced now, or None. A sysctl can switch function tracing off at any time.

    Probes at the beginning of a function use the same mechanism, so no call at all is seen then.
    """
    try:
        off = _SWITCH.read_text().strip() == "0"
    except OSError:  # this kernel has no such switch
        return None
    if not off:
        return None
    return MissingPrerequisiteError(
        "the kernel's function tracing is switched off (kernel.ftrace_enabled is 0)",
        hint="as root: sysctl kernel.ftrace_enabled=1",
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return True  # tracefs is mounted, but this user may not read it


def _explain_absence() -> None:
    try:
        known = "tracefs" in _FILESYSTEMS.read_text().split()
    except OSError:
        known = True
    if not known:
        raise MissingPrerequisiteError(
            "this kernel has no tracefs", hint="boot one with CONFIG_FTRACE and CONFIG_FUNCTION_TRACER"
        )
    raise MissingPrerequisiteError(
        "tracefs is not mounted", hint=f"as root: mount -t tracefs tracefs {PLACES[0]}"
    )


def _denied(where: Path, error: OSError) -> MissingPrerequisiteError:
    if error.errno == errno.EROFS:
        return MissingPrerequisiteError(
            f"{where} is mounted read-only", hint="run outside of the container, or remount it writable"
        )
    if os.geteuid() != 0:
        return MissingPrerequisiteError(f"{where} is for root: {error.strerror}", hint="run as root")
    return MissingPrerequisiteError(
        f"{where} cannot be used: {error.strerror}",
        hint="run outside of the container; kernel lockdown (/sys/kernel/security/lockdown) forbids it",
    )


@dataclass(frozen=True)
class TraceInstance:
    """An instance of tracefs with buffers, tracer, filters and events of its own.

    It disturbs no other tracer.

    Attributes:
        root: where tracefs is.
        path: the instance's folder.
        group: the name for probes that belong to it.
    """

    root: Path
    path: Path
    group: str

    @classmethod
    def new(cls, root: Path) -> TraceInstance:
        """Return an instance with an unused name; :meth:`create` makes it in the kernel."""
        name = f"{os.getpid()}-{next(_numbers)}"
        return cls(root, root / "instances" / f"vb2user-{name}", f"vb2user_{name.replace('-', '_')}")

    def create(self) -> None:
        """Make the instance in the kernel.

        Raises:
            MissingPrerequisiteError: the kernel forbids it (lockdown, a container).
        """
        try:
            with contextlib.suppress(FileNotFoundError):
                self.path.rmdir()  # left by a dead process that had this process's number
            self.path.mkdir()
        except OSError as error:
            raise _denied(self.root, error) from None

    def set(self, name: str, value: str | int, *, append: bool = False) -> None:
        """Write to a control file of the instance."""
        write(self.path / name, str(value), append=append)

    def option(self, name: str, value: str | int) -> bool:
        """Write to a control file that not every kernel has; tell whether the kernel accepted the value."""
        try:
            self.set(name, value)
        except OSError:
            return False
        return True

    def read(self, name: str) -> str:
        """Read a control file of the instance."""
        return (self.path / name).read_text(errors="replace")

    def traceable(self, wanted: Set[str]) -> dict[str, int]:
        """Return the wanted functions that the function tracer can trace, with their places in its list."""
        with (self.root / "available_filter_functions").open(encoding="ascii", errors="replace") as file:
            lines = enumerate(file, 1)
            return {name: at for at, line in lines if (name := line.split(None, 1)[0]) in wanted}

    def filter(self, functions: Mapping[str, int]) -> None:
        """Restrict the function tracer to these functions, as :meth:`traceable` returned them.

        They are set by their places in the list. A name takes half a second on a slow machine, because the
        kernel compares it with all its functions. A module that was loaded meanwhile may have moved the
        places, so the filter is read back.
        """
        with contextlib.suppress(OSError):
            self.set("set_ftrace_filter", " ".join(map(str, sorted(functions.values()))))
        lines = self.read("set_ftrace_filter").splitlines()
        if {line.split()[0] for line in lines} != functions.keys():
            self.set("set_ftrace_filter", " ".join(sorted(functions)))

    def add_probe(self, definition: str) -> bool:
        """Add an event to ``kprobe_events``; False if the kernel refuses it."""
        try:
            write(self.root / "kprobe_events", f"{definition}\n", append=True)
        except OSError:
            return False
        return True

    def losses(self) -> int:
        """Count the events that this instance lost so far: overwritten unread, or dropped."""
        lost = 0
        for cpu in (self.path / "per_cpu").iterdir():
            for line in (cpu / "stats").read_text().splitlines():
                key, _, value = line.partition(":")
                if key in ("overrun", "commit overrun", "dropped events"):
                    lost += int(value)
        return lost

    def missed(self) -> int:
        """Count the hits of this instance's probes that the kernel missed."""
        tag = self.group.removeprefix("vb2user")
        missed = 0
        with contextlib.suppress(OSError):
            for line in (self.root / "kprobe_profile").read_text().splitlines():
                parts = line.split()
                if len(parts) == 3 and parts[0].endswith(tag):
                    missed += int(parts[2])
        return missed

    def remove(self) -> None:
        """Remove the instance and its probes. Idempotent.

        Raises OSError (EBUSY): a file of the instance is open.
        """
        for name, value in (
            ("tracing_on", "0"),
            (f"events/{self.group}/enable", "0"),
            ("current_tracer", "nop"),
        ):
            with contextlib.suppress(OSError):
                self.set(name, value)
        try:
            with contextlib.suppress(FileNotFoundError):
                self.path.rmdir()
        finally:
            for definition in list(_probes(self.root)):
                if definition.partition("/")[0] == self.group:
                    with contextlib.suppress(OSError):
                        write(self.root / "kprobe_events", f"-:{definition}\n", append=True)


def _probes(root: Path) -> Iterator[str]:
    """List every probe of the machine as group/event."""
    with contextlib.suppress(OSError):
        for line in (root / "kprobe_events").read_text().splitlines():
            yield line.partition(" ")[0].partition(":")[2]


def left_behind(root: Path) -> list[TraceInstance]:
    """List the instances and probes that dead processes have left in tracefs."""
    names = {path.name for path in (root / "instances").glob("vb2user-*-*")}
    names |= {f"vb2user-{g[1]}-{g[2]}" for p in _probes(root) if (g := re.match(r"vb2user_(\d+)_(\d+)/", p))}
    found = []
    for name in sorted(names):
        match = re.fullmatch(r"vb2user-(\d+)-(\d+)", name)
        if match is not None and not (_PROC / match[1]).exists():
            found.append(TraceInstance(root, root / "instances" / name, f"vb2user_{match[1]}_{match[2]}"))
    return found


def sweep(root: Path) -> int:
    """Remove the instances and probes of dead processes. Return the number of instances.

    If the kernel says EBUSY, a process in another container reads the instance, and it stays.
    """
    swept = 0
    for instance in left_behind(root):
        with contextlib.suppress(OSError):
            if instance.path.exists():
                # First of all: rmdir fails and changes nothing if the instance is in use.
                instance.path.rmdir()
            instance.remove()
            swept += 1
    return swept

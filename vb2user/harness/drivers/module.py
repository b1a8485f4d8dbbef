"""Beside the layers: the common part of loading kernel modules: vivid and vb2probe.

Works by sysfs, procfs and udev alone; no V4L2 ioctl is made. A node is ready when udev has finished with it.
The monitor listens before the module is loaded, so it misses no event and needs no sleep.
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from vb2user.errors import MissingPrerequisiteError, Vb2Error
from vb2user.harness import host_tools

_Instance = TypeVar("_Instance")

#: Seconds for udev to finish with every node; emulated machines are slow.
DEADLINE = 60.0


class ModuleError(Vb2Error):
    """The kernel or udev did not do what loading or unloading a module needs."""

    exit_status = 3


def module_state(name: str) -> str | None:
    """Return a module's state: ``loaded``, ``built in``, ``loadable``, or None if the kernel lacks it."""
    folder = Path("/lib/modules") / platform.release()
    if Path("/sys/module", name.replace("-", "_")).exists():
        live = Path("/sys/module", name.replace("-", "_"), "initstate")
        return "loaded" if live.exists() else "built in"
    try:
        if f"/{name}.ko" in (folder / "modules.builtin").read_text():
            return "built in"
    except OSError:
        pass
    modprobe = host_tools.find("modprobe")
    if modprobe is None or not folder.is_dir():
        return None
    done = subprocess.run([modprobe, "-n", "-q", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return "loadable" if done.returncode == 0 else None


def parameters(module: Path) -> dict[str, str]:
    """The parameters of a loaded module, as sysfs tells them below ``module``, its folder there."""
    found = {}
    for file in (module / "parameters").glob("*"):
        with contextlib.suppress(OSError):
            found[file.name] = file.read_text().strip()
    return found


def video_nodes(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and sysfs folder of every video node below ``/sys/class/video4linux``, by number."""
    for node in sorted(folder.glob("*"), key=lambda p: (len(p.name), p.name)):
        with contextlib.suppress(OSError):  # it went away meanwhile
            yield (node / "name").read_text().strip(), node


def holding(paths: Iterable[str]) -> dict[int, tuple[str, list[str]]]:
    """Return the processes that have one of the device nodes open or mapped: pid to name and paths."""
    wanted = set(paths)
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        held = set()
        with contextlib.suppress(OSError):
            for fd in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    held.add(str(fd.readlink()))
        with contextlib.suppress(OSError):
            held.update(line.split(maxsplit=5)[-1] for line in (process / "maps").read_text().splitlines())
        if taken := sorted(held & wanted):
            with contextlib.suppress(OSError):
                found[int(process.name)] = (process / "comm").read_text().strip(), taken
    return found


def holders(paths: Iterable[str]) -> list[str]:
    """Return these processes in words: ``name (pid 42, /dev/video0)``."""
    return sorted(f"{name} (pid {pid}, {', '.join(at)})" for pid, (name, at) in holding(paths).items())


class Loaded(ABC, Generic[_Instance]):
    """A module with what is asked, for as long as a ``with`` block lasts, unless it was loaded before."""

    _owned = False

    @abstractmethod
    def up(self) -> list[_Instance]:
        """Load it, unless it is loaded so already, and wait until udev is done with every node."""

    @abstractmethod
    def down(self) -> None:
        """Unload the module, even if another program loaded it."""

    def __enter__(self) -> list[_Instance]:
        return self.up()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._owned:
            return
        try:
            self.down()
        except Vb2Error:
            if error is None:  # after another error, that error is raised
                raise


def unload(module: str, command: Sequence[str], nodes: Iterable[str], busy: type[ModuleError]) -> None:
    """Unload a module that is loaded.

    Args:
        module: its name, for messages.
        command: the program that does it, and its arguments.
        nodes: its device nodes: a process that has one open keeps the module.
        busy: the error if the module is in use; its message names the processes.
    """
    require_root("unload", module)
    paths = list(nodes)  # while they are there
    done = subprocess.run([host_tools.require(command[0]), *command[1:]], capture_output=True, text=True)
    if done.returncode:
        who = holders(paths)
        raise busy(
            f"{module} is in use by {', '.join(who)}" if who else f"{module} stays: {last_line(done.stderr)}",
            hint="end that program first" if who else None,
        )


def require_root(verb: str, module: str) -> None:
    """Raise MissingPrerequisiteError unless the user is root."""
    if os.geteuid() != 0:
        raise MissingPrerequisiteError(
            f"only root may {verb} the module {module}",
            hint="run it with sudo, or in: vb2user vm run -- COMMAND",
        )


def require_udev() -> None:
    """Raise MissingPrerequisiteError if udev does not run."""
    if not Path("/run/udev/control").exists():
        raise MissingPrerequisiteError(
            "udev is not running, so it cannot be seen when the nodes are ready",
            hint="run: sudo systemctl start systemd-udevd",
        )


def last_line(text: str) -> str:
    """Return the last line of a program's output."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"


@contextlib.contextmanager
def nodes_ready(module: str, nodes: Callable[[], Iterable[str]]) -> Iterator[Callable[[], None]]:
    """Listen to udev from now on; the yielded function waits until each of ``nodes()`` is finished.

    Raises:
        ModuleError: the module made no node, or udev took longer than :data:`DEADLINE`.
    """
    import pyudev

    # udev may still know older nodes with the same numbers, so its database is ignored here.
    began = time.monotonic_ns() // 1000
    context = pyudev.Context()
    monitor = pyudev.Monitor.from_netlink(context, source="udev")
    monitor.filter_by("video4linux")
    monitor.start()

    def wait() -> None:
        deadline = time.monotonic() + DEADLINE
        missing = set(nodes())
        if not missing:
            raise ModuleError(f"{module} is loaded but made no device node")
        for device in context.list_devices(subsystem="video4linux"):
            if int(device.properties.get("USEC_INITIALIZED", "0")) >= began:
                missing.discard(device.device_node)
        while missing:
            left = deadline - time.monotonic()
            device = monitor.poll(left) if left > 0 else None
            if device is None:
                raise ModuleError(f"udev did not finish {', '.join(sorted(missing))} in {DEADLINE:g} s")
            if device.action != "remove":
                missing.discard(device.device_node)

    yield wait

"""Beside the layers: the rules of udev that the package brings: whether they are here and hold, and putting
them here.

The rules are in ``udev/60-vb2user.rules``. This module knows their owner and mode, too, so that it can name a
node with other permissions.
"""

from __future__ import annotations

import enum
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vb2user.errors import MissingPrerequisiteError
from vb2user.harness import host_tools
from vb2user.uapi.access import GROUP, INSTALL, group_name, ownership

NAME = "60-vb2user.rules"
#: Where udev reads rules, the first folder first: a file there hides those of the same name further down.
FOLDERS = tuple(
    Path(folder, "udev/rules.d") for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
)
CONTROL = Path("/run/udev/control")
MODE = 0o660
_SUBSYSTEMS = ("video4linux", "media", "dma_heap")
_SYSFS = (
    ("/sys/class/video4linux", "/dev"),
    ("/sys/bus/media/devices", "/dev"),
    ("/sys/class/dma_heap", "/dev/dma_heap"),
)
_UDMABUF = Path("/dev/udmabuf")


class State(enum.Enum):
    """How the rules of this version are installed."""

    HERE = "installed"
    ABSENT = "not installed"
    OTHER = "another version's"
    MASKED = "switched off"


@dataclass(frozen=True)
class Installed:
    """Where udev finds the rules, and whether they are this version's."""

    state: State
    path: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What :func:`install` did.

    Attributes:
        path: the file of the rules.
        written: was it written, or was it there already?
        nodes: the nodes that the rules were applied to.
        wrong: those of them that are still not as the rules have them, with their owner and mode.
    """

    path: Path
    written: bool
    nodes: tuple[str, ...]
    wrong: tuple[str, ...]


def rules() -> bytes:
    """The rules as the package, or the checkout around it, has them."""
    here = Path(__file__).resolve()
    for folder in (here.parent / "rules", here.parents[3] / "udev"):
        if (folder / NAME).exists():
            return (folder / NAME).read_bytes()
    raise MissingPrerequisiteError(
        f"this installation of vb2user has no {NAME}", hint="install vb2user from a checkout or a wheel"
    )


def installed() -> Installed:
    """Return the rules that udev would read. It changes nothing."""
    for folder in FOLDERS:
        path = folder / NAME
        if path.is_symlink() or path.exists():
            try:
                there = path.read_bytes()
            except OSError:
                return Installed(State.OTHER, path)
            if not there:  # a link to /dev/null, or an empty file
                return Installed(State.MASKED, path)
            return Installed(State.HERE if there == rules() else State.OTHER, path)
    return Installed(State.ABSENT)


def nodes() -> list[Path]:
    """Every node of this machine that the rules speak of."""
    found = [
        Path(dev, device.name)
        for sysfs, dev in _SYSFS
        for device in sorted(Path(sysfs).glob("*"), key=lambda p: (len(p.name), p.name))
    ]
    return [path for path in (*found, _UDMABUF) if path.exists()]


def wrong() -> Iterator[str]:
    """The nodes that are not as the rules have them, with their owner and mode."""
    for path, status in _statuses():
        if group_name(status.st_gid) != GROUP or stat.S_IMODE(status.st_mode) != MODE:
            yield f"{path} ({ownership(status)})"


def open_to_all() -> list[str]:
    """Return the nodes that every user of the machine may write or read."""
    return [str(path) for path, status in _statuses() if status.st_mode & 0o006]


def _statuses() -> Iterator[tuple[Path, os.stat_result]]:
    for path in nodes():
        try:
            yield path, path.stat()
        except OSError:  # unplugged meanwhile
            continue


def command(arguments: str) -> str:
    """Return a command line that works under sudo, whose PATH has no virtual environment."""
    program = host_tools.find("vb2user")
    own = shlex.quote(program) if program else f"{shlex.quote(sys.executable)} -m vb2user"
    return f"sudo {own} {arguments}"


def install() -> Outcome:
    """Write the rules to ``/etc/udev/rules.d`` and apply them to the nodes there are. Idempotent.

    Raises:
        MissingPrerequisiteError: not root; no group ``video``; udev is not installed, or does not run (the
            rules are written all the same, then).
    """
    if os.geteuid() != 0:
        raise MissingPrerequisiteError("only root may install rules of udev", hint=f"run: {command(INSTALL)}")
    require_group()
    udevadm = host_tools.require("udevadm")
    path = FOLDERS[0] / NAME
    written = _write(path, rules())
    if not CONTROL.exists():
        raise MissingPrerequisiteError(
            f"{path} is there, but udev is not running, so that nothing was applied",
            hint="start it (sudo systemctl start systemd-udevd), then repeat this",
        )
    apply(udevadm)
    return Outcome(path, written, tuple(map(str, nodes())), tuple(wrong()))


def require_group() -> None:
    """Raise MissingPrerequisiteError if there is no group ``video``, without which udev ignores the rules."""
    import grp

    try:
        grp.getgrnam(GROUP)
    except KeyError:
        raise MissingPrerequisiteError(
            f"this machine has no group {GROUP}", hint=f"run: sudo groupadd --system {GROUP}"
        ) from None


def _write(path: Path, content: bytes) -> bool:
    if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    # At once or not at all: udev may read the folder in any moment. Names it ignores do not end in .rules.
    temporary = path.with_suffix(".new")
    try:
        temporary.write_bytes(content)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def apply(udevadm: str) -> None:
    """Have udev read its rules again, apply them to every node they speak of, and wait until that is done."""
    _run(udevadm, "control", "--reload")
    _run(udevadm, "trigger", "--action=change", *(f"--subsystem-match={s}" for s in _SUBSYSTEMS))
    _run(udevadm, "trigger", "--action=change", "--subsystem-match=misc", "--sysname-match=udmabuf")
    _run(udevadm, "settle", "--timeout=60")


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise MissingPrerequisiteError(
            f"{shlex.join(argv)} ended with {done.returncode}" + (f": {said[-1]}" if said else ""),
            hint="'journalctl -u systemd-udevd' may say why",
        )

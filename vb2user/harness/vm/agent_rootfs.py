"""Beside the layers: makes the files of the host fast to read in the guest.

virtme-ng shares the host's root over 9p without a cache, so each access to a file asks the host. An emulated
guest spends most of a Python program's start on that. The machine therefore has the same root a second time,
which is mounted here with a cache. The folders that virtme-ng overlaid are overlaid again on it, with their
written files. Mounts within these folders are kept.

The cache is never refreshed: the guest may not see what the host changes while it runs. The results folder is
a mount of its own and is not cached.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: The mount tag of the second device.
TAG = "vb2user-root"
_HOME = Path("/run/vb2user")
_OPTIONS = "ro,version=9p2000.L,trans=virtio,access=any,msize=524288,cache=loose"
#: Small, and virtme-ng and the guest's own programs are at work in them.
_LEFT_ALONE = frozenset({"/etc", "/var", "/tmp", "/lib"})


@dataclass(frozen=True)
class Mount:
    """A line of ``/proc/self/mountinfo``.

    Attributes:
        id, parent: its number, and that of the mount that it lies in.
        where: the folder.
        kind: the file system's type.
        upper: an overlay's folder of what was written to it; else empty.
    """

    id: int
    parent: int
    where: str
    kind: str
    upper: str = ""


def parse(text: str) -> list[Mount]:
    """The mounts in ``/proc/self/mountinfo``, in its order.

    Source: https://docs.kernel.org/filesystems/proc.html (3.5).
    """
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, _, options) = left.split(), right.split(maxsplit=2)
        upper = re.search(r"(?:^|,)upperdir=([^,]+)", options)
        where = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[4])
        found.append(Mount(int(fields[0]), int(fields[1]), where, kind, upper[1] if upper else ""))
    return found


def overlays(mounts: Sequence[Mount]) -> list[tuple[Mount, list[Mount]]]:
    """virtme-ng's overlays that are worth it, each with the mounts in it; hidden ones are left out."""
    top = {m.where: m for m in mounts if m.kind == "overlay"}
    root = {m.id for m in mounts if m.where == "/"}
    return [
        (m, [inner for inner in mounts if inner.parent == m.id])
        for m in top.values()
        if m.where.count("/") == 1 and m.where not in _LEFT_ALONE and m.parent in root and m.upper
    ]


def cache(mountinfo: Path = Path("/proc/self/mountinfo")) -> None:
    """Put cached files below the overlays.

    Raises:
        OSError, subprocess.CalledProcessError: it cannot be done; what was done until then works.
    """
    shared = _HOME / "root"
    shared.mkdir(parents=True, exist_ok=True)
    _mount("-t", "9p", "-o", _OPTIONS, TAG, str(shared))
    for number, (overlay, inner) in enumerate(overlays(parse(mountinfo.read_text()))):
        _renew(overlay, inner, shared, _HOME / f"overlay{number}")


def _renew(overlay: Mount, inner: Iterable[Mount], shared: Path, place: Path) -> None:
    lower = shared / overlay.where.lstrip("/")
    upper, work, kept = place / "upper", place / "work", place / "kept"
    for folder in (work, kept):
        folder.mkdir(parents=True)
    # With symbolic links as they are; what was deleted stands there as a device node, which copytree refuses.
    shutil.copytree(overlay.upper, upper, symlinks=True)
    moved: list[tuple[Path, Mount]] = []
    try:
        for n, mount in enumerate(inner):
            spot = kept / str(n)
            spot.mkdir() if Path(mount.where).is_dir() else spot.touch()
            _mount("--move", mount.where, str(spot))
            moved.append((spot, mount))
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        _mount("-t", "overlay", "-o", options, f"vb2user{overlay.id}", overlay.where)
    finally:
        for spot, mount in moved:
            _mount("--move", str(spot), mount.where)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", "-n", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

"""Beside the layers: where the programs that the harness drives are found, and where it may write.

A program is searched first beside the running Python, also if its virtual environment is not activated. Then
it is searched on ``PATH``, and then in the administrators' folders. These have ``depmod`` and ``modprobe``,
but a user's ``PATH`` often lacks them. This module knows no V4L2.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from vb2user.errors import MissingPrerequisiteError, install

#: Program to the Debian/Ubuntu package that holds it.
PACKAGES = {
    "apt-get": "apt",
    "apt-cache": "apt",
    "busybox": "busybox-static",
    "chroot": "coreutils",
    "depmod": "kmod",
    "dpkg": "dpkg",
    "dpkg-deb": "dpkg",
    "file": "file",
    "insmod": "kmod",
    "ld": "binutils",
    "modinfo": "kmod",
    "modprobe": "kmod",
    "mount": "mount",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-aarch64": "qemu-system-arm",
    "rmmod": "kmod",
    "udevadm": "udev",
    "unshare": "util-linux",
}

_ADMIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path(path: str | None = None) -> str:
    """The folders searched for programs, joined as ``PATH`` is."""
    folders = [str(Path(sys.executable).parent)]
    folders += (path if path is not None else os.environ.get("PATH", os.defpath)).split(os.pathsep)
    folders += _ADMIN_FOLDERS
    return os.pathsep.join(dict.fromkeys(f for f in folders if f))


def find(name: str) -> str | None:
    """Path of the program ``name``, or None."""
    return shutil.which(name, path=search_path())


def hint(name: str) -> str:
    """The command that brings the program ``name`` on Debian and Ubuntu."""
    if name in ("virtme-run", "vng"):
        return install("vm")
    return f"sudo apt-get install {PACKAGES.get(name, name)}"


def require(name: str) -> str:
    """Path of the program ``name``.

    Raises:
        MissingPrerequisiteError: it is nowhere; the hint names the package.
    """
    found = find(name)
    if found is None:
        raise MissingPrerequisiteError(f"{name} is not installed", hint=f"run: {hint(name)}")
    return found


def qemu_name() -> str:
    """Name of the QEMU program for this machine's architecture."""
    return f"qemu-system-{platform.machine()}"


def cache_dir() -> Path:
    """Where kernels and probe answers are kept: ``VB2USER_CACHE``, else below ``XDG_CACHE_HOME``."""
    if own := os.environ.get("VB2USER_CACHE"):
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vb2user"

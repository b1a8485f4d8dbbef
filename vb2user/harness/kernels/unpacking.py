"""Beside the layers: the packages of a kernel, unpacked into the one shape that the cache has."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from vb2user.errors import Vb2Error
from vb2user.harness import host_tools


def unpack(debs: list[Path], tree: Path) -> None:
    """Unpack packages into ``tree`` and drop what no boot needs."""
    dpkg = host_tools.require("dpkg-deb")
    for deb in debs:
        done = subprocess.run([dpkg, "-x", str(deb), str(tree)], capture_output=True, text=True)
        if done.returncode:
            raise Vb2Error(f"{deb.name} could not be unpacked: {' '.join(done.stderr.split())}")
    for folder in ("usr/share", "etc"):
        shutil.rmtree(tree / folder, ignore_errors=True)


def normalise(tree: Path) -> str:
    """Bring an unpacked kernel into the cache's one shape; returns its release.

    Debian up to 6.x has ``boot/vmlinuz-R`` and ``lib/modules/R``; from 7.2 everything lies in
    ``usr/lib/modules/R``. kmod may be built for either place, so both paths are kept valid.
    """
    modules = tree / "lib" / "modules"
    modules.mkdir(parents=True, exist_ok=True)
    other = tree / "usr" / "lib"
    if (other / "modules").is_dir():
        shutil.copytree(other / "modules", modules, symlinks=True, dirs_exist_ok=True, copy_function=_move)
    shutil.rmtree(tree / "usr", ignore_errors=True)
    (tree / "usr").mkdir()
    other.symlink_to("../lib")
    boot = tree / "boot"
    boot.mkdir(exist_ok=True)
    for name in ("vmlinuz", "config", "System.map"):
        for file in modules.glob(f"*/{name}"):
            file.rename(boot / f"{name}-{file.parent.name}")
    images = sorted(boot.glob("vmlinuz-*"))
    if len(images) != 1:
        raise Vb2Error(f"expected one vmlinuz in the packages, found {len(images)}")
    release = images[0].name.removeprefix("vmlinuz-")
    if not (modules / release).is_dir():
        raise Vb2Error(f"the packages of {release} hold no modules")
    images[0].chmod(0o644)
    depmod = [host_tools.require("depmod"), "-b", str(tree), release]
    done = subprocess.run(depmod, capture_output=True, text=True)
    if done.returncode or not (modules / release / "modules.dep").exists():
        raise Vb2Error(f"depmod failed for {release}: {' '.join(done.stderr.split())}")
    return release


def _move(source: str, target: str) -> str:
    Path(source).rename(target)
    return target

"""Runs in the guest: drivers are loaded for one mutant, with its module in place of the stock one."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import vb2user
from vb2user.errors import MissingPrerequisiteError, Vb2Error
from vb2user.harness.drivers import module as modules
from vb2user.harness.drivers.vb2probe import Probe, built
from vb2user.harness.drivers.vivid import Config, InstanceConfig, Vivid
from vb2user.harness.usb.registry import DEVICES

_MODULES, _CLASS = Path("/sys/module"), Path("/sys/class/video4linux")
#: The part after "probe-" of a node's name: the allocator; "output" is that of vmalloc.
_ALLOCATORS = {"vmalloc": "vmalloc", "contig": "dma-contig", "sg": "dma-sg", "output": "vmalloc"}
#: Those that no package has: each is a file of its own.
_M2M = ("v4l2-mem2mem", "vim2m")
#: Those that a mutant may be, in an order in which they can be unloaded.
_UNLOADED = (
    "vivid",
    "vb2probe",
    "sur40",
    "uvcvideo",
    *reversed(_M2M),
    "videobuf2-v4l2",
    "videobuf2-vmalloc",
    "videobuf2-dma-contig",
    "videobuf2-dma-sg",
    "videobuf2-memops",
    "videobuf2-common",
)


def tainted(flag: int) -> bool:
    """Whether the running kernel has a taint flag."""
    return bool(int(Path("/proc/sys/kernel/tainted").read_text()) & flag)


def _there(module: str) -> Path:
    return _MODULES / module.replace("-", "_")


def clean() -> bool:
    """Unload all that mutants concern; False: something stays."""
    for module in _UNLOADED:
        if (_there(module) / "initstate").exists():
            subprocess.run(["rmmod", module], capture_output=True)
    return not any((_there(module) / "initstate").exists() for module in _UNLOADED)


@contextlib.contextmanager
def replaced(module: str, file: str) -> Iterator[None]:
    """Have modprobe(8) find ``file`` for a module during the block; no file: nothing is replaced."""
    if not file or module in ("vb2probe", *_M2M):
        yield
        return
    asked = ["modinfo", "-F", "filename", module]
    where = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["mount", "--bind", file, os.path.realpath(where)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", os.path.realpath(where)], check=True)


@contextlib.contextmanager
def loaded(on: str, one: Mapping[str, Any]) -> Iterator[str]:
    """Load the driver of a node of ``descriptions.NODES``; yields the node's path.

    Raises:
        Vb2Error: the kernel did not take it, or did not let it go.
        RuntimeError: the kernel has another module than that of the mutant.
    """
    with _driver(on, one) as path:
        # Only a module that is not of the distribution has the taint of one without a signature.
        if one["ko"] and "E" not in (_there(one["module"]) / "taint").read_text():
            raise RuntimeError(f"the kernel has loaded another {one['module']}")
        yield path
    if not clean():
        raise Vb2Error("a module cannot be unloaded")


@contextlib.contextmanager
def _driver(on: str, one: Mapping[str, Any]) -> Iterator[str]:
    if on == "webcam":
        with DEVICES["webcam"].make() as webcam:
            yield webcam.video
    elif on == "m2m":
        with _m2m(one) as path:
            yield path
    elif on.startswith("probe-"):
        file = built(platform.release())
        if one["module"] == "vb2probe" and one["ko"]:
            file = Path(one["ko"])
        if file is None:
            raise MissingPrerequisiteError("vb2probe was not built for this kernel")
        with Probe((_ALLOCATORS[on.split("-")[1]],), module=file) as (instance,):
            role = "output" if "output" in on else "capture_mplane" if "mplane" in on else "capture"
            yield instance.nodes[role]
    else:
        what = InstanceConfig(
            ("video-out",) if on == "output" else ("video-cap",),
            "dma-contig" if on == "contig" else "vmalloc",
            multiplanar=on == "mplane",
        )
        with Vivid(Config((what,))) as (instance,):
            path = instance.output if on == "output" else instance.capture
            _set_up(path, on)
            yield path


@contextlib.contextmanager
def _m2m(one: Mapping[str, Any]) -> Iterator[str]:
    def paths() -> list[str]:
        return [f"/dev/{f.name}" for name, f in modules.video_nodes(_CLASS) if name == "vim2m"]

    files = [one["ko"] if one["ko"] and one["module"] == name else f"{one['m2m']}/{name}.ko" for name in _M2M]
    steps = [["modprobe", "--all", "videobuf2-v4l2", "videobuf2-vmalloc"], *(["insmod", f] for f in files)]
    with modules.nodes_ready("vim2m", paths) as wait:
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True)
            if done.returncode:
                raise modules.ModuleError(f"{' '.join(step)}: {modules.last_line(done.stderr)}")
        wait()
    yield paths()[0]


def _set_up(path: str, on: str) -> None:
    """A small picture that does not change, which an emulated kernel has quickly.

    A mutant may refuse any of this; whether that breaks a rule is for the checks to say.
    """
    with contextlib.suppress(Vb2Error), vb2user.open(path) as opened:
        opened.set_format("NM16" if on == "mplane" else "YUYV", 320, 180)
        if on != "output":
            opened.set_fps(30)
            opened.set_control("OSD Text Mode", 2)

"""Beside the layers: checks of what this machine has for capturing, with commands for what is missing.

There are two ways to capture: with a device *here*, or from vivid in a *virtual machine*. Something that
both ways need is in the section ``common``. The machine is healthy if everything needed in ``common``
is found and at least one of the two ways is complete.

The checks only read: they open no queue, load no module and fetch nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vb2user.errors import MissingPrerequisiteError, Vb2Error, install
from vb2user.harness import host_tools
from vb2user.harness.doctor import udev_rules
from vb2user.harness.drivers.module import module_state
from vb2user.harness.drivers.registry import DRIVERS
from vb2user.harness.kernels import apt
from vb2user.harness.kernels import cache as kernels
from vb2user.harness.usb.registry import DEVICES
from vb2user.harness.vm import kvm
from vb2user.uapi import access

_ELSEWHERE = "use: vb2user vm run -- COMMAND"


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        section: ``common``, ``extras``, ``here`` or ``vm``.
        name: what it is.
        found: whether it exists and is usable.
        needed: whether its section fails without it.
        detail: what was seen.
        hint: the command that mends it, or None.
    """

    section: str
    name: str
    found: bool
    needed: bool
    detail: str
    hint: str | None = None


@dataclass(frozen=True)
class DoctorReport:
    """Every check, and the verdicts."""

    checks: tuple[Check, ...]

    def complete(self, section: str) -> bool:
        """Tell whether everything needed in ``section`` was found."""
        return all(c.found for c in self.checks if c.section == section and c.needed)

    @property
    def healthy(self) -> bool:
        """Whether at least one way of capturing works."""
        return self.complete("common") and (self.complete("here") or self.complete("vm"))

    def to_json(self) -> dict[str, Any]:
        """As one JSON document."""
        return {
            "ok": self.healthy,
            "here": self.complete("common") and self.complete("here"),
            "vm": self.complete("common") and self.complete("vm"),
            "kernel": platform.release(),
            "checks": [asdict(c) for c in self.checks],
        }


def examine(*, probe_kvm: bool = False) -> DoctorReport:
    """Run all checks.

    Args:
        probe_kvm: boot a cached kernel under KVM if that was never tried.
    """
    return DoctorReport((*_common(), *_extras(), *_here(), *_machines(probe_kvm)))


def _common() -> Iterator[Check]:
    version = platform.python_version()
    yield Check(
        "common", "Python", sys.version_info >= (3, 10), True, version, "install Python 3.10 or newer"
    )
    for package in ("v4l2-python3", "pyudev", "numpy", "click", "rich"):
        yield _package("common", package, True, f"{sys.executable} -m pip install {package}")


def _package(section: str, package: str, needed: bool, hint: str) -> Check:
    try:
        return Check(section, package, True, needed, importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Check(section, package, False, needed, "not installed", f"run: {hint}")


#: What is not needed for capturing, by the extra that brings it; ``vm`` has its own section.
EXTRAS = (
    ("media", "av", "pictures, recordings, MJPG"),
    ("web", "aiohttp", "vb2user preview"),
    ("plot", "matplotlib", "capture --plot FILE.png"),
    ("plot", "plotext", "capture --plot terminal"),
    ("test", "pytest", "the fixtures for your own tests"),
)


def _extras() -> Iterator[Check]:
    for extra, package, what in EXTRAS:
        check = _package("extras", package, False, install(extra))
        yield replace(check, detail=f"{check.detail}: {what}")


def _here() -> Iterator[Check]:
    v4l2 = module_state("videodev")
    extra = _ELSEWHERE
    if apt.os_release().get("ID") == "ubuntu":
        extra = "run: sudo apt-get install linux-modules-extra-$(uname -r)"
    yield Check("here", "V4L2 in the kernel", v4l2 is not None, True, v4l2 or "no module videodev", extra)
    for driver in DRIVERS.values():
        state = driver.code().state()
        detail = state or f"no module {driver.name}"
        yield Check("here", driver.name, state is not None, False, detail, driver.hint or extra)
    bus = module_state("vhci-hcd")
    for device in DEVICES.values():
        own = module_state(device.driver)
        lacks = [n for n, s in (("vhci-hcd", bus), (device.driver, own)) if s is None]
        detail = f"no module {' and '.join(lacks)}" if lacks else f"vhci-hcd {bus}, {device.driver} {own}"
        yield Check("here", f"harness {device.name}", not lacks, False, detail, extra)
    nodes = list(_nodes())
    vivid = module_state("vivid") is not None
    usable = any(c.found for c in nodes if not c.name.startswith("/dev/media"))
    could_load = vivid and os.geteuid() == 0
    detail = "a usable one is here" if usable else "vivid can be loaded" if could_load else "none"
    hint = "plug in a camera, or use: vb2user vm run -- COMMAND"
    if vivid:
        hint = f"run: {udev_rules.command('harness up')}"
    if shut := [c for c in nodes if not c.found]:
        detail, hint = ("none that this user may open" if not usable else detail), shut[0].hint or hint
    yield Check("here", "video node", usable or could_load, True, detail, hint)
    yield from nodes
    running = udev_rules.CONTROL.exists()
    yield Check(
        "here",
        "udev",
        running,
        False,
        "running" if running else "not running",
        "run: sudo systemctl start systemd-udevd",
    )
    heaps = list(_heaps())
    there = [c for c in (*nodes, *heaps) if Path(c.name).is_char_device()]
    yield from _permissions(there)
    yield from heaps
    yield from _debugging()


def _nodes() -> Iterator[Check]:
    for folder in sorted(Path("/sys/class/video4linux").glob("*"), key=lambda p: (len(p.name), p.name)):
        try:
            name = (folder / "name").read_text().strip()
        except OSError:
            continue
        yield _openable(f"/dev/{folder.name}", name, "run: sudo udevadm trigger -s video4linux")
    for folder in sorted(Path("/sys/bus/media/devices").glob("*"), key=lambda p: (len(p.name), p.name)):
        yield _openable(f"/dev/{folder.name}", "media controller", "run: sudo udevadm trigger -s media")


def _openable(path: str, what: str, hint: str) -> Check:
    try:
        status = Path(path).stat()
    except OSError:
        return Check("here", path, False, False, f"{what}: no device node", hint)
    if os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        return Check("here", path, True, False, what)
    denial = access.explain_denial(path, status)
    return Check("here", path, False, False, f"{what}: {denial.explanation}", _with_command(denial))


def _with_command(denial: access.Denial) -> str:
    if denial.why is access.DenialReason.RULES:
        return f"run: {udev_rules.command(access.INSTALL)}"
    return denial.hint


def _permissions(nodes: list[Check]) -> Iterator[Check]:
    """The group, the rules of udev, and what they should have done."""
    try:
        udev_rules.require_group()
        yield _membership(nodes)
    except MissingPrerequisiteError as error:
        yield Check("here", f"group {access.GROUP}", False, False, "not on this machine", error.hint)
    install = f"run: {udev_rules.command(access.INSTALL)}"
    found = udev_rules.installed()
    here = found.state is udev_rules.State.HERE
    detail = found.state.value + (f": {found.path}" if found.path else "")
    yield Check("here", "udev rules", here, False, detail, install)
    if here:
        wrong = list(udev_rules.wrong())
        detail = f"not to {', '.join(wrong)}" if wrong else f"to {len(udev_rules.nodes())} nodes"
        yield Check("here", "udev rules applied", not wrong, False, detail, install)
    if everybody := udev_rules.open_to_all():
        detail = f"every user may use {', '.join(everybody)}"
        yield Check("here", "nodes kept from others", False, False, detail, install)


def _membership(nodes: list[Check]) -> Check:
    name = f"group {access.GROUP}"
    outside = access.membership(access.GROUP)
    if outside is None:
        member = "root needs no group" if os.geteuid() == 0 else f"{access.user_name()} belongs to it"
        return Check("here", name, True, False, member)
    if nodes and all(c.found for c in nodes):
        return Check("here", name, True, False, f"{outside.explanation}, and need not be: every node is open")
    return Check("here", name, False, False, outside.explanation, outside.hint)


def _heaps() -> Iterator[Check]:
    heaps = sorted(Path("/dev/dma_heap").glob("*"))
    if not heaps:
        yield Check(
            "here",
            "/dev/dma_heap",
            False,
            False,
            "this kernel offers no DMA heap",
            _ELSEWHERE,
        )
    for heap in heaps:
        yield _openable(str(heap), "DMA heap", _ELSEWHERE)
    loadable = module_state("udmabuf") is not None
    hint = "run: sudo modprobe udmabuf" if loadable else _ELSEWHERE
    yield _openable("/dev/udmabuf", "dma-bufs from memfds", hint)


def _debugging() -> Iterator[Check]:
    for name, where in (("tracefs", "/sys/kernel/tracing"), ("debugfs", "/sys/kernel/debug")):
        readable = os.access(where, os.R_OK | os.X_OK) and any(Path(where).iterdir())
        mounted = os.path.ismount(where)
        detail = where if readable else f"{where}: {'only for root' if mounted else 'not mounted'}"
        hint = "run as root" if mounted else f"run: sudo mount -t {name} {name} {where}"
        yield Check("here", name, readable, False, detail, hint)


def _machines(probe_kvm: bool) -> Iterator[Check]:
    if "VB2USER_VM" in os.environ:
        yield Check("vm", "vm run", False, True, "this is a virtual machine already", "use it outside")
        return
    for name in (host_tools.qemu_name(), "busybox", "depmod", "file", "udevadm"):
        path = host_tools.find(name)
        yield Check(
            "vm", name, path is not None, True, path or "not installed", f"run: {host_tools.hint(name)}"
        )
    yield _package("vm", "virtme-ng", True, install("vm"))
    have, releases, fetch = [], "none yet", f"run: vb2user vm fetch {kernels.DEFAULT}"
    try:
        if have := kernels.cached():
            releases = ", ".join(k.release for k in have)
    except OSError as error:  # another user's home, as sudo -u may leave it
        releases = f"{error.filename}: {error.strerror}"
        fetch = "set HOME, XDG_CACHE_HOME or VB2USER_CACHE to a folder of this user"
    yield from _fetching(bool(have))
    yield Check("vm", "cached kernels", bool(have), False, releases, fetch)
    answer = kvm.known()
    if probe_kvm and answer.works is None and have:
        answer = kvm.probe(have[-1].image)
    words = {True: "works", False: "not usable, machines are emulated", None: "not known"}
    detail = f"{words[answer.works]}: {answer.why}"
    yield Check("vm", "KVM", bool(answer.works), False, detail, answer.hint)


def _fetching(cached: bool) -> Iterator[Check]:
    """What fetching a kernel needs; nothing of it is needed where one is cached."""
    for name in ("apt-get", "dpkg-deb"):
        path = host_tools.find(name)
        hint = "put a kernel's packages on a Debian or Ubuntu machine, or use --kernel PATH"
        yield Check("vm", name, path is not None, not cached, path or "not installed", hint)
    release = apt.os_release()
    sources = apt.machine_sources()
    own = apt.own_sources(sources, release.get("VERSION_CODENAME", ""))
    try:
        archive = apt.debian_archive(sources, release)
        detail = "Debian's suites can be reached" if archive else "only this machine's own suites"
        found = bool(archive or own)
    except Vb2Error as error:
        archive, found, detail = None, bool(own), str(error)
    yield Check(
        "vm",
        "Debian archive",
        found,
        not cached,
        detail if found else "none among apt's sources",
        None if archive else "set VB2USER_DEBIAN_MIRROR and run: sudo apt-get install debian-archive-keyring",
    )

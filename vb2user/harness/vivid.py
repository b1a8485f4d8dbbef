"""Beside the layers: loads and unloads vivid, the kernel's virtual video driver, as asked.

Works by module parameters, sysfs and udev alone; no V4L2 ioctl is made. A node counts as there once
udev has finished with it: the monitor listens before the module is loaded, so nothing is missed and
nothing is slept for. Kernel documentation: Documentation/admin-guide/media/vivid.rst.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from vb2user.errors import MissingPrerequisite, UsageError, Vb2Error
from vb2user.harness import programs

_CLASS = Path("/sys/class/video4linux")
_MODULE = Path("/sys/module/vivid")
#: Seconds for udev to finish with every node; emulated machines are slow.
DEADLINE = 60.0

#: Node type to its bits in the parameter ``node_types``.
NODE_TYPES = {
    "video-cap": 1 << 0,
    "vbi-cap": 3 << 2,
    "radio-rx": 1 << 4,
    "sdr-cap": 1 << 5,
    "video-out": 1 << 8,
    "vbi-out": 3 << 10,
    "radio-tx": 1 << 12,
    "meta-cap": 1 << 17,
    "meta-out": 1 << 18,
    "touch-cap": 1 << 19,
}

#: What the end of a vivid node's name in sysfs says, where that differs from the node type.
_ROLES = {"vid-cap": "video-cap", "vid-out": "video-out", "rad-rx": "radio-rx", "rad-tx": "radio-tx"}

ALLOCATORS = {"vmalloc": 0, "dma-contig": 1}


class VividError(Vb2Error):
    """The kernel or udev did not do what loading or unloading vivid needs."""

    exit_status = 3


class VividBusy(VividError):
    """vivid is in use, or loaded with other parameters."""


@dataclass(frozen=True)
class InstanceConfig:
    """What one vivid instance shall be.

    Attributes:
        nodes: keys of :data:`NODE_TYPES`.
        allocator: ``vmalloc`` or ``dma-contig``: the vb2_mem_ops behind its queues.
        multiplanar: the multi-planar API instead of the single-planar one.
        cache_hints: user space may skip cache maintenance (V4L2_BUF_CAP_SUPPORTS_MMAP_CACHE_HINTS).
    """

    nodes: tuple[str, ...] = ("video-cap", "video-out")
    allocator: str = "vmalloc"
    multiplanar: bool = False
    cache_hints: bool = False

    def __post_init__(self) -> None:
        unknown = [n for n in self.nodes if n not in NODE_TYPES]
        if unknown or not self.nodes:
            raise UsageError(
                f"unknown node types {', '.join(unknown) or '(none)'}; vivid has {', '.join(NODE_TYPES)}"
            )
        if self.allocator not in ALLOCATORS:
            raise UsageError(f"unknown allocator {self.allocator!r}; vivid has {', '.join(ALLOCATORS)}")

    @property
    def node_types(self) -> int:
        """The value of the module parameter."""
        return sum(NODE_TYPES[n] for n in set(self.nodes))


@dataclass(frozen=True)
class Config:
    """What vivid shall be loaded with: its instances, and further module parameters as they are."""

    instances: tuple[InstanceConfig, ...] = (InstanceConfig(),)
    params: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= len(self.instances) <= 64:
            raise UsageError(f"vivid has 1 to 64 instances, not {len(self.instances)}")
        for name in self.params:
            if not re.fullmatch(r"\w+", name) or name in self.parameters(own=True):
                raise UsageError(f"{name!r} cannot be given as a further parameter of vivid")

    def parameters(self, *, own: bool = False) -> dict[str, str]:
        """Every module parameter; with ``own``, without the further ones."""
        each = self.instances
        values = {
            "n_devs": str(len(each)),
            "node_types": ",".join(f"{i.node_types:#x}" for i in each),
            "allocators": ",".join(str(ALLOCATORS[i.allocator]) for i in each),
            "multiplanar": ",".join("2" if i.multiplanar else "1" for i in each),
            "cache_hints": ",".join(str(int(i.cache_hints)) for i in each),
        }
        return values if own else values | dict(self.params)

    def to_json(self) -> dict[str, Any]:
        """As a JSON document."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Config:
        """The inverse of :meth:`to_json`."""
        instances = tuple(InstanceConfig(**(i | {"nodes": tuple(i["nodes"])})) for i in document["instances"])
        return cls(instances, document["params"])


def _tests() -> Config:
    nodes = ("video-cap", "video-out")
    kinds = ((name, planar) for planar in (False, True) for name in ALLOCATORS)
    return Config(tuple(InstanceConfig(nodes, name, planar, True) for name, planar in kinds))


#: ``capture``: one plain capture device. ``tests``: each allocator in each planar API, in the order
#: vmalloc, dma-contig, then both multi-planar; what the pytest fixtures stand on.
PRESETS = {"capture": Config((InstanceConfig(("video-cap",)),)), "tests": _tests()}


@dataclass(frozen=True)
class Instance:
    """One vivid instance as it is.

    Attributes:
        index: its number among vivid's instances.
        nodes: role (``video-cap``, ``video-out``, ``vbi-cap``, …) to device path.
        allocator: ``vmalloc`` or ``dma-contig``.
        multiplanar: does it speak the multi-planar API?
        media: path of its media controller, or None.
    """

    index: int
    nodes: Mapping[str, str]
    allocator: str
    multiplanar: bool
    media: str | None = None

    @property
    def capture(self) -> str:
        """Path of the video capture node."""
        return self._node("video-cap")

    @property
    def output(self) -> str:
        """Path of the video output node."""
        return self._node("video-out")

    def to_json(self) -> dict[str, Any]:
        """As a JSON document."""
        return asdict(self)

    def _node(self, role: str) -> str:
        try:
            return self.nodes[role]
        except KeyError:
            raise UsageError(f"vivid instance {self.index} was loaded without {role}") from None


def module_state(name: str) -> str | None:
    """How the running kernel has a module: ``loaded``, ``built in``, ``loadable``, or None: not at all."""
    folder = Path("/lib/modules") / platform.release()
    if Path("/sys/module", name).exists():
        return "loaded" if Path("/sys/module", name, "initstate").exists() else "built in"
    try:
        if f"/{name}.ko" in (folder / "modules.builtin").read_text():
            return "built in"
    except OSError:
        pass
    modprobe = programs.find("modprobe")
    if modprobe is None or not folder.is_dir():
        return None
    done = subprocess.run([modprobe, "-n", "-q", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return "loadable" if done.returncode == 0 else None


def loaded() -> bool:
    """Is the module vivid in the kernel?"""
    return (_MODULE / "initstate").exists() or (_MODULE / "parameters").exists()


def loaded_parameters() -> dict[str, str]:
    """The parameters of the loaded module, as sysfs tells them."""
    found = {}
    for file in (_MODULE / "parameters").glob("*"):
        with contextlib.suppress(OSError):
            found[file.name] = file.read_text().strip()
    return found


def instances() -> list[Instance]:
    """The instances of the loaded module, from sysfs."""
    nodes: dict[int, dict[str, str]] = {}
    controllers: set[str] = set()
    for folder in sorted(_CLASS.glob("*"), key=lambda p: (len(p.name), p.name)):
        try:
            match = re.fullmatch(r"vivid-(\d+)-(\S+)", (folder / "name").read_text().strip())
        except OSError:
            continue  # it went away meanwhile
        if match is None:
            continue
        index = int(match[1])
        nodes.setdefault(index, {})[_ROLES.get(match[2], match[2])] = f"/dev/{folder.name}"
        controllers |= {f"/dev/{node.name}" for node in (folder / "device").glob("media*")}
    media = _media_by_instance(controllers)
    params = loaded_parameters()
    names = {number: name for name, number in ALLOCATORS.items()}
    return [
        Instance(
            index,
            found,
            names.get(_numbers(params.get("allocators", ""), index), "vmalloc"),
            _numbers(params.get("multiplanar", ""), index) == 2,
            media.get(index),
        )
        for index, found in sorted(nodes.items())
    ]


def _media_by_instance(paths: Iterable[str]) -> dict[int, str]:
    """vivid's media controllers by instance, as they say: in sysfs all of them hang on one device."""
    from vb2user.uapi.calls.media import media_device_info
    from vb2user.uapi.kernel import open_node

    found = {}
    for path in paths:
        try:
            with open_node(path) as node:
                match = re.fullmatch(r"platform:vivid-(\d+)", media_device_info(node).bus_info)
        except Vb2Error:
            continue  # not ours to open, or gone meanwhile: an instance without a media controller
        if match:
            found[int(match[1])] = path
    return found


def _numbers(text: str, index: int) -> int:
    """Element ``index`` of a module parameter's list, 0 where it is missing."""
    values = text.split(",")
    return int(values[index], 0) if index < len(values) and values[index] else 0


def differences(wanted: Config) -> list[str]:
    """The parameters in which the loaded module is not what is wanted, in words."""
    have = loaded_parameters()
    count = int(_plain(have.get("n_devs", "1")) or 1)
    if count != len(wanted.instances):
        return [f"it has {count} instance{'s' * (count > 1)}, not {len(wanted.instances)}"]
    found = []
    for name, value in wanted.parameters().items():
        if name not in have:
            found.append(f"it has no parameter {name}")
            continue
        # sysfs shows array parameters in full and all numbers in decimal.
        now = have[name].split(",")
        for position, one in enumerate(value.split(",")):
            is_now = now[position] if position < len(now) else ""
            if _plain(one) != _plain(is_now):
                shown = ",".join(map(_plain, now[:count])) if len(now) > 1 else _plain(have[name])
                found.append(f"{name} is {shown}, not {','.join(map(_plain, value.split(',')))}")
                break
    return found


def _plain(text: str) -> str:
    text = {"Y": "1", "N": "0"}.get(text, text)
    try:
        return str(int(text, 0))
    except ValueError:
        return text


def holders(paths: Iterable[str]) -> list[str]:
    """Processes that have one of the device nodes open or mapped: ``name (pid 42, /dev/video0)``."""
    wanted = set(paths)
    found = []
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
                name = (process / "comm").read_text().strip()
                found.append(f"{name} (pid {process.name}, {', '.join(taken)})")
    return sorted(found)


class Vivid:
    """vivid with what is asked, for as long as the ``with`` block lasts.

    Leaving the block unloads the module only if this object loaded it.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self._owned = False

    def up(self) -> list[Instance]:
        """Load vivid and wait until udev is done with every node.

        A module that is loaded with these very parameters is taken as it is.

        Raises:
            MissingPrerequisite: not root, no module for this kernel, no udev.
            VividBusy: it is loaded with other parameters.
            VividError: the kernel refused it, or udev did not finish in time.
        """
        if loaded():
            if different := differences(self.config):
                raise VividBusy(
                    f"vivid is already loaded otherwise: {'; '.join(different)}",
                    remedy="run: sudo vb2user harness down",
                )
            return instances()
        _require_root("load")
        modprobe = programs.require("modprobe")
        if module_state("vivid") is None:
            raise _no_module()
        if not Path("/run/udev/control").exists():
            raise MissingPrerequisite(
                "udev is not running, so nobody would tell when the nodes are ready",
                remedy="run: sudo systemctl start systemd-udevd",
            )
        with _nodes_ready() as wait:
            done = subprocess.run(
                [modprobe, "vivid", *(f"{k}={v}" for k, v in self.config.parameters().items())],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise _refused(done.stderr)
            self._owned = True
            try:
                if different := differences(self.config):
                    raise VividError(f"this kernel's vivid did not take it: {'; '.join(different)}")
                wait()
                return instances()
            except BaseException:
                with contextlib.suppress(Vb2Error):
                    self.down()
                raise

    def down(self) -> None:
        """Unload vivid, whoever loaded it; does nothing where it is not loaded.

        Raises:
            MissingPrerequisite: not root.
            VividBusy: a process has a node open; the message names it.
        """
        self._owned = False
        if not loaded():
            return
        _require_root("unload")
        paths = [p for i in instances() for p in (*i.nodes.values(), i.media) if p]
        done = subprocess.run([programs.require("modprobe"), "-r", "vivid"], capture_output=True, text=True)
        if done.returncode:
            who = holders(paths)
            raise VividBusy(
                f"vivid is in use by {', '.join(who)}" if who else f"vivid stays: {_last(done.stderr)}",
                remedy="end that program first" if who else None,
            )

    def __enter__(self) -> list[Instance]:
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
            if error is None:  # else the first error is the one to hear about
                raise


def _require_root(verb: str) -> None:
    if os.geteuid() != 0:
        raise MissingPrerequisite(
            f"only root may {verb} the module vivid", remedy="run it with sudo, or in: vb2user vm run"
        )


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"


def _no_module() -> MissingPrerequisite:
    return MissingPrerequisite(
        f"kernel {platform.release()} has no module vivid here",
        remedy="use: vb2user vm run; or on Ubuntu: sudo apt-get install linux-modules-extra-$(uname -r)",
    )


def _refused(stderr: str) -> Vb2Error:
    if "not found" in stderr:
        return _no_module()
    return VividError(f"vivid could not be loaded: {_last(stderr)}")


@contextlib.contextmanager
def _nodes_ready() -> Iterator[Any]:
    """Listen to udev from now on; the yielded function waits until every vivid node is finished."""
    import pyudev

    context = pyudev.Context()
    monitor = pyudev.Monitor.from_netlink(context, source="udev")
    monitor.filter_by("video4linux")
    monitor.start()

    def wait() -> None:
        deadline = time.monotonic() + DEADLINE
        missing = {path for instance in instances() for path in instance.nodes.values()}
        if not missing:
            raise VividError("vivid is loaded but made no device node")
        for device in context.list_devices(subsystem="video4linux"):
            if device.is_initialized:
                missing.discard(device.device_node)
        while missing:
            left = deadline - time.monotonic()
            device = monitor.poll(left) if left > 0 else None
            if device is None:
                raise VividError(f"udev did not finish {', '.join(sorted(missing))} in {DEADLINE:g} s")
            missing.discard(device.device_node)

    yield wait

"""Beside the layers: loads and unloads vivid, the kernel's virtual video driver, as asked.

Works by module parameters, sysfs and udev alone (:mod:`.module`); no V4L2 ioctl is made on a video node.
Kernel documentation: Documentation/admin-guide/media/vivid.rst.
"""

from __future__ import annotations

import contextlib
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vb2user.errors import MissingPrerequisiteError, UsageError, Vb2Error
from vb2user.harness import host_tools
from vb2user.harness.drivers import module as modules
from vb2user.harness.drivers.module import Loaded, ModuleError, last_line, require_root
from vb2user.harness.drivers.module import holders as holders
from vb2user.harness.drivers.module import module_state as module_state

_CLASS = Path("/sys/class/video4linux")
_MODULE = Path("/sys/module/vivid")

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


class VividError(ModuleError):
    """The kernel did not do what loading or unloading vivid needs."""


class VividBusyError(VividError):
    """vivid is in use, or loaded with other parameters."""


@dataclass(frozen=True)
class InstanceConfig:
    """The configuration of one vivid instance.

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
    """The configuration of vivid: its instances, and further module parameters."""

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
        """Return it as a JSON document."""
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
class VividInstance:
    """One loaded vivid instance.

    Attributes:
        index: its number among vivid's instances.
        nodes: role (``video-cap``, ``video-out``, ``vbi-cap``, …) to device path.
        allocator: ``vmalloc`` or ``dma-contig``.
        multiplanar: whether it has the multi-planar API.
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
        """Return it as a JSON document."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """For each node: driver, allocator, API, role, path."""
        api = "multi-planar" if self.multiplanar else "single-planar"
        nodes = {**self.nodes, **({"media": self.media} if self.media else {})}
        return [(f"vivid {self.index}", self.allocator, api, role, path) for role, path in nodes.items()]

    def _node(self, role: str) -> str:
        try:
            return self.nodes[role]
        except KeyError:
            raise UsageError(f"vivid instance {self.index} was loaded without {role}") from None


def loaded() -> bool:
    """Tell whether the module vivid is loaded."""
    return (_MODULE / "initstate").exists() or (_MODULE / "parameters").exists()


def state() -> str | None:
    """Whether the running kernel has it: see :func:`.module.module_state`."""
    return module_state("vivid")


def make(config: Mapping[str, Any] | None = None) -> Vivid:
    """vivid with a :class:`Config` as a JSON document; None: the preset of the fixtures."""
    return Vivid(PRESETS["tests"] if config is None else Config.from_json(config))


def for_guest(*_: object) -> dict[str, Any]:
    """What a guest has: one capture device."""
    return PRESETS["capture"].to_json()


def described(given: Mapping[str, Any], *_: object) -> dict[str, Any]:
    """The configuration that options of the command line describe, as a JSON document.

    Raises:
        UsageError: an option is given for another number of instances.
    """
    if "preset" in given:
        return PRESETS[given["preset"]].to_json()
    listed = [given.get(name, ()) for name in ("nodes", "allocator", "multiplanar", "cache_hints")]
    count = given.get("instances") or max(1, *map(len, listed))

    def each(name: str, default: Any) -> list[Any]:
        values = given.get(name, ())
        if len(values) not in (0, 1, count):
            option = name.replace("_", "-")
            raise UsageError(f"--{option} was given {len(values)} times for {count} instances")
        return list(values or (default,)) * (1 if len(values) == count else count)

    made = zip(
        each("nodes", "video-cap,video-out"),
        each("allocator", "vmalloc"),
        each("multiplanar", False),
        each("cache_hints", False),
        strict=True,
    )
    pairs = dict(p.partition("=")[::2] for p in given.get("param", ()))
    return Config(tuple(InstanceConfig(tuple(n.split(",")), a, m, c) for n, a, m, c in made), pairs).to_json()


def loaded_parameters() -> dict[str, str]:
    """The parameters of the loaded module, as sysfs tells them."""
    return modules.parameters(_MODULE)


def instances() -> list[VividInstance]:
    """The instances of the loaded module, from sysfs."""
    nodes: dict[int, dict[str, str]] = {}
    controllers: set[str] = set()
    for name, folder in modules.video_nodes(_CLASS):
        match = re.fullmatch(r"vivid-(\d+)-(\S+)", name)
        if match is None:
            continue
        index = int(match[1])
        nodes.setdefault(index, {})[_ROLES.get(match[2], match[2])] = f"/dev/{folder.name}"
        controllers |= {f"/dev/{node.name}" for node in (folder / "device").glob("media*")}
    media = _media_by_instance(controllers)
    params = loaded_parameters()
    names = {number: name for name, number in ALLOCATORS.items()}
    return [
        VividInstance(
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
    """Return the parameters in which the loaded module differs from the wanted ones, in words."""
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


class Vivid(Loaded[VividInstance]):
    """vivid with what is asked, for as long as the ``with`` block lasts.

    Leaving the block unloads the module only if this object loaded it.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self._owned = False

    def up(self) -> list[VividInstance]:
        """Load vivid and wait until udev is done with every node.

        A module that is loaded with these very parameters is taken as it is.

        Raises:
            MissingPrerequisiteError: not root, no module for this kernel, no udev.
            VividBusyError: it is loaded with other parameters.
            VividError: the kernel refused it, or udev did not finish in time.
        """
        if loaded():
            if different := differences(self.config):
                raise VividBusyError(
                    f"vivid is already loaded otherwise: {'; '.join(different)}",
                    hint="run: sudo vb2user harness down",
                )
            return instances()
        require_root("load", "vivid")
        modprobe = host_tools.require("modprobe")
        if module_state("vivid") is None:
            raise _no_module()
        modules.require_udev()
        with modules.nodes_ready("vivid", _paths) as wait:
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
        """Unload vivid, even if another program loaded it. Does nothing if it is not loaded.

        Raises:
            MissingPrerequisiteError: not root.
            VividBusyError: a process has a node open; the message names it.
        """
        self._owned = False
        if not loaded():
            return
        paths = [p for i in instances() for p in (*i.nodes.values(), i.media) if p]
        modules.unload("vivid", ["modprobe", "-r", "vivid"], paths, VividBusyError)


def _no_module() -> MissingPrerequisiteError:
    return MissingPrerequisiteError(
        f"kernel {platform.release()} has no module vivid here",
        hint="use: vb2user vm run -- COMMAND; or on Ubuntu: sudo apt-get install "
        "linux-modules-extra-$(uname -r)",
    )


def _refused(stderr: str) -> Vb2Error:
    if "not found" in stderr:
        return _no_module()
    return VividError(f"vivid could not be loaded: {last_line(stderr)}")


def _paths() -> list[str]:
    return [path for instance in instances() for path in instance.nodes.values()]

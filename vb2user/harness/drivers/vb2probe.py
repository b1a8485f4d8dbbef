"""Beside the layers: vb2probe, a V4L2 driver of the project's own: built, loaded, and its pattern checked.

Its source is in ``hwtests/vb2probe`` of a checkout, or beside this file in an installed package. Modules that
were built lie in the cache, one for each kernel and each state of the source::

    modules/<release>/vb2probe-<hash>.ko

A guest has no network, so it loads a module that the host built (``vb2user vm run --probe``). Loading works
by sysfs and udev alone (:mod:`.module`); numpy is imported when the pattern is asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vb2user.errors import MissingPrerequisiteError, UsageError, Vb2Error
from vb2user.harness import host_tools
from vb2user.harness.contents import Contents
from vb2user.harness.drivers import module as modules
from vb2user.harness.drivers.module import Loaded, ModuleError, last_line, require_root
from vb2user.harness.kernels import cache as kernels
from vb2user.harness.kernels import headers
from vb2user.harness.kernels.cache import Say
from vb2user.uapi.calls import Format

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]

_CLASS = Path("/sys/class/video4linux")
_MODULE = Path("/sys/module/vb2probe")
_SOURCES = ("vb2probe.c", "Kbuild")

ALLOCATORS = ("vmalloc", "dma-contig", "dma-sg")

#: The lowest number of its nodes: /dev/video0 stays what it would be without them.
FIRST_NODE = 64

#: Each has a videobuf2 module; these and the core must be there before ``insmod``, which looks for nothing.
_CORE = ("videodev", "videobuf2-common", "videobuf2-v4l2")


class ProbeError(ModuleError):
    """The kernel did not do what loading or unloading vb2probe needs."""


class ProbeBusyError(ProbeError):
    """vb2probe is in use, or loaded with other allocators."""


@dataclass(frozen=True)
class ProbeInstance:
    """The four nodes of one allocator, as paths.

    Attributes:
        allocator: ``vmalloc``, ``dma-contig`` or ``dma-sg``.
        capture, output: YUYV by the single-planar API; with read(2) and write(2).
        capture_mplane, output_mplane: NV12M, two memory planes, by the multi-planar API.
    """

    allocator: str
    capture: str
    output: str
    capture_mplane: str
    output_mplane: str

    @property
    def nodes(self) -> dict[str, str]:
        """Role to path."""
        return {role: path for role, path in asdict(self).items() if role != "allocator"}

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {"allocator": self.allocator, "nodes": self.nodes}

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """For each node: driver, allocator, API, role, path."""
        apis = {role: "multi-planar" if role.endswith("_mplane") else "single-planar" for role in self.nodes}
        return [
            ("vb2probe", self.allocator, apis[role], role.removesuffix("_mplane"), path)
            for role, path in self.nodes.items()
        ]


_ROLES = {"cap": "capture", "out": "output", "cap-mplane": "capture_mplane", "out-mplane": "output_mplane"}

# --- building -------------------------------------------------------------------------------------


def source_dir() -> Path:
    """The driver's source.

    Raises:
        MissingPrerequisiteError: neither this package nor a checkout around it has it.
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "vb2probe_source", here.parents[3] / "hwtests" / "vb2probe"):
        if (folder / "vb2probe.c").exists():
            return folder
    raise MissingPrerequisiteError(
        "this installation of vb2user has no source of vb2probe", hint="install vb2user from a checkout"
    )


def _module_file(release: str) -> Path:
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update((source_dir() / name).read_bytes())
    return host_tools.cache_dir() / "modules" / release / f"vb2probe-{digest.hexdigest()[:16]}.ko"


def built(release: str) -> Path | None:
    """Return the module for a kernel if it was built from the present source."""
    file = _module_file(release)
    return file if file.exists() else None


def build(kernel: kernels.Kernel | str | None = None, *, say: Say = lambda _: None) -> Path:
    """Return the module for a kernel, and build it if necessary.

    Args:
        kernel: from :func:`.kernels.get`, or a release; None: the running one.
        say: told in a line what takes long.

    Raises:
        MissingPrerequisiteError: no headers, a tool missing.
        headers.BuildError: it did not compile; apt.AptError: the headers could not be fetched.
    """
    release = kernel.release if isinstance(kernel, kernels.Kernel) else kernel or platform.release()
    if not release:
        raise UsageError("a kernel that does not tell its release has no headers to build vb2probe against")
    file = _module_file(release)
    if file.exists():
        return file
    found = headers.get(release, say=say)
    with kernels.locked(file.parent):
        if file.exists():  # another run may have built it while this one waited
            return file
        say(f"building vb2probe for {release}")
        work = Path(tempfile.mkdtemp(prefix=".new-", dir=file.parent))
        try:
            for name in _SOURCES:
                shutil.copyfile(source_dir() / name, work / name)
            headers.make(found, work)
            (work / "vb2probe.ko").rename(file)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return file


# --- loading --------------------------------------------------------------------------------------


def loaded() -> bool:
    """Tell whether the module vb2probe is loaded."""
    return (_MODULE / "initstate").exists() or (_MODULE / "parameters").exists()


def state() -> str | None:
    """Whether the running kernel has it, or could: it was built for it."""
    if loaded():
        return "loaded"
    with contextlib.suppress(MissingPrerequisiteError):
        return "built" if built(platform.release()) else None
    return None


def make(config: Mapping[str, Any] | None = None) -> Probe:
    """vb2probe with what :func:`described` or :func:`for_guest` returned; None: with all allocators."""
    file = (config or {}).get("module")
    return Probe((config or {}).get("allocators", ALLOCATORS), module=Path(file) if file else None)


def for_guest(kernel: kernels.Kernel, say: Say) -> dict[str, Any]:
    """All allocators, and the module, which is built here if that was not done yet."""
    return {"allocators": ALLOCATORS, "module": str(build(kernel, say=say))}


def described(given: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The allocators that the command line names; the module is built if it is not loaded.

    Raises:
        UsageError: there is no such allocator.
        MissingPrerequisiteError: not root, who alone may load it; else as :func:`build`.
    """
    wanted = Probe(given.get("allocator", ALLOCATORS))
    if not loaded():
        require_root("load", "vb2probe")  # before minutes of fetching
        build(say=say)
    return {"allocators": wanted.allocators}


def instances() -> list[ProbeInstance]:
    """List the nodes of the loaded module, from sysfs, in the order of :data:`ALLOCATORS`."""
    found: dict[str, dict[str, str]] = {}
    for name, folder in modules.video_nodes(_CLASS):
        match = re.fullmatch(r"vb2probe-(vmalloc|dma-contig|dma-sg)-(\S+)", name)
        if match and match[2] in _ROLES:
            found.setdefault(match[1], {})[_ROLES[match[2]]] = f"/dev/{folder.name}"
    # Not all four: they are just coming or going.
    return [ProbeInstance(a, **found[a]) for a in ALLOCATORS if len(found.get(a, {})) == len(_ROLES)]


class Probe(Loaded[ProbeInstance]):
    """vb2probe with the allocators that are asked for, for as long as the ``with`` block lasts.

    Leaving the block unloads the module only if this object loaded it.

    Args:
        allocators: of :data:`ALLOCATORS`.
        module: the file to load; None: the one that was built for the running kernel.
    """

    def __init__(self, allocators: Iterable[str] = ALLOCATORS, *, module: Path | None = None) -> None:
        asked = set(allocators)
        if not asked or asked - set(ALLOCATORS):
            unknown = ", ".join(sorted(asked - set(ALLOCATORS))) or "(none)"
            raise UsageError(f"unknown allocator {unknown}; vb2probe has {', '.join(ALLOCATORS)}")
        self.allocators = tuple(a for a in ALLOCATORS if a in asked)
        self._module = module
        self._owned = False

    def up(self) -> list[ProbeInstance]:
        """Load vb2probe and wait until udev is done with every node.

        A module that is loaded with these very allocators is taken as it is.

        Raises:
            MissingPrerequisiteError: not root, not built for this kernel, a kernel without videobuf2, no
                udev.
            ProbeBusyError: it is loaded with other allocators.
            ModuleError: the kernel refused it, or udev did not finish in time.
        """
        if loaded():
            have = modules.parameters(_MODULE).get("allocators", "")
            if set(have.split(",")) != set(self.allocators):
                raise ProbeBusyError(
                    f"vb2probe is already loaded with {have}, not {','.join(self.allocators)}",
                    hint="run: sudo vb2user harness down",
                )
            return instances()
        require_root("load", "vb2probe")
        file = self._module or built(platform.release())
        if file is None:
            raise MissingPrerequisiteError(
                f"vb2probe was not built for kernel {platform.release()}",
                hint="run: sudo vb2user harness up --probe; for a guest: vb2user vm run --probe",
            )
        insmod = host_tools.require("insmod")
        _load_videobuf2()
        modules.require_udev()
        with modules.nodes_ready("vb2probe", _paths) as wait:
            argv = [insmod, str(file), f"allocators={','.join(self.allocators)}", f"video_nr={FIRST_NODE}"]
            done = subprocess.run(argv, capture_output=True, text=True)
            if done.returncode:
                raise _refused(done.stderr)
            self._owned = True
            try:
                wait()
                found = instances()
                if (have_all := tuple(i.allocator for i in found)) != self.allocators:
                    raise ProbeError(f"vb2probe made nodes for {', '.join(have_all) or 'nothing'} only")
                return found
            except BaseException:
                with contextlib.suppress(Vb2Error):
                    self.down()
                raise

    def down(self) -> None:
        """Unload vb2probe, even if another program loaded it. Does nothing if it is not loaded.

        Raises:
            MissingPrerequisiteError: not root.
            ProbeBusyError: a process has a node open; the message names it.
        """
        self._owned = False
        if not loaded():
            return
        # Not modprobe: the module lies in no folder that it knows.
        modules.unload("vb2probe", ["rmmod", "vb2probe"], _paths(), ProbeBusyError)


def _paths() -> list[str]:
    return [f"/dev/{f.name}" for name, f in modules.video_nodes(_CLASS) if name.startswith("vb2probe-")]


def _load_videobuf2() -> None:
    # The module refers to all three allocators, whichever of them it will use.
    for name in (*_CORE, *(f"videobuf2-{a}" for a in ALLOCATORS)):
        state = modules.module_state(name)
        if state is None:
            raise MissingPrerequisiteError(
                f"kernel {platform.release()} has no module {name}, which vb2probe builds upon",
                hint="use: vb2user vm run --probe",
            )
        if state != "loadable":
            continue
        done = subprocess.run([host_tools.require("modprobe"), name], capture_output=True, text=True)
        if done.returncode:
            raise ProbeError(f"{name} could not be loaded: {last_line(done.stderr)}")


def _refused(stderr: str) -> Vb2Error:
    said = last_line(stderr)
    if re.search(r"Key was rejected|Required key not available|Operation not permitted", said):
        return MissingPrerequisiteError(
            f"this kernel takes signed modules only, and vb2probe is not signed: {said}",
            hint="switch Secure Boot off, or use: vb2user vm run --probe",
        )
    return ProbeError(f"vb2probe could not be loaded: {said}", hint="the reason is in: sudo dmesg")


# --- the pattern ----------------------------------------------------------------------------------

#: Factors of sequence, plane and word number; the driver's first comment explains.
_SEQUENCE, _PLANE, _WORD = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D


def pattern(sequence: int, plane: int, nbytes: int) -> Bytes:
    """Return the content of memory plane ``plane`` of frame ``sequence``, ``nbytes`` numpy ``uint8``."""
    import numpy as np

    start = (sequence * _SEQUENCE + plane * _PLANE) & 0xFFFFFFFF
    words = np.arange((nbytes + 3) // 4, dtype=np.uint32)
    words *= np.uint32(_WORD)  # both wrap at 32 bits, as in the driver
    words += np.uint32(start)
    return words.astype("<u4", copy=False).view(np.uint8)[:nbytes]


def sequence_of(data: Any, plane: int = 0) -> int:
    """Return the frame number in a plane's first four bytes, for read(2), which returns none.

    Args:
        data: anything with the buffer protocol.
        plane: which memory plane it is.
    """
    first = int.from_bytes(bytes(memoryview(data).cast("B")[:4]), "little")
    return (first - plane * _PLANE) * pow(_SEQUENCE, -1, 1 << 32) & 0xFFFFFFFF


def check(data: Any, sequence: int, plane: int = 0) -> str | None:
    """Return the fault of a plane's content in words; None if every byte is right.

    Args:
        data: anything with the buffer protocol, C-contiguous.
        sequence: the frame's ``v4l2_buffer.sequence``.
        plane: which memory plane it is.
    """
    import numpy as np

    have = np.frombuffer(data, np.uint8)
    if not have.size:
        return f"plane {plane} of frame {sequence} is empty"
    wrong = np.flatnonzero(have != pattern(sequence, plane, have.size))
    if not wrong.size:
        return None
    text = f"plane {plane} of frame {sequence}: {wrong.size} of {have.size} bytes differ, "
    text += f"the first at {wrong[0]}"
    if have.size >= 4:
        other = sequence_of(have, plane)
        if other != sequence and check(have, other, plane) is None:
            return f"{text}: it is frame {other}"
    return text if have.any() else f"{text}: all is zero"


def contents() -> Contents:
    """What a frame holds: the pattern of its number."""

    def judge(format: Format, planes: Sequence[memoryview], sequence: int | None) -> str | None:
        number = sequence_of(planes[0]) if sequence is None else sequence
        whole = [plane[: p.sizeimage] for plane, p in zip(planes, format.planes, strict=True)]
        found = (check(plane, number, n) for n, plane in enumerate(whole))
        return next((text for text in found if text is not None), None)

    def fill(format: Format, planes: Sequence[memoryview], sequence: int) -> None:
        for n, (plane, p) in enumerate(zip(planes, format.planes, strict=True)):
            plane[: p.sizeimage] = pattern(sequence, n, p.sizeimage).data

    return Contents("vb2probe's pattern of the frame's number, every byte compared", judge, fill)

"""Seeded faults of kernel drivers, as they are described in the TOML files beside this one.

A file has ``file``, the source that its mutants change, and a table ``[[mutant]]`` for each. A path begins at
the kernel's source; vb2probe's at this checkout. ``replace`` must stand in the source exactly once.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vb2user.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
#: Who can see that the rule is broken.
SEERS = ("user space", "trace", "log")
#: The nodes that a mutant can be tried on; ``drivers_of_mutants.py`` has each.
NODES = (
    "capture",
    "output",
    "mplane",
    "contig",
    "probe-vmalloc",
    "probe-sg",
    "probe-contig",
    "probe-sg-mplane",
    "probe-output",
    "webcam",
    "m2m",
)
VIDEOBUF2 = "drivers/media/common/videobuf2"
VIVID = "drivers/media/test-drivers/vivid"
UVC = "drivers/media/usb/uvc"
PROBE = "hwtests/vb2probe"
#: Sources that the distribution builds no module of; both are built in one folder.
M2M, M2M_FILES = "m2m", ("drivers/media/v4l2-core/v4l2-mem2mem.c", "drivers/media/test-drivers/vim2m.c")
#: Folder to the module that all its files make; the files of videobuf2 make a module each.
MODULES = {VIVID: "vivid", UVC: "uvcvideo", PROBE: "vb2probe"}
_COMMON = {"videobuf2-core": "videobuf2-common", "frame_vector": "videobuf2-common"}
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        name: its own, of small letters, digits and dashes.
        file: the source that is changed.
        replace, with_: what stands there, exactly once, and what stands there instead.
        rule: the rule that breaks, in one sentence.
        visible_to: of :data:`SEERS`.
        on: of :data:`NODES`: where it is tried.
        first: patterns of the checks that are tried first; all others follow.
        real: the kernel's fix that is taken back, if it was a real bug.
    """

    name: str
    file: str
    replace: str
    with_: str
    rule: str
    visible_to: tuple[str, ...]
    on: str = "capture"
    first: tuple[str, ...] = ()
    real: str = ""

    @property
    def folder(self) -> str:
        """The folder of its source, which is built as a whole."""
        return M2M if self.file in M2M_FILES else self.file.rpartition("/")[0]

    @property
    def module(self) -> str:
        """The module that its source is part of, as modprobe(8) names it."""
        stem = Path(self.file).stem
        return MODULES.get(self.folder) or _COMMON.get(stem, stem)

    @property
    def digest(self) -> str:
        """A short text that is another one when the fault is another one."""
        text = "\0".join((self.file, self.replace, self.with_, self.on))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def applied(self, source: str) -> str:
        """The source with the fault.

        Raises:
            UsageError: ``replace`` does not stand there exactly once.
        """
        found = source.count(self.replace)
        if found != 1:
            raise UsageError(f"mutant {self.name}: its text stands {found} times in {self.file}, not once")
        return source.replace(self.replace, self.with_)


def _mutant(entry: dict[str, Any], file: str, where: Path) -> Mutant:
    def wrong(why: str) -> UsageError:
        return UsageError(f"{where.name}: mutant {entry.get('name', '(no name)')!r}: {why}")

    known = {"name", "file", "replace", "with", "rule", "visible_to", "on", "first", "real"}
    if odd := sorted(set(entry) - known):
        raise wrong(f"unknown {', '.join(odd)}")
    lacking = sorted({"name", "replace", "with", "rule", "visible_to"} - set(entry))
    if lacking:
        raise wrong(f"no {', '.join(lacking)}")
    made = Mutant(
        entry["name"],
        entry.get("file", file),
        entry["replace"],
        entry["with"],
        entry["rule"],
        tuple(entry["visible_to"]),
        entry.get("on", "capture"),
        tuple(entry.get("first", ())),
        entry.get("real", ""),
    )
    if not _NAME.fullmatch(made.name):
        raise wrong("a name has small letters, digits and dashes")
    if made.folder not in (VIDEOBUF2, M2M, *MODULES):
        raise wrong(f"{made.file} is of no module that is built here")
    if not made.visible_to or set(made.visible_to) - set(SEERS):
        raise wrong(f"visible_to has of: {', '.join(SEERS)}")
    if made.on not in NODES:
        raise wrong(f"on is one of: {', '.join(NODES)}")
    if made.replace == made.with_ or not made.replace:
        raise wrong("it replaces nothing")
    return made


def read(folder: Path = HERE) -> list[Mutant]:
    """All descriptions of a folder, by file and then as they stand there.

    Raises:
        UsageError: a description is wrong, or two mutants have one name.
    """
    found: list[Mutant] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            document = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path.name} is no TOML: {error}") from None
        found += [_mutant(entry, document.get("file", ""), path) for entry in document.get("mutant", ())]
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two mutants are named {', '.join(twice)}")
    return found


def chosen(mutants: Iterable[Mutant], only: Iterable[str]) -> list[Mutant]:
    """The mutants whose names match one of the patterns, which are as a shell's; no pattern means all.

    Raises:
        UsageError: a pattern matches none.
    """
    mutants, patterns = list(mutants), list(only)
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(one.name, pattern) for one in mutants):
            raise UsageError(f"no mutant matches {pattern!r}")
    if not patterns:
        return mutants
    return [one for one in mutants if any(fnmatch.fnmatchcase(one.name, p) for p in patterns)]

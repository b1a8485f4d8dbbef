"""The kernel's source of the drivers, and modules built from it with one fault each.

The source is that of the distribution's package ``linux-source-X.Y``, of the very version of the kernel that
is booted. It lies in the cache as ``sources/<release>/drivers/media/…``. Nothing is installed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from descriptions import M2M, M2M_FILES, PROBE, UVC, VIDEOBUF2, VIVID, Mutant

from vb2user.errors import MissingPrerequisiteError, Vb2Error
from vb2user.harness import host_tools
from vb2user.harness.drivers import vb2probe
from vb2user.harness.kernels import apt, headers
from vb2user.harness.kernels import cache as kernels
from vb2user.harness.kernels.cache import Kernel, Say

#: What of the kernel's source is kept.
_KEPT = (VIDEOBUF2, VIVID, UVC, *M2M_FILES)


def source(kernel: Kernel, say: Say) -> Path:
    """The folder of the drivers' source for a kernel, fetched if it is not here.

    Raises:
        MissingPrerequisiteError: no archive in reach has the source of this very version.
        apt.AptError: apt could not fetch or verify it.
    """
    place = host_tools.cache_dir() / "sources" / kernel.release
    if place.exists():
        return place
    suite, version = kernels.origin(kernel.release)
    package = f"linux-source-{'.'.join(kernel.release.split('.')[:2])}"
    for universe in kernels.universes(suite or kernel.release):
        universe.update()
        shown = universe.show([package]).get(package)
        if shown is None or version not in (None, shown["version"]):
            continue
        with kernels.locked(place.parent):
            say(f"fetching {package} {shown['version']}")
            _unpacked(universe, package, shown["version"], place)
        return place
    raise MissingPrerequisiteError(f"no archive in reach has {package} of {version or kernel.release}")


def _unpacked(universe: apt.Universe, package: str, version: str, place: Path) -> None:
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
    try:
        (deb,) = kernels.download(universe, [(package, version)], work)
        _ran([host_tools.require("dpkg-deb"), "-x", str(deb), str(work)])
        (archive,) = (work / "usr/src").glob("*.tar.*")
        tree = work / "tree"
        tree.mkdir()
        kept = [f"*/{path}" for path in _KEPT]
        _ran(["tar", "-xf", str(archive), "-C", str(tree), "--strip-components=1", "--wildcards", *kept])
        tree.chmod(0o755)
        tree.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _ran(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise Vb2Error(f"{argv[0]} failed: {' '.join(done.stderr.split())[:300]}")


class Builder:
    """Builds mutants in a folder of its own, in which only what changed is compiled again.

    Args:
        kernel: the kernel that the modules are for.
        out: gets ``tree/``, where it is built, and ``modules/NAME/`` for each mutant.
        say: told in a line what takes long.
    """

    def __init__(self, kernel: Kernel, out: Path, say: Say) -> None:
        self._headers = headers.get(kernel.release, say=say)
        self._source = source(kernel, say)
        self._out = out.absolute()
        self._release = kernel.release
        self._say = say
        self._plain: dict[str, str] = {}
        #: The modules for memory-to-memory devices as they are: the distribution's kernel lacks them.
        self.m2m = self._out / "modules" / "stock-m2m"

    def build(self, mutants: Iterable[Mutant]) -> dict[str, dict[str, Any]]:
        """Build those that are not built yet.

        Returns:
            Name to ``{"digest", "status", "why"}``; status is ``built``, ``same`` (the compiler made the
            same code of it) or ``broken`` (it does not compile).
        """
        found = {}
        for one in mutants:
            note = self._out / "modules" / one.name / "note.json"
            digest = f"{self._release} {one.digest}"
            try:
                known: dict[str, Any] = json.loads(note.read_text())
            except (OSError, ValueError):
                known = {}
            if known.get("digest") != digest:
                known = {"digest": digest, **self._built(one)}
                note.write_text(json.dumps(known) + "\n")
                self._say(f"{one.name}: {known['status']} {known['why']}".rstrip())
            found[one.name] = known
        return found

    def module(self, one: Mutant) -> Path:
        """The module that was built of a mutant."""
        return self._out / "modules" / one.name / f"{one.module}.ko"

    def _built(self, one: Mutant) -> dict[str, str]:
        file = self._original(one)
        text = one.applied(file.read_text())  # before anything is built: a wrong description is an error
        place = self.module(one)
        shutil.rmtree(place.parent, ignore_errors=True)
        place.parent.mkdir(parents=True)
        folder = self._folder(one.folder)
        copy = folder / file.name
        compiled = copy.with_suffix(".o")
        if one.file not in self._plain:
            self._plain[one.file] = code(compiled)
        copy.write_text(text)
        try:
            headers.make(self._headers, folder)
            if code(compiled) == self._plain[one.file]:
                return {"status": "same", "why": "the compiler makes the same code of it"}
            _ran(["objcopy", "--strip-debug", str(folder / f"{one.module}.ko"), str(place)])
        except headers.BuildError as error:
            return {"status": "broken", "why": str(error)}
        finally:
            shutil.copyfile(file, copy)
        return {"status": "built", "why": ""}

    def _original(self, one: Mutant) -> Path:
        return vb2probe.source_dir() / Path(one.file).name if one.folder == PROBE else self._source / one.file

    def _sources(self, folder: str) -> list[Path]:
        if folder == M2M:
            return [self._source / file for file in M2M_FILES]
        return list((vb2probe.source_dir() if folder == PROBE else self._source / folder).iterdir())

    def _folder(self, folder: str) -> Path:
        """The folder with the objects of the source as it is."""
        place = self._out / "tree" / self._release / folder
        place.mkdir(parents=True, exist_ok=True)
        for file in filter(Path.is_file, self._sources(folder)):
            copy = place / file.name
            if not copy.exists() or copy.read_bytes() != file.read_bytes():  # else it is not compiled again
                shutil.copyfile(file, copy)
        if folder == M2M:
            (place / "Kbuild").write_text("obj-m := v4l2-mem2mem.o vim2m.o\n")
        if folder not in self._plain:
            self._say(f"building {folder} as it is")
            headers.make(self._headers, place)
            self._plain[folder] = ""
            if folder == M2M:
                self.m2m.mkdir(parents=True, exist_ok=True)
                for module in place.glob("*.ko"):
                    shutil.copyfile(module, self.m2m / module.name)
        return place


def code(compiled: Path) -> str:
    """A digest of what an object does: without debug information and the line numbers of warnings."""
    with tempfile.NamedTemporaryFile() as file:
        drop = [f"--remove-section={name}" for name in (".note*", "__bug_table", ".rela__bug_table")]
        _ran(["objcopy", "--strip-debug", *drop, str(compiled), file.name])
        return hashlib.sha256(Path(file.name).read_bytes()).hexdigest()

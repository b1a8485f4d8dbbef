"""Beside the layers: the cache of stock kernels, each fetched once.

A kernel has one of these names: ``host``; the path of a vmlinuz or of an unpacked tree; a version (``6.1``,
``6.12``, ``7.2``, a whole release). A suite is a name, too (``bookworm``, ``sid``, ``trixie-backports``).
Versions are looked for in the machine's own suites first, then in Debian's others.

In the cache every kernel lies the same way, however its packages split it::

    kernels/<release>/boot/vmlinuz-<release>     and config-<release>
    kernels/<release>/lib/modules/<release>/     with modules.dep
    kernels/<release>/kernel.json                what it was unpacked from

Such a folder is made beside and renamed into place, so it is whole or absent, and it never changes.
Which release a name led to is recorded in ``kernels/names.json``: later runs need no network at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vb2user.errors import MissingPrerequisiteError, UsageError
from vb2user.harness import DEFAULT_KERNEL, host_tools
from vb2user.harness.kernels import apt
from vb2user.harness.kernels.unpacking import normalise, unpack

#: The default kernel of ``vm run``: the oldest available series that has DMA heaps.
DEFAULT = DEFAULT_KERNEL

#: Debian suites searched for a version that the machine's own suites lack. Aliases never age.
OTHER_SUITES = ("stable", "stable-backports", "testing", "unstable", "experimental")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be booted.

    Attributes:
        release: what ``uname -r`` says in it; empty for an image that does not tell.
        image: the vmlinuz.
        origin: where it comes from, in words.
    """

    release: str
    image: Path
    origin: str

    @property
    def config(self) -> Path | None:
        """Its build configuration, if that lies beside it."""
        file = self.image.with_name(self.image.name.replace("vmlinuz", "config", 1))
        return file if file.exists() and file != self.image else None


@dataclass(frozen=True)
class Available:
    """A kernel that apt could fetch.

    Attributes:
        package: the image's package, or a meta package that leads to it.
        version: its version.
        universe: the group of suites that has it.
        meta: does it only lead to another image package?
    """

    package: str
    version: str
    universe: apt.Universe
    meta: bool

    @property
    def release(self) -> str:
        """The release that the package is named after."""
        return self.package.removeprefix("linux-image-")

    @property
    def series(self) -> str:
        """``6.12`` of 6.12.117+deb12-amd64."""
        found = re.match(r"\d+\.\d+", self.release)
        return found[0] if found else ""


def kernels_dir() -> Path:
    """The folder of cached kernels."""
    return host_tools.cache_dir() / "kernels"


def machine_flavour() -> str:
    """The stock flavour's suffix: ``amd64`` on Debian, ``generic`` on Ubuntu."""
    if apt.os_release().get("ID") == "ubuntu":
        return "generic"
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def cached() -> list[Kernel]:
    """Every kernel in the cache, newest last."""
    found = []
    for note in kernels_dir().glob("*/kernel.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            found.append(_cached_kernel(note))
    return sorted(found, key=lambda k: _natural(k.release))


def _cached_kernel(note: Path) -> Kernel:
    facts: dict[str, Any] = json.loads(note.read_text())
    release = str(facts["release"])
    return Kernel(release, note.parent / "boot" / f"vmlinuz-{release}", str(facts["origin"]))


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(p), "") if p.isdigit() else (-1, p) for p in re.findall(r"\d+|\D+", text)]


def is_version(spec: str) -> bool:
    """Is ``spec`` a version or release rather than a suite?"""
    return re.match(r"\d+\.\d+", spec) is not None


def matches(spec: str, release: str) -> bool:
    """Does the version ``spec`` mean ``release``? ``6.1`` means 6.1.0-56-amd64, not 6.12."""
    return release == spec or re.match(re.escape(spec) + r"(?![0-9])", release) is not None


def names() -> dict[str, str]:
    """Names that were asked for, and the cached release each led to."""
    try:
        found: dict[str, str] = json.loads((kernels_dir() / "names.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def find(spec: str) -> Kernel | None:
    """Return the kernel that ``spec`` means, if it is here. It uses no network.

    Raises:
        UsageError: ``spec`` is a path that holds no kernel.
        MissingPrerequisiteError: ``host`` was asked for and its image cannot be read.
    """
    if spec == "host":
        return _host()
    if "/" in spec or spec in (".", ".."):
        return _from_path(Path(spec))
    have = cached()
    if is_version(spec):
        fitting = [k for k in have if matches(spec, k.release)]
        return fitting[-1] if fitting else None
    release = names().get(spec)
    return next((k for k in have if k.release == release), None)


def get(spec: str, *, say: Say = lambda _: None, renew: bool = False) -> Kernel:
    """Return the kernel that ``spec`` means, and fetch it if it is not here.

    Args:
        spec: see this module's text.
        say: gets a line before each step that takes long.
        renew: look for a newer one, even if one is cached.

    Raises:
        UsageError: ``spec`` does not name a kernel.
        MissingPrerequisiteError: the kernel is not available here.
        apt.AptError: apt could not fetch or verify it.
    """
    here = find(spec)
    if here is not None and (not renew or spec == "host" or "/" in spec):
        return here
    if not re.fullmatch(r"[A-Za-z0-9][\w.+~-]*", spec):
        raise UsageError(f"{spec!r} names no kernel: host, a path, a version such as 6.12, or a suite")
    with locked(kernels_dir()):
        here = find(spec)  # another run may have fetched it while this one waited
        if here is not None and not renew:
            return here
        return _fetch(spec, say)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock ``folder`` for one fetcher at a time. The lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for stale in folder.glob(".new-*"):  # the lock is held, so no other process uses the folder
            shutil.rmtree(stale, ignore_errors=True)
        yield


def origin(release: str) -> tuple[str | None, str | None]:
    """Return a cached kernel's suite and its packages' version; None if they are not known."""
    try:
        facts = json.loads((kernels_dir() / release / "kernel.json").read_text())
        return str(facts["origin"]), str(facts["packages"][0]["version"])
    except (OSError, ValueError, KeyError, IndexError):
        return None, None


def _host() -> Kernel:
    release = platform.release()
    for image in (Path(f"/boot/vmlinuz-{release}"), Path(f"/usr/lib/modules/{release}/vmlinuz")):
        if not image.exists():
            continue
        if not os.access(image, os.R_OK):
            raise MissingPrerequisiteError(
                f"{image} may not be read by this user", hint=f"run: sudo chmod +r {image}"
            )
        return Kernel(release, image, "the running kernel")
    raise MissingPrerequisiteError(
        f"no image of the running kernel {release} in /boot or /usr/lib/modules",
        hint=f"name another kernel, e.g. {DEFAULT}",
    )


def _from_path(path: Path) -> Kernel:
    if not path.exists():
        raise UsageError(f"{path}: there is no such kernel")
    path = path.resolve()
    if path.is_file():
        release = re.sub(r"^vmlinu[xz]-?", "", path.name) or path.parent.name
        return Kernel(release if is_version(release) else "", path, "a path")
    for pattern in ("boot/vmlinuz-*", "vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz"):
        images = sorted(path.glob(pattern), key=lambda p: _natural(str(p)))
        if images:
            return _from_path(images[-1])
    raise UsageError(f"{path}: no vmlinuz in boot/, here, or in lib/modules/*/")


def universes(spec: str) -> list[apt.Universe]:
    """Where ``spec`` is looked for, in order."""
    sources = apt.machine_sources()
    release = apt.os_release()
    codename = release.get("VERSION_CODENAME", "")
    root = host_tools.cache_dir() / "apt"
    own = apt.own_sources(sources, codename)
    archive = apt.debian_archive(sources, release)
    found = []
    if own and (is_version(spec) or spec == codename):
        found.append(apt.Universe(codename, own, root))
    if spec == codename and own:
        return found
    if archive is None:
        if found:
            return found
        raise MissingPrerequisiteError(
            f"no Debian mirror among this machine's apt sources, so {spec!r} cannot be looked up",
            hint="set VB2USER_DEBIAN_MIRROR to the URL of one and run: "
            "sudo apt-get install debian-archive-keyring",
        )
    suites = OTHER_SUITES if is_version(spec) else (spec,)
    return found + [apt.Universe(suite, [suite_of(archive, suite)], root) for suite in suites]


def with_base(universe: apt.Universe) -> apt.Universe:
    """A universe together with the suite that its packages build upon, e.g. trixie with trixie-backports."""
    base = "sid" if universe.name == "experimental" else universe.name.removesuffix("-backports")
    if base == universe.name:
        return universe
    sources = [replace(source, suites=(base,)) for source in universe.sources]
    # Not beside the others, each of which is looked into for kernels.
    root = host_tools.cache_dir() / "apt-build"
    return apt.Universe(universe.name, [*sources, *universe.sources], root)


def suite_of(archive: apt.PackageSource, suite: str) -> apt.PackageSource:
    """The same archive's suite ``suite``."""
    return apt.PackageSource(archive.uris, (suite,), ("main",), archive.signed_by)


def _flavours(universe: apt.Universe) -> tuple[str, ...]:
    debian = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    codename = apt.os_release().get("VERSION_CODENAME")
    return (machine_flavour(),) if universe.name == codename else (debian,)


def available(universe: apt.Universe) -> list[Available]:
    """The stock images that a universe's lists name, newest version last."""
    flavours = "|".join(_flavours(universe))
    shown = universe.show(universe.names(rf"^linux-image-([0-9].*-)?({flavours})$"))
    found = [
        Available(name, stanza["version"], universe, _leads_on(stanza))
        for name, stanza in shown.items()
        # The cloud flavours have no media drivers, the real-time ones are not what runs elsewhere.
        if not re.search(r"-(cloud|rt)-", name)
    ]
    order = functools.cmp_to_key(apt.compare_versions)
    return sorted(found, key=lambda a: (order(a.version), len(a.package)))


def _leads_on(stanza: dict[str, str]) -> bool:
    return any(re.match(r"linux-image-\d", name) for name in apt.depends(stanza))


def _choose(spec: str, say: Say) -> Available:
    """The newest image that ``spec`` means."""
    seen: list[str] = []
    problems: list[str] = []
    for universe in universes(spec):
        if not universe.listed:
            say(f"fetching the package lists of {universe.name}")
        try:
            universe.update()
            have = available(universe)
        except apt.AptError as error:
            problems.append(str(error))
            continue
        if is_version(spec):
            fitting = [a for a in have if matches(spec, a.release)]
        else:
            # The suite's own choice is what its meta package names.
            meta = [f"linux-image-{flavour}" for flavour in _flavours(universe)]
            fitting = [a for a in have if a.package in meta] or have
        if fitting:
            return fitting[-1]
        seen += [a.series for a in have if a.series]
    if problems and not is_version(spec) and all("does not have a Release file" in text for text in problems):
        raise UsageError(
            f"{spec!r} names neither a kernel nor a suite of the archives in reach",
            hint="'vb2user vm kernels' lists what there is; 'host' is the running one",
        )
    if problems:
        raise apt.AptError(f"no kernel {spec!r} found: {'; '.join(problems)}")
    series = ", ".join(sorted(set(seen), key=_natural))
    raise UsageError(
        f"no suite in reach has a kernel {spec!r}; they have {series or 'none'}",
        hint="'vb2user vm kernels' lists them; 'host' is the running one",
    )


_PART = re.compile(r"linux-(image|modules|modules-extra|binary|base)-\d")


def _parts(choice: Available) -> list[tuple[str, str]]:
    """The packages that make up the image: meta packages followed, and the split ones of 7.x."""
    taken: dict[str, str] = {}
    queue = [choice.package]
    while queue:
        shown = choice.universe.show(n for n in queue if n not in taken)
        queue = []
        for name, stanza in shown.items():
            taken[name] = stanza["version"]
            queue += [n for n in apt.depends(stanza) if _PART.match(n) and n not in taken]
            # Ubuntu keeps the media drivers apart, and the image does not depend on them.
            if name.startswith("linux-modules-") and not name.startswith("linux-modules-extra-"):
                queue.append(name.replace("linux-modules-", "linux-modules-extra-", 1))
    return [(name, version) for name, version in taken.items() if _PART.match(name)]


def _fetch(spec: str, say: Say) -> Kernel:
    choice = _choose(spec, say)
    parts = _parts(choice)
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=kernels_dir()))
    try:
        debs, tree = work / "debs", work / "tree"
        debs.mkdir()
        say(f"fetching {', '.join(f'{n} {v}' for n, v in parts)}")
        files = download(choice.universe, parts, debs)
        say("unpacking")
        unpack(files, tree)
        release = normalise(tree)
        note = {
            "release": release,
            "origin": choice.universe.name,
            "packages": [{"name": n, "version": v} for n, v in parts],
        }
        (tree / "kernel.json").write_text(json.dumps(note, indent=1) + "\n")
        tree.chmod(0o755)
        place = kernels_dir() / release
        if not place.exists():
            tree.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _record(spec, release)
    return _cached_kernel(place / "kernel.json")


def download(universe: apt.Universe, parts: list[tuple[str, str]], into: Path) -> list[Path]:
    """Download packages; once more with new lists where the lists are behind the mirror."""
    try:
        return universe.download(parts, into)
    except apt.AptError:
        # Lists a few hours old can name files that the mirror has dropped since.
        universe.update(force=True)
        return universe.download(parts, into)


def _record(spec: str, release: str) -> None:
    known = names() | {spec: release}
    file = kernels_dir() / "names.json"
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    beside.replace(file)


def listing(*, refresh: bool = False, say: Say = lambda _: None) -> dict[str, Any]:
    """What is cached and what can be had, as one JSON document.

    Without ``refresh`` only lists that are here already are read, so it is quick and asks no network.
    """
    aliases = names()
    here = [
        {
            "release": k.release,
            "origin": k.origin,
            "image": str(k.image),
            "names": sorted(n for n, r in aliases.items() if r == k.release),
        }
        for k in cached()
    ]
    there: list[dict[str, str]] = []
    unlisted = []
    for universe in _all_universes():
        if refresh:
            say(f"fetching the package lists of {universe.name}")
            try:
                universe.update(force=True)
            except apt.AptError as error:
                say(str(error))
        if not universe.listed:
            unlisted.append(universe.name)
            continue
        for one in available(universe):
            if not one.meta and all(a["release"] != one.release for a in there):
                facts = {"release": one.release, "series": one.series, "version": one.version}
                there.append(facts | {"suite": universe.name})
    return {"cached": here, "available": there, "unlisted": unlisted}


def _all_universes() -> list[apt.Universe]:
    """Every group of suites that a name could lead to: the usual ones, and those asked for before."""
    try:
        found = universes("0.0")
        root = host_tools.cache_dir() / "apt"
        asked = [p.name for p in sorted(root.glob("*")) if (p / "updated").exists()]
        for name in asked:
            if all(u.name != name for u in found):
                found += universes(name)
    except MissingPrerequisiteError:
        return []
    return found

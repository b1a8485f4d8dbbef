"""Beside the layers: the headers of a kernel, and how a module is built against them.

Headers that are installed (``/lib/modules/<release>/build``) are used as they are. Else they are fetched
like the kernel itself (:mod:`.cache`), from the suite that the cached kernel came from, into the cache::

    headers/<release>/headers.json    what they were unpacked from, and which of two ways they are used
    headers/<release>/usr/src/…       here: with this machine's compiler
    headers/<release>/                or as a build root: with that suite's compiler, C library and shell

The second way is for suites whose kernel tools do not run here, or whose compiler this machine lacks. All
dependencies of the headers package are unpacked, but not installed. make runs in that tree by chroot(2), in a
mount namespace of its own.

Such a folder is made beside and renamed into place, so it is whole or absent, and it never changes.

Kernel documentation: Documentation/kbuild/modules.rst.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vb2user.errors import MissingPrerequisiteError, Vb2Error
from vb2user.harness import host_tools
from vb2user.harness.kernels import apt
from vb2user.harness.kernels import cache as kernels
from vb2user.harness.kernels.cache import Say
from vb2user.harness.kernels.unpacking import unpack

_MODULES = Path("/lib/modules")
#: Further programs that a build needs. A machine has these, an empty tree does not.
_BUILD_ROOT = ("make", "binutils", "dash", "coreutils", "sed", "grep", "mawk", "findutils")
_PART = re.compile(r"linux-(headers|kbuild|compiler|base)-.*\d")
_FOREIGN = re.compile(r"version `GLIBC\w*_[\d.]+' not found|cannot open shared object file")


class BuildError(Vb2Error):
    """The compiler or the kernel's build system refused something."""

    exit_status = 3


@dataclass(frozen=True)
class Headers:
    """Headers to build against.

    Attributes:
        release: the kernel's ``uname -r``.
        build: its build folder, absolute; within :attr:`root` where there is one.
        root: the build root to work in, or None: here.
    """

    release: str
    build: Path
    root: Path | None = None


def headers_dir() -> Path:
    """The folder of cached headers."""
    return host_tools.cache_dir() / "headers"


def find(release: str) -> Headers | None:
    """The headers of a kernel if they are here; asks no network."""
    installed = _MODULES / release / "build"
    if (installed / "Makefile").exists():
        return Headers(release, installed)
    place = headers_dir() / release
    try:
        note = json.loads((place / "headers.json").read_text())
        build = Path(note["build"])
        return Headers(release, build, place) if note["root"] else Headers(release, place / build)
    except (OSError, ValueError, KeyError):
        return None


def get(release: str, *, say: Say = lambda _: None) -> Headers:
    """The headers of a kernel, fetched if they are not here.

    Raises:
        MissingPrerequisiteError: no archive in reach has them.
        apt.AptError: apt could not fetch or verify them.
    """
    if (here := find(release)) is not None:
        return here
    with kernels.locked(headers_dir()):
        here = find(release)  # another run may have fetched them while this one waited
        return here if here is not None else _fetch(release, say)


def _fetch(release: str, say: Say) -> Headers:
    suite, version = kernels.origin(release)
    package = f"linux-headers-{release}"
    problems = []
    for universe in kernels.universes(suite or release):
        try:
            universe.update()
        except apt.AptError as error:
            problems.append(str(error))
            continue
        if package in (shown := universe.show([package])):
            have = shown[package]["version"]
            if version not in (None, have):
                say(f"the kernel is of {version}, its headers are now of {have}")
            return _unpacked(release, universe, say)
    if problems:
        raise apt.AptError(f"no {package} found: {'; '.join(problems)}")
    raise MissingPrerequisiteError(
        f"no archive in reach has {package}",
        hint=f"run: sudo apt-get install {package}, or use another kernel: vb2user vm kernels",
    )


def _unpacked(release: str, universe: apt.Universe, say: Say) -> Headers:
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=headers_dir()))
    try:
        tree = work / "tree"
        parts = _parts(f"linux-headers-{release}", universe)
        say(f"fetching {', '.join(f'{n} {v}' for n, v in parts)}")
        unpack(_fetched(universe, parts, work / "debs"), tree)
        build = _build_folder(tree, release)
        root = not _usable_here(tree / build, universe)
        if root:
            say(f"fetching a build root of {universe.name}: its kernel tools are not for this machine")
            tree = work / "root"
            make_root(universe, parts, work / "all", tree)
        else:
            relocate(tree / build)
        note = {
            "release": release,
            "origin": universe.name,
            "build": str(Path("/") / build) if root else str(build),
            "root": root,
            "packages": [{"name": n, "version": v} for n, v in parts],
        }
        (tree / "headers.json").write_text(json.dumps(note, indent=1) + "\n")
        tree.chmod(0o755)
        tree.rename(headers_dir() / release)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    found = find(release)
    assert found is not None
    return found


def _fetched(universe: apt.Universe, parts: list[tuple[str, str]], folder: Path) -> list[Path]:
    folder.mkdir()
    return kernels.download(universe, parts, folder)


def _parts(package: str, universe: apt.Universe) -> list[tuple[str, str]]:
    """The headers package and what it is made of: the common part and the kernel's build tools."""
    taken: dict[str, str] = {}
    queue = [package]
    while queue:
        shown = universe.show(queue)
        taken |= {name: stanza["version"] for name, stanza in shown.items()}
        wanted = {n for stanza in shown.values() for n in apt.depends(stanza) if _PART.match(n)}
        queue = sorted(wanted - taken.keys())
    return list(taken.items())


def _build_folder(tree: Path, release: str) -> Path:
    """Where the package's link ``build`` leads, relative to ``tree``."""
    for place in ("lib/modules", "usr/lib/modules"):
        link = tree / place / release / "build"
        if link.is_symlink():
            # Absolute or relative, it is meant for where the packages would be installed.
            target = os.path.normpath(Path("/", place, release) / link.readlink())
            return Path(target).relative_to("/")
    return Path("usr/src") / f"linux-headers-{release}"


def relocate(build: Path) -> None:
    """Make Debian's two-line Makefile, which names its other half by an absolute path, work from anywhere."""
    file = build / "Makefile"
    text = re.sub(
        r"^include /usr/src/([^/\s]+)/Makefile$",
        r"include $(dir $(lastword $(MAKEFILE_LIST)))../\1/Makefile",
        file.read_text(),
        flags=re.MULTILINE,
    )
    file.write_text(text)


def make_root(universe: apt.Universe, parts: list[tuple[str, str]], debs: Path, tree: Path) -> None:
    """Unpack headers and everything a build against them needs into ``tree``."""
    whole = kernels.with_base(universe)
    whole.update()
    debs.mkdir()
    unpack(whole.closure([f"{n}={v}" for n, v in parts] + list(_BUILD_ROOT), debs), _usr_tree(tree))
    # Installing makes these; unpacking does not.
    for link, target in (("sh", "dash"), ("awk", "mawk")):
        if not (tree / "usr/bin" / link).exists():
            (tree / "usr/bin" / link).symlink_to(target)


def _usr_tree(tree: Path) -> Path:
    for folder in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / folder).mkdir(parents=True)
        (tree / folder).symlink_to(f"usr/{folder}")
    for folder in ("build", "dev", "proc", "tmp"):  # mount points and what programs expect
        (tree / folder).mkdir()
    return tree


# --- tools ----------------------------------------------------------------------------------------


def compiler(build: Path) -> str:
    """The compiler that these headers are for, e.g. ``gcc-12``; ``gcc`` where they do not say."""
    with contextlib.suppress(OSError):
        if found := re.search(r"\bgcc-\d+", (build / ".kernelvariables").read_text()):
            return found[0]
    return "gcc"


def unusable_tools(build: Path) -> list[str]:
    """What the kernel's own build tools say where they do not run on this machine."""
    found = []
    for name in ("scripts/basic/fixdep", "scripts/mod/modpost", "tools/objtool/objtool"):
        tool = build / name
        if not tool.exists():
            continue
        # Debian's objtool is one per architecture behind a front that asks for its name.
        env = {"PATH": host_tools.search_path(), "LC_ALL": "C", "SRCARCH": "x86"}
        try:
            done = subprocess.run([tool], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        except OSError as error:
            found.append(f"{name}: {error.strerror}")
            continue
        if _FOREIGN.search(done.stderr):
            found.append(done.stderr.strip().splitlines()[0].removeprefix(f"{build}/"))
    return found


def _usable_here(build: Path, universe: apt.Universe) -> bool:
    """Would this machine's compiler do, installed or to be had from its own archive?"""
    if universe.name == apt.os_release().get("VERSION_CODENAME"):
        return True
    return host_tools.find(compiler(build)) is not None and not unusable_tools(build)


def _require_tools(headers: Headers) -> None:
    wanted = ["unshare", "mount", "chroot"] if headers.root else ["make", "ld", compiler(headers.build)]
    missing = [name for name in wanted if host_tools.find(name) is None]
    if missing:
        packages = " ".join(dict.fromkeys(host_tools.PACKAGES.get(name, name) for name in missing))
        raise MissingPrerequisiteError(
            f"to build a module for {headers.release}, {', '.join(missing)} must be installed",
            hint=f"run: sudo apt-get install {packages}",
        )
    if headers.root is None and (unusable := unusable_tools(headers.build)):
        libelf = any("libelf" in said for said in unusable)
        raise MissingPrerequisiteError(
            f"the kernel's build tools do not run here: {'; '.join(unusable)}",
            hint="run: sudo apt-get install libelf1" if libelf else "use: vb2user vm run --probe",
        )


def make(headers: Headers, source: Path) -> None:
    """Run ``make modules`` of the kernel's build system on the folder ``source``, which it writes to.

    Raises:
        MissingPrerequisiteError: a tool is missing; BuildError: it did not compile.
    """
    _require_tools(headers)
    # Type information is for BPF, and would need a program more (pahole).
    target = ["CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"]
    # Nothing of a make that may have called us: its flags and variables are not meant for the kernel.
    env = {"LC_ALL": "C", "HOME": "/"}
    if headers.root is None:
        env["PATH"] = host_tools.search_path()
        argv = [host_tools.require("make"), "-C", str(headers.build), f"M={source}", *target]
    else:
        env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        inner = 'mount --bind "$1" "$0/build"; for d in dev proc; do mount --rbind "/$d" "$0/$d"; done; '
        inner += 'root=$0; shift; exec chroot "$root" "$@"'
        argv = [host_tools.require("unshare"), "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
        argv += ["--", "sh", "-ec", inner, str(headers.root), str(source)]
        argv += ["/usr/bin/make", "-C", str(headers.build), "M=/build", *target]
    done = subprocess.run(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode == 0:
        return
    if headers.root is not None and re.match(r"(unshare|mount|chroot): ", done.stdout):
        raise MissingPrerequisiteError(
            f"this user may not make a mount namespace to build in: {done.stdout.strip().splitlines()[0]}",
            hint="run it as root",
        )
    said = [s for s in done.stdout.splitlines() if re.search(r"\b(error|Error|ERROR)\b", s)]
    said = said or done.stdout.splitlines()[-3:]
    raise BuildError(f"the module did not build for {headers.release}: {'; '.join(said[:5])}")

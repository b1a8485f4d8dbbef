"""Where a kernel's headers come from and how make is called; apt and the tools are scripts here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vb2user.errors import MissingPrerequisiteError
from vb2user.harness import host_tools
from vb2user.harness.kernels import apt, headers
from vb2user.harness.kernels import cache as kernels
from vb2user.harness.kernels.headers import BuildError, Headers

#: What apt-cache would show of a kernel's headers: today's two-part ones, and the older with compilers apart.
PACKAGES = {
    "linux-headers-6.12.9-amd64": "Version: 6.12.9-1\n"
    "Depends: linux-base (>= 4.12~), linux-headers-6.12.9-common (= 6.12.9-1),"
    " linux-image-6.12.9-amd64 (= 6.12.9-1) | linux-image-6.12.9-amd64-unsigned, linux-kbuild-6.12.9, gcc-12",
    "linux-headers-6.12.9-common": "Version: 6.12.9-1",
    "linux-kbuild-6.12.9": "Version: 6.12.9-1\nDepends: libc6 (>= 2.34), pahole",
    "linux-headers-6.1.0-5-amd64": "Version: 6.1.9-2\n"
    "Depends: linux-headers-6.1.0-5-common (= 6.1.9-2), linux-kbuild-6.1 (>= 6.1.9-2),"
    " linux-compiler-gcc-12-x86",
    "linux-headers-6.1.0-5-common": "Version: 6.1.9-2",
    "linux-kbuild-6.1": "Version: 6.1.9-2",
    "linux-compiler-gcc-12-x86": "Version: 6.1.9-2\nDepends: gcc-12",
    "linux-image-6.12.9-amd64": "Version: 6.12.9-1",
    "linux-base": "Version: 4.12",
    "gcc-12": "Version: 12.2.0-14",
}


class Archive:
    """apt, dpkg-deb and the machine's tools, replaced."""

    def __init__(self) -> None:
        self.downloads: list[list[str]] = []
        self.closures: list[list[str]] = []
        self.foreign = ""  # what the kernel's build tools say
        self.compilers = {"gcc-12"}
        self.own = "bookworm"

    def run(self, universe: apt.Universe, program: str, *args: str, cwd: Path | None = None) -> str:
        if args[0] == "show":
            return "\n".join(f"Package: {n}\n{PACKAGES[n]}\n" for n in args[1:] if n in PACKAGES)
        if args[0] == "download":
            self.downloads.append(sorted(args[1:]))
        if args[0] == "install":
            self.closures.append([a for a in args[1:] if not a.startswith("-")])
        return ""

    def unpack(self, debs: list[Path], tree: Path) -> None:
        release = "6.12.9-amd64" if "6.12" in str(self.downloads[-1]) else "6.1.0-5-amd64"
        build = tree / "usr/src" / f"linux-headers-{release}"
        tool = build / "scripts/mod/modpost"
        tool.parent.mkdir(parents=True)
        tool.write_text(f"#!/bin/sh\necho '{self.foreign}' >&2\nexit 1\n")
        tool.chmod(0o755)
        common = release.replace("amd64", "common")
        (build / "Makefile").write_text(f"include /usr/src/linux-headers-{common}/Makefile\n")
        (build / ".kernelvariables").write_text("CC = $(CROSS_COMPILE)gcc-12\n")
        link = tree / "lib/modules" / release / "build"
        link.parent.mkdir(parents=True)
        link.symlink_to(f"/usr/src/linux-headers-{release}")


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Archive:
    made = Archive()
    source = apt.PackageSource(("mirror://x",), ("trixie-backports",))
    monkeypatch.setenv("VB2USER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(headers, "_MODULES", tmp_path / "modules")
    monkeypatch.setattr(apt.Universe, "_run", lambda self, *a, **k: made.run(self, *a, **k))
    monkeypatch.setattr(
        kernels, "universes", lambda spec: [apt.Universe("trixie-backports", [source], tmp_path / "apt")]
    )
    monkeypatch.setattr(headers, "unpack", made.unpack)
    monkeypatch.setattr(apt, "os_release", lambda: {"VERSION_CODENAME": made.own})
    real = host_tools.find

    def find(name: str) -> str | None:
        if name.startswith("gcc"):
            return f"/usr/bin/{name}" if name in made.compilers else None
        return f"/usr/bin/{name}" if name in ("make", "ld", "unshare", "mount", "chroot") else real(name)

    monkeypatch.setattr(host_tools, "find", find)
    return made


def test_fetched_once(archive: Archive, tmp_path: Path) -> None:
    said: list[str] = []
    found = headers.get("6.12.9-amd64", say=said.append)
    place = tmp_path / "cache/headers/6.12.9-amd64"
    assert found == Headers("6.12.9-amd64", place / "usr/src/linux-headers-6.12.9-amd64")
    names = ("linux-headers-6.12.9-amd64", "linux-headers-6.12.9-common", "linux-kbuild-6.12.9")
    assert archive.downloads == [[f"{name}=6.12.9-1" for name in names]]
    assert json.loads((place / "headers.json").read_text())["origin"] == "trixie-backports"
    assert headers.get("6.12.9-amd64") == headers.find("6.12.9-amd64") == found
    assert len(archive.downloads) == 1
    assert not list(place.parent.glob(".new-*"))
    # The absolute path of the other half is gone: it works from where it lies.
    makefile = (found.build / "Makefile").read_text()
    assert makefile == "include $(dir $(lastword $(MAKEFILE_LIST)))../linux-headers-6.12.9-common/Makefile\n"


def test_older_headers_have_more_parts(archive: Archive) -> None:
    headers.get("6.1.0-5-amd64")
    assert "linux-compiler-gcc-12-x86=6.1.9-2" in archive.downloads[0]
    assert "linux-kbuild-6.1=6.1.9-2" in archive.downloads[0]
    assert not any(p.startswith("gcc-12=") for p in archive.downloads[0])


def test_installed_ones_are_used_as_they_are(archive: Archive, tmp_path: Path) -> None:
    build = tmp_path / "modules/6.12.9-amd64/build"
    build.mkdir(parents=True)
    (build / "Makefile").touch()
    assert headers.get("6.12.9-amd64") == Headers("6.12.9-amd64", build)
    assert archive.downloads == []


def test_nobody_has_them(archive: Archive) -> None:
    with pytest.raises(MissingPrerequisiteError, match=r"no archive in reach has linux-headers-5.10"):
        headers.get("5.10")


@pytest.mark.parametrize(
    ("foreign", "compilers"),
    [
        ("modpost: /lib/libc.so.6: version `GLIBC_2.38'\"'\"' not found (required by modpost)", {"gcc-12"}),
        ("", set()),
    ],
)
def test_a_build_root_where_this_machine_will_not_do(
    archive: Archive, tmp_path: Path, foreign: str, compilers: set[str]
) -> None:
    archive.foreign, archive.compilers = foreign, compilers
    found = headers.get("6.12.9-amd64")
    place = tmp_path / "cache/headers/6.12.9-amd64"
    assert found == Headers("6.12.9-amd64", Path("/usr/src/linux-headers-6.12.9-amd64"), place)
    (closure,) = archive.closures
    assert {"linux-headers-6.12.9-amd64=6.12.9-1", "make", "binutils"} <= set(closure)
    assert (place / "lib").readlink() == Path("usr/lib")
    assert (place / "usr/bin/sh").readlink() == Path("dash")
    # Within the root the paths are what the package says.
    assert (place / "usr/src/linux-headers-6.12.9-amd64/Makefile").read_text().startswith("include /usr/src/")
    assert headers.find("6.12.9-amd64") == found


def test_the_machines_own_compiler_is_to_be_installed(archive: Archive) -> None:
    archive.own, archive.compilers = "trixie-backports", set()
    found = headers.get("6.12.9-amd64")
    assert found.root is None
    with pytest.raises(MissingPrerequisiteError, match=r"gcc-12 must be installed.*apt-get install gcc-12"):
        headers.make(found, Path("/nowhere"))


def test_tools_that_do_not_run(archive: Archive) -> None:
    archive.foreign = (
        "objtool: error while loading shared libraries: libelf.so.1: cannot open shared object file"
    )
    archive.own = "trixie-backports"
    found = headers.get("6.12.9-amd64")
    with pytest.raises(MissingPrerequisiteError, match=r"do not run here.*apt-get install libelf1"):
        headers.make(found, Path("/nowhere"))


@pytest.fixture
def make(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A make that writes down how it was called, and fails if a file ``fail`` is beside it."""
    tool = tmp_path / "make"
    tool.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/args\nenv > {tmp_path}/env\n'
        f'if [ -e {tmp_path}/fail ]; then echo "x.c:3: error: no such thing"; exit 2; fi\n'
    )
    tool.chmod(0o755)
    monkeypatch.setattr(host_tools, "require", lambda name: str(tool))
    return tmp_path


def test_make_is_called_for_the_kernel_alone(make: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-n")  # as in a run of make test
    monkeypatch.setenv("ARCH", "vax")
    found = headers.get("6.12.9-amd64")
    headers.make(found, make / "source")
    args = (make / "args").read_text().split()
    assert args[:3] == ["-C", str(found.build), f"M={make / 'source'}"]
    assert args[-1] == "modules"
    env = (make / "env").read_text()
    assert "MAKEFLAGS" not in env
    assert "ARCH" not in env


def test_what_the_compiler_said(make: Path) -> None:
    (make / "fail").touch()
    with pytest.raises(BuildError, match=r"did not build for 6.12.9-amd64: x.c:3: error: no such thing"):
        headers.make(headers.get("6.12.9-amd64"), make / "source")


@pytest.mark.parametrize("user", [0, 1000])
def test_a_build_root_is_entered(
    archive: Archive, make: Path, monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    archive.compilers = set()
    monkeypatch.setattr(os, "geteuid", lambda: user)
    found = headers.get("6.12.9-amd64")
    headers.make(found, make / "source")
    args = (make / "args").read_text()
    assert ("--map-root-user" in args) is (user != 0)
    assert f"\n{found.root}\n{make / 'source'}\n/usr/bin/make\n-C\n{found.build}\nM=/build\n" in args


def test_a_suite_and_what_it_builds_upon(tmp_path: Path) -> None:
    def sources(name: str) -> list[str]:
        universe = apt.Universe(name, [apt.PackageSource(("mirror://x",), (name,))], tmp_path)
        return [s for source in kernels.with_base(universe).sources for s in source.suites]

    assert sources("trixie-backports") == ["trixie", "trixie-backports"]
    assert sources("experimental") == ["sid", "experimental"]
    assert sources("sid") == ["sid"]


def test_where_a_cached_kernel_came_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VB2USER_CACHE", str(tmp_path))
    assert kernels.origin("1.0") == (None, None)
    (tmp_path / "kernels/1.0").mkdir(parents=True)
    note = {"release": "1.0", "origin": "sid", "packages": [{"name": "linux-image-1.0", "version": "1.0-1"}]}
    (tmp_path / "kernels/1.0/kernel.json").write_text(json.dumps(note))
    assert kernels.origin("1.0") == ("sid", "1.0-1")

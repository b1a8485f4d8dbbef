"""Which kernel a name means, where it is looked for, and how it is unpacked; apt is a script here."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import re
import subprocess
from pathlib import Path

import pytest

import vb2user
from vb2user.errors import MissingPrerequisiteError, UsageError, Vb2Error
from vb2user.harness import host_tools
from vb2user.harness.kernels import apt
from vb2user.harness.kernels import cache as kernels

DEB822 = """\
# a comment
Types: deb deb-src
URIs: mirror://one/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: mirror://two/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: mirror://off
Suites: bookworm
Enabled: no
"""

ONE_LINE = """\
# deb mirror://comment bookworm main
deb [arch=amd64 signed-by=/k.gpg] mirror://three/debian bookworm main non-free # trailing
deb-src mirror://four bookworm main
deb mirror://flat ./
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VB2USER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VB2USER_DEBIAN_MIRROR", raising=False)
    return tmp_path / "cache"


def test_sources_in_both_styles(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "old.sources.disabled").write_text(DEB822)
    three, one, two = apt.machine_sources(tmp_path)
    assert three == apt.PackageSource(
        ("mirror://three/debian",), ("bookworm",), ("main", "non-free"), "/k.gpg"
    )
    assert one.suites == ("bookworm", "bookworm-updates")
    assert one.signed_by is not None
    assert "mDMEY" in one.signed_by
    assert two.suites == ("bookworm-security",)
    # An inline key goes through unharmed, and nothing ever says that signatures don't matter.
    assert apt.parse_sources(one.deb822()) == [one]
    assert "rusted" not in one.deb822()


def test_the_distributions_own_suites_only() -> None:
    third = apt.PackageSource(("mirror://third",), ("stable",))
    own = apt.own_sources([*apt.parse_sources(DEB822), third], "bookworm")
    assert [s.suites for s in own] == [("bookworm", "bookworm-updates"), ("bookworm-security",)]


def test_the_way_to_debians_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = apt.parse_sources(DEB822)
    bookworm = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
    found = apt.debian_archive(sources, bookworm)
    assert found is not None
    assert found.uris == ("mirror://one/debian",)
    ubuntu = apt.PackageSource(
        ("mirror://u",), ("noble",), ("main",), "/usr/share/keyrings/ubuntu-archive.gpg"
    )
    assert apt.debian_archive([ubuntu], {"ID": "ubuntu", "VERSION_CODENAME": "noble"}) is None
    # The security archive is signed by the same keys, but holds no whole suite.
    assert apt.debian_archive(sources[1:], {"ID": "ubuntu"}) is None
    monkeypatch.setenv("VB2USER_DEBIAN_MIRROR", "mirror://mine")
    monkeypatch.setattr(apt, "_DEBIAN_KEYRING", Path("/no/such/keyring"))
    with pytest.raises(MissingPrerequisiteError, match="debian-archive-keyring"):
        apt.debian_archive([ubuntu], {"ID": "ubuntu"})


def test_versions_in_deb_order() -> None:
    versions = ["6.1.192-2", "7.3~rc7-1", "7.3-1", "7.3.4-1~bpo13+1", "7.3.4-1"]
    for earlier, later in itertools.pairwise(versions):
        assert apt.compare_versions(earlier, later) < 0 < apt.compare_versions(later, earlier)
    assert apt.compare_versions("1", "1") == 0


@pytest.mark.parametrize(
    ("spec", "release", "fits"),
    [
        ("6.1", "6.1.0-56-amd64", True),
        ("6.1", "6.12.117+deb12-amd64", False),
        ("6.12", "6.12.117+deb12-amd64", True),
        ("6.12.11", "6.12.117+deb12-amd64", False),
        ("7.3", "7.3-amd64", True),
        ("6.12.117+deb12-amd64", "6.12.117+deb12-amd64", True),
    ],
)
def test_what_a_version_means(spec: str, release: str, fits: bool) -> None:
    assert kernels.matches(spec, release) is fits


def keep(cache: Path, release: str) -> None:
    folder = cache / "kernels" / release
    (folder / "boot").mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"release": release, "origin": "test"}))


def test_the_cache_answers_without_apt(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("apt was asked")

    monkeypatch.setattr(apt.Universe, "_run", forbidden)
    for release in ("6.12.9+deb12-amd64", "6.12.117+deb12-amd64", "6.1.0-56-amd64"):
        keep(cache, release)
    (cache / "kernels" / "names.json").write_text(json.dumps({"sid": "6.1.0-56-amd64", "gone": "5.0"}))
    assert kernels.get("6.12").release == "6.12.117+deb12-amd64"  # 117 is newer than 9
    assert kernels.get("6.1").release == "6.1.0-56-amd64"
    assert kernels.get("sid").release == "6.1.0-56-amd64"
    assert kernels.find("gone") is None
    assert kernels.find("6.2") is None
    assert [k.release for k in kernels.cached()][-1] == "6.12.117+deb12-amd64"


def test_paths(tmp_path: Path) -> None:
    image = tmp_path / "tree" / "boot" / "vmlinuz-6.5.0-1-amd64"
    image.parent.mkdir(parents=True)
    image.touch()
    assert kernels.get(str(image)).release == "6.5.0-1-amd64"
    assert kernels.get(str(tmp_path / "tree")).image == image
    with pytest.raises(UsageError, match="no such kernel"):
        kernels.get("/no/such/kernel")
    with pytest.raises(UsageError, match="no vmlinuz"):
        kernels.get(f"{tmp_path}/tree/boot/..//boot/../..")
    with pytest.raises(UsageError, match="names no kernel"):
        kernels.get("6.12 ; true")


#: A fake archive: what apt-cache would show.
PACKAGES = {
    "linux-image-amd64": "Version: 7.3.4-1\nDepends: linux-image-7.3.4-amd64 (= 7.3.4-1), linux-base-amd64",
    "linux-image-7.3.4-amd64": "Version: 7.3.4-1\n"
    "Depends: dracut | initramfs-tools (>= 0.1), linux-binary-7.3.4-amd64, linux-modules-7.3.4-amd64\n"
    "Pre-Depends: linux-base (>= 4.17~)",
    "linux-binary-7.3.4-amd64": "Version: 7.3.4-1\nDepends: linux-base-7.3.4-amd64 (= 7.3.4-1)",
    "linux-base-7.3.4-amd64": "Version: 7.3.4-1",
    "linux-modules-7.3.4-amd64": "Version: 7.3.4-1\nDepends: kmod",
    "linux-image-6.12-amd64": "Version: 6.12.9-1\nDepends: linux-image-6.12.9-amd64 (= 6.12.9-1)",
    "linux-image-6.12.9-amd64": "Version: 6.12.9-1\nDepends: kmod",
    "linux-image-6.12.8-amd64": "Version: 6.12.8-1\nDepends: kmod",
    "linux-image-6.12.9-cloud-amd64": "Version: 6.12.9-1\nDepends: kmod",
}


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """apt replaced; returns the package lists that were downloaded."""
    downloads: list[list[str]] = []

    def run(self: apt.Universe, program: str, *args: str, cwd: Path | None = None) -> str:
        if args[0] == "search":
            return "".join(f"{name} - Linux\n" for name in PACKAGES if re.search(args[-1], name))
        if args[0] == "show":
            shown = (f"Package: {n}\n{PACKAGES[n]}\n" for n in args[1:] if n in PACKAGES)
            return "\n".join(shown)
        if args[0] == "download":
            downloads.append(sorted(args[1:]))
            assert cwd is not None
            for package in args[1:]:
                (cwd / f"{package.split('=')[0]}.deb").write_text(package)
        return ""

    def unpack(debs: list[Path], tree: Path) -> None:
        split = len(debs) > 1
        release = min((d.stem for d in debs), key=len).split("-", 2)[2]
        modules = tree / ("usr/lib/modules" if split else "lib/modules") / release
        (modules / "kernel").mkdir(parents=True)
        (modules / "kernel" / "vivid.ko").touch()
        image = modules / "vmlinuz" if split else tree / "boot" / f"vmlinuz-{release}"
        image.parent.mkdir(exist_ok=True)
        image.touch()
        (image.parent / image.name.replace("vmlinuz", "config")).touch()

    source = apt.PackageSource(("mirror://x",), ("suite",))
    monkeypatch.setattr(apt.Universe, "_run", run)
    monkeypatch.setattr(kernels, "unpack", unpack)
    monkeypatch.setattr(
        kernels, "universes", lambda spec: [apt.Universe("suite", [source], tmp_path / "apt")]
    )
    monkeypatch.setattr(kernels, "_flavours", lambda universe: ("amd64",))
    tools = tmp_path / "tools"
    tools.mkdir()
    depmod = tools / "depmod"
    depmod.write_text('#!/bin/sh\ntouch "$2/lib/modules/$3/modules.dep"\n')
    depmod.chmod(0o755)
    real = host_tools.require
    monkeypatch.setattr(host_tools, "require", lambda name: str(depmod) if name == "depmod" else real(name))
    return downloads


def test_a_version_is_fetched_once(archive: list[list[str]], cache: Path) -> None:
    kernel = kernels.get("6.12")
    assert kernel.release == "6.12.9-amd64"  # neither the older one nor the cloud flavour
    assert kernel.image == cache / "kernels/6.12.9-amd64/boot/vmlinuz-6.12.9-amd64"
    assert kernel.image.exists()
    assert kernel.config is not None
    assert kernels.get("6.12") == kernel
    assert archive == [["linux-image-6.12.9-amd64=6.12.9-1"]]
    assert not list((cache / "kernels").glob(".new-*"))


def test_a_suite_leads_to_a_split_kernel(archive: list[list[str]], cache: Path) -> None:
    kernel = kernels.get("suite")
    assert kernel.release == "7.3.4-amd64"
    parts = ("base", "binary", "image", "modules")
    assert archive == [[f"linux-{part}-7.3.4-amd64=7.3.4-1" for part in parts]]
    tree = cache / "kernels" / "7.3.4-amd64"
    assert kernel.image.exists()
    assert (tree / "lib/modules/7.3.4-amd64/kernel/vivid.ko").exists()
    assert (tree / "usr/lib/modules/7.3.4-amd64/modules.dep").exists()
    assert kernels.names() == {"suite": "7.3.4-amd64"}
    assert kernels.find("suite") == kernel


def test_nothing_fits(archive: list[list[str]]) -> None:
    with pytest.raises(UsageError, match=r"no kernel|no suite.*'5.10'; they have 6.12, 7.3"):
        kernels.get("5.10")


def test_a_fetch_that_breaks_leaves_nothing(
    archive: list[list[str]], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(debs: list[Path], tree: Path) -> None:
        tree.mkdir()
        (tree / "half").touch()
        raise Vb2Error("the disk is full")

    good = kernels.unpack  # type: ignore[attr-defined]
    monkeypatch.setattr(kernels, "unpack", broken)
    with pytest.raises(Vb2Error, match="full"):
        kernels.get("6.12")
    assert not list((cache / "kernels").glob(".new-*"))
    assert kernels.cached() == []
    monkeypatch.setattr(kernels, "unpack", good)
    (cache / "kernels" / ".new-of-a-killed-run").mkdir()
    assert kernels.get("6.12").release == "6.12.9-amd64"
    assert not list((cache / "kernels").glob(".new-*"))


def _get(spec: str) -> str:
    return kernels.get(spec).release


def test_two_fetchers_make_one_fetch(archive: list[list[str]], cache: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    unpack = kernels.unpack  # type: ignore[attr-defined]

    def marked(debs: list[Path], tree: Path) -> None:
        (marks / str(os.getpid())).touch()
        unpack(debs, tree)

    kernels.unpack = marked  # type: ignore[attr-defined]  # inherited by the forked processes
    try:
        with multiprocessing.get_context("fork").Pool(3) as pool:
            assert set(pool.map(_get, ["6.12"] * 3)) == {"6.12.9-amd64"}
    finally:
        kernels.unpack = unpack  # type: ignore[attr-defined]
    assert len(list(marks.iterdir())) == 1


def test_the_listing_asks_no_network(archive: list[list[str]], tmp_path: Path) -> None:
    kernels.get("6.12")
    listing = kernels.listing()
    assert [k["release"] for k in listing["cached"]] == ["6.12.9-amd64"]
    assert listing["cached"][0]["names"] == ["6.12"]
    releases = [k["release"] for k in listing["available"]]
    assert "6.12-amd64" not in releases  # a meta package is no kernel
    assert set(releases) == {"6.12.8-amd64", "6.12.9-amd64", "7.3.4-amd64"}
    assert len(archive) == 1


def test_apts_own_words_reach_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "apt-get"
    script.write_text('#!/bin/sh\necho "E: The repository is not signed." >&2\nexit 100\n')
    script.chmod(0o755)
    monkeypatch.setattr(host_tools, "require", lambda name: str(script))
    universe = apt.Universe("sid", [apt.PackageSource(("mirror://x",), ("sid",))], tmp_path)
    with pytest.raises(apt.AptError, match="not signed") as caught:
        universe.update()
    assert caught.value.exit_status == 3


def test_no_way_round_apts_signatures() -> None:
    text = "".join(p.read_text().lower() for p in Path(vb2user.__file__).with_name("harness").rglob("*.py"))
    for word in (
        "allow-unauthenticated",
        "allowunauthenticated",
        "trusted=yes",
        "trusted: yes",
        "allowinsecure",
    ):
        assert word not in text


def test_no_host_name_in_the_harness() -> None:
    done = subprocess.run(
        [
            "grep",
            "-rnE",
            r"https?://[a-z]+\.(debian|ubuntu)\.",
            str(Path(vb2user.__file__).with_name("harness")),
            "--include=*.py",
        ],
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""

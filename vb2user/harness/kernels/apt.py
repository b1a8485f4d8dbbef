"""Beside the layers: a private apt, so that kernels of any suite can be had without being root.

The machine's own lists, cache and status are neither read nor written: every group of suites has lists of its
own below the cache folder. This module reads three things from the machine: the address of its archive, the
keys for it (``sources.list``, ``*.sources``), and its apt settings such as proxies. The project contains no
host name. apt checks the signatures and sums, and this module never disables that.

Formats: sources.list(5), apt_preferences(5), deb-version(7).
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vb2user.errors import MissingPrerequisiteError, Vb2Error
from vb2user.harness import host_tools

_DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: Lists younger than this many seconds are not fetched again.
FRESH = 24 * 3600.0


class AptError(Vb2Error):
    """apt could not reach, verify or deliver something."""

    exit_status = 3


@dataclass(frozen=True)
class PackageSource:
    """One entry of sources.list(5): where an archive is, and which key signs it."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...] = ("main",)
    signed_by: str | None = None

    def deb822(self) -> str:
        """The entry as a stanza; only package indices are asked for."""
        lines = [
            "Types: deb",
            f"URIs: {' '.join(self.uris)}",
            f"Suites: {' '.join(self.suites)}",
            f"Components: {' '.join(self.components)}",
            "Targets: Packages",
        ]
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        return "\n".join(lines) + "\n"


def parse_deb822(text: str) -> list[dict[str, str]]:
    """Stanzas of a deb822 text: field name (lower case) to value, continuation lines kept."""
    stanzas: list[dict[str, str]] = []
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                stanzas.append(fields)
            fields, name = {}, ""
        elif line[0] in " \t":
            if name:
                fields[name] += "\n" + line
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return stanzas


def parse_sources(text: str) -> list[PackageSource]:
    """The enabled binary entries of a ``.sources`` file."""
    found = []
    for stanza in parse_deb822(text):
        if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes").lower() == "no":
            continue
        found.append(
            PackageSource(
                tuple(stanza.get("uris", "").split()),
                tuple(stanza.get("suites", "").split()),
                tuple(stanza.get("components", "main").split()),
                stanza.get("signed-by") or None,
            )
        )
    return found


_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<rest>.*)$")


def parse_list(text: str) -> list[PackageSource]:
    """The binary entries of a one-line-style ``.list`` file."""
    found = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#", 1)[0].strip())
        if match is None:
            continue
        options = dict(o.split("=", 1) for o in (match["options"] or "").split() if "=" in o)
        components = tuple(match["rest"].split())
        if not components:
            continue  # a flat repository: never the distribution's archive
        found.append(PackageSource((match["uri"],), (match["suite"],), components, options.get("signed-by")))
    return found


def machine_sources(etc: Path | None = None) -> list[PackageSource]:
    """Every archive that this machine's apt is configured for."""
    folder = etc or Path("/etc/apt")
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    found: list[PackageSource] = []
    for file in files:
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        if file.suffix == ".sources":
            found += parse_sources(text)
        elif file.suffix == ".list":
            found += parse_list(text)
    return found


def os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """Fields of os-release(5)."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key: value.strip().strip("\"'") for key, value in pairs}


def own_sources(sources: Sequence[PackageSource], codename: str) -> list[PackageSource]:
    """The distribution's own suites (``codename``, ``codename-updates``, ``codename-security``).

    Third parties' archives are left out: they hold no kernel, and one of them being down must not
    stop a fetch.
    """
    found = []
    for source in sources:
        suites = tuple(s for s in source.suites if s == codename or s.startswith(f"{codename}-"))
        if suites:
            found.append(replace(source, suites=suites, components=("main",)))
    return found


def debian_archive(sources: Sequence[PackageSource], release: dict[str, str]) -> PackageSource | None:
    """Return the entry of Debian's main archive, or None if this machine knows none.

    ``VB2USER_DEBIAN_MIRROR`` names a mirror on machines whose apt knows none, such as Ubuntu. The mirror is
    also verified with the keyring of the package ``debian-archive-keyring``.
    """
    keyring = str(_DEBIAN_KEYRING) if _DEBIAN_KEYRING.exists() else None
    if mirror := os.environ.get("VB2USER_DEBIAN_MIRROR"):
        if keyring is None:
            raise MissingPrerequisiteError(
                "the keyring that vouches for Debian's archive is not installed",
                hint="run: sudo apt-get install debian-archive-keyring",
            )
        return PackageSource((mirror,), ("stable",), ("main",), keyring)
    debian = release.get("ID") == "debian"
    names = {release.get("VERSION_CODENAME", ""), "sid", "unstable", "testing", "stable"}
    for source in sources:
        plain = [s for s in source.suites if "security" not in s and "/" not in s]
        by_key = "debian-archive" in (source.signed_by or "") and bool(plain)
        if by_key or (debian and names.intersection(plain)):
            return replace(source, components=("main",), signed_by=source.signed_by or keyring)
    return None


class Universe:
    """A group of suites with lists and a cache of its own.

    Attributes:
        name: the folder's name and what messages call it.
        sources: the archives in it.
        folder: where its lists and cache are.
    """

    def __init__(self, name: str, sources: Sequence[PackageSource], root: Path) -> None:
        self.name = name
        self.sources = tuple(sources)
        self.folder = root / name

    @property
    def _stamp(self) -> Path:
        return self.folder / "updated"

    @property
    def listed(self) -> bool:
        """Were its lists fetched, whenever that was?"""
        return self._stamp.exists()

    def _options(self) -> list[str]:
        folder = self.folder
        options = {
            "Dir::Etc::SourceList": folder / "kernels.sources",
            "Dir::Etc::SourceParts": "-",
            "Dir::Etc::Preferences": "-",
            "Dir::Etc::PreferencesParts": "-",
            "Dir::State": folder / "state",
            "Dir::State::Lists": folder / "lists",
            "Dir::State::Status": folder / "status",
            "Dir::Cache": folder / "cache",
            "APT::Default-Release": "",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
            "pkgCacheGen::Essential": "none",
        }
        if os.geteuid() == 0:
            # apt's download user cannot enter a cache below root's home.
            options["APT::Sandbox::User"] = "root"
        return [part for key, value in options.items() for part in ("-o", f"{key}={value}")]

    def _run(self, program: str, *args: str, cwd: Path | None = None) -> str:
        env = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        command = [host_tools.require(program), "-q", *self._options(), *args]
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, errors="replace")
        if done.returncode:
            said = [s for s in done.stderr.splitlines() if s.startswith(("E:", "W:"))] or [
                " ".join(done.stderr.split())
            ]
            raise AptError(f"{program} {args[0]} ({self.name}): {'; '.join(said)[:600]}")
        return done.stdout

    def prepare(self) -> None:
        """Write the private configuration."""
        for part in ("state", "lists/partial", "cache/archives/partial"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        text = "\n".join(source.deb822() for source in self.sources)
        file = self.folder / "kernels.sources"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            self._stamp.unlink(missing_ok=True)

    def update(self, *, force: bool = False) -> None:
        """Fetch the lists unless they are fresh.

        Raises:
            AptError: they could not be fetched or verified, and there are no older ones.
        """
        self.prepare()
        if not force and self.listed and time.time() - self._stamp.stat().st_mtime < FRESH:
            return
        try:
            self._run("apt-get", "update")
        except AptError:
            if not self.listed:
                raise
            return  # verified lists of an earlier day still name kernels that can be had
        self._stamp.touch()

    def names(self, pattern: str) -> list[str]:
        """Names of the packages that the regular expression matches."""
        out = self._run("apt-cache", "search", "--names-only", pattern)
        return [line.split(" - ", 1)[0].strip() for line in out.splitlines() if line.strip()]

    def show(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """Name to the stanza of its newest version, for the names that exist."""
        wanted = list(names)
        if not wanted:
            return {}
        try:
            out = self._run("apt-cache", "show", *wanted)
        except AptError:
            return {}
        newest: dict[str, dict[str, str]] = {}
        for stanza in parse_deb822(out):
            name = stanza.get("package", "")
            if name not in newest or compare_versions(stanza["version"], newest[name]["version"]) > 0:
                newest[name] = stanza
        return newest

    def download(self, packages: Iterable[tuple[str, str]], into: Path) -> list[Path]:
        """Download ``(name, version)`` pairs, verified by apt against the signed lists."""
        self._run("apt-get", "download", *(f"{name}={version}" for name, version in packages), cwd=into)
        return sorted(into.glob("*.deb"))

    def closure(self, wanted: Iterable[str], into: Path) -> list[Path]:
        """Download packages (``name`` or ``name=version``) and all they depend on, likewise verified.

        For a tree that has nothing yet: what is installed on this machine does not count.
        """
        (into / "partial").mkdir(exist_ok=True)
        options = ["-y", "--no-install-recommends", "--download-only", "-o", f"Dir::Cache::archives={into}"]
        self._run("apt-get", "install", *options, *wanted)
        return sorted(into.glob("*.deb"))


@functools.lru_cache(maxsize=4096)
def compare_versions(one: str, other: str) -> int:
    """Order of two versions by deb-version(7): negative, zero or positive."""
    if one == other:
        return 0
    dpkg = host_tools.require("dpkg")
    less = subprocess.run([dpkg, "--compare-versions", one, "lt", other], stderr=subprocess.DEVNULL)
    return -1 if less.returncode == 0 else 1


def depends(stanza: dict[str, str]) -> list[str]:
    """Names of the packages in ``Depends`` and ``Pre-Depends``, the first of each alternative."""
    clauses = f"{stanza.get('depends', '')},{stanza.get('pre-depends', '')}".split(",")
    names = (re.match(r"\s*([a-z0-9][a-z0-9+.-]*)", clause) for clause in clauses)
    return [name[1] for name in names if name]

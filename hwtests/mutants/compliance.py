"""The newest v4l2-compliance in reach, and what it says of a node.

It is unpacked with all libraries that it needs into the cache, ``tools/v4l-utils-<version>``, and started by
its own dynamic loader. Nothing is installed.
"""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from vb2user.errors import MissingPrerequisiteError
from vb2user.harness import host_tools
from vb2user.harness.kernels import apt
from vb2user.harness.kernels import cache as kernels
from vb2user.harness.kernels.cache import Say
from vb2user.harness.kernels.unpacking import unpack

_PACKAGE = "v4l-utils"
#: What a line of a test ends with: only FAIL is a finding.
_TEST = re.compile(r"^\s*test (?P<name>.+?): (?P<verdict>OK|FAIL)\b", re.MULTILINE)


def fetch(say: Say) -> tuple[str, list[str]]:
    """The version of the newest v4l2-compliance, and the command that starts it.

    Raises:
        MissingPrerequisiteError: no archive in reach has it; apt.AptError: it could not be fetched.
    """
    found: list[tuple[str, apt.Universe]] = []
    for universe in kernels.universes("0.0"):
        universe.update()
        found += [(s["version"], universe) for s in universe.show([_PACKAGE]).values()]
    if not found:
        raise MissingPrerequisiteError(f"no archive in reach has {_PACKAGE}")
    order = functools.cmp_to_key(apt.compare_versions)
    version, universe = max(found, key=lambda pair: order(pair[0]))
    place = host_tools.cache_dir() / "tools" / f"{_PACKAGE}-{version}"
    with kernels.locked(place.parent):
        if not place.exists():
            say(f"fetching {_PACKAGE} {version} and its libraries")
            work = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
            try:
                (work / "debs").mkdir()
                unpack(universe.closure([f"{_PACKAGE}={version}"], work / "debs"), work / "tree")
                (work / "tree").chmod(0o755)
                (work / "tree").rename(place)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return version, command(place)


def command(tree: Path) -> list[str]:
    """How v4l2-compliance of an unpacked tree is started on this machine."""
    (program,) = tree.glob("usr/bin/v4l2-compliance")
    (loader,) = tree.glob("usr/lib/*/ld-linux*.so.*")
    folders = sorted({str(f.parent) for f in tree.glob("usr/lib/**/*.so.*")})
    return [str(loader), "--library-path", ":".join(folders), str(program)]


def failures(text: str) -> Counter[str]:
    """Name of each test that says FAIL, and how often it does."""
    return Counter(m["name"] for m in _TEST.finditer(text) if m["verdict"] == "FAIL")


def new_failures(text: str, stock: str) -> list[str]:
    """The tests that fail more often than on the module as it is."""
    return sorted(failures(text) - failures(stock))


def finished(text: str) -> bool:
    """Whether it came to its last line, the sum of all tests."""
    return re.search(r"^Total(?: for .*)?: \d+, Succeeded: \d+", text, re.MULTILINE) is not None

"""The Python side on a 32-bit ABI: by a real i386 Python where there is one, else by emulation.

The real one is Debian's or Ubuntu's own package, fetched by apt and unpacked under the user's cache, not
installed; an x86-64 kernel runs it. It is fetched on demand only::

    python tests/abi/ilp32.py
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vb2user" / "i386-python"

APT = """
APT::Architecture "i386";
APT::Architectures {{ "i386"; }};
APT::Sandbox::User "root";
Dir::State::Lists "{work}/lists";
Dir::State::status "/dev/null";
Dir::Cache "{work}/cache";
"""


def emulate() -> None:
    """Make this process's ctypes lay structs out as i386 does; before the bindings are imported.

    long and pointers are 4 bytes, and nothing is aligned to more than 4, 64-bit numbers neither.
    """

    class Pointer(ctypes.c_uint32):
        stands_for_pointer = True

    class Structure(ctypes.Structure):
        _pack_ = 4
        _layout_ = "ms"

    class Union(ctypes.Union):
        _pack_ = 4
        _layout_ = "ms"

    module: Any = ctypes
    module.c_long, module.c_ulong = ctypes.c_int32, ctypes.c_uint32
    module.c_void_p = Pointer
    module.POINTER = lambda type_: Pointer
    module.Structure, module.Union = Structure, Union


def installed() -> list[str] | None:
    """The command that runs the i386 Python in the cache, or None if there is none."""
    found = sorted(CACHE.glob("usr/bin/python3.*"))
    if not found or platform.machine() != "x86_64":
        return None
    libraries = f"{CACHE}/lib/i386-linux-gnu:{CACHE}/usr/lib/i386-linux-gnu"
    loader = next(path for path in (CACHE / "lib", CACHE / "usr/lib") if (path / "ld-linux.so.2").exists())
    return [str(loader / "ld-linux.so.2"), "--library-path", libraries, str(found[-1])]


def ask(request: dict[str, Any], *, emulated: bool) -> dict[str, Any]:
    """What the bindings say on i386: the answer of pyside.py in a process of its own."""
    spec = importlib.util.find_spec("v4l2")
    assert spec is not None
    assert spec.origin is not None
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(spec.origin).parent),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable]
    if not emulated:
        real = installed()
        assert real is not None
        command = real
        environment["PYTHONHOME"] = str(CACHE / "usr")
    done = subprocess.run(
        [*command, str(HERE / "pyside.py"), *(["--emulate-i386"] if emulated else [])],
        input=json.dumps(request),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[-1]} failed:\n{done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def fetch() -> None:
    """Download the i386 Python by apt (its signatures checked) and unpack it into the cache."""
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as directory:
        work = Path(directory)
        for name in ("lists/partial", "cache/archives/partial", "debs", "root"):
            (work / name).mkdir(parents=True)
        (work / "apt.conf").write_text(APT.format(work=work))
        environment = {**os.environ, "APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C"}

        def apt(*command: str, check: bool = True) -> str:
            return subprocess.run(
                command, cwd=work / "debs", env=environment, check=check, capture_output=True, text=True
            ).stdout

        # One failing index of several is no failure yet: the download decides.
        apt("apt-get", "update", check=False)
        version = re.search(
            r"Depends: (python3\.\d+)-minimal", apt("apt-cache", "depends", "python3-minimal")
        )
        if version is None:
            raise RuntimeError("apt knows no python3-minimal for i386")
        python = version[1]
        packages = [f"{python}-minimal", f"lib{python}-minimal", f"lib{python}-stdlib"]
        libraries = apt("apt-cache", "depends", *packages)
        packages += sorted(set(re.findall(r"Depends: (libc6|libffi\d+|libexpat1|zlib1g)$", libraries, re.M)))
        apt("apt-get", "download", *packages)
        for deb in sorted((work / "debs").glob("*.deb")):
            subprocess.run(["dpkg", "-x", deb, work / "root"], check=True)
        if CACHE.exists():
            shutil.rmtree(CACHE)
        (work / "root").rename(CACHE)


if __name__ == "__main__":
    fetch()
    command = installed()
    assert command is not None
    subprocess.run([*command, "-V"], check=True, env={"PYTHONHOME": str(CACHE / "usr")})

"""Every struct, member, ioctl number and constant of the headers, as C has it and as Python has it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import csource
import ilp32
import pyside
import pytest
from csource import CannotCompileError, Compiler, Golden

Report = Callable[[str], None]

CI = os.environ.get("VB2USER_CI") == "1"
VERSION = re.sub(r".* (\d+\.\d+).*", r"\1", (csource.VENDORED / "VERSION").read_text().strip())

# Declares enumerators by pasting names together: there is nothing to call.
NO_FUNCTION = {"V4L2_MBUS_FROM_MEDIA_BUS_FMT"}

# With 32-bit time these alone differ from the 64-bit layouts that the bindings use everywhere.
TIME32_STRUCTS = {"v4l2_buffer": (68, 76), "v4l2_event": (120, 128)}
TIME32_IOCTLS = {"VIDIOC_QUERYBUF", "VIDIOC_QBUF", "VIDIOC_DQBUF", "VIDIOC_PREPARE_BUF", "VIDIOC_DQEVENT"}

# Grew at its end since 6.1 (line-based metadata), inside the 200 bytes that v4l2_format keeps for it: the
# ioctls' numbers are what they were, and an older kernel neither reads nor writes the new members.
GREW = {"v4l2_meta_format": "v4l2_format.fmt.meta"}

TIME64 = ("-D_TIME_BITS=64", "-D_FILE_OFFSET_BITS=64")


@cache
def vendored() -> Golden:
    return csource.golden(Compiler())


def request_for(golden: Golden) -> dict[str, Any]:
    """What to ask the Python side for: all that C declares."""
    headers = golden.declared.macros | golden.declared.enumerators
    return {
        "constants": {name: headers[name] for name in [*golden.constants, *golden.strings]},
        "records": golden.declared.records,
        "fields": list(golden.fields),
    }


def differences(golden: Golden, python: dict[str, Any]) -> dict[str, str]:
    """What differs: by name, what C says and what Python says."""
    found = {}
    for name, (value, _) in golden.constants.items():
        if python["constants"][name] != value:
            found[name] = f"C {value:#x}, Python {python['constants'][name]}"
    for name, text in golden.strings.items():
        if python["constants"][name] != text:
            found[name] = f"C {text!r}, Python {python['constants'][name]!r}"
    for tag, size in golden.sizes.items():
        if python["sizes"][tag] != size:
            found[tag] = f"C {size} bytes, Python {python['sizes'][tag]}"
    for name, values in golden.fields.items():
        if python["fields"][name] != list(values):
            found[name] = f"C {values}, Python {python['fields'][name]} (offset, size, kind)"
    return found


def counts(golden: Golden) -> str:
    ioctls = sum(bool(re.match(r"_IO[RW]*\b", golden.declared.bodies.get(n, ""))) for n in golden.constants)
    constants = len(golden.constants) + len(golden.strings) - ioctls
    return (
        f"ABI: {len(golden.sizes)} structs, {len(golden.fields)} fields, {ioctls} ioctls, "
        f"{constants} constants compared"
    )


def show(found: dict[str, str]) -> str:
    return "\n".join(f"{name}: {what}" for name, what in found.items())


def test_newest_headers(report: Report) -> None:
    golden = vendored()
    assert len(golden.constants) > 2400
    assert len(golden.fields) > 1100
    found = differences(golden, pyside.answer(request_for(golden)))
    report(f"{counts(golden)} against the headers of {VERSION}, {platform.machine()}")
    assert not found, show(found)


def test_no_member_that_c_has_not() -> None:
    golden = vendored()
    python = pyside.answer(request_for(golden))["members"]
    for tag, (_, members) in golden.declared.members.items():
        promoted = [path for path, _ in csource.paths([m for m in members if not m.name])]
        ours = {m.name for m in members if m.name} | {path.split(".")[0] for path in promoted}
        assert set(python[tag]) == ours, tag


def test_no_name_that_c_has_not() -> None:
    declared = vendored().declared
    known = {
        *declared.macros,
        *declared.enumerators,
        *declared.functions,
        *declared.records,
        "v4l2_std_id",
    }
    pattern = re.compile(r"(?i:V4L2|VIDIOC|VIDEO|MEDIA|DMA_BUF|DMA_HEAP|UDMABUF|SYNC|BASE_VIDIOC)_\w+")
    for header in pyside.MODULES:
        names = {name for name in pyside.module(header) if pattern.fullmatch(name)}
        assert names - known - {"udmabuf_list"} == set(), pyside.MODULES[header]


def test_names_without_a_value_are_include_guards() -> None:
    for name, header in vendored().declared.guards.items():
        assert re.fullmatch(r"_+\w+_(H|COMMON)_*", name), f"{header}: {name}"


def test_macros_that_name_a_struct() -> None:
    for alias, tag in csource.TYPE_MACROS.items():
        header = vendored().declared.macros[alias]
        assert pyside.module(header)[alias] is pyside.module(header)[tag]


def test_ioctl_numbers_are_not_negative() -> None:
    for header in pyside.MODULES:
        for name, value in pyside.module(header).items():
            if name.startswith(("VIDIOC_", "MEDIA_IOC_", "MEDIA_REQUEST_IOC_", "DMA_", "SYNC_IOC_")):
                assert isinstance(value, int), name
                assert 0 <= value <= 0xFFFFFFFF, name


def installed_version() -> tuple[int, int]:
    text = Path("/usr/include/linux/version.h").read_text()
    code = int(re.findall(r"LINUX_VERSION_CODE (\d+)", text)[0])
    return code >> 16, code >> 8 & 0xFF


def test_installed_headers(report: Report) -> None:
    """All that an older header has is what it was: only reserved space shrank since, and GREW."""
    if not Path("/usr/include/linux/videodev2.h").exists():
        report("ABI: not run against the installed headers: there are none")
        assert not CI, "no linux/videodev2.h: install linux-libc-dev"
        pytest.skip("no /usr/include/linux/videodev2.h")
    golden = csource.golden(Compiler(include=None))
    python = pyside.answer(request_for(golden))
    found = differences(golden, python)
    version = installed_version()
    if version > tuple(map(int, VERSION.split("."))):
        # A newer header may have names that the bindings lack; what they have still has to be right.
        everything = {**python["constants"], **python["sizes"], **python["fields"]}
        found = {name: what for name, what in found.items() if everything[name] is not None}
    shrunk = 0
    for name in [name for name in found if re.search(r"\.reserved\d*$", name)]:
        ours = python["fields"][name]
        offset, size, kind = golden.fields[name]
        # New members are cut off the front of the reserved space, so it still ends where it did. What
        # had room for one more number only is gone altogether.
        assert ours is None or (ours[0] + ours[1] == offset + size and ours[2] == kind), found[name]
        del found[name]
        shrunk += 1
    for tag, member in GREW.items():
        assert golden.sizes[tag] <= python["sizes"][tag]
        found.pop(tag, None)
        if member in found:
            (offset, _, kind), ours = golden.fields[member], python["fields"][member]
            assert (offset, kind) == (ours[0], ours[2]), found[member]
            del found[member]
    report(
        f"{counts(golden)} against the installed headers of {version[0]}.{version[1]} "
        f"({shrunk} of the fields are reserved space that shrank since)"
    )
    assert not found, show(found)


def ilp32_compiler(directory: Path, *flags: str) -> Compiler:
    """A compiler for i386, with what the C library's own headers for it want."""
    compiler = Compiler(("-m32", *flags))
    try:
        compiler.run(compiler.source(), "-E")
    except CannotCompileError:
        # gcc-multilib is not installed. The C library's headers serve both ABIs all the same, but for a
        # file that lists the functions which are missing; nothing is linked here.
        triple = subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True, check=True)
        (directory / "gnu").mkdir()
        (directory / "gnu" / "stubs-32.h").touch()
        own = ("-isystem", f"/usr/include/{triple.stdout.strip()}", "-isystem", str(directory))
        compiler = Compiler(("-m32", *flags, *own))
        compiler.run(compiler.source(), "-E")
    return compiler


def i386(directory: Path, name: str, report: Report, *flags: str) -> tuple[Golden, dict[str, Any]]:
    """C's numbers and Python's for i386; skips where the compiler cannot, which is an error in CI."""
    try:
        golden = csource.golden(ilp32_compiler(directory, *flags))
    except CannotCompileError as e:
        report(f"ABI: {name} not run: no -m32 compiler ({e})")
        if CI and platform.machine() == "x86_64":
            raise
        pytest.skip(f"no -m32 compiler (gcc-multilib): {e}")
    if CI and ilp32.installed() is None:
        ilp32.fetch()
    real = ilp32.installed() is not None
    python = ilp32.ask(request_for(golden), emulated=not real)
    how = "a real i386 Python" if real else "an emulated i386 Python (tests/abi/ilp32.py fetches a real one)"
    report(f"{counts(golden)} against {name}, {how}")
    return golden, python


def test_i386_time64(tmp_path: Path, report: Report) -> None:
    golden, python = i386(tmp_path, "i386 time64", report, *TIME64)
    found = differences(golden, python)
    assert golden.sizes["v4l2_buffer"] == 76
    assert not found, show(found)


def test_i386_time32(tmp_path: Path, report: Report) -> None:
    """The bindings take the time64 layouts here too; all else is the same, and just that differs."""
    golden, python = i386(tmp_path, "i386 time32", report)
    found = differences(golden, python)
    sizes = {tag: (golden.sizes[tag], python["sizes"][tag]) for tag in TIME32_STRUCTS}
    assert sizes == TIME32_STRUCTS
    rest = {
        name: what
        for name, what in found.items()
        if name.partition(".")[0] not in TIME32_STRUCTS and name not in TIME32_IOCTLS
    }
    assert not rest, show(rest)
    assert found.keys() >= TIME32_IOCTLS | TIME32_STRUCTS.keys()


def test_emulation_is_what_i386_is(tmp_path: Path) -> None:
    """Where there is a real i386 Python, the emulated one says the same."""
    if ilp32.installed() is None:
        pytest.skip("no real i386 Python in the cache: tests/abi/ilp32.py fetches it")
    request = request_for(vendored())
    assert ilp32.ask(request, emulated=True) == ilp32.ask(request, emulated=False)

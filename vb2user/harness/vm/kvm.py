"""Beside the layers: find out whether KVM works.

A successful open of ``/dev/kvm`` proves little. Nested and filtered hypervisors offer it, and QEMU then
aborts on an unknown MSR or loops without end. So a stock kernel is booted once under a short deadline, up to
its panic without a root file system. The answer holds for this boot of this machine, this processor and this
QEMU.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vb2user.harness import host_tools

DEVICE = Path("/dev/kvm")
#: Seconds for the probe. A kernel under working KVM needs one or two.
DEADLINE = 20.0
#: A kernel without a root file system ends in this: by then it has booted in earnest.
_REACHED = b"Unable to mount root fs"


@dataclass(frozen=True)
class Answer:
    """The answer to the question whether KVM works.

    Attributes:
        works: True or False; None if it was never tried.
        why: the reason, in words.
        hint: a remedy, or None.
    """

    works: bool | None
    why: str
    hint: str | None = None


def _file() -> Path:
    return host_tools.cache_dir() / "kvm.json"


def machine_key() -> str:
    """Return a key for all that the answer depends on."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        cpu = [s for s in Path("/proc/cpuinfo").read_text().splitlines() if s.startswith("model name")]
        qemu = host_tools.find(host_tools.qemu_name()) or ""
        stat = Path(qemu).stat() if qemu else None
        version = f"{stat.st_size}@{stat.st_mtime_ns}" if stat else ""
        return f"{boot} {cpu[0] if cpu else ''} {qemu} {version}"
    return ""


def known() -> Answer:
    """Return the stored answer, without a trial."""
    if not DEVICE.exists():
        return Answer(False, f"there is no {DEVICE}", "run: sudo modprobe kvm_intel || sudo modprobe kvm_amd")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return Answer(
            False, f"this user may not open {DEVICE}", 'run: sudo usermod -aG kvm "$USER", then log in again'
        )
    try:
        kept = json.loads(_file().read_text())
        if kept["key"] == machine_key():
            return Answer(bool(kept["works"]), str(kept["why"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return Answer(None, "never tried", "run: vb2user doctor --probe-kvm")


def remember(works: bool, why: str) -> Answer:
    """Keep an answer for this machine."""
    file = _file()
    # An answer that cannot be kept is an answer all the same.
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".kvm-", delete=False) as beside:
            json.dump({"key": machine_key(), "works": works, "why": why}, beside)
        Path(beside.name).replace(file)
    return Answer(works, why)


def probe(image: Path, deadline: float = DEADLINE) -> Answer:
    """What is known, else boot ``image`` once and remember how that went."""
    answer = known()
    if answer.works is not None:
        return answer
    command = [host_tools.require(host_tools.qemu_name()), "-accel", "kvm", "-cpu", "host", "-m", "512M"]
    command += ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"]
    command += ["-kernel", str(image), "-append", "console=ttyS0 panic=-1"]
    # QEMU alone, no children: the whole of it is killed when the deadline passes.
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            said, _ = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired:
            return remember(False, f"a stock kernel did not boot under KVM within {deadline:g} s")
        finally:
            process.kill()
    if _REACHED in said:
        return remember(True, "a stock kernel booted under KVM")
    lines = said.decode(errors="replace").strip().splitlines()
    return remember(False, f"QEMU ended with {process.returncode}: {lines[-1] if lines else 'no word'}")

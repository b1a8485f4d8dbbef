"""The regression gate: a frame may cost no more instructions than the stored number, within five per cent.

``python hwtests/bench/gate.py`` counts (see ``native.py``) and compares with ``baseline.json``; ``--store``
writes that.

A count repeats to the instruction, but only with the same Python, C library, numpy and emulator: each set of
those has its own numbers in the file, under a key that names them. Where there are none for this machine's
set, what remains is the ratio to the bare Python client of the same run, which changes less than either: it
may be :data:`SLACK` times the largest that any set has. That catches what is grossly wrong, and says so.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import native

BASELINE = native.HERE / "baseline.json"
TOLERANCE = 0.05
SLACK = 1.25
OURS = ("vb2user", "vb2user-timeout", "vb2user-copy", "vb2user-async")
FLOORS = tuple(dict.fromkeys(native.FLOORS[client] for client in OURS))

Numbers = dict[str, float]
Baseline = dict[str, dict[str, Numbers]]


def key() -> str:
    """What the counts hang on: interpreter (with its file's hash), C library, numpy, emulator."""
    import numpy

    hashed = hashlib.sha256(Path(sys.executable).resolve().read_bytes()).hexdigest()[:12]
    said = subprocess.run(["qemu-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    emulator = re.search(r"\d+\.\d+", said)
    return ", ".join(
        (
            f"{platform.python_implementation()} {platform.python_version()} ({hashed})",
            " ".join(platform.libc_ver()),
            f"numpy {numpy.__version__}",
            f"qemu {emulator[0] if emulator else '?'}",
        )
    )


def name(result: native.Result) -> str:
    """A result's name in the file."""
    return f"{result.client} {result.memory}"


def judge(found: Sequence[native.Result], baseline: Baseline, key: str) -> tuple[list[str], list[str]]:
    """What is wrong, and what is worth saying, of what was counted."""
    stored = baseline.get(key)
    if stored is not None:
        return _exactly(found, stored["user"])
    wrong = []
    for result in found:
        limits = [
            numbers["ratio"][name(result)]
            for numbers in baseline.values()
            if name(result) in numbers["ratio"]
        ]
        if limits and result.ratio is not None and result.ratio > max(limits) * SLACK:
            wrong.append(
                f"{name(result)}: {result.ratio:.2f} times {result.floor}, and never more than "
                f"{max(limits):.2f} times where it was stored"
            )
    said = (
        f"no numbers are stored for {key}: only ratios to the bare client were compared, within "
        f"{SLACK - 1:.0%}; on a tree that is known to be good, 'gate.py --store' adds this machine's"
    )
    return wrong, [said]


def _exactly(found: Sequence[native.Result], stored: Numbers) -> tuple[list[str], list[str]]:
    wrong, said = [], []
    for result in found:
        before = stored.get(name(result))
        if before is None:
            wrong.append(
                f"{name(result)}: {result.user:,.1f} instructions, and none are stored: 'gate.py --store'"
            )
            continue
        change = result.user / before - 1
        line = (
            f"{name(result)}: {result.user:,.1f} instructions per frame, stored {before:,.1f} ({change:+.2%})"
        )
        if change > TOLERANCE:
            wrong.append(line)
        elif change < -TOLERANCE:
            said.append(f"{line}: keep that with 'gate.py --store'")
    return wrong, said


def store(found: Sequence[native.Result], baseline: Baseline, key: str) -> Baseline:
    """The baseline with these numbers under this key."""
    numbers = {
        "user": {name(r): round(r.user, 1) for r in found},
        "ratio": {name(r): round(r.ratio or 0, 3) for r in found},
    }
    return dict(sorted((baseline | {key: numbers}).items()))


def counted() -> tuple[native.Result, ...]:
    """Build and count: ours, and what they are compared with."""
    native.build()
    return tuple(r for r in native.measure([*OURS, *FLOORS]) if r.client in OURS)


@click.command()
@click.option("--store", "storing", is_flag=True, help="Take what is counted now as right.")
def main(storing: bool) -> None:
    """Compare instructions per frame with the stored ones."""
    missing = native.lacks()
    if missing is not None and platform.machine() != "x86_64":
        print(f"gate: not here: {missing}")
        return
    if missing is not None:
        raise SystemExit(f"gate: {missing}")
    found = counted()
    baseline: Baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if storing:
        BASELINE.write_text(json.dumps(store(found, baseline, key()), indent=1) + "\n")
        print(f"gate: stored for {key()}")
        return
    wrong, said = judge(found, baseline, key())
    for line in said:
        print(f"gate: {line}")
    for line in wrong:
        print(f"gate: WORSE: {line}")
    if wrong:
        raise SystemExit(1)
    print(f"gate: {len(found)} numbers compared, none is worse")


if __name__ == "__main__":
    main()

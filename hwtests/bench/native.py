"""The library alone, without a virtual machine: user instructions and nanoseconds per frame over a shim.

``python hwtests/bench/native.py`` measures, prints a table and writes ``build/bench/native.json``, a list of
``{"client", "memory", "user", "calls", "floor", "ratio", "ns"}``. Instructions are counted under qemu-user
and repeat exactly; nanoseconds are this machine's, good for ratios alone. ``gate.py`` compares with what is
stored.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from vb2user.errors import MissingPrerequisiteError, Vb2Error

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "bench"
NODE = "/dev/vb2user-shim"
MEMORIES = ("mmap", "userptr", "dmabuf")
#: Frames after which Python has specialised its bytecode, and frames that are counted after those.
WARM, COUNTED = 128, 256
#: What each client is compared with: what does the same ioctls in the same way, and nothing else.
FLOORS = {
    "c-block": "c-block",
    "c-poll": "c-poll",
    "python-block": "python-block",
    "python-poll": "python-poll",
    "asyncio-reader": "asyncio-reader",
    "asyncio-await": "asyncio-reader",
    "vb2user": "python-poll",
    "vb2user-unseen": "python-poll",
    "vb2user-timeout": "python-poll",
    "vb2user-copy": "python-poll",
    "vb2user-async": "asyncio-reader",
}


@dataclasses.dataclass
class Result:
    """What one client costs per frame.

    Attributes:
        user: instructions in user mode, the mean of :data:`COUNTED` frames.
        calls: of libc's functions that are system calls.
        floor: the client that this one is compared with.
        ratio: ``user`` to the floor's, with the same memory type.
        ns: natively over the shim, the best of some runs; None: not timed.
    """

    client: str
    memory: str
    user: float
    calls: float
    floor: str
    ratio: float | None = None
    ns: float | None = None


def lacks() -> MissingPrerequisiteError | None:
    """What this machine has not got for counting, or None."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        return MissingPrerequisiteError(
            f"instructions are counted on x86-64 Linux only, and this is {platform.machine()}: "
            "the marks are instructions of that processor",
            hint="run the benchmarks on an x86-64 machine",
        )
    for program, package in (("cc", "gcc"), ("qemu-x86_64", "qemu-user")):
        if shutil.which(program) is None:
            return MissingPrerequisiteError(f"there is no {program}", hint=f"apt-get install {package}")
    return None


def build(out: Path = BUILD) -> None:
    """Compile plugin, shim, the minimal program, and Python's modules.

    MissingPrerequisiteError, with the compiler's words.
    """
    out.mkdir(parents=True, exist_ok=True)
    flags = ["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"]
    for source, target, more in (
        ("count.c", "count.so", ["-shared", "-fPIC", "-fvisibility=hidden"]),
        ("shim.c", "shim.so", ["-shared", "-fPIC"]),
        ("marks.c", "marks.so", ["-shared", "-fPIC"]),
        ("minimal.c", "minimal", []),
    ):
        made = subprocess.run(
            ["cc", *flags, *more, "-o", str(out / target), str(HERE / source)], capture_output=True, text=True
        )
        if made.returncode:
            raise MissingPrerequisiteError(
                f"{source} does not compile: {made.stderr.strip()}",
                hint="apt-get install gcc libc6-dev linux-libc-dev",
            )
    # A process that compiles modules first has its objects elsewhere, and hashes of addresses count.
    _run([sys.executable, "-m", "compileall", "-q", str(ROOT / "vb2user"), str(HERE)], environment())


def command(client: str, memories: str, frames: int, buffers: int) -> list[str]:
    """How a client is run."""
    rest = [NODE, memories, str(frames), str(buffers)]
    if client.startswith("c-"):
        return [str(BUILD / "minimal"), client.removeprefix("c-"), *rest]
    return [sys.executable, str(HERE / "client.py"), client, *rest]


def environment() -> dict[str, str]:
    """The least there may be: the same for all, whoever runs this, and hashes that repeat."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "LANG": "C.UTF-8"}


def count(client: str, memories: tuple[str, ...] = MEMORIES, buffers: int = 4) -> list[Result]:
    """Instructions per frame of a client, for each memory type."""
    # C is one process for each; Python would spend most of its time importing.
    runs = [(m,) for m in memories] if client.startswith("c-") else [memories]
    return [result for run in runs for result in _count(client, run, buffers)]


def _count(client: str, memories: tuple[str, ...], buffers: int) -> list[Result]:
    # The first frame's interval begins with it: one frame more.
    lines = counts(command(client, ",".join(memories), WARM + COUNTED + 1, buffers))
    if [len(line["user"]) for line in lines] != [WARM + COUNTED] * len(memories):
        raise Vb2Error(
            f"{client}: counted {[len(line['user']) for line in lines]} frames, not {WARM + COUNTED}"
        )
    return [
        Result(
            client,
            memory,
            sum(line["user"][WARM:]) / COUNTED,
            sum(line["calls"][WARM:]) / COUNTED,
            FLOORS[client],
        )
        for memory, line in zip(memories, lines, strict=True)
    ]


def counts(wanted: list[str], shim: dict[str, str] | None = None) -> list[dict[str, list[int]]]:
    """Run a command under the plugin and the shim: for each of its streams what was counted, frame by frame.

    Args:
        wanted: the command.
        shim: further environment variables, as shim.c has them.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "counts")
        # With "enhanced rep movsb" the C library copies bytewise, and each byte counts as an instruction.
        emulator = ["qemu-x86_64", "-cpu", "max,-erms", "-plugin", f"{BUILD / 'count.so'},out={out}"]
        preload = ["-E", f"LD_PRELOAD={BUILD / 'shim.so'}"]
        _run([*emulator, *preload, *wanted], environment() | (shim or {}))
        return [json.loads(line) for line in out.read_text().splitlines()]


def time_natively(client: str, memory: str, frames: int = 4000, buffers: int = 4) -> float:
    """Nanoseconds per frame over the shim, on this machine and in this moment."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "times")
        preload = {"LD_PRELOAD": str(BUILD / "shim.so"), "VB2USER_SHIM_TIMES": str(out)}
        _run(command(client, memory, frames, buffers), environment() | preload)
        return float(out.read_text())


def _run(wanted: list[str], env: dict[str, str]) -> None:
    done = subprocess.run(wanted, env=env, capture_output=True, text=True)
    if done.returncode:
        raise Vb2Error(f"{' '.join(wanted)} ended with {done.returncode}: {done.stderr.strip()}")


def measure(clients: list[str], memories: tuple[str, ...] = MEMORIES) -> list[Result]:
    """Count all of them, as many at once as there are processors: counting does not mind."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [result for results in pool.map(lambda c: count(c, memories), clients) for result in results]
    floors = {(r.client, r.memory): r.user for r in found}
    for result in found:
        floor = floors.get((result.floor, result.memory))
        result.ratio = None if floor is None else round(result.user / floor, 4)
    return found


def add_times(found: list[Result], rounds: int) -> None:
    """The best of so many rounds, in each of which every client has its turn."""
    for _ in range(rounds):
        for result in found:
            taken = time_natively(result.client, result.memory)
            result.ns = taken if result.ns is None else min(result.ns, taken)


def show(found: list[Result]) -> None:
    """A table."""
    table = Table(title="per frame, over the shim")
    for name in ("client", "memory", "instructions", "calls", "floor", "ratio", "ns"):
        table.add_column(name, justify="left" if name in ("client", "memory", "floor") else "right")
    for r in found:
        table.add_row(
            r.client,
            r.memory,
            f"{r.user:,.1f}",
            f"{r.calls:.2f}",
            "" if r.floor == r.client else r.floor,
            "" if r.ratio is None or r.floor == r.client else f"{r.ratio:.3f}",
            "" if r.ns is None else f"{r.ns:,.0f}",
        )
    Console().print(table)


@click.command()
@click.option("--client", "clients", multiple=True, type=click.Choice(list(FLOORS)), help="Only these.")
@click.option("--memory", "memories", multiple=True, type=click.Choice(MEMORIES), help="Only these.")
@click.option("--rounds", default=3, show_default=True, help="Of native timing; 0: none.")
@click.option("--out", default=BUILD / "native.json", type=click.Path(path_type=Path), show_default=True)
def main(clients: tuple[str, ...], memories: tuple[str, ...], rounds: int, out: Path) -> None:
    """Measure the library over the shim."""
    missing = lacks()
    if missing is not None:
        raise SystemExit(f"{missing}")
    build()
    found = measure(list(clients or FLOORS), memories or MEMORIES)
    add_times(found, rounds)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([dataclasses.asdict(r) for r in found], indent=1) + "\n")
    show(found)
    print(f"written to {out}")


if __name__ == "__main__":
    main()

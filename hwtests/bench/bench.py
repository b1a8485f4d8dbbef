"""``make bench``: what a frame costs in a stock kernel, each client in its own process.

Boots a kernel with ``-icount`` and one processor, runs ``guest.py`` in it and reads what the plugin counted.
Writes to ``build/bench``: ``report.json`` (a list of ``{"client", "memory", "size", "user", "kernel",
"ratio", "copies", "cpu_ns"}``), ``missing.json`` (clients that could not be measured, and why), ``chart.png``
with its text for README.md, ``alt.txt``, and ``streams.png``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import charts
import click
import native
from rich.console import Console
from rich.table import Table

from vb2user.errors import Vb2Error
from vb2user.harness.drivers import vivid
from vb2user.harness.drivers.registry import Wanted
from vb2user.harness.kernels import cache as kernels
from vb2user.harness.vm import machine as vm

SIZES = ("640x360", "1920x1080", "3840x2160")
ALL = ",".join(native.MEMORIES)
#: The clients, and the memory types of each: those of ours take them one after the other in one process.
CLIENTS: tuple[tuple[str, str], ...] = (
    *(("c-poll", memory) for memory in native.MEMORIES),
    ("c-sync", "dmabuf"),
    ("c-block", "mmap"),
    ("c-copy", "mmap"),
    ("v4l2-ctl", "mmap"),
    ("python-block", ALL),
    ("python-poll", ALL),
    ("python-sync", "dmabuf"),
    ("vb2user", ALL),
    ("vb2user-timeout", ALL),
    ("vb2user-copy", ALL),
    ("asyncio-reader", ALL),
    ("asyncio-await", ALL),
    ("vb2user-async", ALL),
    ("vb2user-streams", "mmap"),
    ("linuxpy", "mmap"),
    ("qamlib", "mmap"),
    ("opencv", "mmap"),
    ("opencv-bgr", "mmap"),
    ("pyav", "mmap"),
)
#: So many streams at once, each of its own device, a frame of each in turn; at the smallest size only.
MANY = "vb2user-streams"
STREAMS = (1, 2, 4, 8, 16)
#: The library puts its figures together every 256 frames: once in what is counted.
WARM, COUNTED = 60, 256
PIXEL = 2  # bytes, of YUYV


@dataclasses.dataclass
class Row:
    """What one client costs per frame.

    Attributes:
        user: instructions in user mode, further threads of the client included.
        kernel: those of the threads that dequeue, in the kernel.
        ratio: both together to those of ``c-poll`` with MMAP at the same size.
        copies: of the picture's bytes, in user mode: how the cost grows with the size, in units of memcpy's;
            None where only one size was measured.
        cpu_ns: CPU time: on this machine an instruction takes a nanosecond.
    """

    client: str
    memory: str
    size: str
    user: float
    kernel: float
    ratio: float | None = None
    copies: float | None = None
    cpu_ns: float = 0.0


def rows_of(runs: Sequence[dict[str, Any]], lines: Sequence[Any]) -> tuple[list[Row], dict[str, str]]:
    """Put what the guest ran and what the plugin counted together; and why a client is missing."""
    processes: list[list[dict[str, list[int]]]] = []
    for line in lines:
        if line == "process":
            processes.append([])
        elif processes and len(line["user"]) >= WARM + COUNTED - 1:
            processes[-1].append(line)  # what is shorter is a stream that was only tried
    if len(processes) < len(runs):
        raise Vb2Error(f"the plugin saw {len(processes)} processes, and {len(runs)} were run")
    found, missing = [], {}
    for run, streams in zip(runs, processes, strict=False):
        memories = run["memories"].split(",")
        name = f"{MANY}-{run['streams']}" if run["client"] == MANY else run["client"]
        if run["failed"] or len(streams) != len(memories):
            missing[f"{name} {run['size']}"] = run["failed"] or f"{len(streams)} streams were seen"
            continue
        for memory, stream in zip(memories, streams, strict=True):
            mean = {name: sum(counts[-COUNTED:]) / COUNTED for name, counts in stream.items()}
            user = mean["user"] + mean["others"]
            found.append(Row(name, memory, run["size"], user, mean["kernel"]))
    return found, missing


def compare(found: list[Row]) -> None:
    """Ratios to the C program, and copies."""
    by = {(r.client, r.memory, r.size): r for r in found}
    smallest, largest = SIZES[0], SIZES[-1]

    def slope(client: str, memory: str) -> float | None:
        small, large = by.get((client, memory, smallest)), by.get((client, memory, largest))
        if small is None or large is None:
            return None
        return (large.user - small.user) / (_bytes(largest) - _bytes(smallest))

    copy = slope("c-copy", "mmap")
    for row in found:
        floor = by.get(("c-poll", "mmap", row.size))
        row.user, row.kernel = round(row.user, 1), round(row.kernel, 1)
        row.cpu_ns = round(row.user + row.kernel, 1)
        row.ratio = None if floor is None else round(row.cpu_ns / (floor.user + floor.kernel), 3)
        own = slope(row.client, row.memory)
        row.copies = None if own is None or not copy else round(own / copy, 2)


def _bytes(size: str) -> int:
    width, height = map(int, size.split("x"))
    return PIXEL * width * height


def jobs(clients: Sequence[tuple[str, str]], sizes: Sequence[str]) -> list[dict[str, Any]]:
    """What the guest is to run, in its order."""
    frames = WARM + COUNTED + 1
    made: list[dict[str, Any]] = []
    for size in sizes:
        for client, memories in clients:
            job = {"client": client, "size": size, "memories": memories, "frames": frames, "streams": 1}
            if client != MANY:
                made.append(job)
            elif size == sizes[0]:  # each stream warms up by itself
                made += [job | {"streams": n, "frames": n * WARM + COUNTED + 1} for n in STREAMS]
    return made


def measure(
    kernel: str, clients: Sequence[tuple[str, str]], sizes: Sequence[str], timeout: float
) -> list[Any]:
    """Boot, run, and return what the guest ran, and the plugin's lines."""
    results = native.BUILD / "vm"
    results.mkdir(parents=True, exist_ok=True)
    wanted = jobs(clients, sizes)
    (results / "jobs.json").write_text(json.dumps(wanted))
    devices = max(job["streams"] for job in wanted)
    counts = native.BUILD / "counts.json"
    os.environ["VB2USER_BENCH"] = str(native.BUILD)
    os.environ["PYTHONPATH"] = str(native.ROOT)
    config = vivid.Config((vivid.InstanceConfig(("video-cap",)),) * devices)
    options = vm.Options(
        cpus=1,
        boot_timeout=min(600.0, timeout),
        timeout=timeout,
        results=results,
        env=("PYTHONPATH",),
        drivers=(Wanted("vivid", config.to_json()),),
        # An instruction is a nanosecond, and an idle machine's clock jumps to its next timer.
        qemu=(
            *("-cpu", "max,-erms"),
            *("-icount", "shift=0,sleep=off"),
            *("-plugin", f"{native.BUILD / 'count.so'},out={counts}"),
        ),
    )
    status = vm.run(kernels.get(kernel, say=print), [sys.executable, str(native.HERE / "guest.py")], options)
    if status:
        raise Vb2Error(f"the guest's part of the benchmark ended with {status}")
    return [
        json.loads((results / "runs.json").read_text()),
        list(map(json.loads, counts.read_text().splitlines())),
    ]


def show(found: Sequence[Row]) -> None:
    """A table for each size."""
    for size in dict.fromkeys(r.size for r in found):
        table = Table(title=f"instructions per frame, {size}")
        for name in ("client", "memory", "user", "kernel", "ratio", "copies"):
            table.add_column(name, justify="left" if name in ("client", "memory") else "right")
        for r in (r for r in found if r.size == size):
            copies = "" if r.copies is None else f"{r.copies:.2f}"
            ratio = "" if r.ratio is None else f"{r.ratio:.2f}"
            table.add_row(r.client, r.memory, f"{r.user:,.0f}", f"{r.kernel:,.0f}", ratio, copies)
        Console(width=100).print(table)


def chart(found: Sequence[Row], path: Path, size: str) -> None:
    """A bar for each client, and for each memory type of ours."""
    rows = [r for r in found if r.size == size and not r.client.startswith(MANY)]
    rows = [r for r in rows if r.memory == "mmap" or r.client == "vb2user"]
    named = [(r.client if r.memory == "mmap" else f"{r.client} {r.memory}", r.user, r.kernel) for r in rows]
    charts.bars(named, path, f"instructions per frame, {size.replace('x', ' x ')} YUYV")


def alt(found: Sequence[Row], size: str) -> str | None:
    """Return the text that README.md has in place of the chart; None without one of its numbers."""
    rows = {r.client: r for r in found if r.size == size and r.memory == "mmap"}
    if not {"c-poll", "vb2user", "linuxpy", "opencv"} <= rows.keys():
        return None
    both = {name: f"{rows[name].user:,.0f} and {rows[name].kernel:,.0f}" for name in ("c-poll", "vb2user")}
    return (
        f"Instructions per frame: C with poll {both['c-poll']} in the kernel, vb2user {both['vb2user']}, "
        f"linuxpy {rows['linuxpy'].user:,.0f}, OpenCV {rows['opencv'].user:,.0f}"
    )


@click.command()
@click.option("--kernel", default="6.12", show_default=True)
@click.option("--size", "sizes", multiple=True, type=click.Choice(SIZES), help="Only these.")
@click.option(
    "--client", "names", multiple=True, type=click.Choice(sorted({c for c, _ in CLIENTS})), help="Only these."
)
@click.option("--timeout", default=7200.0, show_default=True, help="Seconds for the machine.")
def main(kernel: str, sizes: tuple[str, ...], names: tuple[str, ...], timeout: float) -> None:
    """Measure every client in a stock kernel."""
    missing = native.lacks()
    if missing is not None:
        raise SystemExit(f"{missing}")
    native.build()
    clients = [(c, m) for c, m in CLIENTS if not names or c in names]
    runs, lines = measure(kernel, clients, sizes or SIZES, timeout)
    found, absent = rows_of(runs, lines)
    compare(found)
    out = native.BUILD
    (out / "report.json").write_text(json.dumps([dataclasses.asdict(r) for r in found], indent=1) + "\n")
    (out / "missing.json").write_text(json.dumps(absent, indent=1) + "\n")
    show(found)
    for name, why in absent.items():
        print(f"not measured: {name}: {why}")
    streams = {r.client.removeprefix(f"{MANY}-"): r for r in found if r.client.startswith(MANY)}
    if streams:
        both = {
            "user": {n: r.user for n, r in streams.items()},
            "kernel": {n: r.kernel for n, r in streams.items()},
        }
        charts.lines(both, out / "streams.png", "streams at once", "instructions per frame")
    size = "1920x1080" if "1920x1080" in (sizes or SIZES) else sizes[0]
    chart(found, out / "chart.png", size)
    (out / "alt.txt").write_text(f"{alt(found, size) or ''}\n")
    print(
        f"written to {out}: report.json, missing.json, chart.png, and alt.txt, the chart's text in README.md"
    )


if __name__ == "__main__":
    main()

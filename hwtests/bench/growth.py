"""How the cost of a frame grows with the size, with the buffers, with the streams and with the planes.

``python hwtests/bench/growth.py`` counts user instructions over the shim (see ``native.py``) and writes
``growth.json`` and a plot for each, ``growth-size.png`` and so on, to ``build/bench``. The client is a stream
whose frames' arrays are looked at; with several streams each gives a frame in turn.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import charts
import click
import native

#: What is varied: the values, and those of everything else.
AXES: dict[str, tuple[str, ...]] = {
    "size": ("640x360", "1280x720", "1920x1080", "3840x2160"),
    "buffers": ("1", "2", "4", "8", "16", "32", "64"),
    "streams": ("1", "2", "4", "8", "16"),
    "planes": ("1", "2", "3"),
}
NORMAL = {"size": "640x360", "buffers": "4", "streams": "1", "planes": "1"}
LABELS = {"size": "frame size", "buffers": "buffers", "streams": "streams at once", "planes": "memory planes"}

Counted = dict[str, dict[str, dict[str, float]]]


def client(memory: str, buffers: str, streams: str, frames: str) -> None:
    """The process that is measured: so many frames, of one stream after the other in turn."""
    import contextlib
    import gc

    import vb2user

    with contextlib.ExitStack() as all_of_them:
        cameras = [all_of_them.enter_context(vb2user.open(native.NODE)) for _ in range(int(streams))]
        # Entered last to first: a stream that stops ends what is counted.
        running = [
            all_of_them.enter_context(
                cam.stream(memory=memory, buffers=int(buffers), max_buffers=int(buffers))
            )
            for cam in cameras
        ]
        gc.collect()
        gc.freeze()
        loops = [iter(stream) for stream in running]
        planes = multiplanar()  # once: to look into the environment takes longer than a frame
        for _ in range(-(-int(frames) // len(loops))):
            for loop in loops:
                next(loop).planes if planes else next(loop).array


def multiplanar() -> bool:
    """Whether this process's shim is."""
    return "VB2USER_SHIM_PLANES" in os.environ


def count(axis: str, value: str, memory: str) -> float:
    """User instructions per frame, with one thing varied."""
    chosen = NORMAL | {axis: value}
    shim = {"VB2USER_SHIM_SIZE": chosen["size"]}
    if chosen["planes"] != "1":
        shim["VB2USER_SHIM_PLANES"] = chosen["planes"]
    wanted = native.WARM + native.COUNTED
    # Each stream warms up by itself.
    wanted += native.WARM * (int(chosen["streams"]) - 1)
    arguments = [memory, chosen["buffers"], chosen["streams"], str(wanted + 1)]
    lines = native.counts([sys.executable, __file__, *arguments], shim)
    frames = lines[-1]["user"][-native.COUNTED :]
    return float(sum(frames) / len(frames))


def measure(axes: Iterable[str]) -> Counted:
    """Everything along these axes."""
    jobs = [(axis, value, memory) for axis in axes for value in AXES[axis] for memory in native.MEMORIES]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda job: count(*job), jobs))
    result: Counted = {}
    for (axis, value, memory), user in zip(jobs, found, strict=True):
        result.setdefault(axis, {}).setdefault(memory, {})[value] = round(user, 1)
    return result


@click.command()
@click.option("--axis", "axes", multiple=True, type=click.Choice(list(AXES)), help="Only these.")
def main(axes: tuple[str, ...]) -> None:
    """Measure how the cost of a frame grows."""
    missing = native.lacks()
    if missing is not None:
        raise SystemExit(f"{missing}")
    native.build()
    found = measure(axes or AXES)
    (native.BUILD / "growth.json").write_text(json.dumps(found, indent=1) + "\n")
    for axis, lines in found.items():
        charts.lines(lines, native.BUILD / f"growth-{axis}.png", LABELS[axis], "user instructions per frame")
        for memory, values in lines.items():
            first = next(iter(values.values()))
            said = ", ".join(f"{value}: {user:,.0f} ({user / first:.2f})" for value, user in values.items())
            print(f"{axis} {memory}: {said}")
    print(f"written to {native.BUILD}: growth.json, {', '.join(f'growth-{axis}.png' for axis in found)}")


if __name__ == "__main__":
    if len(sys.argv) == 5 and not sys.argv[1].startswith("-"):
        client(*sys.argv[1:])
    else:
        main()

"""What runs in the virtual machine: every client, one after the other, at every size.

Started by ``bench.py``. Writes ``runs.json`` into the results folder: the jobs of ``jobs.json``, each with
``failed`` (why, or nothing), in the order of their processes, which the plugin's lines on the host's side
have, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import vb2user
from vb2user.uapi.calls import selection, signal
from vb2user.uapi.calls.selection import Rect
from vb2user.uapi.enums import SelectionTarget

HERE = Path(__file__).resolve().parent
HDMI = 3
BUFFERS = "4"


def prepare(path: str, width: int, height: int) -> None:
    """HDMI, 60 frames per second, and a producer that has little to do: it fills a corner of each frame."""
    with vb2user.open(path) as cam:
        cam.set_input(HDMI)
        node = cam.node
        timings = next(
            t
            for t in signal.enum_dv_timings(node)
            if (t.width, t.height) == (1280, 720) and not t.interlaced and round(t.fps) == 60
        )
        signal.s_dv_timings(node, timings)
        granted = cam.set_format("YUYV", width, height)
        if (granted.width, granted.height) != (width, height):
            raise SystemExit(f"vivid granted {granted}")
        corner = Rect(0, 0, 160, 90)
        selection.s_selection(node, cam.type, SelectionTarget.COMPOSE, corner)


def command(job: dict[str, Any], nodes: list[str]) -> list[str]:
    """How a client is run."""
    client, memories, frames = job["client"], job["memories"], str(job["frames"])
    build = os.environ["VB2USER_BENCH"]
    if client.startswith("c-"):
        return [f"{build}/minimal", client.removeprefix("c-"), nodes[0], memories, frames, BUFFERS]
    if client == "v4l2-ctl":
        return ["v4l2-ctl", "-d", nodes[0], f"--stream-mmap={BUFFERS}", f"--stream-count={frames}"]
    own = [sys.executable, str(HERE / "client.py"), client, ",".join(nodes)]
    if client.startswith(("vb2user", "python", "asyncio")):
        return [*own, memories, frames, BUFFERS]
    return [*own, job["size"], frames]


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One client in its process."""
    nodes = [node.path for node in vb2user.find(driver="vivid")][: job["streams"]]
    width, height = map(int, job["size"].split("x"))
    for node in nodes:
        prepare(node, width, height)
    env = {**os.environ, "LD_PRELOAD": f"{os.environ['VB2USER_BENCH']}/marks.so", "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(command(job, nodes), env=env, capture_output=True, text=True, timeout=900)
        failed = "" if not done.returncode else (done.stderr.strip() or f"ended with {done.returncode}")
    except (OSError, subprocess.TimeoutExpired) as error:
        failed = str(error)
    return job | {"failed": failed.splitlines()[-1] if failed else ""}


def main() -> None:
    """Run what ``jobs.json`` of the results folder says."""
    results = Path(os.environ["VB2USER_RESULTS"])
    done: list[dict[str, Any]] = []
    for job in json.loads((results / "jobs.json").read_text()):
        done.append(run(job))
        (results / "runs.json").write_text(json.dumps(done))
        many = f" x {job['streams']}" if job["streams"] > 1 else ""
        print(f"{job['size']} {job['client']}{many}: {done[-1]['failed'] or 'done'}", flush=True)


if __name__ == "__main__":
    main()

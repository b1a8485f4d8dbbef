"""What runs in the virtual machine: every client, one after the other, at every size, and what became of each.

Started by ``bench.py``. Writes ``runs.json`` into the results folder: a list of ``{"client", "size", "memories",
"failed"}`` in the order of their processes, which the plugin's lines on the host's side have, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import vb2user
from vb2user.uapi.calls import selection, signal
from vb2user.uapi.calls.selection import Rect
from vb2user.uapi.enums import SelectionTarget

HERE = Path(__file__).resolve().parent
NODE = "/dev/video0"
HDMI = 3
BUFFERS = "4"


def prepare(width: int, height: int) -> None:
    """HDMI with 60 frames per second, and a producer that has little to do: it fills a corner of each frame."""
    with vb2user.open(NODE) as cam:
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


def command(client: str, size: str, memories: str, frames: int) -> list[str]:
    """How a client is run."""
    build = os.environ["VB2USER_BENCH"]
    if client.startswith("c-"):
        return [f"{build}/minimal", client.removeprefix("c-"), NODE, memories, str(frames), BUFFERS]
    if client == "v4l2-ctl":
        return ["v4l2-ctl", "-d", NODE, f"--stream-mmap={BUFFERS}", f"--stream-count={frames}"]
    own = [sys.executable, str(HERE / "client.py"), client, NODE]
    if client.startswith(("vb2user", "python", "asyncio")):
        return [*own, memories, str(frames), BUFFERS]
    return [*own, size, str(frames)]


def run(client: str, size: str, memories: str, frames: int) -> dict[str, object]:
    """One client in its process."""
    prepare(*map(int, size.split("x")))
    env = {**os.environ, "LD_PRELOAD": f"{os.environ['VB2USER_BENCH']}/marks.so", "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            command(client, size, memories, frames), env=env, capture_output=True, text=True, timeout=900
        )
        failed = "" if not done.returncode else (done.stderr.strip() or f"ended with {done.returncode}")
    except (OSError, subprocess.TimeoutExpired) as error:
        failed = str(error)
    last = failed.splitlines()[-1] if failed else ""
    return {"client": client, "size": size, "memories": memories, "failed": last}


def main() -> None:
    """Run what ``jobs.json`` of the results folder says."""
    results = Path(os.environ["VB2USER_RESULTS"])
    done: list[dict[str, object]] = []
    for job in json.loads((results / "jobs.json").read_text()):
        done.append(run(job["client"], job["size"], job["memories"], job["frames"]))
        (results / "runs.json").write_text(json.dumps(done))
        print(f"{job['size']} {job['client']}: {done[-1]['failed'] or 'done'}", flush=True)


if __name__ == "__main__":
    main()

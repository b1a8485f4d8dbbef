"""The Python examples of README.md, of some files in docs/, and those in examples/, on a real device."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import missing_source
from forked import python_script

import vb2user
from vb2user.harness.pytest_plugin import VividDevice

pytestmark = pytest.mark.one_kernel

ROOT = Path(__file__).parents[1]
EXAMPLES = [
    pytest.param(code, id=f"{name} {number}")
    for name in (
        "README.md",
        "docs/quickstart.md",
        "docs/recipes.md",
        "docs/using.md",
        "docs/controls.md",
        "docs/pictures.md",
        "docs/preview.md",
    )
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL))
]


#: What the scripts want beside the device, and what they say if they did what they are for.
SCRIPTS = {
    "to_numpy.py": ([], r"\(8, 180, 320, 2\) uint8: it changed by"),
    "async_watch.py": ([], r"the other task had [1-9]\d* turns"),
    "two_cameras.py": (["SECOND"], r"(\[\d+, \d+\] \d+\.\d\d ms apart\n){5}without counterpart"),
    "dmabuf_to_ffmpeg.py": (["clip.mkv"], r"10 frames in clip\.mkv"),
    "time_lapse.py": (["0.1", "3", "lapse"], r"lapse/00002\.npy: frame \d+, taken at"),
    "opencv_zero_copy.py": ([], r"(frame \d+: \d+ edge pixels, mean [1-9][\d.]+\n){5}"),
}


@pytest.fixture
def first(vivid_vmalloc: VividDevice) -> str:
    """The node that examples call by name, as a webcam at 30 frames per second."""
    assert (vivid_vmalloc.capture, vivid_vmalloc.output) == ("/dev/video0", "/dev/video1")
    with vb2user.open(vivid_vmalloc.capture) as cam:
        cam.set_input(0)
        cam.set_fps(30)
    return vivid_vmalloc.capture


@pytest.mark.whole
@pytest.mark.parametrize("code", EXAMPLES)
def test_example(code: str, first: str, tmp_path: Path) -> None:
    script = tmp_path / "test_example.py"
    script.write_text(code)
    if "def test_" in code:
        options = ["-q", "-p", "no:cacheprovider", "--confcutdir", str(tmp_path), "--rootdir", str(tmp_path)]
        command = [sys.executable, "-m", "pytest", *options, str(script)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    else:
        done = python_script(script, cwd=tmp_path)
    if 'heap="system"' in code and missing_source("system"):
        assert "there is no dma-heap 'system'" in done.stderr
    else:
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_script_is_run() -> None:
    assert {p.name for p in (ROOT / "examples").glob("*.py")} == SCRIPTS.keys()


@pytest.mark.whole
@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str, first: str, vivid_dma_contig: VividDevice, tmp_path: Path) -> None:
    with vb2user.open(vivid_dma_contig.capture) as cam:
        cam.set_input(0)
    arguments, says = SCRIPTS[name]
    arguments = [vivid_dma_contig.capture if a == "SECOND" else a for a in arguments]
    done = python_script(ROOT / "examples" / name, first, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(says, done.stdout), done.stdout
    if name == "dmabuf_to_ffmpeg.py":
        dmabuf = "no DMABUF from the system heap" not in done.stdout
        assert dmabuf is not missing_source("system"), done.stdout
        probe = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames,width"]
        shown = subprocess.check_output([*probe, "-of", "csv=p=0", str(tmp_path / "clip.mkv")], text=True)
        assert shown.strip() == "320,10"


@pytest.mark.long
def test_a_drivers_ci(first: str, vb2probe: object) -> None:
    tests = ROOT / "examples" / "driver_ci"
    options = ["-q", "-p", "no:cacheprovider", "--confcutdir", str(tests), "--rootdir", str(tests)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tests)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "VB2USER_HW": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b6 passed", done.stdout), done.stdout

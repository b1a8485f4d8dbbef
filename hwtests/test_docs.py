"""The Python examples of README.md and of some files in docs/, as they stand there, on a real device."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import missing_source

import vb2user
from vb2user.harness.pytest_plugin import VividDevice

pytestmark = pytest.mark.one_kernel

ROOT = Path(__file__).parents[1]
EXAMPLES = [
    pytest.param(code, id=f"{name} {number}")
    for name in ("README.md", "docs/using.md", "docs/controls.md", "docs/pictures.md")
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL))
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_example(code: str, vivid_vmalloc: VividDevice, tmp_path: Path) -> None:
    # The nodes that the examples call by name are these.
    assert (vivid_vmalloc.capture, vivid_vmalloc.output) == ("/dev/video0", "/dev/video1")
    with vb2user.open(vivid_vmalloc.capture) as cam:
        cam.set_input(0)
        cam.set_fps(30)
    script = tmp_path / "test_example.py"
    script.write_text(code)
    if "def test_" in code:
        options = ["-q", "-p", "no:cacheprovider", "--confcutdir", str(tmp_path), "--rootdir", str(tmp_path)]
        command = [sys.executable, "-m", "pytest", *options, str(script)]
    else:
        command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if 'heap="system"' in code and missing_source("system"):
        assert "there is no dma-heap 'system'" in done.stderr
    else:
        assert done.returncode == 0, done.stdout + done.stderr

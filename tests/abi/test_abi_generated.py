"""The generated modules are what the generator writes, and importing them is cheap and quiet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GENERATOR = Path(__file__).resolve().parent / "generate.py"

LAZY = ("video_enums", "media_enums", "control_ids", "formats", "pixelformat", "media", "subdev", "dmabuf")


def python(code: str, *options: str, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path} if path else None
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=False, env=environment
    )


def test_generated_is_current() -> None:
    if os.environ.get("VB2USER_CI") != "1":
        pytest.importorskip("clang", reason="libclang is in the extra dev")
    done = subprocess.run([sys.executable, GENERATOR, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_is_quiet_under_warnings_as_errors() -> None:
    done = python("import vb2user.uapi.videodev2, vb2user.uapi.subdev, vb2user.uapi.media", "-W", "error")
    assert done.returncode == 0, done.stderr


def test_a_capture_loads_no_rare_names() -> None:
    done = python(
        f"import sys; sys.path.insert(0, {str(GENERATOR.parent)!r})\n"
        "import pyside; pyside.only_uapi()\n"
        "import vb2user.uapi.videodev2, vb2user.uapi.enums, vb2user.uapi.fourcc\n"
        "print(*(name.rpartition('.')[2] for name in sys.modules if '_generated.' in name))"
    )
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.split()) & set(LAZY)


@pytest.mark.parametrize("module", ["", "import ctypes\nclass v4l2_plane(ctypes.Structure):\n    pass\n"])
def test_another_distributions_v4l2_is_refused(tmp_path: Path, module: str) -> None:
    (tmp_path / "v4l2.py").write_text(module)
    done = python("import vb2user.uapi.videodev2", path=str(tmp_path))
    assert "is not v4l2-python3's module" in done.stderr
    assert "reinstall v4l2-python3" in done.stderr

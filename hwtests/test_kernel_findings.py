"""What the kernel itself gets wrong: a script in ``findings/`` shows each fault on a device.

A script ends with 0 where the fault shows, and with 1 where it does not. So a fix in a kernel shows here.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import missing_source
from forked import python_script

import vb2user
from vb2user.harness.drivers.vivid import Config, InstanceConfig
from vb2user.harness.pytest_plugin import VividDevice, VividFactory

FINDINGS = Path(__file__).parent / "findings"
#: The device of each script, and the kernels that have the fault.
SHOWN: Mapping[str, tuple[InstanceConfig, str, tuple[str, ...]]] = {
    "two_planes_leak.py": (
        InstanceConfig(("video-cap",), "dma-contig", multiplanar=True),
        "video-cap",
        ("6.12",),
    ),
    "short_dmabuf_leak.py": (InstanceConfig(("video-cap",)), "video-cap", ("6.12",)),
    "expbuf_unanswered.py": (InstanceConfig(("video-cap",)), "video-cap", ("6.1", "6.12")),
    "output_length_lost.py": (InstanceConfig(("video-cap", "video-out")), "video-out", ("6.12",)),
    "write_refused.py": (InstanceConfig(("video-cap", "video-out")), "video-out", ("6.1", "6.12")),
    "hsv_hue.py": (InstanceConfig(("video-cap",)), "video-cap", ("6.1", "6.12")),
    "parm_not_set.py": (InstanceConfig(("video-out",)), "video-out", ("6.1", "6.12")),
    "freq_seek.py": (InstanceConfig(("radio-rx",)), "radio-rx", ("6.1", "6.12")),
}


@pytest.mark.whole
@pytest.mark.parametrize("script", SHOWN)
def test_a_finding(script: str, vivid_factory: VividFactory, tmp_path: Path) -> None:
    config, role, kernels = SHOWN[script]
    (instance,) = vivid_factory(Config((config,)))
    done = python_script(FINDINGS / script, instance.nodes[role], cwd=tmp_path)
    if script.endswith(("_leak.py", "_lost.py")) and missing_source("udmabuf"):  # 6.1, as Debian builds it
        assert "MissingPrerequisiteError" in done.stderr
        return
    release = ".".join(os.uname().release.split(".")[:2])
    assert done.returncode == (0 if release in kernels else 1), done.stdout + done.stderr


def test_write_does_what_write_does(
    vivid_vmalloc: VividDevice, record_property: Callable[[str, object], None]
) -> None:
    """write(2) on vivid's output: EINVAL for every whole frame on 6.1, 6.12 and 7.3, by dd and by us alike.

    (Half a frame is taken; it is the hand-over of the full buffer that fails: videobuf2's file I/O loses
    the payload's size on the way to vivid's check of it.) Where plain write(2) works, ours has to.
    """
    with vb2user.open(vivid_vmalloc.output) as out:
        size = out.get_format().sizeimage
        plain: int | None = None
        fd = os.open(out.path, os.O_RDWR | os.O_CLOEXEC)
        with contextlib.closing(os.fdopen(fd, "wb", buffering=0)) as raw:
            with contextlib.suppress(OSError):
                plain = raw.write(bytes(size))
        record_property("plain write(2)", plain)
        with out.output(memory="write", timeout=20) as sink:
            if plain == size:
                for _ in range(5):
                    sink.write(bytes(size))
                assert sink.frames == 5
            else:
                with pytest.raises(vb2user.KernelError) as caught:
                    sink.write(bytes(size))
                assert caught.value.errno == errno.EINVAL

"""Which of a guest's mounts are laid anew; the mounting itself is seen by every guest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vb2user.harness.vm import agent_rootfs

#: As a guest has it: /usr was overlaid after /usr/lib, which it hides.
MOUNTS = r"""
25 1 0:24 / / ro,relatime - 9p /dev/root ro,access=any,trans=virtio
35 25 0:27 / /etc rw,relatime - overlay o0 rw,lowerdir=/etc,upperdir=/run/tmp/o0/upper,workdir=/w
38 25 0:30 / /usr/lib rw,relatime - overlay o1 rw,lowerdir=/lib,upperdir=/run/tmp/o1/upper,workdir=/w
50 25 0:42 / /usr rw,relatime shared:3 - overlay o5 rw,lowerdir=/usr,upperdir=/run/tmp/o5/upper,workdir=/w
59 25 0:51 / /wo\040rk rw,relatime - overlay o8 rw,lowerdir=/wo\040rk,upperdir=/run/tmp/o8/upper,workdir=/w
70 50 0:64 / /usr/lib/modules rw,relatime - tmpfs none rw,inode64
71 59 0:65 / /wo\040rk/results rw,relatime - 9p results rw,access=any
""".strip()


def test_overlays_and_what_lies_in_them() -> None:
    found = {
        m.where: [i.where for i in inner] for m, inner in agent_rootfs.overlays(agent_rootfs.parse(MOUNTS))
    }
    assert found == {"/usr": ["/usr/lib/modules"], "/wo rk": ["/wo rk/results"]}


def test_what_was_mounted_within_comes_back_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []

    def mount(*arguments: str) -> None:
        calls.append(arguments)
        if "overlay" in arguments:
            raise subprocess.CalledProcessError(32, "mount", stderr=b"mount: no")

    inner, upper = tmp_path / "inner", tmp_path / "upper"
    inner.mkdir()
    upper.mkdir()
    (upper / "link").symlink_to("nowhere")
    overlay = agent_rootfs.Mount(5, 1, "/usr", "overlay", str(upper))
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        f"1 0 0:1 / / ro - 9p root ro\n5 1 0:2 / /usr rw - overlay o rw,upperdir={upper},workdir=/w\n"
        f"6 5 0:3 / {inner} rw - tmpfs none rw\n"
    )
    monkeypatch.setattr(agent_rootfs, "_HOME", tmp_path / "home")
    monkeypatch.setattr(agent_rootfs, "_mount", mount)
    with pytest.raises(subprocess.CalledProcessError):
        agent_rootfs.cache(mountinfo)
    there, back = calls[1], calls[-1]
    assert there[:2] == ("--move", str(inner))
    assert back == ("--move", there[2], str(inner))
    assert (tmp_path / "home/overlay0/upper/link").is_symlink()
    assert overlay in agent_rootfs.parse(mountinfo.read_text())

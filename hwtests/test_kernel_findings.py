"""What the kernel itself gets wrong, pinned down: found while testing, and not to be mistaken for ours."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable

import pytest
from conftest import Resources, Scattered, missing_source, still

import vb2user
from vb2user.harness.pytest_plugin import VividDevice


def test_refused_import_of_two_planes_may_leak_one_dma_buf(
    vivid_dma_contig: VividDevice, record_property: Callable[[str, object], None]
) -> None:
    """QBUF of a two-plane buffer whose memory dma-contig cannot map: EFAULT, as it should be.

    On 6.12 and 7.3 (not on 6.1) one of the two dma-bufs then never dies: videobuf2 took a reference for
    each plane before it mapped the first, and on this way out it forgets one. Our fds and mappings are
    all gone.
    """
    before = Resources.now()
    with vb2user.open(vivid_dma_contig.mplane.capture) as cam:
        still(cam, "NM12")
        stream = cam.stream(memory="dmabuf", heap=Scattered())
        if missing_source("udmabuf"):
            with pytest.raises(vb2user.MissingPrerequisiteError):
                stream.start()
        else:
            with pytest.raises(vb2user.KernelError) as caught:
                stream.start()
            assert caught.value.errno == errno.EFAULT
            del caught
        del stream
    after = Resources.now()
    assert (after.fds, after.maps) == (before.fds, before.maps)
    leaked = after.dma_bufs - before.dma_bufs
    record_property("leaked dma-bufs", leaked)
    assert leaked in (0, 1)


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

"""Part of the table of :mod:`vb2_answers`: requests that hand over, import, export and map buffers."""

from __future__ import annotations

import os

from vb2_case import CAPTURE, NONE, VMALLOC, WRONG_TYPE, answer, with_planes
from vb2_requests import OK, SMALL, Rig

from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import Memory

# -- QBUF and PREPARE_BUF -----------------------------------------------------------------------------


@answer(OK)
def qbuf_of_a_prepared_one(rig: Rig) -> str:
    rig.ready()
    assert rig.prepare() == OK
    return rig.qbuf()


@answer("EINVAL")
def qbuf_of_a_queued_one(rig: Rig) -> str:
    rig.ready(queued=1)
    return rig.qbuf()


@answer("EINVAL")
def qbuf_of_a_finished_one(rig: Rig) -> str:
    rig.ready(queued=2, streaming=True)
    rig.finished()
    return rig.qbuf()


@answer("EINVAL")
def qbuf_where_there_are_none(rig: Rig) -> str:
    return rig.qbuf()


@answer("EINVAL")
def qbuf_beyond(rig: Rig) -> str:
    rig.ready()
    return rig.qbuf(NONE)


@answer("EINVAL")
def qbuf_of_another_memory(rig: Rig) -> str:
    rig.ready()
    return rig.ask(v.VIDIOC_QBUF, rig.buffer(memory=Memory.DMABUF).raw)


@answer("EINVAL")
def qbuf_of_a_wrong_type(rig: Rig) -> str:
    rig.ready()
    arg = rig.buffer()
    arg.raw.type = WRONG_TYPE
    return rig.ask(v.VIDIOC_QBUF, arg.raw)


@answer("EBUSY")
def qbuf_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().qbuf()


@answer("EBUSY")
def qbuf_beyond_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().qbuf(NONE)


@answer("EINVAL", ("mplane",))
def qbuf_with_too_few_planes(rig: Rig) -> str:
    rig.ready()
    return with_planes(rig, v.VIDIOC_QBUF, 1)


@answer("EFAULT", ("mplane",))
def qbuf_without_an_array_of_planes(rig: Rig) -> str:
    rig.ready()
    return with_planes(rig, v.VIDIOC_QBUF, 2, array=False)


@answer("EINVAL", ("output",))
def qbuf_of_more_bytes_than_there_are(rig: Rig) -> str:
    rig.ready()
    arg = rig.buffer()
    arg.set_payload(0, rig.format.planes[0].sizeimage * 2)
    return rig.ask(v.VIDIOC_QBUF, arg.raw)


@answer("EINVAL")
def prepare_of_a_prepared_one(rig: Rig) -> str:
    rig.ready()
    assert rig.prepare() == OK
    return rig.prepare()


@answer("EINVAL")
def prepare_of_a_queued_one(rig: Rig) -> str:
    rig.ready(queued=1)
    return rig.prepare()


@answer("EINVAL")
def prepare_beyond(rig: Rig) -> str:
    rig.ready()
    return rig.prepare(NONE)


@answer("EINVAL")
def prepare_where_there_are_none(rig: Rig) -> str:
    return rig.prepare()


@answer("EBUSY")
def prepare_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().prepare()


# -- user memory and dma-bufs -------------------------------------------------------------------------


@answer(OK, VMALLOC)
def qbuf_of_user_memory(rig: Rig) -> str:
    assert rig.reqbufs(memory=Memory.USERPTR) == OK
    return rig.ask(v.VIDIOC_QBUF, rig.userptr().raw)


@answer("EINVAL", VMALLOC)
def qbuf_of_user_memory_that_is_too_short(rig: Rig) -> str:
    assert rig.reqbufs(memory=Memory.USERPTR) == OK
    return rig.ask(v.VIDIOC_QBUF, rig.userptr(short=1).raw)


@answer("EFAULT", VMALLOC)
def qbuf_of_user_memory_that_is_not_mapped(rig: Rig) -> str:
    assert rig.reqbufs(memory=Memory.USERPTR) == OK
    return rig.ask(v.VIDIOC_QBUF, rig.userptr(mapped=False).raw)


@answer("EFAULT", VMALLOC)
def prepare_of_user_memory_that_is_not_mapped(rig: Rig) -> str:
    assert rig.reqbufs(memory=Memory.USERPTR) == OK
    return rig.ask(v.VIDIOC_PREPARE_BUF, rig.userptr(mapped=False).raw)


@answer(OK, VMALLOC)
def qbuf_of_user_memory_after_it_was_refused(rig: Rig) -> str:
    assert qbuf_of_user_memory_that_is_not_mapped(rig) == "EFAULT"
    return rig.ask(v.VIDIOC_QBUF, rig.userptr().raw)


def _importing(rig: Rig) -> Rig:
    rig.memory = Memory.DMABUF
    rig.ready()
    return rig


@answer(OK)
def qbuf_of_a_dma_buf(rig: Rig) -> str:
    return rig.ask(v.VIDIOC_QBUF, _importing(rig).dmabuf().raw)


@answer(OK, CAPTURE)  # vivid's output wants the length as the payload
def qbuf_of_a_dma_buf_without_its_length(rig: Rig) -> str:
    return rig.ask(v.VIDIOC_QBUF, _importing(rig).dmabuf(length=0).raw)


@answer("EINVAL")
def qbuf_of_a_dma_buf_with_too_short_a_length(rig: Rig) -> str:
    return rig.ask(v.VIDIOC_QBUF, _importing(rig).dmabuf(length=1000).raw)


@answer("EINVAL")
def qbuf_of_a_small_dma_buf_without_its_length(rig: Rig) -> str:
    return rig.ask(v.VIDIOC_QBUF, _importing(rig).dmabuf(SMALL, length=0).raw)


@answer("EFAULT")
def qbuf_of_a_small_dma_buf_with_a_great_length(rig: Rig) -> str:
    return rig.ask(v.VIDIOC_QBUF, _importing(rig).dmabuf(SMALL).raw)


@answer("EINVAL")
def qbuf_of_a_descriptor_that_is_not_open(rig: Rig) -> str:
    return rig.ask(v.VIDIOC_QBUF, _importing(rig).number_as_dmabuf(-1).raw)


@answer("EINVAL")
def qbuf_of_a_descriptor_that_is_not_a_dma_buf(rig: Rig) -> str:
    return rig.ask(v.VIDIOC_QBUF, _importing(rig).number_as_dmabuf(rig.fd.fileno()).raw)


@answer(OK)
def qbuf_of_a_dma_buf_after_another_was_refused(rig: Rig) -> str:
    assert qbuf_of_a_descriptor_that_is_not_open(rig) == "EINVAL"
    return rig.ask(v.VIDIOC_QBUF, rig.dmabuf().raw)


@answer(OK)
def expbuf(rig: Rig) -> str:
    rig.ready()
    return rig.export(flags=os.O_CLOEXEC | os.O_RDWR)


@answer("EINVAL")
def expbuf_with_unknown_flags(rig: Rig) -> str:
    rig.ready()
    return rig.export(flags=os.O_NONBLOCK)


@answer("EINVAL")
def expbuf_where_there_are_none(rig: Rig) -> str:
    return rig.export()


@answer("EINVAL")
def expbuf_beyond(rig: Rig) -> str:
    rig.ready()
    return rig.export(NONE)


@answer("EINVAL")
def expbuf_of_a_plane_that_is_not_there(rig: Rig) -> str:
    rig.ready()
    return rig.export(plane=rig.planes)


@answer("EINVAL")
def expbuf_of_a_wrong_type(rig: Rig) -> str:
    rig.ready()
    return rig.export(type=WRONG_TYPE)


@answer("EINVAL")
def expbuf_of_imported_memory(rig: Rig) -> str:
    return _importing(rig).export()


@answer("EBUSY")
def expbuf_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().export()


@answer(OK)
def mmap_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().map()


@answer("EINVAL")
def mmap_where_there_are_none(rig: Rig) -> str:
    return rig.map(offset=0)


@answer("EINVAL")
def mmap_at_an_offset_of_no_buffer(rig: Rig) -> str:
    rig.ready()
    return rig.map(offset=0x7FFF0000)


@answer("EINVAL")
def mmap_of_more_than_there_is(rig: Rig) -> str:
    rig.ready()
    return rig.map(more=4096)


@answer("EINVAL")
def mmap_of_imported_memory(rig: Rig) -> str:
    return _importing(rig).map(offset=0)

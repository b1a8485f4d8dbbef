"""Part of the table of :mod:`vb2_answers`: requests that allocate, free and describe buffers."""

from __future__ import annotations

from vb2_case import NONE, UNKNOWN_MEMORY, WRONG_TYPE, answer, with_planes
from vb2_requests import OK, SMALL, Rig

from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import Memory

# -- REQBUFS and S_FMT --------------------------------------------------------------------------------


@answer("EINVAL")
def reqbufs_of_a_wrong_type(rig: Rig) -> str:
    return rig.reqbufs(type=WRONG_TYPE)


@answer("EINVAL")
def reqbufs_of_an_unknown_memory(rig: Rig) -> str:
    return rig.reqbufs(memory=UNKNOWN_MEMORY)


@answer(OK, contig="EINVAL")
def reqbufs_of_user_memory(rig: Rig) -> str:
    return rig.reqbufs(memory=Memory.USERPTR)


@answer(OK)
def reqbufs_of_dma_bufs(rig: Rig) -> str:
    return rig.reqbufs(memory=Memory.DMABUF)


@answer(OK)
def reqbufs_of_none_where_there_are_none(rig: Rig) -> str:
    return rig.reqbufs(0)


@answer(OK)
def reqbufs_of_another_memory_where_there_are_some(rig: Rig) -> str:
    rig.ready()
    return rig.reqbufs(memory=Memory.DMABUF)


@answer("EBUSY")
def reqbufs_while_streaming(rig: Rig) -> str:
    rig.ready(queued=2, streaming=True)
    return rig.reqbufs()


@answer("EBUSY")
def reqbufs_of_none_while_streaming(rig: Rig) -> str:
    rig.ready(queued=2, streaming=True)
    return rig.reqbufs(0)


@answer(OK)
def reqbufs_while_queued(rig: Rig) -> str:
    rig.ready(queued=2)
    return rig.reqbufs()


@answer(OK)
def reqbufs_of_none_while_mapped(rig: Rig) -> str:
    rig.ready()
    assert rig.map() == OK
    return rig.reqbufs(0)


@answer(OK)
def reqbufs_of_none_while_exported(rig: Rig) -> str:
    rig.ready()
    assert rig.export() == OK
    return rig.reqbufs(0)


@answer("EBUSY")
def reqbufs_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().reqbufs()


@answer("EBUSY")
def reqbufs_of_none_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().reqbufs(0)


@answer("EINVAL")
def reqbufs_of_an_unknown_memory_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().reqbufs(memory=UNKNOWN_MEMORY)


@answer(OK)
def reqbufs_by_another_handle_after_all_was_freed(rig: Rig) -> str:
    rig.ready()
    assert rig.reqbufs(0) == OK
    return rig.another().reqbufs()


@answer("EBUSY")
def s_fmt_where_there_are_buffers(rig: Rig) -> str:
    rig.ready()
    return rig.set_format(SMALL)


@answer("EBUSY")
def s_fmt_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().set_format(SMALL)


@answer(OK)
def s_fmt_after_all_was_freed(rig: Rig) -> str:
    rig.ready()
    assert rig.reqbufs(0) == OK
    return rig.set_format(SMALL)


# -- CREATE_BUFS and REMOVE_BUFS ------------------------------------------------------------------------


@answer(OK)
def create_of_the_first(rig: Rig) -> str:
    return rig.create()


@answer(OK)
def create_while_streaming(rig: Rig) -> str:
    rig.ready(queued=2, streaming=True)
    return rig.create()


@answer(OK)
def create_of_none(rig: Rig) -> str:
    return rig.create(0)


@answer(OK)
def create_of_none_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().create(0)


@answer("EINVAL")
def create_of_none_of_an_unknown_memory(rig: Rig) -> str:
    return rig.create(0, memory=UNKNOWN_MEMORY)


@answer("EBUSY")
def create_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().create()


@answer("EINVAL")
def create_of_a_wrong_type(rig: Rig) -> str:
    return rig.create(type=WRONG_TYPE)


@answer("EINVAL")
def create_of_another_memory(rig: Rig) -> str:
    rig.ready()
    return rig.create(memory=Memory.DMABUF)


@answer("EINVAL")
def create_of_smaller_ones(rig: Rig) -> str:
    rig.ready()
    return rig.create(size=1000)


@answer("EINVAL")
def create_of_empty_ones(rig: Rig) -> str:
    return rig.create(size=0)


@answer("ENOBUFS")
def create_where_the_queue_is_full(rig: Rig) -> str:
    rig.memory = Memory.DMABUF  # these need no memory yet
    rig.ready(1)
    for _ in range(NONE):
        last = rig.create()
        if last != OK:
            break
    return last


@answer("ENOBUFS")
def create_of_another_memory_where_the_queue_is_full(rig: Rig) -> str:
    assert create_where_the_queue_is_full(rig) == "ENOBUFS"
    return rig.create(memory=Memory.MMAP)


@answer(OK)
def remove_of_one(rig: Rig) -> str:
    rig.ready()
    return rig.remove(1)


@answer(OK)
def remove_of_none(rig: Rig) -> str:
    return rig.remove(0, 0)


@answer(OK)
def remove_of_none_beyond(rig: Rig) -> str:
    rig.ready()
    return rig.remove(NONE, 0)


@answer(OK)
def remove_of_none_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().remove(0, 0)


@answer(OK)
def remove_of_a_prepared_one(rig: Rig) -> str:
    rig.ready()
    assert rig.prepare() == OK
    return rig.remove(0)


@answer(OK)
def remove_of_a_mapped_one(rig: Rig) -> str:
    rig.ready()
    assert rig.map() == OK
    return rig.remove(0)


@answer("EINVAL")
def remove_where_there_are_none(rig: Rig) -> str:
    return rig.remove(0)


@answer("EINVAL")
def remove_beyond(rig: Rig) -> str:
    rig.ready()
    return rig.remove(NONE)


@answer("EINVAL")
def remove_of_a_removed_one(rig: Rig) -> str:
    rig.ready(3)
    if (first := rig.remove(1)) != OK:
        return first  # a kernel without REMOVE_BUFS
    return rig.remove(0, 3)


@answer("EBUSY")
def remove_of_a_queued_one(rig: Rig) -> str:
    rig.ready(queued=1)
    return rig.remove(0, 2)


@answer("EINVAL")
def remove_of_one_that_is_not_there_before_a_queued_one(rig: Rig) -> str:
    rig.ready(3)
    if (first := rig.remove(1)) != OK:
        return first
    assert rig.qbuf(2) == OK
    return rig.remove(1, 2)


@answer("EBUSY")
def remove_of_a_queued_one_before_one_that_is_not_there(rig: Rig) -> str:
    rig.ready(3)
    if (first := rig.remove(1)) != OK:
        return first
    assert rig.qbuf(0) == OK
    return rig.remove(0, 2)


@answer("EINVAL")
def remove_of_a_wrong_type(rig: Rig) -> str:
    rig.ready()
    return rig.remove(0, type=WRONG_TYPE)


@answer("EBUSY")
def remove_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().remove(0)


# -- QUERYBUF ----------------------------------------------------------------------------------------


@answer(OK)
def querybuf_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().query()


@answer("EINVAL")
def querybuf_where_there_are_none(rig: Rig) -> str:
    return rig.query()


@answer("EINVAL")
def querybuf_beyond(rig: Rig) -> str:
    rig.ready()
    return rig.query(NONE)


@answer("EINVAL")
def querybuf_of_a_removed_one(rig: Rig) -> str:
    rig.ready()
    if (first := rig.remove(0)) != OK:
        return first
    return rig.query(0)


@answer("EINVAL")
def querybuf_of_a_wrong_type(rig: Rig) -> str:
    rig.ready()
    arg = rig.buffer()
    arg.raw.type = WRONG_TYPE
    return rig.ask(v.VIDIOC_QUERYBUF, arg.raw)


@answer("EINVAL", ("mplane",))
def querybuf_with_too_few_planes(rig: Rig) -> str:
    rig.ready()
    return with_planes(rig, v.VIDIOC_QUERYBUF, 1)


@answer("EINVAL", ("mplane",))
def querybuf_with_too_many_planes(rig: Rig) -> str:
    rig.ready()
    return with_planes(rig, v.VIDIOC_QUERYBUF, 9)


@answer("EFAULT", ("mplane",))
def querybuf_without_an_array_of_planes(rig: Rig) -> str:
    rig.ready()
    return with_planes(rig, v.VIDIOC_QUERYBUF, 2, array=False)


@answer("EINVAL", ("mplane",))
def querybuf_without_planes(rig: Rig) -> str:
    rig.ready()
    return with_planes(rig, v.VIDIOC_QUERYBUF, 0, array=False)

"""Part of the table of :mod:`vb2_answers`: requests that stream, and those in error states and file I/O."""

from __future__ import annotations

from vb2_case import CAPTURE, NONE, SINGLE, WRONG_TYPE, answer, with_planes
from vb2_requests import OK, SMALL, Rig

from vb2user.uapi import videodev2 as v

# -- STREAMON, STREAMOFF, DQBUF and poll --------------------------------------------------------------


@answer("EINVAL")
def streamon_where_there_are_no_buffers(rig: Rig) -> str:
    return rig.start()


@answer(OK)
def streamon_with_none_queued(rig: Rig) -> str:
    rig.ready()
    return rig.start()


@answer(OK)
def streamon_twice(rig: Rig) -> str:
    rig.ready(queued=1, streaming=True)
    return rig.start()


@answer("EINVAL")
def streamon_of_a_wrong_type(rig: Rig) -> str:
    rig.ready(queued=1)
    return rig.start(WRONG_TYPE)


@answer("EBUSY")
def streamon_by_another_handle(rig: Rig) -> str:
    rig.ready(queued=1)
    return rig.another().start()


@answer("EBUSY")
def streamon_of_a_wrong_type_by_another_handle(rig: Rig) -> str:
    rig.ready(queued=1)
    return rig.another().start(WRONG_TYPE)


@answer(OK)
def streamoff_while_not_streaming(rig: Rig) -> str:
    rig.ready()
    return rig.stop()


@answer(OK)
def streamoff_where_there_are_no_buffers(rig: Rig) -> str:
    return rig.stop()


@answer("EINVAL")
def streamoff_of_a_wrong_type(rig: Rig) -> str:
    rig.ready(queued=1, streaming=True)
    return rig.stop(WRONG_TYPE)


@answer("EBUSY")
def streamoff_by_another_handle(rig: Rig) -> str:
    rig.ready(queued=1, streaming=True)
    return rig.another().stop()


@answer("EBUSY")
def streamoff_of_a_wrong_type_by_another_handle(rig: Rig) -> str:
    rig.ready(queued=1, streaming=True)
    return rig.another().stop(WRONG_TYPE)


@answer(OK)
def qbuf_after_streamoff(rig: Rig) -> str:
    rig.ready(queued=1, streaming=True)
    assert rig.stop() == OK
    return rig.qbuf()


@answer(OK)
def dqbuf_of_a_finished_one(rig: Rig) -> str:
    rig.ready(queued=2, streaming=True)
    rig.finished()
    return rig.dqbuf()


@answer("EINVAL")
def dqbuf_while_not_streaming(rig: Rig) -> str:
    rig.ready(queued=1)
    return rig.dqbuf()


@answer("EINVAL")
def dqbuf_where_there_are_no_buffers(rig: Rig) -> str:
    return rig.dqbuf()


@answer("EAGAIN")
def dqbuf_with_none_queued(rig: Rig) -> str:
    rig.ready()
    assert rig.start() == OK
    return rig.dqbuf()


@answer("EINVAL")
def dqbuf_of_a_wrong_type(rig: Rig) -> str:
    rig.ready(queued=1, streaming=True)
    arg = rig.buffer()
    arg.raw.type = WRONG_TYPE
    return rig.ask(v.VIDIOC_DQBUF, arg.raw)


@answer("EBUSY")
def dqbuf_by_another_handle(rig: Rig) -> str:
    rig.ready(queued=2, streaming=True)
    rig.finished()
    return rig.another().dqbuf()


@answer("EINVAL", ("mplane",))
def dqbuf_with_too_few_planes(rig: Rig) -> str:
    rig.ready(queued=1, streaming=True)
    rig.finished()
    return with_planes(rig, v.VIDIOC_DQBUF, 1)


@answer(OK, ("mplane",))
def dqbuf_after_one_with_too_few_planes(rig: Rig) -> str:
    assert dqbuf_with_too_few_planes(rig) == "EINVAL"
    return rig.dqbuf()


@answer("POLLERR")
def poll_while_not_streaming(rig: Rig) -> str:
    rig.ready(queued=1)
    return rig.poll()


@answer("POLLERR", output="nothing")
def poll_with_none_queued(rig: Rig) -> str:
    rig.ready()
    assert rig.start() == OK
    return rig.poll()


@answer("nothing", CAPTURE)  # an output keeps the last buffer until another one comes
def poll_with_all_dequeued(rig: Rig) -> str:
    rig.ready(1, queued=1, streaming=True)
    rig.finished()
    assert rig.dqbuf() == OK
    return rig.poll()


# -- a queue in its error state -----------------------------------------------------------------------


@answer("EIO")
def qbuf_where_the_queue_is_broken(rig: Rig) -> str:
    rig.broken()
    return rig.qbuf(2)


@answer("EIO")
def qbuf_of_a_queued_one_where_the_queue_is_broken(rig: Rig) -> str:
    rig.broken()
    return rig.qbuf(1)


@answer("EINVAL")
def qbuf_beyond_where_the_queue_is_broken(rig: Rig) -> str:
    rig.broken()
    return rig.qbuf(NONE)


@answer("EIO")
def prepare_where_the_queue_is_broken(rig: Rig) -> str:
    rig.broken()
    return rig.prepare(2)


@answer("EIO")
def dqbuf_where_the_queue_is_broken(rig: Rig) -> str:
    rig.broken()
    return rig.dqbuf()


@answer(OK)
def streamon_where_the_queue_is_broken(rig: Rig) -> str:
    rig.broken()
    return rig.start()


@answer(OK)
def qbuf_after_a_broken_queue_was_stopped(rig: Rig) -> str:
    rig.broken()
    assert rig.stop() == OK
    return rig.qbuf(2)


# -- file I/O ----------------------------------------------------------------------------------------


@answer("EBUSY", CAPTURE)
def read_where_there_are_buffers(rig: Rig) -> str:
    rig.ready()
    return rig.read()


@answer("EBUSY", CAPTURE)
def read_by_another_handle(rig: Rig) -> str:
    rig.ready()
    return rig.another().read()


@answer("EBUSY", ("mplane",))
def read_of_several_planes(rig: Rig) -> str:
    return rig.read()


READING = tuple(kind for kind in CAPTURE if kind in SINGLE)


@answer("EBUSY", READING)
def reqbufs_while_reading(rig: Rig) -> str:
    rig.reading()
    return rig.reqbufs()


@answer("EBUSY", READING)
def create_while_reading(rig: Rig) -> str:
    rig.reading()
    return rig.create()


@answer("EBUSY", READING)
def qbuf_while_reading(rig: Rig) -> str:
    rig.reading()
    return rig.qbuf()


@answer("EBUSY", READING)
def prepare_while_reading(rig: Rig) -> str:
    rig.reading()
    return rig.prepare()


@answer("EBUSY", READING)
def dqbuf_while_reading(rig: Rig) -> str:
    rig.reading()
    return rig.dqbuf()


@answer("EBUSY", READING)
def expbuf_while_reading(rig: Rig) -> str:
    rig.reading()
    return rig.export()


@answer("EBUSY", READING)
def streamon_while_reading(rig: Rig) -> str:
    rig.reading()
    return rig.start()


@answer("EBUSY", READING)
def streamoff_while_reading(rig: Rig) -> str:
    rig.reading()
    return rig.stop()


@answer("EBUSY", READING)
def s_fmt_while_reading(rig: Rig) -> str:
    rig.reading()
    return rig.set_format(SMALL)


@answer("EBUSY", READING)
def read_by_another_handle_while_reading(rig: Rig) -> str:
    rig.reading()
    return rig.another().read()

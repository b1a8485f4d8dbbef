"""Layer 5: the loop over a stream: turns of the long way, and of the short one.

Here is the code that each frame costs. So all of a short turn stands in one function, with names that are the
function's own: each call, and each step through another generator, would cost more than what is done in it.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from vb2user.errors import StreamStopped
from vb2user.uapi.raw import DQBUF, QBUF, SYNC

if TYPE_CHECKING:
    from vb2user.capture.stream import Stream


def _is_running(generator: weakref.ref[Generator[Any, None, None]]) -> bool:
    made = generator()
    return made is not None and bool(made.gi_running)  # type: ignore[attr-defined]


def _references_of_nobody() -> int:
    class Box:
        frame: object = None

    box = Box()
    box.frame = object()
    return sys.getrefcount(box.frame)


_NOBODY = _references_of_nobody()


def loop(stream: Stream, *, asynchronous: bool = False) -> Iterator[Any]:
    """``for frame in stream``; for ``async for`` see :mod:`vb2user.capture.asyncloop`."""
    me: list[weakref.ref[Generator[Any, None, None]]] = []
    made = _frames(stream, me, asynchronous=asynchronous)
    me.append(weakref.ref(made))
    return made


def _frames(
    stream: Stream, me: list[weakref.ref[Generator[Any, None, None]]], *, asynchronous: bool
) -> Generator[Any, None, None]:
    """Both ways; in ``asynchronous``, None is where the long way is to be gone, a Waiter where to wait."""
    with stream.going():
        while not stream.exhausted:
            try:
                way = stream.shortcut(lambda: _is_running(me[0]), waits=not asynchronous)
                frame: Any = None if way is not None or asynchronous else stream.next_frame()
            except StreamStopped:
                if stream.started:
                    raise
                return  # closed by another thread: the loop simply ends
            if way is None:
                yield frame
                del frame
                continue
            lane, gone, special = way.lane, way.gone, way.special
            syncs, begin, end = way.syncs, way.begin, way.end
            ioctl, fd, wait, qbuf, dqbuf, note = lane.ioctl, lane.fd, lane.wait, QBUF, DQBUF, way.times.append
            now, count, nobody, alone = time.monotonic, sys.getrefcount, _NOBODY, way.count
            pauses = asynchronous or wait is not None
            back = late = came = told = waiter = None
            try:
                if asynchronous:
                    waiter = way.run.waiter()
                while steps := way.piece():
                    for told, head, wanted, slot in steps:
                        if pauses:
                            if wait is not None and not wait():
                                break
                            if asynchronous:
                                yield waiter
                                if gone and way.is_over():
                                    break
                        ioctl(fd, dqbuf, told)
                        if head != wanted or (special and not way.is_usual(told, slot)):
                            other = way.stranger(told)
                            if other is None:
                                came = told
                                break
                            slot = other
                        if syncs:
                            try:
                                ioctl(slot.dma_buf, SYNC, begin)
                            except OSError:
                                came = told
                                break
                        # By the attribute: how often a local variable counts hangs on the interpreter.
                        frame = slot.frame if count(slot.frame) == nobody else way.new_frame(slot)
                        frame.told = told
                        frame.now = slot.array
                        note(now())
                        yield frame
                        if gone and way.is_over():
                            break
                        try:
                            del frame.now
                        except AttributeError:
                            break  # it has a lease of its own now
                        if count(slot.array) != alone or (
                            way.two_roots and count(slot.root) != slot.root_count
                        ):
                            if late is None and way.spare():
                                way.late = late = slot
                                continue
                            if late is None or not late.is_free():
                                back = slot
                                break  # that is too many
                            way.late, slot, late = slot, late, slot
                        elif late is not None and late.is_free():
                            back = slot
                            break  # two at once are for the long way
                        try:
                            if syncs:
                                ioctl(slot.dma_buf, SYNC, end)
                            ioctl(fd, qbuf, slot.arg)
                        except OSError:
                            back = slot
                            break
                    else:
                        continue
                    break
            except OSError:
                pass  # the long way asks again, and says what it is
            except GeneratorExit:
                raise
            except BaseException:  # Ctrl-C comes between any two steps
                way.torn = True
                came = told
                raise
            finally:
                lane.left()
                frame = None
                way.leave(back, came)

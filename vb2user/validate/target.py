"""Beside the layers: the device that checks try, and one of its queues driven by plain ioctls.

Nothing here keeps a state of buffers: what the kernel says is what a check judges. Every queue is given
back on every way out, so that a check that fails leaves the device as it was.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import random
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from vb2user.device.device import Device
from vb2user.errors import KernelError, Vb2Error
from vb2user.memory import heaps
from vb2user.memory.base import page_align
from vb2user.memory.dmabuf import DmaBuf, DmaBufAllocator
from vb2user.uapi import calls
from vb2user.uapi.anonymous import anonymous
from vb2user.uapi.buffer import BufferArg, Dequeued, is_output
from vb2user.uapi.calls import data_formats as data
from vb2user.uapi.calls.formats import g_fmt_struct
from vb2user.uapi.enums import BufFlag, BufType, Memory
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.kernel import POLLERR, POLLIN, POLLOUT, Fd
from vb2user.validate.outcome import RuleBrokenError
from vb2user.validate.place import Place
from vb2user.validate.queues import queue_name
from vb2user.validate.snapshot import Snapshot, snapshot

#: Buffers that a check asks for, where the number does not matter.
BUFFERS = 4
#: Seconds for which a frame is waited for at first, until it is known how long one takes.
FIRST_FRAME = 10.0


@dataclass
class Target:
    """The device under test.

    Attributes:
        path: the node's.
        driver, card: as QUERYCAP says.
        type: the queue that is tried.
        queues: all queues of the node.
        m2m: each file handle has queues of its own.
        memories: the memory types that it takes.
        usable: those for which this machine has memory that the device takes.
        readable: read(2) or write(2) moves frames.
        no_frames: why no frames come; None: they do.
        frame_seconds: how long a frame takes at most, as measured.
        source: where dma-bufs come from that the device can import, as :func:`heaps.source` takes it.
        media: the path of its media controller, if it could be found.
        destructive: a check may take the device from its driver.
        told: the calls that were made and what came of them.
        opened: the queues that a check has at the moment.
        seed: the user's number; ``rng`` follows from it and from the check.
        fuzz: seconds for random sequences of ioctls, besides a few that are always tried.
        picture: the first wrong frame, as :func:`~vb2user.validate.frame_picture.picture` has it.
        rng: what a check draws from, if it draws at random.
    """

    path: str
    driver: str = ""
    card: str = ""
    type: BufType = BufType.VIDEO_CAPTURE
    queues: tuple[BufType, ...] = ()
    m2m: bool = False
    memories: tuple[Memory, ...] = ()
    usable: tuple[Memory, ...] = ()
    readable: bool = False
    no_frames: str | None = "nobody has looked yet"
    frame_seconds: float = 1.0
    source: str | None = None
    media: str | None = None
    destructive: bool = False
    told: list[str] = field(default_factory=list)
    opened: list[RawQueue] = field(default_factory=list, repr=False)
    seed: int = 0
    fuzz: float = 0.0
    picture: str = ""
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    @property
    def captures(self) -> bool:
        """Whether the driver fills the buffers."""
        return not is_output(self.type)

    @property
    def patience(self) -> float:
        """Seconds after which a frame is late, whatever the machine is busy with."""
        return max(FIRST_FRAME, 50 * self.frame_seconds)

    @property
    def arguments(self) -> str:
        """What names this queue on the command line of ``vb2user validate``."""
        path = shlex.quote(self.path)
        return f"{path} --queue {queue_name(self.type)}" if len(self.queues) > 1 else path

    # -- what a check does --------------------------------------------------------------------------

    @contextlib.contextmanager
    def open(self) -> Iterator[Device]:
        """A file handle of its own."""
        with Device(self.path) as device:
            yield device

    @contextlib.contextmanager
    def queue(self, memory: Memory | None = None, *, fd: Fd | None = None) -> Iterator[RawQueue]:
        """A queue without buffers, on a file handle of its own or on one that the check has.

        Args:
            memory: None: the first that the device takes.
            fd: a handle that stays the caller's.
        """
        with contextlib.ExitStack() as stack:
            node = stack.enter_context(self.open()).node if fd is None else fd
            queue = RawQueue(self, node, memory or self.memories[0])
            stack.callback(queue.close)
            self.opened.append(queue)
            stack.callback(self.opened.remove, queue)
            yield queue

    def format(self, fd: Fd) -> calls.Format:
        """G_FMT. Of a VBI or SDR queue only the bytes of a buffer are in it."""
        if self.type not in data.DATA_TYPES:
            return calls.g_fmt(fd, self.type)
        size = data.buffer_size(g_fmt_struct(fd, self.type))
        return calls.Format(self.type, FourCC(0), planes=(calls.PlaneFormat(size, 0),))

    def create_bufs(self, fd: Fd, memory: Memory, count: int, format: calls.Format) -> calls.BuffersGranted:
        """CREATE_BUFS of the queue, whose format is as :meth:`format` tells it, or has other sizes."""
        if self.type not in data.DATA_TYPES:
            return calls.create_bufs(fd, memory, count, format)
        raw = g_fmt_struct(fd, self.type)
        if format.sizeimage != data.buffer_size(raw):
            data.set_buffer_size(raw, format.sizeimage)
        return calls.create_bufs(fd, memory, count, raw)

    def place(self, device: Device) -> Place:
        """Where the device hangs in sysfs. NotHereError: it cannot be unbound here."""
        return Place.of(device)

    def tell(self, line: str) -> None:
        """Keep what was done as evidence."""
        self.told.append(line)

    def expect(self, right: bool, wrong: str, *, frame: tuple[RawQueue, Dequeued] | None = None) -> None:
        """RuleBrokenError with ``wrong``, what came and what should have come, unless it is right.

        Args:
            right: whether it is.
            wrong: one sentence.
            frame: the queue and the frame that is judged, if one is: reports show it.
        """
        if not right:
            if frame is not None:
                self.picture = frame[0].picture(frame[1])
            raise RuleBrokenError(wrong)

    def refused(
        self, errnos: int | Sequence[int], what: str, call: Callable[[], object], *, changes: bool = False
    ) -> KernelError:
        """Make a call that has to fail with one of these error numbers, and that changes nothing.

        Args:
            errnos: as the documentation has them.
            what: the call, for messages.
            call: makes it.
            changes: it may change formats and buffers though it fails.
        """
        wanted = (errnos,) if isinstance(errnos, int) else tuple(errnos)
        names = " or ".join(name_of(n) for n in wanted)
        asked = [] if changes else [queue for queue in self.opened if queue.granted and not queue.fd.closed]
        before = [queue.snapshot() for queue in asked]
        try:
            got = call()
        except KernelError as e:
            self.tell(f"{what}: {name_of(e.errno)}")
            if e.errno not in wanted:
                raise RuleBrokenError(f"{what}: {name_of(e.errno)} came in place of {names}") from None
            for queue, old in zip(asked, before, strict=True):
                changed = old.changes(queue.snapshot())
                self.expect(not changed, f"{what} failed, and yet: {'; '.join(changed)}")
            return e
        if isinstance(got, Fd):
            got.close()
        self.tell(f"{what}: done")
        raise RuleBrokenError(f"{what}: it was done, and {names} should have come")


def name_of(number: int | None) -> str:
    """The name of an error number, as errno(3) has it."""
    return errno.errorcode.get(number or 0, f"errno {number}")


class RawQueue:
    """The buffers of one file handle, by plain ioctls.

    Args:
        target: the device.
        fd: the handle; it stays the caller's.
        memory: the memory type.

    Attributes:
        fd, memory, type: what was given.
        granted: how many buffers there are, as far as this object asked for them.
        memory_of: the memory of each plane of each buffer.
        answer: what DQBUF wrote last.
    """

    def __init__(self, target: Target, fd: Fd, memory: Memory) -> None:
        self._target = target
        self.fd, self.memory, self.type = fd, memory, target.type
        self.granted = 0
        self.streaming = False
        self.memory_of: dict[int, tuple[memoryview, ...]] = {}
        self._args: dict[int, BufferArg] = {}
        self._maps: list[mmap.mmap] = []
        self._views: list[memoryview] = []
        self._bufs: dict[int, list[DmaBuf]] = {}
        self._source: DmaBufAllocator | None = None
        self.answer = BufferArg(self.type, memory)

    # -- buffers ------------------------------------------------------------------------------------

    def request(self, count: int = BUFFERS) -> calls.BuffersGranted:
        """REQBUFS; returns what was granted. Memory comes with :meth:`provide`."""
        granted = calls.reqbufs(self.fd, self.type, self.memory, count)
        self._target.tell(f"REQBUFS({self.memory.name}, {count}): {granted.count} buffers")
        self.granted = granted.count
        return granted

    def create(self, count: int, format: calls.Format) -> calls.BuffersGranted:
        """CREATE_BUFS; returns what was granted."""
        granted = self._target.create_bufs(self.fd, self.memory, count, format)
        self._target.tell(f"CREATE_BUFS({self.memory.name}, {count}): {granted.count} from {granted.index}")
        self.granted = max(self.granted, granted.index + granted.count)
        return granted

    def info(self, index: int) -> calls.BufferInfo:
        """QUERYBUF."""
        found = calls.querybuf(self.fd, self.type, self.memory, index)
        self._target.tell(f"QUERYBUF({index}): {found.flags!r}, {[p.length for p in found.planes]} bytes")
        return found

    def snapshot(self) -> Snapshot:
        """What there is of the queue now."""
        format = self._target.format(self.fd)
        return snapshot(self.fd, self.memory, format, streaming=self.streaming)

    def count(self) -> int:
        """How many buffers QUERYBUF knows, one after the other."""
        for index in range(1024):
            try:
                calls.querybuf(self.fd, self.type, self.memory, index)
            except KernelError:
                return index
        return 1024

    def provide(self, count: int = BUFFERS) -> int:
        """REQBUFS and memory for each buffer; returns how many there are."""
        granted = self.request(count).count
        for index in range(granted):
            self.attach(index)
        return granted

    def attach(self, index: int) -> None:
        """Give one buffer its memory."""
        arg = self._args[index] = BufferArg(self.type, self.memory, index)
        planes = self.info(index).planes
        lengths = [plane.length for plane in planes]
        if self.memory is Memory.MMAP:
            views = tuple(self._mapped(plane.length, plane.mem_offset) for plane in planes)
        else:
            lengths = self._lengths()
            if self.memory is Memory.USERPTR:
                views = tuple(self._own(length) for length in lengths)
                self.point(index, views)
            else:
                self._bufs[index] = [self._imported(index, p, n) for p, n in enumerate(lengths)]
                views = tuple(buf.map() for buf in self._bufs[index])
                for plane, buf in enumerate(self._bufs[index]):
                    arg.set_fd(plane, buf.fileno(), page_align(lengths[plane]))
        arg.set_num_planes(len(lengths))
        self.memory_of[index] = views

    def _lengths(self) -> list[int]:
        format = self._target.format(self.fd)
        return [plane.sizeimage for plane in format.planes]

    def _mapped(self, length: int, offset: int) -> memoryview:
        mapping = self.fd.mmap(length, offset)
        self._maps.append(mapping)
        return self._view(mapping)

    def _own(self, length: int) -> memoryview:
        mapping = anonymous(page_align(length), self._target.path)
        self._maps.append(mapping)
        return self._view(mapping)

    def _view(self, mapping: mmap.mmap) -> memoryview:
        view = memoryview(mapping)
        self._views.append(view)
        return view

    def _imported(self, index: int, plane: int, length: int) -> DmaBuf:
        if self._source is None:
            assert self._target.source is not None, "the check needs DMABUF"
            self._source = heaps.source(self._target.source)
            self._source.open(max(self.granted, 1), [page_align(n) for n in self._lengths()])
        return self._source.allocate(index, plane, page_align(length))

    def bufs(self, index: int) -> list[DmaBuf]:
        """DMABUF: the dma-bufs of a buffer's planes."""
        return self._bufs[index]

    def arg(self, index: int) -> BufferArg:
        """What QBUF of this buffer is given; a check may change it."""
        return self._args[index]

    def point(self, index: int, views: Sequence[memoryview]) -> None:
        """USERPTR: where the next QBUF of this buffer finds its planes."""
        for plane, view in enumerate(views):
            address = ctypes.addressof(ctypes.c_char.from_buffer(view))
            self._args[index].set_userptr(plane, address, view.nbytes)

    # -- streaming ----------------------------------------------------------------------------------

    def _filled(self, index: int, flags: int, request: Fd | None = None) -> BufferArg:
        arg = self._args[index]
        arg.raw.flags = flags
        arg.set_request(None if request is None else request.fileno())
        if not self._target.captures:
            for plane, length in enumerate(self._lengths()):
                arg.set_payload(plane, length)
        return arg

    def qbuf(self, index: int, request: Fd | None = None, flags: int = 0) -> None:
        """QBUF with these ``V4L2_BUF_FLAG_*``, an output buffer with a whole picture in it.

        Args:
            index: the buffer's.
            request: it gets the buffer in the driver's place.
            flags: further ones.
        """
        calls.qbuf(self.fd, self._filled(index, flags, request))
        self._target.tell(f"QBUF({index}): done")

    def prepare(self, index: int) -> None:
        """PREPARE_BUF, an output buffer with a whole picture in it."""
        calls.prepare_buf(self.fd, self._filled(index, 0))
        self._target.tell(f"PREPARE_BUF({index}): done")

    def on(self) -> None:
        """STREAMON."""
        calls.streamon(self.fd, self.type)
        self.streaming = True
        self._target.tell("STREAMON: done")

    def off(self) -> None:
        """STREAMOFF."""
        calls.streamoff(self.fd, self.type)
        self.streaming = False
        self._target.tell("STREAMOFF: done")

    def start(self, count: int = BUFFERS) -> int:
        """Buffers with memory, all queued, and STREAMON; returns how many."""
        granted = self.provide(count)
        for index in range(granted):
            self.qbuf(index)
        self.on()
        return granted

    def try_dqbuf(self) -> Dequeued | None:
        """DQBUF without waiting; None: EAGAIN."""
        if not calls.dqbuf(self.fd, self.answer):
            return None
        done = self.answer.dequeued()
        self._target.tell(
            f"DQBUF: buffer {done.buffer_index}, {BufFlag(done.flags)!r}, sequence {done.sequence}, "
            f"{done.timestamp_ns / 1e9:.6f} s, {list(done.bytesused)} bytes"
        )
        return done

    def dqbuf(self, seconds: float | None = None) -> Dequeued:
        """Wait for a buffer and take it. RuleBrokenError: none came, or poll(2) reported an error.

        Args:
            seconds: how long it may take; None: the device's patience.
        """
        limit = self._target.patience if seconds is None else seconds
        deadline = time.monotonic() + limit
        events = POLLIN if self._target.captures else POLLOUT
        while (left := deadline - time.monotonic()) > 0:
            seen, _ = self.fd.poll(events, left)
            done = self.try_dqbuf()
            if done is not None:
                return done
            if seen & POLLERR:
                raise RuleBrokenError("poll reported POLLERR on a queue that streams with buffers queued")
        raise RuleBrokenError(f"no frame came in {limit:.1f} s on a queue that streams with buffers queued")

    def picture(self, done: Dequeued) -> str:
        """A dequeued frame for reports, as :func:`~vb2user.validate.frame_picture.picture` has it."""
        from vb2user.validate.frame_picture import picture

        views = self.memory_of[done.buffer_index]
        used = [bytes(view[:length]) for view, length in zip(views, done.bytesused, strict=True)]
        return picture(calls.g_fmt(self.fd, self.type), used, done.data_offset)

    def frames(self, count: int) -> list[Dequeued]:
        """Take so many frames, each buffer queued again when the next frame has come."""
        found: list[Dequeued] = []
        for _ in range(count):
            found.append(self.dqbuf())
            self.qbuf(found[-1].buffer_index)
        return found

    def drain(self) -> list[Dequeued]:
        """Take what comes until nothing comes any more; a driver may keep the buffer that came last."""
        found = [self.dqbuf()]
        quiet = max(1.0, 5 * self._target.frame_seconds)
        with contextlib.suppress(RuleBrokenError):
            while len(found) < self.granted:
                found.append(self.dqbuf(quiet))
        return found

    # -- the end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Give everything back. Errors are not raised: what remains is found after the check."""
        for view in self._views:
            with contextlib.suppress(BufferError):
                view.release()
        if not self.fd.closed:
            with contextlib.suppress(Vb2Error):
                calls.streamoff(self.fd, self.type)
        for mapping in self._maps:
            with contextlib.suppress(BufferError):
                mapping.close()
        for bufs in self._bufs.values():
            for buf in bufs:
                buf.close()
        if self._source is not None:
            self._source.close()
        if not self.fd.closed and self.granted:
            with contextlib.suppress(Vb2Error):
                calls.reqbufs(self.fd, self.type, self.memory, 0)

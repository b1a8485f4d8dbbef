"""Beside the layers: a model of a queue with two file handles, and random ioctls that are held against it.

The model knows which buffers there are, in which state each is (:mod:`vb2user.queue.state`), which handle has
the queue, and whether it streams. :func:`search` plays random sequences, and shortens one that a driver
answers wrongly. A driver may choose how many buffers it grants, whether a buffer is done at once, and how
many buffers STREAMON wants. The model does not judge that.

Source: https://docs.kernel.org/userspace-api/media/v4l/mmap.html
"""

from __future__ import annotations

import contextlib
import errno
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from vb2user.errors import KernelError
from vb2user.queue.state import TRANSITIONS, Action, BufferState
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufFlag, Memory
from vb2user.uapi.kernel import Fd, open_node
from vb2user.validate.target import Target, name_of

#: Indices are drawn below this one, so that some buffers are not there.
_INDICES = 6
#: A driver may refuse these for reasons of its own.
_LACKING = frozenset({errno.ENOMEM, errno.ENOBUFS})
_IN_DRIVER = BufFlag.QUEUED | BufFlag.DONE
#: Those that change most are drawn more often.
_OPS = (
    *("REQBUFS", "CREATE_BUFS", "QUERYBUF", "PREPARE_BUF", "EXPBUF", "STREAMON", "STREAMOFF", "close"),
    *("QBUF", "QBUF", "QBUF", "DQBUF", "DQBUF"),
)
_NUMBERED = ("REQBUFS", "QUERYBUF", "QBUF", "PREPARE_BUF", "EXPBUF")


@dataclass(frozen=True)
class Step:
    """One call.

    Attributes:
        handle: 0 or 1.
        op: the ioctl's name; ``close`` closes the handle and opens the node again.
        number: a count of buffers or an index, where the ioctl has one.
    """

    handle: int
    op: str
    number: int = 0

    def __str__(self) -> str:
        return f"step({self.handle}, {self.op!r}, {self.number})"


@dataclass
class Model:
    """What a queue has.

    Attributes:
        states: of each buffer that there is.
        owner: the handle that has the queue.
        streaming: between STREAMON and STREAMOFF.
    """

    states: dict[int, BufferState] = field(default_factory=dict)
    owner: int | None = None
    streaming: bool = False

    def allowed(self, step: Step) -> frozenset[int]:
        """The errnos that a right driver may answer with; 0: it may succeed."""
        if step.op == "close":
            return frozenset({0})
        others = self.owner not in (None, step.handle)
        if others and step.op != "QUERYBUF":
            return frozenset({errno.EBUSY})
        # Drivers that keep the queue by themselves, as uvcvideo does, want the handle to have it first.
        refuses = others or (self.owner is None and step.op not in ("REQBUFS", "CREATE_BUFS"))
        return self._of_owner(step) | ({errno.EBUSY} if refuses else frozenset())

    def _of_owner(self, step: Step) -> frozenset[int]:
        """The errnos where no other handle has the queue."""
        match step.op:
            case "REQBUFS":
                # The documentation says that it stops the stream; videobuf2 refuses it.
                return _LACKING | ({0, errno.EBUSY} if self.streaming else {0})
            case "CREATE_BUFS":
                return _LACKING | {0}
            case "QBUF" | "PREPARE_BUF":
                state = self.states.get(step.number, BufferState.FREED)
                action = Action.QBUF if step.op == "QBUF" else Action.PREPARE
                return frozenset({0} if (state, action) in TRANSITIONS else {errno.EINVAL})
            case "QUERYBUF" | "EXPBUF":
                return frozenset({0} if step.number in self.states else {errno.EINVAL})
            case "DQBUF" if not self.streaming:
                return frozenset({errno.EINVAL})
            case "DQBUF":
                return frozenset({errno.EAGAIN} | ({0} if self.in_driver() else set()))
            case "STREAMON" if not self.streaming:
                # A driver may want more buffers than there are, or more of them queued.
                return _LACKING | ({0, errno.EINVAL} if self.states else {errno.EINVAL})
        return frozenset({0})

    def in_driver(self) -> set[int]:
        """The buffers that are queued."""
        return {index for index, state in self.states.items() if state is BufferState.QUEUED}

    def done(self, step: Step, answer: int) -> None:
        """Note that a call succeeded.

        Args:
            step: the call.
            answer: how many buffers there are now, or the index that DQBUF gave.
        """
        match step.op:
            case "REQBUFS":
                self.states = dict.fromkeys(range(answer), BufferState.DEQUEUED)
                self.owner, self.streaming = (step.handle if answer else None), False
            case "CREATE_BUFS":
                new = range(len(self.states), answer)
                self.states.update(dict.fromkeys(new, BufferState.DEQUEUED))
                self.owner = step.handle
            case "QBUF" | "PREPARE_BUF" | "DQBUF":
                index = answer if step.op == "DQBUF" else step.number
                action = {"QBUF": Action.QBUF, "DQBUF": Action.DQBUF}.get(step.op, Action.PREPARE)
                self.states[index] = TRANSITIONS[self.states[index], action]
            case "STREAMON":
                self.streaming = True
            case "STREAMOFF":
                self.states = {i: TRANSITIONS[s, Action.STREAMOFF] for i, s in self.states.items()}
                self.streaming = False
            case "close" if self.owner == step.handle:
                self.states, self.owner, self.streaming = {}, None, False


class Player:
    """Two handles of a node, and what is done with them.

    Args:
        target: the device; its MMAP queue is used.
    """

    def __init__(self, target: Target) -> None:
        self._target, self._type = target, target.type
        with target.open() as device:
            self._format = target.format(device.node)
        self._handles = [open_node(target.path)]
        try:
            self._handles.append(open_node(target.path))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close both, which frees all buffers."""
        for handle in self._handles:
            handle.close()

    def play(self, step: Step) -> int:
        """Make a call; returns what :meth:`Model.done` wants. KernelError: it failed."""
        fd, type, memory = self._handles[step.handle], self._type, Memory.MMAP
        match step.op:
            case "REQBUFS":
                return calls.reqbufs(fd, type, memory, step.number).count
            case "CREATE_BUFS":
                made = self._target.create_bufs(fd, memory, 1, self._format)
                return made.index + made.count
            case "QUERYBUF":
                calls.querybuf(fd, type, memory, step.number)
            case "QBUF":
                calls.qbuf(fd, self._arg(step.number))
            case "PREPARE_BUF":
                calls.prepare_buf(fd, self._arg(step.number))
            case "DQBUF":
                arg = BufferArg(type, memory)
                if not calls.dqbuf(fd, arg):
                    raise fd.error_of(errno.EAGAIN, "VIDIOC_DQBUF")
                return arg.dequeued().buffer_index
            case "EXPBUF":
                calls.expbuf(fd, type, step.number).close()
            case "STREAMON":
                calls.streamon(fd, type)
            case "STREAMOFF":
                calls.streamoff(fd, type)
            case "close":
                fd.close()
                self._handles[step.handle] = open_node(self._target.path)
        return 0

    def _arg(self, index: int) -> BufferArg:
        arg = BufferArg(self._type, Memory.MMAP, index)
        arg.set_num_planes(len(self._format.planes))
        if not self._target.captures:
            for plane, one in enumerate(self._format.planes):
                arg.set_payload(plane, one.sizeimage)
        return arg

    def wrong_flags(self, model: Model) -> str | None:
        """What QUERYBUF says of a buffer that is not so."""
        fd: Fd = self._handles[model.owner or 0]
        for index, state in model.states.items():
            flags = calls.querybuf(fd, self._type, Memory.MMAP, index).flags
            if bool(flags & _IN_DRIVER) != (state is BufferState.QUEUED):
                return f"QUERYBUF tells {flags!r} of buffer {index}, which is {state.value}"
            if bool(flags & BufFlag.PREPARED) != (state is BufferState.PREPARED):
                return f"QUERYBUF tells {flags!r} of buffer {index}, which is {state.value}"
        return None


def fault(target: Target, steps: Sequence[Step], lacking: frozenset[str]) -> str | None:
    """Play a sequence; returns what the driver answered wrongly, and what was right.

    Args:
        target: the device.
        steps: the calls.
        lacking: ioctls that the driver does not have.
    """
    model = Model()
    with contextlib.closing(Player(target)) as player:
        for step in steps:
            if step.op in lacking:
                continue
            may = model.allowed(step)
            try:
                answer, came = player.play(step), 0
            except KernelError as error:
                answer, came = 0, error.errno or errno.EIO
            if came in _LACKING & may:
                return None  # REQBUFS may have freed the buffers of before: what comes next is not known
            if came not in may:
                return f"{step}: {_said({came})} came in place of {_said(may)}"
            if not came:
                if step.op == "DQBUF" and answer not in model.in_driver():
                    return f"{step}: it gave buffer {answer}, which was not queued"
                model.done(step, answer)
            wrong = player.wrong_flags(model)
            if wrong is not None:
                return f"{step}: {wrong}"
    return None


def _said(numbers: set[int] | frozenset[int]) -> str:
    return " or ".join("success" if n == 0 else name_of(n) for n in sorted(numbers))


def drawn(rng: random.Random) -> list[Step]:
    """Draw a sequence; it begins with buffers, since most calls have nothing to say without any."""
    steps = [Step(0, "REQBUFS", rng.randint(1, 4))]
    for _ in range(rng.randint(4, 16)):
        op = rng.choice(_OPS)
        number = rng.randrange(5 if op == "REQBUFS" else _INDICES)
        handle = int(rng.random() < 0.2)
        steps.append(Step(handle, op, number if op in _NUMBERED else 0))
    return steps


def shortened(steps: list[Step], is_wrong: Callable[[list[Step]], bool]) -> list[Step]:
    """Leave out each step without which the sequence is answered wrongly all the same."""
    index = 0
    while index < len(steps):
        fewer = steps[:index] + steps[index + 1 :]
        if is_wrong(fewer):
            steps = fewer
        else:
            index += 1
    return steps


def search(target: Target, rng: random.Random, go_on: Iterator[object]) -> tuple[str, list[Step]] | None:
    """Play random sequences while ``go_on`` has items; returns the first fault and its steps, shortened."""
    lacking = frozenset(
        name
        for name, there in (("CREATE_BUFS", Step(0, "CREATE_BUFS")), ("PREPARE_BUF", Step(0, "PREPARE_BUF")))
        if not _has(target, there)
    )
    for _ in go_on:
        steps = drawn(rng)
        found = fault(target, steps, lacking)
        if found is not None:
            steps = shortened(steps, lambda fewer: fault(target, fewer, lacking) is not None)
            return fault(target, steps, lacking) or found, steps
    return None


def _has(target: Target, step: Step) -> bool:
    with contextlib.closing(Player(target)) as player:
        try:
            player.play(step)
        except KernelError as error:
            return error.errno != errno.ENOTTY
        return True


def script(target: Target, steps: Sequence[Step]) -> list[str]:
    """The lines of a program that makes the same calls and prints what comes."""
    return [
        "from vb2user.errors import KernelError",
        "from vb2user.validate.examination import examine",
        "from vb2user.validate.model import Player, Step",
        "from vb2user.uapi.enums import BufType",
        "",
        f"player = Player(examine({target.path!r}, BufType.{target.type.name}))",
        "",
        "def step(*what):",
        "    try:",
        "        print(*what, player.play(Step(*what)))",
        "    except KernelError as error:",
        "        print(*what, error)",
        "",
        *map(str, steps),
        "player.close()",
    ]

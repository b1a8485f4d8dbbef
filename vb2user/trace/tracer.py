"""Beside the layers: a tracer of the kernel's mem op calls, with two independent witnesses.

The function tracer notes each call of an op. The probes note its arguments and its return value. Both use a
separate instance of tracefs (:mod:`.tracefs`), which disturbs no other tracer and is removed on every way
out. :mod:`.ledger` derives the references from the events.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TextIO

from vb2user import checks
from vb2user.errors import ClosedError, MissingPrerequisiteError, UsageError
from vb2user.memory.ops import ALLOCATORS
from vb2user.trace import tracefs
from vb2user.trace.events import ENTRY, EXIT, Event, EventKind, marker, parse
from vb2user.trace.probes import FUNCTIONS, Probe, private_data_offset, probes
from vb2user.trace.tracefs import TraceInstance

#: Bytes asked of trace_pipe at once; the kernel gives a page or two.
_CHUNK = 1 << 16
#: Kilobytes of the kernel's buffer for events, for each CPU.
BUFFER_KB = 4096
#: The number of concurrent calls of one function whose returns the kernel can note.
_MAXACTIVE = 64
#: Events that tell a thread's process and its name. The kernel's own notes (record-tgid) lack both for a
#: thread that never slept while it was traced.
_TASK_EVENTS = ("task/task_newtask", "task/task_rename", "sched/sched_process_free")


def available() -> str | None:
    """Return why the kernel's calls cannot be traced here, with a hint; None if they can."""
    try:
        tracefs.find()
    except MissingPrerequisiteError as error:
        return str(error)
    return None


class Tracer:
    """Traces the mem ops of the whole machine during a ``with`` block.

        with Tracer() as tracer:
            with tracer.phase("allocate"):
                queue.allocate(4)
            ledger = Ledger(tracer.collect())
        ledger.calls(Op.ALLOC, phase="allocate")

    Args:
        allocators: names of those to watch; None: all whose modules are loaded.
        pids: trace only these threads and their children. ``put``, ``finish`` and ``vaddr`` also run in
            kernel threads, and in the process that closes the last fd.
        buffer_kb: of the kernel's buffer, for each CPU.
        use_probes: False: only the function tracer counts, as on a kernel without probes.
        raw: a text file that gets every line of the trace as it is.

    Attributes:
        functions: the functions that the function tracer watches.
        probed: the functions that the probes watch; empty if the kernel has no probes.
    """

    def __init__(
        self,
        allocators: Iterable[str] | None = None,
        *,
        pids: Iterable[int] = (),
        buffer_kb: int = BUFFER_KB,
        use_probes: bool = True,
        raw: TextIO | None = None,
    ) -> None:
        names = list(ALLOCATORS) if allocators is None else list(allocators)
        unknown = ", ".join(n for n in names if n not in ALLOCATORS)
        if unknown or not names:
            raise UsageError(f"no such allocator: {unknown or '(none)'}; there are {', '.join(ALLOCATORS)}")
        # Without the offset, the owner of an unmapped buffer is not known, so no allocator may be left out.
        self._private_data = private_data_offset()
        self._allocators = [ALLOCATORS[n] for n in (ALLOCATORS if self._private_data is None else names)]
        self._pids = sorted(set(pids))
        self._buffer_kb = checks.count(buffer_kb, "buffer_kb", least=1, most=checks.S32)
        self._use_probes = use_probes
        self._raw = raw
        self._instance: TraceInstance | None = None
        self._pipe = self._marker = -1
        self._names: dict[str, tuple[EventKind, str]] = {}
        self._rest = b""
        self._pending: list[Event] = []
        self._said_lost = self._said_missed = 0
        self.functions: frozenset[str] = frozenset()
        self.probed: frozenset[str] = frozenset()

    # -- life ---------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to trace.

        Raises:
            MissingPrerequisiteError: :func:`available` says why, or no allocator's module is loaded.
        """
        root = tracefs.find()
        tracefs.sweep(root)
        try:
            # Assigned before it is made: an interrupt in between leaves nothing behind.
            self._instance = TraceInstance.new(root)
            self._instance.create()
            self._set_up(self._instance)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                where = f"{error.filename}: " if error.filename else ""
                raise MissingPrerequisiteError(
                    f"the kernel's tracing could not be set up: {where}{error.strerror}",
                    hint="another tracer may be in its way, or the buffer be too large for this machine",
                ) from None
            raise

    def _set_up(self, instance: TraceInstance) -> None:
        instance.set("tracing_on", 0)
        # CLOCK_MONOTONIC: the clock of the program's own time.monotonic_ns().
        instance.set("trace_clock", "mono")
        instance.set("buffer_size_kb", self._buffer_kb)
        for option, on in (
            ("options/irq-info", 0),
            ("options/record-tgid", 1),
            ("options/func-args", 0),
            ("buffer_percent", 0),
        ):
            instance.option(option, on)
        self._watch_functions(instance)
        # Open as long as the instance exists: the open file marks the instance as in use. (While it is open,
        # the kernel does not change the tracer.)
        self._pipe = os.open(instance.path / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._marker = os.open(instance.path / "trace_marker", os.O_WRONLY | os.O_CLOEXEC)
        if self._use_probes:
            self._watch_probes(instance)
        for event in _TASK_EVENTS:
            instance.set(f"events/{event}/enable", 1)
        if self._pids:
            pids = " ".join(map(str, self._pids))
            for name, value in (
                ("options/function-fork", "1"),
                ("options/event-fork", "1"),
                ("set_ftrace_pid", pids),
                ("set_event_pid", pids),
            ):
                instance.set(name, value)
        # Both witnesses begin at the same moment.
        instance.set("tracing_on", 1)

    def _wanted(self) -> list[Probe]:
        return list(probes(self._allocators, self._private_data))

    def _watch_functions(self, instance: TraceInstance) -> None:
        there = instance.traceable({p.function for p in self._wanted()})
        if there.keys().isdisjoint(FUNCTIONS):
            names = ", ".join(a.module for a in self._allocators)
            raise MissingPrerequisiteError(
                f"no videobuf2 allocator is loaded (looked for {names})",
                hint="load the device's driver first",
            )
        instance.filter(there)
        self.functions = frozenset(there)
        instance.set("current_tracer", "function")

    def _watch_probes(self, instance: TraceInstance) -> None:
        probed = set()
        tag = instance.group.removeprefix("vb2user")
        for probe in self._wanted():
            if probe.function in self.functions and self._add(instance, probe, tag):
                probed.add(probe.function)
        if probed != self.functions:
            # Some probes without the others are useless: they would see references taken, but not given back.
            return
        try:
            instance.set(f"events/{instance.group}/enable", 1)
        except OSError:
            return
        self.probed = frozenset(probed)

    def _add(self, instance: TraceInstance, probe: Probe, tag: str) -> bool:
        # kprobe_profile lists the names of the whole machine, so they have this instance's tag as well.
        entry, exit_ = f"{probe.function}{ENTRY}{tag}", f"{probe.function}{EXIT}{tag}"
        if not instance.add_probe(f"p:{instance.group}/{entry} {probe.function} {probe.arguments}"):
            return False
        self._names[entry] = (EventKind.ENTER, probe.function)
        if probe.returns is None:
            return True
        fetch = f" ret=$retval:{probe.returns}" if probe.returns else ""
        if not instance.add_probe(f"r{_MAXACTIVE}:{instance.group}/{exit_} {probe.function}{fetch}"):
            return False
        self._names[exit_] = (EventKind.RETURN, probe.function)
        return True

    def close(self) -> None:
        """Stop, and remove everything from tracefs. Idempotent; events that were not collected are lost."""
        # The kernel waits for running probes, which takes a while. A Ctrl-C would leave half of them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        try:
            for fd in (self._pipe, self._marker):
                if fd >= 0:
                    os.close(fd)
            self._pipe = self._marker = -1
            instance, self._instance = self._instance, None
            if instance is not None:
                instance.remove()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __enter__(self) -> Tracer:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> TraceInstance:
        if self._instance is None:
            raise ClosedError("the tracer is closed", hint='use it inside of "with Tracer() as tracer:"')
        return self._instance

    # -- the program's own words in the trace -------------------------------------------------------

    def mark(self, text: str) -> None:
        """Write a word into the trace, between the kernel's calls before and after it."""
        self._write(EventKind.MARK, text)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Assign the kernel's calls inside the block to the phase ``name``; phases may be nested."""
        self._write(EventKind.BEGIN, name)
        try:
            yield
        finally:
            self._write(EventKind.END, name)
            # From time to time, so that the kernel's buffer need not hold all events until they are
            # collected.
            self._drain()

    def _write(self, what: EventKind, text: str) -> None:
        self._opened()
        os.write(self._marker, marker(what, text))

    # -- what was seen ------------------------------------------------------------------------------

    def fileno(self) -> int:
        """Return a file descriptor that is readable when there are events."""
        self._opened()
        return self._pipe

    def wait(self, timeout: float) -> bool:
        """Wait until there are events; False after ``timeout`` seconds without."""
        timeout = checks.number(timeout, "timeout", least=0)
        if self._pending:
            return True
        poller = select.poll()
        poller.register(self.fileno(), select.POLLIN)
        return bool(poller.poll(min(int(timeout * 1000 + 0.999), checks.S32)))

    def collect(self) -> list[Event]:
        """Return every event since the last call, in order.

        The first event is a WATCH with the watched functions; LOST and MISSED are at the end.
        """
        instance = self._opened()
        self._drain()
        found, self._pending = self._pending, []
        now = time.monotonic_ns()
        found.insert(
            0,
            Event(
                EventKind.WATCH,
                found[0].time_ns if found else now,
                functions=self.functions,
                probed=self.probed,
            ),
        )
        told = sum(int(e.values["count"]) for e in found if e.what is EventKind.LOST)
        self._said_lost += told
        lost, missed = instance.losses() - self._said_lost, instance.missed() - self._said_missed
        if lost > 0:
            self._said_lost += lost
            found.append(Event(EventKind.LOST, now, values={"count": lost}))
        if missed > 0:
            self._said_missed += missed
            found.append(Event(EventKind.MISSED, now, values={"count": missed}))
        return found

    def _drain(self) -> None:
        while True:
            try:
                data = os.read(self._pipe, _CHUNK)
            except BlockingIOError:
                return
            if not data:  # tracing was switched off from outside
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                text = line.decode(errors="replace")
                if self._raw is not None:
                    self._raw.write(f"{text}\n")
                event = parse(text, self._names)
                if event is not None:
                    self._pending.append(event)

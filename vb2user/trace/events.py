"""Beside the layers: the events of a trace, and the parser of ``trace_pipe``'s lines.

This module converts text to events. It knows the kernel's format, but opens no file.

Source: https://docs.kernel.org/trace/ftrace.html ("Output format"), https://docs.kernel.org/trace/kprobetrace.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import quote, unquote


class EventKind(str, Enum):
    """The kind of an event."""

    WATCH = "watch"
    ENTER = "enter"
    RETURN = "return"
    FUNCTION = "function"
    BEGIN = "begin"
    END = "end"
    MARK = "mark"
    TASK = "task"
    NAME = "name"
    FREE = "free"
    LOST = "lost"
    MISSED = "missed"

    __str__ = str.__str__


@dataclass(frozen=True)
class Event:
    """One event in the kernel, or one about the trace itself.

    ==========  ==============================================================================
    what        means
    ==========  ==============================================================================
    WATCH       from here on these functions are watched (``functions``, ``probed``)
    ENTER       a probe: ``function`` was entered; ``values`` are its arguments
    RETURN      a probe: it returned; ``values["ret"]``
    FUNCTION    the function tracer, the other witness: it was entered, called by ``text``
    BEGIN, END  a phase, named ``text``
    MARK        a word of the program's own
    TASK        fork, vfork, clone: the new thread ``values["child"]``, named ``text``; ``values["thread"]``
                is 1 where it belongs to the same process, 0 where it is a new process
    NAME        exec, prctl: the thread ``values["tid"]`` is named ``text`` from now on
    FREE        the thread ``values["tid"]`` is gone, and its number free
    LOST        ``values["count"]`` events were lost
    MISSED      ``values["count"]`` hits of probes were missed
    ==========  ==============================================================================

    Attributes:
        what: see above.
        time_ns: the time on ``CLOCK_MONOTONIC`` (:func:`time.monotonic_ns`), to the microsecond.
        tid: the thread that was running.
        tgid: its process; None if the kernel did not note it.
        comm: the thread's name.
        cpu: the CPU's number.
        function: of ENTER, RETURN and FUNCTION.
        values: the values that the probe fetched.
        text: see above.
        functions, probed: of WATCH.
    """

    what: EventKind
    time_ns: int = 0
    tid: int = 0
    tgid: int | None = None
    comm: str = ""
    cpu: int = 0
    function: str = ""
    values: Mapping[str, int | str] = field(default_factory=dict)
    text: str = ""
    functions: frozenset[str] = frozenset()
    probed: frozenset[str] = frozenset()

    @property
    def process(self) -> int:
        """The process, or the thread if the kernel did not note its process."""
        return self.tid if self.tgid is None else self.tgid


# A thread's name may hold any character but NUL, so it may also look like this pattern. The greedy group
# takes the last match, and this library chooses the text after an event's time.
_LINE = re.compile(
    r"\s*(?P<comm>.*)-(?P<tid>\d+)\s+(?:\(\s*(?P<tgid>\d+|-+)\)\s+)?\[(?P<cpu>\d+)\]\s+(?:\S{4,6}\s+)?"
    r"(?P<s>\d+)\.(?P<us>\d{6}): (?P<event>.*)",
    re.DOTALL,
)
_FUNCTION = re.compile(r"([\w.]+) <-(\S+)")
_PROBE = re.compile(r"(\w+): \([^)]*\)(.*)", re.DOTALL)
_VALUE = re.compile(r' (\w+)=("(?:[^"]*)"|\S+)')
_TASK = re.compile(r"task_newtask: pid=(\d+) comm=(.*) clone_flags=([0-9a-f]+) oom_score_adj=.*", re.DOTALL)
# From Linux 6.15 the number is not printed: it is that of the running thread.
_NAME = re.compile(r"task_rename: (?:pid=(\d+) )?oldcomm=.* newcomm=(.*) oom_score_adj=.*", re.DOTALL)
_FREE = re.compile(r"sched_process_free: comm=.* pid=(\d+) prio=.*", re.DOTALL)
#: <linux/sched.h>: the new task is a thread of the same process.
_CLONE_THREAD = 0x10000
_LOST = re.compile(r"CPU:(\d+) \[LOST (\d+) EVENTS\]")
_MARK = re.compile(r"\w+: vb2user (begin|end|mark) (\S*)")

#: What the names of a probe's two events end with.
ENTRY, EXIT = "__in", "__out"


def marker(what: EventKind, text: str) -> bytes:
    """Return the text for ``trace_marker``, quoted, so that no text can look like an event."""
    return f"vb2user {what} {quote(text, safe='')[:900]}".encode()


def parse(line: str, names: Mapping[str, tuple[EventKind, str]]) -> Event | None:
    """Parse one line of ``trace_pipe``.

    Args:
        line: without its newline.
        names: what the probes' events are called: the event's name to ENTER or RETURN and the function.

    Returns:
        The event; None if the line is not an event of this library.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        lost = _LOST.fullmatch(line.strip())
        if lost is None:
            return None
        return Event(EventKind.LOST, cpu=int(lost[1]), values={"count": int(lost[2])})
    text = match["event"]
    found = _what(text, names)
    if found is None:
        return None
    what, function, values, said = found
    tgid = match["tgid"]
    return Event(
        what,
        int(match["s"]) * 1_000_000_000 + int(match["us"]) * 1_000,
        int(match["tid"]),
        int(tgid) if tgid and tgid.isdigit() else None,
        match["comm"],
        int(match["cpu"]),
        function,
        values,
        said,
    )


def _what(
    text: str, names: Mapping[str, tuple[EventKind, str]]
) -> tuple[EventKind, str, Mapping[str, int | str], str] | None:
    if called := _FUNCTION.match(text):
        return EventKind.FUNCTION, called[1], {}, called[2]
    probe = _PROBE.fullmatch(text)
    if probe is not None and probe[1] in names:
        what, function = names[probe[1]]
        return what, function, {key: number(value) for key, value in _VALUE.findall(probe[2])}, ""
    if mark := _MARK.match(text):
        return EventKind(mark[1]), "", {}, unquote(mark[2])
    return _task(text)


def _task(text: str) -> tuple[EventKind, str, Mapping[str, int | str], str] | None:
    if new := _TASK.fullmatch(text):
        values = {"child": int(new[1]), "thread": int(bool(int(new[3], 16) & _CLONE_THREAD))}
        return EventKind.TASK, "", values, new[2]
    if named := _NAME.fullmatch(text):
        return EventKind.NAME, "", {"tid": int(named[1])} if named[1] else {}, named[2]
    if gone := _FREE.fullmatch(text):
        return EventKind.FREE, "", {"tid": int(gone[1])}, ""
    return None


def number(text: str) -> int | str:
    """Convert a fetched value to a number if it is one; else return the text, without quotes."""
    try:
        return int(text, 0)
    except ValueError:
        return text.strip('"')

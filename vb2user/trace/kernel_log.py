"""Beside the layers: the kernel's log, and the reports of trouble in it: warnings, oopses, lockdep, KASAN.

:class:`KernelLog` reads ``/dev/kmsg``; :func:`reports` finds the reports in what it read, or in the file that
:func:`parse` reads. Only lines with the kernel's own facility count, because a program may write to the log,
too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from vb2user.errors import MissingPrerequisiteError

KMSG = "/dev/kmsg"
#: The names that dmesg(1) has for syslog's facilities and levels.
_FACILITIES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron")
_LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
#: More than the longest record (CONSOLE_EXT_LOG_MAX): a smaller buffer gets EINVAL.
_RECORD = 1 << 14
_LINE = re.compile(r"(\w+) *:(\w+) *: \[ *(\d+\.\d+)\] (.*)")


@dataclass(frozen=True)
class Line:
    """One line of the log. Its text is the same as in ``dmesg --decode``.

    Attributes:
        facility: ``kern`` for the kernel itself.
        level: ``emerg`` to ``debug``.
        time: seconds since the boot.
        text: the message.
    """

    facility: str
    level: str
    time: float
    text: str

    def __str__(self) -> str:
        return f"{self.facility:<6}:{self.level:<6}: [{self.time:12.6f}] {self.text}"


def lines_of(record: bytes) -> Iterator[Line]:
    """Return the lines of one record of ``/dev/kmsg``.

    Source: https://docs.kernel.org/admin-guide/abi-testing-files.html (dev-kmsg).
    """
    head, _, body = record.decode(errors="replace").partition(";")
    priority, _, microseconds, *_ = (*head.split(","), "0", "0", "0")
    facility, level = divmod(int(priority), 8)
    name = _FACILITIES[facility] if facility < len(_FACILITIES) else str(facility)
    # Lines after the first are the record's properties. The kernel escapes characters that are not printable,
    # also line ends.
    for text in body.partition("\n")[0].split("\\x0a"):
        yield Line(name, _LEVELS[level], int(microseconds) / 1e6, text)


def parse(text: str) -> list[Line]:
    """Return the lines of a file that holds the log as :class:`Line` writes it; other lines are left out."""
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return [Line(m[1], m[2], float(m[3]), m[4]) for m in found if m]


class KernelLog:
    """The kernel's log, read as it grows.

    Args:
        path: where it is; None: :data:`KMSG`.
        from_start: also read the old records; else only the records from now on.

    Attributes:
        lost: how often the kernel dropped records before they were read.

    Raises:
        MissingPrerequisiteError: this user may not read the log; the hint says who may.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, from_start: bool = False) -> None:
        path = KMSG if path is None else path
        self.lost = 0
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if not from_start:
                os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            self.close()
            raise MissingPrerequisiteError(
                f"the kernel's log {os.fspath(path)} cannot be read: {error.strerror}",
                hint="root can read it (CAP_SYSLOG)",
            ) from None

    def fileno(self) -> int:
        """Return the file descriptor, which is readable when there are more records."""
        return self._fd

    def read(self, most: int = 100_000) -> list[Line]:
        """Return the records since the last read, at most so many. It does not wait."""
        found: list[Line] = []
        for _ in range(most):
            try:
                record = os.read(self._fd, _RECORD)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.EPIPE:  # records were overwritten; the next read goes on behind them
                    raise
                self.lost += 1
                continue
            if not record:
                break
            found += lines_of(record)
        return found

    def close(self) -> None:
        """Close the log. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> KernelLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# -- reports -----------------------------------------------------------------------------------------

_CUT = re.compile(r"-+\[ cut here \]-+")
_END = re.compile(r"---\[ end trace")
_FENCE = re.compile(r"={20,}")
_TRACE = re.compile(r"call trace:", re.IGNORECASE)
#: How a report begins. "WARNING:" counts only at the begin: "Spectre V2 : WARNING: …" at boot is about a
#: setting.
_HEAD = re.compile(
    r"WARNING: "  # WARN(), lockdep, RCU
    r"|(?:[\w ]+: )?BUG: "  # bad accesses, KASAN, KCSAN, KFENCE, soft lockups
    r"|BUG [\w-]+ .*: "  # SLUB
    r"|(?:[\w ]+: )?INFO: (?:task .* blocked|.*stall|possible|trying to register|inconsistent|suspicious)"
    r"|(?:Oops|refcount_t|UBSAN|ODEBUG|Internal error): "
    r"|(?:kernel|Kernel) BUG at "
    r"|Kernel panic - not syncing"
    r"|(?:general protection fault|divide error|invalid opcode|stack segment|double fault)\b"
    r"|Unable to handle kernel "
    r"|list_(?:add|del) corruption"
    r"|kmemleak: \d+ new suspected memory leak"
    r"|[Cc]all [Tt]race:"
)
#: Lines with registers, code and the like, which a summary leaves out.
_NOISE = re.compile(
    r"Modules linked in|CPU: |Hardware name|Code: |[A-Z]S: |<|Tainted|\[last unloaded"
    r"|(?!RIP|BUG)[A-Z0-9_]{2,8}: ?[0-9a-f]{4,}"  # registers
)
#: The lines of a report without an end mark: they follow each other within this time, up to this number.
_PAUSE = 1.0
_MOST_LINES = 200


@dataclass
class KernelReport:
    """One report of trouble.

    Attributes:
        lines: all lines of the report.
    """

    lines: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The report's subject, in one line."""
        return self.first_lines(1)[0]

    def first_lines(self, most: int = 8) -> list[str]:
        """The first lines, without registers and the like."""
        telling = [t for t in self.lines if t.strip() and not (_CUT.match(t) or _FENCE.match(t))]
        plain = [text for text in telling if not _NOISE.match(text.strip())]
        return (plain or telling or self.lines)[:most]

    def __str__(self) -> str:
        return "\n".join(self.lines)


def reports(lines: Iterable[Line]) -> list[KernelReport]:
    """Find the reports of trouble among the lines of the log, in their order."""
    found = _Finder()
    for line in lines:
        if line.facility == "kern":  # a program cannot write as the kernel
            found.take(line)
    return found.reports


#: Driver -> text of a report -> its cause. These faults of stock drivers concern no buffer (docs/kernels.md).
KNOWN: dict[str, dict[str, str]] = {
    "sur40": {"__dma_map_sg_attrs": "the stock driver's device has had no dma_mask since Linux 5.10"},
    "vivid": {"vivid_thread_vid_": "a thread of vivid that is late asks the scheduler for a negative time"},
}
#: The same, of every driver.
KNOWN_OF_ALL = {
    "mm/page_alloc.c": "a buffer is larger than what the page allocator has in one piece",
    "__vmalloc_node_range": "a buffer is larger than the memory",
}


def known_reports(driver: str) -> dict[str, str]:
    """What is known of a driver's reports: a text in them, and why they come."""
    return {**KNOWN_OF_ALL, **KNOWN.get(driver, {})}


@dataclass
class Trouble:
    """The kernel's reports during the block of :func:`watched`; complete when the block has ended.

    Attributes:
        reports: the reports, whatever device they are of.
        unread: why the log was not read completely; None if it was.
        driver: the driver of the device in use: its :data:`KNOWN` reports are remarks, not faults.
    """

    reports: list[KernelReport] = field(default_factory=list)
    unread: str | None = None
    driver: str = ""

    @property
    def faults(self) -> list[str]:
        """The reports that are not known, a line each, with how often each came."""
        times = Counter(report.title for report in self.reports if self._known(report) is None)
        return [
            f"the kernel reported meanwhile: {title}" + (f" ({count} times)" if count > 1 else "")
            for title, count in times.items()
        ]

    @property
    def remarks(self) -> list[str]:
        """The known reports, a line for each kind, and why the log was not read. These are not faults."""
        known = dict.fromkeys(filter(None, map(self._known, self.reports)))
        lines = [
            f"the kernel reported {text} meanwhile: {known_reports(self.driver)[text]}" for text in known
        ]
        return lines if self.unread is None else [*lines, self.unread]

    def _known(self, report: KernelReport) -> str | None:
        return next((text for text in known_reports(self.driver) if text in str(report)), None)

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {
            "reports": [str(report) for report in self.reports],
            "faults": self.faults,
            "unread": self.unread,
        }


@contextlib.contextmanager
def watched() -> Iterator[Trouble]:
    """Collect the kernel's reports until the block ends. This needs root; else ``unread`` has the reason."""
    trouble = Trouble()
    try:
        log = KernelLog()
    except MissingPrerequisiteError as error:
        trouble.unread = str(error)
        yield trouble
        return
    with log:
        try:
            yield trouble
        finally:
            trouble.reports = reports(log.read())
            if log.lost:
                trouble.unread = "the kernel dropped records of its log before they were read"


class _Finder:
    """Combines the lines of a log into reports."""

    def __init__(self) -> None:
        self.reports: list[KernelReport] = []
        self._open = False
        self._fence: str | None = None  # the line before, if it was one
        self._fenced = self._traced = False
        self._last = 0.0

    def take(self, line: Line) -> None:
        text = line.text
        fence, self._fence = self._fence, None
        if self._open and (line.time - self._last > _PAUSE or len(self._lines) >= _MOST_LINES):
            self._open = False
        self._last = line.time
        if _CUT.match(text):
            self._begin([text])
        elif _FENCE.match(text):
            if self._open and self._fenced:
                self._lines.append(text)
                self._open = False
            else:
                self._fence = text
        elif _HEAD.match(text) and self._is_new(text, fence):
            self._begin([text] if fence is None else [fence, text])
            self._fenced = fence is not None
        elif self._open:
            self._lines.append(text)
            self._open = not _END.match(text)
        self._traced = self._open and (self._traced or bool(_TRACE.match(text)))

    @property
    def _lines(self) -> list[str]:
        return self.reports[-1].lines

    def _is_new(self, text: str, fence: str | None) -> bool:
        """Tell whether a line begins a new report. An oops has several such lines before its call trace."""
        return not self._open or fence is not None or (self._traced and not _TRACE.match(text))

    def _begin(self, lines: list[str]) -> None:
        self.reports.append(KernelReport(lines))
        self._open, self._fenced, self._traced = True, False, False


def read_file(path: str | os.PathLike[str]) -> list[Line]:
    """Return the lines of a log file; empty if the file does not exist."""
    with contextlib.suppress(FileNotFoundError):
        return parse(Path(path).read_text(encoding="utf-8", errors="replace"))
    return []

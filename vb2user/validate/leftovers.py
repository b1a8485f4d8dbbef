"""Beside the layers: memory of buffers that the kernel did not give back after a check.

The references that the trace shows may balance while memory is lost. So this module reads the kernel's own
counts, as far as it has them: dma-bufs, memory by vmalloc, pages of programs that are pinned.

Sources: https://docs.kernel.org/driver-api/dma-buf.html (bufinfo), https://docs.kernel.org/core-api/
pin_user_pages.html (the counters of /proc/vmstat).
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Seconds for which the kernel may take its time to give memory back: it does so in another thread.
_LATE = 1.0
_BUFINFO = re.compile(r"^\d+\s+[0-9a-f]+\s+[0-9a-f]+\s+\d+\s+(\S+)\s", re.MULTILINE)
_VMALLOC = re.compile(r"^\S+\s+(\d+) (vb2_\w+)\+", re.MULTILINE)
_PINNED = re.compile(r"^nr_foll_pin_(acquired|released) (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Leftovers:
    """What the kernel holds for buffers, counted.

    Attributes:
        bufinfo, vmallocinfo, vmstat, stat_refresh: files of the kernel that root alone may read or write.
    """

    bufinfo: Path = Path("/sys/kernel/debug/dma_buf/bufinfo")
    vmallocinfo: Path = Path("/proc/vmallocinfo")
    vmstat: Path = Path("/proc/vmstat")
    stat_refresh: Path = Path("/proc/sys/vm/stat_refresh")

    def now(self) -> Counter[str]:
        """Count everything that can be read here."""
        held: Counter[str] = Counter()
        with contextlib.suppress(OSError):
            held.update(f"dma-bufs of {name}" for name in _BUFINFO.findall(self.bufinfo.read_text()))
        with contextlib.suppress(OSError):
            for size, caller in _VMALLOC.findall(self.vmallocinfo.read_text()):
                held[f"bytes by {caller}()"] += int(size)
        with contextlib.suppress(OSError):
            self.stat_refresh.write_text("1")  # else each processor keeps some counts to itself
            counts = dict(_PINNED.findall(self.vmstat.read_text()))
            if len(counts) == 2:
                held["pinned pages"] = int(counts["acquired"]) - int(counts["released"])
        return held

    def more_than(self, before: Counter[str]) -> Counter[str]:
        """What there is more than before, when the kernel has had time to give it back."""
        deadline = time.monotonic() + _LATE
        while (more := self.now() - before) and time.monotonic() < deadline:
            time.sleep(0.05)  # no file of these can be waited for
        return more

    def lost(self, before: Counter[str], again: Callable[[], object]) -> list[str]:
        """What a check lost, in words.

        Another program may use buffers, too. So the check is tried twice more: what is lost each time, the
        check has lost.

        Args:
            before: what :meth:`now` said before the check.
            again: tries the check once more.
        """
        lost = self.more_than(before)
        for _ in range(2):
            if not lost:
                break
            start = self.now()
            again()
            lost &= self.more_than(start)
        return [f"{count} {what}" for what, count in sorted(lost.items())]

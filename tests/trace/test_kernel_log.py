"""The kernel's log: its records, its file, and the reports of trouble in it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vb2user.errors import MissingPrerequisiteError
from vb2user.trace import kernel_log
from vb2user.trace.kernel_log import (
    KernelLog,
    KernelReport,
    Line,
    lines_of,
    parse,
    read_file,
    reports,
    watched,
)


def log(text: str, start: float = 1.0) -> list[Line]:
    """Lines of the kernel, a millisecond apart."""
    return [Line("kern", "warn", start + n / 1000, line) for n, line in enumerate(text.strip().splitlines())]


def titles(found: list[KernelReport]) -> list[str]:
    return [report.title for report in found]


REFCOUNT = """
------------[ cut here ]------------
refcount_t: underflow; use-after-free.
WARNING: CPU: 1 PID: 412 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
Modules linked in: vivid videobuf2_vmalloc
CPU: 1 UID: 0 PID: 412 Comm: python Not tainted 6.12.0
Hardware name: QEMU
RIP: 0010:refcount_warn_saturate+0xba/0x110
Code: 01 01 e8
RSP: 0018:ffff9d3a00b17c98 EFLAGS: 00010286
Call Trace:
 <TASK>
 vb2_vmalloc_put+0x20/0x40 [videobuf2_vmalloc]
 </TASK>
---[ end trace 0000000000000000 ]---
"""
OOPS = """
BUG: kernel NULL pointer dereference, address: 0000000000000060
#PF: supervisor read access in kernel mode
Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI
CPU: 0 UID: 0 PID: 300 Comm: modprobe Not tainted 6.12.0
RIP: 0010:vivid_create_instance+0x1b/0x40 [vivid]
Call Trace:
 <TASK>
 vivid_probe+0x20/0x40 [vivid]
---[ end trace 0000000000000000 ]---
RIP: 0010:vivid_create_instance+0x1b/0x40 [vivid]
"""
LOCKDEP = """
======================================================
WARNING: possible circular locking dependency detected
6.12.0 #1 Not tainted
------------------------------------------------------
python/412 is trying to acquire lock:
stack backtrace:
Call Trace:
 <TASK>
 </TASK>
"""
KASAN = """
==================================================================
BUG: KASAN: slab-use-after-free in vb2_vmalloc_put+0x20/0x40
Read of size 8 at addr ffff888004 by task python/412

CPU: 0 UID: 0 PID: 412 Comm: python Not tainted 6.12.0
Call Trace:
 <TASK>
 </TASK>

Allocated by task 412:
==================================================================
"""
HUNG = """
INFO: task v4l2-ctl:300 blocked for more than 120 seconds.
      Not tainted 6.12.0 #1
"""


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (REFCOUNT, "refcount_t: underflow; use-after-free."),
        (OOPS, "BUG: kernel NULL pointer dereference, address: 0000000000000060"),
        (LOCKDEP, "WARNING: possible circular locking dependency detected"),
        (KASAN, "BUG: KASAN: slab-use-after-free in vb2_vmalloc_put+0x20/0x40"),
        (HUNG, "INFO: task v4l2-ctl:300 blocked for more than 120 seconds."),
        ("Call trace:\n dump_backtrace+0x0/0x1e8", "Call trace:"),
    ],
)
def test_a_report_of_several_lines_is_one_report(text: str, title: str) -> None:
    assert titles(reports(log(text))) == [title]


@pytest.mark.parametrize(
    "text",
    [
        "WARNING: suspicious RCU usage",
        "watchdog: BUG: soft lockup - CPU#0 stuck for 26s!",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "UBSAN: array-index-out-of-bounds in x.c:1:2",
        "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
        "BUG kmalloc-64 (Not tainted): Poison overwritten",
        "Unable to handle kernel paging request at virtual address 0",
        "Kernel panic - not syncing: Fatal exception",
    ],
)
def test_each_kind_of_report_is_known_by_its_first_line(text: str) -> None:
    assert titles(reports(log(text))) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "Linux version 6.12.0",
        "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible",
        "warning: `python' uses a deprecated interface",
        "ACPI BIOS Warning (bug): 32/64X length mismatch",
        "[Firmware Bug]: TSC not synchronous",
        "vivid-000: V4L2 capture device registered as video0",
        "uvcvideo 1-1:1.0: Non-zero status (-71) in video completion handler.",
    ],
)
def test_what_is_no_report(text: str) -> None:
    assert reports(log(text)) == []


def test_a_program_that_writes_to_the_log_is_not_the_kernel() -> None:
    assert reports([Line("user", "warn", 1.0, "WARNING: CPU: 0 PID: 1 at x.c:1")]) == []


def test_reports_that_follow_each_other_are_told_apart() -> None:
    text = REFCOUNT + REFCOUNT.strip() + OOPS + KASAN.lstrip() + LOCKDEP.lstrip() + "usb 1-1: new device"
    assert [title.split()[0] for title in titles(reports(log(text)))] == [
        "refcount_t:", "refcount_t:", "BUG:", "BUG:", "WARNING:",
    ]  # fmt: skip


def test_a_report_without_an_end_ends_with_a_pause() -> None:
    (report,) = reports(log(HUNG) + log("usb 1-1: new device", start=9.0))
    assert report.lines == HUNG.strip().splitlines()


def test_the_first_lines_leave_out_registers() -> None:
    (report,) = reports(log(REFCOUNT))
    assert report.first_lines(4) == [
        "refcount_t: underflow; use-after-free.",
        "WARNING: CPU: 1 PID: 412 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110",
        "RIP: 0010:refcount_warn_saturate+0xba/0x110",
        "Call Trace:",
    ]
    assert str(report) == REFCOUNT.strip()


def test_a_record_of_kmsg() -> None:
    record = b"4,1234,5678901,-,caller=T1;two\\x0alines\n SUBSYSTEM=usb\n"
    assert [str(line) for line in lines_of(record)] == [
        "kern  :warn  : [    5.678901] two",
        "kern  :warn  : [    5.678901] lines",
    ]
    assert [line.facility for line in lines_of(b"12,1,1,-;written by a program\n")] == ["user"]
    assert [line.facility for line in lines_of(b"190,1,1,-;local7\n")] == ["23"]


def test_the_file_reads_back(tmp_path: Path) -> None:
    lines = [*log(OOPS), Line("user", "info", 123456.5, "systemd: x")]
    path = tmp_path / "kernel.log"
    path.write_text("".join(f"{line}\n" for line in lines) + "no line of the log\n")
    assert read_file(path) == lines == parse(path.read_text())
    assert read_file(tmp_path / "none") == []


def test_what_was_overwritten_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[bytes | int] = [b"6,1,1,-;a\n", errno.EPIPE, b"6,9,2,-;b\n", errno.EAGAIN]

    def read(fd: int, size: int) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, int):
            raise OSError(answer, os.strerror(answer))
        return answer

    with KernelLog(os.devnull) as log, monkeypatch.context() as patched:
        patched.setattr(os, "read", read)
        assert [line.text for line in log.read()] == ["a", "b"]
        assert log.lost == 1


def test_what_is_reported_while_a_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kmsg"
    path.write_text("4,1,1,-;BUG: long ago\n")
    monkeypatch.setattr(kernel_log, "KMSG", path)
    with watched() as trouble, path.open("a") as kmsg:
        kmsg.write("4,2,2,-;WARNING: now\n")
    assert titles(trouble.reports) == ["WARNING: now"]
    assert trouble.unread is None
    assert trouble.faults == ["the kernel reported meanwhile: WARNING: now"]


def test_what_cannot_be_read_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_log, "KMSG", tmp_path / "none")
    with watched() as trouble:
        pass
    assert trouble.reports == trouble.faults == []
    assert "root can read it" in (trouble.unread or "")


def test_a_log_that_cannot_be_read_says_who_can(tmp_path: Path) -> None:
    with pytest.raises(MissingPrerequisiteError, match="cannot be read: No such file or directory; root can"):
        KernelLog(tmp_path / "none")


@pytest.mark.parametrize(
    ("driver", "known"),
    [
        ("sur40", "WARNING: CPU: 0 PID: 1 at kernel/dma/mapping.c:209 __dma_map_sg_attrs+0x1"),
        ("vivid", "Call Trace:\n schedule_timeout+0x138/0x150\n vivid_thread_vid_cap+0x3b7/0x420 [vivid]"),
    ],
)
def test_a_known_fault_of_a_driver_is_a_remark(driver: str, known: str) -> None:
    found = [kernel_log.KernelReport(text.splitlines()) for text in (known, known, "BUG: bad")]
    trouble = kernel_log.Trouble(found, driver=driver)
    assert [fault.rpartition(": ")[2] for fault in trouble.faults] == ["bad"]
    assert len(trouble.remarks) == 1
    assert len(trouble.to_json()["reports"]) == 3
    of_another = kernel_log.Trouble(found, driver="uvcvideo")
    assert len(of_another.faults) == 2
    assert of_another.remarks == []


def test_a_buffer_that_is_too_large_is_no_fault_of_any_driver() -> None:
    warning = "WARNING: CPU: 1 PID: 2 at mm/page_alloc.c:4832 __alloc_pages_noprof+0x303/0x310"
    trouble = kernel_log.Trouble([kernel_log.KernelReport([warning])], driver="some")
    assert trouble.faults == []
    (remark,) = trouble.remarks
    assert "larger than what the page allocator has" in remark

"""What is said of an op, from what was done and what was counted."""

from __future__ import annotations

import json

import pytest

from vb2user.memory.ops import ACTIONS, ALLOCATORS, REQUIRED, Op, Use
from vb2user.validate import tables
from vb2user.validate.results import Cell, DeviceReport, Mark, cell, coverage
from vb2user.validate.steps import Life

ALL = frozenset(Op)
VMALLOC = ALLOCATORS["vmalloc"].ops


def _report(**calls: dict[Op, int]) -> DeviceReport:
    report = DeviceReport("/dev/video0", "vivid", "vivid", "VIDEO_CAPTURE", "vmalloc", VMALLOC, calls=calls)
    report.lives = {name: Life(name, frames=8) for name in calls}
    report.balanced = True
    return report


def test_required_and_seen() -> None:
    assert cell(Op.ALLOC, Life("mmap"), {Op.ALLOC: 4}, ALL) == Cell(Mark.REQUIRED, 4)
    assert cell(Op.GET_DMABUF, Life("mmap"), {Op.GET_DMABUF: 1}, ALL) == Cell(Mark.SEEN, 1)


@pytest.mark.parametrize("use", Use)
def test_required_and_not_seen_is_a_fault_but_where_videobuf2_never_asks(use: Use) -> None:
    column = "read" if use is Use.READ_WRITE else use.value
    for op in REQUIRED[use]:
        mark = cell(op, Life(column), {}, ALL).mark
        never = use is Use.READ_WRITE and op is Op.NUM_USERS
        assert mark is (Mark.UNREACHABLE if never else Mark.FAULT)


def test_what_the_allocator_lacks_or_the_memory_type_does_not_use() -> None:
    assert cell(Op.COOKIE, Life("mmap"), {}, VMALLOC).mark is Mark.ABSENT
    assert cell(Op.MMAP, Life("userptr"), {}, VMALLOC).mark is Mark.UNUSED


def test_what_the_driver_did_not_ask_for_is_no_fault() -> None:
    for op in set(ACTIONS[Use.MMAP]) - REQUIRED[Use.MMAP]:
        found = cell(op, Life("mmap"), {}, ALL)
        assert found.mark is Mark.UNREACHABLE
        assert found.why


def test_a_refused_memory_type_is_not_reachable_but_what_was_seen_was_seen() -> None:
    life = Life("dmabuf", reason="EFAULT")
    assert cell(Op.ATTACH_DMABUF, life, {Op.ATTACH_DMABUF: 1}, ALL).mark is Mark.REQUIRED
    assert cell(Op.VADDR, life, {}, ALL) == Cell(Mark.UNREACHABLE, 0, "EFAULT")


def test_without_a_trace_nothing_is_claimed() -> None:
    assert cell(Op.ALLOC, Life("mmap"), None, ALL, "no tracefs") == Cell(Mark.UNOBSERVED, None, "no tracefs")
    report = _report()
    report.lives, report.calls, report.balanced = {"mmap": Life("mmap")}, None, None
    assert not any(report.seen(op) for op in Op)
    assert report.faults == []
    assert not any("ops seen" in line for line in tables.verdict([report]))


def test_what_was_lost_is_no_fault() -> None:
    assert cell(Op.ALLOC, Life("mmap"), {}, ALL, "9 events were lost") == Cell(
        Mark.UNOBSERVED, 0, "9 events were lost"
    )
    assert cell(Op.ALLOC, Life("mmap"), {Op.ALLOC: 1}, ALL, "9 events were lost").mark is Mark.REQUIRED


def test_exit_status() -> None:
    report = _report(mmap=dict.fromkeys(Op, 2))
    assert report.exit_status == 0
    report.balanced = None
    assert report.exit_status == 3
    report.balanced = False
    assert report.exit_status == 1
    report.balanced, report.lives["mmap"].fault = None, "a wrong frame"
    assert report.exit_status == 1


def test_why_there_is_no_export() -> None:
    life = Life("mmap", notes=["something", "no export: EXPBUF says ENOTTY"])
    assert cell(Op.GET_DMABUF, life, {}, ALL).why == "no export: EXPBUF says ENOTTY"


def test_a_fault_goes_before_everything_else() -> None:
    report = _report(mmap={Op.ALLOC: 1}, read={})
    assert report.mark(Op.ALLOC) is Mark.FAULT
    assert any(f.startswith("alloc in read: ") for f in report.faults)


def test_faults_of_frames_and_of_the_ledger_are_the_devices() -> None:
    report = _report(dmabuf=dict.fromkeys(Op, 2))
    assert report.faults == []
    report.lives["dmabuf"].fault = "a wrong frame"
    report.outstanding = ["dmabuf: 1 dma-buf is attached"]
    assert report.faults == ["dmabuf: a wrong frame", "dmabuf: 1 dma-buf is attached"]


def test_coverage_adds_up_over_devices() -> None:
    one, two = _report(mmap={Op.ALLOC: 1}), _report(userptr={Op.GET_USERPTR: 1})
    assert coverage([one, two]) == {"vmalloc": (VMALLOC, frozenset({Op.ALLOC, Op.GET_USERPTR}))}
    one.allocator = None
    assert coverage([one]) == {}


def test_the_document() -> None:
    document = json.loads(json.dumps(_report(mmap={Op.ALLOC: 4, Op.COOKIE: 0}).to_json()))
    assert document["ops"]["alloc"] == {
        "implemented": True,
        "seen": True,
        "calls": {"mmap": 4},
        "mark": "required and seen",
        "marks": {"mmap": "required and seen"},
        "why": {},
    }
    assert document["ops"]["cookie"]["mark"] == "not in this allocator"
    assert document["balanced"] is True
    assert list(document["ops"]) == [op.value for op in Op]


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    report = _report(mmap={Op.ALLOC: 4, Op.PUT: 9, Op.NUM_USERS: 20, Op.MMAP: 4, Op.VADDR: 8})
    tables.show("vmalloc", [report])
    out = capsys.readouterr().out
    assert "● 4" in out
    assert "○ 8" in out
    assert "▽ 1)" in out
    assert "1) the kernel did not call it" in out
    assert tables.verdict([report]) == [
        "/dev/video0 (vivid, vmalloc): balanced",
        "vmalloc: 5 of 12 ops seen; not: get_dmabuf, get_userptr, put_userptr, attach_dmabuf, "
        "detach_dmabuf, map_dmabuf, unmap_dmabuf",
    ]


def test_the_table_of_all_allocators() -> None:
    stock = _report(mmap={Op.ALLOC: 4}, userptr={Op.GET_USERPTR: 0})
    own = _report(mmap={Op.ALLOC: 5}, userptr={Op.GET_USERPTR: 3})
    own.driver = "vb2probe"
    lines = {line.split("|")[1].strip(): line for line in tables.markdown([stock, own]).splitlines()}
    assert lines["op"] == "| op | vmalloc | called at |"
    assert lines["`alloc`"] == "| `alloc` | **mmap** 4 | REQBUFS |"
    assert lines["`get_userptr`"] == "| `get_userptr` | **userptr** 3\\* | QBUF, new address |"
    assert lines["`cookie`"].startswith("| `cookie` | - |")
    assert lines["`mmap`"].startswith("| `mmap` | ✗ |")

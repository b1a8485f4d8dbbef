"""Lines of a real trace (6.12), and lines that are meant to be misread."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vb2user.memory.ops import ALLOCATORS, OPS, Op
from vb2user.trace.events import Event, EventKind, marker, parse
from vb2user.trace.probes import errno_of, failed, private_data_offset, probe, probes, release

NAMES = {
    "vb2_dc_alloc__in_368_0": (EventKind.ENTER, "vb2_dc_alloc"),
    "vb2_dc_alloc__out_368_0": (EventKind.RETURN, "vb2_dc_alloc"),
    "vb2_dc_mmap__out_368_0": (EventKind.RETURN, "vb2_dc_mmap"),
    "vb2_vmalloc_dmabuf_ops_release__out_368_0": (EventKind.RETURN, "vb2_vmalloc_dmabuf_ops_release"),
}


def read(line: str) -> Event:
    found = parse(line, NAMES)
    assert found is not None
    return found


def test_lines_as_the_kernel_prints_them() -> None:
    assert read(
        "          python-368     (    368) [000]    806.251645: vb2_dc_alloc__in_368_0: "
        "(vb2_dc_alloc+0x4/0x170 [videobuf2_dma_contig]) "
        "vb=0xff40219484cef000 queue=0xff40219482926868 index=0 type=1 memory=1 "
        'device="vivid.0" size=462848'
    ) == Event(
        EventKind.ENTER,
        806_251_645_000,
        368,
        368,
        "python",
        0,
        "vb2_dc_alloc",
        {
            "vb": 0xFF40219484CEF000,
            "queue": 0xFF40219482926868,
            "index": 0,
            "type": 1,
            "memory": 1,
            "device": "vivid.0",
            "size": 462848,
        },
    )
    assert read(
        "          python-368     (    368) [002]    806.253075: vb2_dc_alloc__out_368_0: "
        "(__vb2_queue_alloc+0x23c/0x560 [videobuf2_common] <- vb2_dc_alloc) ret=0xff402194b005ecc0"
    ).values == {"ret": 0xFF402194B005ECC0}
    assert read(
        " vivid-000-vid-c-349     (    349) [000]     74.253075: vb2_dc_mmap__out_368_0: "
        "(vb2_mmap+0x11f/0x2c0 [videobuf2_common] <- vb2_dc_mmap) ret=-12"
    ) == Event(EventKind.RETURN, 74_253_075_000, 349, 349, "vivid-000-vid-c", 0, "vb2_dc_mmap", {"ret": -12})
    bare = read(
        "  gst-launch-1.0-345     (    345) [000]     74.225315: vb2_vmalloc_dmabuf_ops_release__out_368_0: "
        "(dma_buf_release+0x3f/0x90 <- vb2_vmalloc_dmabuf_ops_release)"
    )
    assert (bare.what, bare.values) == (EventKind.RETURN, {})
    called = read(
        "    v4l2src0:src-349     (    345) [000]     73.809263: vb2_vmalloc_alloc <-__vb2_queue_alloc"
    )
    assert (called.what, called.function, called.text) == (
        EventKind.FUNCTION,
        "vb2_vmalloc_alloc",
        "__vb2_queue_alloc",
    )
    assert (called.tid, called.tgid, called.process, called.comm) == (349, 345, 345, "v4l2src0:src")
    assert read("CPU:1 [LOST 4711 EVENTS]") == Event(EventKind.LOST, cpu=1, values={"count": 4711})


def test_other_forms_of_a_line() -> None:
    rest = "  12.000001: vb2_dc_put <-__vb2_buf_mem_free"
    assert read(f"           <...>-77      (-------) [001] {rest}").process == 77
    assert read(f"           <...>-77      [001] d..1. {rest}").tgid is None
    assert read(f"              cat-77      [001] {rest}").time_ns == 12_000_001_000
    assert read(
        "          python-368     (    368) [000]      6.251645: vb2_dc_alloc__in_368_0: "
        "(vb2_dc_alloc+0x4/0x170) queue=(fault) device=(fault) size=1"
    ).values == {"queue": "(fault)", "device": "(fault)", "size": 1}


@pytest.mark.parametrize(
    ("text", "what", "values", "name"),
    [
        (
            "task_newtask: pid=8 comm=a clone_flags=1200000 oom_score_adj=0",
            EventKind.TASK,
            {"child": 8, "thread": 0},
            "a",
        ),
        (
            "task_newtask: pid=8 comm=pid=9 clone_flags=0 clone_flags=3d0f00 oom_score_adj=-1000",
            EventKind.TASK,
            {"child": 8, "thread": 1},
            "pid=9 clone_flags=0",
        ),
        ("task_rename: pid=8 oldcomm=a newcomm=b c oom_score_adj=0", EventKind.NAME, {"tid": 8}, "b c"),
        ("task_rename: oldcomm=a newcomm=b oom_score_adj=0", EventKind.NAME, {}, "b"),
        ("sched_process_free: comm=pid=1 prio=0 pid=8 prio=120", EventKind.FREE, {"tid": 8}, ""),
    ],
)
def test_tasks(text: str, what: EventKind, values: dict[str, int], name: str) -> None:
    line = f"            bash-7     (      7) [000]     1.000000: {text}"
    assert read(line) == Event(what, 1_000_000_000, 7, 7, "bash", 0, values=values, text=name)


@pytest.mark.parametrize(
    "line", ["", "  a", "CPU:1 [LOST EVENTS]", "x-1 [000] 1.000000: other: (f+0x0/0x1) a=1", "# tracer: nop"]
)
def test_what_is_no_event_of_ours(line: str) -> None:
    assert parse(line, NAMES) is None


@pytest.mark.parametrize(
    "comm", ["two words", "a-1 (  1) [0]", "x-1 [000] 1.0:", "] 1.000000: f <-", "-", "ünï", "a\nb"]
)
def test_names_of_threads_may_be_anything(comm: str) -> None:
    line = f"{comm:>16}-4321     (    99) [003]     5.000007: vb2_dc_put <-remove_vma"
    seen = [e for part in line.split("\n") if (e := parse(part, NAMES)) is not None]
    assert [(e.tid, e.tgid, e.cpu, e.function) for e in seen] == [(4321, 99, 3, "vb2_dc_put")]
    assert seen[0].comm == comm.rpartition("\n")[2]


@given(
    st.sampled_from([EventKind.BEGIN, EventKind.END, EventKind.MARK]),
    st.text(max_size=60),
    st.text("ab [-]1:. ", max_size=15),
)
def test_no_mark_can_be_misread(what: EventKind, text: str, comm: str) -> None:
    said = marker(what, text).decode()
    assert "\n" not in said
    line = f"{comm}-12     (     12) [000]    7.000000: tracing_mark_write: {said}"
    found = read(line)
    assert (found.what, found.text, found.tid) == (what, text, 12)


# -- probes -----------------------------------------------------------------------------------------


def test_each_op_is_watched_as_its_prototype_has_it() -> None:
    sg = ALLOCATORS["dma-sg"]
    watched = {p.function: p for p in probes([sg], 136)}
    assert watched.keys() == {
        *(sg.function(op) for op in Op),
        release(sg),
        "vb2_common_vm_open",
        "vb2_common_vm_close",
    }
    for op in Op:
        arguments = watched[sg.function(op)].arguments
        assert ("priv=" in arguments) == bool(OPS[op].private)
        if OPS[op].private:
            assert f"priv=$arg{OPS[op].private}:x64" in arguments
    assert watched["vb2_common_vm_open"].arguments.endswith("priv=+16(+136($arg1)):x64")
    assert "priv" not in next(probes([sg], None)).arguments
    assert probe(sg, Op.PUT).returns is None
    assert watched[release(sg)].returns == ""


def test_failures() -> None:
    assert [failed(Op.ALLOC, v) for v in (0, 2**64 - 1, 2**64 - 4095, 2**64 - 4096, 0xFFFF888000000000)] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert [failed(Op.MMAP, v) for v in (0, -12, 1)] == [False, True, True]
    assert [errno_of(v) for v in (2**64 - 12, 2**32 - 12, -14, 0)] == [12, 12, 14, None]


def btf(path: Path, members: list[tuple[int, int, int]], junk: bytes = b"") -> Path:
    """A kernel's type information in little: names, and members of structs."""
    strings = b"\0int\0vm_private_data\0vm_pgoff\0"
    types = b"".join(struct.pack("=III", *m) for m in members) + junk
    types += bytes(12 * 300)
    head = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    path.write_bytes(head + types + strings)
    return path


def test_the_offset_of_the_private_data(tmp_path: Path) -> None:
    name = 5
    path = tmp_path / "vmlinux"
    assert private_data_offset(path) is None
    assert private_data_offset(btf(path, [(1, 1, 64), (name, 106, 1088)])) == 136
    # The same number as something else: an impossible type, an impossible place, no place of a pointer.
    others = [(name, 0, 1088), (name, 106, 226369), (name, 106, 1089), (name, 99999, 64)]
    assert private_data_offset(btf(path, [*others, (name, 106, 1088)])) == 136
    assert private_data_offset(btf(path, others)) is None
    assert private_data_offset(btf(path, [(name, 106, 1088), (name, 106, 64)])) is None, "not clear"
    path.write_bytes(b"short")
    assert private_data_offset(path) is None
    path.write_bytes(bytes(100))
    assert private_data_offset(path) is None

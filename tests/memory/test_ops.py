"""The fifteen ops as data: the kernel-doc's lists, and the running kernel's symbols before the table."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from vb2user.memory import ops
from vb2user.memory.ops import ACTIONS, ALLOCATORS, BALANCES, OPS, REQUIRED, Op, Use
from vb2user.uapi.enums import Memory


def test_there_are_fifteen_and_each_says_what_it_is() -> None:
    assert len(Op) == len(OPS) == 15
    assert all(info.explanation and info.op is op for op, info in OPS.items())
    assert {op for op, info in OPS.items() if info.private == 0} == {
        Op.ALLOC,
        Op.GET_USERPTR,
        Op.ATTACH_DMABUF,
    }


def test_how_many_ops_each_allocator_has() -> None:
    assert {a.name: len(a.ops) for a in ALLOCATORS.values()} == {
        "vmalloc": 12,
        "dma-contig": 15,
        "dma-sg": 15,
    }
    assert set(Op) - ALLOCATORS["vmalloc"].ops == {Op.PREPARE, Op.FINISH, Op.COOKIE}


@pytest.mark.parametrize("use", Use)
def test_what_is_required_has_a_user_action_and_every_allocator_has_it(use: Use) -> None:
    assert set(ACTIONS[use]) >= REQUIRED[use]
    assert all(a.ops >= REQUIRED[use] for a in ALLOCATORS.values())


def test_every_op_is_reached_by_some_use() -> None:
    assert {op for actions in ACTIONS.values() for op in actions} == set(Op)


def test_each_op_stands_on_one_side_of_one_balance_at_most() -> None:
    sides = [op for b in BALANCES for op in (*b.takes, b.gives)]
    assert len(sides) == len(set(sides))
    assert str(BALANCES[0]) == "alloc + mmap + get_dmabuf == put"


def test_the_use_of_a_memory_type() -> None:
    assert [Use.of(m) for m in (Memory.MMAP, Memory.USERPTR, Memory.DMABUF)] == [
        Use.MMAP,
        Use.USERPTR,
        Use.DMABUF,
    ]


def test_exporters() -> None:
    found = ops.by_exporter("videobuf2_dma_sg")
    assert found is ALLOCATORS["dma-sg"]
    assert ops.by_exporter("system") is None
    assert ops.by_exporter(None) is None


SYMBOLS = """\
0000000000000000 T vb2_core_reqbufs\t[videobuf2_common]
0000000000000000 t vb2_vmalloc_alloc\t[videobuf2_vmalloc]
0000000000000000 t vb2_vmalloc_put\t[videobuf2_vmalloc]
0000000000000000 d vb2_vmalloc_memops\t[videobuf2_vmalloc]
0000000000000000 t vb2_vmalloc_dmabuf_ops_attach\t[videobuf2_vmalloc]
0000000000000000 T vb2_dc_alloc
short line
"""


@pytest.fixture
def kallsyms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "kallsyms"
    monkeypatch.setattr(ops, "KALLSYMS", file)
    return file


def test_the_running_kernel_is_asked_first(kallsyms: Path) -> None:
    kallsyms.write_text(SYMBOLS)
    assert ops.implemented(ALLOCATORS["vmalloc"]) == {Op.ALLOC, Op.PUT}
    assert ops.implemented(ALLOCATORS["dma-contig"]) == {Op.ALLOC}  # built in: under no module's name
    assert ops.implemented(ALLOCATORS["dma-sg"]) == ALLOCATORS["dma-sg"].ops  # not loaded: the table


def test_without_symbols_the_table_says_it(kallsyms: Path) -> None:
    for allocator in ALLOCATORS.values():
        assert ops.implemented(allocator) == allocator.ops


def test_ops_and_uses_are_their_names_and_survive_pickling() -> None:
    assert f"{Op.GET_DMABUF}" == "get_dmabuf"
    assert f"{Use.READ_WRITE}" == "read/write"
    assert pickle.loads(pickle.dumps([*Op, *Use])) == [*Op, *Use]

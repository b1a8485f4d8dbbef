"""What the kernel did not give back after a check, by files as the kernel has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vb2user.validate import leftovers
from vb2user.validate.leftovers import Leftovers

BUFINFO = """
Dma-buf Objects:
size    \tflags   \tmode    \tcount   \texp_name\tino     \tname
00458752\t00000002\t00080007\t00000001\tvideobuf2_vmalloc\t00000011\t<none>
\tAttached Devices:
Total 0 devices attached

00458752\t00080002\t00080007\t00000002\tsystem\t00000012\tcam

Total 2 objects, 917504 bytes
"""
VMALLOCINFO = (
    "0xffffb5b0c0000000-0xffffb5b0c0005000   20480 vmalloc_user+0x3b/0x70 pages=4 vmalloc N0=4\n"
    "0xffffb5b0c0071000-0xffffb5b0c00e2000  462848 vb2_vmalloc_alloc+0x5c/0xc0  pages=112\n"
    "0xffffb5b0c0171000-0xffffb5b0c01e2000  462848 vb2_vmalloc_alloc+0x5c/0xc0  pages=112\n"
)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leftovers:
    """A kernel that holds nothing."""
    monkeypatch.setattr(leftovers, "_LATE", 0.0)
    made = Leftovers(*(tmp_path / name for name in ("bufinfo", "vmallocinfo", "vmstat", "stat_refresh")))
    for path in (made.bufinfo, made.vmallocinfo):
        path.write_text("")
    _pinned(made, 0)
    return made


def _pinned(kernel: Leftovers, pages: int) -> None:
    kernel.vmstat.write_text(f"nr_free 7\nnr_foll_pin_acquired {100 + pages}\nnr_foll_pin_released 100\n")


def test_each_file_is_counted(kernel: Leftovers) -> None:
    assert kernel.now() == {"pinned pages": 0}
    kernel.bufinfo.write_text(BUFINFO)
    kernel.vmallocinfo.write_text(VMALLOCINFO)
    _pinned(kernel, 3)
    assert kernel.now() == {
        "dma-bufs of videobuf2_vmalloc": 1,
        "dma-bufs of system": 1,
        "bytes by vb2_vmalloc_alloc()": 925696,
        "pinned pages": 3,
    }
    assert kernel.stat_refresh.read_text() == "1"


def test_without_root_nothing_is_counted(tmp_path: Path) -> None:
    assert Leftovers(*(tmp_path / "not" / name for name in "abcd")).now() == {}


def test_what_is_lost_each_time_is_lost(kernel: Leftovers) -> None:
    def again() -> None:
        _pinned(kernel, kernel.now()["pinned pages"] + 8)

    before = kernel.now()
    again()
    assert kernel.lost(before, again) == ["8 pinned pages"]


def test_what_another_program_takes_once_is_not_lost(kernel: Leftovers) -> None:
    before = kernel.now()
    kernel.bufinfo.write_text(BUFINFO)
    assert kernel.lost(before, lambda: None) == []

"""What is made of the plugin's numbers, and of clients that failed."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vb2user.errors import Vb2Error

BENCH = Path(__file__).parents[2] / "hwtests" / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("bench")


def stream(
    bench: ModuleType, user: int, kernel: int = 1000, frames: int | None = None
) -> dict[str, list[int]]:
    count = bench.WARM + bench.COUNTED if frames is None else frames
    warm = min(bench.WARM, count)
    # While it warms up a client costs more; that is not to be seen in the result.
    return {
        "user": [9 * user] * warm + [user] * (count - warm),
        "kernel": [kernel] * count,
        "others": [1] * count,
    }


def run(client: str, size: str = "640x360", memories: str = "mmap", failed: str = "") -> dict[str, str]:
    return {"client": client, "size": size, "memories": memories, "failed": failed}


def test_runs_and_counts_are_put_together(bench: ModuleType) -> None:
    runs = [run("c-poll"), run("vb2user", memories="mmap,dmabuf"), run("opencv"), run("qamlib", failed="no")]
    tried = stream(bench, 7, frames=3)  # OpenCV streams once more, to try a format
    lines: list[Any] = ["process", stream(bench, 99), "process", stream(bench, 500), stream(bench, 600)]
    lines += ["process", tried, stream(bench, 5000), "process"]
    found, missing = bench.rows_of(runs, lines)
    assert [(r.client, r.memory, r.user, r.kernel) for r in found] == [
        ("c-poll", "mmap", 100, 1000),
        ("vb2user", "mmap", 501, 1000),
        ("vb2user", "dmabuf", 601, 1000),
        ("opencv", "mmap", 5001, 1000),
    ]
    assert missing == {"qamlib 640x360": "no"}


def test_a_client_that_was_not_seen_streaming_is_missing(bench: ModuleType) -> None:
    found, missing = bench.rows_of([run("pyav")], ["process"])
    assert found == []
    assert "0 streams" in missing["pyav 640x360"]


def test_processes_that_the_plugin_did_not_see_are_an_error(bench: ModuleType) -> None:
    with pytest.raises(Vb2Error, match="0 processes"):
        bench.rows_of([run("c-poll")], [])


def test_many_streams_warm_up_each(bench: ModuleType) -> None:
    wanted = bench.jobs([("c-poll", "mmap"), (bench.MANY, "mmap")], bench.SIZES)
    assert [j["size"] for j in wanted if j["client"] == "c-poll"] == list(bench.SIZES)
    many = [j for j in wanted if j["client"] == bench.MANY]
    assert [j["streams"] for j in many] == list(bench.STREAMS)
    assert all(j["frames"] == j["streams"] * bench.WARM + bench.COUNTED + 1 for j in many)
    found, _ = bench.rows_of([run(bench.MANY) | {"streams": 4}], ["process", stream(bench, 10)])
    assert found[0].client == "vb2user-streams-4"


def test_ratio_and_copies(bench: ModuleType) -> None:
    small, large = bench.SIZES[0], bench.SIZES[-1]
    grown = 2 * (3840 * 2160 - 640 * 360)
    found = []
    for client, per_byte in (("c-poll", 0), ("c-copy", 0.1), ("twice", 0.2), ("flat", 0)):
        found.append(bench.Row(client, "mmap", small, 100, 900))
        found.append(bench.Row(client, "mmap", large, 100 + per_byte * grown, 900))
    bench.compare(found)
    copies = {r.client: r.copies for r in found}
    assert copies == {"c-poll": 0, "c-copy": 1, "twice": 2, "flat": 0}
    assert [r.ratio for r in found if r.client == "flat"] == [1, 1]
    twice = found[5]
    assert twice.ratio == pytest.approx((1000 + 0.2 * grown) / 1000)
    assert twice.cpu_ns == pytest.approx(1000 + 0.2 * grown)


def documented(bench: ModuleType) -> list[Any]:
    """The rows of docs/benchmarks.md, of the chart's size."""
    found = []
    for line in (BENCH.parents[1] / "docs" / "benchmarks.md").read_text().splitlines():
        cells = [cell.strip().replace(",", "") for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0].startswith("`") and cells[0].endswith("`"):
            found.append(
                bench.Row(cells[0].strip("`"), "mmap", "1920x1080", float(cells[2]), float(cells[4]))
            )
    return found


def test_the_text_under_the_picture_in_the_readme_has_the_numbers_of_the_table(bench: ModuleType) -> None:
    rows = documented(bench)
    assert len(rows) > 10
    text = bench.alt(rows, "1920x1080")
    assert text is not None
    assert f"![{text}](docs/benchmarks.png)" in (BENCH.parents[1] / "README.md").read_text().splitlines()


def test_there_is_no_text_without_all_of_its_numbers(bench: ModuleType) -> None:
    rows = [bench.Row(client, "mmap", "640x360", 1000, 2000) for client in ("c-poll", "vb2user", "linuxpy")]
    assert bench.alt(rows, "640x360") is None
    rows.append(bench.Row("opencv", "mmap", "640x360", 3000, 4000))
    assert bench.alt(rows, "640x360") == (
        "Instructions per frame: C with poll 1,000 and 2,000 in the kernel, vb2user 1,000 and 2,000, "
        "linuxpy 1,000, OpenCV 3,000"
    )


def test_the_chart_is_a_picture(bench: ModuleType, tmp_path: Path) -> None:
    bench.chart([bench.Row("c-poll", "mmap", "640x360", 100, 900)], tmp_path / "x.png", "640x360")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")

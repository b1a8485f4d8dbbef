"""The demonstration and the report of the mem ops write into folders in which other files lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from vb2user.validate.reports import demo, memops


@pytest.mark.parametrize("command", [demo.demo, memops.memops], ids=["demo", "memops"])
def test_a_run_that_fails_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: object
) -> None:
    class Failed:
        returncode = 3

    monkeypatch.setattr("subprocess.run", lambda *arguments, **named: Failed)
    for name in ("holiday.png", "report.json", "table.md"):
        (tmp_path / name).write_text("precious")
    done = CliRunner().invoke(command, ["--out", str(tmp_path), "--kernel", "6.12"])  # type: ignore[arg-type]
    assert done.exit_code == 3, done.output
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == dict.fromkeys(
        ("holiday.png", "report.json", "table.md"), "precious"
    )

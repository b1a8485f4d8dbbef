"""``vb2user info``: the controls it lists, those with a payload and those that fail included."""

from __future__ import annotations

import errno
import json

from click.testing import CliRunner
from fakes_controls import ALL, AREA, ARRAY, BRIGHTNESS, CONTRAST, GAIN, MENU, TellingVideo

from vb2user.cli.info import info


def lines(text: str) -> dict[str, str]:
    return {line.split()[0]: line for line in text.splitlines() if line.strip()}


def test_compound_controls_have_their_value_and_size(telling: TellingVideo) -> None:
    telling.values[AREA.id] = bytes(range(8))
    outcome = CliRunner().invoke(info, ["/dev/video0"], catch_exceptions=False)
    shown = lines(outcome.stdout)
    assert shown["area"].split()[1:] == ["area", "0001020304050607", "8", "bytes"]
    assert "0,0,0,0,0,0" in shown["matrix"]
    assert "integer[2][3]" in shown["matrix"]
    told = json.loads(CliRunner().invoke(info, ["/dev/video0", "--json"], catch_exceptions=False).stdout)
    by_id = {c["id"]: c for c in told["controls"]}
    assert list(by_id) == [c.id for c in ALL]
    assert by_id[AREA.id]["value"] == "0001020304050607"
    assert (by_id[AREA.id]["size"], by_id[AREA.id]["default"]) == (8, None)
    assert (by_id[ARRAY.id]["dims"], by_id[ARRAY.id]["size"]) == ([2, 3], 24)
    assert by_id[BRIGHTNESS.id]["flags"] == ["SLIDER"]


def test_controls_that_fail_cost_only_themselves(telling: TellingVideo) -> None:
    telling.fails = {
        ("query", GAIN.id): errno.EIO,
        ("get", CONTRAST.id): errno.EIO,
        ("menu", MENU.id, 2): errno.EIO,
    }
    outcome = CliRunner().invoke(info, ["/dev/video0"], catch_exceptions=False)
    shown = lines(outcome.stdout)
    assert "cannot be queried (EIO)" in shown["gain"]
    assert "cannot be read (EIO)" in shown["contrast"]
    assert "2: cannot be told (EIO)" in shown["test_pattern"]
    assert "128" in shown["brightness"]
    told = json.loads(CliRunner().invoke(info, ["/dev/video0", "--json"], catch_exceptions=False).stdout)
    assert list(told["broken_controls"]) == ["gain"]
    assert "VIDIOC_QUERY_EXT_CTRL failed: EIO" in told["broken_controls"]["gain"]
    assert len(told["controls"]) == len(ALL) - 1

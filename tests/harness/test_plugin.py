"""The pytest plugin as a downstream project meets it."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

USES_IT = """
    def test_frames(vivid_vmalloc): assert vivid_vmalloc.capture
    def test_each(vivid): assert vivid.capture
    def test_own(vivid_factory):
        from vb2user.harness.drivers.vivid import PRESETS
        vivid_factory(PRESETS["capture"])
"""


def no_vivid(pytester: pytest.Pytester) -> None:
    """Tests of a project that asks for devices, in a place where there can be none."""
    pytester.makepyfile(USES_IT)
    pytester.makeconftest("""
        from vb2user.errors import MissingPrerequisiteError
        from vb2user.harness.drivers import vivid
        def up(self): raise MissingPrerequisiteError("no module vivid", hint="look for one")
        vivid.Vivid.up = up
        vivid.loaded = lambda: False
    """)


def test_missing_means_skipped(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VB2USER_HW", raising=False)
    no_vivid(pytester)
    done = pytester.runpytest_subprocess("-rs", "-W", "error")
    done.assert_outcomes(skipped=4)
    done.stdout.fnmatch_lines(["*no module vivid; look for one*"])


def test_missing_is_an_error_in_a_hardware_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VB2USER_HW", "1")
    no_vivid(pytester)
    done = pytester.runpytest_subprocess("-W", "error")
    done.assert_outcomes(errors=3, failed=1)
    done.stdout.fnmatch_lines(["*VB2USER_HW=1, but no module vivid; look for one*"])
    assert "Traceback" not in done.stdout.str()


def test_one_load_serves_the_session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VB2USER_HW", "1")
    monkeypatch.delenv("VB2USER_VM", raising=False)
    pytester.makepyfile(USES_IT)
    pytester.makeconftest("""
        from vb2user.harness.drivers import vivid as v
        now, log = [None], []
        def up(self):
            if now[0] is None: log.append(f"up {len(self.config.instances)}")
            now[0] = self.config
            return v.instances()
        def down(self):
            log.append("down"); now[0] = None
        v.Vivid.up, v.Vivid.down = up, down
        v.loaded = lambda: now[0] is not None
        v.differences = lambda wanted: [] if now[0] == wanted else ["otherwise"]
        v.instances = lambda: [
            v.VividInstance(i, {"video-cap": f"/dev/video{i}"}, c.allocator, c.multiplanar)
            for i, c in enumerate(now[0].instances)]
        def pytest_unconfigure(): print("LOG", *log, sep=",")
    """)
    done = pytester.runpytest_subprocess("-W", "error")
    done.assert_outcomes(passed=4)
    # pytest may reorder by scope, but the reload for one test is put back, and all is unloaded once.
    done.stdout.fnmatch_lines(["LOG,up 4,down,up 1,down,up 4,down"])


def test_the_plugin_is_light_and_silent() -> None:
    code = (
        "import sys, vb2user.harness.pytest_plugin; "
        "heavy = {'numpy', 'pyudev', 'rich', 'click'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    code = code.replace("pytest_plugin", "commands").replace(", 'click'", "")
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def fixtures() -> dict[str, str]:
    """The plugin's own fixtures, but for inner ones, and the scope of each."""
    from vb2user.harness import pytest_plugin

    found = {}
    for node in ast.walk(ast.parse(inspect.getsource(pytest_plugin))):
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        for decorator in map(ast.unparse, node.decorator_list):
            if decorator.startswith("pytest.fixture"):
                scope = re.search(r"scope='(\w+)'", decorator)
                found[node.name] = "test" if scope is None else scope[1]
    return found


@pytest.mark.parametrize("name", fixtures())
def test_every_fixture_is_documented_with_its_scope(name: str) -> None:
    from vb2user.harness import pytest_plugin

    scope = fixtures()[name]
    page = (Path(__file__).parents[2] / "docs/using.md").read_text()
    assert re.search(rf"^\|[^|]*`{name}`[^|]*\| {scope} \|", page, re.MULTILINE)
    assert re.search(rf"^{name} +{scope} ", str(pytest_plugin.__doc__), re.MULTILINE)


def test_any_emulated_device_is_plugged_in_by_its_name(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VB2USER_HW", raising=False)
    pytester.makepyfile("""
        log = []
        class Stub:
            def __init__(self, missing=False): self.missing = missing
            def __enter__(self):
                from vb2user.errors import MissingPrerequisiteError
                if self.missing: raise MissingPrerequisiteError("no module stub")
                log.append("in")
                return self
            def __exit__(self, *_): log.append("out")
        def test_in(plug_in):
            from vb2user.harness.usb.registry import DEVICES, Emulated
            DEVICES["stub"] = Emulated("stub", "", "", "", "", Stub)
            assert isinstance(plug_in("stub"), Stub)
        def test_out(): assert log == ["in", "out"]
        def test_missing(plug_in): plug_in("stub", missing=True)
    """)
    done = pytester.runpytest_subprocess("-rs", "-W", "error")
    done.assert_outcomes(passed=2, skipped=1)
    done.stdout.fnmatch_lines(["*no module stub*"])


def test_any_driver_is_loaded_by_its_name(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import contextlib
        from vb2user.harness.drivers.registry import DRIVERS, Driver
        class Code:
            @staticmethod
            @contextlib.contextmanager
            def make():
                yield ["an instance"]
                print("unloaded")
        def test_in(load_driver):
            DRIVERS["stub"] = Driver("stub", "stub", "", "", (), lambda: Code)
            assert load_driver("stub") == ["an instance"]
    """)
    done = pytester.runpytest_subprocess("-s", "-W", "error")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["*unloaded*"])

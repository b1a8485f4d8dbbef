"""What the golden tests compared is said at the end of the run, passed or not."""

from __future__ import annotations

from typing import Any

import pytest

COMPARED = "compared"


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Any:
    """Add a line to the summary. It is a property of the test, which comes here from any process."""
    return lambda line: request.node.user_properties.append((COMPARED, line))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for outcome in ("passed", "failed", "skipped"):
        for test in terminalreporter.getreports(outcome):
            for name, line in test.user_properties:
                if name == COMPARED and test.when == "call":
                    terminalreporter.write_line(line)

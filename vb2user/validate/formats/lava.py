"""Beside the layers: the report as the signals that LAVA reads from a board's console.

Source: the dispatcher of LAVA looks for ``<LAVA_SIGNAL_name arguments>`` in what the board prints.
"""

from __future__ import annotations

import re
from collections import Counter

from vb2user.validate.formats import Validation
from vb2user.validate.outcome import Status

#: LAVA knows pass, fail, skip and unknown.
_RESULTS = {
    Status.PASS: "pass",
    Status.FAIL: "fail",
    Status.ERROR: "unknown",
    Status.MISS: "skip",
    Status.SKIP: "skip",
    Status.XFAIL: "skip",
}


def text(validation: Validation) -> str:
    """The document of ``--lava``: a test set for each device, and the seconds of each check.

    Every signal has a line of its own. All come at the end of the run, since messages of the kernel on the
    same console would tear them.
    """
    lines: list[str] = []
    seen: Counter[str] = Counter()
    for report in validation.devices:
        name = re.sub("[^A-Za-z0-9_-]", "_", report.target.driver) or "device"
        seen[name] += 1
        lines.append(f"<LAVA_SIGNAL_TESTSET START {name}_{seen[name]}>")
        lines += [
            f"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID={outcome.id.replace('.', '-')} "
            f"RESULT={_RESULTS[outcome.status]} MEASUREMENT={outcome.seconds:.3f} UNITS=seconds>"
            for outcome in report.outcomes
        ]
        lines.append("<LAVA_SIGNAL_TESTSET STOP>")
    return "\n".join(lines) + "\n"

"""Beside the layers: the tests of ``pytest --pyargs vb2user.validate --vb2-device DEV``: every check."""

from __future__ import annotations

from vb2user.validate.check import all_checks

#: The plugin makes tests of a list of checks whose name begins with ``test_``.
test_checks = all_checks()

"""Beside the layers: the report as JSON; its schema is ``report.schema.json``."""

from __future__ import annotations

import json
import platform

import vb2user
from vb2user.validate.formats import Validation

#: The version of the document; it changes when a reader has to.
SCHEMA = 1


def text(validation: Validation) -> str:
    """The document of ``--json``. Names of devices are in it unchanged."""
    document = {
        "schema": SCHEMA,
        "vb2user": vb2user.__version__,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "seed": validation.seed,
        "devices": [report.to_json(list(validation.checks.values())) for report in validation.devices],
    }
    return json.dumps(document, indent=1)

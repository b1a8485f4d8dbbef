"""The fake videobuf2 answers every request as Linux does."""

from __future__ import annotations

import pytest
from fakes_vb2 import Vb2System
from vb2_answers import CASES
from vb2_case import KINDS, Case
from vb2_fake_rig import fake_rig


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("kind", KINDS)
def test_the_fake_answers_as_linux_does(vb2: Vb2System, kind: str, case: Case) -> None:
    if kind not in case.answers:
        return
    with fake_rig(vb2, kind).opened() as rig:
        assert case.ask(rig) == case.answers[kind]

"""A fake node for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes import Events, FakeSystem

from vb2user.uapi import kernel


@pytest.fixture
def node(fake_system: FakeSystem) -> Events:
    fake_system.nodes["/dev/fake"] = node = Events()
    return node


@pytest.fixture
def fd(node: Events) -> Iterator[kernel.Fd]:
    with kernel.open_node("/dev/fake") as opened:
        yield opened

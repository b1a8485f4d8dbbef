"""What the tests of streams share."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fakes_engine import Take
from ways import WAYS

from vb2user.stream.stream import Stream

WAIT = 20  # seconds until what hangs is a failure


def take_sync(stream: Stream, count: int) -> list[tuple[int, int]]:
    """Numbers and gaps of so many frames."""
    found = []
    for frame in stream:
        found.append((frame.sequence, frame.gap))
        if len(found) == count:
            break
    return found


def take_async(stream: Stream, count: int) -> list[tuple[int, int]]:
    """The same in a task."""

    async def take() -> list[tuple[int, int]]:
        found = []
        async for frame in stream:
            found.append((frame.sequence, frame.gap))
            if len(found) == count:
                break
        return found

    return asyncio.run(asyncio.wait_for(take(), WAIT))


@pytest.fixture(params=[take_sync, take_async], ids=["sync", "async"])
def take(request: pytest.FixtureRequest) -> Take:
    """Frames of a stream, both ways."""
    chosen: Take = request.param
    return chosen


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    return WAYS[request.param]

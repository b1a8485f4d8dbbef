"""Deliveries as a driver makes them, and a policy to look at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fakes import Clock
from hypothesis import strategies as st

from vb2user.pixels.layout import Layout
from vb2user.stream.policy import FramePolicy
from vb2user.stream.stats import POLICIES
from vb2user.uapi.buffer import Dequeued
from vb2user.uapi.enums import BufFlag
from vb2user.uapi.fourcc import FourCC

WRAP = 1 << 32


ERROR = int(BufFlag.ERROR)


MONOTONIC = int(BufFlag.TIMESTAMP_MONOTONIC)


#: Layouts by what a whole picture needs of each plane.
LAYOUTS: dict[tuple[int, ...], Layout] = {
    (512,): Layout.of(FourCC("GREY"), 32, 16, [(32, 512)]),
    (512, 256): Layout.of(FourCC("NM12"), 32, 16, [(32, 512), (32, 256)]),
    (1,): Layout.of(FourCC("MJPG"), 32, 16, [(0, 512)]),  # compressed: not nothing
}


policy = st.sampled_from(POLICIES)


policies = st.fixed_dictionaries({"on_error": policy, "on_truncated": policy, "on_gap": policy})


@dataclass
class Coming:
    """A frame that the driver will deliver: how many are missing before it, and what is wrong with it."""

    missing: int
    error: bool
    lacks: int
    offset: int


coming = st.builds(
    Coming,
    missing=st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 0x7FFFFFFF)),
    error=st.booleans(),
    lacks=st.sampled_from([0, 0, 0, 1, 512]),
    offset=st.sampled_from([0, 0, 64]),
)


def delivery(
    sequence: int, c: Coming, least: tuple[int, ...], at: int = 5, clock: int = MONOTONIC
) -> Dequeued:
    # In the last plane: each of them has to be looked at.
    used = [n + c.offset for n in least]
    used[-1] = max(0, used[-1] - c.lacks)
    return Dequeued(
        0, clock | (ERROR if c.error else 0), 1, sequence, at, tuple(used), (c.offset,) * len(least)
    )


def policy_of(least: tuple[int, ...] = (512,), **given: Any) -> FramePolicy:
    chosen: dict[str, Any] = {"on_error": "skip", "on_truncated": "skip", "on_gap": "yield"}
    return FramePolicy("/dev/video0", LAYOUTS[least], **(chosen | given))


MS = 1_000_000


START = Clock.FIRST_NS


FINE = Coming(0, False, 0, 0)


def compressed(data: bytes, sequence: int = 0, offset: int = 0) -> tuple[Dequeued, tuple[memoryview]]:
    d = Dequeued(0, MONOTONIC, 1, sequence, 5, (offset + len(data),), (offset,))
    return d, (memoryview(bytes(offset) + data + bytes(100)),)

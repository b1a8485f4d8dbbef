"""What a driver refuses of an enumeration costs the rest of it nothing."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import FakeNode, FakeSystem, refuse

from vb2user.errors import DeviceRemovedError, KernelError
from vb2user.uapi import kernel
from vb2user.uapi import media as m
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls import Listed, Refused, formats, inputs, listed, media, signal
from vb2user.uapi.enums import BufType

CAP = BufType.VIDEO_CAPTURE
COUNT = 4

Enumerate = Callable[..., Iterator[Any]]
EVERY: dict[str, Enumerate] = {
    "formats": lambda fd, refused: formats.enum_fmt(fd, CAP, refused),
    "sizes": lambda fd, refused: formats.enum_framesizes(fd, 1, refused),
    "intervals": lambda fd, refused: formats.enum_frameintervals(fd, 1, 64, 32, refused),
    "inputs": inputs.enuminput,
    "outputs": inputs.enumoutput,
    "standards": signal.enumstd,
    "timings": lambda fd, refused: signal.enum_dv_timings(fd, 0, refused),
    "entities": media.enum_entities,
}


class Driver(FakeNode):
    """Has :data:`COUNT` of everything; entities by the ids 3, 6, 9, 12.

    Attributes:
        refuses: errno by index (or id) of the entry.
        ends: the errno after the last one.
        asked: for which numbers it was asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refuses: dict[int, int] = {}
        self.ends = errno.EINVAL
        self.asked: list[int] = []

    def ioctl(self, file: Any, request: int, arg: Any) -> int:
        if request == m.MEDIA_IOC_ENUM_ENTITIES:
            after = arg.id & ~m.MEDIA_ENT_ID_FLAG_NEXT
            number = after // 3 * 3 + 3
            self._answer(number, number <= 3 * COUNT, arg)
            arg.id = number
        else:
            self._answer(arg.index, arg.index < COUNT, arg)
            if request in (v.VIDIOC_ENUM_FRAMESIZES, v.VIDIOC_ENUM_FRAMEINTERVALS):
                arg.type = 1  # discrete
        return 0

    def _answer(self, number: int, there: bool, arg: Any) -> None:
        self.asked.append(number)
        if number in self.refuses:
            arg.reserved[0] = 1  # a driver that fails may leave anything behind
            raise refuse(self.refuses[number])
        if not there:
            raise refuse(self.ends)


@pytest.fixture
def driver(fake_system: FakeSystem) -> Driver:
    fake_system.nodes["/dev/fake"] = made = Driver()
    return made


@pytest.fixture
def fd(driver: Driver) -> Iterator[kernel.Fd]:
    with kernel.open_node("/dev/fake") as opened:
        yield opened


@pytest.mark.parametrize("what", EVERY)
def test_one_that_is_refused_costs_the_others_nothing(driver: Driver, fd: kernel.Fd, what: str) -> None:
    enumerate = EVERY[what]
    step = 3 if what == "entities" else 1
    driver.refuses = dict.fromkeys(range(step, 2 * step), errno.EIO) if step == 1 else {6: errno.EIO}
    refused: list[Refused] = []
    assert len(list(enumerate(fd, refused))) == COUNT - 1
    assert refused
    assert {one.error.errno for one in refused} == {errno.EIO}
    assert refused[0].error.device == "/dev/fake"
    entries = enumerate(fd, None)
    assert len([next(entries) for _ in range(COUNT - 1)]) == COUNT - 1
    with pytest.raises(KernelError) as caught:  # after the last of them
        next(entries)
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("what", EVERY)
@pytest.mark.parametrize("end", [errno.EINVAL, errno.ENOTTY, errno.ENODATA])
def test_the_end_is_no_error(driver: Driver, fd: kernel.Fd, what: str, end: int) -> None:
    driver.ends = end
    refused: list[Refused] = []
    assert len(list(EVERY[what](fd, refused))) == COUNT
    assert refused == []


@pytest.mark.parametrize("what", EVERY)
def test_all_are_refused(driver: Driver, fd: kernel.Fd, what: str) -> None:
    """The enumeration ends all the same, and says it once."""
    driver.refuses = dict.fromkeys(range(1000), errno.EIO)
    refused: list[Refused] = []
    assert list(EVERY[what](fd, refused)) == []
    assert [one.index for one in refused] == [0]
    with pytest.raises(KernelError, match="EIO"):
        listed(lambda refused: EVERY[what](fd, refused))


def test_from_some_on_all_are_refused(driver: Driver, fd: kernel.Fd) -> None:
    driver.refuses = {0: errno.EPERM} | dict.fromkeys(range(2, 1000), errno.EIO)
    found = listed(lambda refused: inputs.enuminput(fd, refused))
    assert isinstance(found, Listed)
    assert [one.index for one in found] == [1]
    assert [(one.index, one.error.errno) for one in found.refused] == [(0, errno.EPERM), (2, errno.EIO)]


@pytest.mark.parametrize("what", EVERY)
def test_a_device_that_is_gone_ends_it_at_once(driver: Driver, fd: kernel.Fd, what: str) -> None:
    driver.refuses = dict.fromkeys(range(1000), errno.ENODEV)
    with pytest.raises(DeviceRemovedError):
        list(EVERY[what](fd, []))
    assert len(driver.asked) == 1

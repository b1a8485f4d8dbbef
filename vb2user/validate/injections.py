"""Beside the layers: controls by which a driver makes one of its own calls fail, for tests of what follows.

They are data of drivers, in ``injections.json``. Driver and control are patterns of names, as a shell has
them. ``fails`` says what fails once when the control is set, and ``errno`` with which error.
"""

from __future__ import annotations

import errno
import fnmatch
import functools
import json
from importlib import resources
from typing import NamedTuple

from vb2user.uapi import calls
from vb2user.uapi.calls.control_query import list_controls
from vb2user.uapi.calls.controls import s_ctrl
from vb2user.uapi.enums import Cap
from vb2user.uapi.kernel import Fd
from vb2user.validate.needs import Need
from vb2user.validate.outcome import NotOfThisDeviceError, Status
from vb2user.validate.queues import queue_name
from vb2user.validate.target import Target


class Injection(NamedTuple):
    """A control that makes something fail once.

    Attributes:
        driver, queue, control: patterns of their names.
        fails: what fails: ``REQBUFS``, ``QBUF``, ``STREAMON``, ``queue`` (for good), ``frame``.
        errno: the name of the error number that comes; empty: none does.
    """

    driver: str
    queue: str
    control: str
    fails: str
    errno: str


@functools.cache
def _known() -> list[Injection]:
    text = resources.files("vb2user.validate").joinpath("injections.json").read_text()
    return [Injection(**entry) for entry in json.loads(text)["injections"]]


def _found(target: Target, fd: Fd, fails: str) -> tuple[int, Injection] | None:
    # A touch device's queue is of the same type as a camera's.
    touch = calls.querycap(fd).device_caps & Cap.TOUCH
    queue = "touch-capture" if touch else queue_name(target.type)
    mine = [
        i
        for i in _known()
        if i.fails == fails
        and fnmatch.fnmatchcase(target.driver, i.driver)
        and fnmatch.fnmatchcase(queue, i.queue)
    ]
    for info in list_controls(fd) if mine else ():
        for one in mine:
            if fnmatch.fnmatchcase(info.name, one.control):
                return info.id, one
    return None


def injects(fails: str) -> Need:
    """The driver has a control that makes this fail."""

    def why_not(target: Target) -> str | None:
        with target.open() as device:
            there = _found(target, device.node, fails)
        return None if there else f"no control is known by which this driver lets {fails} fail"

    return Need(f"a control that lets {fails} fail", Status.SKIP, why_not)


def inject(target: Target, fd: Fd, fails: str) -> int:
    """Let something fail once; returns the errno that comes, 0: none."""
    there = _found(target, fd, fails)
    if there is None:
        raise NotOfThisDeviceError(f"no control lets {fails} fail")
    id, one = there
    s_ctrl(fd, id, 1)
    target.tell(f"control {one.control!r} was set")
    return int(getattr(errno, one.errno)) if one.errno else 0

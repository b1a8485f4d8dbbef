"""Layer 4: the part of a device that its events need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from vb2user.device.controls.control import ControlTable
    from vb2user.uapi.calls import Input
    from vb2user.uapi.enums import Cap
    from vb2user.uapi.kernel import Fd


class EventSource(Protocol):
    """A device as its events need it, which :class:`~vb2user.device.device.Device` is."""

    @property
    def path(self) -> str:
        """The path it was opened by."""

    @property
    def node(self) -> Fd:
        """The file descriptor."""

    @property
    def caps(self) -> Cap:
        """What the node can do."""

    @property
    def inputs(self) -> Sequence[Input]:
        """The inputs."""

    @property
    def controls(self) -> ControlTable:
        """The controls."""

    def open_events(self) -> Sequence[Any]:
        """The iterators of events that were not closed."""

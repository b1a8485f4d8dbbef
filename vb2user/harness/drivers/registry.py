"""Beside the layers: the drivers that can be loaded, each once.

The commands of ``harness`` and ``vm run``, the agent in a guest, the fixtures, the doctor and the check of
frames iterate over :data:`DRIVERS`. Importing this is cheap: a driver's own module comes when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from vb2user.harness.contents import Contents
    from vb2user.harness.drivers.module import Loaded
    from vb2user.harness.kernels.cache import Kernel, Say


class Instance(Protocol):
    """Some nodes of a loaded driver that belong together."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON document."""

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """For each node: driver, allocator, API, role, path."""


class Code(Protocol):
    """What the module of a driver has. A config is a JSON document: it says what to load the driver with."""

    def loaded(self) -> bool:
        """Is it in the kernel?"""

    def state(self) -> str | None:
        """Whether the running kernel has it, or could have it, in words; None: it could not."""

    def instances(self) -> Sequence[Instance]:
        """What the loaded module has."""

    def make(self, config: Mapping[str, Any] | None = None) -> Loaded[Any]:
        """What loads and unloads it; None: as the fixtures want it."""

    def described(self, given: Mapping[str, Any], say: Say) -> dict[str, Any]:
        """The config for options of ``harness up``; has at hand what loading here needs."""

    def for_guest(self, kernel: Kernel, say: Say) -> dict[str, Any]:
        """The config for a guest; has at hand what loading there needs, for a guest has no network."""


@dataclass(frozen=True)
class Driver:
    """One driver.

    Attributes:
        name: its module's.
        option: that of ``harness up`` and ``vm run``; the first driver needs none in ``harness up``.
        about: the option's help in ``harness up``.
        in_guest: the option's help in ``vm run``.
        takes: the options of ``harness up`` that describe it.
        code: its module in this package.
        by_default: is it loaded into a guest unless it is not wanted?
        hint: how to get it; None: as every module of a stock kernel.
        contents: what its frames hold; None: nothing, or ``validate`` knows.
    """

    name: str
    option: str
    about: str
    in_guest: str
    takes: tuple[str, ...]
    code: Callable[[], Code]
    by_default: bool = False
    hint: str | None = None
    contents: Callable[[], Contents] | None = None


@dataclass(frozen=True)
class Wanted:
    """A driver that is to be loaded into a guest.

    Attributes:
        name: a key of :data:`DRIVERS`.
        config: what it is loaded with, as :class:`Code` has it.
        required: is a guest without it an error, or a remark?
    """

    name: str
    config: Mapping[str, Any]
    required: bool = True


def _vivid() -> Code:
    from vb2user.harness.drivers import vivid

    return vivid


def _vb2probe() -> Code:
    from vb2user.harness.drivers import vb2probe

    return vb2probe


def _probes_pattern() -> Contents:
    from vb2user.harness.drivers.vb2probe import contents

    return contents()


#: In the order in which they are loaded: the first one's nodes have the first numbers.
DRIVERS: dict[str, Driver] = {
    d.name: d
    for d in (
        Driver(
            "vivid",
            "vivid",
            "vivid, which is the default.",
            "vivid's /dev/video0 first [default: if it can be].",
            ("preset", "instances", "nodes", "allocator", "multiplanar", "cache_hints", "param"),
            _vivid,
            by_default=True,
        ),
        Driver(
            "vb2probe",
            "probe",
            "vb2probe instead, built against this kernel's headers.",
            "Build vb2probe for that kernel and load it after vivid.",
            ("allocator",),
            _vb2probe,
            hint="run: sudo vb2user harness up --probe",
            contents=_probes_pattern,
        ),
    )
}

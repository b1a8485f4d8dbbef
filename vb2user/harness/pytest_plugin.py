"""Beside the layers: fixtures for any project's tests that want a V4L2 device. Only this module knows pytest.

Every pytest run of an environment with vb2user loads it. So it does nothing until a test asks for one of its
fixtures, and its import is cheap.

==================  =======  =====================================================================
fixture             scope    what it is
==================  =======  =====================================================================
vivid_vmalloc       session  :class:`VividDevice` whose queues live in vmalloc memory
vivid_dma_contig    session  :class:`VividDevice` whose queues live in DMA-contiguous memory
vivid               session  each of the two in turn
vivid_factory       test     loads vivid otherwise for one test, and puts back what was there
vb2probe            session  allocator to :class:`.ProbeInstance`: vb2probe's nodes on each of the three
sur40               module   a virtual Samsung SUR40, plugged in: the kernel's own dma-sg queue
webcam              test     a virtual UVC webcam, plugged in: the kernel's own uvcvideo
webcam_factory      test     plugs in webcams of the test's own making
load_driver         session  loads any of the drivers, by its name
plug_in             test     plugs in any of the emulated USB devices, by its name
==================  =======  =====================================================================

The module vivid is one per kernel, so one load serves all of them (``vb2user harness up --preset tests``).
The plugin loads it at the first use and unloads it at the end, unless it was loaded before. The same holds
for vb2probe, which must have been built for the kernel (``vb2user vm run --probe`` does that).

A missing prerequisite skips the test with the reason. With ``VB2USER_HW=1`` in the environment it is an
error, so that a run on real hardware cannot pass by skipping.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from vb2user.harness.drivers.registry import DRIVERS
from vb2user.harness.usb.registry import DEVICES

if TYPE_CHECKING:
    from vb2user.errors import Vb2Error
    from vb2user.harness.drivers import vb2probe as probe
    from vb2user.harness.drivers.vivid import Config, VividInstance
    from vb2user.harness.usb.sur40 import VirtualSur40
    from vb2user.harness.usb.uvc.webcam import VirtualWebcam

#: Loads vivid with a configuration for one test; returns its instances.
VividFactory = Callable[["Config"], "list[VividInstance]"]
#: Plugs in a webcam for one test; the arguments are those of
#: :class:`vb2user.harness.usb.uvc.webcam.VirtualWebcam`.
WebcamFactory = Callable[..., "VirtualWebcam"]
#: Loads a driver by its name for the session; returns its instances.
LoadDriver = Callable[[str], "list[Any]"]
#: Plugs in an emulated USB device for one test: its name, and the arguments of its class.
PlugIn = Callable[..., Any]


@dataclass(frozen=True)
class VividDevice:
    """A vivid instance of the preset ``tests``.

    Each access looks the path up, because a test with ``vivid_factory`` may have reloaded the module, and
    node numbers may change then.

    Attributes:
        allocator: ``vmalloc`` or ``dma-contig``.
        index: its number among vivid's instances.
        multiplanar: does it speak the multi-planar API?
    """

    allocator: str
    index: int
    multiplanar: bool = False

    @property
    def capture(self) -> str:
        """Path of the capture node."""
        return self._instance.capture

    @property
    def output(self) -> str:
        """Path of the output node."""
        return self._instance.output

    @property
    def media(self) -> str | None:
        """Path of the media controller."""
        return self._instance.media

    @property
    def mplane(self) -> VividDevice:
        """The sibling device with the same allocator and the multi-planar API."""
        return self if self.multiplanar else VividDevice(self.allocator, self.index + 2, True)

    @property
    def _instance(self) -> VividInstance:
        from vb2user.errors import MissingPrerequisiteError
        from vb2user.harness.drivers.vivid import instances

        for instance in instances():
            if instance.index == self.index:
                return instance
        raise MissingPrerequisiteError(f"vivid has no instance {self.index} any more")


class _Loader:
    """vivid's configuration during the session, and whether the plugin must unload it."""

    def __init__(self) -> None:
        self._owned = False
        self.session_in_use = False
        # In a guest of ``vb2user vm run``, vivid was loaded for the command, so it may be unloaded.
        self._may_take_over = os.environ.get("VB2USER_VM") == "1"

    def use(self, config: Config) -> list[VividInstance]:
        """Have vivid loaded with ``config``."""
        from vb2user.harness.drivers.vivid import Vivid, differences, loaded

        if loaded() and differences(config) and (self._owned or self._may_take_over):
            Vivid().down()
        was_loaded = loaded()
        found = Vivid(config).up()
        self._owned = self._owned or not was_loaded
        return found

    def close(self) -> None:
        """Unload vivid if the plugin loaded it."""
        from vb2user.harness.drivers.vivid import Vivid

        if self._owned:
            self._owned = False
            Vivid().down()


def _unavailable(error: Vb2Error) -> NoReturn:
    if os.environ.get("VB2USER_HW") == "1":
        pytest.fail(f"VB2USER_HW=1, but {error}", pytrace=False)
    pytest.skip(str(error))


def _use(loader: _Loader, config: Config) -> list[VividInstance]:
    from vb2user.errors import Vb2Error

    try:
        return loader.use(config)
    except Vb2Error as error:
        _unavailable(error)


@pytest.fixture(scope="session")
def _vivid_loader() -> Iterator[_Loader]:
    loader = _Loader()
    yield loader
    loader.close()


@pytest.fixture(scope="session")
def _vivid_session(_vivid_loader: _Loader) -> None:
    from vb2user.harness.drivers.vivid import PRESETS

    _use(_vivid_loader, PRESETS["tests"])
    _vivid_loader.session_in_use = True


@pytest.fixture(scope="session")
def vivid_vmalloc(_vivid_session: None) -> VividDevice:
    """A vivid whose queues live in vmalloc memory: MMAP, USERPTR, DMABUF, read and write."""
    return VividDevice("vmalloc", 0)


@pytest.fixture(scope="session")
def vivid_dma_contig(_vivid_session: None) -> VividDevice:
    """A vivid whose queues live in DMA-contiguous memory: MMAP, DMABUF, read and write."""
    return VividDevice("dma-contig", 1)


@pytest.fixture(scope="session", params=["vmalloc", "dma-contig"])
def vivid(request: pytest.FixtureRequest, _vivid_session: None) -> VividDevice:
    """A vivid per allocator, in turn."""
    return VividDevice(request.param, 0 if request.param == "vmalloc" else 1)


@pytest.fixture
def vivid_factory(_vivid_loader: _Loader) -> Iterator[VividFactory]:
    """Loads vivid with a :class:`vb2user.harness.drivers.vivid.Config` of the test's own.

    Afterwards the preset is loaded again, if fixtures of the session use it.
    """
    from vb2user.harness.drivers.vivid import PRESETS

    yield lambda config: _use(_vivid_loader, config)
    if _vivid_loader.session_in_use:
        _vivid_loader.use(PRESETS["tests"])


class _Probes(Mapping[str, "probe.ProbeInstance"]):
    """Allocator to vb2probe's nodes, looked up when asked for, as those of :class:`VividDevice`."""

    def __getitem__(self, allocator: str) -> probe.ProbeInstance:
        from vb2user.harness.drivers import vb2probe as probe

        for instance in probe.instances():
            if instance.allocator == allocator:
                return instance
        raise KeyError(f"vb2probe has no device for {allocator}, or is not loaded any more")

    def __iter__(self) -> Iterator[str]:
        from vb2user.harness.drivers import vb2probe as probe

        return iter([i.allocator for i in probe.instances()])

    def __len__(self) -> int:
        return len(list(iter(self)))


@pytest.fixture(scope="session")
def load_driver() -> Iterator[LoadDriver]:
    """Loads any of the drivers for the session: ``load_driver("vb2probe")`` returns its instances.

    The fixtures named after vivid know better what to do with vivid.
    """
    with contextlib.ExitStack() as stack:
        yield lambda name: _there(stack, DRIVERS[name].code().make())


@pytest.fixture(scope="session")
def vb2probe(load_driver: LoadDriver) -> Mapping[str, probe.ProbeInstance]:
    """vb2probe's nodes for each allocator, ``vmalloc``, ``dma-contig`` and ``dma-sg``."""
    load_driver("vb2probe")
    return _Probes()


def _there(stack: contextlib.ExitStack, wanted: contextlib.AbstractContextManager[Any]) -> Any:
    """A driver that is loaded, or a device that is plugged in, for the stack's life."""
    from vb2user.errors import Vb2Error

    try:
        return stack.enter_context(wanted)
    except Vb2Error as error:
        _unavailable(error)


@pytest.fixture(scope="module")
def sur40() -> Iterator[VirtualSur40]:
    """A virtual SUR40 whose driver's queue lives in scattered memory (dma-sg): MMAP, DMABUF and read.

    Its frames come back flagged ERROR on kernels whose driver maps buffers for the USB interface.
    """
    with contextlib.ExitStack() as stack:
        yield _there(stack, DEVICES["sur40"].make())


@pytest.fixture
def plug_in() -> Iterator[PlugIn]:
    """Plugs in any of the emulated USB devices: ``plug_in("webcam", "isochronous")``; they go with the test.

    The names are those of the commands ``vb2user harness NAME``, the arguments those of the device's class.
    """
    with contextlib.ExitStack() as stack:
        yield lambda name, *args, **kwargs: _there(stack, DEVICES[name].make(*args, **kwargs))


@pytest.fixture
def webcam_factory(plug_in: PlugIn) -> WebcamFactory:
    """Plugs in webcams as :class:`~vb2user.harness.usb.uvc.webcam.VirtualWebcam` is told.

    The end of the test unplugs them.
    """
    return functools.partial(plug_in, "webcam")


@pytest.fixture
def webcam(webcam_factory: WebcamFactory) -> VirtualWebcam:
    """A virtual UVC webcam whose driver's queue lives in vmalloc memory: bulk, YUYV and MJPG."""
    return webcam_factory()

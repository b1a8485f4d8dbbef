"""Layer 1: all that user space can say of videodev2.h, v4l2-common.h and v4l2-controls.h.

The only importer of v4l2-python3's module ``v4l2``. ``_generated/taken.py`` declares the names that this
module takes from there. The other generated modules have what v4l2-python3 lacks or has wrong, and
``_macros.py`` has the headers' function-like macros. Knows no file descriptor.

Every name is the header's own, every ioctl number a non-negative int::

    from vb2user.uapi import videodev2 as v4l2
    v4l2.v4l2_buffer(), v4l2.VIDIOC_QBUF, v4l2.V4L2_BUF_FLAG_DONE

On 32-bit ABIs the structs are those of 64-bit time, as :class:`~vb2user.uapi._base.timeval` explains.
The names are listed by ``dir()`` and by the source: https://docs.kernel.org/userspace-api/media/v4l/videodev.html
"""

from __future__ import annotations

import ctypes as _ctypes
import warnings as _warnings

from . import _base
from ._base import text as text
from ._base import timespec as timespec
from ._base import timeval as timeval
from ._generated import taken as _taken

with _warnings.catch_warnings():
    # From 3.14 on, ctypes deprecates _pack_ without _layout_, which v4l2-python3 predates.
    _warnings.simplefilter("ignore", DeprecationWarning)
    import v4l2 as _v4l2


def _take_over() -> None:
    """Fill in what taken.py declares, after a check that this ``v4l2`` is v4l2-python3's.

    The distributions ``v4l2`` and ``v4l2-fix`` install a module of the same name that knows no
    multi-planar API; whichever was installed last is the one that is there.
    """
    module = vars(_v4l2)
    plane = module.get("v4l2_plane")
    expected = 56 + _ctypes.sizeof(_ctypes.c_ulong)
    if plane is None or _ctypes.sizeof(plane) != expected:
        raise ImportError(
            f"{_v4l2.__file__} is not v4l2-python3's module: its v4l2_plane is not {expected} bytes long; "
            "remove the packages v4l2 and v4l2-fix, then reinstall v4l2-python3",
            name="v4l2",
            path=_v4l2.__file__,
        )
    target = vars(_taken)
    for name in _taken._TYPES:
        target[name] = module[name]
    for name in _taken.__annotations__:
        value = module[name]
        # There the numbers are signed, and in the encoding of most architectures on all of them.
        target[name] = _base._from_generic(value) if name.startswith("VIDIOC_") else value


_take_over()

# The generated modules use what was just filled in, so they come after it.
from ._generated.controls import *  # noqa: E402, F403
from ._generated.taken import *  # noqa: E402, F403
from ._generated.videodev2 import *  # noqa: E402, F403
from ._macros import *  # noqa: E402, F403

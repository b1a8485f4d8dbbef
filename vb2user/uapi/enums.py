"""Layer 1: the headers' constants as enumerations, with the headers' meaning. Knows no struct.

A member is named by the header's name without its prefix (``V4L2_BUF_TYPE_VIDEO_CAPTURE`` is
``BufType.VIDEO_CAPTURE``), with a leading underscore before a digit. Two names of one value are
aliases. Values without a name are kept: see :class:`~vb2user.uapi._enumbase.KernelEnum`.

What every capture needs is defined on import; the other enumerations when first asked for. Control ids
and the menus of controls are in :mod:`vb2user.uapi.controls`.
"""

from __future__ import annotations

from ._enumbase import KernelEnum as KernelEnum
from ._enumbase import KernelFlag as KernelFlag
from ._generated.enums import *  # noqa: F403

# As typing.TYPE_CHECKING, without the time that importing typing takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._generated.media_enums import *  # noqa: F403
    from ._generated.video_enums import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        if not name.startswith("_"):
            from importlib import import_module

            for module in ("video_enums", "media_enums"):
                found = import_module(f"._generated.{module}", __package__)
                if name in vars(found):
                    globals()[name] = vars(found)[name]
                    return vars(found)[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

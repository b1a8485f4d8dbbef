"""Layer 1: the headers' constants as enumerations, with the headers' meaning. Knows no struct.

A member is named by the header's name without its prefix (``V4L2_BUF_TYPE_VIDEO_CAPTURE`` is
``BufType.VIDEO_CAPTURE``), with a leading underscore before a digit. Two names of one value are
aliases. Values without a name are kept: see :class:`~vb2user.uapi._enumbase.KernelEnum`.

What every capture needs is defined on import; the other enumerations when first asked for. Control ids
and the menus of controls are in :mod:`vb2user.uapi.controls`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._enumbase import KernelEnum as KernelEnum
from ._enumbase import KernelFlag as KernelFlag
from ._generated.enums import *  # noqa: F403

if TYPE_CHECKING:
    from ._generated.rare_enums import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        from ._generated import rare_enums

        try:
            value = getattr(rare_enums, name)
        except AttributeError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        globals()[name] = value
        return value

"""Layer 1: media.h, the media controller and its requests. Knows nothing of video nodes.

Source: https://docs.kernel.org/userspace-api/media/mediactl/media-controller.html
"""

from __future__ import annotations

from ._base import text as text
from ._generated.media import *  # noqa: F403


def MEDIA_V2_ENTITY_HAS_FLAGS(media_version: int) -> bool:
    """Whether ``media_v2_entity.flags`` is filled in, by ``media_device_info.media_version``."""
    return media_version >= 4 << 16 | 19 << 8


def MEDIA_V2_PAD_HAS_INDEX(media_version: int) -> bool:
    """Whether ``media_v2_pad.index`` is filled in, by ``media_device_info.media_version``."""
    return media_version >= 4 << 16 | 19 << 8

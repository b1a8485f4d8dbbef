"""Layer 1: the ids of all controls, and their menus and bit masks as enumerations. Knows no struct.

``ControlId.BRIGHTNESS`` is ``V4L2_CID_BRIGHTNESS``; the menu ``enum v4l2_colorfx`` is ``Colorfx``. Import it
where it is used: it holds some 700 members that a capture does without.

Source: https://docs.kernel.org/userspace-api/media/v4l/extended-controls.html
"""

from __future__ import annotations

from ._generated.control_ids import *  # noqa: F403

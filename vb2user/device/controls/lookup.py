"""Layer 4: a node's controls by name, number or attribute-like name.

This module has the names and single calls. Programs use :class:`~vb2user.device.controls.set.Controls`.

Source: https://docs.kernel.org/userspace-api/media/v4l/extended-controls.html
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vb2user.device.controls.brief import brief
from vb2user.errors import KernelError, UsageError
from vb2user.uapi.calls.controls import (
    ControlInfo,
    ControlValue,
    MenuItem,
    control_id,
    g_ext_ctrls,
    header_name,
    list_controls,
    s_ext_ctrls,
)
from vb2user.uapi.kernel import Fd

_LONGEST = 100  #: characters of a name that are compared
_ID = re.compile(r"0x[0-9a-fA-F]{1,8}|[0-9]{1,10}")
_PART = 4  #: letters at least of a part of a word that says something: "auto" of "automatic"


class NoSuchControlError(UsageError, AttributeError, KeyError):
    """The node has no control of this name or number.

    Attribute access and item access both raise this error.
    """


def slug(name: str) -> str:
    """``"OSD Text Mode"`` as ``osd_text_mode``: what v4l2-ctl calls a control, too."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def slugs(found: Sequence[ControlInfo]) -> list[str]:
    """Return a unique name for each of a node's controls: its :func:`slug`, or else its id.

    The id is the name of those that share a slug, and of those whose slug could be an id.
    """
    plain = [slug(info.name) for info in found]
    return [
        name if name and plain.count(name) == 1 and not _ID.fullmatch(name) else f"{info.id:#010x}"
        for name, info in zip(plain, found, strict=True)
    ]


def pick(found: Sequence[ControlInfo], which: int | str) -> ControlInfo | None:
    """The control with this id, name, :func:`slug`, or name in the kernel's headers (``V4L2_CID_…``)."""
    if isinstance(which, int):
        return next((info for info in found if info.id == which), None)
    for info in found:
        if which in (info.name, slug(info.name)):
            return info
    id = pick_id(which)
    return None if id is None else pick(found, id)


def pick_id(which: int | str) -> int | None:
    """Return the id for a number, its text, or a name in the kernel's headers; None if it is not an id."""
    if isinstance(which, int):
        return which
    if _ID.fullmatch(which):
        return int(which, 16) if which.startswith("0x") else int(which)
    # Drivers, and kernels, have different words for the same control.
    return control_id(which)


def broken_name(id: int) -> str:
    """Return a name for a control that the driver cannot tell: the kernel headers' name, or else its id."""
    name = header_name(id).lower()
    return f"{id:#010x}" if name.startswith("unknown_") else name


def failure(failed: Mapping[int, KernelError], which: int | str) -> KernelError | None:
    """Return the error for a control's id or name that the driver could not tell; ``failed`` is by id."""
    id = next((id for id in failed if broken_name(id) == which), pick_id(which))
    return None if id is None else failed.get(id)


def missing(device: str, which: int | str, names: Sequence[str]) -> NoSuchControlError:
    """Return the error for an unknown control. It names near matches, and the command that lists all."""
    is_id = isinstance(which, int) and 0 <= which < 1 << 32
    wanted = f"{which:#x}" if is_id else brief(which)
    near = near_matches(which, names) if isinstance(which, str) else []
    listed = f"'vb2user controls {device}' lists"
    if near:
        hint = f"did you mean {' or '.join(near)}? {listed} all {len(names)}"
    elif names:
        hint = f"it has {len(names)} {'control' if len(names) == 1 else 'controls'}: {listed} them"
    else:
        hint = "it has no controls at all"
    return NoSuchControlError(f"{device} has no control {wanted}", hint=hint)


def near_matches(wanted: str, names: Sequence[str]) -> list[str]:
    """Return the likely names for ``wanted``: first those that share words with it, then misspelt ones."""
    plain = slug(wanted)[:_LONGEST]
    words = [word for word in plain.split("_") if word]
    shared = {name: _shared(words, name.split("_")) for name in names}
    alike = sorted((name for name in shared if shared[name]), key=lambda name: -shared[name])
    close = difflib.get_close_matches(plain, names, 4) if words else []
    return list(dict.fromkeys([*alike, *close]))[:6]


def _shared(words: Sequence[str], others: Sequence[str]) -> int:
    """Count the letters that two names share in words that are equal, or of which one contains the other."""
    return sum(
        max(
            (
                min(len(word), len(other))
                for other in others
                if word == other or (min(len(word), len(other)) >= _PART and (word in other or other in word))
            ),
            default=0,
        )
        for word in words
    )


@dataclass(frozen=True)
class Index:
    """The controls of a node, as the device object remembers them.

    Attributes:
        node: whose.
        infos: as the driver told them then.
        names: what each is called, by its id.
        by_name: each by what it is called.
        failed: those that the driver could not tell, by their ids, and why.
        menus: what was asked for since.
    """

    node: Fd
    infos: list[ControlInfo]
    names: dict[int, str]
    by_name: dict[str, ControlInfo]
    failed: dict[int, KernelError] = field(default_factory=dict)
    menus: dict[int, tuple[MenuItem, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, node: Fd) -> Index:
        """Ask for it."""
        failed: dict[int, KernelError] = {}
        infos = list(list_controls(node, failed=failed))
        by_name = dict(zip(slugs(infos), infos, strict=True))
        return cls(node, infos, {info.id: name for name, info in by_name.items()}, by_name, failed)


def find_control(node: Fd, which: int | str) -> ControlInfo:
    """A control by its id, its name, or its name as :func:`slug` writes it.

    NoSuchControlError: the node has no such control. The message names near matches, or how to list all.
    """
    failed: dict[int, KernelError] = {}
    found = list(list_controls(node, failed=failed))
    info = pick(found, which)
    if info is not None:
        return info
    if (error := failure(failed, which)) is not None:
        raise error
    raise missing(node.name, which, slugs(found))


def get_control(node: Fd, which: int | str | ControlInfo) -> ControlValue:
    """The value of one control (``VIDIOC_G_EXT_CTRLS``)."""
    info = which if isinstance(which, ControlInfo) else find_control(node, which)
    return g_ext_ctrls(node, [info])[0]


def set_control(node: Fd, which: int | str, value: ControlValue) -> ControlValue:
    """Set one control (``VIDIOC_S_EXT_CTRLS``); returns what the driver took."""
    return s_ext_ctrls(node, [(find_control(node, which), value)])[0]

"""Layer 8: what a shell offers when TAB is pressed: nodes, formats, sizes, heaps, controls.

Each function here is a ``shell_complete`` of a click parameter. A shell waits for the answer and shows no
errors, so what needs a device asks the one that was typed already, and what goes wrong offers nothing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from vb2user.text import printable

if TYPE_CHECKING:
    from vb2user.device.device import Device

#: A word and what it means.
_Offer = tuple[str, "str | None"]
_CLASS = Path("/sys/class/video4linux")
_LINKS = Path("/dev/v4l")


#: What a shell takes for itself, and a word that begins like an option. Shells put an offer into the command
#: line as it is, and names are chosen by devices.
_UNSAFE = re.compile(r"^-|[\s!\"#$&'()*;<>?\[\\\]^`{|}~]")


def _matching(offers: Iterable[_Offer], incomplete: str) -> list[CompletionItem]:
    """Those that begin as typed, in whatever case; each once; none that a shell would run or take apart."""
    found = {
        value: help
        for value, help in offers
        if value.lower().startswith(incomplete.lower()) and value.isprintable() and not _UNSAFE.search(value)
    }
    return [CompletionItem(value, help=help and printable(help)) for value, help in found.items()]


def _nodes() -> Iterator[_Offer]:
    for folder in sorted(_CLASS.glob("*"), key=lambda p: (len(p.name), p.name)):
        with contextlib.suppress(OSError):
            yield f"/dev/{folder.name}", (folder / "name").read_text(errors="replace").strip()


def nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Video nodes with the names of their devices; their stable names when ``/dev/v4l`` was typed."""
    if incomplete.startswith(str(_LINKS)):
        return _matching(((str(p), p.resolve().name) for p in sorted(_LINKS.glob("*/*"))), incomplete)
    return _matching(_nodes(), incomplete)


def heaps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Where dma-bufs come from: the heaps of this machine, udmabuf, and nodes that may export."""
    from vb2user.memory.heaps import names

    named = [(name, "ordinary memory" if name == "udmabuf" else "DMA heap") for name in names()]
    return _matching([*named, *_nodes()], incomplete)


def formats(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The pixel formats of the device that was typed."""

    def ask(device: Device) -> list[_Offer]:
        return [(str(f.pixelformat), f.description) for f in device.formats()]

    return _matching(_ask(ctx, ask), incomplete)


def sizes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The sizes of the device that was typed, for the format that was, or the present one."""
    from vb2user.uapi.enums import FrmSizeType

    def ask(device: Device) -> list[_Offer]:
        chosen = ctx.params.get("pixelformat") or device.get_format().pixelformat
        return [(str(s), None) for s in device.frame_sizes(chosen) if s.type == FrmSizeType.DISCRETE]

    return _matching(_ask(ctx, ask), incomplete)


def controls(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the controls of the device that was typed."""
    from vb2user.device.controls.lookup import slug
    from vb2user.uapi.enums import CtrlType

    def ask(device: Device) -> list[_Offer]:
        return [(slug(c.name), c.name) for c in device.list_controls() if c.type != CtrlType.CTRL_CLASS]

    return _matching(_ask(ctx, ask), incomplete)


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shell's own completion of files."""
    return [CompletionItem(incomplete, type="file")]


def _ask(ctx: click.Context, question: Callable[[Device], list[_Offer]]) -> list[_Offer]:
    """What the device on the command line answers; nothing, where none was typed or it does not answer."""
    from vb2user.device.device import Device
    from vb2user.errors import Vb2Error

    # An option that still lacks its value stops click before it gives the arguments their names.
    path = ctx.params.get("device") or next(iter(ctx.args), None)
    if not path:
        return []
    try:
        with Device(path) as device:
            return question(device)
    except Vb2Error:
        return []

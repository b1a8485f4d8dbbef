"""Layer 8: completions of a shell at TAB: nodes, formats, sizes, heaps, controls.

Each function here is a ``shell_complete`` of a click parameter. A shell waits for the answer and shows no
errors. So a completion that needs a device asks the one that was typed already, and an error gives no
completions.
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

#: A word and its meaning.
_Offer = tuple[str, "str | None"]
_CLASS = Path("/sys/class/video4linux")
_LINKS = Path("/dev/v4l")


#: Characters that a shell interprets, and a word that begins like an option. Shells insert a completion
#: without quotes, and devices choose their own names.
_UNSAFE = re.compile(r"^-|[\s!\"#$&'()*;<>?\[\\\]^`{|}~]")


def _matching(offers: Iterable[_Offer], incomplete: str) -> list[CompletionItem]:
    """Return the words that begin as typed, in any case, each once, without a shell's special ones."""
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


def node_path(text: str) -> str:
    """Return the path of a node as a user types it: a number N means ``/dev/videoN``."""
    return f"/dev/video{text.lstrip('0') or '0'}" if text.isascii() and text.isdecimal() else text


def nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete video nodes with the names of their devices; stable names if ``/dev/v4l`` was typed."""
    if incomplete.startswith(str(_LINKS)):
        return _matching(((str(p), p.resolve().name) for p in sorted(_LINKS.glob("*/*"))), incomplete)
    return _matching(_nodes(), incomplete)


def heaps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Where dma-bufs come from: the heaps of this machine, udmabuf, and nodes that may export."""
    from vb2user.memory.heaps import names

    named = [(name, "ordinary memory" if name == "udmabuf" else "DMA heap") for name in names()]
    return _matching([*named, *_nodes()], incomplete)


def formats(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the pixel formats of the typed device."""

    def ask(device: Device) -> list[_Offer]:
        return [(str(f.pixelformat), f.description) for f in device.formats()]

    return _matching(_ask(ctx, ask), incomplete)


def sizes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the sizes of the typed device, for the typed format or the present one."""
    from vb2user.uapi.enums import FrmSizeType

    def ask(device: Device) -> list[_Offer]:
        chosen = ctx.params.get("pixelformat") or device.get_format().pixelformat
        return [(str(s), None) for s in device.frame_sizes(chosen) if s.type == FrmSizeType.DISCRETE]

    return _matching(_ask(ctx, ask), incomplete)


def controls(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of the typed device's controls."""
    from vb2user.device.controls.lookup import slug
    from vb2user.uapi.enums import CtrlType

    def ask(device: Device) -> list[_Offer]:
        return [(slug(c.name), c.name) for c in device.list_controls() if c.type != CtrlType.CTRL_CLASS]

    return _matching(_ask(ctx, ask), incomplete)


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave the completion of files to the shell."""
    return [CompletionItem(incomplete, type="file")]


def _ask(ctx: click.Context, question: Callable[[Device], list[_Offer]]) -> list[_Offer]:
    """Ask the device on the command line. The answer is empty without a device, or if it fails."""
    from vb2user.device.device import Device
    from vb2user.errors import Vb2Error

    # An option that still lacks its value stops click before it gives the arguments their names.
    path = ctx.params.get("device") or next(iter(ctx.args), None)
    if not path:
        return []
    try:
        with Device(node_path(path)) as device:
            return question(device)
    except Vb2Error:
        return []

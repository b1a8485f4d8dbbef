"""Beside the layers: the command ``vb2user preview``.

Importing this is cheap: what is heavy is imported inside.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import socket
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from vb2user.camera import open as open_camera
from vb2user.cli.output import document, json_option, say, talk
from vb2user.cli.streaming import StreamOptions, set_up_options
from vb2user.errors import MissingPrerequisiteError, install

if TYPE_CHECKING:
    from vb2user.camera import Camera
    from vb2user.preview import session
    from vb2user.preview.encoder import Encoder
    from vb2user.preview.guard import Guard


@click.command()
@set_up_options
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Where to listen [default: any that is free]."
)
@click.option(
    "--bind",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Listen at this address of the machine: others can come then, and nothing is encrypted.",
)
@click.option(
    "--quality",
    type=click.IntRange(2, 31),
    default=4,
    show_default=True,
    help="Of the JPEGs: 2 is the best, 31 the worst. A camera's own JPEGs go on as they are.",
)
@click.option(
    "--width",
    type=click.IntRange(16),
    default=1920,
    show_default=True,
    help="Wider pictures are scaled down to this width; stills are not.",
)
@click.option("--no-trace", is_flag=True, help="Do not trace the kernel's mem ops.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@json_option
def preview(
    device: str,
    wish: StreamOptions,
    port: int,
    bind: str,
    quality: int,
    width: int,
    no_trace: bool,
    open_page: bool,
    as_json: bool,
) -> None:
    """Show the camera DEV in the browser: picture, controls, figures, and the kernel's mem ops.

    Prints the page's address and serves until Ctrl-C. Only a browser with the address's token gets in.
    """
    _need_aiohttp()
    from vb2user.preview import session
    from vb2user.preview.encoder import Encoder
    from vb2user.preview.guard import Guard, is_loopback

    encoder = Encoder(quality, width)
    guard = Guard(bind, frozenset() if is_loopback(bind) else frozenset({socket.gethostname().lower()}))
    wide, height = wish.size or (None, None)
    first = session.PreviewSettings(
        wish.format, wide, height, wish.fps, wish.input, wish.memory, wish.heap, wish.buffers
    )
    cam = open_camera(device)
    try:
        cam.stream()  # an output captures nothing: that error comes here, and not on the page
        if not is_loopback(bind):
            talk(
                f"warning: every client that reaches {bind} and has the token can see and set the camera. "
                "The connection is not encrypted: over an untrusted network use 'ssh -L' instead"
            )
        status = asyncio.run(_main(cam, first, guard, encoder, port, not no_trace, open_page, as_json))
    finally:
        cam.close()
    sys.exit(status)


def _need_aiohttp() -> None:
    try:
        importlib.import_module("aiohttp")
    except ImportError as error:
        raise MissingPrerequisiteError(
            "the preview needs aiohttp, which is not installed", hint=install("web")
        ) from error


async def _main(
    cam: Camera,
    wish: session.PreviewSettings,
    guard: Guard,
    encoder: Encoder,
    port: int,
    observe: bool,
    open_page: bool,
    as_json: bool,
) -> int:
    """Serve until a signal comes; returns the exit status."""
    from vb2user.preview.browser import opened
    from vb2user.preview.server import Preview, serve

    stop = asyncio.Event()
    status = 0

    def end(number: int) -> None:
        nonlocal status
        status = 128 + number
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, int(number))

    def ready(port: int) -> None:
        url = address(guard.bind, port, guard.token)
        if as_json:
            document({"device": cam.path, "url": url})
        else:
            say(url)
        sys.stdout.flush()
        talk(f"{cam.card} ({cam.path}) is at this address until Ctrl-C")
        if open_page:
            meanwhile.enter_context(opened(url, talk))

    made = Preview(cam, wish, guard, encoder, observe=observe)
    with ExitStack() as meanwhile:
        await serve(made, guard.bind, port, ready, stop)
    talk("everything was given back" + (f"; mem ops: {made.verdict}" if made.verdict else ""))
    return status


def address(bind: str, port: int, token: str) -> str:
    """Return the address to open in a browser."""
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(bind, bind)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={token}"

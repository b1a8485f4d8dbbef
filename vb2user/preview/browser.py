"""Beside the layers: open the page in the user's browser, and hide its address from other users.

Every user can read a program's arguments (``ps``), and the address has the token. So the browser gets a
file that leads to the address. Only its owner can read the file, and the preview removes it at its end.
"""

from __future__ import annotations

import html
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={url}">
<title>vb2user preview</title>
</head>
<body><p><a href="{url}">To the preview</a></p></body>
</html>
"""


@contextmanager
def opened(url: str, say: Callable[[str], object]) -> Iterator[None]:
    """Ask the browser to open this address, by a file that exists during the block.

    Args:
        url: the whole address.
        say: gets a sentence where no browser can be opened.
    """
    with tempfile.TemporaryDirectory(prefix="vb2user-preview-") as folder:  # 0700
        path = Path(folder, "preview.html")
        path.touch(0o600, exist_ok=False)
        path.write_text(_PAGE.format(url=html.escape(url)), "utf-8")
        # In a thread: the call may last until the user closes the browser.
        threading.Thread(
            target=_open, args=(path.as_uri(), say), name="vb2user preview browser", daemon=True
        ).start()
        yield


def _open(uri: str, say: Callable[[str], object]) -> None:
    try:
        done = webbrowser.open(uri)
    except (OSError, webbrowser.Error):
        done = False
    if not done:
        say("no browser could be opened here: open the address yourself")

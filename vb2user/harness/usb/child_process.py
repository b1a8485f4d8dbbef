"""Beside the layers: run a command to its end while this process emulates a device.

A process that is a device and its user at once cannot always be killed
(:mod:`vb2user.harness.usb.fd_order` says why). So the two are kept apart, and the device outlives the user.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command with further environment variables, and wait for its end.

    SIGTERM is passed on; at Ctrl-C, which the command's process got as well, its end is waited for.

    Returns:
        The command's exit status; 128 and the signal's number if a signal ended it.

    Raises:
        OSError: the command does not exist.
    """
    child = subprocess.Popen(list(command), env={**os.environ, **environment})
    with passing_on(child):
        try:
            status = child.wait()
        except BaseException:
            end(child)
            raise
    return status if status >= 0 else 128 - status


@contextlib.contextmanager
def passing_on(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """SIGTERM goes to the child, so that this process outlives it; only a main thread can say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end(child: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """End the child by ever stronger signals: it must not outlive the device that it has open."""
    for politeness in range(3):
        if politeness:
            child.send_signal(signal.SIGTERM if politeness == 1 else signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=patience)
            return

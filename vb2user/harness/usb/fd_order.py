"""Beside the layers: the order in which the kernel closes the files of a dying process.

A process may be a USB device and that device's user at once. If SIGKILL ends it, it no longer answers as the
device. The kernel then closes its open device nodes, and the driver waits in close(2) for the silent device
without end. Not even a second SIGKILL ends such a process. If the kernel closes the connection first, the
device counts as unplugged, and the driver does not wait.

The kernel closes the files of a dying process from the highest number down. It puts them on a list, and
processes that list from its end (``task_work_run``). So the connection needs a number above all others.
"""

from __future__ import annotations

import fcntl
import resource
import socket

#: Below the limit of files that a process may open there is room for so many connections.
_ROOM = 64
_USUAL_LIMIT = 1024


def closed_first(sock: socket.socket) -> socket.socket:
    """The same socket under a number so high that other files have lower ones; the one given is closed.

    A process with more than about a thousand files open has higher ones, too. Where there is no number
    left, the socket is returned as it is.
    """
    limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _USUAL_LIMIT)
    try:
        fd = fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, max(0, limit - _ROOM))
    except OSError:
        return sock
    sock.close()
    return socket.socket(fileno=fd)

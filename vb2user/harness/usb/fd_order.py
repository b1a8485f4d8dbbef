"""Beside the layers: which of a process's files the kernel closes first when the process dies.

A process may be a USB device and that device's user at once. Killed by SIGKILL, it ceases to answer; what
it has open of its own device is then closed by the kernel, and the driver waits in there for a device that
is silent, for ever: a process that not even a second SIGKILL ends. Unless the connection is closed before:
then the device is unplugged, and nobody waits for it.

The kernel lets go of a dying process's files in the order of their numbers backwards: they are put on a
list that is worked off from its end (``task_work_run``). So the connection needs a number above all others.
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

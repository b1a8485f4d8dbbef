"""What a child of os.fork() finds, told over a pipe."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable


def in_child(look: Callable[[], object]) -> str:
    """``str(look())`` as a child of this process finds it; an exception there is a failure here."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: fork with threads
        pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, b"+" + str(look()).encode())
        except BaseException:
            os.write(writer, b"-" + traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as told:  # noqa: PTH123
        said = told.read().decode()
    os.waitpid(pid, 0)
    assert said.startswith("+"), said[1:]
    return said[1:]

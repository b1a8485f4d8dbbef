"""Layer 0: write files so that a failure does not destroy the old content.

The content goes into a file beside the target, under a random name that must not exist yet. Then
:meth:`Replacement.commit` gives it the target's name. A FIFO, a device node and the name of an open file
(``/dev/stdout``) are written to as they are, and never replaced or removed. A symbolic link stays, and what
it points to is replaced. A file that is replaced keeps mode and owner; a hard link keeps the old content.

This module knows the file system only, and raises the file system's OSError.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

#: How often a growing file tries to take its name, while other programs replace what is there.
_TRIES = 100


def write_whole(path: str | os.PathLike[str], pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file. Afterwards the file has the whole new content, or its old one.

    OSError: the file cannot be written. ``filename`` is the path, and never the temporary name.
    """
    try:
        with Replacement(path) as out:
            out.file.writelines(pieces)
            out.commit()
    except OSError as e:
        e.filename, e.filename2 = os.fspath(path), None
        raise


def beside(target: Path) -> Path:
    """Return a random name next to a file.

    The file's own name may have the maximum length, so the new name does not contain it.
    """
    return target.with_name(f".vb2user-{secrets.token_hex(8)}.part")


class Replacement:
    """A new file that replaces another one when it is complete, or when it has begun.

    Args:
        path: the name that the file is to have.
        growing: the program writes the file for a long time, and commits it when it has begun. Another
            growing file cannot take its name until the file is closed.

    Attributes:
        file: takes the content.
        path: where the content lies now.
        direct: the target is written to as it is (a FIFO, a node, an open file): nothing is replaced.
    """

    def __init__(self, path: str | os.PathLike[str], *, growing: bool = False) -> None:
        named = Path(path)
        self.direct = _is_direct(named)
        self._growing = growing
        self._done = self.direct
        if self.direct:
            self.path = self._target = named
            # Another program wrote what an open file already holds.
            self.file: IO[bytes] = os.fdopen(os.open(named, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), "wb")
            return
        self._target = Path(os.path.realpath(named))
        old = self._writable()
        self.path = beside(self._target)
        self.file = self.path.open("xb")
        try:
            if old is not None:
                if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                    with contextlib.suppress(OSError):  # only root may change a file's owner
                        os.chown(self.path, old.st_uid, old.st_gid)
                os.chmod(self.path, stat.S_IMODE(old.st_mode))  # noqa: PTH101
            if growing:
                _lock(self.file.fileno())
        except BaseException:
            self.close()
            raise

    def _writable(self) -> os.stat_result | None:
        """Open the existing file, if there is one.

        OSError: this user may not write it, or another recording does.
        """
        try:
            fd = os.open(self._target, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            if self._growing:
                _lock(fd)
            return os.fstat(fd)
        finally:
            os.close(fd)

    def commit(self) -> None:
        """Give the file its name, with what was written so far. Idempotent.

        OSError: EBUSY, if another growing file has the name.
        """
        self.file.flush()
        if self._done:
            return
        if not self._growing:
            self.path.replace(self._target)
        else:
            self._take_the_name()
        self._done, self.path = True, self._target

    def _take_the_name(self) -> None:
        for _ in range(_TRIES):
            try:
                os.link(self.path, self._target)  # two that begin at once: the second one fails
            except FileExistsError:
                if self._replace_the_old():
                    return
            except OSError:  # this file system has no links
                self.path.replace(self._target)
                return
            else:
                self.path.unlink()
                return
        raise OSError(errno.EBUSY, "other programs replace it all the time")

    def _replace_the_old(self) -> bool:
        """Replace the existing file under a lock, so that no other growing file does; False: it is gone."""
        try:
            fd = os.open(self._target, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            _lock(fd)
            if not os.path.samestat(os.fstat(fd), self._target.stat()):
                return False
            self.path.replace(self._target)
            return True
        except FileNotFoundError:
            return False
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the file. If it was not committed, remove it and keep the old file. Idempotent."""
        try:
            if self._growing and not self.file.closed:
                # close() alone keeps the lock if a process was forked meanwhile.
                with contextlib.suppress(OSError):
                    fcntl.flock(self.file.fileno(), fcntl.LOCK_UN)
        finally:
            try:
                self.file.close()
            finally:
                if not self._done:
                    self.path.unlink(missing_ok=True)

    def __enter__(self) -> Replacement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            self.close()
        except OSError:
            if error is None:  # an error while cleaning up never hides the first one
                raise


def _is_direct(path: Path) -> bool:
    """Tell whether a name must be written to directly: it names a FIFO, a device node or an open file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return True
    while path.is_symlink():
        folder = os.path.realpath(path.parent)
        if folder.startswith("/proc/"):
            return True
        path = Path(folder, path.readlink())
    return False


def _lock(fd: int) -> None:
    """Lock a growing file. OSError: EBUSY if it is locked; no error if the file system has no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, "another recording writes to it") from None
    except OSError:
        pass

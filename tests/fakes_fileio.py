"""read(2) and write(2) on a fake video node."""

from __future__ import annotations

import errno
from typing import Any

from fakes import FakeFile, FakeNode, refuse

from vb2user.uapi.calls.formats import Format


class FakeFileIO(FakeNode):
    """The part of :class:`fakes_vb2.FakeVideo` that moves frames by file I/O."""

    format: Format
    gone: bool
    read_write: bool
    read_waits: bool
    owner: FakeFile | None
    buffers: dict[int, Any]
    frames_read: int
    shown: list[tuple[bytes, ...]]

    def _file_io(self, file: FakeFile) -> None:
        if self.gone:
            raise refuse(errno.ENODEV)
        if not self.read_write:
            raise refuse(errno.EINVAL)
        if self.owner is not None and self.owner is not file:
            raise refuse(errno.EBUSY)
        if self.buffers or len(self.format.planes) > 1:
            raise refuse(errno.EBUSY)
        if not file.state.get("file_io"):
            # The first call makes the driver start: nothing is ready yet.
            file.state["file_io"], self.owner = True, file
            raise refuse(errno.EAGAIN)

    def read(self, file: FakeFile, buffer: memoryview) -> int:
        """read(2): frame n is filled with the byte n."""
        self._file_io(file)
        if self.read_waits:
            raise refuse(errno.EAGAIN)
        count = min(len(buffer), self.format.sizeimage)
        buffer[:count] = bytes([self.frames_read & 0xFF]) * count
        self.frames_read += 1
        return count

    def write(self, file: FakeFile, buffer: memoryview) -> int:
        """write(2)."""
        self._file_io(file)
        self.shown.append((bytes(buffer),))
        return len(buffer)

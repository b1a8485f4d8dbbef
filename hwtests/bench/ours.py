"""vb2user as its users write it, one loop for each way to take a frame."""

from __future__ import annotations

import asyncio
import contextlib

import vb2user


def array(path: str, memory: str, frames: int, buffers: int) -> None:
    """``for frame in cam.stream(): frame.array``."""
    with vb2user.open(path) as cam:
        for frame in cam.stream(memory=memory, buffers=buffers, count=frames):
            frame.array  # noqa: B018 - what is measured


def timed(path: str, memory: str, frames: int, buffers: int) -> None:
    """The same with a time-out, which a blocking DQBUF cannot have."""
    with vb2user.open(path) as cam:
        for frame in cam.stream(memory=memory, buffers=buffers, count=frames, timeout=60):
            frame.array  # noqa: B018


def unseen(path: str, memory: str, frames: int, buffers: int) -> None:
    """Nobody looks at the picture."""
    with vb2user.open(path) as cam:
        for _ in cam.stream(memory=memory, buffers=buffers, count=frames):
            pass


def copied(path: str, memory: str, frames: int, buffers: int) -> None:
    """``frame.copy()``."""
    with vb2user.open(path) as cam:
        for frame in cam.stream(memory=memory, buffers=buffers, count=frames):
            frame.copy()


def awaited(path: str, memory: str, frames: int, buffers: int) -> None:
    """``async for frame in cam.stream(): frame.array``."""

    async def main() -> None:
        with vb2user.open(path) as cam:
            async for frame in cam.stream(memory=memory, buffers=buffers, count=frames):
                frame.array  # noqa: B018

    asyncio.run(main())


def streams(path: str, memory: str, frames: int, buffers: int) -> None:
    """Several devices at once, comma by comma: a frame of each in turn, so many in all."""
    with contextlib.ExitStack() as stack:
        cameras = [stack.enter_context(vb2user.open(one)) for one in path.split(",")]
        loops = [iter(stack.enter_context(cam.stream(memory=memory, buffers=buffers))) for cam in cameras]
        for _ in range(-(-frames // len(loops))):
            for loop in loops:
                next(loop).array  # noqa: B018


CLIENTS = {
    "vb2user-streams": streams,
    "vb2user": array,
    "vb2user-timeout": timed,
    "vb2user-unseen": unseen,
    "vb2user-copy": copied,
    "vb2user-async": awaited,
}

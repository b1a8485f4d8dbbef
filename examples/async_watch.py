"""asyncio: watch a camera while another task runs, and always look at the newest frame.

    python examples/async_watch.py [/dev/video0]

The event loop itself waits for a frame, without a thread and without polling. While the program looks at a
frame, others come; ``latest=True`` leaves those out and hands out the newest.
"""

from __future__ import annotations

import asyncio
import sys

import vb2user


async def watch(path: str) -> None:
    with vb2user.open(path) as cam:
        cam.set_format("YUYV", 320, 180)
        async with cam.stream(latest=True, count=8, timeout=20) as stream:
            async for frame in stream:
                print(f"frame {frame.sequence}: mean {frame.array[..., 0].mean():.1f}")
                await asyncio.sleep(0.05)  # whatever else you do with it
            print(f"left out: {stream.stats.discarded}, lost: {stream.stats.drops}")


async def elsewhere() -> None:
    """Stand for the rest of a program."""
    turns = 0
    try:
        while True:
            await asyncio.sleep(0.01)
            turns += 1
    finally:
        print(f"the other task had {turns} turns")


async def main(path: str) -> None:
    other = asyncio.create_task(elsewhere())
    await watch(path)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "/dev/video0"))

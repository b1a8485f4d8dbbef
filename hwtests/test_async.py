"""asyncio on a real queue: every way out of ``async for`` gives everything back, at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Account, still

import vb2user
from vb2user.harness.pytest_plugin import VividDevice

pytestmark = [pytest.mark.usefixtures("balanced"), pytest.mark.one_kernel]


@pytest.fixture
def cam(vivid_vmalloc: VividDevice) -> Iterator[vb2user.Camera]:
    with vb2user.open(vivid_vmalloc.capture) as opened:
        still(opened, fps=60)
        yield opened


def is_free(cam: vb2user.Camera) -> bool:
    """Nobody has buffers: S_FMT says EBUSY else."""
    size = (320, 180) if cam.get_format().width == 640 else (640, 360)
    granted = cam.set_format("YUYV", *size)
    return (granted.width, granted.height) == size


def test_frames(cam: vb2user.Camera, how: dict[str, Any]) -> None:
    async def main() -> None:
        sequences = []
        stream = cam.stream(count=8, **how)
        async for frame in stream:
            assert frame.ok
            assert frame.array.any()
            sequences.append(frame.sequence)
        assert len(sequences) == 8
        assert sequences == sorted(sequences)
        assert len(set(sequences)) == 8 - stream.stats.duplicates  # vivid gives a number twice at its start
        assert is_free(cam)

    asyncio.run(main())


def test_the_camera_itself(cam: vb2user.Camera) -> None:
    async def main() -> None:
        async for frame in cam:
            assert frame.ok
            break
        assert is_free(cam)

    asyncio.run(main())
    for frame in cam:
        assert frame.ok
        break
    assert is_free(cam)


def test_break(cam: vb2user.Camera, how: dict[str, Any]) -> None:
    async def main() -> None:
        for _ in range(3):
            async for frame in cam.stream(**how):
                assert frame.ok
                break
            assert is_free(cam)

    asyncio.run(main())


def test_an_exception_in_the_body(cam: vb2user.Camera, how: dict[str, Any]) -> None:
    async def stumble() -> None:
        async for _ in cam.stream(**how):
            raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await stumble()
        assert is_free(cam)

    asyncio.run(main())


@pytest.mark.parametrize("fps", [60, 1])
def test_cancelling(cam: vb2user.Camera, how: dict[str, Any], fps: int) -> None:
    """While it waits, and while it works."""
    cam.set_fps(fps)

    async def watch(seen: asyncio.Event) -> None:
        async for frame in cam.stream(**how):
            assert frame.ok
            seen.set()
            if fps == 60:
                await asyncio.sleep(100)

    async def main() -> None:
        seen = asyncio.Event()
        task = asyncio.create_task(watch(seen))
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert is_free(cam)

    asyncio.run(main())


def test_cancelling_a_wait_loses_no_frame(cam: vb2user.Camera) -> None:
    async def main() -> None:
        async with cam.stream(timeout=20) as stream:
            account = Account(stream, await stream.anext_frame())
            for _ in range(30):
                wait = asyncio.ensure_future(stream.anext_frame())
                await asyncio.sleep(0.005)
                wait.cancel()
                await asyncio.wait([wait])
            assert account.holds(await stream.anext_frame())

    asyncio.run(main())


def test_collected_without_close(cam: vb2user.Camera, how: dict[str, Any]) -> None:
    async def main() -> None:
        stream = cam.stream(**how)
        frames = aiter(stream)
        assert (await anext(frames)).ok
        del frames, stream
        assert is_free(cam)

    asyncio.run(main())


def test_closing_while_a_task_waits(cam: vb2user.Camera, how: dict[str, Any]) -> None:
    cam.set_fps(1)

    async def main() -> None:
        stream = cam.stream(**how).start()
        task = asyncio.create_task(count(stream))
        await asyncio.sleep(0)
        stream.close()
        assert await task <= 1
        assert is_free(cam)

    async def count(stream: vb2user.Stream) -> int:
        return len([frame.sequence async for frame in stream])

    asyncio.run(main())


def test_closing_from_another_thread(cam: vb2user.Camera, how: dict[str, Any]) -> None:
    cam.set_fps(1)

    async def main() -> None:
        async with cam.stream(**how) as stream:
            await stream.anext_frame()
            closer = threading.Thread(target=stream.close)
            wait = asyncio.ensure_future(stream.anext_frame())
            await asyncio.sleep(0)
            closer.start()
            with pytest.raises(vb2user.StreamStoppedError):
                await wait
            closer.join()
            assert is_free(cam)

    asyncio.run(main())


def test_a_slow_task_loses_nothing_silently(cam: vb2user.Camera, how: dict[str, Any]) -> None:
    async def main() -> None:
        async with cam.stream(**how) as stream:
            account = Account(stream, await stream.anext_frame())
            for _ in range(4):
                await asyncio.sleep(0.3)
                last = await stream.anext_frame()
            assert account.holds(last)
            assert stream.stats.drops > 0 or how["memory"] == "read"

    asyncio.run(main())


def test_one_stream_in_two_loops(cam: vb2user.Camera) -> None:
    with cam.stream(timeout=20) as stream:
        for _ in range(2):

            async def main() -> None:
                assert (await stream.anext_frame()).ok
                assert (await stream.anext_frame(timeout=10)).ok

            asyncio.run(main())
        assert stream.next_frame().ok


def test_several_cameras_in_one_loop(vivid_vmalloc: VividDevice, vivid_dma_contig: VividDevice) -> None:
    async def watch(path: str) -> int:
        with vb2user.open(path) as cam:
            still(cam, fps=60)
            return len([frame.sequence async for frame in cam.stream(timeout=20, count=10)])

    async def main() -> None:
        paths = [vivid_vmalloc.capture, vivid_dma_contig.capture]
        assert await asyncio.gather(*map(watch, paths)) == [10, 10]
        async for one, two in vb2user.sync_streams(paths, timeout=20):
            assert one.ok
            assert two.ok
            break
        for path in paths:
            with vb2user.open(path) as cam:
                assert is_free(cam)

    asyncio.run(main())


def test_a_time_out(cam: vb2user.Camera, how: dict[str, Any]) -> None:
    cam.set_fps(1)

    async def main() -> None:
        async with cam.stream(**how) as stream:
            await stream.anext_frame()
            with pytest.raises(vb2user.StreamTimeoutError):
                await stream.anext_frame(timeout=0.01)
            assert (await stream.anext_frame()).ok

    asyncio.run(main())

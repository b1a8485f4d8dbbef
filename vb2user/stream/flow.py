"""Layer 5: what one goes through in a loop: a stream, or several together; and every way out of it.

``for`` and ``async for`` start what is not started, and close what they started on every way out: the end,
``break``, an exception, a cancelled task, garbage collection. Inside of a ``with`` block a loop only borrows.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

from vb2user.errors import KernelError, StreamStoppedError

_T = TypeVar("_T")
_Self = TypeVar("_Self", bound="ManagedIterable[Any]")  # typing.Self is of Python 3.11


class ManagedIterable(ABC, Generic[_T]):
    """Something that is started, gone through, and closed."""

    @abstractmethod
    def start(self: _Self) -> _Self:
        """Begin. Idempotent; on failure nothing stays begun."""

    @property
    @abstractmethod
    def started(self) -> bool:
        """Whether it runs."""

    @property
    @abstractmethod
    def exhausted(self) -> bool:
        """Whether as many were handed out as were asked for."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back. Idempotent; any thread."""

    @abstractmethod
    def _next(self) -> _T | None:
        """Wait for the next one; None: it is exhausted. StreamStoppedError: closed meanwhile."""

    @abstractmethod
    async def _anext(self) -> _T | None:
        """:meth:`_next` for a task of asyncio."""

    def __enter__(self: _Self) -> _Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            self.close()
        except KernelError:
            if error is None:  # an error while cleaning up never hides the first one
                raise

    async def __aenter__(self: _Self) -> _Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)

    def __iter__(self) -> Iterator[_T]:
        own = not self.started
        try:
            try:
                if own:
                    self.start()
                while (one := self._next()) is not None:
                    yield one
                    del one
            except StreamStoppedError:
                if self.started:
                    raise
                return  # closed by another thread, or by a signal handler: the loop simply ends
        except BaseException:
            # After a break, too: a generator that is thrown away has no caller that could hear of an error.
            if own:
                with contextlib.suppress(KernelError):
                    self.close()
            raise
        finally:
            if own:
                self.close()

    def __aiter__(self) -> AsyncFrameIterator[_T]:
        return AsyncFrameIterator(self)


class AsyncFrameIterator(Generic[_T]):
    """What ``async for`` goes through: an object, for ``break`` drops it and ends it at once.

    An asynchronous generator would be ended by the event loop, when that comes to it.
    """

    def __init__(self, flow: ManagedIterable[_T]) -> None:
        self._flow = flow
        self._own = not flow.started
        flow.start()

    def __aiter__(self) -> AsyncFrameIterator[_T]:
        return self

    async def __anext__(self) -> _T:
        flow = self._flow
        try:
            one = await flow._anext()
        except StreamStoppedError:
            if flow.started:
                self.close()
                raise
            raise StopAsyncIteration from None  # closed by somebody else: the loop simply ends
        except BaseException:
            with contextlib.suppress(KernelError):  # an error while cleaning up never hides the first one
                self.close()
            raise
        if one is None:
            self.close()
            raise StopAsyncIteration
        return one

    def close(self) -> None:
        """Close what was started here. Idempotent."""
        own, self._own = self._own, False
        if own:
            self._flow.close()

    async def aclose(self) -> None:
        """The same, for ``contextlib.aclosing``."""
        self.close()

    def __del__(self) -> None:
        # There is nobody left to tell of an error.
        if getattr(self, "_own", False):
            with contextlib.suppress(KernelError):
                self.close()

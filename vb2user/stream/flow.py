"""Layer 5: the loops over a stream or over several streams together, and every way out of them.

``for`` and ``async for`` start a stream that is not started. They close what they started on every way out:
the end, ``break``, an exception, a cancelled task, garbage collection. In a ``with`` block the block closes
the stream, not the loop.
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
    """An iterable that a loop or a ``with`` block starts and closes."""

    @abstractmethod
    def start(self: _Self) -> _Self:
        """Start it. Idempotent; on failure nothing stays allocated."""

    @property
    @abstractmethod
    def started(self) -> bool:
        """Whether it runs."""

    @property
    @abstractmethod
    def exhausted(self) -> bool:
        """Whether it handed out as many as the program asked for."""

    @abstractmethod
    def close(self) -> None:
        """Stop and free everything. Idempotent; any thread."""

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
                return  # another thread or a signal handler closed it: the loop ends without an error
        except BaseException:
            # After a break, too: a dropped generator has no caller to which an error could go.
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
    """The iterator of ``async for``. It is not an asynchronous generator, for the sake of ``break``.

    ``break`` drops this object, which closes the stream at once. The event loop closes generators later.
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
            raise StopAsyncIteration from None  # closed elsewhere: the loop ends without an error
        except BaseException:
            with contextlib.suppress(KernelError):  # an error while cleaning up never hides the first one
                self.close()
            raise
        if one is None:
            self.close()
            raise StopAsyncIteration
        return one

    def close(self) -> None:
        """Close the stream if this loop started it. Idempotent."""
        own, self._own = self._own, False
        if own:
            self._flow.close()

    async def aclose(self) -> None:
        """The same, for ``contextlib.aclosing``."""
        self.close()

    def __del__(self) -> None:
        # A destructor has no caller to which an error could go.
        if getattr(self, "_own", False):
            with contextlib.suppress(KernelError):
                self.close()

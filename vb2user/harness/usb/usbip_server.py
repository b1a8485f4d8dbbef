"""Beside the layers: serve an emulated USB device to a host over USB/IP, on a thread of its own.

This module knows only sockets, so a test can be the host as well as the kernel.

Source: https://docs.kernel.org/usb/usbip_protocol.html.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from vb2user.harness.usb.device import Setup, Urb, UsbDevice
from vb2user.harness.usb.usbip_protocol import Decoder, ProtocolError, RetSubmit, RetUnlink, Submit, Unlink

_CHUNK = 1 << 16


class Connection:
    """Serves one device to one host over one connected stream socket, on a thread of its own.

    The connection ends when the host closes its end (unplugs), when the host sends an invalid message, when
    the device raises, or by :meth:`close`. The socket is closed then, and the host sees an unplugged device.

    Attributes:
        done_fd: an eventfd that is readable once the connection has ended.
        error: what ended it, unless that was the host's or our own orderly close.
    """

    def __init__(self, device: UsbDevice, sock: socket.socket) -> None:
        self.device = device
        self.error: BaseException | None = None
        self._sock = sock
        self._sock.setblocking(False)
        self._lock = threading.Lock()
        self._pending: dict[int, Urb] = {}
        self._outgoing: deque[memoryview] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._stopping = False
        self._hanging_up = False
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.done_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        name = f"usb {device.descriptor.id_vendor:04x}:{device.descriptor.id_product:04x}"
        # A daemon: a process that ends without unplugging must not wait for the kernel here.
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    # -- from any thread ----------------------------------------------------------------------------

    def start(self) -> Connection:
        """Begin to serve."""
        self._thread.start()
        return self

    @property
    def closed(self) -> bool:
        """Was :meth:`close` called?"""
        return self._wake_fd < 0

    @property
    def alive(self) -> bool:
        """Is it being served?"""
        return self._thread.is_alive()

    @property
    def ending(self) -> bool:
        """Has it ended, or will it by :meth:`hang_up`?"""
        return self._hanging_up or not self.alive

    def close(self) -> None:
        """End it and wait for the thread; may be called again."""
        if self.closed:
            return
        with self._lock:
            self._stopping = True
        self._wake()
        if self._thread.ident is not None:
            self._thread.join()
        self._sock.close()
        for fd in (self._wake_fd, self.done_fd):
            os.close(fd)
        self._wake_fd = -1

    def answer(self, urb: Urb, answer: RetSubmit) -> bool:
        """Send the answer, unless the URB was taken back or answered before."""
        with self._lock:
            if self._pending.get(urb.seqnum) is not urb:
                return False
            del self._pending[urb.seqnum]
            self._outgoing += map(memoryview, answer.parts())
        self._wake()
        return True

    def call_at(self, when: float, function: Callable[[], None]) -> None:
        """Call ``function`` on this thread at ``when`` (``time.monotonic()``)."""
        with self._lock:
            heapq.heappush(self._timers, (when, next(self._count), function))
        self._wake()

    def hang_up(self) -> None:
        """End it once all that was answered is sent, and do not wait for that."""
        with self._lock:
            self._hanging_up = True
        self._wake()

    def _wake(self) -> None:
        if threading.current_thread() is not self._thread and not self.closed:
            os.eventfd_write(self._wake_fd, 1)

    # -- the thread ---------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            self.device.connect(self)
            try:
                self._serve()
            finally:
                with self._lock:
                    self._pending.clear()
                    self._outgoing.clear()
                    self._timers.clear()
                self.device.disconnect()
        except (ConnectionResetError, BrokenPipeError):
            pass  # unplugged at the other end with something on the way
        except BaseException as error:
            self.error = error
        finally:
            self._sock.close()
            os.eventfd_write(self.done_fd, 1)

    def _serve(self) -> None:
        decoder = Decoder()
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_fd, selectors.EVENT_READ)
            selector.register(self._sock, selectors.EVENT_READ)
            watched = selectors.EVENT_READ
            while not self._stopping:
                wait = self._run_timers()
                self._send()
                if self._hanging_up and not self._outgoing:
                    return
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outgoing else 0)
                if wanted != watched:
                    selector.modify(self._sock, wanted)
                    watched = wanted
                for key, ready in selector.select(wait):
                    if key.fd == self._wake_fd:
                        with contextlib.suppress(BlockingIOError):
                            os.eventfd_read(self._wake_fd)
                    elif ready & selectors.EVENT_READ and not self._receive(decoder):
                        return

    def _run_timers(self) -> float | None:
        """Call what is due; seconds until the next is, or None."""
        while True:
            with self._lock:
                if not self._timers:
                    return None
                wait = self._timers[0][0] - time.monotonic()
                if wait > 0:
                    return wait
                function = heapq.heappop(self._timers)[2]
            function()

    def _send(self) -> None:
        while self._outgoing:
            part = self._outgoing[0]
            try:
                sent = self._sock.send(part)
            except BlockingIOError:
                return
            # Only this thread takes from the left, so what was looked at is still there.
            if sent == len(part):
                self._outgoing.popleft()
            else:
                self._outgoing[0] = part[sent:]

    def _receive(self, decoder: Decoder) -> bool:
        """Take what there is; False at the end of file."""
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return True
        if not data:
            if not decoder.between_messages:
                raise ProtocolError("the USB/IP connection ended within a message")
            return False
        for command in decoder.feed(data):
            if isinstance(command, Submit):
                self._submit(command)
            else:
                self._unlink(command)
        return True

    def _submit(self, command: Submit) -> None:
        urb = Urb.of(command, self)
        with self._lock:
            if command.seqnum in self._pending:
                raise ProtocolError(f"USB/IP URB {command.seqnum} was submitted twice")
            self._pending[command.seqnum] = urb
        self.device.take(urb, Setup.unpack(command.setup))

    def _unlink(self, command: Unlink) -> None:
        # One decision under the lock: either the URB's answer is on its way, or it never will be.
        with self._lock:
            urb = self._pending.pop(command.unlink_seqnum, None)
            status = -errno.ECONNRESET if urb is not None else 0
            self._outgoing += map(memoryview, RetUnlink(command.seqnum, status).parts())
        if urb is not None:
            self.device.unlinked(urb)

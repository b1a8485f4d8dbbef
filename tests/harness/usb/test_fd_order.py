"""The number of a socket that is to be closed first."""

from __future__ import annotations

import os
import resource
import socket

import pytest

from vb2user.harness.usb.fd_order import closed_first


def test_it_is_the_same_socket_with_a_high_number() -> None:
    ours, theirs = socket.socketpair()
    before = ours.fileno()
    with closed_first(ours) as moved, theirs:
        assert moved.fileno() > before + 100
        assert not os.get_inheritable(moved.fileno())
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(before)
        theirs.sendall(b"here")
        assert moved.recv(9) == b"here"
    assert ours.fileno() == -1


def test_where_no_number_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (10**9, 10**9))
    monkeypatch.setattr("vb2user.harness.usb.fd_order._USUAL_LIMIT", 10**9)
    with theirs, closed_first(ours) as same:
        assert same is ours

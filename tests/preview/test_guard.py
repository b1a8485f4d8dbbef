"""Who may speak to the page's server."""

from __future__ import annotations

import pytest

from vb2user.preview.command import address
from vb2user.preview.guard import Guard, is_loopback

HOST = "127.0.0.1:8080"
OURS = {"Host": HOST, "Origin": f"http://{HOST}"}


@pytest.mark.parametrize("host", [HOST, "localhost:8080", "[::1]:8080", "LOCALHOST", "localhost:9"])
def test_this_machine_by_its_names(host: str) -> None:
    """Through an SSH tunnel the port is another one."""
    headers = {"Host": host, "Origin": f"http://{host.lower()}"}
    assert Guard().stranger(headers, changes=True) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "[",
        "10.0.0.1",
        "a@127.0.0.1.",
    ],
)
def test_a_name_that_another_site_has_point_here(host: str) -> None:
    assert "host name" in str(Guard().stranger({"Host": host}, changes=False))


def test_no_host_at_all() -> None:
    assert Guard().stranger({}, changes=False) is not None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "https://127.0.0.1:8080",
        "http://127.0.0.1:8081",
        "http://localhost:8080",
    ],
)
@pytest.mark.parametrize("changes", [False, True])
def test_a_page_of_another_site(origin: str, changes: bool) -> None:
    assert "another site" in str(Guard().stranger({"Host": HOST, "Origin": origin}, changes=changes))


def test_what_changes_something_says_whose_page_it_is() -> None:
    assert "Origin" in str(Guard().stranger({"Host": HOST}, changes=True))
    assert Guard().stranger({"Host": HOST}, changes=False) is None
    assert Guard().stranger(OURS, changes=True) is None


@pytest.mark.parametrize(
    ("bind", "host", "ours"),
    [
        ("0.0.0.0", "192.168.1.5:80", True),
        ("::", "[2001:db8::1]:80", True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", "camera", True),
        ("192.168.1.5", "192.168.1.5", True),
        ("192.168.1.5", "192.168.1.6", False),
        ("192.168.1.5", "localhost", True),
    ],
)
def test_bound_elsewhere(bind: str, host: str, ours: bool) -> None:
    """An address cannot be made to point elsewhere, a name can."""
    guard = Guard(bind, frozenset({"camera"}))
    assert (guard.stranger({"Host": host}, changes=False) is None) is ours


def test_the_token() -> None:
    guard = Guard()
    assert guard.knows({}, {"token": guard.token})
    assert guard.knows({"Authorization": f"Bearer {guard.token}"}, {})
    for wrong in ("", "x", guard.token[:-1], guard.token + "x", "é", guard.token.swapcase()):
        assert not guard.knows({}, {"token": wrong})
        assert not guard.knows({"Authorization": f"Bearer {wrong}"}, {})
        assert not guard.knows({"Authorization": f"Bearer {wrong}"}, {"token": guard.token})
    assert not guard.knows({"Authorization": guard.token}, {})
    assert not guard.knows({}, {})


def test_each_start_has_another_token_and_says_it_nowhere() -> None:
    one, other = Guard(), Guard()
    assert one.token != other.token
    assert len(one.token) >= 40
    assert one.token not in repr(one)


@pytest.mark.parametrize(
    ("bind", "loopback", "url"),
    [
        ("127.0.0.1", True, "http://127.0.0.1:80/?token=t"),
        ("127.0.0.2", True, "http://127.0.0.2:80/?token=t"),
        ("::1", True, "http://[::1]:80/?token=t"),
        ("localhost", True, "http://localhost:80/?token=t"),
        ("192.168.1.5", False, "http://192.168.1.5:80/?token=t"),
        ("camera", False, "http://camera:80/?token=t"),
    ],
)
def test_where_it_listens(bind: str, loopback: bool, url: str) -> None:
    assert is_loopback(bind) is loopback
    assert address(bind, 80, "t") == url

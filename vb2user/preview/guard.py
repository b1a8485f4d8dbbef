"""Beside the layers: access control of the page's server.

A page of another site can make a browser send requests here. Three checks prevent that:

- the token, which only who saw the page's address has. It is in the address of the page and in no cookie, for
  cookies go to every port of a host;
- ``Host``: a name that another site had point here (DNS rebinding) is none of ours;
- ``Origin``: browsers say which site a page is of that changes something or opens a WebSocket.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

#: The headers of every answer: the browser must not load from other sites or send to them.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(address: str) -> bool:
    """Tell whether only this machine reaches an address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_wildcard(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return False


@dataclass(frozen=True)
class Guard:
    """The checks of a request.

    Attributes:
        bind: the address that the server listens at.
        names: further names of this machine in valid addresses.
        token: the secret.
    """

    bind: str = "127.0.0.1"
    names: frozenset[str] = frozenset()
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    def stranger(self, headers: Mapping[str, str], *, changes: bool) -> str | None:
        """Return why a request comes from a page of another site; None if it may come from this page.

        Args:
            headers: of the request.
            changes: whether the request changes something or opens a WebSocket. Browsers then send the page's
                site.
        """
        host = headers.get("Host", "").lower()
        if not self._is_ours(host):
            return "the address has a host name that is not this server's"
        origin = headers.get("Origin")
        if origin is None:
            return "the request does not say which page it is of (Origin)" if changes else None
        if origin.lower() != f"http://{host}":
            return "the request is of a page of another site"
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        if not name:
            return False
        if name in _LOOPBACK or name == self.bind.lower() or name in self.names:
            return True
        if not _is_wildcard(self.bind):
            return False
        try:  # a numeric address: no name was made to point here
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def knows(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """Tell whether a request has the token: ``Authorization: Bearer …``, or ``token`` in the address."""
        kind, _, given = headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            given = query.get("token", "")
        # What is not UTF-8 comes as surrogates. A token has none, nor what they are replaced by.
        return hmac.compare_digest(given.strip().encode(errors="replace"), self.token.encode())

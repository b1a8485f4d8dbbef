"""Why a node is closed to a user: told by owner, group and mode, and by the groups that the user has."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from types import SimpleNamespace

import pytest

from vb2user.errors import PermissionDeniedError
from vb2user.uapi import access, kernel
from vb2user.uapi.access import DenialReason, explain_denial
from vb2user.uapi.kernel import System, open_node

VIDEO, RENDER, STRANGE, UID = 44, 106, 4242, 1000
GROUPS = {0: "root", VIDEO: "video", RENDER: "render", 1000: "alice"}
USERS = {0: "root", UID: "alice"}


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Alice on a machine with few groups: those that her session has, and those that the database gives."""
    made = SimpleNamespace(uid=UID, has=[UID], given=[UID])

    def by_gid(gid: int) -> SimpleNamespace:
        return SimpleNamespace(gr_name=GROUPS[gid], gr_gid=gid)

    def by_name(name: str) -> SimpleNamespace:
        return by_gid({n: g for g, n in GROUPS.items()}[name])

    monkeypatch.setattr(grp, "getgrgid", by_gid)
    monkeypatch.setattr(grp, "getgrnam", by_name)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: SimpleNamespace(pw_name=USERS[uid], pw_gid=uid))
    monkeypatch.setattr(os, "geteuid", lambda: made.uid)
    monkeypatch.setattr(os, "getegid", lambda: made.uid)
    monkeypatch.setattr(os, "getgroups", lambda: made.has)
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: made.given)
    return made


def node(mode: int, group: int, owner: int = 0) -> os.stat_result:
    return os.stat_result((stat.S_IFCHR | mode, 0, 0, 0, owner, group, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("path", "status", "why", "hint"),
    [
        (
            "/dev/video0",
            node(0o660, VIDEO),
            DenialReason.JOIN,
            "run: sudo usermod -aG video alice, then log out",
        ),
        # A distribution may call it otherwise.
        ("/dev/video0", node(0o660, RENDER), DenialReason.JOIN, "run: sudo usermod -aG render alice"),
        # Bare, as the kernel makes it.
        ("/dev/video0", node(0o600, 0), DenialReason.RULES, "doctor --install-udev"),
        ("/dev/dma_heap/system", node(0o600, 0), DenialReason.RULES, "doctor --install-udev"),
        # To join root, or a group that means more than this node, is no hint.
        ("/dev/dma_heap/system", node(0o660, 0), DenialReason.RULES, "doctor --install-udev"),
        ("/dev/udmabuf", node(0o660, RENDER), DenialReason.RULES, "doctor --install-udev"),
        ("/dev/video0", node(0o660, STRANGE), DenialReason.RULES, "doctor --install-udev"),
        # The group may not write, so joining it would not help.
        ("/dev/video0", node(0o640, VIDEO), DenialReason.RULES, "doctor --install-udev"),
        ("/dev/video0", node(0o666, 0), DenialReason.ELSEWHERE, "--device /dev/video0"),
        ("/dev/video0", node(0o600, 0, owner=UID), DenialReason.ELSEWHERE, "--device /dev/video0"),
    ],
)
def test_who_may_and_what_helps(
    session: SimpleNamespace, path: str, status: os.stat_result, why: DenialReason, hint: str
) -> None:
    denial = explain_denial(path, status)
    assert denial.why is why
    assert hint in denial.hint
    assert f"{stat.S_IMODE(status.st_mode):04o}" in denial.explanation


def test_joined_after_logging_in(session: SimpleNamespace) -> None:
    session.given = [UID, VIDEO]
    denial = explain_denial("/dev/video0", node(0o660, VIDEO))
    assert denial.why is DenialReason.LOGIN
    assert "sg video -c" in denial.hint
    session.has = [UID, VIDEO]
    assert explain_denial("/dev/video0", node(0o660, VIDEO)).why is DenialReason.ELSEWHERE
    assert access.membership("video") is None


def test_root_needs_no_group(session: SimpleNamespace) -> None:
    assert access.membership("video") is not None
    session.uid = 0
    assert access.membership("video") is None
    assert explain_denial("/dev/video0", node(0o600, VIDEO, UID)).why is DenialReason.ELSEWHERE


def test_users_and_groups_without_a_name(session: SimpleNamespace) -> None:
    session.uid = 31337
    assert access.user_name() == "31337"
    assert access.ownership(node(0o660, STRANGE, 31337)) == "31337:4242 0660"
    assert "31337 is not in the group video" in explain_denial("/dev/video0", node(0o660, VIDEO)).explanation


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_refused_open_says_it(
    session: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    class Closed(System):
        def open(self, path: str, flags: int) -> int:
            raise OSError(number, os.strerror(number), path)

        def stat(self, path: str) -> os.stat_result:
            return node(0o660, VIDEO)

    monkeypatch.setattr(kernel, "system", Closed())
    with pytest.raises(
        PermissionDeniedError, match=r"root:video 0660, and alice is not in .*usermod"
    ) as caught:
        open_node("/dev/video0")
    assert caught.value.errno == number

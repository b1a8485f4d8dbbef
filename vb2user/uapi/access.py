"""Layer 1: why a node is closed to this user, and the command that opens it.

Knows modes, owners and groups; what kind of device a node is it does not know.
"""

from __future__ import annotations

import enum
import errno
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Callable
from dataclasses import dataclass

from vb2user.errors import KernelError, kernel_error

#: The group that the nodes of cameras, media controllers and DMA heaps belong to.
GROUP = "video"
INSTALL = "doctor --install-udev"


class DenialReason(enum.Enum):
    """What stands between a user and a node."""

    #: No group that owns it could be joined, or none may read and write: rules of udev are missing.
    RULES = "rules"
    #: Its group may, and the user does not belong to it.
    JOIN = "join"
    #: The user belongs to its group, but logged in before that was so.
    LOGIN = "login"
    #: Owner, group and mode would let the user in: something else does not, e.g. a container.
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Denial:
    """Why a user may not read and write a node.

    Attributes:
        why: the reason.
        explanation: the reason in words, with the node's owner, group and mode.
        hint: what to do about it, with the command.
    """

    why: DenialReason
    explanation: str
    hint: str


def user_name() -> str:
    """The effective user's name; its number where the user database has none."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """A group's name; its number where the group database has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _has_name(gid: int) -> bool:
    try:
        return bool(grp.getgrgid(gid))
    except KeyError:
        return False


def ownership(status: os.stat_result) -> str:
    """Owner, group and mode in one word, e.g. ``root:video 0660``."""
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = str(status.st_uid)
    return f"{owner}:{group_name(status.st_gid)} {stat.S_IMODE(status.st_mode):04o}"


def denied(number: int, name: str, status: Callable[[str], os.stat_result]) -> KernelError | None:
    """The error for an open(2) of ``name`` that was refused with EACCES or EPERM, and why that was so.

    None for every other errno, and where ``status`` (stat(2)) cannot say anything of the node.
    """
    if number not in (errno.EACCES, errno.EPERM):
        return None
    try:
        denial = explain_denial(name, status(name))
    except OSError:
        return None
    return kernel_error(number, "open", name, explanation=denial.explanation, hint=denial.hint)


def explain_denial(name: str, status: os.stat_result) -> Denial:
    """Why the effective user was refused the node ``name``, of which stat(2) says ``status``."""
    user, group = user_name(), group_name(status.st_gid)
    owned = ownership(status)
    if _mode_allows(status):
        return Denial(
            DenialReason.ELSEWHERE,
            f"{owned} lets {user} in, something else does not",
            f"in a container the device must be passed in (--device {shlex.quote(name)})",
        )
    closed = status.st_mode & 0o060 != 0o060 or status.st_gid == 0 or not _has_name(status.st_gid)
    if closed or (group != GROUP and not _is_video(name)):
        return Denial(
            DenialReason.RULES,
            f"it is {owned}: no group of users may",
            f"'vb2user {INSTALL}' gives it to the group {GROUP}",
        )
    outside = membership(group)
    assert outside is not None, "the mode would have let a member in"
    return Denial(outside.why, f"it is {owned}, and {outside.explanation}", outside.hint)


def membership(group: str) -> Denial | None:
    """What keeps the effective user from using what belongs to ``group``; None: nothing, or the user is root.

    KeyError: there is no such group.
    """
    user, gid = user_name(), grp.getgrnam(group).gr_gid
    if os.geteuid() == 0 or gid in _groups():
        return None
    if gid in _granted():
        return Denial(
            DenialReason.LOGIN,
            f"{user} joined the group {group} after this session had begun",
            f"log out and in again, or for one command: sg {group} -c 'vb2user …'",
        )
    return Denial(
        DenialReason.JOIN,
        f"{user} is not in the group {group}",
        f"run: sudo usermod -aG {group} {shlex.quote(user)}, then log out and in again",
    )


def _is_video(name: str) -> bool:
    # Their group is a user's to join, whatever a distribution calls it; udmabuf's (kvm) means more than that.
    return not name.startswith(("/dev/dma_heap/", "/dev/udmabuf"))


def _mode_allows(status: os.stat_result) -> bool:
    if os.geteuid() == 0:
        return True
    if os.geteuid() == status.st_uid:
        return status.st_mode & 0o600 == 0o600
    if status.st_gid in _groups():
        return status.st_mode & 0o060 == 0o060
    return status.st_mode & 0o006 == 0o006


def _groups() -> set[int]:
    return {os.getegid(), *os.getgroups()}


def _granted() -> set[int]:
    """The groups that the effective user would have after logging in again."""
    try:
        entry = pwd.getpwuid(os.geteuid())
    except KeyError:
        return set()
    return set(os.getgrouplist(entry.pw_name, entry.pw_gid))

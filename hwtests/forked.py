"""The command line in a child of the tests' own process.

All of it is real (file descriptors, signals, exit status), only no interpreter starts, which takes an
emulated machine many seconds. The start itself is seen where a test runs ``python -m vb2user``.
"""

from __future__ import annotations

import gc
import grp
import os
import pwd
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from vb2user.cli.main import main


class Command:
    """``vb2user ARGS``, running; as another user, with these groups besides its own, if asked for."""

    def __init__(
        self,
        *args: str,
        user: str | None = None,
        groups: tuple[str, ...] = (),
        name: str = "vb2user",
        body: Callable[[], object] = main,
    ) -> None:
        self.args = (name, *args)
        self._files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 - closed by wait()
        who = None if user is None else pwd.getpwnam(user)
        gids = [grp.getgrnam(group).gr_gid for group in groups]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: fork with threads
            self.pid = os.fork()
        if self.pid == 0:
            _be(self.args, [file.fileno() for file in self._files], who, gids, body)
        self._status: int | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status is None

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> subprocess.CompletedProcess[str]:
        """What it ended with and said."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        said = []
        for file in self._files:
            file.seek(0)
            said.append(file.read().decode())
            file.close()
        return subprocess.CompletedProcess(self.args, self._status, *said)


def _be(
    args: tuple[str, ...],
    outputs: list[int],
    who: pwd.struct_passwd | None,
    gids: list[int],
    body: Callable[[], object],
) -> None:
    """The child's part; never returns."""
    status = 99
    try:
        gc.freeze()  # what the tests hold is not this child's to finalise
        for number, fd in enumerate([os.open(os.devnull, os.O_RDONLY), *outputs]):
            os.dup2(fd, number)
        sys.stdin, sys.stdout, sys.stderr = (
            open(fd, mode, closefd=False)  # noqa: SIM115
            for fd, mode in ((0, "r"), (1, "w"), (2, "w"))
        )
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if who is not None:
            os.setgroups(gids)
            os.setgid(who.pw_gid)
            os.setuid(who.pw_uid)
        os.environ.pop("VB2USER_RESULTS", None)  # what a test writes may go: no word of that
        sys.argv = list(args)
        body()
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def vb2user_command(
    *args: str, user: str | None = None, groups: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run ``vb2user ARGS`` to its end."""
    return Command(*args, user=user, groups=groups).wait()


def python_script(path: Path, *args: str, cwd: Path, seconds: int = 240) -> subprocess.CompletedProcess[str]:
    """``python PATH ARGS`` in this folder; one that hangs ends by SIGALRM."""

    def body() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        os.chdir(cwd)
        runpy.run_path(str(path), run_name="__main__")

    return Command(*args, name=str(path), body=body).wait()

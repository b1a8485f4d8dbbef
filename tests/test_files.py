"""Files are replaced as a whole or stay as they were; FIFOs, nodes and links stay what they are."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vb2user import files
from vb2user.files import Replacement, write_whole


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    write_whole(path, [b"one", memoryview(b"two")])
    assert path.read_bytes() == b"onetwo"

    def fails() -> object:
        yield b"half"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(path, fails())  # type: ignore[arg-type]
    assert (path.read_bytes(), names(tmp_path)) == (b"onetwo", ["x.bin"])


def test_a_new_file_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "x", [b"1"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_the_mode_of_a_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_whole(path, [b"new"])
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o600)


def test_the_owner_of_a_file_is_kept(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    path = tmp_path / "x"
    path.write_bytes(b"old")
    os.chown(path, 12345, 54321)
    write_whole(path, [b"new"])
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "real").write_bytes(b"old")
    (tmp_path / "middle").symlink_to("sub/real")
    (tmp_path / "link").symlink_to("middle")
    (tmp_path / "dangling").symlink_to("sub/made")
    write_whole(tmp_path / "link", [b"new"])
    write_whole(tmp_path / "dangling", [b"made"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "middle").is_symlink()
    assert (tmp_path / "dangling").is_symlink()
    assert (tmp_path / "sub" / "real").read_bytes() == b"new"
    assert (tmp_path / "sub" / "made").read_bytes() == b"made"
    assert names(tmp_path / "sub") == ["made", "real"]


def test_a_loop_of_symbolic_links_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / "a", [b"1"])
    assert caught.value.errno == errno.ELOOP
    assert names(tmp_path) == ["a", "b"]


def test_a_fifo_is_written_to_and_stays(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(fifo.read_bytes()))
    reader.start()
    write_whole(fifo, [b"one", b"two"])
    reader.join()
    assert found == [b"onetwo"]
    assert stat.S_ISFIFO(fifo.lstat().st_mode)
    assert names(tmp_path) == ["fifo"]


@pytest.mark.parametrize("commit", [True, False])
def test_a_device_node_stays_whatever_happens(tmp_path: Path, commit: bool) -> None:
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    with Replacement(link) as out:
        out.file.write(b"1")
        if commit:
            out.commit()
    assert link.is_symlink()
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116


def test_standard_output_is_written_to_whatever_it_is(tmp_path: Path) -> None:
    """A name in /proc/self/fd is an open file, which is not replaced by another one."""
    code = "from vb2user.files import write_whole; write_whole('/dev/stdout', [b'picture'])"
    out = tmp_path / "out"
    with out.open("wb") as file:
        file.write(b"before ")
        file.flush()
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert out.read_bytes() == b"before picture"
    piped = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert piped.stdout == b"picture"


def test_what_may_not_be_written_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(0o444)
    opened = os.open

    def like_a_user(name: object, flags: int, *rest: object, **named: object) -> int:
        """root may write everything: the kernel's answer to others."""
        if Path(str(name)) == path and flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(name, flags, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", like_a_user)
    with pytest.raises(PermissionError):
        write_whole(path, [b"new"])
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["x"])


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_whole(path, [b"1"])
    write_whole(path, [b"2"])
    assert path.read_bytes() == b"2"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "none" / "x"):
        with pytest.raises(OSError) as caught:
            write_whole(path, [b"1"])
        assert caught.value.errno in (errno.EISDIR, errno.ENOENT)
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("name", ["none/x", "full"])
def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / name, [b"1"])
    assert caught.value.filename == str(tmp_path / name)
    assert caught.value.errno in (errno.ENOENT, errno.ENOSPC)
    assert names(tmp_path) == ["full"]


def test_a_planted_name_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name beside is random; one that is guessed is still never written through."""
    monkeypatch.setattr(secrets, "token_hex", lambda size: "known")
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / files.beside(tmp_path / "x").name).symlink_to("victim")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "x", [b"new"])
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_threads_that_write_one_name_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    failed: list[BaseException] = []

    def writes(letter: bytes) -> None:
        try:
            for _ in range(100):
                write_whole(path, [letter * 4096])
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=writes, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(set(path.read_bytes())) == 1
    assert path.stat().st_size == 4096
    assert names(tmp_path) == ["x"]


# -- a file that grows ------------------------------------------------------------------------------


def test_what_was_there_stays_until_the_new_file_begins(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with Replacement(path, growing=True) as out:
        out.file.write(b"1")
        assert path.read_bytes() == b"old"
        out.commit()
        assert path.read_bytes() == b"1"
        out.file.write(b"2")
    assert (path.read_bytes(), names(tmp_path)) == (b"12", ["x"])
    with Replacement(path, growing=True) as out:
        out.file.write(b"never begun")
    assert (path.read_bytes(), names(tmp_path)) == (b"12", ["x"])


@pytest.mark.parametrize("exists", [True, False])
def test_a_second_writer_of_a_growing_file_is_refused(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "x"
    if exists:
        path.write_bytes(b"old")
    first, second = Replacement(path, growing=True), Replacement(path, growing=True)
    first.file.write(b"first")
    first.commit()
    with pytest.raises(OSError, match="another recording writes to it") as caught:
        second.commit()
    assert caught.value.errno == errno.EBUSY
    second.close()
    with pytest.raises(OSError, match="another recording"):
        Replacement(path, growing=True)
    first.close()
    assert (path.read_bytes(), names(tmp_path)) == (b"first", ["x"])
    with Replacement(path, growing=True) as third:
        third.file.write(b"third")
        third.commit()
    assert path.read_bytes() == b"third"


def test_a_child_process_keeps_no_lock(tmp_path: Path) -> None:
    """The lock ends with the writer, though a process that was forked meanwhile has its file, too."""
    path = tmp_path / "x"
    out = Replacement(path, growing=True)
    out.commit()
    copy = os.dup(out.file.fileno())  # what a fork is to the file
    out.close()
    Replacement(path, growing=True).close()
    os.close(copy)
    assert path.exists()


def test_file_systems_without_links_and_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*names: object) -> None:
        raise PermissionError(errno.EPERM, "vfat")

    def no_lock(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "nfs")

    monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr(fcntl, "flock", no_lock)
    for text in (b"1", b"2"):
        with Replacement(tmp_path / "x", growing=True) as out:
            out.file.write(text)
            out.commit()
        assert (tmp_path / "x").read_bytes() == text
    assert names(tmp_path) == ["x"]

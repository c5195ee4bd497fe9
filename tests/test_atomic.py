"""A file is there whole or not at all: replaced, new, on a full disk, interrupted, or with two writers at once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

from restorect_cli import atomic
from restorect_cli.atomic import check_target, replace_file, replace_files, write_file
from restorect_cli.errors import DiskFullError, OutputError

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- write_file ----------------------------------------------------------------------------------------------------


def test_an_existing_file_is_replaced_only_if_allowed(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        write_file(target, b"new", overwrite=False)
    assert target.read_bytes() == b"mine"
    write_file(target, b"new")
    assert target.read_bytes() == b"new" and os.listdir(tmp_path) == ["a"]


@posix
@pytest.mark.parametrize("before", [0o600, 0o640, 0o666])
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(before)
    seen: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_file(tmp_path / "a", b"secret")
    assert mode(tmp_path / "a") == before
    assert len(seen) == 1 and seen[0] & ~before == 0  # nor could anyone else read it meanwhile


@posix
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_file(tmp_path / "a", b"", overwrite=False)
        write_file(tmp_path / "b", b"")
        replace_file(tmp_path / "c", partial(Path.write_bytes, data=b""))
    finally:
        os.umask(old)
    assert [mode(tmp_path / name) for name in "abc"] == [0o640] * 3


def test_the_umask_of_the_process_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to all threads: changed for a moment, another thread's new folder gets the wrong permissions."""
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask was changed"))
    write_file(tmp_path / "new", b"", overwrite=False)
    write_file(tmp_path / "new", b"")
    replace_file(tmp_path / "new", partial(Path.write_bytes, data=b""))


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_at_the_last_moment_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    target = tmp_path / "a"
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    real = os.fsync

    def fsync(descriptor: int) -> None:
        target.write_bytes(b"theirs")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match="exists already"):
        write_file(target, b"ours", overwrite=False)
    assert target.read_bytes() == b"theirs" and os.listdir(tmp_path) == ["a"]


def no_links(*_: object) -> None:
    raise OSError(95, "Operation not supported")


def test_file_systems_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    write_file(tmp_path / "a", b"ours", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"ours" and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("call", "overwrite"),
    [("open", True), ("open", False), ("fsync", True), ("fsync", False), ("chmod", True), ("replace", True)]
    + [("link", False)],
)
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, overwrite: bool
) -> None:
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    target = tmp_path / "a"
    if overwrite:
        target.write_bytes(b"mine")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(DiskFullError, match="No space left on device"):
            write_file(target, b"ours", overwrite=overwrite)
    assert os.listdir(tmp_path) == (["a"] if overwrite else [])
    assert not overwrite or target.read_bytes() == b"mine"


def test_an_interruption_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a", b"ours")
    assert os.listdir(tmp_path) == []


def interrupt(_: int) -> None:
    raise KeyboardInterrupt


@posix
def test_a_real_limit_on_file_size_leaves_nothing_behind(tmp_path: Path) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        from restorect_cli.atomic import write_file
        from restorect_cli.errors import OutputError
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            write_file(Path(sys.argv[1]), bytes(100_000))
        except OutputError as error:
            print(error)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "a")],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "File too large" in done.stdout and not done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("existed", [True, False])
def test_a_link_is_followed_when_overwriting(tmp_path: Path, existed: bool) -> None:
    if existed:
        (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_the_temporary_file_is_named_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.extend(os.listdir(tmp_path)))
    write_file(tmp_path / "a", b"", temporary_prefix=".mine-")
    assert len(seen) == 1 and seen[0].startswith(".mine-") and seen[0].endswith(".part")


# --- check_target --------------------------------------------------------------------------------------------------


def test_targets_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    (tmp_path / "to-nowhere").symlink_to("no/real")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "locked").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "locked")  # a superuser may write anywhere
    for target, says in (
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "a", "is not there"),
        (file / "a", "Not a directory"),
        (tmp_path / ("x" * 300), "too long"),
        (Path("/dev/null"), "not a regular file"),
        (tmp_path / "to-nowhere", "the folder .*no is not there"),
        (tmp_path / "round", "symbolic links"),
        (tmp_path / "locked" / "a", "no permission to write into the folder"),
    ):
        with pytest.raises(OutputError, match=says) as caught:
            check_target(target, overwrite=True)
        assert "\n" not in str(caught.value)
    with pytest.raises(OutputError, match="exists already"):
        check_target(tmp_path / "to-nowhere", overwrite=False)


@pytest.mark.parametrize("name", ["no/a", "file/a", "x" * 300, "folder"])
def test_writing_reports_what_the_check_would_have(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError) as caught:
        write_file(tmp_path / name, b"ours")
    assert str(tmp_path / name) in str(caught.value) and sorted(os.listdir(tmp_path)) == ["file", "folder"]


# --- replace_files -------------------------------------------------------------------------------------------------


def test_files_that_belong_together_are_replaced_together(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for path in (first, second, third):
        path.write_bytes(b"old")

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("broken")

    fill = partial(Path.write_bytes, data=b"new")
    with pytest.raises(OSError, match="broken"):
        replace_files({first: fill, second: fail}, remove=[third])
    assert [path.read_bytes() for path in (first, second, third)] == [b"old"] * 3
    assert len(os.listdir(tmp_path)) == 3
    replace_files({first: fill, second: fill}, remove=[third])
    assert sorted(os.listdir(tmp_path)) == ["first", "second"]
    assert first.read_bytes() == second.read_bytes() == b"new"


@posix
def test_files_replaced_together_keep_their_permissions(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o600)
    replace_file(tmp_path / "a", partial(Path.write_bytes, data=b"new"))
    assert mode(tmp_path / "a") == 0o600


def test_every_file_is_forced_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(atomic.os, "fsync", synced.append)
    fill = partial(Path.write_bytes, data=b"new")
    write_file(tmp_path / "a", b"new")
    replace_files({tmp_path / "b": fill, tmp_path / "c": fill})
    assert len(synced) == 3

"""Writes files whole: a file is complete under its name, or it is not there.

The content goes to a temporary file in the same folder, is forced to the disk, and takes the name in one step.
`write_file` takes bytes and raises errors for people; `replace_files` serves libraries that write to a path themselves.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import DiskFullError, OutputError

Write = Callable[[Path], object]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def write_file(path: Path, data: bytes, *, overwrite: bool = True, temporary_prefix: str = ".restorect-") -> None:
    """Write `data` to `path`, whole or not at all.

    overwrite: replace an existing file and keep its permissions; a link stays, and the file it points to is replaced.
    Without it, a file that appears at the last moment is kept.
    temporary_prefix: of the temporary file's name, which ends in .part.

    Raises OutputError (DiskFullError if there is no room); nothing is left behind then.
    """
    if overwrite:
        path = Path(os.path.realpath(path))
    temporary = path.parent / f"{temporary_prefix}{secrets.token_hex(8)}.part"
    try:
        try:
            replaced = _mode(path)
            mode = 0o666 if replaced is None else replaced  # never more open than the file it replaces
            with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replaced is not None:
                os.chmod(temporary, replaced)  # what the umask took away
            if overwrite:
                os.replace(temporary, path)
            else:
                _rename_new(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(temporary)
    except OSError as error:
        raise _write_error(path, error) from None


def replace_file(path: Path, write: Write) -> None:
    """Let `write` fill a file beside `path`, then put it in its place in one step; nothing is left on failure."""
    replace_files({path: write})


def replace_files(writes: Mapping[Path, Write], remove: Sequence[Path] = ()) -> None:
    """Write files that belong together: none is put in place, and none of `remove` deleted, before all are on disk.

    A replaced file keeps its permissions. Raises what `write` raises, and OSError.
    """
    asides = {path: path.with_name(path.name + ".part") for path in writes}
    try:
        for path, write in writes.items():
            write(asides[path])
            with asides[path].open("rb+") as file:
                os.fsync(file.fileno())
            replaced = _mode(path)
            if replaced is not None:
                os.chmod(asides[path], replaced)
        for path in remove:
            path.unlink(missing_ok=True)
        for path, aside in asides.items():
            os.replace(aside, path)
    finally:
        for aside in asides.values():
            aside.unlink(missing_ok=True)


def check_target(path: Path, overwrite: bool) -> None:
    """Report before the work that a result cannot be written to `path`.

    Only a first check: `write_file` itself is safe if another program writes the same name meanwhile.

    Raises OutputError.
    """
    try:
        named, file = _status(os.lstat, path), _status(os.stat, path)  # a link to nothing has only the first
    except (OSError, ValueError) as error:
        raise _write_error(path, error) from None
    if file and stat.S_ISDIR(file.st_mode):
        raise OutputError(f"cannot write {path}, it is a folder", "name a file in it")
    if file and not stat.S_ISREG(file.st_mode):
        raise OutputError(f"cannot write {path}, it is not a regular file", "name a file, or - for standard output")
    if named and not overwrite:
        raise _exists(path)
    folder = Path(os.path.realpath(path) if overwrite else path).parent
    if not folder.is_dir():
        raise _no_folder(path, folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}, no permission to write into the folder {folder}", "choose another one")


def _mode(path: Path) -> int | None:
    """Permissions of the file to be replaced; None if there is none, and the umask decides."""
    status = _status(os.stat, path)
    return None if status is None else stat.S_IMODE(status.st_mode)


def _status(look: Callable[[Path], os.stat_result], path: Path) -> os.stat_result | None:
    try:
        return look(path)
    except FileNotFoundError:
        return None


def _exists(path: Path) -> OutputError:
    return OutputError(f"{path} exists already", "choose another name, or allow overwriting (--overwrite)")


def _no_folder(path: Path, folder: Path) -> OutputError:
    return OutputError(f"cannot write {path}, the folder {folder} is not there", "make it, or check the name")


def _write_error(path: Path, error: OSError | ValueError) -> OutputError:
    if isinstance(error, FileExistsError):
        return _exists(path)
    if isinstance(error, FileNotFoundError):
        return _no_folder(path, path.parent)
    what = getattr(error, "strerror", None) or str(error)
    if getattr(error, "errno", None) in _NO_ROOM:
        return DiskFullError(f"cannot write {path}, {what}", "make room on the disk")
    return OutputError(f"cannot write {path}, {what}", "check the folder's permissions and the free space")


def _rename_new(temporary: Path, path: Path) -> None:
    """Give the temporary file its name. Raises FileExistsError if that name was taken meanwhile."""
    if os.name == "nt":
        os.rename(temporary, path)  # refuses an existing name there
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:  # a file system without hard links; reserving the name would show an empty file
        if error.errno in _NO_ROOM:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path)) from None
        os.replace(temporary, path)

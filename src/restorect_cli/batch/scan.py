"""Lists a folder: names, sizes and times; no file is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NOBODY = (0, 0)  # the identity of a file that could not be examined


@dataclass(frozen=True)
class Signature:
    """Size and time, which change when a file does."""

    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Found:
    """A file below the folder; `problem` says why it cannot be read, and is empty for a regular file."""

    name: str  # relative to the folder, with forward slashes
    signature: Signature = Signature(0, 0)
    identity: tuple[int, int] = NOBODY  # device and inode: the same for every name of one file
    problem: str = ""


def scan(folder: Path, *, recursive: bool, leave_out: Path | None = None) -> Iterator[Found]:
    """Every visible file of `folder`, sorted by name, with those of its folders after it if `recursive`.

    Left out are names that begin with a dot, linked folders, which may form a circle, and the folder `leave_out`. A
    folder that cannot be listed is one entry with a problem.
    """
    yield from _scan(folder, "", recursive, _identity(leave_out))


def look(path: Path) -> Found | None:
    """The file at `path`, links followed; None if there is none. `name` is the last part of the path."""
    try:
        return _found(path.name, os.stat(path))
    except FileNotFoundError:
        return Found(path.name, problem="it is a link to nothing") if path.is_symlink() else None
    except OSError as error:
        return Found(path.name, problem=_reason(error))


def _scan(folder: Path, prefix: str, recursive: bool, leave_out: tuple[int, int] | None) -> Iterator[Found]:
    try:
        with os.scandir(folder) as entries:
            visible = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        yield Found(prefix, problem=f"the folder cannot be listed ({_reason(error)})")
        return
    folders = []
    for entry in visible:
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry)
            continue
        found = look(Path(entry.path))
        if found is not None and not (entry.is_symlink() and os.path.isdir(entry.path)):
            yield Found(prefix + entry.name, found.signature, found.identity, found.problem)
    for entry in folders if recursive else ():
        path = Path(entry.path)
        if leave_out is None or _identity(path) != leave_out:
            yield from _scan(path, f"{prefix}{entry.name}/", recursive, leave_out)


def _found(name: str, status: os.stat_result) -> Found:
    problem = "" if stat.S_ISREG(status.st_mode) else "it is not a regular file"
    if stat.S_ISDIR(status.st_mode):
        problem = "it is a folder"
    signature = Signature(status.st_size, status.st_mtime_ns)
    return Found(name, signature, (status.st_dev, status.st_ino), problem)


def _identity(path: Path | None) -> tuple[int, int] | None:
    found = None if path is None else look(path)
    return None if found is None else found.identity


def _reason(error: OSError) -> str:
    return error.strerror or str(error)

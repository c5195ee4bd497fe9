"""What became of every image: an append-only file of JSON lines in the output folder.

Four kinds of lines: "started" before an output is written, "done" or "failed" after it, "dropped" if it was cancelled.
A killed run leaves at worst a torn last line, which is ignored, and a started image, which is restored again.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Literal

from ..errors import DiskFullError, OutputError
from .scan import Signature
from .shard import Shard

Status = Literal["started", "done", "failed", "dropped"]


@dataclass(frozen=True)
class Record:
    """One line. Names are relative to the folders of input and output."""

    input: str
    output: str
    status: Status
    folder: str  # the input folder, absolute
    settings: str  # hash
    input_bytes: int
    input_mtime_ns: int
    output_bytes: int = 0
    output_mtime_ns: int = 0
    task: str = ""
    reason: str = ""
    model: str = ""
    model_hash: str = ""
    seconds: float = 0.0
    error: str = ""
    error_type: str = ""
    notes: tuple[str, ...] = ()

    @property
    def input_signature(self) -> Signature:
        return Signature(self.input_bytes, self.input_mtime_ns)

    @property
    def output_signature(self) -> Signature:
        return Signature(self.output_bytes, self.output_mtime_ns)


class Past:
    """The records of earlier runs, by name; the last line counts."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.inputs: dict[str, Record] = {}  # the last line about an image
        self.done: dict[str, Record] = {}  # by output: the last to write it
        self.interrupted: dict[str, Record] = {}  # by output: started, and never finished
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        self.inputs[record.input] = record
        started = self.interrupted.get(record.output)
        if record.status == "started":
            self.interrupted[record.output] = record
        elif started is not None and started.input == record.input:
            del self.interrupted[record.output]
        if record.status == "done":
            self.done[record.output] = record


def manifest_path(output: Path, shard: Shard) -> Path:
    """The manifest of a run; each part of a job array has its own, because several machines cannot append safely."""
    part = "" if shard.count == 1 else f".{shard.number}-of-{shard.count}"
    return output / f".restorect{part}.jsonl"


def load_past(path: Path, output: Path) -> Past:
    """The records of all manifests in the output folder and of the one at `path`. Raises OutputError."""
    beside = sorted(output.glob(".restorect*.jsonl"), key=_modified)
    others = [other for other in beside if not _is_same(other, path)]
    return Past(record for each in (*others, path) for record in read_records(each))


def read_records(path: Path) -> list[Record]:
    """The lines of a manifest; none if there is no file. Torn lines are left out. Raises OutputError."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(
            f"cannot read the manifest {path} ({error.strerror})", "name another with --manifest"
        ) from None
    return [record for line in lines if (record := _parse(line)) is not None]


class RunManifest:
    """A manifest open for appending, held by one run at a time.

    Raises OutputError if it cannot be opened or another run holds it, DiskFullError if a line does not fit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing = Lock()  # lines come from several threads
        try:
            self._file: BinaryIO = open(path, "ab+", buffering=0)
        except OSError as error:
            raise self._error(error) from None
        try:
            _lock(self._file)
        except OSError:
            self._file.close()
            raise OutputError(f"another run holds the manifest {path}", "wait for it, or choose another -o") from None
        self._end_torn_line()

    def append(self, record: Record) -> None:
        """Add one line, which is in the file when this returns."""
        line = {name: value for name, value in asdict(record).items() if value not in ("", ())}
        self._write(json.dumps(line).encode() + b"\n")  # ASCII: names in no encoding are escaped, and read back

    def close(self) -> None:
        self._file.close()

    def _end_torn_line(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        if size:
            self._file.seek(size - 1)
            if self._file.read(1) != b"\n":
                self._write(b"\n")

    def _write(self, data: bytes) -> None:
        try:
            with self._writing:
                while data:
                    data = data[self._file.write(data) :]
        except OSError as error:
            raise self._error(error) from None

    def _error(self, error: OSError) -> OutputError:
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else OutputError
        return kind(f"cannot write the manifest {self.path} ({error.strerror})", "check the folder and the free space")


def _parse(line: bytes) -> Record | None:
    names = {field.name for field in fields(Record)}
    try:
        values = json.loads(line)
        known = {name: value for name, value in values.items() if name in names}
        return Record(**known | {"notes": tuple(known.get("notes", ()))})
    except (ValueError, TypeError, AttributeError):  # torn, or of another version
        return None


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _lock(file: BinaryIO) -> None:
    """Hold the file until it is closed or the process ends. Raises OSError if it is held already."""
    if os.name == "nt":
        import msvcrt

        file.seek(1 << 40)  # far behind the text, because others cannot read a locked range
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        # a file system without locks: run without one

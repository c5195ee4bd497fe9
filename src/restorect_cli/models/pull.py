"""Fetches a named student from a Hugging Face repository into the cache.

One request learns the commit that the revision stands for; everything else is asked for at that commit,
so the files belong together even if the repository changes meanwhile. Each file goes to `<cache>/partial`,
named by its SHA-256, where a later run carries on. Only a student whose every file has the expected SHA-256
is moved into place: files first, then the one manifest that names them.

Whose SHA-256: for the default repository and a version that the shipped manifest lists too, the shipped
one (it came with the package and cannot be changed from outside); otherwise the repository's manifest.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import get_hf_file_metadata
from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]
from tqdm import tqdm

from .. import __version__
from ..errors import ModelError, OutputError, UsageError
from ..names import SIZES, TASKS
from . import store
from .specs import FileRecord, Manifest, ManifestEntry, Role, parse_manifest

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)})
_TIMEOUT_SECONDS = 30.0  # without a single byte
_PAUSE_SECONDS = 1.0  # before a broken connection is taken up again
_MANIFEST_BYTES = 4_000_000  # a manifest is a few kB; whoever sends more is not sending a manifest


@dataclass(frozen=True)
class PullResult:
    """What `pull` did: the student as it now stands on disk, and what was fetched for it."""

    student: store.Student
    repository: str
    commit: str  # or the revision asked for, when the repository has no manifest to read a commit from
    fetched_bytes: int  # 0 when it was already here


@dataclass(frozen=True)
class _Hub:
    """One repository at one revision."""

    repository: str
    endpoint: str | None
    revision: str

    def url(self, path: str) -> str:
        return hf_hub_url(self.repository, path, revision=self.revision, endpoint=self.endpoint)

    def at(self, revision: str) -> _Hub:
        return _Hub(self.repository, self.endpoint, revision)

    def __str__(self) -> str:
        return f"{self.repository} on {self.endpoint or 'huggingface.co'}"


def pull(
    name: str,
    repository: str | None = None,
    *,
    endpoint: str | None = None,
    revision: str = "main",
    force: bool = False,
    progress: bool = True,
) -> PullResult:
    """Fetch the student `name`, check every SHA-256 and put it where `store.find` sees it.

    repository: Hugging Face "owner/name"; default RESTORECT_HUB, else the shipped manifest's.
    endpoint: address of the hub; default HF_ENDPOINT, else https://huggingface.co.
    force: fetch again even if the same files are already here and whole.
    progress: draw a bar on standard error, if that is a terminal.
    Raises UsageError for an unknown name, ModelError when the hub cannot be reached or sends something
    else than it should, OutputError when the cache cannot be written.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name):
        raise UsageError(f"'{name}' is not the name of a student", "names look like denoise-s")
    shipped = store.load_manifest()
    hub = _Hub(
        repository or os.environ.get("RESTORECT_HUB") or shipped.repository,
        endpoint or os.environ.get("HF_ENDPOINT") or None,
        revision,
    )
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what fails reaches us as an exception
    hub, entry = _find_entry(hub, name, shipped.get(name) if hub.repository == shipped.repository else None)
    try:
        store.cache_dir().mkdir(parents=True, exist_ok=True)
        with WeakFileLock(store.cache_dir() / ".pull.lock"):  # two pulls at once would share partial files
            here = None if force else _already_here(entry)
            if here is not None:
                return PullResult(here, hub.repository, hub.revision, fetched_bytes=0)
            fetched = _fetch_student(hub, entry, progress)
            student = _install(entry)
    except PermissionError as error:
        raise OutputError(
            f"cannot write to {store.cache_dir()} ({error.strerror})", "set RESTORECT_HOME to a folder of yours"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot write to {store.cache_dir()} ({error.strerror or error})") from error
    return PullResult(student, hub.repository, hub.revision, fetched)


def _find_entry(hub: _Hub, name: str, anchor: ManifestEntry | None) -> tuple[_Hub, ManifestEntry]:
    """The hub pinned to a commit, and the student's row with the hashes that count."""
    try:
        with _hub_problems(hub, store.MANIFEST):
            found = get_hf_file_metadata(hub.url(store.MANIFEST), headers=_headers(), timeout=10)
        hub = hub.at(found.commit_hash or hub.revision)
        manifest = parse_manifest(_fetch_text(hub, store.MANIFEST, found.size), f"manifest.json in {hub}")
    except _MissingFileError:
        if anchor is None:
            fix = "choose another repository with --repo"
            raise ModelError(f"{hub} has no manifest.json and is no collection of students", fix) from None
        return hub, anchor
    entry = manifest.get(name)
    if entry is None:
        raise _not_there(hub, name, [student.name for student in manifest.students])
    return hub, anchor if anchor is not None and anchor.version == entry.version else entry


def _not_there(hub: _Hub, name: str, names: list[str]) -> ModelError | UsageError:
    """A name that could exist is a model that cannot be had; any other is a mistake in typing."""
    there = f"it has {', '.join(names) or 'none'}"
    if name in store.known() or name in {f"{task}-{size}" for task in TASKS for size in SIZES}:
        return ModelError(f"{hub} has no student '{name}'", there)
    return UsageError(f"unknown student '{name}' in {hub}", there)


def _already_here(entry: ManifestEntry) -> store.Student | None:
    """The installed student with exactly these files, if they are whole."""
    for student in store.installed():
        if student.entry is None or student.spec.name != entry.name or _hashes(student.entry) != _hashes(entry):
            continue
        with contextlib.suppress(ModelError):  # damaged: fetch it again
            store.verify_student(student)
            return student
    return None


def _hashes(entry: ManifestEntry) -> dict[Role, str]:
    return {role: record.sha256 for role, record in entry.files.items()}


def _fetch_student(hub: _Hub, entry: ManifestEntry, progress: bool) -> int:
    """Fetch what is not yet whole in the staging folder; returns the bytes that came over the network."""
    return sum(_fetch_file(hub, record, progress) for record in entry.files.values())


def _fetch_file(hub: _Hub, record: FileRecord, progress: bool) -> int:
    partial = _partial(record)
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("ab") as file:
        start = file.tell()
        with _hub_problems(hub, record.path):
            _fetch(hub, record.path, file, record.bytes, progress)
    found = store.record_of(partial, partial.parent)
    if (found.sha256, found.bytes) != (record.sha256, record.bytes):
        partial.unlink()  # carrying on from wrong bytes would never end well
        fix = "try again; if it stays so, the repository's files do not belong to its manifest"
        raise ModelError(f"{record.path} from {hub} is not the expected file (SHA-256 differs)", fix)
    return max(record.bytes - start, 0)


def _install(entry: ManifestEntry) -> store.Student:
    """Move the fetched files into a folder of their own, then name it in the manifest in one step."""
    root = store.pulled_dir()
    content = "".join(sorted(_hashes(entry).values()))
    folder = root / entry.name / hashlib.sha256(content.encode()).hexdigest()[:12]  # never one that is in use
    folder.mkdir(parents=True, exist_ok=True)
    for role, record in entry.files.items():
        os.replace(_partial(record), folder / store.FILE_NAMES[role])
    files = {role: store.record_of(folder / store.FILE_NAMES[role], root) for role in entry.files}
    placed = entry.model_copy(update={"files": files})
    try:
        manifest = store.load_manifest(root)
    except ModelError:  # damaged: it is written anew
        manifest = Manifest()
    store.write_manifest(manifest.with_entry(placed), root)
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)  # an older version; Windows may still hold its files
    with contextlib.suppress(OSError):  # another student's partial files stay for their own next run
        _staging().rmdir()
    return next(student for student in store.installed() if student.spec.name == entry.name)


def _staging() -> Path:
    return store.cache_dir() / "partial"


def _partial(record: FileRecord) -> Path:
    return _staging() / f"{record.sha256}-{Path(record.path).name}"


def _headers() -> dict[str, str]:
    try:
        headers: dict[str, str] = build_hf_headers(library_name="restorect", library_version=__version__)
    except OSError as error:  # the stored token, in the home of another user
        problem = f"{error.filename or 'the token of huggingface_hub'} cannot be read ({error.strerror})"
        raise ModelError(problem, "set HF_HOME to a folder of yours") from error
    return {**headers, "Accept-Encoding": "identity"}  # sizes and ranges count the file's own bytes


def _fetch_text(hub: _Hub, path: str, size: int | None) -> bytes:
    buffer = io.BytesIO()
    with _hub_problems(hub, path):
        _fetch(hub, path, buffer, min(size or _MANIFEST_BYTES, _MANIFEST_BYTES), False)
    return buffer.getvalue()


def _fetch(hub: _Hub, path: str, file: BinaryIO, size: int, progress: bool) -> None:
    """Append to `file` until it has `size` bytes; a broken connection is taken up where it broke.

    It goes on for as long as every attempt brings something, and raises whatever the first one that
    brings nothing raised. (huggingface_hub's own download hands bytes on in pieces of 10 MB, more than
    a whole student, and keeps none after a failure.)
    """
    with tqdm(
        desc=path,
        total=size,
        initial=file.tell(),
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None if progress else True,
    ) as bar:
        while (start := file.tell()) < size:
            try:
                _fetch_rest(hub.url(path), file, start, size, bar)
                return
            except Exception:
                if file.tell() <= start:
                    raise
                time.sleep(_PAUSE_SECONDS)


def _fetch_rest(url: str, file: BinaryIO, start: int, size: int, bar: tqdm[NoReturn]) -> None:
    headers = {**_headers(), "Range": f"bytes={start}-"} if start else _headers()
    with get_session().stream("GET", url, headers=headers, timeout=_TIMEOUT_SECONDS) as response:
        hf_raise_for_status(response)
        if start and response.status_code != 206:  # the server begins at the beginning again
            file.seek(0)
            file.truncate()
        for piece in response.iter_bytes():
            file.write(piece)
            bar.update(len(piece))
            if file.tell() > size:
                return  # more than the manifest promised: not the file, and its hash will say so


class _MissingFileError(Exception):
    """The repository is there, but not this file."""


@contextlib.contextmanager
def _hub_problems(hub: _Hub, path: str) -> Iterator[None]:
    """Turn what huggingface_hub and the network layer under it raise into one clear line."""
    try:
        yield
    except EntryNotFoundError as error:
        if path == store.MANIFEST:
            raise _MissingFileError from error
        raise ModelError(f"{path} is not in {hub}", "its manifest lists it: tell the repository's owner") from error
    except HFValidationError as error:
        raise UsageError(f"'{hub.repository}' is not a repository name", "write it as owner/name") from error
    except OfflineModeIsEnabled as error:
        raise ModelError(f"cannot fetch from {hub}", "HF_HUB_OFFLINE is set; unset it to go online") from error
    except GatedRepoError as error:
        raise ModelError(f"{hub} asks for a login", "set HF_TOKEN to a token that may read it") from error
    except RepositoryNotFoundError as error:
        fix = "check --repo; for a private one set HF_TOKEN"
        raise ModelError(f"there is no repository {hub}, or it is private", fix) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{hub} has no revision '{hub.revision}'", "choose another with --revision") from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no status")
        raise ModelError(f"{hub} answered with an error ({status})", "try again later") from error
    except (ModelError, UsageError):
        raise
    except Exception as error:
        # The network library under huggingface_hub changed twice (requests, httpx, httpx2) and its errors share
        # no base class; a full disk is the one failure in here that is not the network's.
        if isinstance(error, OSError) and error.errno is not None and error.errno in _DISK_ERRORS:
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        fix = "are you online? what was fetched so far is kept; students that are here work offline"
        raise ModelError(f"cannot fetch from {hub} ({reason})", fix) from error

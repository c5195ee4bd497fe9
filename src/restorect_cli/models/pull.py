"""Fetches a named model from a Hugging Face repository into the cache.

One request resolves the revision to a commit. The manifest and every file are fetched at that commit, so they belong
together even if the repository changes meanwhile. A model is installed only if every file has the expected SHA-256:
files first, then the manifest that names them.

If the shipped manifest names this repository and lists the same version, its SHA-256 counts: it came with the package
and cannot be changed from outside. Otherwise the one in the repository's manifest counts.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from filelock import FileLock
from huggingface_hub import constants, errors, get_hf_file_metadata, hf_hub_download, hf_hub_url

from .._version import __version__
from ..atomic import replace_files
from ..errors import ModelError, OutputError, UsageError
from ..names import SIZES, TASKS
from ..one_line import first_line
from . import store
from .specs import FileRecord, Manifest, ManifestEntry, Role, parse_manifest

Advance = Callable[[int], None]
Progress = Callable[[str, int], AbstractContextManager[Advance]]  # of a label and a number of bytes

_TIMEOUT_SECONDS = 10.0  # for the first answer; huggingface_hub waits as long for every later one
_MANIFEST_BYTES = 4_000_000  # a manifest is a few kB; a larger file is something else
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)
_PROBLEMS: tuple[tuple[type[Exception], str, str], ...] = (  # the first match counts: what happened, and what to do
    (errors.OfflineModeIsEnabled, "cannot fetch from {hub}", "HF_HUB_OFFLINE is set; unset it to go online"),
    (errors.GatedRepoError, "{hub} asks for a login", "set HF_TOKEN to a token that may read it"),
    (
        errors.RepositoryNotFoundError,
        "there is no repository {hub}, or it is private",
        "check --repo or RESTORECT_HUB; for a private one set HF_TOKEN",
    ),
    (errors.RevisionNotFoundError, "{hub} has no revision '{hub.revision}'", "choose another with --revision"),
    (
        errors.RemoteEntryNotFoundError,
        "{path} is not in {hub}",
        "a collection of models has a manifest.json, and every file that it lists",
    ),
    (errors.HfHubHTTPError, "{hub} answered with an error ({error.response.status_code})", "try again later"),
)


@dataclass(frozen=True)
class PullResult:
    """The installed model, where it came from, and how much was fetched."""

    student: store.InstalledModel
    repository: str
    commit: str
    fetched_bytes: int  # 0 when it was already here


@dataclass(frozen=True)
class _Hub:
    """One repository at one revision."""

    repository: str
    endpoint: str | None
    revision: str

    def pinned(self) -> _Hub:
        """The repository at the commit that the revision names now. Raises ModelError, UsageError."""
        with _hub_problems(self, store.MANIFEST):
            url = hf_hub_url(self.repository, store.MANIFEST, revision=self.revision, endpoint=self.endpoint)
            found = get_hf_file_metadata(
                url, timeout=_TIMEOUT_SECONDS, library_name="restorect", library_version=__version__
            )
        if found.commit_hash is None:
            raise ModelError(f"{self} did not answer like a Hugging Face hub", "check --endpoint")
        if (found.size or 0) > _MANIFEST_BYTES:
            raise ModelError(f"manifest.json in {self} is too large for a manifest ({found.size} bytes)")
        return replace(self, revision=found.commit_hash)

    def download(self, path: str, folder: Path) -> Path:
        """Fetch `path` to the same place below `folder`. Raises ModelError, and OSError if the disk fails."""
        with _hub_problems(self, path):
            return Path(
                hf_hub_download(
                    self.repository,
                    path,
                    revision=self.revision,
                    endpoint=self.endpoint,
                    local_dir=folder,
                    library_name="restorect",
                    library_version=__version__,
                )
            )

    def __str__(self) -> str:
        return f"{self.repository} on {self.endpoint or 'huggingface.co'}"


def _no_progress(label: str, total: int) -> AbstractContextManager[Advance]:
    return contextlib.nullcontext(lambda amount: None)


def pull(
    name: str,
    repository: str | None = None,
    *,
    endpoint: str | None = None,
    revision: str = "main",
    force: bool = False,
    progress: Progress = _no_progress,
) -> PullResult:
    """Fetch the model `name`, check every SHA-256 and install it where `store.find` looks.

    repository: Hugging Face "owner/name"; default RESTORECT_HUB, else the one that the shipped manifest names.
    endpoint: address of the hub; default HF_ENDPOINT, else https://huggingface.co.
    force: fetch again even if the same files are already installed and whole.
    progress: opens a progress bar.

    Raises UsageError for an unknown name or if no repository is named, ModelError if the hub cannot be reached or a
    file is missing or wrong, OutputError if the cache cannot be written. Nothing is installed then.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name):
        raise UsageError(f"'{name}' is not the name of a model", "names look like denoise-s")
    repository = repository or store.repository()
    if repository is None:
        fix = "add --repo OWNER/NAME or set RESTORECT_HUB; the shipped models need no fetching"
        raise UsageError(f"no repository to fetch '{name}' from", fix)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # failures reach us as exceptions
    hub = _Hub(repository, endpoint or os.environ.get("HF_ENDPOINT") or None, revision).pinned()
    try:
        with _staging() as staging:
            entry = _find_entry(hub, name, staging)
            here = None if force else _already_here(entry)
            if here is not None:
                return PullResult(here, repository, hub.revision, fetched_bytes=0)
            with progress(f"fetching {name}", entry.total_bytes) as advance:
                for record in entry.files.values():
                    _fetch(hub, record, staging)
                    advance(record.bytes)
            return PullResult(_install(entry, staging), repository, hub.revision, entry.total_bytes)
    except OSError as error:
        fix = "set RESTORECT_HOME to a folder that you may write to, with enough room"
        raise OutputError(f"cannot write to {store.cache_dir()} ({error.strerror or error})", fix) from error


def _find_entry(hub: _Hub, name: str, staging: Path) -> ManifestEntry:
    """The model's row, with the SHA-256 that counts."""
    text = hub.download(store.MANIFEST, staging).read_bytes()
    manifest = parse_manifest(text, f"manifest.json in {hub}")
    entry = manifest.get(name)
    if entry is None:
        there = f"it has {', '.join(model.name for model in manifest.students) or 'none'}"
        if name in store.known() or name in {f"{task}-{size}" for task in TASKS for size in SIZES}:
            raise ModelError(f"{hub} has no model '{name}'", there)
        raise UsageError(f"unknown model '{name}' in {hub}", there)
    shipped = store.load_manifest()
    anchor = shipped.get(name) if hub.repository == shipped.repository else None
    return anchor if anchor is not None and anchor.version == entry.version else entry


def _already_here(entry: ManifestEntry) -> store.InstalledModel | None:
    """The installed model with exactly these files, unless they are damaged."""
    for student in store.installed():
        if student.entry is None or student.spec.name != entry.name or _hashes(student.entry) != _hashes(entry):
            continue
        with contextlib.suppress(ModelError):  # damaged: fetch it again
            store.verify_student(student)
            return student
    return None


def _hashes(entry: ManifestEntry) -> dict[Role, str]:
    return {role: record.sha256 for role, record in entry.files.items()}


def _fetch(hub: _Hub, record: FileRecord, staging: Path) -> None:
    found = store.record_of(hub.download(record.path, staging), staging)
    if (found.sha256, found.bytes) != (record.sha256, record.bytes):
        fix = "try again; if it happens again, the repository's files do not match its manifest"
        raise ModelError(f"{record.path} from {hub} is not the expected file (SHA-256 differs)", fix)


def _install(entry: ManifestEntry, staging: Path) -> store.InstalledModel:
    """Put the fetched files into a new folder, then enter it in the manifest in one step."""
    root = store.pulled_dir()
    content = "".join(sorted(_hashes(entry).values()))
    folder = root / entry.name / hashlib.sha256(content.encode()).hexdigest()[:12]  # other content, other folder
    folder.mkdir(parents=True, exist_ok=True)
    placed = {role: folder / store.FILE_NAMES[role] for role in entry.files}
    replace_files({placed[role]: partial(shutil.copyfile, staging / entry.files[role].path) for role in placed})
    try:
        manifest = store.load_manifest(root)
    except ModelError:  # damaged: start a new one
        manifest = Manifest()
    files = {role: store.record_of(path, root) for role, path in placed.items()}
    store.write_manifest(manifest.with_entry(entry.model_copy(update={"files": files})), root)
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)  # an older version; Windows may still hold its files
    return next(student for student in store.installed() if student.spec.name == entry.name)


@contextlib.contextmanager
def _staging() -> Iterator[Path]:
    """An empty folder for downloads; a second process waits here until the first has finished."""
    staging = store.cache_dir() / "partial"
    staging.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(staging.with_name(".pull.lock")):
        shutil.rmtree(staging, ignore_errors=True)  # left by a process that was killed
        staging.mkdir(exist_ok=True)
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def _hub_problems(hub: _Hub, path: str) -> Iterator[None]:
    """Report errors of huggingface_hub and the network layer on one line; let errors of the disk pass."""
    try:
        yield
    except errors.HFValidationError as caught:
        raise UsageError(f"'{hub.repository}' is not a repository name", "write it as owner/name") from caught
    except Exception as caught:  # the errors of the network layer share no base class, and changed twice
        is_wrapped = isinstance(caught, errors.LocalEntryNotFoundError) and caught.__cause__ is not None
        error = caught.__cause__ if is_wrapped else caught
        for kind, problem, fix in _PROBLEMS:
            if isinstance(error, kind):
                raise ModelError(problem.format(hub=hub, path=path, error=error), fix) from error
        if isinstance(error, OSError) and error.filename == constants.HF_TOKEN_PATH:  # in another user's home
            problem = f"the token {error.filename} cannot be read ({error.strerror})"
            raise ModelError(problem, "set HF_HOME to a folder that you may read") from error
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise
        fix = "check the connection, or name another repository with --repo; installed models work offline"
        raise ModelError(f"cannot reach {hub} ({first_line(error)})", fix) from error

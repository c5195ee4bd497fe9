"""Finds models on disk and checks that their files are whole.

Models are in two places: the weights that came with the package (`weights_dir`) and those that `restorect models pull`
fetched (`cache_dir() / "weights"`). Each holds one `manifest.json` and one folder per model. If two models have one
name, the higher version counts; if the versions are equal, the fetched one. A user's own folder with `prior.onnx` and
`velocity.onnx` is also a model.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..atomic import write_file
from ..errors import ModelError, UsageError
from ..names import SIZES, TASKS
from .metadata import read_metadata
from .specs import (
    METADATA_KEY,
    FileRecord,
    Manifest,
    ManifestEntry,
    Quality,
    Role,
    StudentSpec,
    parse_manifest,
    parse_spec,
)

MANIFEST = "manifest.json"
FILE_NAMES: dict[Role, str] = {
    "prior": "prior.onnx",
    "velocity": "velocity.onnx",
    "velocity-int8": "velocity.int8.onnx",
    "card": "card.md",
}

Origin = Literal["shipped", "pulled", "folder"]


@dataclass(frozen=True)
class InstalledModel:
    """A model whose files are on this machine."""

    spec: StudentSpec
    prior: Path
    velocity: Path
    velocity_int8: Path | None
    origin: Origin
    card: Path | None = None
    entry: ManifestEntry | None = None  # None for a user's own folder: it has no hashes to check
    root: Path | None = None  # what the paths in `entry` are relative to

    @property
    def folder(self) -> Path:
        return self.velocity.parent


def weights_dir() -> Path:
    """Folder of the weights that came with the package, or the one that RESTORECT_WEIGHTS names."""
    named = os.environ.get("RESTORECT_WEIGHTS")
    if named:
        return Path(named)
    package = Path(__file__).resolve().parents[1]
    installed = package / "weights"
    return installed if installed.is_dir() else package.parents[1] / "weights"  # src/restorect_cli → checkout


def cache_dir() -> Path:
    """Folder for fetched models: RESTORECT_HOME, else the platform's cache. It is not created here.

    Raises ModelError if no variable names one and the user has no home.
    """
    named = os.environ.get("RESTORECT_HOME")
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(_home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(_home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(_home() / ".cache")
    return Path(base) / "restorect"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:  # a user id that no account has, as in many containers
        raise ModelError("this user has no home for fetched models", "set RESTORECT_HOME to a folder") from error


def pulled_dir() -> Path:
    """Folder of the fetched models and their manifest, inside `cache_dir`."""
    return cache_dir() / "weights"


def load_manifest(folder: Path | None = None) -> Manifest:
    """The manifest in `folder` (default: the shipped weights); empty if there is none yet.

    Raises ModelError if it is damaged, or if RESTORECT_WEIGHTS names a folder without one.
    """
    path = (weights_dir() if folder is None else folder) / MANIFEST
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if folder is None and os.environ.get("RESTORECT_WEIGHTS"):
            fix = "set RESTORECT_WEIGHTS to a folder of models, or unset it"
            raise ModelError(f"RESTORECT_WEIGHTS: {path} is not there", fix) from None
        return Manifest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    return parse_manifest(text, str(path))


def installed() -> list[InstalledModel]:
    """Every model whose files are here, sorted by name; of several with one name, the one that `find` would use.

    An unreadable cache counts as empty, because the shipped models do not need it; `cache_problem` says why.
    """
    best: dict[str, InstalledModel] = {}
    students = _students(weights_dir(), load_manifest(), "shipped")
    with contextlib.suppress(ModelError):
        students += _students(pulled_dir(), load_manifest(pulled_dir()), "pulled")
    for student in students:
        other = best.get(student.spec.name)
        if other is None or int(student.spec.version) >= int(other.spec.version):
            best[student.spec.name] = student
    return [best[name] for name in sorted(best)]


def cache_problem() -> ModelError | None:
    """Why the fetched models cannot be read, and the fix; None if they can, or if there are none."""
    try:
        load_manifest(pulled_dir())
    except ModelError as error:
        fix = f"fetch them again ({fetch_command('NAME')}), or set RESTORECT_HOME to another folder"
        return ModelError(error.problem, error.fix or fix)
    return None


def repository() -> str | None:
    """Hugging Face "owner/name" to fetch from by default: RESTORECT_HUB, else the shipped manifest's."""
    return os.environ.get("RESTORECT_HUB") or load_manifest().repository


def fetch_command(name: str) -> str:
    """The command that fetches a model, with --repo if no repository is set."""
    with contextlib.suppress(ModelError):  # a damaged manifest names none
        if repository() is not None:
            return f"restorect models pull {name}"
    return f"restorect models pull {name} --repo OWNER/NAME"


def known() -> dict[str, ManifestEntry]:
    """Every model named by a manifest on this machine, installed or still to be fetched."""
    entries = {entry.name: entry for entry in load_manifest().students}
    for student in installed():
        if student.entry is not None:
            entries[student.spec.name] = student.entry
    return dict(sorted(entries.items()))


def find(task: str | None, model: str | os.PathLike[str] = "s", *, check: bool = True) -> InstalledModel:
    """The model for `task`; its files are hashed first unless `check` is false.

    model: a size ("s", "m"), a full name ("denoise-s") or a folder with prior.onnx and velocity.onnx. A folder is
    written with a separator ("./denoise-s") or given as a Path: a bare word is always a name, even if the working
    directory has a folder of that name. With a name or a folder `task` may be None.

    Raises UsageError for an unknown task or model and for a model made for another task, ModelError if its files are
    missing or damaged.
    """
    if task is not None and task not in TASKS:
        raise UsageError(f"unknown task '{task}'", f"choose {', '.join(TASKS)}")
    if isinstance(model, str) and "/" not in model and os.sep not in model:
        student = _by_name(_full_name(task, model))
    else:
        student = _from_folder(Path(model))
    if task is not None and student.spec.task != task:
        problem = f"model '{model}' is made for {student.spec.task}, not for {task}"
        raise UsageError(problem, f"use --task {student.spec.task}, or another model")
    if check:
        verify_student(student)
    return student


def verify_student(student: InstalledModel) -> None:
    """Compare every file of the model with its size and SHA-256 in the manifest; without a manifest row, it passes.

    Raises ModelError naming the first file that is missing or differs.
    """
    entry, root = student.entry, student.root
    if entry is None or root is None:
        return
    for record in entry.files.values():
        path = root / record.path
        fix = f"install restorect again, or fetch the model: {fetch_command(entry.name)} --force"
        try:
            found = record_of(path, root)
        except OSError as error:
            raise ModelError(f"{path} cannot be read ({error.strerror})", fix) from error
        if found != record:
            what = (
                f"{found.bytes} bytes instead of {record.bytes}" if found.bytes != record.bytes else "SHA-256 differs"
            )
            raise ModelError(f"{path} is damaged ({what})", fix)


def register(folder: Path, quality: Iterable[Quality | dict[str, object]] = ()) -> ManifestEntry:
    """Write the manifest row of an exported model's folder, and return it.

    folder: holds prior.onnx and velocity.onnx, perhaps velocity.int8.onnx and card.md, and has the model's name;
    the manifest is the one beside it and is created if needed. The description comes from the ONNX metadata. An
    older row of the same name is replaced.

    Raises ModelError if a graph is missing or the graphs and the folder's name disagree, OutputError if the manifest
    cannot be written.
    """
    folder = folder.resolve()
    student = _from_folder(folder)
    if student.spec.name != folder.name:
        raise ModelError(f"{folder} holds '{student.spec.name}'", f"rename the folder to {student.spec.name}")
    present = {role: folder / name for role, name in FILE_NAMES.items() if (folder / name).is_file()}
    entry = ManifestEntry(
        **student.spec.model_dump(),
        files={role: record_of(path, folder.parent) for role, path in present.items()},
        quality=tuple(Quality.model_validate(row) for row in quality),
    )
    write_manifest(load_manifest(folder.parent).with_entry(entry), folder.parent)
    return entry


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Replace the manifest in one step, so a reader never sees half of it. Raises OutputError, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / MANIFEST, manifest.to_json().encode())


def record_of(path: Path, root: Path) -> FileRecord:
    """Size and SHA-256 of a file, its path relative to `root`; raises OSError."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return FileRecord(path=path.relative_to(root).as_posix(), sha256=digest.hexdigest(), bytes=size)


def _full_name(task: str | None, model: str) -> str:
    if model not in SIZES:
        return model
    if task is None:
        raise UsageError(f"model '{model}' is a size and needs a task", f"add --task {'|'.join(TASKS)}")
    return f"{task}-{model}"


def _by_name(name: str) -> InstalledModel:
    """The model of that full name. Raises ModelError or UsageError, which say why it is missing."""
    here = {student.spec.name: student for student in installed()}
    if name in here:
        return here[name]
    with_weights = ", ".join(here) or "none"
    if name in known():
        raise ModelError(f"the files of model '{name}' are not here", f"fetch them: {fetch_command(name)}")
    if name in {f"{task}-{size}" for task in TASKS for size in SIZES}:
        fix = f"installed: {with_weights}; if a repository has it, {fetch_command(name)}"
        raise ModelError(f"there is no model '{name}' yet", fix)
    sizes = ", ".join(dict.fromkeys(student.spec.size for student in here.values())) or "none here"
    fix = f"choose a size ({sizes}), a name ({with_weights}) or a folder (written ./{name})"
    raise UsageError(f"unknown model '{name}'", fix)


def _students(root: Path, manifest: Manifest, origin: Origin) -> list[InstalledModel]:
    """The manifest's models whose folder is here; the rest can still be fetched."""

    def path_of(entry: ManifestEntry, role: Role) -> Path | None:
        return root / entry.files[role].path if role in entry.files else None

    return [
        InstalledModel(
            spec=entry.spec,
            prior=root / entry.files["prior"].path,
            velocity=root / entry.files["velocity"].path,
            velocity_int8=path_of(entry, "velocity-int8"),
            origin=origin,
            card=path_of(entry, "card"),
            entry=entry,
            root=root,
        )
        for entry in manifest.students
        if os.path.isdir((root / entry.files["velocity"].path).parent)  # Path.is_dir raises if it has no permission
    ]


def _from_folder(folder: Path) -> InstalledModel:
    """A model without a manifest, described by its graphs."""
    if not folder.is_dir():
        raise ModelError(f"model folder {folder} is not there")
    paths = {role: folder / name for role, name in FILE_NAMES.items()}
    spec = parse_spec(read_metadata(paths["velocity"]), str(paths["velocity"]))
    prior_metadata = read_metadata(paths["prior"])
    if METADATA_KEY in prior_metadata and parse_spec(prior_metadata, str(paths["prior"])) != spec:
        raise ModelError(f"the two graphs in {folder} belong to different models")
    int8, card = paths["velocity-int8"], paths["card"]
    return InstalledModel(
        spec=spec,
        prior=paths["prior"],
        velocity=paths["velocity"],
        velocity_int8=int8 if int8.is_file() else None,
        origin="folder",
        card=card if card.is_file() else None,
    )

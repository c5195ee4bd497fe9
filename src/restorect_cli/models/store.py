"""Finds students on disk and proves that their files are whole.

Two places are looked at: the weights that came with the package (`weights_dir`) and what
`restorect models pull` fetched (`cache_dir() / "weights"`). Each holds one `manifest.json` and one folder
per student. Of two students with one name the higher version counts, and a fetched one at a tie.
A third kind is a folder of one's own holding `prior.onnx` and `velocity.onnx`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
class Student:
    """A student whose files are on this machine."""

    spec: StudentSpec
    prior: Path
    velocity: Path
    velocity_int8: Path | None
    origin: Origin
    card: Path | None = None
    entry: ManifestEntry | None = None  # None for a folder of one's own: it has no hashes to check
    root: Path | None = None  # what the paths in `entry` are relative to

    @property
    def folder(self) -> Path:
        return self.velocity.parent


def weights_dir() -> Path:
    """Folder of the weights that came with the package; RESTORECT_WEIGHTS names another one."""
    named = os.environ.get("RESTORECT_WEIGHTS")
    if named:
        return Path(named)
    package = Path(__file__).resolve().parents[1]
    installed = package / "weights"
    return installed if installed.is_dir() else package.parents[1] / "weights"  # src/restorect_cli → checkout


def cache_dir() -> Path:
    """Folder for fetched students: RESTORECT_HOME, else the platform's cache. Not created by asking.

    Raises ModelError where no variable names one and the user has no home.
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
        raise ModelError("this user has no home for fetched students", "set RESTORECT_HOME to a folder") from error


def pulled_dir() -> Path:
    """Folder of the fetched students and their manifest, inside `cache_dir`."""
    return cache_dir() / "weights"


def load_manifest(folder: Path | None = None) -> Manifest:
    """The manifest in `folder` (default: the shipped weights); empty when there is none yet.

    Raises ModelError for a damaged one, and when RESTORECT_WEIGHTS names a folder without one.
    """
    path = (weights_dir() if folder is None else folder) / MANIFEST
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if folder is None and os.environ.get("RESTORECT_WEIGHTS"):
            fix = "set RESTORECT_WEIGHTS to a folder of students, or unset it"
            raise ModelError(f"RESTORECT_WEIGHTS: {path} is not there", fix) from None
        return Manifest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    return parse_manifest(text, str(path))


def installed() -> list[Student]:
    """Every student whose files are here, by name; of equal names the one that `find` would use.

    A cache that cannot be read counts as empty: the shipped students do not need it. `cache_problem` tells.
    """
    best: dict[str, Student] = {}
    students = _students(weights_dir(), load_manifest(), "shipped")
    with contextlib.suppress(ModelError):
        students += _students(pulled_dir(), load_manifest(pulled_dir()), "pulled")
    for student in students:
        other = best.get(student.spec.name)
        if other is None or int(student.spec.version) >= int(other.spec.version):
            best[student.spec.name] = student
    return [best[name] for name in sorted(best)]


def cache_problem() -> ModelError | None:
    """Why the fetched students cannot be read, and the fix; None where they can, or where there are none."""
    try:
        load_manifest(pulled_dir())
    except ModelError as error:
        fix = "fetch anew with restorect models pull NAME, or set RESTORECT_HOME to a folder of yours"
        return ModelError(error.problem, error.fix or fix)
    return None


def known() -> dict[str, ManifestEntry]:
    """Every student named by a manifest on this machine, here or still to be fetched."""
    entries = {entry.name: entry for entry in load_manifest().students}
    for student in installed():
        if student.entry is not None:
            entries[student.spec.name] = student.entry
    return dict(sorted(entries.items()))


def find(task: str | None, model: str | os.PathLike[str] = "s", *, check: bool = True) -> Student:
    """The student for `task`; its files are hashed first unless `check` is false.

    model: a size ("s", "m"), a full name ("denoise-s") or a folder with prior.onnx and velocity.onnx, written
    with a separator ("./denoise-s") or given as a Path: a bare word is a name, whatever lies in the working
    directory. With a name or a folder `task` may be None. Raises UsageError for an unknown task or model or one
    made for another task, ModelError when its files are missing or damaged.
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


def as_model(folder: Path) -> str:
    """`folder` as `find` takes it for one, quoted for a shell: written bare, it would be the name of a student."""
    text = str(folder)
    if "/" not in text and os.sep not in text:
        text = f".{os.sep}{text}"
    if sys.platform == "win32":
        from subprocess import list2cmdline

        return list2cmdline([text])
    return shlex.quote(text)


def verify_student(student: Student) -> None:
    """`verify` for a student already found; one without a manifest row has no hashes and passes."""
    if student.entry is not None and student.root is not None:
        verify(student.entry, student.root)


def verify(entry: ManifestEntry, root: Path) -> None:
    """Compare every file of the student, under the manifest's folder `root`, with size and SHA-256.

    Raises ModelError naming the first file that is missing or differs.
    """
    for record in entry.files.values():
        path = root / record.path
        fix = f"fetch it again: restorect models pull {entry.name} --force"
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
    """Write the manifest row of an exported student folder, and return it.

    folder: holds prior.onnx and velocity.onnx, perhaps velocity.int8.onnx and card.md, and is named
    like the student; the manifest is the one beside it and is created if need be. The description
    comes from the ONNX metadata. An older row of the same name is replaced. Raises ModelError when
    a graph is missing, or the graphs and the folder do not agree on what they are.
    """
    folder = folder.resolve()
    student = _from_folder(folder)
    if student.spec.name != folder.name:
        raise ModelError(f"{folder} holds '{student.spec.name}'", "name the folder like the student")
    present = {role: folder / name for role, name in FILE_NAMES.items() if (folder / name).is_file()}
    entry = ManifestEntry(
        **student.spec.model_dump(),
        files={role: record_of(path, folder.parent) for role, path in present.items()},
        quality=tuple(Quality.model_validate(row) for row in quality),
    )
    write_manifest(load_manifest(folder.parent).with_entry(entry), folder.parent)
    return entry


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Replace the manifest in one step, so that a reader never sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{MANIFEST}.{os.getpid()}"
    try:
        temporary.write_text(manifest.to_json(), encoding="utf-8")
        os.replace(temporary, folder / MANIFEST)
    finally:
        temporary.unlink(missing_ok=True)


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


def _by_name(name: str) -> Student:
    """The student of that full name, or the one line that says why there is none."""
    here = {student.spec.name: student for student in installed()}
    if name in here:
        return here[name]
    with_weights = ", ".join(here) or "none"
    if name in known():
        raise ModelError(f"the files of student '{name}' are not here", f"fetch them: restorect models pull {name}")
    if name in {f"{task}-{size}" for task in TASKS for size in SIZES}:
        fix = (
            f"students here: {with_weights}; a newer version of restorect may bring it, or restorect models pull {name}"
        )
        raise ModelError(f"there is no student '{name}' yet", fix)
    sizes = ", ".join(dict.fromkeys(student.spec.size for student in here.values())) or "none here"
    fix = f"choose a size ({sizes}), a student ({with_weights}) or a folder (written ./{name})"
    raise UsageError(f"unknown model '{name}'", fix)


def _students(root: Path, manifest: Manifest, origin: Origin) -> list[Student]:
    """The manifest's students whose folder holds their graphs; the rest can still be fetched."""

    def path_of(entry: ManifestEntry, role: Role) -> Path | None:
        return root / entry.files[role].path if role in entry.files else None

    return [
        Student(
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
        if os.path.isdir((root / entry.files["velocity"].path).parent)  # Path.is_dir raises where it may not look
    ]


def _from_folder(folder: Path) -> Student:
    """A student without a manifest: its description is read from its graphs."""
    if not folder.is_dir():
        raise ModelError(f"model folder {folder} is not there")
    paths = {role: folder / name for role, name in FILE_NAMES.items()}
    spec = parse_spec(read_metadata(paths["velocity"]), str(paths["velocity"]))
    prior_metadata = read_metadata(paths["prior"])
    if METADATA_KEY in prior_metadata and parse_spec(prior_metadata, str(paths["prior"])) != spec:
        raise ModelError(f"the two graphs in {folder} belong to different students")
    int8, card = paths["velocity-int8"], paths["card"]
    return Student(
        spec=spec,
        prior=paths["prior"],
        velocity=paths["velocity"],
        velocity_int8=int8 if int8.is_file() else None,
        origin="folder",
        card=card if card.is_file() else None,
    )

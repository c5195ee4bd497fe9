"""The facts about a model: the rows of `weights/manifest.json` and of ONNX metadata.

The same `StudentSpec` is in the manifest and, as JSON under the key `restorect`, inside both ONNX files of a model, so
a weight file explains itself without its manifest.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..errors import ModelError
from ..names import Task

METADATA_KEY = "restorect"  # of the ONNX custom metadata map

Role = Literal["prior", "velocity", "velocity-int8", "card"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]


class _Row(BaseModel):
    """Frozen; a misspelt field is an error, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StudentSpec(_Row):
    """What is needed to run a model, and where it comes from."""

    name: Name  # "denoise-s": the task and the size
    task: Task
    size: Literal["s", "m", "tiny"]
    version: Annotated[str, Field(pattern=r"^[0-9]+$")] = "1"  # rises when the weights change
    target: Literal["cumulative", "velocity"] = "cumulative"  # what the velocity graph predicts: x_t − x, or y − x
    grid: Literal["hand-set", "uniform"] = "hand-set"  # time grid it was trained for
    default_steps: Annotated[int, Field(ge=1, le=4)] = 1
    max_steps: Annotated[int, Field(ge=1, le=4)] = 4
    size_multiple: Annotated[int, Field(ge=1, le=64)] = 8  # height and width of a tile are multiples of this
    halo_px: Annotated[int, Field(ge=0, le=4096)]  # receptive radius of one step, rounded up
    latent_dim: Annotated[int, Field(ge=1, le=65536)]  # length of z
    parameters: Annotated[int, Field(ge=0)]  # of both graphs together
    licence: str  # SPDX name of the weights' licence
    training_data: str  # one sentence: what it learned from

    @model_validator(mode="after")
    def _steps_fit(self) -> StudentSpec:
        if self.default_steps > self.max_steps:
            raise ValueError(f"default_steps {self.default_steps} is more than max_steps {self.max_steps}")
        return self


class FileRecord(_Row):
    """One file of a model; `path` is relative to the manifest's folder, with forward slashes."""

    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        """A manifest fetched from elsewhere must not name a file outside its folder."""
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\\" in path or ":" in path or "\0" in path:
            raise ValueError(f"path {path!r} leaves the folder of the manifest")
        return path


class Quality(_Row):
    """One measured number, and the command that measures it."""

    dataset: str  # "CBSD68-34"
    protocol: str  # "sigma 25, unclipped, seeded"
    measure: str  # "RGB PSNR [dB]"
    value: float
    command: str = ""  # what printed it


class ManifestEntry(StudentSpec):
    """A model with its files and its measured quality."""

    files: dict[Role, FileRecord]
    quality: tuple[Quality, ...] = ()

    @model_validator(mode="after")
    def _has_both_graphs(self) -> ManifestEntry:
        missing = {"prior", "velocity"} - set(self.files)
        if missing:
            raise ValueError(f"model {self.name} lists no {' and no '.join(sorted(missing))} file")
        return self

    @property
    def spec(self) -> StudentSpec:
        """The part of the row that is also in the ONNX metadata."""
        return StudentSpec(**{name: getattr(self, name) for name in StudentSpec.model_fields})

    @property
    def total_bytes(self) -> int:
        return sum(record.bytes for record in self.files.values())


class Manifest(_Row):
    """The table of models, `manifest.json`."""

    format: Literal[1] = 1
    repository: str | None = None  # Hugging Face "owner/name" that `models pull` uses by default
    students: tuple[ManifestEntry, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Manifest:
        names = [student.name for student in self.students]
        if len(set(names)) != len(names):
            raise ValueError("two models have the same name")
        return self

    def get(self, name: str) -> ManifestEntry | None:
        return next((student for student in self.students if student.name == name), None)

    def with_entry(self, entry: ManifestEntry) -> Manifest:
        """This table with `entry` added or replacing the model of the same name; sorted by name."""
        others = [student for student in self.students if student.name != entry.name]
        students = tuple(sorted([*others, entry], key=lambda student: student.name))
        return self.model_copy(update={"students": students})

    def to_json(self) -> str:
        return self.model_dump_json(indent=2) + "\n"


def parse_manifest(text: str | bytes, origin: str) -> Manifest:
    """Raises ModelError, naming `origin`, for anything that is not a manifest of format 1."""
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ModelError(f"{origin} is not a manifest that this version can read ({first_problem(error)})") from error


def parse_spec(metadata: dict[str, str], origin: str) -> StudentSpec:
    """The spec in an ONNX file's metadata. Raises ModelError, naming `origin`, if there is none."""
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise ModelError(f"{origin} is not a restorect model", "its ONNX metadata has no 'restorect' entry")
    try:
        return StudentSpec.model_validate_json(text)
    except ValidationError as error:
        raise ModelError(
            f"{origin} holds a description that this version cannot read ({first_problem(error)})"
        ) from error


def first_problem(error: ValidationError) -> str:
    """The first thing pydantic found wrong, short enough for one line."""
    details: Any = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in details["loc"])
    return f"{place}: {details['msg']}" if place else str(details["msg"])

"""Who labels: an ONNX file, a command, our own model, or a checkpoint that spandrel knows.

teacher = open_teacher("maxim.onnx")                      NCHW or NHWC, fixed or free size, found out
teacher = open_teacher("derainer {in} {out}")             a program that reads and writes PNG
teacher = open_teacher("self", task="derain")             the median of our own model over mirrored copies
teacher = open_teacher("net.pth")                         needs the extra `spandrel`
label = teacher(image)                                    (H,W,3) float32 in [0, 1] to the same shape
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ..engine.source import Image
from ..errors import InputError, UsageError
from ..extras import how_to_install
from ..names import DeviceName

OWN = "self"
ORDERS = ("nchw", "nhwc")
RANGES = ("0..1", "-1..1", "0..255")
TILE_PX = 1024
CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors", ".bin", ".pkl", ".pickle")

FOREIGN = (".onnx", *(suffix for suffix in CHECKPOINTS if suffix not in (".pt", ".safetensors")))  # those are runs' too

Order = Literal["nchw", "nhwc"]
ValueRange = Literal["0..1", "-1..1", "0..255"]


class Teacher(Protocol):
    """A picture (H,W,3) float32 RGB in [0, 1] to a label of the same shape, in [0, 1], all numbers finite.

    Raises InputError for a picture that it fails on; others may still succeed.
    """

    @property
    def name(self) -> str:
        """As `source.json` names it: a file name without its folder, the command, or one of our models."""
        ...

    @property
    def sha256(self) -> str | None:
        """Of the file; None for a command, whose files are not known."""
        ...

    @property
    def facts(self) -> Mapping[str, object]:
        """How it is called: what was found out and what was overridden."""
        ...

    def __call__(self, image: Image) -> Image: ...


@dataclass(frozen=True)
class TeacherOptions:
    """What a user may override of what is found out; None leaves it to that.

    order, values, multiple, output: of an ONNX file: where its colours are, what white is, what its sides must be a
    multiple of, which of its outputs is the picture.
    tile_px: side above which a network of free size gets windows; one of a fixed size always does.
    one_light: whether windows are brought under the light that the network gives the whole picture: for low light.
    """

    order: Order | None = None
    values: ValueRange | None = None
    multiple: int | None = None
    output: str | None = None
    tile_px: int = TILE_PX
    one_light: bool = False
    device: DeviceName = "auto"
    threads: int | None = None


def open_teacher(
    named: str, options: TeacherOptions | None = None, *, task: str | None = None, model: str = "s"
) -> Teacher:
    """The teacher called `named`, tried once; `task` and `model` are for our own.

    Raises UsageError or InputError, on one line, for what is not one picture in, one of the same size out.
    """
    options = options or TeacherOptions()
    if named == OWN:
        if task is None:
            raise UsageError("--teacher self needs a task", "say --task")
        from .own import OwnTeacher

        return OwnTeacher(task, model, options)
    if "{in}" in named or "{out}" in named:
        return _command(named, options)
    path = Path(named)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise UsageError(
            f"teacher {named} {what}", "name an ONNX file, a command 'prog {in} {out}', a checkpoint, or self"
        )
    if path.suffix.lower() in CHECKPOINTS or is_pickle(path):
        return _checkpoint(path, options)
    from .onnx_teacher import OnnxTeacher

    return OnnxTeacher(path, options)


def is_foreign(named: str) -> bool:
    """Whether it can only show pictures: `distill` takes a run of ours for a teacher with features too."""
    return named == OWN or "{in}" in named or "{out}" in named or Path(named).suffix.lower() in FOREIGN


class CommandTeacher:
    """A program, started once for each picture."""

    def __init__(self, template: str, threads: int) -> None:
        from ..programs import Program

        self.name, self.sha256, self.facts = without_folders(template), None, {"kind": "command"}
        self._program = Program("the teacher", template, threads)

    def __call__(self, image: Image) -> Image:
        return self._program(image)


def _command(template: str, options: TeacherOptions) -> CommandTeacher:
    from ..engine.runtime import threads_to_run

    for place in ("{in}", "{out}"):
        if place not in template:
            raise UsageError(f"the command '{template}' has no {place}", "write it as 'prog {in} {out}'")
    return CommandTeacher(template, threads_to_run(options.threads))


def _checkpoint(path: Path, options: TeacherOptions) -> Teacher:
    from importlib.util import find_spec

    if find_spec("spandrel") is None:
        kind = "a pickle" if is_pickle(path) else "a checkpoint"
        raise UsageError(
            f"teacher {path} is {kind}, not an ONNX file",
            f"export it to ONNX, or, to read known networks, {how_to_install('spandrel')}",
        )
    from .checkpoint_teacher import CheckpointTeacher

    return CheckpointTeacher(path, options)


def is_pickle(path: Path) -> bool:
    """Whether the file begins as Python's pickles do, bare or in PyTorch's ZIP; a pickle runs code when it is opened.

    Raises InputError where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(2)
    except OSError as error:
        raise InputError(f"cannot read teacher {path}", error.strerror or str(error)) from None
    return head == b"PK" or (head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"))


def file_digest(path: Path) -> str:
    """SHA-256 in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def without_folders(command: str) -> str:
    """A command as it may be passed on: of paths in it the last part alone, since folders are the machine's own."""
    return re.sub(rf"[^\s'\"=]*{re.escape(os.sep)}([^\s'\"{re.escape(os.sep)}]+)", r"\1", command)

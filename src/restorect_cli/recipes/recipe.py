"""Recipes: everything that decides a training run except the machine, as a TOML file.

A run worth shipping is one recipe and one data folder, so that anyone can repeat it. Unknown keys
are errors: a typing mistake must not silently train something else.
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import InputError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Degradation = Literal[
    "pair",  # the folder holds pairs; the rest degrade photographs: degrade/table.py
    "gaussian",
    "gaussian-clipped",
    "camera",
    "darkness",
    "rain-light",
    "rain-heavy",
    "rain-layers",
    "raindrop",
    "none",
]


CONFIG = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SourceRecipe(BaseModel):
    """One stream of training pairs; `weight` is its share of the samples."""

    model_config = CONFIG

    folder: str  # below the data folder: photographs, or pairs in input/ and target/
    degrade: Degradation
    weight: float = Field(gt=0)
    layers: str | None = None  # rain: folder of streak pictures; rain-layers: folder of pairs whose difference is rain
    match_exposure: bool = False  # pairs: fit a gain and an offset per colour of the target to the input first

    @model_validator(mode="after")
    def _layers_are_named(self) -> SourceRecipe:
        if self.degrade == "rain-layers" and self.layers is None:
            raise ValueError("rain-layers needs `layers`, a folder of rainy and clean pairs")
        return self


class DistillRecipe(BaseModel):
    """What a student learns from a teacher (training/stages/distillation.py); a weight of 0 leaves a term out."""

    model_config = CONFIG

    teacher: Literal["teacher-tiny", "teacher-small", "teacher-paper"] | None = None  # None: as its file says
    first_phase: float = Field(0.15, ge=0, lt=1)  # share of the run, at its start, in which only the prior learns
    latent: Literal["flow", "off"] = "flow"  # whether the prior generates the teacher's vectors
    vector_weight: float = Field(1.0, ge=0)  # of the difference between generated and teacher's vectors
    velocity_weight: float = Field(0.1, ge=0)  # of the velocity on the latent path
    maps: Literal["flex", "static"] = "flex"  # how decoder maps are compared; static is the rival
    maps_weight: float = Field(0.1, ge=0)
    output_weight: float = Field(0.5, ge=0)  # of the difference from the teacher's picture


class Recipe(BaseModel):
    """What is trained, on what, for how long."""

    model_config = CONFIG

    # what
    task: Literal["low-light", "derain", "denoise", "raindrop"]
    net: Literal["s", "m", "tiny", "teacher-tiny", "teacher-small", "teacher-paper"] = "s"
    context: int = Field(0, ge=0)  # inner channels of a student's dilated block, with which it sees farther; 0: none
    target: Literal["cumulative", "velocity"] = "cumulative"  # velocity: ordinary rectified flow, a baseline
    grid: Literal["hand-set", "uniform"] = "hand-set"  # time grid of several steps, in use and in roll-outs
    # on what
    source: tuple[SourceRecipe, ...] = Field(min_length=1)
    crop_px: int = Field(96, ge=16, multiple_of=8)
    batch: int = Field(16, ge=1)
    # how
    iterations: int = Field(ge=1)
    init_from: str | None = Field(None, exclude=True)  # recipe whose weights --init should name; no part of the record
    optimiser: Literal["muon", "adamw"] = "muon"
    learning_rate: float = Field(1e-3, gt=0)
    warmup: int = Field(300, ge=0)
    loss: Literal["l1", "l2"] = "l1"
    final_l2: float = Field(0.0, ge=0, le=1)  # share of the run, at its end, trained with l2: PSNR measures squares
    detail_weight: float = Field(0.0, ge=0)  # of the error of neighbours' differences, for low light
    start_share: float = Field(0.5, ge=0, le=1)  # share of samples at t = 1, where one step stands; 1: a one-step net
    ema: float = Field(0.999, ge=0, lt=1)
    gradient_clip: float = Field(1.0, gt=0)
    seed: int = Field(0, ge=0)
    # multi-step consistency (training/stages/consistency.py says what the forms are)
    consistency: Literal["off", "inert", "full", "cheap"] = "off"
    consistency_weight: float = Field(0.3, ge=0)
    consistency_steps: tuple[Annotated[int, Field(ge=2, le=10)], ...] = Field((2, 3, 4), min_length=1)
    consistency_share: float = Field(0.5, gt=0, le=1)  # share of a batch that is rolled out
    # a teacher (training/stages/teaching.py)
    oracle_share: float = Field(0.7, ge=0, le=1)  # share of samples whose encoders see the truth
    hvi_weight: float = Field(0.05, ge=0)  # of the colour loss
    # from a teacher
    distill: DistillRecipe | None = None
    # when to look
    validate_every: int = Field(2000, ge=1)
    log_every: int = Field(100, ge=1)

    @model_validator(mode="after")
    def _net_has_what_is_asked(self) -> Recipe:
        if self.distill is not None and self.net.startswith("teacher"):
            raise ValueError("only a student learns from a teacher: `net` must be s, m or tiny")
        # By value, not by presence: the record of a run names every key.
        ignored = [key for key, default in _foreign(self.net).items() if getattr(self, key) != default]
        if ignored:
            kind = "a teacher" if self.net.startswith("teacher") else "a student"
            raise ValueError(f"{kind} is not trained by {', '.join(ignored)}: leave it out")
        return self

    def with_net(self, net: str) -> Recipe:
        """The recipe for another net; what that one is not trained by goes back to its default."""
        return self.model_copy(update={**_foreign(net), "net": net})


STUDENTS_OWN = (
    "context",
    "target",
    "grid",
    "loss",
    "final_l2",
    "detail_weight",
    "start_share",
    "consistency",
    "consistency_weight",
    "consistency_steps",
    "consistency_share",
    "distill",
)
TEACHERS_OWN = ("oracle_share", "hvi_weight")


def _foreign(net: str) -> dict[str, object]:
    """The keys that only nets of the other kind heed, and their defaults."""
    keys = STUDENTS_OWN if net.startswith("teacher") else TEACHERS_OWN
    return {key: Recipe.model_fields[key].default for key in keys}


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe by the name of a shipped one (`denoise-s`) or by path.

    Raises UsageError for an unknown name or key, InputError for an unreadable file.
    """
    shipped = resources.files(__package__) / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if shipped.is_file():
        text = shipped.read_text(encoding="utf-8")
    elif path.suffix == ".toml":
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read recipe {path}", str(error)) from error
    else:
        raise UsageError(
            f"unknown recipe {name_or_path!r}", f"name one of {', '.join(shipped_recipes())} or a .toml file"
        )
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"recipe {name_or_path} is not valid TOML", str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        key = f", key {where!r}" if where else ""  # what keys say together is at none of them
        raise UsageError(f"recipe {name_or_path}{key}", first["msg"].removeprefix("Value error, ")) from error


def shipped_recipes() -> list[str]:
    """Names of the recipes in the package."""
    folder = resources.files(__package__)
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))

"""Stage II: a student learns from a teacher that saw the truth (RestoRect, arXiv 2509.23480).

    vector      the prior generates the teacher's vectors by its latent flow; gradient through all of its steps
    velocity    the same flow's velocity on the straight path from noise to the teacher's vectors
    maps        decoder maps at 1/4 and 1/2 of the resolution are pulled to the teacher's, where both nets look at the
                same picture, which is at t = 1
    output      the displacement is pulled to the one that the teacher's picture implies
    flow, consistency    as without a teacher (ir_flow.py)

In the first phase only the prior learns, from the first two: the velocity net need not follow vectors that still move.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from ...errors import InputError, UsageError
from ...recipes.recipe import DistillRecipe, Recipe
from ..checkpoint import read_averages, read_recipe, reason
from ..losses.flex import Adapters, flex, matched, over_layers
from ..losses.latent import vector_errors, velocity_errors
from ..nets.latent import LatentFlow
from ..nets.student import Student
from ..nets.teacher import TEACHERS, Teacher
from ..ranks import Ranks
from .ir_flow import Objective, draw, flow_target, path_point, sample_errors
from .stage import Tensors, shown_to_encoders

_Found = TypeVar("_Found")


class Distillation(Objective):
    """A student with the losses of both papers; the teacher is frozen."""

    def __init__(self, student: Student, teacher: Teacher, recipe: Recipe, ranks: Ranks) -> None:
        super().__init__(student, recipe, ranks)
        if recipe.distill is None:
            raise ValueError("the recipe has no [distill] table")
        self.distill: DistillRecipe = recipe.distill
        self.teacher = teacher.requires_grad_(False).eval()
        self.origin = digest(teacher.state_dict())
        w, d = student.shape.width, teacher.shape.width
        self.aside = Adapters((2 * w, w), (4 * d, 2 * d)) if self.distill.maps_weight else nn.Module()
        self.weights = {
            **self.weights,
            "output": self.distill.output_weight,
            "maps": self.distill.maps_weight,
            "vector": self.distill.vector_weight,
            "velocity": self.distill.velocity_weight,
        }
        generates = self.distill.vector_weight or self.distill.velocity_weight
        self.flow = student.prior.flow if generates else None
        self.asks = self.flow is not None or self.distill.maps_weight > 0 or self.distill.output_weight > 0
        most = recipe.iterations - 1  # rounded up, it could take the whole of a short run
        self.first_phase = 0 if self.flow is None else min(most, round(recipe.iterations * self.distill.first_phase))
        self.partial = self.first_phase > 0

    def forward(self, batch: Tensors, iteration: int) -> dict[str, Tensor]:
        if not self.asks:
            return super().forward(batch, iteration)
        vectors = self._vectors(batch)
        latent: dict[str, Tensor] = {}
        condition = self.student.prior.condition(batch.thumb, batch.statistics)
        if self.flow is not None:
            latent = self._latent(self.flow, condition, torch.cat(vectors, dim=1), iteration)
        if iteration < self.first_phase:
            return latent
        draws = draw(self.recipe, iteration)
        t = self.ranks.share(draws.t).to(batch.y.device)
        z = self.student.prior.latent(condition)
        prediction, maps = self.student.velocity.evaluate(path_point(batch.y, batch.x, t), t, z)
        terms = self.terms(batch, iteration, draws, t, z, prediction)
        return terms | self._shown(batch, vectors, t, prediction, maps) | latent

    @torch.no_grad()
    def _vectors(self, batch: Tensors) -> tuple[Tensor, Tensor]:
        vectors: tuple[Tensor, Tensor] = self.teacher.encode(*shown_to_encoders(batch, self.recipe.task))
        return vectors

    def _latent(self, flow: LatentFlow, condition: Tensor, wanted: Tensor, iteration: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + iteration + 500_000)
        size = (self.recipe.batch, wanted.shape[1])
        noise = self.ranks.share(torch.randn(size, generator=generator)).to(wanted.device)
        t = self.ranks.share(torch.rand(self.recipe.batch, generator=generator)).to(wanted.device)
        return {
            "vector": vector_errors(flow(condition), wanted).sum() / self.recipe.batch,
            "velocity": velocity_errors(flow, condition, wanted, noise, t).sum() / self.recipe.batch,
        }

    def _shown(
        self,
        batch: Tensors,
        vectors: tuple[Tensor, Tensor],
        t: Tensor,
        prediction: Tensor,
        maps: tuple[Tensor, Tensor],
    ) -> dict[str, Tensor]:
        """What the teacher's transformer shows; of it only as much is computed as is asked for."""
        terms: dict[str, Tensor] = {}
        same = t == 1  # both nets look at the same picture
        wanted_maps: tuple[Tensor, ...] = ()
        with torch.no_grad():
            if self.distill.output_weight:
                shown = self.teacher.transformer(batch.y, *vectors)
                wanted_maps = tuple(m[same] for m in shown.maps[:2])
            elif self.distill.maps_weight and bool(same.any()):
                wanted_maps = self.teacher.transformer.decoder_maps(batch.y[same], vectors[1][same])[:2]
        if self.distill.output_weight:
            wanted = flow_target(batch.y, shown.restored, t, self.recipe.target)
            terms["output"] = sample_errors(prediction, wanted, "l1").sum() / self.recipe.batch
        if self.distill.maps_weight:
            own_maps: list[Tensor] = self.aside([m[same] for m in maps])
            terms["maps"] = self._map_error(wanted_maps, own_maps) / self.recipe.batch
        return terms

    def _map_error(self, wanted: tuple[Tensor, ...], own: list[Tensor]) -> Tensor:
        """Sum over the samples; of none it is zero, with the gradient that DistributedDataParallel waits for."""
        if len(own[0]) == 0:
            return torch.stack([m.sum() for m in own]).sum()
        return over_layers(flex if self.distill.maps == "flex" else matched, wanted, own).sum()


def digest(weights: Mapping[str, Tensor]) -> str:
    """Short name of a net's weights: the same for the same names and bytes, whichever file held them."""
    sha = hashlib.sha256()
    for name in sorted(weights):
        sha.update(name.encode())
        sha.update(weights[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:16]


def load_teacher(path: Path, recipe: Recipe) -> Teacher:
    """The averaged weights of a teacher, from its run's folder, or the ema.safetensors or checkpoint.pt in it.

    Raises InputError for a file that holds none, UsageError for one of another size or task than `recipe` asks for.
    """
    taught, weights = _found(read_averages, path)
    _need_fitting(taught, recipe, path)
    teacher = Teacher(TEACHERS[taught.net])
    try:
        teacher.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{path} does not hold the weights of a {taught.net}", "train the teacher again") from error
    return teacher


def naming_its_teacher(recipe: Recipe, path: Path) -> Recipe:
    """The recipe as one that distils, from a teacher of the size that `path` holds; raises as `load_teacher`.

    A recipe without a [distill] table gets the default weights.
    """
    if recipe.net in TEACHERS:
        raise UsageError(
            f"the recipe trains a {recipe.net}, and only a student learns from a teacher", "change its net"
        )
    taught = _found(read_recipe, path)
    _need_fitting(taught, recipe, path)
    own = {} if recipe.distill is None else recipe.distill.model_dump()
    distill = DistillRecipe.model_validate({**own, "teacher": taught.net})
    return recipe.model_copy(update={"distill": distill})


def task_of(path: Path) -> str:
    """The task that a teacher was taught; InputError for a file that holds no net."""
    return _found(read_recipe, path).task


def _need_fitting(taught: Recipe, recipe: Recipe, path: Path) -> None:
    wanted = None if recipe.distill is None else recipe.distill.teacher
    if taught.net not in TEACHERS or wanted not in (None, taught.net):
        found = taught.net if taught.net in TEACHERS else f"a student of size {taught.net}"
        raise UsageError(
            f"{path} holds {found}, not {wanted or 'a teacher'}", "the recipe's [distill] names the teacher"
        )
    if taught.task != recipe.task:
        raise UsageError(f"{path} was taught {taught.task}, not {recipe.task}", "train a teacher on the student's task")


def _found(read: Callable[[Path], _Found], path: Path) -> _Found:
    """What `read` finds in a file of a run, or in the folder of one."""
    try:
        return read(path / "ema.safetensors" if path.is_dir() else path)
    except Exception as error:
        raise InputError(
            f"{path} holds no teacher", f"name the ema.safetensors of a teacher's run ({reason(error)})"
        ) from error

"""Stage I: trains a teacher that sees the truth (RestoRect, arXiv 2509.23480).

Its encoders turn the degraded and the clean picture (`stage.shown_to_encoders`) into priors; a share of the samples
gets the degraded picture in place of the clean one, so that the teacher can also be asked, and measured, without the
truth. The decomposition nets learn in the same run, from their own loss alone, which nothing else reaches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...recipes.recipe import Recipe
from ..losses.hvi import hvi_errors
from ..losses.retinex import decomposition_errors
from ..nets.retinex import recombined
from ..nets.teacher import Teacher
from ..ranks import Ranks
from .ir_flow import sample_errors
from .stage import Stage, Tensors, shown_to_encoders

WITH_TRUTH = "with the truth"


class Teaching(Stage):
    """A teacher with its losses."""

    def __init__(self, teacher: Teacher, recipe: Recipe, ranks: Ranks) -> None:
        super().__init__()
        self.net = self.teacher = teacher
        self.recipe, self.ranks = recipe, ranks
        self.weights = {"output": 1.0, "inner": 1.0, "hvi": recipe.hvi_weight, "retinex": 1.0}

    def forward(self, batch: Tensors, iteration: int) -> dict[str, Tensor]:
        y, x = batch.y, batch.x
        told = self._told(iteration).to(y.device)[:, None, None, None]
        degraded, clean = shown_to_encoders(batch, self.recipe.task)
        pass_ = self.teacher(y, degraded, torch.where(told, clean, degraded))
        high = self.teacher.high(x)
        inner = self.teacher.transformer.inner
        of_clean = (inner(pass_.features_clean).float() - high.detach().float()).abs().mean(dim=(1, 2, 3))
        of_degraded = (recombined(inner(pass_.features_degraded)).float() - y).abs().mean(dim=(1, 2, 3))
        errors = {
            "output": sample_errors(pass_.restored, x, "l1"),
            "inner": of_clean + of_degraded,
            "hvi": hvi_errors(pass_.restored, x),
            "retinex": decomposition_errors(self.teacher.low(y), high, y, x),
        }
        return {name: values.sum() / self.recipe.batch for name, values in errors.items()}

    def _told(self, iteration: int) -> Tensor:
        """Which of this process's samples show their truth."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + iteration)
        return self.ranks.share(torch.rand(self.recipe.batch, generator=generator) < self.recipe.oracle_share)

    def restored(self, net: nn.Module, batch: Tensors) -> dict[str, Tensor]:
        """Without the truth, and with it: the difference is what the priors can tell beyond the degraded picture."""
        # One by one: a large teacher needs the memory.
        shown = (batch.y, *shown_to_encoders(batch, self.recipe.task))
        singles = list(zip(*(torch.split(pictures, 1) for pictures in shown), strict=True))
        return {
            "": torch.cat([net(y, degraded, degraded).restored for y, degraded, _ in singles]),
            WITH_TRUTH: torch.cat([net(y, degraded, clean).restored for y, degraded, clean in singles]),
        }

    def inner_convolutions(self) -> list[Tensor]:
        ends = (self.teacher.transformer.embed, self.teacher.transformer.output)
        return [
            m.weight
            for m in self.teacher.transformer.modules()
            if isinstance(m, nn.Conv2d) and m.groups == 1 and m not in ends
        ]

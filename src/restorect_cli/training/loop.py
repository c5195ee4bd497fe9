"""The training loop: resumable at any moment, one JSON line per interval, EMA weights as safetensors.

    run folder/
      recipe.json        what is trained; a resumed run must match it
      checkpoint.pt      everything it takes to go on (written aside, then renamed)
      ema.safetensors    the weights to export
      log.jsonl          losses, seconds, validation PSNR

The checkpoint holds tensors and numbers only and is read with `weights_only=True`.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import InputError, OutputError, RestorectError, UsageError
from .data import Batch, PairStream
from .nets.student import SHAPES, Student
from .objective import detail_loss, draw_times, flow_loss, flow_target, path_point
from .recipe import Recipe

CHECKPOINT_SECONDS = 240
VALIDATION_PX = 192
VALIDATION_PICTURES = 12


@dataclass(frozen=True)
class Progress:
    """State of a run as reported to the caller after every step."""

    iteration: int
    iterations: int
    loss: float
    validation: dict[str, float] | None


class Ema:
    """Exponential moving average of the parameters, warmed up so that early averages forget the start."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, iteration: int) -> None:
        decay = min(self.decay, (1 + iteration) / (10 + iteration))
        for name, value in model.state_dict().items():
            self.weights[name].lerp_(value, 1 - decay)


def learning_rate(recipe: Recipe, iteration: int) -> float:
    """Linear warm-up, then a cosine to a hundredth of the peak at the last iteration."""
    if iteration < recipe.warmup:
        return recipe.learning_rate * (iteration + 1) / recipe.warmup
    share = (iteration - recipe.warmup) / max(1, recipe.iterations - recipe.warmup)
    return recipe.learning_rate * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * min(share, 1.0))))


class Trainer:
    """One run of one recipe in one folder."""

    def __init__(
        self,
        recipe: Recipe,
        data: Path,
        run: Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
        resume: bool = False,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.recipe, self.run, self.device = recipe, run, torch.device(device)
        torch.manual_seed(recipe.seed)
        self.model = Student(SHAPES[recipe.net]).to(self.device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
        )
        self.ema = Ema(self.model, recipe.ema)
        self.iteration = 0
        if resume:
            self._load()
        elif (run / "checkpoint.pt").exists():
            raise UsageError(f"{run} already holds a run", "continue it with --resume or name another folder")
        self.stream = PairStream(recipe, data)
        self._prepare_folder()

    def train(self, *, time_limit: float | None = None, report: Callable[[Progress], None] | None = None) -> bool:
        """Train to the recipe's end or for `time_limit` seconds; return whether the end was reached.

        Raises RestorectError when the loss is not finite; the last checkpoint stays as it was.
        """
        started = saved = logged = time.monotonic()
        losses: list[float] = []
        while self.iteration < self.recipe.iterations:
            losses.append(self.step())
            self.iteration += 1
            validation = None
            if self.iteration % self.recipe.validate_every == 0 or self.iteration == self.recipe.iterations:
                validation = self.validate()
                self._log({"iteration": self.iteration, "validation": validation})
            if self.iteration % self.recipe.log_every == 0:
                now = time.monotonic()
                self._log(
                    {
                        "iteration": self.iteration,
                        "loss": round(float(np.mean(losses)), 6),
                        "learning_rate": learning_rate(self.recipe, self.iteration),
                        "seconds_per_iteration": round((now - logged) / len(losses), 4),
                    }
                )
                losses, logged = [], now
            if report:
                report(Progress(self.iteration, self.recipe.iterations, losses[-1] if losses else math.nan, validation))
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = time.monotonic()
            if time_limit is not None and time.monotonic() - started > time_limit:
                break
        self.save()
        return self.iteration >= self.recipe.iterations

    def step(self) -> float:
        """One optimiser step on batch number `iteration`; returns the loss."""
        recipe = self.recipe
        rate = learning_rate(recipe, self.iteration)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        y, x, thumb, statistics = self._tensors(self.stream.batch(self.iteration))
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + self.iteration)
        t = draw_times(len(y), recipe.start_share, generator).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16):
            prediction = self.model(path_point(y, x, t), t, thumb, statistics)
        late = self.iteration >= recipe.iterations * (1 - recipe.final_l2)
        wanted = flow_target(y, x, t, recipe.target)
        loss = flow_loss(prediction, wanted, "l2" if late else recipe.loss)
        if recipe.detail_weight:
            loss = loss + recipe.detail_weight * detail_loss(prediction, wanted)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RestorectError(
                f"the loss is not a number at iteration {self.iteration}",
                f"the checkpoint in {self.run} is from before; lower learning_rate in the recipe and start anew",
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), recipe.gradient_clip)
        self.optimiser.step()
        self.ema.update(self.model, self.iteration)
        return value

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """RGB PSNR in dB of one step from t = 1 with the EMA weights in float32, mean per source."""
        student = Student(self.model.shape).to(self.device)
        student.load_state_dict(self.ema.weights)
        result = {}
        for name, batch in self.stream.validation_batches(VALIDATION_PX, VALIDATION_PICTURES):
            y, x, thumb, statistics = self._tensors(batch)
            restored = y - student(y, torch.ones(len(y), device=self.device), thumb, statistics)
            errors = (restored.clamp(0, 1) - x).square().mean(dim=(1, 2, 3))
            result[name] = round(float((-10 * torch.log10(errors + 1e-10)).mean()), 3)
        return result

    def save(self) -> None:
        """Write checkpoint and EMA weights aside and rename, so that a full disk costs nothing already saved."""
        state = {
            "format": 1,
            "recipe": self.recipe.model_dump_json(),
            "iteration": self.iteration,
            "model": self.model.state_dict(),
            "ema": self.ema.weights,
            "optimiser": self.optimiser.state_dict(),
        }
        try:
            _replace(self.run / "checkpoint.pt", lambda path: torch.save(state, path))
            weights = {k: v.contiguous().cpu() for k, v in self.ema.weights.items()}
            about = {"recipe": self.recipe.model_dump_json(), "iteration": str(self.iteration)}
            _replace(self.run / "ema.safetensors", lambda path: save_file(weights, path, metadata=about))
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            raise OutputError(
                f"cannot write a checkpoint to {self.run}", f"free some space, then --resume ({error})"
            ) from error

    def _load(self) -> None:
        path = self.run / "checkpoint.pt"
        if not path.is_file():
            raise InputError(f"nothing to resume in {self.run}", "leave --resume away to start a run there")
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            recipe = Recipe.model_validate_json(state["recipe"])
        except Exception as error:
            raise InputError(f"cannot read checkpoint {path}", f"start anew in another folder ({error})") from error
        if recipe != self.recipe:
            raise UsageError(
                f"{self.run} was trained with another recipe", "resume with the same one or name another folder"
            )
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.ema.weights = state["ema"]
        self.iteration = state["iteration"]

    def _prepare_folder(self) -> None:
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            (self.run / "recipe.json").write_text(self.recipe.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write to {self.run}", str(error)) from error

    def _log(self, record: dict[str, Any]) -> None:
        with (self.run / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")

    def _tensors(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        def image(array: Any) -> Tensor:
            return torch.from_numpy(array).to(self.device, memory_format=torch.channels_last)

        return image(batch.y), image(batch.x), image(batch.thumb), torch.from_numpy(batch.statistics).to(self.device)


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    aside = path.with_name(path.name + ".part")
    try:
        write(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)

"""The training loop: resumable at any moment, one JSON line per interval, EMA weights as safetensors.

run folder/
  recipe.json        what is trained; a resumed run must match it
  checkpoint.pt      everything it takes to go on (written aside, then renamed)
  ema.safetensors    the weights to export
  log.jsonl          `loss`, which is minimised, and its terms; seconds; validation PSNR
  loss.png           the log as a picture, drawn whenever training stops
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..atomic import replace_file
from ..errors import OutputError, RestorectError, UsageError
from ..one_line import folded
from ..recipes.recipe import Recipe
from ..signals import handling
from . import checkpoint
from .curves import draw_log
from .data import Batch, PairStream
from .memory import out_of_memory
from .optimiser import Optimiser
from .ranks import Ranks
from .stages.stage import Tensors
from .stages.table import make_stage
from .worker import Batches, in_a_worker

CHECKPOINT_SECONDS = 240
VALIDATION_PX = 192
VALIDATION_PICTURES = 12


@dataclass(frozen=True)
class StepReport:
    """What the caller learns of a run after every step."""

    iteration: int
    iterations: int
    loss: float
    validation: dict[str, float] | None


Losses = dict[str, float]
"""Of one step, means over its batch: "loss", the weighted sum that is minimised, and each term by its name."""


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
    """One run of one recipe in one folder; with several `ranks`, one process's part of it."""

    def __init__(
        self,
        recipe: Recipe,
        data: Path,
        run: Path,
        *,
        ranks: Ranks | None = None,
        threads: int | None = None,
        resume: bool = False,
        init: str | Path | None = None,
        teacher: Path | None = None,
    ) -> None:
        """`init`: weights of another run, or a model, to start from, see `checkpoint.start_from`.

        `teacher`: weights of a teacher, for a recipe that distils.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        self.ranks = ranks or Ranks()
        self.recipe, self.run, self.device = recipe, run, torch.device(self.ranks.device)
        least = min(recipe.batch, recipe.batch_at(recipe.iterations - 1))
        if least < self.ranks.count:
            raise UsageError(f"a batch of {least} cannot be shared among {self.ranks.count} processes", "start fewer")
        torch.manual_seed(recipe.seed)
        self.stage = make_stage(recipe, self.ranks, teacher).to(self.device)
        self.stage.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = self.stage.net
        self.parameters = [p for p in self.stage.parameters() if p.requires_grad]
        inside = self.stage.inner_convolutions() if recipe.optimiser == "muon" else []
        self.optimiser = Optimiser(self.parameters, inside, recipe.learning_rate)
        if init is not None and not resume:
            checkpoint.start_from(init, self.model, recipe)
        self.ema = Ema(self.model, recipe.ema)
        self.iteration = 0
        self.interrupted = False  # whether the last `train` was stopped by a signal
        if resume:
            self.iteration = checkpoint.resume(run, self.stage, recipe, self.ema.weights, self.optimiser)
        elif (run / "checkpoint.pt").exists():
            raise UsageError(f"{run} already holds a run", "continue it with --resume or name another folder")
        self.stream = PairStream(recipe, data)
        self.batches: Batches = self.stream
        self.shared: nn.Module = self.stage
        if self.ranks.leads:
            self._prepare_folder()

    def train(self, *, time_limit: float | None = None, report: Callable[[StepReport], None] | None = None) -> bool:
        """Train to the recipe's end, for `time_limit` seconds or until interrupted; return whether the end was reached.

        Ctrl-C (or SIGTERM) ends the step at hand and saves; a second one stops at once. Raises RestorectError when
        a loss or gradient is not finite; the last checkpoint stays as it was.
        """
        if self.ranks.count > 1:
            self.shared = DistributedDataParallel(self.stage, find_unused_parameters=self.stage.partial)
        try:
            with _interruption() as asked, self._worker():
                self._train(time_limit, asked, report or (lambda step: None))
                self.save()
                self._plot()
                self._agreed(False, False)  # none leaves, and has torchrun end the others, before all is saved
        except RestorectError:
            with contextlib.suppress(OutputError):  # the first error is the one to tell
                self._plot()
            raise
        finally:
            self.shared = self.stage  # what holds on to the processes' group must go before it does: see join
        return self.iteration >= self.recipe.iterations

    def _train(self, time_limit: float | None, asked: threading.Event, report: Callable[[StepReport], None]) -> None:
        recipe = self.recipe
        started = saved = logged = time.monotonic()
        losses: list[Losses] = []
        while self.iteration < recipe.iterations:
            losses.append(self.step())
            self.iteration += 1
            latest, at_end, validation = losses[-1]["loss"], self.iteration == recipe.iterations, None
            if self.ranks.leads and (at_end or self.iteration % recipe.validate_every == 0):
                validation = self.validate()
                self._log({"iteration": self.iteration, "validation": validation})
            over = time_limit is not None and time.monotonic() - started > time_limit
            stop, self.interrupted = self._agreed(over, asked.is_set())
            stop = stop or self.interrupted or at_end
            if stop or self.iteration % recipe.log_every == 0:
                now = time.monotonic()
                self._log_losses(losses, now - logged)
                losses, logged = [], now
            report(StepReport(self.iteration, recipe.iterations, latest, validation))
            if stop:
                break
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = time.monotonic()

    @contextlib.contextmanager
    def _worker(self) -> Iterator[None]:
        """Takes the batches from a process of their own meanwhile, where the recipe asks for one."""
        if not self.recipe.workers or self.iteration >= self.recipe.iterations:
            yield
            return
        with in_a_worker(self.stream, self.iteration, self.ranks.rank, self.ranks.count) as self.batches:
            try:
                yield
            finally:
                self.batches = self.stream

    def step(self) -> Losses:
        """One optimiser step on batch number `iteration`, of which this process computes its share."""
        try:
            return self._step()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise RestorectError(
                f"the device ran out of memory at iteration {self.iteration}",
                f"use a smaller batch or crop_px, or more processes ({folded(error)})",
            ) from error

    def _step(self) -> Losses:
        recipe, ranks = self.recipe, self.ranks
        self.optimiser.set_rate(learning_rate(recipe, self.iteration))
        batch = self._tensors(self.batches.batch(self.iteration, ranks.rank, ranks.count))
        with torch.autocast(self.device.type, torch.bfloat16):
            terms: dict[str, Tensor] = self.shared(batch, self.iteration)
        # This process's parts of the means over the whole batch.
        means = ranks.total(torch.stack(list(terms.values())).detach()).tolist()
        self._need_finite(sum(means), "loss")
        loss = self.stage.loss(terms)
        self.optimiser.zero_grad()
        # Times the processes, because their gradients are then averaged.
        (loss * ranks.count).backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.parameters, recipe.gradient_clip)
        self._need_finite(float(norm), "gradient")
        self.optimiser.step()
        self.ema.update(self.model, self.iteration)
        return self.stage.losses(dict(zip(terms, means, strict=True)))

    def _need_finite(self, value: float, what: str) -> None:
        """Stop before weights are spoilt, so that no checkpoint ever holds them."""
        if math.isfinite(value):
            return
        kept = f"the checkpoint in {self.run} is from before; " if (self.run / "checkpoint.pt").exists() else ""
        raise RestorectError(
            f"the {what} is not a number at iteration {self.iteration}",
            f"{kept}lower learning_rate in the recipe and start again",
        )

    def _agreed(self, over: bool, asked: bool) -> tuple[bool, bool]:
        """Whether any process's time is over, and whether any was interrupted: all stop after the same step."""
        if self.ranks.count == 1:
            return over, asked
        flags = self.ranks.total(torch.tensor([float(over), float(asked)], device=self.device)).tolist()
        return flags[0] > 0, flags[1] > 0

    def validate(self) -> dict[str, float]:
        """RGB PSNR in dB of `held_out`, mean per source and way."""
        result = {}
        for source, how, restored, clean in self.held_out(VALIDATION_PX, VALIDATION_PICTURES):
            errors = (restored - clean).square().mean(dim=(1, 2, 3))
            name = f"{source} {how}" if how else source
            result[name] = round(float((-10 * torch.log10(errors + 1e-10)).mean()), 3)
        return result

    @torch.no_grad()
    def held_out(self, size_px: int, limit: int) -> Iterator[tuple[str, str, Tensor, Tensor]]:
        """Source, way ("" as in use), restored and clean pictures (B,3,H,W) in [0,1], by the EMA weights in float32.

        Of each source so many held-out pictures, cropped to `size_px`; a student takes one step from t = 1.
        """
        net = copy.deepcopy(self.model)
        net.load_state_dict(self.ema.weights)
        for source, arrays in self.stream.validation_batches(size_px, limit):
            batch = self._tensors(arrays)
            for how, restored in self.stage.restored(net, batch).items():
                yield source, how, restored.clamp(0, 1), batch.x

    def save(self) -> None:
        """Write the run's checkpoint and EMA weights; raises OutputError."""
        if self.ranks.leads:
            checkpoint.save(self.run, self.stage, self.recipe, self.ema.weights, self.optimiser, self.iteration)

    def _prepare_folder(self) -> None:
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            text = self.recipe.model_dump_json(indent=2) + "\n"
            replace_file(self.run / "recipe.json", lambda path: path.write_text(text, encoding="utf-8"))
        except OSError as error:
            raise OutputError(f"cannot write to {self.run}", str(error)) from error

    def _log_losses(self, losses: list[Losses], seconds: float) -> None:
        record: dict[str, Any] = {"iteration": self.iteration}
        for name in ("loss", *self.stage.weights):
            values = [step[name] for step in losses if name in step]
            if values:
                record[name] = round(float(np.mean(values)), 6)
        record["learning_rate"] = learning_rate(self.recipe, self.iteration)
        record["seconds_per_iteration"] = round(seconds / len(losses), 4)
        self._log(record)

    def _log(self, record: dict[str, Any]) -> None:
        if not self.ranks.leads:
            return
        try:
            with (self.run / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(record) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write to {self.run / 'log.jsonl'}", str(error)) from error

    def _plot(self) -> None:
        if not self.ranks.leads:
            return
        try:
            replace_file(self.run / "loss.png", lambda path: draw_log(self.run / "log.jsonl", path))
        except OSError as error:
            raise OutputError(f"cannot write {self.run / 'loss.png'}", str(error)) from error

    def _tensors(self, batch: Batch) -> Tensors:
        def image(array: Any) -> Tensor:
            return torch.from_numpy(array).to(self.device, memory_format=torch.channels_last)

        statistics = torch.from_numpy(batch.statistics).to(self.device)
        return Tensors(image(batch.y), image(batch.x), image(batch.thumb), image(batch.clean_thumb), statistics)


@contextlib.contextmanager
def _interruption() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets instead of breaking off; a second one acts as it always does."""
    asked = threading.Event()
    before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: object) -> None:
        asked.set()
        signal.signal(number, before[number])

    with handling(signal.SIGINT, ask), handling(signal.SIGTERM, ask):
        yield asked

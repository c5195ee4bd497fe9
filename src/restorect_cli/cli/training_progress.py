"""How far a training is: a bar (tqdm) at a terminal, a line now and then elsewhere, both on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

from .output import Output

LINE_SECONDS = 30.0  # between two lines where there is no terminal
MEMORY = 0.95  # of the loss that is shown: that of one batch jumps


class TrainingProgress:
    """To be told of every iteration; tells the loss, seconds per iteration and the time left.

    with TrainingProgress(out, "denoise", 36000, done=1200) as progress:
        progress.step(1201, loss=0.02)
        progress.say("held-out pictures: 31.2 dB")
    """

    def __init__(
        self, out: Output, label: str, iterations: int, *, done: int = 0, time_limit: float | None = None
    ) -> None:
        """`time_limit` in seconds, where training stops before its end."""
        self._out, self._iterations, self._first, self._limit = out, iterations, done, time_limit
        self._loss: float | None = None
        self._began = self._told = time.monotonic()
        self._bar = tqdm(
            total=iterations,
            initial=done,
            desc=label,
            file=sys.stderr,
            disable=not out.draws_bars,
            leave=False,
            dynamic_ncols=True,
            mininterval=0.5,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}{postfix}",
        )

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def step(self, iteration: int, loss: float) -> None:
        """`iteration` steps are done, the last of which had this loss."""
        self._loss = loss if self._loss is None else MEMORY * self._loss + (1 - MEMORY) * loss
        if self._out.draws_bars:
            self._bar.set_postfix_str(self._state(iteration), refresh=False)
            self._bar.update(iteration - self._bar.n)
        elif time.monotonic() - self._told > LINE_SECONDS:
            self._told = time.monotonic()
            self._out.say(f"iteration {iteration} of {self._iterations}, {self._state(iteration)}")

    def say(self, text: str) -> None:
        """A line of news, above the bar if there is one."""
        with self._bar.external_write_mode(file=sys.stderr):
            self._out.say(text)

    def _state(self, iteration: int) -> str:
        spent = time.monotonic() - self._began
        each = spent / (iteration - self._first)
        left = (self._iterations - iteration) * each
        if self._limit is not None:
            left = min(left, max(0.0, self._limit - spent))
        return f"loss {self._loss:.4f}, {each:.3f} s/it, {tqdm.format_interval(left)} left"

"""The progress of a training, on standard error: a bar at a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from datetime import timedelta

from .output import Output

LINE_SECONDS = 30.0  # between two lines without a terminal
MEMORY = 0.95  # of the running mean that is shown, because the loss of one batch jumps
REFRESHES = 2  # of the bar, per second: training needs the processor


class TrainingProgress:
    """Shows iterations, the loss, seconds per iteration and the time left.

    with TrainingProgress(out, "denoise", 36000, done=1200) as progress:
        progress.step(1201, loss=0.02)
        out.say("held-out pictures: 31.2 dB")  # appears above the bar
    """

    def __init__(
        self, out: Output, label: str, iterations: int, *, done: int = 0, time_limit: float | None = None
    ) -> None:
        """time_limit: seconds after which training stops early."""
        self._out, self._iterations, self._first, self._limit = out, iterations, done, time_limit
        self._loss: float | None = None
        self._began = self._last_line = time.monotonic()
        self._bar = None
        if out.draws_bars:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

            columns = (
                TextColumn("{task.description}", markup=False),
                TaskProgressColumn(),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[state]}", markup=False),
            )
            # lines printed meanwhile to standard error appear above the bar
            console = Console(stderr=True)
            self._bar = Progress(
                *columns, console=console, transient=True, redirect_stdout=False, refresh_per_second=REFRESHES
            )
            self._task = self._bar.add_task(label, total=iterations, completed=done, state="")

    def __enter__(self) -> TrainingProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, iteration: int, loss: float) -> None:
        """`iteration` steps are done, the last of which had this loss."""
        self._loss = loss if self._loss is None else MEMORY * self._loss + (1 - MEMORY) * loss
        if self._bar is not None:
            self._bar.update(self._task, completed=iteration, state=self._state(iteration))
        elif time.monotonic() - self._last_line > LINE_SECONDS:
            self._last_line = time.monotonic()
            self._out.say(f"iteration {iteration} of {self._iterations}, {self._state(iteration)}")

    def _state(self, iteration: int) -> str:
        spent = time.monotonic() - self._began
        each = spent / (iteration - self._first)
        left = (self._iterations - iteration) * each
        if self._limit is not None:
            left = min(left, max(0.0, self._limit - spent))
        return f"loss {self._loss:.4f}, {each:.3f} s/it, {timedelta(seconds=int(left))} left"

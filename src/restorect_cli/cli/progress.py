"""The progress bar of a long run: images, megapixels a second, time left, failures, the current file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..one_line import printable
from .output import Output


class RunProgress:
    """A bar on standard error; nothing without a terminal or when only errors are wanted."""

    def __init__(self, out: Output, total: int | None) -> None:
        """total: images; None if unknown."""
        self._total = total
        self.is_shown = out.draws_bars
        self._began = time.monotonic()

    @contextmanager
    def show(self) -> Iterator[None]:
        if not self.is_shown:
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]:.2f} MP/s", markup=False),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failed]} failed", markup=False),
            TextColumn("{task.description}", markup=False),
        )
        # lines printed meanwhile to standard error appear above the bar
        with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as self._bar:
            self._task = self._bar.add_task("", total=self._total, speed=0.0, failed=0)
            yield

    def beginning(self, name: str) -> None:
        """This file is being restored now; any thread may call it."""
        if self.is_shown:
            self._bar.update(self._task, description=printable(name))

    def update(self, done: int, failed: int, megapixels: float) -> None:
        if self.is_shown:
            speed = megapixels / max(1e-3, time.monotonic() - self._began)
            self._bar.update(self._task, completed=done, failed=failed, speed=speed)

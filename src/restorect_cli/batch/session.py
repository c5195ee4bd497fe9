"""One run of a batch: chooses who does the work, removes leftovers, counts, and stops on Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Protocol

from ..errors import StoppedError
from ..signals import handling
from . import MOST_JOBS
from .manifest import RunManifest
from .plan import Item
from .run import Batch, Event, Executor, RunSummary
from .work import Work


class Listener(Protocol):
    """Is called with the events of a run, to print or to keep them."""

    def watching(self) -> None:
        """The run waits for new files from now on."""

    def beginning(self, work: Work) -> None:
        """A network begins this image; called from any thread."""

    def settled(self, event: Event) -> None:
        """An image is restored, skipped or failed, and already counted."""

    def stopping(self) -> None:
        """Ctrl-C: images in progress will be finished."""

    def ended(self, seconds: float, busy_seconds: dict[str, float]) -> None:
        """The run is over; `busy_seconds` is the time spent in each stage, empty if nothing was done."""


class Session:
    """Runs a batch once, and counts in `summary`.

    jobs: images restored at the same time on this machine; None for MOST_JOBS, or fewer if there are fewer threads.
    scheduler: address of a Dask scheduler whose workers restore instead. settle: run forever, taking files that have
    not changed for this many seconds. fail_fast: stop at the first image that fails.
    """

    def __init__(
        self,
        batch: Batch,
        *,
        jobs: int | None = None,
        scheduler: str | None = None,
        settle: float | None = None,
        fail_fast: bool = False,
    ) -> None:
        self._batch, self._jobs, self._scheduler = batch, jobs, scheduler
        self._settle, self._fail_fast = settle, fail_fast
        self._stopping = threading.Event()
        self._interrupted = False
        self._total = 0
        self.summary = RunSummary()

    @property
    def left(self) -> int:
        """Planned images that are not settled; none are planned when watching."""
        return max(0, self._total - self.summary.settled)

    def run(self, items: list[Item], manifest: RunManifest, listener: Listener) -> None:
        """Do what was planned. Raises StoppedError after Ctrl-C if images are left, and any error that ends the run."""
        self._total = len(items)
        self._batch.sweep(items)
        began = time.monotonic()
        with self._interruptible(listener):
            for event in self._batch.settle(items, manifest):
                self._count(event, listener)
            todo = [self._batch.work(item) for item in items if item.action == "restore"]
            if self._settle:
                listener.watching()
            if (todo or self._settle) and not self._stopping.is_set():
                executor = self._executor(manifest, listener)
                works = self._batch.arrivals(self._stopping, self._settle) if self._settle else iter(todo)
                try:
                    with closing(self._batch.run(works, executor, manifest)) as events:
                        for event in events:
                            self._count(event, listener)
                finally:
                    self._batch.sweep(items)  # leftovers of a worker that died
                    listener.ended(time.monotonic() - began, executor.busy_seconds)
            else:
                listener.ended(time.monotonic() - began, {})
        if self._interrupted and self.left > 0:
            problem = f"interrupted, {self.left} of {self._total} images are left"
            raise StoppedError(problem, "run the same command again to continue")

    def _count(self, event: Event, listener: Listener) -> None:
        self.summary.count(event)
        if event.error is not None and self._fail_fast:
            self._stopping.set()
        listener.settled(event)

    def _executor(self, manifest: RunManifest, listener: Listener) -> Executor:
        started = partial(self._batch.remember, manifest, "started")
        settings = self._batch.settings
        if self._scheduler is not None:
            from .cluster import Cluster

            folders = [str(self._batch.folder), str(self._batch.output)]
            dropped = partial(self._batch.remember, manifest, "dropped")
            return Cluster(self._scheduler, settings, folders, started, self._stopping, listener.beginning, dropped)

        from ..engine.runtime import threads_to_run
        from ..files import Repairer
        from .pipeline import Pipeline
        from .work import threads_each

        threads = threads_to_run(settings.restore.threads)
        jobs = self._jobs or min(MOST_JOBS, threads)
        repairer = Repairer(settings.with_threads(threads_each(threads, jobs)))
        return Pipeline(repairer, jobs, started, self._stopping, listener.beginning)

    @contextmanager
    def _interruptible(self, listener: Listener) -> Iterator[None]:
        """The first Ctrl-C lets images in progress finish; a second one stops immediately."""

        def interrupt(*_: Any) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
            self._stopping.set()
            listener.stopping()

        with handling(signal.SIGINT, interrupt):
            yield

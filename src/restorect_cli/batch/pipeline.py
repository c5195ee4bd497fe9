"""Decode, restore and encode of many images at the same time, in threads.

The codecs, numpy's loops and ONNX Runtime release the interpreter, so threads suffice and every network is loaded
once. Memory is bounded twice: by the number of threads, and by the pixels under way, so a huge image waits until it
is alone.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager

from ..files import Repairer
from ..images.vips import pyvips
from . import work as steps
from .work import STAGES, ImageError, Result, Work

MOST_PIXELS = 100_000_000
"""Under way at once. Each takes 6 bytes (8 bits, before and after), or 12 with 16 bits."""

_LOOK_UP_SECONDS = 0.5  # how often a wait wakes up, because signals cannot interrupt it on Windows
_IN_HAND = 5  # images for each job: one in each stage, and one that waits between each two
_TIDY_SECONDS = 10.0  # for files being written when the run is aborted


class Pipeline:
    """Runs work with one Repairer, `jobs` images at a time in each stage.

    for result in pipeline.run(works): ...     in the order in which they finish

    started: called for every image before its file is written, from several threads.
    stopping: when it is set nothing new is begun; images being restored or written are finished, those only decoded
        are dropped without a result. Set by a run that ends.
    announce: called for every image when the network begins it, from several threads.
    """

    def __init__(
        self,
        repairer: Repairer,
        jobs: int,
        started: Callable[[Work], None],
        stopping: threading.Event,
        announce: Callable[[Work], None] = lambda work: None,
    ) -> None:
        self._repairer, self._jobs, self._stopping = repairer, jobs, stopping
        self._started, self._announce = started, announce
        self._results: queue.SimpleQueue[Result | Exception | None] = queue.SimpleQueue()
        self._broken_off = threading.Event()  # what is in hand is dropped too
        self._decoding, self._restoring, self._encoding = Places(jobs), Places(jobs), Places(jobs)
        self._room = PixelBudget(MOST_PIXELS)
        self._taking = threading.Lock()
        self.busy_seconds = dict.fromkeys(STAGES, 0.0)

    def run(self, works: Iterator[Work]) -> Generator[Result, None, None]:
        """Raises the error that ended the run (DiskFullError, ModelError, …), after what is being written is whole."""
        pyvips.cache_set_max(0)  # else libvips keeps the last hundred operations with their pixels
        threads = [  # daemons: those of a ThreadPoolExecutor would make a second Ctrl-C wait for the network
            threading.Thread(target=self._work_off, args=(works,), daemon=True) for _ in range(_IN_HAND * self._jobs)
        ]
        for thread in threads:
            thread.start()
        try:
            yield from self._collect(len(threads))
        finally:
            self._break_off()
            deadline = time.monotonic() + _TIDY_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _collect(self, running: int) -> Iterator[Result]:
        """Results until every thread has ended; then the first error that ended the run, if one did."""
        fatal = None
        while running:
            try:
                result = self._results.get(timeout=_LOOK_UP_SECONDS)
            except queue.Empty:
                continue
            if result is None:
                running -= 1
            elif isinstance(result, Result):
                for stage, seconds in result.busy_seconds.items():
                    self.busy_seconds[stage] += seconds
                yield result
            else:
                fatal = fatal or result
        if fatal is not None:
            raise fatal

    def _work_off(self, works: Iterator[Work]) -> None:
        try:
            while (begun := self._next(works)) is not None:
                self._do(*begun)
        except Exception as error:
            self._break_off()
            self._results.put(error)
        self._results.put(None)

    def _break_off(self) -> None:
        self._broken_off.set()
        self._stopping.set()

    def _next(self, works: Iterator[Work]) -> tuple[Work, AbstractContextManager[None]] | None:
        """The next image and its turn to be decoded."""
        with self._taking:
            work = None if self._stopping.is_set() else next(works, None)
            return None if work is None else (work, self._decoding.turn())

    def _do(self, work: Work, turn: AbstractContextManager[None]) -> None:
        """As `work.do`, waiting for a place in each stage.

        The turn for the next stage is drawn before the place is left, so that with one job no image overtakes another.
        """
        busy: dict[str, float] = {}
        pixels = 0
        try:
            with turn:
                if self._stopping.is_set():
                    return
                with steps.timed("decode", busy):
                    decoded = steps.decode(work, self._repairer)
                pixels = decoded.view.height * decoded.view.width
                self._room.take(pixels, self._broken_off)  # in its place still: no others are decoded meanwhile
                turn = self._restoring.turn()
            with turn:
                if self._stopping.is_set():  # the network may have a minute to go for each, and Ctrl-C waits
                    return
                self._announce(work)
                with steps.timed("restore", busy):
                    restored = steps.restore(work, self._repairer, decoded)
                del decoded  # its pixels are not needed while the next stage is waited for
                turn = self._encoding.turn()
            with turn:
                if self._broken_off.is_set():
                    return
                self._started(work)
                with steps.timed("encode", busy):
                    outcome = steps.encode(work, self._repairer, restored)
                self._results.put(steps.finished(work, outcome, busy))
        except ImageError as failure:
            self._results.put(Result(work, error=failure.error, busy_seconds=busy))
        finally:
            self._room.give_back(pixels)


class Places:
    """So many may be inside at once; the others enter in the order of their turns, which a Semaphore does not keep."""

    def __init__(self, count: int) -> None:
        self._count, self._drawn, self._left = count, 0, 0
        self._changed = threading.Condition()

    def turn(self) -> AbstractContextManager[None]:
        """A place in the line. It must be entered, else all later ones wait for ever."""
        with self._changed:
            self._drawn += 1
            return self._inside(self._drawn)

    @contextmanager
    def _inside(self, number: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: number <= self._left + self._count)
        try:
            yield
        finally:
            with self._changed:
                self._left += 1
                self._changed.notify_all()


class PixelBudget:
    """Lets pixels in as long as they fit, and anything where nothing else is in."""

    def __init__(self, most: int) -> None:
        self._most, self._inside = most, 0
        self._changed = threading.Condition()

    def take(self, pixels: int, given_up: threading.Event) -> None:
        """Wait until they fit, or `given_up` is set."""
        with self._changed:
            while self._inside and self._inside + pixels > self._most and not given_up.is_set():
                self._changed.wait(_LOOK_UP_SECONDS)
            self._inside += pixels

    def give_back(self, pixels: int) -> None:
        with self._changed:
            self._inside -= pixels
            self._changed.notify_all()

"""Decode, restore and encode of many images at the same time, in threads with bounded queues.

The codecs, numpy's loops and ONNX Runtime release the interpreter, so threads suffice and every network is loaded
once. Memory is bounded twice: by the length of the queues, and by the pixels under way, so a huge image waits until it
is alone.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from ..files import Decoded, Outcome, Repairer
from ..images.vips import pyvips
from . import work as steps
from .work import ImageError, Restored, Result, Work

MOST_PIXELS = 100_000_000
"""Under way at once. Each takes 6 bytes (8 bits, before and after), or 12 with 16 bits."""

_LOOK_UP_SECONDS = 0.5  # how often a wait wakes up, because signals cannot interrupt it on Windows
_TIDY_SECONDS = 10.0  # for files being written when the run is aborted

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True)
class _Piece(Generic[_In]):
    """Work and its latest result."""

    work: Work
    value: _In
    seconds: float = 0.0
    pixels: int = 0  # counted as under way


class Pipeline:
    """Runs work with one Repairer, `jobs` images at a time in each stage.

    for result in pipeline.run(works): ...     in the order in which they finish

    started: called for every image before its file is written, from several threads.
    stopping: when it is set, nothing new is begun; images being restored or written are finished, those only decoded
        are dropped without a result.
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
        self._broken_off = threading.Event()  # images under way are dropped too
        self._room = PixelBudget(MOST_PIXELS)
        self._counting = threading.Lock()
        self.busy_seconds = dict.fromkeys(steps.STAGES, 0.0)

    def run(self, works: Iterator[Work]) -> Generator[Result, None, None]:
        """Raises the error that ended the run (DiskFullError, ModelError, …) once files being written are whole."""
        pyvips.cache_set_max(0)  # else libvips keeps the pixels of its last hundred operations
        feed = _Feed(works, self._stopping)
        decoded: _Belt[Decoded] = _Belt(self._jobs)
        restored: _Belt[Restored] = _Belt(self._jobs)
        threads = [
            thread
            for _ in range(self._jobs)
            for thread in (
                self._thread("decode", feed.take, self._decode, self._admitted(decoded.put), decoded.close),
                self._thread(
                    "restore", self._unless_stopping(decoded.take), self._restore, restored.put, restored.close
                ),
                self._thread("encode", restored.take, self._encode, self._deliver, lambda: self._results.put(None)),
            )
        ]
        for thread in threads:
            thread.start()
        try:
            yield from self._collect()
        finally:
            self._broken_off.set()
            self._stopping.set()
            deadline = time.monotonic() + _TIDY_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _collect(self) -> Iterator[Result]:
        """Results until every encoder has ended; then the first error that ended the run, if one did."""
        running, fatal = self._jobs, None
        while running:
            try:
                result = self._results.get(timeout=_LOOK_UP_SECONDS)
            except queue.Empty:
                continue
            if result is None:
                running -= 1
            elif isinstance(result, Result):
                yield result
            else:
                fatal = fatal or result
        if fatal is not None:
            raise fatal

    def _thread(
        self,
        stage: str,
        take: Callable[[], _Piece[_In] | None],
        step: Callable[[_Piece[_In]], _Piece[_Out]],
        put: Callable[[_Piece[_Out]], None],
        close: Callable[[], None],
    ) -> threading.Thread:
        def one() -> bool:
            """A separate function, so a waiting thread holds no picture."""
            piece = take()
            if piece is not None and not self._broken_off.is_set():
                made = self._timed(stage, piece, step)
                del piece  # the source's pixels are not needed while waiting for the next stage
                if made is not None:
                    put(made)
                return True
            return piece is not None

        def run() -> None:
            more = True
            while more:
                try:
                    more = one()
                except Exception as error:
                    self._broken_off.set()
                    self._results.put(error)
            close()

        return threading.Thread(target=run, name=stage, daemon=True)

    def _timed(
        self, stage: str, piece: _Piece[_In], step: Callable[[_Piece[_In]], _Piece[_Out]]
    ) -> _Piece[_Out] | None:
        """The step's result; None if it fails, which is delivered as a `Result`."""
        began = time.perf_counter()
        try:
            made = step(piece)
        except ImageError as failure:
            self._room.give_back(piece.pixels)
            self._results.put(Result(piece.work, error=failure.error))
            return None
        seconds = time.perf_counter() - began
        with self._counting:
            self.busy_seconds[stage] += seconds
        return replace(made, seconds=piece.seconds + seconds)

    def _decode(self, piece: _Piece[None]) -> _Piece[Decoded]:
        decoded = steps.decode(piece.work, self._repairer)
        pixels = decoded.view.height * decoded.view.width
        return _Piece(piece.work, decoded, pixels=pixels)

    def _admitted(self, put: Callable[[_Piece[Decoded]], None]) -> Callable[[_Piece[Decoded]], None]:
        def admit(piece: _Piece[Decoded]) -> None:
            self._room.take(piece.pixels, self._broken_off)
            put(piece)

        return admit

    def _unless_stopping(self, take: Callable[[], _Piece[Decoded] | None]) -> Callable[[], _Piece[Decoded] | None]:
        """Drops decoded images after Ctrl-C: the network may need a minute for each."""

        def take_wanted() -> _Piece[Decoded] | None:
            piece = take()
            while piece is not None and self._stopping.is_set():
                self._room.give_back(piece.pixels)
                piece = take()
            return piece

        return take_wanted

    def _restore(self, piece: _Piece[Decoded]) -> _Piece[Restored]:
        self._announce(piece.work)
        restored = steps.restore(piece.work, self._repairer, piece.value)
        return _Piece(piece.work, restored, pixels=piece.pixels)

    def _encode(self, piece: _Piece[Restored]) -> _Piece[Outcome]:
        self._started(piece.work)
        return _Piece(piece.work, steps.encode(piece.work, self._repairer, piece.value), pixels=piece.pixels)

    def _deliver(self, piece: _Piece[Outcome]) -> None:
        self._room.give_back(piece.pixels)
        self._results.put(Result(piece.work, replace(piece.value, seconds=round(piece.seconds, 3))))


class PixelBudget:
    """Admits pixels as long as they fit, and any number of them if there are no others."""

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


class _Feed:
    """Hands an iterator's work to several threads, until it ends or the run should stop."""

    def __init__(self, works: Iterator[Work], stopping: threading.Event) -> None:
        self._works, self._stopping = works, stopping
        self._taking = threading.Lock()

    def take(self) -> _Piece[None] | None:
        with self._taking:
            if self._stopping.is_set():
                return None
            work = next(self._works, None)
        return None if work is None or self._stopping.is_set() else _Piece(work, None)


class _Belt(Generic[_In]):
    """A bounded queue between two stages of `jobs` threads each; ends when all threads of the first have closed it."""

    def __init__(self, jobs: int) -> None:
        self._queue: queue.Queue[_Piece[_In] | None] = queue.Queue(jobs)
        self._jobs = self._open = jobs
        self._closing = threading.Lock()
        self.put, self.take = self._queue.put, self._queue.get

    def close(self) -> None:
        with self._closing:
            self._open -= 1
            ended = not self._open
        for _ in range(self._jobs if ended else 0):
            self._queue.put(None)

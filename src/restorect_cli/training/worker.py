"""Batches made in a process of their own, one ahead of the step that needs it; the data are those of `PairStream`.

The process sends batches through a pipe, in order, and waits until each is taken. It ends when told to, and when the
process that trains is gone, killed or not: writing into a pipe without a reader fails.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Protocol

from ..errors import RestorectError
from .data import Batch, PairStream

END_SECONDS = 5.0


class Batches(Protocol):
    """Where the training gets batch number `iteration` from, as `PairStream.batch`."""

    def batch(self, iteration: int, rank: int = 0, ranks: int = 1) -> Batch: ...


@contextmanager
def in_a_worker(stream: PairStream, first: int, rank: int, ranks: int) -> Iterator[Batches]:
    """Batches `first`, first + 1, ... of the recipe, made in another process; they must be asked for in this order."""
    # A fork shares the pictures in memory; elsewhere they are sent over once.
    linux = sys.platform == "linux"
    context: Any = multiprocessing.get_context("fork" if linux else "spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_make, args=(ours, theirs, stream, first, rank, ranks), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of a fork beside torch's threads, which the child leaves be
        process.start()
    theirs.close()
    try:
        yield _FromWorker(ours)
    finally:
        ours.close()
        process.terminate()
        process.join(END_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


class _FromWorker:
    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def batch(self, iteration: int, rank: int = 0, ranks: int = 1) -> Batch:
        """Raises what making the batch raised, RestorectError where the process is gone."""
        try:
            number, made = self._pipe.recv()
        except EOFError:
            raise RestorectError(
                "the process that makes the pictures ended, perhaps for lack of memory",
                "continue with --resume, or with workers = 0 in the recipe",
            ) from None
        if isinstance(made, BaseException):
            raise made
        if number != iteration:
            raise ValueError(f"batch {iteration} was asked for and {number} is next")
        return made  # type: ignore[no-any-return]


def _make(ours: Connection, theirs: Connection, stream: PairStream, first: int, rank: int, ranks: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to both: the one that trains saves, then ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ours.close()
    try:
        for iteration in range(first, stream.recipe.iterations):
            try:
                made: object = stream.batch(iteration, rank, ranks)
            except Exception as error:
                made = error
            theirs.send((iteration, made))
            if isinstance(made, Exception):
                return
    except BrokenPipeError:  # nobody reads any more
        return

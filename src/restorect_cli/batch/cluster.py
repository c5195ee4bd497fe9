"""The same work on Dask workers that see the same folders. The only user of dask.distributed."""

from __future__ import annotations

import logging
import os
import queue
import re
import signal
import socket
import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from .._version import __version__
from ..engine.runtime import threads_to_run
from ..errors import DeviceError, OutputError, RestorectError, UsageError
from ..extras import how_to_install
from ..files import Repairer, RepairSettings
from ..one_line import first_line, folded
from ..signals import handling
from .work import STAGES, Result, Work, do, threads_each

PER_THREAD = 2  # images queued at a worker, so it never waits for the next
_CONNECT_SECONDS = 20
_LOOK_UP_SECONDS = 0.5

_ADDRESS = re.compile(r"local:[1-9]\d{0,2}|(?!local:)((tcp|tls|ucx|ws|wss)://)?[^/:]\S*:\d+")

# dask.distributed has few type annotations
Client = Any
Future = Any


class Cluster:
    """Runs work on the workers of a scheduler; used like `Pipeline`.

    address: of a scheduler ("tcp://host:8786"), or "local:N" to start one here with N workers.
    started: called for every image when it is sent, before any worker writes it.
    announce: called for every image when a worker begins it, from another thread and a moment late.
    stopping: when it is set, nothing more is sent; workers finish what they have begun, the rest has no result.
    dropped: called for every image that was sent but, because of `stopping`, never begun.

    Raises UsageError if the extra is missing or the address cannot be parsed, DeviceError if the scheduler does not
    answer, has no workers, or has workers that cannot do the work.
    """

    def __init__(
        self,
        address: str,
        settings: RepairSettings,
        folders: list[str],
        started: Callable[[Work], None],
        stopping: threading.Event,
        announce: Callable[[Work], None] = lambda work: None,
        dropped: Callable[[Work], None] = lambda work: None,
    ) -> None:
        if find_spec("distributed") is None:
            raise UsageError("--scheduler needs dask.distributed", how_to_install("cluster"))
        if not _ADDRESS.fullmatch(address):
            raise UsageError(f"cannot parse --scheduler '{address}'", "write tcp://host:8786, or local:4")
        self._settings, self._stopping = settings, stopping
        self._started, self._announce, self._dropped = started, announce, dropped
        self._name = f"restorect-{uuid.uuid4().hex}"  # of this run; other runs may use the same workers
        self._own: Any = None
        self._client = self._connect(address)
        self.busy_seconds = dict.fromkeys(STAGES, 0.0)
        self._check(folders)

    def run(self, works: Iterator[Work]) -> Generator[Result, None, None]:
        """Results in the order in which they finish. If a worker dies, another does its image.

        Raises the RestorectError that ended the run.
        """
        finished: queue.SimpleQueue[Future] = queue.SimpleQueue()
        under_way: dict[str, tuple[Work, Future]] = {}
        more, stopped = True, False
        self._client.subscribe_topic(self._name, lambda event: self._announce_key(event[1], under_way))
        try:
            while more or under_way:
                while more and not self._stopping.is_set() and len(under_way) < self._places():
                    work = next(works, None)
                    more = work is not None
                    if work is not None:
                        self._submit(work, under_way, finished)
                if self._stopping.is_set() and not stopped:
                    more, stopped = False, True
                    self._stop_workers()
                try:
                    future = finished.get(timeout=_LOOK_UP_SECONDS)
                except queue.Empty:
                    continue
                result = self._result(*under_way.pop(future.key))
                if result is not None:
                    yield result
        finally:
            self._client.cancel([future for _, future in under_way.values()])
            self._close()

    def _submit(
        self, work: Work, under_way: dict[str, tuple[Work, Future]], finished: queue.SimpleQueue[Future]
    ) -> None:
        self._started(work)
        future = self._client.submit(_do, work, self._settings, self._name, pure=False)
        under_way[future.key] = work, future
        future.add_done_callback(finished.put)

    def _announce_key(self, key: str, under_way: dict[str, tuple[Work, Future]]) -> None:
        if key in under_way:  # perhaps finished already
            self._announce(under_way[key][0])

    def _stop_workers(self) -> None:
        """Let workers begin no more images. Only they know for certain what they have begun meanwhile."""
        with suppress(OSError):  # the scheduler is gone, which the images under way will report
            self._client.run(_begin_no_more, self._name, on_error="ignore")

    def _result(self, work: Work, future: Future) -> Result | None:
        """None for an image that was dropped."""
        from distributed import KilledWorker

        try:
            result: Result | RestorectError | None = future.result()
        except KilledWorker:
            problem = f"every worker that was given {work.source} died"
            return Result(work, error=OutputError(problem, "it may be too large for their memory"))
        except CancelledError:
            raise DeviceError("the scheduler is gone", "start it, and run the same command again") from None
        finally:
            future.release()
        if isinstance(result, RestorectError):
            raise result
        if result is None:
            self._dropped(work)
            return None
        for stage, seconds in result.busy_seconds.items():
            self.busy_seconds[stage] += seconds
        return Result(work, result.outcome, result.error)

    def _places(self) -> int:
        """How many images may be under way; grows and shrinks with the workers."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, PER_THREAD * sum(threads.values()))

    def _connect(self, address: str) -> Client:
        import distributed

        connect: Any = distributed.Client
        local: Any = distributed.LocalCluster
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # else a worker that dies prints ten lines
        try:
            if address.startswith("local:"):
                workers = int(address.partition(":")[2])
                threads = threads_to_run(self._settings.restore.threads) // workers
                self._settings = self._settings.with_threads(max(1, threads))
                # a terminal sends Ctrl-C to all processes, but the workers must finish their images
                with handling(signal.SIGINT, signal.SIG_IGN):
                    self._own = local(
                        n_workers=workers,
                        threads_per_worker=1,
                        dashboard_address=None,
                        silence_logs=logging.CRITICAL,
                    )
            client = connect(self._own or address, timeout=_CONNECT_SECONDS, set_as_default=False)
            client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except (OSError, TimeoutError) as error:
            self._stop_own()
            problem = f"the scheduler {address} cannot be used ({first_line(error)})"
            raise DeviceError(problem, "check its address, and that it has workers") from None
        return client

    def _check(self, folders: list[str]) -> None:
        """Raise DeviceError unless every worker has this version of restorect and sees the folders."""
        try:
            answers = self._client.run(_look_around, folders)
        except ModuleNotFoundError as error:
            self._close()
            raise DeviceError(f"the workers cannot load {error.name}", "install restorect where they run") from None
        for worker, (version, missing) in answers.items():
            if version == __version__ and not missing:
                continue
            self._close()
            what = f"does not see {missing[0]}" if missing else f"has restorect {version}, not {__version__}"
            raise DeviceError(
                f"worker {worker} {what}", "workers need the same version, and the folders under the same names"
            )

    def _close(self) -> None:
        self._client.close()
        self._stop_own()

    def _stop_own(self) -> None:
        if self._own is not None:
            self._own.close()
            self._own = None


# --- on the worker -------------------------------------------------------------------------------------------------


_ended: set[str] = set()  # names of runs that are stopping


def _begin_no_more(run: str) -> None:
    _ended.add(run)


def _do(work: Work, settings: RepairSettings, run: str) -> Result | RestorectError | None:
    """The result, or the error that ends the run; not raised, because Dask can lose errors on the way.

    None if the run is stopping. A worker may have died after its file took its name, so the next one may replace it.
    """
    if run in _ended:
        return None
    _report_begun(run)
    try:
        return do(replace(work, item=replace(work.item, replace=True)), _repairer(settings))
    except RestorectError as error:
        return error
    except Exception as error:
        what = f"unexpected {type(error).__name__} ({folded(error)})"
        return RestorectError(f"{work.source}: {what} on worker {socket.gethostname()}", "please report it")


def _report_begun(run: str) -> None:
    from distributed import get_worker

    worker: Any = get_worker()
    worker.log_event(run, worker.get_current_task())


@lru_cache(maxsize=1)
def _repairer(settings: RepairSettings) -> Repairer:
    """One Repairer for all threads of a worker."""
    from distributed import get_worker

    at_once = get_worker().state.nthreads
    return Repairer(settings.with_threads(threads_each(threads_to_run(settings.restore.threads), at_once)))


def _look_around(folders: list[str]) -> tuple[str, list[str]]:
    return __version__, [folder for folder in folders if not os.path.isdir(folder)]

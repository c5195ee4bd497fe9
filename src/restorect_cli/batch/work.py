"""The steps for one image: decode, restore, encode; and which failures concern that image alone."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from .. import images
from ..errors import DeviceError, DiskFullError, InputError, OutputError, RestorectError, UnavailableError
from ..files import Decoded, Outcome, Repairer, keep_times
from ..images.picture import Picture
from ..one_line import folded
from .leftovers import temporary_prefix
from .plan import Item

STAGES = ("decode", "restore", "encode")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Work:
    """One image to be done, wherever that may happen."""

    item: Item
    source: Path
    target: Path


@dataclass(frozen=True)
class Result:
    """What became of it: an outcome, or the error that concerns this image alone."""

    work: Work
    outcome: Outcome | None = None
    error: RestorectError | None = None
    busy_seconds: dict[str, float] = field(default_factory=dict)  # by stage that it went through


@dataclass(frozen=True)
class Restored:
    """A finished picture on its way to the disk."""

    picture: Picture
    outcome: Outcome


class ImageError(Exception):
    """Carries an error of one image; whatever else comes out of a step ends the run."""

    def __init__(self, error: RestorectError) -> None:
        super().__init__(error)
        self.error = error


def planned_failure(work: Work) -> RestorectError:
    """Of an item that planning found impossible."""
    reason = work.item.reason
    return RestorectError(reason if work.item.failed_before else f"{work.source}: {reason}")


def make_folder(folder: Path) -> None:
    """Raises OutputError, DiskFullError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else OutputError
        raise kind(f"cannot make the folder {folder} ({error.strerror})", "check the name and the disk") from error


def threads_each(threads: int, at_once: int) -> int:
    """Threads of a network that so many images go through at once: each image brings one, the pool adds the rest."""
    return max(1, threads - at_once + 1)


def decode(work: Work, repairer: Repairer) -> Decoded:
    """Raises ImageError; RestorectError where no other image could be done either."""
    if work.item.action == "fail":
        raise ImageError(planned_failure(work))
    return _alone(work, lambda: repairer.prepare(images.read(work.source, options=repairer.settings.read), work.target))


def restore(work: Work, repairer: Repairer, decoded: Decoded) -> Restored:
    """The finished picture; the seconds are left to whoever counts all the steps. Raises as `decode`."""
    picture = _alone(work, lambda: repairer.restore(decoded.view, decoded.chosen.task, lambda rows, total: None))
    return Restored(picture, repairer.outcome(decoded, str(work.source), str(work.target), seconds=0.0))


def encode(work: Work, repairer: Repairer, restored: Restored) -> Outcome:
    """Write the picture. Raises as `decode`, DiskFullError where there is no room for it."""

    def write() -> Outcome:
        options = replace(repairer.settings.write, overwrite=work.item.replace)
        make_folder(work.target.parent)
        with keep_times(work.source if options.keep_times else None, work.target):
            images.write(restored.picture, work.target, options, temporary_prefix=temporary_prefix(work.item.output))
        return restored.outcome

    return _alone(work, write)


def do(work: Work, repairer: Repairer) -> Result:
    """All three steps, one after the other. Raises RestorectError if no other image could be done either."""
    busy: dict[str, float] = {}
    try:
        with timed("decode", busy):
            decoded = decode(work, repairer)
        with timed("restore", busy):
            restored = restore(work, repairer, decoded)
        with timed("encode", busy):
            outcome = encode(work, repairer, restored)
    except ImageError as failure:
        return Result(work, error=failure.error, busy_seconds=busy)
    return finished(work, outcome, busy)


@contextmanager
def timed(stage: str, busy_seconds: dict[str, float]) -> Iterator[None]:
    """Notes how long the stage took, unless it fails."""
    began = time.perf_counter()
    yield
    busy_seconds[stage] = time.perf_counter() - began


def finished(work: Work, outcome: Outcome, busy_seconds: dict[str, float]) -> Result:
    """The result of an image that went through all stages."""
    seconds = round(sum(busy_seconds.values()), 3)
    return Result(work, replace(outcome, seconds=seconds), busy_seconds=busy_seconds)


def _alone(work: Work, step: Callable[[], _T]) -> _T:
    """The step's result; errors of this image as ImageError, so that the others go on."""
    try:
        return step()
    except DiskFullError:
        raise
    except (InputError, OutputError) as error:
        raise ImageError(error) from error
    except MemoryError as error:
        raise ImageError(_too_large(work)) from error
    except DeviceError as error:
        if isinstance(error.__cause__, MemoryError):
            raise ImageError(_too_large(work)) from error
        raise
    except RestorectError:
        raise
    except Exception as error:  # a picture that finds a mistake of ours must not cost the other ten thousand
        what = f"unexpected {type(error).__name__} ({folded(error)})"
        raise ImageError(RestorectError(f"{work.source}: {what}", "please report it")) from error


def _too_large(work: Work) -> RestorectError:
    return UnavailableError(f"memory does not suffice for {work.source}", "use --jobs 1 or a smaller --tile")

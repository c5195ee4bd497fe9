"""Files as they arrive in a folder, each when it is complete.

Asked by looking, again and again: that also works where the file system tells nothing of changes (network drives).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue

from .scan import Found, Signature

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0


class Retries:
    """Files that could not be opened: each gets another try after a minute, then after two, four, … up to an hour."""

    def __init__(self) -> None:
        self._told: SimpleQueue[Found] = SimpleQueue()
        self._pauses: dict[Found, float] = {}  # a file that changes is another one, and begins with a short pause
        self._left: dict[Found, float] = {}

    def add(self, file: Found) -> None:
        """From any thread."""
        self._told.put(file)

    def due(self, seconds: float) -> list[Found]:
        """Those whose pause has ended in the `seconds` since the last call."""
        self._left = {file: left - seconds for file, left in self._left.items()}
        ended = [file for file, left in self._left.items() if left <= 0]
        for file in ended:
            del self._left[file]
        while not self._told.empty():
            file = self._told.get()
            self._left[file] = self._pauses.get(file, FIRST_PAUSE_SECONDS)
            self._pauses[file] = min(2 * self._left[file], LONGEST_PAUSE_SECONDS)
        return ended


def arrivals(
    list_files: Callable[[], Iterable[Found]],
    wait: Callable[[float], bool],
    seconds: float,
    retries: Retries,
) -> Iterator[list[Found]]:
    """Lists of files that are new or changed, and were the same at two looks `seconds` apart; empty lists are left out.

    wait: sleeps so long, and returns whether to end (as `threading.Event.wait`). An empty file counts as not begun.
    retries: told by the caller of files that could not be opened, which are given again, though they are the same.
    """
    given: dict[str, Signature] = {}
    before: dict[str, Signature] = {}
    while True:
        for file in retries.due(seconds):
            if given.get(file.name) == file.signature:
                del given[file.name]
        now = {found.name: found for found in list_files() if not found.problem and found.signature.bytes}
        ready = [
            found
            for name, found in now.items()
            if before.get(name) == found.signature and given.get(name) != found.signature
        ]
        if ready:
            given.update({found.name: found.signature for found in ready})
            yield ready
        before = {name: found.signature for name, found in now.items()}
        given = {name: signature for name, signature in given.items() if name in now}
        if wait(seconds):
            return

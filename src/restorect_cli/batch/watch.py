"""Files as they arrive in a folder, each when it is complete.

The folder is listed again and again, which also works on file systems that do not report changes (network drives).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue

from .scan import Found, Signature

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0


class Retries:
    """Files that could not be opened: each is tried again after a minute, then after two, four, … up to an hour."""

    def __init__(self) -> None:
        self._added: SimpleQueue[Found] = SimpleQueue()
        self._pauses: dict[Found, float] = {}  # a changed file is another one, and begins with a short pause
        self._left: dict[Found, float] = {}

    def add(self, file: Found) -> None:
        """Add a file; any thread may call it."""
        self._added.put(file)

    def due(self, seconds: float) -> list[Found]:
        """Those whose pause has ended in the `seconds` since the last call."""
        self._left = {file: left - seconds for file, left in self._left.items()}
        ended = [file for file, left in self._left.items() if left <= 0]
        for file in ended:
            del self._left[file]
        while not self._added.empty():
            file = self._added.get()
            self._left[file] = self._pauses.get(file, FIRST_PAUSE_SECONDS)
            self._pauses[file] = min(2 * self._left[file], LONGEST_PAUSE_SECONDS)
        return ended


def arrivals(
    list_files: Callable[[], Iterable[Found]],
    wait: Callable[[float], bool],
    seconds: float,
    retries: Retries,
) -> Iterator[list[Found]]:
    """Non-empty lists of files that are new or changed, and were the same in two listings `seconds` apart.

    wait: sleeps this long, and returns whether to end (as `threading.Event.wait`). Empty files do not count yet.
    retries: files that could not be opened, which are yielded again although they are the same.
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

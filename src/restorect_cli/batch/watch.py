"""Files as they arrive in a folder, each when it is complete.

Asked by looking, again and again: that also works where the file system tells nothing of changes (network drives).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .scan import Found, Signature


def arrivals(
    list_files: Callable[[], Iterable[Found]], wait: Callable[[float], bool], seconds: float
) -> Iterator[list[Found]]:
    """Lists of files that are new or changed, and were the same at two looks `seconds` apart; empty lists are left out.

    wait: sleeps so long, and returns whether to end (as `threading.Event.wait`). An empty file counts as not begun.
    """
    given: dict[str, Signature] = {}
    before: dict[str, Signature] = {}
    while True:
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

"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Write = Callable[[Path], object]


def replace_file(path: Path, write: Write) -> None:
    """Let `write` fill a file beside `path`, then put it in its place in one step; nothing is left on failure."""
    replace_files({path: write})


def replace_files(writes: Mapping[Path, Write], remove: Sequence[Path] = ()) -> None:
    """Files that belong together: none takes its place, and none of `remove` goes, before all are on the disk."""
    asides = {path: path.with_name(path.name + ".part") for path in writes}
    try:
        for path, write in writes.items():
            write(asides[path])
            with asides[path].open("rb+") as file:  # on the disk before it takes the old one's place
                os.fsync(file.fileno())
        for path in remove:
            path.unlink(missing_ok=True)
        for path, aside in asides.items():
            os.replace(aside, path)
    finally:
        for aside in asides.values():
            aside.unlink(missing_ok=True)

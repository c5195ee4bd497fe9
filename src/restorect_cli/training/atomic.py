"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place in one step; nothing is left on failure."""
    aside = path.with_name(path.name + ".part")
    try:
        write(aside)
        with aside.open("rb+") as file:  # on the disk before it takes the old one's place
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)

"""Text that a user can copy into a shell."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path


def as_model(folder: Path) -> str:
    """`folder` as a shell-quoted value of --model; a separator is added because a bare word names a model."""
    text = str(folder)
    if "/" not in text and os.sep not in text:
        text = f".{os.sep}{text}"
    if sys.platform == "win32":
        from subprocess import list2cmdline

        return list2cmdline([text])
    return shlex.quote(text)

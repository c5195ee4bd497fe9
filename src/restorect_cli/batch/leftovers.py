"""Temporary files of a batch, and the removal of those that a killed run left behind.

A name says whose it is: `.restorect-batch-<hash of the output's name>-<random>.part`. So runs that share an output
folder, each with its own part of the images, never remove each other's files.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Collection
from pathlib import Path

_NAME = re.compile(r"\.restorect-batch-([0-9a-f]{16})-.*\.part")


def owner(output: str) -> str:
    """16 hex digits for an output, named relative to the output folder."""
    return hashlib.sha256(os.fsencode(output)).hexdigest()[:16]


def temporary_prefix(output: str) -> str:
    """The prefix of an output's temporary file; its length does not depend on the output's name."""
    return f".restorect-batch-{owner(output)}-"


def sweep(folder: Path, owners: Collection[str] | None = None) -> int:
    """Remove temporary files of these owners (None: of all) below `folder`; returns how many."""
    count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            match = _NAME.fullmatch(name)
            if match and (owners is None or match[1] in owners):
                with contextlib.suppress(OSError):  # gone already, or not ours to remove
                    os.unlink(os.path.join(place, name))
                    count += 1
    return count

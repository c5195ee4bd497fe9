"""The share of one of several runs over the same folder, for job arrays."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from ..errors import UsageError


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `count`. Only its name decides which part a file belongs to."""

    number: int
    count: int

    def holds(self, name: str) -> bool:
        digest = hashlib.sha256(os.fsencode(name)).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1


WHOLE = Shard(1, 1)


def parse_shard(text: str) -> Shard:
    """ "3/8" as a shard; UsageError for anything else."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"cannot parse --shard '{text}'", "write it as 3/8: the third of eight parts")
    return Shard(int(match[1]), int(match[2]))

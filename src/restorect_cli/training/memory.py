"""Whether an error says that the device has no memory left."""

from __future__ import annotations

import torch


def out_of_memory(error: Exception) -> bool:
    """On a CPU torch has no class of its own for it: only the text tells, as c10/core/impl/alloc_cpu.cpp words it."""
    said = str(error)
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        words in said for words in ("not enough memory", "can't allocate memory")
    )

"""Small files that each showed a fault once, beside the checkout (../shared/cases) or where RESTORECT_CASES says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CASES = Path(os.environ.get("RESTORECT_CASES") or Path(__file__).parents[3] / "shared" / "cases")


def case(name: str) -> Path:
    """The file of this name; the test is skipped where it is absent."""
    if not (CASES / name).is_file():
        pytest.skip(f"{name} is not in {CASES}")
    return CASES / name

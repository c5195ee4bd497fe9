"""The options check themselves, once, and before anything is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from restorect_cli.engine.options import MOST_THREADS, RestoreOptions, restore_options
from restorect_cli.errors import UsageError


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"steps": 0}, "from 1 to 4"),
        ({"steps": 5}, "from 1 to 4"),
        ({"steps": 1.5}, "whole number"),
        ({"steps": "1"}, "whole number"),
        ({"ensemble": 3}, "give 1, 2 or 4"),
        ({"ensemble": 0}, "give 1, 2 or 4"),
        ({"strength": 1.5}, "from 0 to 1"),
        ({"strength": -0.1}, "from 0 to 1"),
        ({"strength": float("nan")}, "from 0 to 1"),
        ({"device": "tpu"}, "unknown device 'tpu': choose auto, cpu"),
        ({"threads": -1}, "give 1 to 512"),
        ({"threads": 0}, "give 1 to 512"),
        ({"threads": MOST_THREADS + 1}, "give 1 to 512"),
        ({"threads": 1.5}, "give 1 to 512"),
        ({"tile": 0}, "tile of 0 pixels"),
        ({"tile": 99.5}, "tile of 99.5 pixels"),
        ({"precision": "fp8"}, "choose fp32 or int8"),
    ],
)
def test_wrong_values(wrong, says):
    with pytest.raises(UsageError) as caught:
        RestoreOptions(**wrong)
    assert says in str(caught.value) and caught.value.fix


def test_values_at_the_ends_are_taken():
    RestoreOptions(steps=1, ensemble=4, strength=0, threads=MOST_THREADS, tile=1, precision="int8")
    RestoreOptions(model=Path("mine"), steps=np.int64(2), strength=1)


def test_a_value_is_compared_by_what_it_holds():
    assert RestoreOptions(steps=2) == RestoreOptions(steps=2) != RestoreOptions(steps=1)
    assert len({RestoreOptions(model=Path("a")), RestoreOptions(model=Path("a"))}) == 1


def test_whole_or_by_keyword():
    whole = RestoreOptions(steps=2)
    assert restore_options(whole, {}) is whole and restore_options(None, {"steps": 2}) == whole
    with pytest.raises(UsageError, match="steps, tile are both given"):
        restore_options(whole, {"steps": 2, "tile": 9})
    with pytest.raises(TypeError, match="stepz"):
        restore_options(None, {"stepz": 2})


def test_nothing_heavy_is_imported():
    code = "import sys, restorect_cli.engine.options; print(sorted({'numpy', 'onnxruntime'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The numbers of the manifest are measured again by their own commands, whatever set they name."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from scripts.conftest import load_script
from support.identity_students import write_student

from restorect_cli.models import store

PROTOCOL = "2 pictures, 8-bit rounding, no crop, fp32; input 28.13 dB"  # ten levels off: 20 log10(255 / 10)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("reproduce")


def state(root: Path, monkeypatch: pytest.MonkeyPatch, **changed: object) -> None:
    """An identity student whose manifest states one number for root/data/sub/new-set, targets apart."""
    monkeypatch.setenv("RESTORECT_WEIGHTS", str(root / "weights"))
    monkeypatch.setenv("RESTORECT_HOME", str(root / "home"))
    row = {
        "dataset": "new-set",
        "protocol": PROTOCOL,
        "measure": "RGB PSNR [dB]",
        "value": 28.13,
        "command": "python scripts/measure_quality.py denoise new-set --targets other-set/target",
    }
    store.register(write_student(root / "weights"), [{**row, **changed}])
    for folder, level in (("new-set/input", 100), ("other-set/target", 110)):
        (root / "data" / "sub" / folder).mkdir(parents=True)
        for name in "ab":
            pixels = np.full((16, 16, 3), level, np.uint8)
            Image.fromarray(pixels).save(root / "data" / "sub" / folder / f"{name}.png")


@pytest.mark.parametrize(
    ("changed", "code", "says"),
    [
        ({}, 0, "denoise-s: same, 28.13"),
        ({"value": 28.20}, 1, "DIFFERS, stated 28.2, measured 28.13"),
        ({"protocol": PROTOCOL.replace("2 pictures", "3 pictures")}, 1, "DIFFERS, stated for '3 pictures"),
        ({"protocol": PROTOCOL.replace("28.13", "29.13")}, 1, "input 29.13 dB', measured for"),
        ({"command": "python scripts/measure_quality.py denoise absent-set"}, 1, "cannot be measured"),
        ({"command": "none: the identity"}, 1, "no command to run"),
    ],
)
def test_what_is_stated_is_measured_again(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, object],
    code: int,
    says: str,
):
    state(tmp_path, monkeypatch, **changed)
    assert script.main(["--data-root", str(tmp_path / "data"), "--no-speed"]) == code
    assert says in capsys.readouterr().out

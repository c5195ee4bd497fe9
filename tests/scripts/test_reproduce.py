"""The numbers of the manifest are measured again by their own commands, whatever set they name."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from support.identity_students import write_student

from restorect_cli.models import store

from .conftest import ROOT, load_script

PROTOCOL = "2 pictures, 8-bit rounding, no crop, fp32; input 28.13 dB"  # ten levels off: 20 log10(255 / 10)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts")  # it imports card_rows
    return load_script("reproduce")


def state(root: Path, monkeypatch: pytest.MonkeyPatch, **changed: object) -> None:
    """An identity model whose manifest states one number for root/data/sub/new-set, targets apart."""
    monkeypatch.setenv("RESTORECT_WEIGHTS", str(root / "weights"))
    monkeypatch.setenv("RESTORECT_HOME", str(root / "home"))
    row = {
        "dataset": "PolyU-2",
        "protocol": PROTOCOL,
        "measure": "RGB PSNR [dB]",
        "value": 28.13,
        "command": "restorect bench --dataset PolyU-2 --targets other-set/target --metrics psnr",
    }
    store.register(write_student(root / "weights"), [{**row, **changed}])
    for folder, level in (("PolyU-2/input", 100), ("other-set/target", 110)):
        (root / "data" / "sub" / folder).mkdir(parents=True)
        for name in "ab":
            pixels = np.full((16, 16, 3), level, np.uint8)
            Image.fromarray(pixels).save(root / "data" / "sub" / folder / f"{name}.png")


@pytest.mark.parametrize(
    ("changed", "code", "says"),
    [
        ({}, 0, "denoise-s: same, 28.13"),
        ({"value": 28.20}, 1, "DIFFERS, stated 28.2, measured 28.13"),
        ({"measure": "Y PSNR [dB]"}, 1, "DIFFERS, stated for 'Y PSNR [dB]', measured for 'RGB PSNR [dB]'"),
        ({"protocol": PROTOCOL.replace("2 pictures", "3 pictures")}, 1, "DIFFERS, stated for '3 pictures"),
        ({"protocol": PROTOCOL.replace("28.13", "29.13")}, 1, "input 29.13 dB', measured for"),
        ({"command": "restorect bench --dataset absent-set --metrics psnr"}, 1, "cannot be measured"),
        ({"command": "none: the identity"}, 1, "not a command of restorect bench"),
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
    assert script.main(["--data-root", str(tmp_path / "data"), "--no-speed", "--threads", "1"]) == code
    assert says in capsys.readouterr().out

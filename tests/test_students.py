"""The students that are shipped: whole, small, and good on one photograph each.

Compared by PSNR with a margin, never by hash: another CPU rounds differently.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorect_cli import Restorer
from restorect_cli.bench.metrics import psnr
from restorect_cli.engine.restorer import BLEND_PX
from restorect_cli.engine.tiling import smallest_tile_px
from restorect_cli.models import store
from restorect_cli.models.metadata import read_metadata
from restorect_cli.models.specs import parse_spec

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLES = REPOSITORY / "examples"
STUDENTS = [entry.name for entry in store.load_manifest(REPOSITORY / "weights").students]

# RGB PSNR of examples/TASK.jpg against examples/clean/TASK.jpg, a little below what the shipped student reaches
GOLDEN = {"denoise-s": 31.5, "derain-s": 18.3, "low-light-s": 22.0, "raindrop-s": 20.99}


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / 255


def test_the_students_of_this_version_are_here():
    assert set(GOLDEN) == set(STUDENTS)


@pytest.mark.parametrize("name", STUDENTS)
def test_files_and_descriptions_agree(name: str):
    student = store.find(None, name)  # hashes every file
    assert student.entry is not None and student.entry.quality
    assert student.spec.parameters <= 800_000
    for path in (student.prior, student.velocity):
        assert parse_spec(read_metadata(path), str(path)) == student.spec
    assert student.card is not None
    card = student.card.read_text(encoding="utf-8")
    found = re.findall(r"\| ([\w-]+) \|.*\| ([\d.]+ dB) \| (\w+ PSNR) \*\*([\d.]+) dB\*\* \| `([^`]+)` \|", card)
    assert (
        found
        == [  # the card and the manifest state the same numbers
            (row.dataset, row.protocol.rpartition("input ")[2], row.measure[:-5], f"{row.value:.2f}", row.command)
            for row in student.entry.quality
        ]
    )


@pytest.mark.parametrize("name", STUDENTS)
def test_golden_picture(name: str):
    task = name.rpartition("-")[0]
    degraded, clean = read(EXAMPLES / f"{task}.jpg"), read(EXAMPLES / "clean" / f"{task}.jpg")
    restored = Restorer(task, model=name, device="cpu", threads=1).restore(degraded)
    assert psnr(restored, clean) > GOLDEN[name] > psnr(degraded, clean) + 2.5


@pytest.mark.parametrize("name", STUDENTS)
def test_tiled_equals_whole(name: str):
    degraded = read(EXAMPLES / f"{name.rpartition('-')[0]}.jpg")
    whole = Restorer(name.rpartition("-")[0], model=name, device="cpu", threads=1).restore(degraded)
    spec = store.find(None, name).spec
    least = smallest_tile_px(halo_px=spec.halo_px, blend_px=BLEND_PX, multiple=spec.size_multiple)
    tiled = Restorer(name.rpartition("-")[0], model=name, device="cpu", threads=1, tile=least + 24).restore(degraded)
    assert np.abs(tiled - whole).max() <= 1 / 255


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (1, 4000)])
def test_any_size(name: str, size: tuple[int, int]):
    image = np.random.default_rng(0).random((*size, 3), np.float32)
    restored = Restorer(name.rpartition("-")[0], model=name, device="cpu", threads=1).restore(image)
    assert restored.shape == image.shape and np.isfinite(restored).all()


@pytest.mark.parametrize("name", STUDENTS)
def test_more_steps_stay_close(name: str):
    """Every step count ends at a clean picture; none runs away."""
    task = name.rpartition("-")[0]
    degraded, clean = read(EXAMPLES / f"{task}.jpg"), read(EXAMPLES / "clean" / f"{task}.jpg")
    scores = [psnr(Restorer(task, model=name, steps=k, device="cpu").restore(degraded), clean) for k in (1, 2, 4)]
    assert min(scores) > max(scores) - 2


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize("scale", [1, 2])
def test_the_way_a_picture_is_held_changes_little(name: str, scale: int):
    """A quarter turn, or a middle cut out, shows the prior another thumbnail of the same light, rain or noise."""
    task = name.rpartition("-")[0]
    restorer = Restorer(task, model=name, device="cpu", threads=1)
    degraded, clean = (read(EXAMPLES / folder / f"{task}.jpg") for folder in (".", "clean"))
    height, width = clean.shape[:2]
    part = np.s_[: height // scale // 8 * 8, : width // scale // 8 * 8]
    turned = restorer.restore(np.ascontiguousarray(np.rot90(degraded[part])))
    upright = restorer.restore(degraded)[part]
    assert abs(psnr(turned, np.ascontiguousarray(np.rot90(clean[part]))) - psnr(upright, clean[part])) < 2.5

"""The keys of a source and of a run's data, each followed to the arrays that the net sees."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.photographs import picture, save

from restorect_cli.errors import InputError, UsageError
from restorect_cli.recipes.recipe import Recipe, SourceRecipe, load_recipe
from restorect_cli.training.data import Batch, PairStream, draw
from restorect_cli.training.loop import Trainer
from restorect_cli.training.pictures import (
    WINDOW_PIXELS,
    TrainingPicture,
    load_photograph,
    load_pictures,
    thumbnail,
    with_taught_exposure,
)

PAIR = {"folder": "pairs", "degrade": "pair", "weight": 0.5}
PHOTOS = {"folder": "photos", "degrade": "none", "weight": 0.5}


@pytest.fixture
def labelled(data: Path) -> Path:
    """The pairs of `data` with a teacher that says 0.4 everywhere, red 0.5."""
    for path in (data / "pairs/input").iterdir():
        save(np.full((64, 72, 3), 0.4) + np.array([0.1, 0, 0]), data / "pairs/teacher" / path.name)
    return data


def with_sources(recipe: Recipe, *sources: dict[str, Any], **update: Any) -> Recipe:
    return recipe.model_copy(update={"source": tuple(SourceRecipe(**source) for source in sources), **update})


def stream(recipe: Recipe, data: Path, **keys: Any) -> PairStream:
    """Of the pairs alone, under these keys of their source."""
    return PairStream(with_sources(recipe, {**PAIR, **keys}), data)


def same(one: Batch, two: Batch) -> list[bool]:
    return [np.array_equal(getattr(one, f.name), getattr(two, f.name)) for f in fields(one)]


def test_a_teachers_picture_is_the_clean_end(labelled: Path, recipe: Recipe):
    exact, taught = (stream(recipe, labelled, truth=truth).batch(3) for truth in ("exact", "teacher"))
    assert np.array_equal(exact.y, taught.y) and not np.array_equal(exact.x, taught.x)
    np.testing.assert_allclose(taught.x[:, 0], 0.5, atol=0.5 / 255)
    np.testing.assert_allclose(taught.x[:, 1:], 0.4, atol=1e-6)


def test_labels_without_a_truth_are_targets(data: Path, recipe: Recipe):
    """As `label` writes them: there is no teacher/ beside them."""
    assert all(same(stream(recipe, data, truth="teacher").batch(0), stream(recipe, data).batch(0)))


def test_truth_and_teacher_are_mixed_pixel_by_pixel(labelled: Path, recipe: Recipe):
    exact, mixed = (stream(recipe, labelled, truth=truth, truth_weight=0.7).batch(2) for truth in ("exact", "mixed"))
    label = np.float32([0.5, 0.4, 0.4]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(mixed.x, 0.7 * exact.x + 0.3 * label, atol=0.2 / 255)
    assert np.array_equal(exact.y, mixed.y) and np.array_equal(exact.thumb, mixed.thumb)


def test_a_picture_and_its_label_are_cropped_and_turned_alike():
    truth = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    thumb = thumbnail(truth)
    pair = TrainingPicture("a", truth, truth // 2, thumb, thumb, truth)
    for seed in range(8):
        y, x, _, _ = draw(pair, None, 32, np.random.default_rng(seed), taught_share=1.0)  # type: ignore[arg-type]
        assert np.array_equal(x, draw(pair, None, 32, np.random.default_rng(seed))[1])  # type: ignore[arg-type]
        np.testing.assert_allclose(y, np.floor(x * 255 / 2 + 1e-3) / 255, atol=1e-6)


def test_exposure_is_the_teachers_and_detail_the_truths():
    """A truth twice as bright as the teacher's picture, with a fine pattern that the teacher lacks."""
    rows, columns = np.mgrid[:64, :96]
    pattern = np.where((rows + columns) % 2, 0.9, 1.1)[..., None] * np.ones(3)
    truth, teacher = 0.6 * pattern, 0.4 * np.ones((64, 96, 3)) * np.array([1, 1, 0.9])
    as_u8 = [np.round(255 * image).astype(np.uint8) for image in (truth, teacher)]
    thumb = thumbnail(as_u8[0])
    lit = with_taught_exposure(TrainingPicture("a", as_u8[0], as_u8[0], thumb, thumb, as_u8[1])).taught
    assert lit is not None
    np.testing.assert_allclose(lit.mean(axis=(0, 1)) / 255, teacher.mean(axis=(0, 1)), atol=0.01)
    np.testing.assert_allclose(lit / 255, teacher * pattern, atol=0.02)


def test_exposure_reaches_the_target(labelled: Path, recipe: Recipe):
    lit, exact = stream(recipe, labelled, exposure="teacher").batch(1), stream(recipe, labelled).batch(1)
    assert np.array_equal(lit.y, exact.y) and np.abs(lit.x - exact.x).mean() > 0.02
    assert abs(lit.x[:, 1].mean() - 0.4) < abs(exact.x[:, 1].mean() - 0.4)


def test_the_teacher_fades_over_the_last_part(labelled: Path, recipe: Recipe):
    run = with_sources(recipe, {**PAIR, "truth": "mixed", "truth_weight": 0.0}, iterations=90, fade_teacher=1 / 3)
    faded, exact = PairStream(run, labelled), PairStream(with_sources(run, PAIR), labelled)
    assert [round(run.teacher_share(i), 3) for i in (0, 59, 60, 75, 90)] == [1, 1, 1, 0.5, 0]
    for iteration, share in ((10, 1.0), (75, 0.5), (89, 1 / 30)):
        x, truth = faded.batch(iteration).x, exact.batch(iteration).x
        label = np.float32([0.5, 0.4, 0.4]).reshape(1, 3, 1, 1)
        np.testing.assert_allclose(x, share * label + (1 - share) * truth, atol=0.6 / 255)


def test_labels_without_a_truth_are_drawn_more_seldom(labelled: Path, recipe: Recipe):
    run = with_sources(recipe, {**PAIR, "truth": "teacher"}, PHOTOS, iterations=90, fade_teacher=1 / 3)
    found = PairStream(run, labelled)
    np.testing.assert_allclose(found.weights(0), [0.5, 0.5])
    np.testing.assert_allclose(found.weights(75), [1 / 3, 2 / 3])
    assert found.weights(89)[0] < 0.04


def test_gamma_is_one_power_for_input_and_thumbnail(data: Path, recipe: Recipe):
    recipe = recipe.model_copy(update={"task": "low-light"})  # no zoom, which comes before it
    plain, bent = stream(recipe, data).batch(0), stream(recipe, data, gamma=(0.5, 2.0)).batch(0)
    assert np.array_equal(plain.x, bent.x)
    powers = []
    for number in range(len(plain.y)):
        y, inside = plain.y[number], (plain.y[number] > 0.05) & (plain.y[number] < 0.95)
        power = np.median(np.log(bent.y[number][inside]) / np.log(y[inside]))
        np.testing.assert_allclose(bent.y[number], y**power, atol=1e-4)
        np.testing.assert_allclose(bent.thumb[number], plain.thumb[number] ** power, atol=1e-4)
        powers.append(float(power))
    assert all(0.5 <= power <= 2 for power in powers) and len(set(powers)) == len(powers)


def test_noise_layers_keep_their_sign(data: Path, recipe: Recipe):
    """The pairs' inputs are half as bright: all of their layer is negative."""
    source = {**PHOTOS, "degrade": "noise-layers", "layers": "pairs"}
    batch = PairStream(with_sources(recipe, source), data).batch(0)
    assert (batch.y <= batch.x + 0.5 / 255).all() and (batch.x - batch.y).mean() > 0.1


def test_photographs_at_several_scales(tmp_path: Path):
    save(picture(0, 900, 1200), tmp_path / "photos/large.png")
    save(picture(1, 90, 120), tmp_path / "photos/small.png")
    views = load_pictures(tmp_path / "photos", False, 64, scales=(1.0, 1.5, 3.0))
    assert [view.name for view in views] == ["large"] * 3 + ["small"]  # which is smaller than a crop at the others
    assert views[2].clean.shape == (300, 400, 3) and views[3].clean.shape == (90, 120, 3)
    for view in views[:2]:  # windows, of 1.08 and 0.48 megapixels
        assert 0.99 * WINDOW_PIXELS < view.clean[..., 0].size <= WINDOW_PIXELS
    assert all(np.array_equal(v.clean_thumb, views[0].clean_thumb) for v in views[:3])  # the whole photograph's
    again = load_photograph(tmp_path / "photos/large.png", (1.0, 1.5, 3.0), 64)
    assert all(np.array_equal(a.clean, b.clean) for a, b in zip(views, again, strict=False))
    whole = np.asarray(Image.open(tmp_path / "photos/large.png"))
    (one,) = load_photograph(tmp_path / "photos/large.png")
    assert np.array_equal(one.clean, whole)


def test_crops_grow_at_the_end_and_a_resumed_run_sees_the_same(data: Path, recipe: Recipe, tmp_path: Path):
    run = recipe.model_copy(update={"crop_final_px": 48, "final_share": 0.34, "batch": 4, "iterations": 6})
    found = PairStream(run, data)
    assert [found.batch(i).y.shape for i in (0, 3, 4, 5)] == [(4, 3, 32, 32)] * 2 + [(2, 3, 48, 48)] * 2
    own = run.model_copy(update={"batch_final": 3})
    assert PairStream(own, data).batch(5).x.shape == (3, 3, 48, 48)

    whole = Trainer(run, data, tmp_path / "whole", threads=1)
    whole.train()
    parts = Trainer(run, data, tmp_path / "parts", threads=1)
    for _ in range(5):
        parts.step()
        parts.iteration += 1
    parts.save()
    second = Trainer(run, data, tmp_path / "parts", threads=1, resume=True)
    second.train()
    pairs = zip(whole.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_pictures_too_small_for_the_larger_crops_are_said_at_the_start(data: Path, recipe: Recipe):
    with pytest.raises(InputError, match="'photos' has no pictures of 128x128 pixels"):
        PairStream(recipe.model_copy(update={"crop_final_px": 128}), data)


@pytest.mark.parametrize("keys", [{"truth": "mixed"}, {"exposure": "teacher"}])
def test_labels_that_are_not_there_are_asked_for(data: Path, recipe: Recipe, keys: dict[str, str]):
    with pytest.raises(InputError, match=r"pairs has no teacher/: make it: restorect label"):
        stream(recipe, data, **keys)


@pytest.mark.parametrize(
    "key",
    [
        {"truth": "teacher"},
        {"truth": "mixed", "truth_weight": 0.5},
        {"exposure": "teacher"},
        {"gamma": (0.5, 0.6)},
        {"match_exposure": True},
    ],
)
def test_each_key_of_a_source_changes_what_the_net_learns(
    labelled: Path, recipe: Recipe, tmp_path: Path, key: dict[str, Any]
):
    """After one step, from the same weights; of squares, because of l1 the sign alone would count."""
    nets = []
    for name, own in (("plain", PAIR), ("keyed", {**PAIR, **key})):
        trainer = Trainer(with_sources(recipe, own, loss="l2"), labelled, tmp_path / name, threads=1)
        trainer.step()
        nets.append(torch.cat([p.flatten() for p in trainer.model.parameters()]))
    assert not torch.equal(*nets)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('degrade = "none"\ntruth = "teacher"', "are for pairs"),
        ('degrade = "none"\ngamma = [0.5, 2.0]', "are for pairs"),
        ('degrade = "pair"\nscales = [1.0, 2.0]', "are for photographs"),
        ('degrade = "pair"\ntruth = "mixed"\nexposure = "teacher"', "takes its detail from the truth"),
        ('degrade = "pair"\ngamma = [2.0, 0.5]', "lowest, highest"),
        ('degrade = "noise-layers"', "noise-layers needs `layers`"),
        ('degrade = "none"\nscales = [0.5]', "greater than or equal to 1"),
    ],
)
def test_keys_that_do_not_go_together(tmp_path: Path, text: str, said: str):
    path = tmp_path / "r.toml"
    path.write_text(f'task = "denoise"\niterations = 9\n[[source]]\nfolder = "x"\nweight = 1\n{text}\n')
    with pytest.raises(UsageError, match=said):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("fade_teacher = 0.3", "leaves nothing to train on"),
        ("crop_px = 64\ncrop_final_px = 48", "smaller than crop_px"),
        ("batch_final = 3", "goes with crop_final_px"),
    ],
)
def test_keys_of_a_run_that_do_not_go_together(tmp_path: Path, head: str, said: str):
    path = tmp_path / "r.toml"
    source = '[[source]]\nfolder = "x"\nweight = 1\ndegrade = "pair"\ntruth = "teacher"\n'
    path.write_text(f'task = "denoise"\niterations = 9\n{head}\n{source}')
    with pytest.raises(UsageError, match=said):
        load_recipe(str(path))

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.photographs import picture, save

from restorect_cli.degrade.table import Scene
from restorect_cli.engine.prior import statistics_batch
from restorect_cli.errors import InputError
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.data import (
    Item,
    PairStream,
    draw,
    load_layers,
    load_pairs,
    read_pixels,
    scene_labels,
    thumbnail,
    with_matched_exposure,
)


def test_batch_depends_on_the_recipe_and_its_number_only(data: Path, recipe: Recipe):
    one, two = PairStream(recipe, data), PairStream(recipe, data)
    one.batch(0)
    for name in ("y", "x", "thumb", "clean_thumb", "statistics"):
        np.testing.assert_array_equal(getattr(one.batch(3), name), getattr(two.batch(3), name))
    assert not np.array_equal(one.batch(3).y, one.batch(4).y)


def test_batch_shapes_and_statistics(data: Path, recipe: Recipe):
    batch = PairStream(recipe, data).batch(0)
    assert batch.y.shape == batch.x.shape == (2, 3, 32, 32)
    assert batch.thumb.shape == batch.clean_thumb.shape == (2, 3, 100, 150)
    expected = statistics_batch(np.ascontiguousarray(batch.y.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(batch.statistics, expected, rtol=1e-5)


@pytest.mark.parametrize("task", ["low-light", "denoise"])
def test_both_thumbnails_show_the_same_part_of_the_picture(data: Path, recipe: Recipe, task: str):
    """The pairs' inputs are half as bright; in tasks other than low light thumbnails are zoomed."""
    stream = PairStream(recipe.model_copy(update={"task": task, "batch": 8, "source": recipe.source[1:]}), data)
    batch = stream.batch(1)
    np.testing.assert_allclose(batch.thumb, 0.5 * batch.clean_thumb, atol=0.01)
    assert not np.array_equal(batch.clean_thumb[0], batch.clean_thumb[1])


def test_validation_pictures_are_not_trained_on(data: Path, recipe: Recipe):
    stream = PairStream(recipe, data)
    for train, validation in zip(stream.train, stream.validation, strict=True):
        assert train and validation
        assert not {i.name for i in train} & {i.name for i in validation}


def test_a_scene_held_out_in_one_folder_is_not_trained_on_in_another(data: Path, recipe: Recipe):
    """Nor are its rain layers: in derain's data the pairs' backgrounds are among the photographs."""
    for number in range(12):
        photo = picture(100 + number)
        if number < 8:
            save(photo, data / "photos" / f"{number}.png")
        if number > 2:
            save(0.6 * photo, data / "other" / "target" / f"{number}.png")
            save(0.9 * photo, data / "other" / "input" / f"{number}.png")
    pairs = recipe.source[1].model_copy(update={"folder": "other"})
    rain = recipe.source[0].model_copy(update={"degrade": "rain-layers", "layers": "other"})
    stream = PairStream(recipe.model_copy(update={"source": (recipe.source[0], pairs, rain)}), data)
    held = [item for items in stream.validation for item in items]
    names = {item.name for item in held}
    assert len(names) == 2  # another in each folder
    for train, folder in zip(stream.train, (range(8), range(3, 12), range(8)), strict=True):
        assert {item.name for item in train} == {str(number) for number in folder} - names
    assert len(load_layers(data, rain, 32, held)) == len({str(number) for number in range(3, 12)} - names)


def test_one_scene_at_two_exposures_has_one_label():
    thumbs = [thumbnail((p * 255).astype(np.uint8)) for p in (picture(1), picture(2), 0.4 * picture(1))]
    labels = scene_labels(thumbs)
    assert labels[0] == labels[2] != labels[1]


def test_exposure_of_the_target_is_fitted_to_the_input(data: Path):
    item = with_matched_exposure(load_pairs(data / "pairs")[0])  # inputs are half as bright
    assert item.degraded is not None
    assert np.abs(item.clean.astype(int) - item.degraded).max() <= 2
    assert item.degraded_thumb is not None
    np.testing.assert_allclose(item.clean_thumb, item.degraded_thumb, atol=0.01)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda root: (root / "pairs" / "target" / "20.png").unlink(), "no partner"),
        (lambda root: save(picture(1), root / "pairs" / "target" / "20.webp"), "holds both 20.png and 20.webp"),
        (lambda root: save(picture(1, 40, 40), root / "pairs" / "target" / "20.png"), "differ in size"),
        (lambda root: (root / "pairs" / "input" / "20.png").write_bytes(b"not a picture"), "cannot read"),
        (lambda root: [p.unlink() for p in sorted((root / "photos").iterdir())[1:]], "at least two"),
        (
            lambda root: (root / "photos").rename(root / "other"),
            "lacks folders that the recipe names: photos",
        ),
    ],
)
def test_bad_data_is_named(data: Path, recipe: Recipe, change, said: str):  # type: ignore[no-untyped-def]
    change(data)
    with pytest.raises(InputError, match=said):
        PairStream(recipe, data)


def test_pictures_are_read_as_they_are_shown(tmp_path: Path):
    grey = np.linspace(0, 65535, 48 * 64).reshape(48, 64).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_allclose(read_pixels(tmp_path / "grey.png")[..., 1], grey / 257, atol=0.51)
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter
    Image.fromarray((255 * picture(1, 48, 64)).astype(np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_pixels(tmp_path / "turned.jpg").shape == (64, 48, 3)
    Image.new("RGBA", (48, 64), (200, 100, 50, 0)).save(tmp_path / "clear.png")
    assert read_pixels(tmp_path / "clear.png").max() == 0


def test_rain_layers_smaller_than_a_crop_are_named(data: Path, recipe: Recipe):
    rain = recipe.source[0].model_copy(update={"degrade": "rain-layers", "layers": "pairs"})
    assert len(load_layers(data, rain, 64)) == 4
    with pytest.raises(InputError, match="no rain layers of 72x72"):
        load_layers(data, rain, 72)


@pytest.mark.parametrize("shape", [(64, 96), (96, 64)])
def test_a_degradation_sees_the_whole_picture_as_the_crop_stands(shape: tuple[int, int]):
    """Flipped and turned as the crop is, whatever the thumbnail for the prior shows; a portrait stands upright."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    pixels = np.stack([rows * 2, columns * 2, rows + columns], axis=-1).astype(np.uint8)
    item = Item("gradients", pixels, None, thumbnail(pixels), None)
    seen: list[Scene] = []

    def spy(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        seen.append(scene)
        return scene.crop, scene.thumb

    for seed in range(40):
        draw(item, spy, 48, np.random.default_rng(seed), zoom=True)
    for scene in seen:
        assert scene.whole is not None
        assert (scene.whole.shape[0] > scene.whole.shape[1]) == (scene.picture_height_px == 96)
        for axis in (0, 1):
            slopes = [np.diff(image, axis=axis).mean(axis=(0, 1)) for image in (scene.crop, scene.whole)]
            assert (np.sign(np.round(slopes[0], 5)) == np.sign(np.round(slopes[1], 5))).all()
    assert len({tuple(np.sign(np.diff(scene.crop, axis=0).mean(axis=(0, 1)))) for scene in seen}) == 4

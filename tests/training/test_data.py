from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.photographs import picture, save

from restorect_cli.degrade.table import Scene
from restorect_cli.engine.prior import statistics_batch
from restorect_cli.errors import InputError
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.data import PairStream, draw, load_layers
from restorect_cli.training.pictures import TrainingPicture, thumbnail


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
    shown = TrainingPicture("gradients", pixels, None, thumbnail(pixels), None)
    seen: list[Scene] = []

    def spy(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        seen.append(scene)
        return scene.crop, scene.thumb

    for seed in range(40):
        draw(shown, spy, 48, np.random.default_rng(seed), zoom=True)
    for scene in seen:
        assert scene.whole is not None
        assert (scene.whole.shape[0] > scene.whole.shape[1]) == (scene.picture_height_px == 96)
        for axis in (0, 1):
            slopes = [np.diff(image, axis=axis).mean(axis=(0, 1)) for image in (scene.crop, scene.whole)]
            assert (np.sign(np.round(slopes[0], 5)) == np.sign(np.round(slopes[1], 5))).all()
    assert len({tuple(np.sign(np.diff(scene.crop, axis=0).mean(axis=(0, 1)))) for scene in seen}) == 4

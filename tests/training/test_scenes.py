from __future__ import annotations

from pathlib import Path

import numpy as np
from support.photographs import picture, save

from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.data import PairStream, load_layers
from restorect_cli.training.pictures import thumbnail
from restorect_cli.training.scenes import scene_labels


def test_one_scene_at_two_exposures_has_one_label():
    thumbs = [thumbnail((p * 255).astype(np.uint8)) for p in (picture(1), picture(2), 0.4 * picture(1))]
    labels = scene_labels(thumbs)
    assert labels[0] == labels[2] != labels[1]


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

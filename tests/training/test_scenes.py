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
    names = [f"{number:02}" for number in range(12)]
    for number, name in enumerate(names):
        photo = picture(100 + number)
        if number < 8:
            save(photo, data / "some" / f"{name}.png")
        save(0.6 * photo, data / "other" / "target" / f"{name}.png")
        save(0.9 * photo, data / "other" / "input" / f"{name}.png")
    pairs = recipe.source[1].model_copy(update={"folder": "other"})
    photographs = recipe.source[0].model_copy(update={"folder": "some"})
    rain = photographs.model_copy(update={"degrade": "rain-layers", "layers": "other"})
    stream = PairStream(recipe.model_copy(update={"source": (photographs, pairs, rain)}), data)
    some, others, _ = ({shown.name for shown in part} for part in stream.validation)
    held = some | others
    assert len(held) == 2 and held <= set(names[:8])  # each folder holds out a scene that the other has too
    for train, folder in zip(stream.train, (names[:8], names, names[:8]), strict=True):
        assert {shown.name for shown in train} == set(folder) - held
    assert len(load_layers(data, rain, 32, [shown for part in stream.validation for shown in part])) == 10

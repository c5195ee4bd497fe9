from __future__ import annotations

from pathlib import Path

import pytest
from support.photographs import picture, save

from restorect_cli.degrade.pairs import Photograph, degradations, make_pairs
from restorect_cli.errors import OutputError
from restorect_cli.recipes.recipe import load_recipe
from restorect_cli.recipes.starters import write_recipes
from restorect_cli.training.data import PairStream


@pytest.mark.parametrize(
    ("sides_px", "crop_px"), [([500], 112), ([16], 16), ([30, 400, 500], 24), ([30, *[100] * 10], 96)]
)
def test_the_recipes_beside_the_pairs_are_valid_and_their_crops_fit(tmp_path: Path, sides_px: list[int], crop_px: int):
    paths = write_recipes(tmp_path, "derain", ["rain-light", "rain-heavy"], 30, sides_px)
    assert [path.name for path in paths] == ["recipe.toml", "teacher.toml", "distilled.toml"]
    plain, teacher, distilled = (load_recipe(str(path)) for path in paths)
    for recipe in (plain, teacher, distilled):
        assert recipe.task == "derain" and recipe.crop_px <= crop_px
        shares = {(source.folder, source.degrade): source.weight for source in recipe.source}
        assert shares == {(".", "pair"): 0.5, ("target", "rain-light"): 0.25, ("target", "rain-heavy"): 0.25}
    assert (plain.crop_px, teacher.net, distilled.net) == (crop_px, "teacher-tiny", "s")
    assert plain.distill is None and distilled.distill is not None
    assert [recipe.iterations for recipe in (plain, teacher, distilled)] == [3000, 1800, 1800]
    paths[0].write_text("mine")
    paths[1].unlink()
    assert (
        write_recipes(tmp_path, "derain", ["rain-light"], 30, sides_px) == [paths[1]] and paths[0].read_text() == "mine"
    )
    with pytest.raises(OutputError, match=r"cannot write .*recipe\.toml"):
        write_recipes(tmp_path / "absent", "derain", ["rain-light"], 30, sides_px)


def test_no_scene_is_both_learned_from_and_held_out(tmp_path: Path):
    """Pairs and their clean pictures hold out the same photographs, several pairs of each."""
    for number in range(6):
        photograph = Photograph(tmp_path / f"{number}.png", (f"{number}-1", f"{number}-2"))
        save(picture(number, 96, 128), photograph.path)
        list(make_pairs(photograph, tmp_path / "out", degradations("denoise", None), seed=0, largest_pixels=10**6))
    paths = write_recipes(tmp_path / "out", "denoise", degradations("denoise", None), 6, [96])
    stream = PairStream(load_recipe(str(paths[0])), tmp_path / "out")
    held = [{shown.name.partition("-")[0] for shown in part} for part in stream.validation]
    assert held[0] and all(names == held[0] for names in held)

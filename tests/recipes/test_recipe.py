from __future__ import annotations

from pathlib import Path

import pytest

from restorect_cli.errors import InputError, UsageError
from restorect_cli.recipes.recipe import STUDENTS_OWN, TEACHERS_OWN, Recipe, load_recipe, shipped_recipes
from restorect_cli.training.stages.table import student_shape


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_valid(name: str):
    assert load_recipe(name).iterations > 0


def test_a_misspelt_key_is_named(tmp_path: Path):
    path = tmp_path / "r.toml"
    path.write_text(
        'task = "denoise"\niterations = 5\nlerning_rate = 1\n[[source]]\nfolder="a"\ndegrade="none"\nweight=1\n'
    )
    with pytest.raises(UsageError, match="lerning_rate"):
        load_recipe(str(path))


def test_unknown_recipes_and_files(tmp_path: Path):
    with pytest.raises(UsageError, match="denoise-s"):
        load_recipe("no-such-recipe")
    with pytest.raises(InputError, match=r"none\.toml"):
        load_recipe(str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_text("= = =")
    with pytest.raises(UsageError, match="not valid TOML"):
        load_recipe(str(tmp_path / "bad.toml"))


def test_rain_layers_must_be_named(tmp_path: Path):
    path = tmp_path / "r.toml"
    path.write_text(
        'task = "derain"\niterations = 5\n[[source]]\nfolder="a"\ndegrade="rain-layers"\nweight=1\n', encoding="utf-8"
    )
    with pytest.raises(UsageError, match="needs `layers`"):
        load_recipe(str(path))


def test_a_teacher_has_no_context_block(tmp_path: Path):
    path = tmp_path / "r.toml"
    text = (
        'task = "derain"\nnet = "{}"\ncontext = 8\niterations = 5\n[[source]]\nfolder="a"\ndegrade="none"\nweight=1\n'
    )
    path.write_text(text.format("s"), encoding="utf-8")
    assert student_shape(load_recipe(str(path))).context == 8
    path.write_text(text.format("teacher-tiny"), encoding="utf-8")
    with pytest.raises(UsageError, match="a teacher is not trained by context"):
        load_recipe(str(path))


def test_the_recipe_of_the_guide_is_valid(tmp_path: Path):
    guide = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    path = tmp_path / "guide.toml"
    path.write_text(guide.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    assert [source.degrade for source in load_recipe(str(path)).source] == ["rain-light", "rain-heavy", "pair", "none"]


@pytest.mark.parametrize("value", ["inf", "nan"])
@pytest.mark.parametrize("key", ["learning_rate", "source.0.weight", "distill.maps_weight"])
def test_numbers_are_finite(tmp_path: Path, key: str, value: str):
    values = {"learning_rate": "1e-3", "source.0.weight": "1", "distill.maps_weight": "0.1"} | {key: value}
    path = tmp_path / "r.toml"
    path.write_text(
        f"""task = "derain"
iterations = 5
learning_rate = {values["learning_rate"]}
distill = {{maps_weight = {values["distill.maps_weight"]}}}
source = [{{folder = "a", degrade = "none", weight = {values["source.0.weight"]}}}]
"""
    )
    with pytest.raises(UsageError, match=f"key '{key}'.*finite"):
        load_recipe(str(path))


FOREIGN = {
    "teacher-tiny": {
        "context": 8,
        "target": "velocity",
        "grid": "uniform",
        "loss": "l2",
        "final_l2": 0.2,
        "detail_weight": 0.5,
        "start_share": 1.0,
        "consistency": "cheap",
        "consistency_weight": 0.1,
        "consistency_steps": [2],
        "consistency_share": 1.0,
        "distill": {},
    },
    "s": {"oracle_share": 0.5, "hvi_weight": 0.0},
}


@pytest.mark.parametrize(("net", "key"), [(net, key) for net, keys in FOREIGN.items() for key in keys])
def test_what_a_net_is_not_trained_by_is_refused(recipe: Recipe, net: str, key: str):
    assert set(FOREIGN["teacher-tiny"]) == set(STUDENTS_OWN) and set(FOREIGN["s"]) == set(TEACHERS_OWN)
    record = recipe.model_copy(update={"net": net}).model_dump()  # every key at its default: as a run's record
    assert Recipe.model_validate(record).net == net
    with pytest.raises(ValueError, match=f"is not trained by {key}|only a student learns"):
        Recipe.model_validate(record | {key: FOREIGN[net][key]})
    other = "s" if net != "s" else "teacher-tiny"
    taken = Recipe.model_validate(record | {"net": other, key: FOREIGN[net][key]}).with_net(net)
    assert taken == Recipe.model_validate(record)


def test_what_is_wrong_with_several_keys_is_said_of_none(tmp_path: Path):
    path = tmp_path / "r.toml"
    path.write_text(
        'task = "derain"\nnet = "teacher-tiny"\nstart_share = 1\niterations = 5\n'
        '[[source]]\nfolder="a"\ndegrade="none"\nweight=1\n'
    )
    with pytest.raises(UsageError, match=r"r\.toml: a teacher is not trained by start_share: leave it out"):
        load_recipe(str(path))

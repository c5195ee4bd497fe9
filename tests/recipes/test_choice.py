from __future__ import annotations

from pathlib import Path

import pytest

from restorect_cli.errors import UsageError
from restorect_cli.names import TASKS
from restorect_cli.recipes.choice import choose_recipe, distilling, forerunners
from restorect_cli.recipes.recipe import Recipe, load_recipe, shipped_recipes

RECIPE = 'task = "derain"\nnet = "tiny"\niterations = 5\n[[source]]\nfolder = "."\ndegrade = "pair"\nweight = 1\n'


@pytest.fixture
def own(tmp_path: Path) -> str:
    """my.toml, which trains a derain student-tiny."""
    path = tmp_path / "my.toml"
    path.write_text(RECIPE)
    return str(path)


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_a_recipe(tmp_path: Path, task: str):
    chosen = choose_recipe(None, tmp_path, task=task)
    assert (chosen.recipe, chosen.run) == (load_recipe(f"{task}-s"), Path(f"runs/{task}-s"))


def test_the_net_may_be_another_one(tmp_path: Path):
    chosen = choose_recipe(None, tmp_path, task="raindrop", net="m")
    assert chosen.recipe == load_recipe("raindrop-s").model_copy(update={"net": "m"})
    assert chosen.run == Path("runs/raindrop-m")


def test_the_recipe_that_lies_with_the_data_comes_before_the_shipped_one(tmp_path: Path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    for task, net, run in ((None, None, "derain-tiny"), ("derain", None, "derain-tiny"), (None, "s", "derain-s")):
        chosen = choose_recipe(None, tmp_path, task=task, net=net)
        assert (chosen.recipe.iterations, chosen.run) == (5, Path("runs", run))
    assert choose_recipe("denoise-s", tmp_path).recipe == load_recipe("denoise-s")
    with pytest.raises(UsageError, match=r"recipe\.toml is for derain, not denoise"):
        choose_recipe(None, tmp_path, task="denoise")


def test_a_teacher_has_a_recipe_of_its_own_with_the_data(tmp_path: Path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    assert choose_recipe(None, tmp_path, net="teacher-tiny").recipe.iterations == 5
    assert distilling(tmp_path) == str(tmp_path / "recipe.toml")
    (tmp_path / "teacher.toml").write_text(RECIPE.replace('"tiny"', '"teacher-tiny"').replace("5", "7"))
    (tmp_path / "distilled.toml").write_text(RECIPE)
    chosen = choose_recipe(None, tmp_path, net="teacher-small")
    assert (chosen.recipe.iterations, chosen.recipe.net, chosen.run) == (
        7,
        "teacher-small",
        Path("runs/derain-teacher-small"),
    )
    assert choose_recipe(None, tmp_path).recipe.iterations == 5
    assert distilling(tmp_path) == str(tmp_path / "distilled.toml")
    assert distilling(tmp_path / "elsewhere") is None


def test_a_teacher_by_a_students_recipe_has_nothing_of_the_student(tmp_path: Path):
    """As `degrade` wrote recipes before there were teachers'."""
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("[[", "final_l2 = 0.25\nstart_share = 0.65\n[[", 1))
    taught = choose_recipe(None, tmp_path, net="teacher-tiny").recipe
    assert (taught.net, taught.final_l2, taught.start_share) == ("teacher-tiny", 0.0, 0.5)
    assert Recipe.model_validate_json(taught.model_dump_json()) == taught  # a distillation can read the record


def test_what_is_said_beside_a_named_recipe_must_agree_with_it(tmp_path: Path, own: str):
    assert choose_recipe(own, tmp_path, task="derain", net="tiny").run == Path("runs/my")
    with pytest.raises(UsageError, match="is for derain, not raindrop"):
        choose_recipe(own, tmp_path, task="raindrop")
    with pytest.raises(UsageError, match="trains student-tiny, not student-s"):
        choose_recipe(own, tmp_path, net="s")


def test_something_must_say_what_to_train(tmp_path: Path):
    with pytest.raises(UsageError, match="say --task, or name a .toml file or one of denoise-s"):
        choose_recipe(None, tmp_path, net="s")


def test_a_chain_of_recipes_is_told_from_its_start():
    assert forerunners(load_recipe("denoise-s")) == ["denoise-s-first", "denoise-s-second", "denoise-s-third"]
    assert forerunners(load_recipe("denoise-s-first")) == []
    elsewhere = load_recipe("denoise-s").model_copy(update={"init_from": "mine"})
    assert forerunners(elsewhere) == ["mine"]


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_chains_keep_task_and_net(name: str):
    recipe = load_recipe(name)
    for before in map(load_recipe, forerunners(recipe)):
        assert (before.task, before.net) == (recipe.task, recipe.net)


def test_where_weights_came_from_is_no_part_of_what_a_resumed_run_must_match():
    recipe = load_recipe("denoise-s")
    assert Recipe.model_validate_json(recipe.model_dump_json()).init_from is None


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("net", ["teacher-tiny", "teacher-small", "teacher-paper"])
def test_each_task_has_a_recipe_for_teachers(tmp_path: Path, task: str, net: str):
    chosen = choose_recipe(None, tmp_path, task=task, net=net)
    assert chosen.recipe == load_recipe(f"{task}-teacher").model_copy(update={"net": net})
    assert chosen.run == Path(f"runs/{task}-{net}")


@pytest.mark.parametrize("task", TASKS)
def test_a_distilled_student_differs_from_its_twin_by_the_teacher_alone(task: str):
    twin = load_recipe(f"{task}-s-first" if f"{task}-s-first" in shipped_recipes() else f"{task}-s")
    distilled = load_recipe(f"{task}-s-distilled")
    assert distilled.distill is not None
    if task == "low-light":  # a shorter run
        assert (distilled.net, distilled.source) == (twin.net, twin.source)
    else:
        assert distilled.model_copy(update={"distill": None}) == twin


@pytest.mark.parametrize("task", TASKS)
def test_a_teacher_learns_from_the_sources_of_its_students(task: str):
    assert load_recipe(f"{task}-teacher").source == load_recipe(f"{task}-s-distilled").source

"""Which recipe a run follows, from what the user said, and where the run goes if the user did not say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..names import called
from .recipe import Recipe, load_recipe, shipped_recipes
from .starters import DISTILLED_FILE, RECIPE_FILE, TEACHER_FILE

RUNS = Path("runs")


@dataclass(frozen=True)
class ChosenRecipe:
    """A recipe, how it is called (a shipped name or a path), and the default folder of its run."""

    recipe: Recipe
    name: str
    run: Path


def choose_recipe(named: str | None, data: Path, *, task: str | None = None, net: str | None = None) -> ChosenRecipe:
    """The recipe `named`; else recipe.toml in the `data` folder (for a teacher teacher.toml); else that of the `task`.

    `net` overrides the net of a recipe that was picked automatically; keys that apply only to the other kind of net get
    their defaults.
    Raises UsageError where nothing says which recipe, or where it is one of another task, or a named one of another
    net; and what `load_recipe` raises.
    """
    teaches = net is not None and called(net) == net  # a student's net is called by its size alone
    own = data / (TEACHER_FILE if teaches and (data / TEACHER_FILE).is_file() else RECIPE_FILE)
    if named is not None:
        name = named
    elif own.is_file():
        name = str(own)
    elif task is not None:
        usual = f"{task}-teacher" if teaches else f"{task}-s"
        name = f"{task}-{net}" if f"{task}-{net}" in shipped_recipes() else usual
    else:
        raise UsageError(
            "no recipe is named and the data folder holds none",
            f"say --task, or name a .toml file or one of {', '.join(shipped_recipes())}",
        )
    recipe = load_recipe(name)
    if task not in (None, recipe.task):
        raise UsageError(f"recipe {name} is for {recipe.task}, not {task}", "leave --task out or name another recipe")
    if net is not None and net != recipe.net:
        if named is not None:
            raise UsageError(
                f"recipe {name} trains {called(recipe.net)}, not {called(net)}",
                "leave --net out or change its net",
            )
        recipe = recipe.with_net(net)
    return ChosenRecipe(recipe, name, RUNS / _run_name(name, recipe, own=name == str(own)))


def distilling(data: Path) -> str | None:
    """The recipe that lies with the data for a student of a teacher; None where there is none."""
    own = (data / name for name in (DISTILLED_FILE, RECIPE_FILE))
    return next((str(path) for path in own if path.is_file()), None)


def _run_name(name: str, recipe: Recipe, *, own: bool) -> str:
    if own or name in (f"{recipe.task}-s", f"{recipe.task}-teacher"):  # the net may be another
        return f"{recipe.task}-{recipe.net}"
    return Path(name).stem


def forerunners(recipe: Recipe) -> list[str]:
    """Recipes to train before this one, first to last; each goes on from the weights of the one before (--init)."""
    names: list[str] = []
    while recipe.init_from is not None:
        names.insert(0, recipe.init_from)
        if recipe.init_from not in shipped_recipes():
            break
        recipe = load_recipe(recipe.init_from)
    return names

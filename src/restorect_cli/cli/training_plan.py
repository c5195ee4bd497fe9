"""What `--dry-run` of a training tells: sizes, steps, hours, memory."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..names import called
from .output import Output

if TYPE_CHECKING:
    from ..recipes.recipe import Recipe
    from ..training.plan import Plan


def tell_plan(
    recipe: Recipe, data: Path, device: str, out: Output, *, teacher: Path | None = None, threads: int | None = None
) -> None:
    """Try the recipe and tell what the whole of it will take; nothing is written.

    Raises InputError where `data` lacks a folder that the recipe names: without pictures there are no hours to tell.
    """
    import torch

    from ..training.plan import make_plan

    if threads is not None:
        torch.set_num_threads(threads)
    plan = make_plan(recipe, data, device, teacher)
    out.result(described(plan, recipe), asdict(plan) | {"hours": plan.hours})


def described(plan: Plan, recipe: Recipe) -> str:
    """One line."""
    memory = "" if plan.memory_bytes is None else f", {plan.memory_bytes / 1e9:.1f} GB at the peak"
    steps = "; ".join(f"{phase.iterations} steps ({phase.name}) of {phase.seconds:.2f} s" for phase in plan.phases)
    aside, teacher = "", ""
    if recipe.distill is not None:
        aside, teacher = " and adapters", f", {recipe.distill.teacher} {plan.frozen:,}"
    return (
        f"{recipe.task}: {called(recipe.net)}{aside} {plan.trained:,} parameters{teacher}; {steps}; "
        f"pictures {plan.pictures_seconds:.2f} s a step; "
        f"about {plan.hours:.1f} hours on this device, as busy as it is{memory}"
    )

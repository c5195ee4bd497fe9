from __future__ import annotations

from pathlib import Path

import pytest

from restorect_cli.errors import OutputError
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.card import card, last_validation, write_card
from restorect_cli.training.export import describe
from restorect_cli.training.nets.student import Student
from restorect_cli.training.stages.table import student_shape


def test_a_card_tells_what_is_known(distill_recipe: Recipe, tmp_path: Path):
    spec = describe(Student(student_shape(distill_recipe)), distill_recipe, licence="CC0-1.0", training_data="waves")
    text = card(spec, distill_recipe, {"pairs:pair": 23.456})
    assert "Distilled from a teacher-tiny" in text and "CC0-1.0" in text and "| pairs:pair | 23.46 dB |" in text
    assert "No teacher" in card(spec, distill_recipe.model_copy(update={"distill": None}), {})
    with pytest.raises(OutputError, match="cannot write"):
        write_card(tmp_path / "none", spec, distill_recipe, tmp_path / "log.jsonl")


def test_the_last_validation_counts(tmp_path: Path):
    log = tmp_path / "log.jsonl"
    assert last_validation(log) == {}
    log.write_text('{"validation": {"a": 1.0}}\n{"validation": {"a": 2.0}}\n{"loss": 0.1}\n')
    assert last_validation(log) == {"a": 2.0}

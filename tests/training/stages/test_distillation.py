from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from restorect_cli.errors import InputError, UsageError
from restorect_cli.recipes.recipe import Recipe
from restorect_cli.training.curves import NOT_LOSSES, read_log
from restorect_cli.training.export import load_weights
from restorect_cli.training.loop import Trainer
from restorect_cli.training.nets.student import Student
from restorect_cli.training.nets.teacher import TEACHERS, Teacher
from restorect_cli.training.ranks import Ranks
from restorect_cli.training.stages.distillation import Distillation, load_teacher
from restorect_cli.training.stages.stage import Tensors
from restorect_cli.training.stages.table import student_shape


def batch() -> Tensors:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 32, 32, generator=generator)
    return Tensors(0.4 * x, x, 0.4 * x, x, torch.rand(2, 9, generator=generator) / 10)


def shaken(recipe: Recipe, **changes: object) -> Distillation:
    """A distillation whose student no longer starts as the identity, so that gradients can pass."""
    if recipe.distill is not None and changes:
        recipe = recipe.model_copy(update={"distill": recipe.distill.model_copy(update=changes)})
    torch.manual_seed(0)
    student = Student(student_shape(recipe))
    with torch.no_grad():
        for p in student.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return Distillation(student, Teacher(TEACHERS["teacher-tiny"]), recipe, Ranks())


def reached(stage: Distillation, term: str, iteration: int = 2) -> set[str]:
    with torch.autocast("cpu", torch.bfloat16):
        terms = stage(batch(), iteration)
    terms[term].backward()
    return {name for name, p in stage.named_parameters() if p.grad is not None and bool(p.grad.any())}


def named(stage: Distillation, *prefixes: str) -> set[str]:
    return {name for name, _ in stage.named_parameters() if name.startswith(prefixes)}


ALL = ("net.prior.", "net.velocity.")
LATENT = ("net.prior.encoder", "net.prior.flow")
BEFORE_MAPS = tuple(
    f"net.velocity.{part}" for part in ("embed", "stem", "encode", "down", "middle", "up", "decode", "log_gain")
)


@pytest.mark.parametrize(
    ("term", "meant"),
    [
        ("flow", ALL),
        ("consistency", ALL),
        ("output", ALL),
        ("maps", ("net.prior.", *BEFORE_MAPS, "aside")),
        ("vector", LATENT),
        ("velocity", LATENT),
    ],
)
def test_every_term_reaches_what_it_is_meant_to_train_and_never_the_teacher(
    distill_recipe: Recipe, term: str, meant: tuple[str, ...]
):
    """The fault of the released code: vectors were sampled without gradient, and FLEX reached no net."""
    stage = shaken(distill_recipe)
    assert reached(stage, term) == named(stage, *meant)


def test_static_matching_reaches_the_same(distill_recipe: Recipe):
    stage = shaken(distill_recipe, maps="static")
    assert reached(stage, "maps") == named(stage, "net.prior.", *BEFORE_MAPS, "aside")


def test_the_first_phase_trains_the_prior_alone(distill_recipe: Recipe):
    stage = shaken(distill_recipe)
    assert stage.first_phase == 1 and set(stage(batch(), 0)) == {"vector", "velocity"}
    assert set(stage(batch(), 1)) == {"flow", "consistency", "output", "maps", "vector", "velocity"}


@pytest.mark.parametrize(("iterations", "first"), [(1, 0), (3, 2), (100, 90)])
def test_the_first_phase_leaves_something_of_the_run(distill_recipe: Recipe, iterations: int, first: int):
    recipe = distill_recipe.model_copy(update={"iterations": iterations})
    assert shaken(recipe, first_phase=0.9).first_phase == first


def test_terms_of_weight_zero_are_left_out(distill_recipe: Recipe):
    stage = shaken(distill_recipe, latent="off", maps_weight=0.0, output_weight=0.0)
    assert set(stage(batch(), 0)) == {"flow", "consistency"}
    assert named(stage, "aside", "net.prior.flow") == set()


def test_a_net_that_is_not_taught_asks_the_teacher_nothing(distill_recipe: Recipe):
    """The control: what the latent flow's parameters are worth without a teacher."""
    stage = shaken(distill_recipe, vector_weight=0.0, velocity_weight=0.0, maps_weight=0.0, output_weight=0.0)
    stage.teacher.encode = lambda *pictures: pytest.fail("asked")  # type: ignore[method-assign]
    assert stage.first_phase == 0 and set(stage(batch(), 0)) == {"flow", "consistency"}
    assert reached(stage, "flow") == named(stage, *ALL)


def test_the_teacher_computes_no_more_than_is_asked_for(distill_recipe: Recipe):
    stage = shaken(distill_recipe, output_weight=0.0)
    stage.teacher.transformer.forward = lambda *inputs: pytest.fail("asked")  # type: ignore[method-assign]
    half = stage(batch(), 2)["maps"]
    torch.testing.assert_close(half, shaken(distill_recipe)(batch(), 2)["maps"])


def test_in_low_light_the_teachers_vectors_are_of_the_whole_picture(distill_recipe: Recipe):
    pictures = batch()
    for task, shown in (("low-light", (pictures.thumb, pictures.clean_thumb)), ("derain", (pictures.y, pictures.x))):
        stage = shaken(distill_recipe.model_copy(update={"task": task}))
        seen: list[torch.Tensor] = []
        encode = stage.teacher.encode
        stage.teacher.encode = lambda *p, seen=seen, encode=encode: (seen.extend(p), encode(*p))[1]  # type: ignore
        stage(pictures, 2)
        assert all(a is b for a, b in zip(seen, shown, strict=True)), task


def test_maps_are_compared_where_both_nets_see_the_same_picture(distill_recipe: Recipe):
    recipe = distill_recipe.model_copy(update={"start_share": 0.0})
    assert float(shaken(recipe)(batch(), 2)["maps"].detach()) == 0


def test_a_perfect_teachers_picture_asks_for_the_flows_own_target(distill_recipe: Recipe):
    stage = shaken(distill_recipe)
    clean = batch().x

    class Perfect(torch.nn.Module):
        def forward(self, y: torch.Tensor, *z: torch.Tensor) -> object:
            return type("Shown", (), {"restored": clean, "maps": (torch.rand(2, 32, 8, 8), torch.rand(2, 16, 16, 16))})

    stage.teacher.transformer = Perfect()  # type: ignore[assignment]
    terms = stage(batch(), 2)
    torch.testing.assert_close(terms["output"], terms["flow"])


@pytest.fixture
def teacher(data: Path, teacher_recipe: Recipe, tmp_path: Path) -> Path:
    Trainer(teacher_recipe, data, tmp_path / "teacher", threads=1).train()
    return tmp_path / "teacher" / "ema.safetensors"


def test_a_distilled_run_resumes_bit_for_bit_and_loads_as_a_student(
    data: Path, distill_recipe: Recipe, teacher: Path, tmp_path: Path
):
    whole = Trainer(distill_recipe, data, tmp_path / "whole", threads=1, teacher=teacher)
    assert whole.train()
    other = teacher.with_name("checkpoint.pt")  # the same weights
    assert not Trainer(distill_recipe, data, tmp_path / "parts", threads=1, teacher=other).train(time_limit=0.0)
    second = Trainer(distill_recipe, data, tmp_path / "parts", threads=1, resume=True, teacher=other)
    assert second.train()
    for a, b in ((whole.model, second.model), (whole.stage.aside, second.stage.aside)):
        assert all(torch.equal(v, b.state_dict()[name]) for name, v in a.state_dict().items())
    student, found = load_weights(tmp_path / "whole" / "ema.safetensors")
    assert found == distill_recipe and student.shape.vectors == 32
    assert not any("teacher" in name or "aside" in name for name in student.state_dict())


def test_the_loss_of_a_log_is_the_weighted_sum_in_both_phases(
    data: Path, distill_recipe: Recipe, teacher: Path, tmp_path: Path
):
    recipe = distill_recipe.model_copy(update={"log_every": 1})
    trainer = Trainer(recipe, data, tmp_path / "run", threads=1, teacher=teacher)
    trainer.train()
    lines = map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    first, *rest = ({k: v for k, v in line.items() if k not in NOT_LOSSES} for line in lines if "loss" in line)
    assert set(first) == {"loss", "vector", "velocity"}
    for record in (first, *rest):
        terms = {name: value for name, value in record.items() if name != "loss"}
        assert record["loss"] == pytest.approx(sum(trainer.stage.weights[n] * v for n, v in terms.items()), abs=1e-5)
    assert len(rest) == 2 and all(set(record) == {"loss", *trainer.stage.weights} for record in rest)
    assert list(read_log(tmp_path / "run" / "log.jsonl")[0])[0] == "loss"


def test_a_run_goes_on_with_the_teacher_it_began_with(
    data: Path, teacher_recipe: Recipe, distill_recipe: Recipe, teacher: Path, tmp_path: Path
):
    run = tmp_path / "run"
    Trainer(distill_recipe, data, run, threads=1, teacher=teacher).save()
    other = Trainer(teacher_recipe.model_copy(update={"seed": 1}), data, tmp_path / "other", threads=1)
    other.save()
    with pytest.raises(UsageError, match="run learns from another teacher"):
        Trainer(distill_recipe, data, run, threads=1, resume=True, teacher=tmp_path / "other" / "ema.safetensors")
    Trainer(distill_recipe, data, run, threads=1, resume=True, teacher=teacher)


def test_teachers_that_do_not_fit_are_told(distill_recipe: Recipe, teacher: Path, tmp_path: Path, data: Path):
    assert isinstance(load_teacher(teacher, distill_recipe), Teacher)
    assert isinstance(load_teacher(teacher.parent, distill_recipe), Teacher)  # the folder of its run
    with pytest.raises(UsageError, match="was taught denoise, not derain"):
        load_teacher(teacher, distill_recipe.model_copy(update={"task": "derain"}))
    assert distill_recipe.distill is not None
    larger = distill_recipe.distill.model_copy(update={"teacher": "teacher-small"})
    with pytest.raises(UsageError, match="holds teacher-tiny, not teacher-small"):
        load_teacher(teacher, distill_recipe.model_copy(update={"distill": larger}))
    student = distill_recipe.model_copy(update={"distill": None, "iterations": 1})
    Trainer(student, data, tmp_path / "student", threads=1).train()
    with pytest.raises(UsageError, match="holds a student of size tiny, not teacher-tiny"):
        load_teacher(tmp_path / "student" / "ema.safetensors", distill_recipe)
    with pytest.raises(InputError, match=r"none\.safetensors holds no teacher"):
        load_teacher(tmp_path / "none.safetensors", distill_recipe)
    with pytest.raises(InputError, match="data holds no teacher"):
        load_teacher(data, distill_recipe)
    with pytest.raises(UsageError, match="knows no teacher"):
        Trainer(student, data, tmp_path / "other", threads=1, teacher=teacher)
    with pytest.raises(UsageError, match="needs a teacher"):
        Trainer(distill_recipe, data, tmp_path / "other", threads=1)


def test_a_file_from_elsewhere_runs_no_code(distill_recipe: Recipe, tmp_path: Path):
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"recipe": Evil()}, tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "damaged.pt").write_bytes(b"174812789")
    for name in ("evil.pt", "plain.pt", "damaged.pt"):
        with pytest.raises(InputError, match="holds no teacher.*no checkpoint of restorect") as told:
            load_teacher(tmp_path / name, distill_recipe)
        assert "weights_only" not in str(told.value)  # torch's advice, with which it would have run
    assert not (tmp_path / "ran").exists()

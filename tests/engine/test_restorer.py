"""A Restorer over students whose answer is known: shapes, sizes, strength, failing memory, files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support import onnx_students

from restorect_cli.engine import restorer as restore_module
from restorect_cli.engine.options import RestoreOptions
from restorect_cli.engine.prior import thumbnail
from restorect_cli.engine.restorer import Restorer
from restorect_cli.engine.runtime import Graph
from restorect_cli.errors import DeviceError, InputError, ModelError, UsageError

SIZES = [(1, 1), (7, 5), (1, 4000), (333, 101), (128, 128)]
RNG = np.random.default_rng(0)


def image(height: int, width: int) -> np.ndarray:
    return RNG.uniform(-0.1, 1.1, (height, width, 3)).astype(np.float32)


@pytest.fixture
def student(tmp_path):
    def make(kind="identity", **facts):
        return str(onnx_students.make_student(tmp_path / f"{kind}-student", kind, **facts))

    return make


def restorer(folder: str, **settings) -> Restorer:
    return Restorer("denoise", model=folder, **({"device": "cpu", "threads": 1} | settings))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("settings", [{}, {"steps": 4}, {"steps": 3}, {"tile": 64, "steps": 2}])
def test_the_identity_student_returns_the_same_values(student, size, settings):
    picture = image(*size)
    result = restorer(student(), **settings).restore(picture)
    assert result.dtype == np.float32 and result is not picture
    np.testing.assert_array_equal(result, picture)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("ensemble", [1, 4])
def test_tiled_equals_whole(student, size, steps, ensemble):
    folder = student("reaching", halo_px=onnx_students.REACH_PX)
    picture = image(*size)
    whole = restorer(folder, steps=steps, ensemble=ensemble).restore(picture)
    tiled = restorer(folder, steps=steps, ensemble=ensemble, tile=40).restore(picture)
    np.testing.assert_allclose(tiled, whole, atol=2e-6)  # convolutions of other sizes sum in another order
    assert not np.allclose(whole, picture, atol=1e-3)


@pytest.mark.parametrize(("ensemble", "mirrors"), [(1, []), (2, ["x"]), (4, ["x", "y"])])
def test_an_ensemble_treats_mirror_images_alike(student, ensemble, mirrors):
    restoring = restorer(student("reaching", halo_px=onnx_students.REACH_PX), ensemble=ensemble, steps=2)
    picture = image(64, 48)
    whole = restoring.restore(picture)
    for axis, turn in (("x", np.fliplr), ("y", np.flipud)):
        same = np.allclose(turn(restoring.restore(turn(picture).copy())), whole, atol=2e-6)
        assert same == (axis in mirrors)


def test_the_prior_sees_the_whole_picture_once_and_every_tile_the_same(student):
    picture = image(200, 300)
    picture[:, :150] *= 0.1  # dark half, bright half: a prior per tile would brighten them differently
    calls = []
    restoring = restorer(student("brighten"), tile=64)
    original = restoring._prior.run
    restoring._prior.run = lambda feeds: calls.append(1) or original(feeds)
    result = restoring.restore(picture)
    np.testing.assert_allclose(result - picture, picture.mean(), atol=1e-4)
    assert len(calls) == 1


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_strength_goes_part_of_the_way(student, steps, strength):
    """An ordinary velocity of −z is constant along the path, so every grid goes exactly that far."""
    picture = image(64, 64)
    folder = student("brighten", target="velocity", grid="uniform")
    result = restorer(folder, steps=steps, strength=strength).restore(picture)
    np.testing.assert_allclose(result - picture, strength * thumbnail(picture).mean(), atol=1e-5)


def test_strength_zero_is_exactly_the_input(student):
    picture = image(65, 43)
    result = restorer(student("halve"), strength=0.0, steps=2).restore(picture)
    np.testing.assert_array_equal(result, picture)
    assert result is not picture


def test_steps_follow_the_general_rule(student):
    """D = x/2 on the grid 1 → 0.2 → 0: (1 − 0.8/2)·(1 − 1/2) of the picture is left."""
    picture = image(16, 16)
    np.testing.assert_allclose(restorer(student("halve"), steps=2).restore(picture), picture * 0.3, atol=1e-6)


def test_it_is_deterministic(student):
    picture, folder = image(150, 170), student("reaching")
    first, second = (restorer(folder, steps=2, tile=64).restore(picture) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_input_is_not_changed_and_may_be_a_view(student):
    picture = image(60, 80)
    before = picture.copy()
    result = restorer(student("halve")).restore(picture[::2, ::-1])
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_allclose(result, before[::2, ::-1] / 2)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.zeros((4, 4), np.float32), "H×W×3"),
        (np.zeros((4, 4, 4), np.float32), "H×W×3"),
        (np.zeros((0, 4, 3), np.float32), "H×W×3"),
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((4, 4, 3), np.uint8), "divide by 255"),
        (np.full((4, 4, 3), np.nan, np.float32), "not finite"),
        (np.full((4, 4, 3), np.inf, np.float32), "not finite"),
        ([[[0.0, 0.0, 0.0]]], "H×W×3"),
    ],
)
def test_bad_images(student, bad, words):
    with pytest.raises(InputError, match=words):
        restorer(student()).restore(bad)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"steps": 3}, UsageError),  # the student's max_steps is 2
        ({"tile": 8}, UsageError),
        ({"precision": "int8"}, ModelError),
        ({"device": "directml"}, DeviceError),
    ],
)
def test_bad_settings(student, settings, error):
    with pytest.raises(error):
        restorer(student(max_steps=2), **settings)


def test_options_as_one_value_or_as_keywords(student):
    picture, folder = image(16, 16), student("halve")
    options = RestoreOptions(model=folder, steps=2, device="cpu", threads=1)
    whole = Restorer("denoise", options)
    assert whole.options is options and restorer(folder, steps=2).options == options
    np.testing.assert_array_equal(whole.restore(picture), restorer(folder, steps=2).restore(picture))
    with pytest.raises(UsageError, match="steps are both given"):
        Restorer("denoise", options, steps=2)
    with pytest.raises(TypeError, match="solver"):
        restorer(folder, solver="heun")


def test_two_threads_may_share_one(student):
    """Other pictures and sizes at the same time, by a network whose result depends on the whole picture."""
    pictures = [image(90 + 7 * n, 120 - 5 * n) for n in range(4)]
    folder = student("brighten")
    shared = restorer(folder, steps=2, tile=64)
    alone = [restorer(folder, steps=2, tile=64).restore(picture) for picture in pictures]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            for expected, result in zip(alone, pool.map(shared.restore, pictures), strict=True):
                np.testing.assert_array_equal(result, expected)


def test_a_folder_may_be_a_path(student):
    assert restorer(Path(student())).spec.name == "denoise-s"


def test_the_student_says_what_it_is(student):
    restoring = restorer(student(default_steps=2))
    assert (restoring.spec.name, restoring.steps, restoring.device) == ("denoise-s", 2, "cpu")


def test_a_graph_with_other_inputs_is_no_student(student, tmp_path):
    folder = student()
    (tmp_path / "identity-student" / "velocity.onnx").write_bytes(
        (tmp_path / "identity-student" / "prior.onnx").read_bytes()
    )
    with pytest.raises(ModelError, match="a model's graph takes"):
        restorer(folder)


def test_a_memory_failure_in_the_runtime_halves_the_tile(student, monkeypatch):
    picture, folder = image(300, 200), student("reaching", halo_px=onnx_students.REACH_PX)
    whole = restorer(folder, steps=2).restore(picture)
    original, failures = Graph.run, []

    def failing(self, feeds):
        if "x" in feeds and feeds["x"].size > 3 * 80 * 80:
            failures.append(feeds["x"].shape)
            raise MemoryError
        return original(self, feeds)

    monkeypatch.setattr(Graph, "run", failing)
    result = restorer(folder, steps=2).restore(picture)
    assert failures
    np.testing.assert_allclose(result, whole, atol=2e-6)


def test_when_no_tile_fits_memory_one_line_says_so(student, monkeypatch):
    restoring = restorer(student())

    def failing(feeds):
        raise MemoryError

    monkeypatch.setattr(restoring._velocity, "run", failing)
    with pytest.raises(DeviceError, match="device cpu has too little memory"):
        restoring.restore(image(200, 200))


def test_a_smaller_budget_makes_smaller_tiles(student, monkeypatch):
    sizes = []
    original = Graph.run

    def recording(self, feeds):
        if "x" in feeds:
            sizes.append(feeds["x"].size // 3)
        return original(self, feeds)

    monkeypatch.setattr(Graph, "run", recording)
    monkeypatch.setattr(restore_module, "BUDGET_BYTES", 2_000_000)
    restorer(student()).restore(image(300, 300))
    assert max(sizes) <= 2_000_000 / restore_module.BYTES_PER_PIXEL


def test_a_source_is_read_in_windows_and_emitted_in_order(student):
    class Rows:
        height, width = 3000, 700
        largest = 0

        def coverage(self, y0, y1):
            return None

        def window(self, y0, y1, x0, x1):
            self.largest = max(self.largest, (y1 - y0) * (x1 - x0))
            return np.full((y1 - y0, x1 - x0, 3), 0.25, np.float32)

    source, next_row = Rows(), 0

    def emit(y0, rows):
        nonlocal next_row
        assert y0 == next_row and (rows == 0.125).all()
        next_row += len(rows)

    restorer(student("halve"), tile=256).restore_source(source, emit)
    assert next_row == source.height
    assert source.largest < source.height * source.width / 2


def test_values_that_make_the_network_overflow_are_refused(student):
    huge = np.full((16, 16, 3), 3e38, np.float32)
    with pytest.raises((InputError, ModelError)), np.errstate(over="ignore", invalid="ignore"):
        restorer(student("reaching", halo_px=onnx_students.REACH_PX)).restore(huge)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.onnx_students import make_student

from restorect_cli import programs
from restorect_cli.bench import baselines, peers
from restorect_cli.bench.baselines import BASELINES, baselines_for, guided_filter
from restorect_cli.bench.method import MethodSpec
from restorect_cli.bench.methods import build, peer_spec
from restorect_cli.bench.metrics import match_mean, psnr
from restorect_cli.bench.pictures import add_noise
from restorect_cli.engine.options import RestoreOptions
from restorect_cli.engine.source import Image as Pixels
from restorect_cli.errors import InputError, ModelError, UsageError

CLEAN = Path(__file__).resolve().parents[2] / "examples" / "clean" / "denoise.jpg"
SMOOTH = np.asarray(Image.open(CLEAN).convert("RGB").crop((180, 60, 276, 156)), np.float32) / 255


def run(name: str, image: Pixels, task: str, sigma: float | None = None) -> Pixels:
    row = next(row for row in BASELINES if row.name == name)
    for library in row.libraries:
        pytest.importorskip(library)
    return build(MethodSpec("baseline", name), task, RestoreOptions(threads=1))(image, sigma=sigma)


@pytest.mark.parametrize("name", [row.name for row in BASELINES if "denoise" in row.tasks])
@pytest.mark.parametrize("told", [True, False])
def test_denoisers_denoise(name: str, told: bool):
    noisy = add_noise(SMOOTH, 25)
    restored = run(name, noisy, "denoise", 25.0 if told else None)
    assert restored.shape == SMOOTH.shape and restored.dtype == np.float32
    assert psnr(restored, SMOOTH) > psnr(noisy, SMOOTH) + 1.5


@pytest.mark.parametrize("name", ["clahe", "gamma", "lime"])
def test_brighteners_brighten_and_keep_the_scene(name: str):
    dark = (SMOOTH * np.float32(0.1)).astype(np.float32)
    restored = run(name, dark, "low-light")
    assert restored.mean() > 1.5 * dark.mean()
    assert psnr(match_mean(restored, SMOOTH), SMOOTH) > 12


def test_guided_filter_takes_thin_bright_streaks_away():
    rainy = SMOOTH.copy()
    rainy[:, ::16] += 0.35
    assert psnr(run("guided", rainy, "derain"), SMOOTH) > psnr(rainy, SMOOTH)


def test_guided_filter_keeps_a_constant_and_an_edge():
    assert np.allclose(guided_filter(np.full((9, 7), 0.3), np.full((9, 7), 0.3), radius=2, eps=1e-3), 0.3)
    edge = np.repeat([[0.0] * 8 + [1.0] * 8], 16, axis=0)
    assert np.abs(guided_filter(edge, edge, radius=3, eps=1e-4) - edge).max() < 0.01


def test_what_lacks_its_library_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(baselines, "find_spec", lambda name: None)
    ready, missing = baselines_for("denoise")
    assert ready == [] and any("pip install '.[bench]'" in line for line in missing)
    assert any("bm3d" in line and "licence" in line for line in missing)
    with pytest.raises(ModelError, match="restorect"):
        baselines.baseline("wavelet", 1)


@pytest.mark.parametrize(
    ("text", "command", "spec"),
    [
        ("net=a=b.onnx", False, MethodSpec("peer-onnx", "net", "a=b.onnx")),
        ("nets/a.onnx", False, MethodSpec("peer-onnx", "a", "nets/a.onnx")),
        ("x=prog -q {in} {out}", True, MethodSpec("peer-command", "x", "prog -q {in} {out}")),
        ("/usr/bin/prog --a=1 {in} {out}", True, MethodSpec("peer-command", "prog", "/usr/bin/prog --a=1 {in} {out}")),
    ],
)
def test_peers_are_named(text: str, command: bool, spec: MethodSpec):
    assert peer_spec(text, command=command) == spec


@pytest.mark.parametrize(("text", "command"), [("a=", False), ("=a.onnx", False), ("x=prog {in}", True), ("", True)])
def test_peers_that_cannot_be_meant(text: str, command: bool):
    with pytest.raises(UsageError, match="write --peer"):
        peer_spec(text, command=command)


def test_an_onnx_peer(tmp_path):
    """A student's prior has two inputs and is no peer; a doubling of one input is."""
    pytest.importorskip("onnx")
    prior = make_student(tmp_path / "denoise-s", "identity", name="denoise-s", task="denoise", size="s") / "prior.onnx"
    with pytest.raises(UsageError, match="takes 2 inputs"):
        peers.OnnxPeer("prior", str(prior), 1)
    image = SMOOTH[:37, :51]
    one_operation(tmp_path / "twice.onnx", "Add")
    assert np.array_equal(peers.OnnxPeer("twice", str(tmp_path / "twice.onnx"), 1)(image), 2 * image)
    one_operation(tmp_path / "nan.onnx", "Div")
    with pytest.raises(InputError, match="peer nan gave values that are not finite"):
        peers.OnnxPeer("nan", str(tmp_path / "nan.onnx"), 1)(np.zeros_like(image))


def one_operation(path: Path, operation: str) -> None:
    """A network that joins a picture with itself."""
    import onnx

    shape = [1, 3, "h", "w"]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node(operation, ["x", "x"], ["y"])], "g", ends[:1], ends[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)


def test_a_command_that_writes_nothing():
    with pytest.raises(InputError, match="wrote no"):
        peers.CommandPeer("x", "true {in} {out}", 1)(SMOOTH)


def test_a_command_that_does_not_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(programs, "COMMAND_SECONDS", 0.2)
    with pytest.raises(InputError, match="peer x cannot be run .*timed out"):
        peers.CommandPeer("x", "sh -c 'exec sleep 20' {in} {out}", 1)(SMOOTH)


def test_a_program_that_is_not_there():
    with pytest.raises(UsageError, match="there is no program absent-program"):
        peers.CommandPeer("x", "absent-program {in} {out}", 1)

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from support.photographs import picture

pytest.importorskip("onnx")

from onnx import TensorProto
from support.clean_home import clean_home
from support.onnx_teachers import brighter, halving, write_teacher

from restorect_cli.errors import InputError, ModelError, UsageError
from restorect_cli.labelling.teachers import TeacherOptions, file_digest, open_teacher, without_folders

CPU = TeacherOptions(device="cpu", threads=1)
IMAGE = picture(1, 70, 90) * np.float32(0.8)


@pytest.mark.parametrize(
    ("shape", "order", "size"),
    [
        ((1, 3, "h", "w"), "nchw", "free"),
        (("n", "h", "w", 3), "nhwc", "free"),
        ((1, 3, 32, 40), "nchw", "40x32"),
        ((1, 32, 32, 3), "nhwc", "32x32"),
        (("n", "c", "h", "w"), "nchw", "free"),
    ],
)
def test_layout_and_size_are_read_off_the_graph(tmp_path: Path, shape, order: str, size: str):
    path = brighter(tmp_path / "t.onnx", shape=shape)
    teacher = open_teacher(str(path), CPU)
    assert (teacher.facts["order"], teacher.facts["size"], teacher.facts["values"]) == (order, size, "0..1")
    assert teacher.name == "t.onnx" and teacher.sha256 == file_digest(path)
    np.testing.assert_allclose(teacher(IMAGE), np.clip(IMAGE + 0.1, 0, 1), atol=1e-6)


@pytest.mark.parametrize("multiple", [2, 8])
def test_the_size_multiple_is_found_by_trying(tmp_path: Path, multiple: int):
    teacher = open_teacher(str(halving(tmp_path / "t.onnx", multiple)), CPU)
    assert teacher.facts["multiple"] == multiple
    assert teacher(IMAGE).shape == IMAGE.shape


def test_the_range_is_found_by_trying(tmp_path: Path):
    """A network that clips to its range shows which one it has."""
    nodes = [("Clip", ["x", "low", "high"], ["inside"], {}), ("Mul", ["inside", "share"], ["y"], {})]
    for low, high, found in ((0, 1, "0..1"), (-1, 1, "0..1")):  # white in the wider one is as good
        constants = {"low": np.float32(low), "high": np.float32(high), "share": np.float32(1)}
        path = write_teacher(tmp_path / "t.onnx", nodes, constants=constants)
        assert open_teacher(str(path), CPU).facts["values"] == found
    # 20 subtracted and added again, with zero between: dark pictures of a range up to 1 vanish
    nodes = [
        ("Sub", ["x", "floor"], ["over"], {}),
        ("Relu", ["over"], ["kept"], {}),
        ("Add", ["kept", "floor"], ["y"], {}),
    ]
    path = write_teacher(tmp_path / "t.onnx", nodes, constants={"floor": np.float32(20)})
    teacher = open_teacher(str(path), CPU)
    assert teacher.facts["values"] == "0..255"
    np.testing.assert_allclose(teacher(IMAGE), np.maximum(IMAGE, 20 / 255), atol=1e-5)


def test_what_was_found_can_be_overridden(tmp_path: Path):
    path = brighter(tmp_path / "t.onnx", by=51.0)
    options = TeacherOptions(device="cpu", threads=1, values="0..255", multiple=16, order="nchw")
    teacher = open_teacher(str(path), options)
    assert (teacher.facts["values"], teacher.facts["multiple"]) == ("0..255", 16)
    np.testing.assert_allclose(teacher(IMAGE), np.clip(IMAGE + 0.2, 0, 1), atol=1e-5)


def test_windows_of_a_fixed_size_are_feathered_without_seams(tmp_path: Path):
    """Near its borders this teacher is wrong, as every network is; nothing of that is left inside the picture."""
    kernel = np.zeros((3, 3, 9, 9), np.float32)
    for colour in range(3):
        kernel[colour, colour] = 1 / 81
    conv = [("Conv", ["x", "kernel"], ["y"], {"pads": [4] * 4})]
    path = write_teacher(tmp_path / "t.onnx", conv, constants={"kernel": kernel}, shape=(1, 3, 64, 64))
    label = open_teacher(str(path), CPU)(np.full((150, 170, 3), 0.6, np.float32))
    np.testing.assert_allclose(label[8:-8, 8:-8], 0.6, atol=1e-5)


def test_windows_of_a_teacher_that_brightens_come_under_one_light(tmp_path: Path):
    """This one makes every window half grey on average, so that the dark side of a picture is as light as the other."""
    nodes = [
        ("ReduceMean", ["x"], ["mean"], {"axes": [1, 2, 3]}),
        ("Div", ["x", "mean"], ["level"], {}),
        ("Mul", ["level", "half"], ["y"], {}),
    ]
    half = {"half": np.float32(0.3)}
    path = write_teacher(tmp_path / "t.onnx", nodes, constants=half, shape=(1, 3, 64, 64))
    image = np.float32(0.05) * (1 + np.arange(320, dtype=np.float32)[None, :, None] / 160) * np.ones((64, 1, 3), "f4")
    whole = 0.3 * image / image.mean()
    apart, together = (
        open_teacher(str(path), TeacherOptions(device="cpu", threads=1, values="0..1", one_light=one))(image)
        for one in (False, True)
    )
    assert np.abs(apart - whole).mean() > 0.05
    assert np.abs(together - whole).mean() < 0.02


def test_uint8_and_one_of_several_outputs(tmp_path: Path):
    how = {"outputs": ("y", "z")}
    path = write_teacher(tmp_path / "t.onnx", [("Identity", ["x"], ["y"], {}), ("Mul", ["x", "x"], ["z"], {})], **how)
    with pytest.raises(UsageError, match=r"has 2 outputs \(y, z\)"):
        open_teacher(str(path), CPU)
    teacher = open_teacher(str(path), TeacherOptions(device="cpu", threads=1, output="z", values="0..1"))
    np.testing.assert_allclose(teacher(IMAGE), IMAGE**2, atol=1e-6)
    path = write_teacher(tmp_path / "u.onnx", [("Identity", ["x"], ["y"], {})], kind=TensorProto.UINT8)
    teacher = open_teacher(str(path), CPU)
    assert teacher.facts["values"] == "0..255"
    np.testing.assert_allclose(teacher(IMAGE), np.rint(IMAGE * 255) / 255, atol=1e-6)


def two_inputs(path: Path) -> None:
    write_teacher(path, [("Add", ["x", "mask"], ["y"], {})], inputs=("x", "mask"))


def enlarging(path: Path) -> None:
    resize = [("Resize", ["x", "", "scales"], ["y"], {})]
    write_teacher(path, resize, constants={"scales": np.array([1, 1, 2, 2], np.float32)}, result=(1, 3, "H", "W"))


def enlarging_a_fixed_size(path: Path) -> None:
    resize = [("Resize", ["x", "", "scales"], ["y"], {})]
    scales = {"scales": np.array([1, 1, 2, 2], np.float32)}
    write_teacher(path, resize, constants=scales, shape=(1, 3, 32, 32), result=(1, 3, 64, 64))


def not_a_number(path: Path) -> None:
    write_teacher(path, [("Sub", ["x", "x"], ["nil"], {}), ("Div", ["nil", "nil"], ["y"], {})])


def grey(path: Path) -> None:
    write_teacher(path, [("Identity", ["x"], ["y"], {})], shape=(1, 1, "h", "w"))


def several_pictures(path: Path) -> None:
    write_teacher(path, [("Identity", ["x"], ["y"], {})], shape=(4, 3, "h", "w"))


def integers(path: Path) -> None:
    write_teacher(path, [("Identity", ["x"], ["y"], {})], kind=TensorProto.INT64)


def text(path: Path) -> None:
    path.write_text("no network")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (two_inputs, r"takes 2 inputs \(x, mask\)"),
        (enlarging, "makes 130×134 of 65×67|makes 134×130 of 67×65"),
        (enlarging_a_fixed_size, "makes 64×64 of 32×32: it changes the size"),
        (not_a_number, r"gives values that are not numbers \(NaN or infinite\)"),
        (grey, "takes an array of shape 1×1×.×."),
        (several_pictures, "takes an array of shape 4×3"),
        (integers, r"takes a tensor\(int64\)"),
        (text, "is damaged or needs a newer onnxruntime"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_found(tmp_path: Path, make, said: str):
    path = tmp_path / "t.onnx"
    make(path)
    with pytest.raises((UsageError, ModelError), match=said) as refused:
        open_teacher(str(path), CPU)
    assert len(str(refused.value).splitlines()) == 1 and str(path) in str(refused.value)


def test_a_pickle_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("net.pth", "net.onnx"):
        (tmp_path / name).write_bytes(pickle.dumps(Trap()))
        with pytest.raises(UsageError, match="is a pickle, not an ONNX file"):
            open_teacher(str(tmp_path / name), CPU)
    assert not (tmp_path / "sprung").exists()


def test_a_picture_on_which_a_teacher_gives_nan(tmp_path: Path):
    """The tried picture has no black, this one has: 0/0."""
    path = write_teacher(tmp_path / "t.onnx", [("Div", ["x", "x"], ["one"], {}), ("Mul", ["one", "x"], ["y"], {})])
    teacher = open_teacher(str(path), TeacherOptions(device="cpu", threads=1, values="0..1"))
    with pytest.raises(InputError, match="not numbers"):
        teacher(np.zeros_like(IMAGE))


def test_a_command(tmp_path: Path):
    script = tmp_path / "darker.py"
    script.write_text(
        "import sys, numpy as np; from PIL import Image; i, o = sys.argv[1:]\n"
        "Image.fromarray(np.asarray(Image.open(i)) // 2).save(o)\n"
    )
    teacher = open_teacher(f"{sys.executable} {script} {{in}} {{out}}", CPU)
    np.testing.assert_allclose(teacher(IMAGE), np.rint(IMAGE * 255) // 2 / 255, atol=1e-6)
    assert teacher.sha256 is None and str(tmp_path) not in teacher.name and "darker.py {in} {out}" in teacher.name


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("prog {in}", "has no {out}"),
        ("absent-program {in} {out}", "there is no program absent-program"),
        ("'prog {in} {out}", "cannot be parsed"),
        ("absent.onnx", "teacher absent.onnx is not there"),
        (".", "teacher . is a folder"),
        ("self", "needs a task"),
    ],
)
def test_teachers_that_cannot_be_had(named: str, said: str):
    with pytest.raises(UsageError, match=said):
        open_teacher(named, CPU)


def test_folders_of_the_machine_stay_out_of_names():
    assert (
        without_folders("/opt/py/bin/python /home/me/derain.py --in={in} {out}") == "python derain.py --in={in} {out}"
    )


def test_our_own_model_is_the_median_over_mirrored_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clean_home(tmp_path, monkeypatch, "denoise-s")
    teacher = open_teacher("self", CPU, task="denoise")
    assert teacher.name == "denoise-s" and np.array_equal(teacher(IMAGE), IMAGE)

    from restorect_cli.engine.restorer import Restorer

    calls = iter([0.0, 0.1, 0.1, 0.9])  # one copy goes wrong: the others decide
    monkeypatch.setattr(Restorer, "restore", lambda self, image: image * 0 + np.float32(next(calls)))
    np.testing.assert_allclose(teacher(IMAGE), 0.1)


def test_a_checkpoint_that_spandrel_knows(tmp_path: Path):
    spandrel = pytest.importorskip("spandrel")
    torch = pytest.importorskip("torch")
    from spandrel.architectures.DnCNN import DnCNN

    assert spandrel
    net = DnCNN(in_nc=3, out_nc=3, nc=8, nb=10, act_mode="R")
    torch.save(net.state_dict(), tmp_path / "net.pth")
    teacher = open_teacher(str(tmp_path / "net.pth"), CPU)
    assert teacher.facts["architecture"] == "DnCNN" and teacher(IMAGE).shape == IMAGE.shape
    torch.save({"no": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UsageError, match="no checkpoint that spandrel knows"):
        open_teacher(str(tmp_path / "other.pth"), CPU)

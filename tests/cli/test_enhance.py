from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.identity_students import write_student
from support.jpegs import noisy, ultra_hdr
from support.tiffs import dng, mosaic

Run = Callable[..., Any]


def pixels(source: Path | bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        return np.asarray(image)


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def dark(name: str) -> Path:
    Image.fromarray(np.full((30, 40, 3), 12, np.uint8)).save(name)
    return Path(name)


def test_writes_beside_the_input(run: Run, photo: Path) -> None:
    result = run("enhance", "photo.png", "--task", "denoise")
    assert result.code == 0 and result.err == ""
    assert result.out.startswith("photo.png -> photo.restored.png  (denoise-s, 1 step, cpu, 0.0 MP, ")
    assert np.array_equal(pixels(Path("photo.restored.png")), pixels(photo))


def test_auto_says_what_and_why(run: Run, photo: Path) -> None:
    dark("dark.png")
    result = run("enhance", "photo.png", "dark.png")
    assert result.code == 0 and len(result.out.splitlines()) == 2
    light, night = result.err.splitlines()
    assert light.startswith("photo.png: denoise, because ") and night.startswith("dark.png: low-light, because ")


def test_auto_takes_what_is_here_and_says_so(run: Run, weights: Path) -> None:
    dark("dark.png")
    (weights / "low-light-s").rename(weights / "elsewhere")
    result = run("enhance", "dark.png")
    assert result.code == 0 and "denoise-s" in result.out
    assert "that asks for low-light, but model low-light-s is not here" in result.err


def test_auto_without_any_student(run: Run, weights: Path, photo: Path) -> None:
    (weights / "manifest.json").write_text('{"format": 1}')
    result = run("enhance", "photo.png")
    assert (result.code, len(result.err.splitlines())) == (3, 1) and "there is no model 'denoise-s' yet" in result.err


def test_model_by_name_and_folder_decides_the_task(run: Run, photo: Path, tmp_path: Path) -> None:
    folder = write_student(tmp_path / "own", "derain-s")
    assert "derain-s" in run("enhance", "photo.png", "--model", str(folder)).out
    assert "low-light-s" in run("enhance", "photo.png", "--model", "low-light-s", "--overwrite").out


def test_what_the_network_does_reaches_the_file(run: Run, photo: Path, tmp_path: Path) -> None:
    folder = write_student(tmp_path / "own", "low-light-s", kind="brighten")
    for strength, expected in [("1", np.minimum(pixels(photo) + pixels(photo).mean(), 255)), ("0", pixels(photo))]:
        assert run("enhance", "photo.png", "-m", str(folder), "--strength", strength, "-o", f"{strength}.png").code == 0
        assert np.abs(pixels(Path(f"{strength}.png")) - expected).max() <= 1


def test_json(run: Run, photo: Path) -> None:
    dark("dark.png")
    result = run("enhance", "photo.png", "absent.png", "dark.png", "-o", "out/", "--json")
    first, second, third = (json.loads(line) for line in result.out.splitlines())
    assert set(first) == {
        *(
            "input",
            "output",
            "task",
            "reason",
            "model",
            "device",
            "steps",
            "ensemble",
            "width",
            "height",
            "seconds",
            "notes",
        )
    }
    assert (first["output"], first["width"], first["height"]) == (str(Path("out/photo.png")), 40, 30)
    assert second["input"] == "absent.png" and second["exit_code"] == 1 and "absent.png" in second["error"]
    assert third["task"] == "low-light" and result.code == 1
    assert len(result.err.splitlines()) == 1  # the error, for people who only watch the terminal


def test_json_error_of_a_model(run: Run, photo: Path) -> None:
    result = run("enhance", "photo.png", "other.png", "--task", "derain", "--json")
    records = [json.loads(line) for line in result.out.splitlines()]
    assert [(record["input"], record["exit_code"]) for record in records] == [("photo.png", 3), ("other.png", 3)]
    assert result.code == 3 and len(result.err.splitlines()) == 1


def test_quiet_says_nothing(run: Run, photo: Path) -> None:
    result = run("enhance", "photo.png", "--quiet")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_verbose_says_the_model_and_device(run: Run, photo: Path) -> None:
    assert "model denoise-s on cpu, 1 step" in run("enhance", "photo.png", "-v").err


@pytest.mark.parametrize("arguments", [["-"], ["-", "-o", "-"]])
def test_stream_to_stream_is_the_image_alone(run: Run, photo: Path, arguments: list[str]) -> None:
    result = run("enhance", *arguments, stdin=photo.read_bytes())
    assert result.code == 0 and np.array_equal(pixels(result.data), pixels(photo))
    assert "- -> -  (denoise-s" in result.err and files() == ["photo.png"]


def test_stream_to_file_and_back(run: Run, photo: Path) -> None:
    assert run("enhance", "-", "-o", "a.webp", "--quality", "100", stdin=photo.read_bytes()).code == 0
    result = run("enhance", "a.webp", "-o", "-", "--format", "png", "--quiet")
    assert result.data.startswith(b"\x89PNG") and result.err == ""


@pytest.mark.parametrize(
    ("options", "steps", "ensemble", "left"),
    [
        ([], 1, 1, 0.5),
        (["--strength", "0.5"], 1, 1, 0.75),  # stopped at t = 1/2: half of the one step
        (["--steps", "2"], 2, 1, 0.3),  # 1 → 0.2 → 0: (1 − 0.8/2)·(1 − 1/2)
        (["--ensemble", "4"], 1, 4, 0.5),
    ],
)
def test_settings_of_the_flow_reach_the_network(
    run: Run, photo: Path, tmp_path: Path, options: list[str], steps: int, ensemble: int, left: float
) -> None:
    """A network that predicts half of what it sees leaves a known share of every value."""
    folder = write_student(tmp_path / "own", "denoise-s", kind="halve")
    record = json.loads(run("enhance", "photo.png", "--model", str(folder), *options, "--json").out)
    assert (record["steps"], record["ensemble"]) == (steps, ensemble)
    assert np.abs(pixels(Path("photo.restored.png")) - left * pixels(photo)).max() <= 0.51


def test_format_depth_and_notes(run: Run, photo: Path) -> None:
    assert run("enhance", "photo.png", "--format", "tiff", "--depth", "16").code == 0
    assert Path("photo.restored.tif").is_file()
    Image.fromarray(np.full((8, 8, 4), 128, np.uint8)).save("alpha.png")
    result = run("enhance", "alpha.png", "-o", "flat.jpg")
    assert result.code == 0 and "alpha.png: note: " in result.err


def test_overwrite(run: Run, photo: Path) -> None:
    before = photo.stat().st_ino
    assert run("enhance", "photo.png", "-o", "photo.png", "--overwrite").code == 0
    assert photo.stat().st_ino != before and files() == ["photo.png"]  # by rename, and nothing left over


@pytest.mark.parametrize("name", ["pages.tif", "moving.png", "moving.webp"])
def test_other_images_of_the_file_are_not_lost(run: Run, weights: Path, name: str) -> None:
    first, second = (Image.new("RGB", (40, 30), colour) for colour in ("teal", "olive"))
    first.save(name, save_all=True, append_images=[second])
    before = Path(name).read_bytes()
    result = run("enhance", name, "-o", name, "--overwrite", "--task", "denoise")
    assert result.code == 1 and f"{name} holds 2 images" in result.err and len(result.err.splitlines()) == 1
    assert Path(name).read_bytes() == before and files() == [name]
    result = run("enhance", name, "-o", "first.png", "--task", "denoise")
    assert result.code == 0 and "only the first is restored" in result.err


def test_name_with_a_dash(run: Run, photo: Path) -> None:
    photo.rename("-odd.png")
    assert run("enhance", "--", "-odd.png").code == 0 and Path("-odd.restored.png").is_file()


def test_unicode_names_on_a_plain_terminal(run: Run, photo: Path) -> None:
    photo.rename("Füße 日本.png")
    assert run("enhance", "Füße 日本.png").code == 0 and Path("Füße 日本.restored.png").is_file()


def test_one_that_fails_does_not_stop_the_others(run: Run, photo: Path) -> None:
    Path("text.jpg").write_text("not an image")
    Path("folder.png").mkdir()
    result = run("enhance", "absent.png", "text.jpg", "folder.png", "photo.png", "-o", "out/")
    assert result.code == 1 and len(result.err.splitlines()) == 4  # three errors and why the fourth is denoised
    assert files() == [str(Path("out/photo.png")), "photo.png", "text.jpg"]


@pytest.mark.parametrize("depth", [16, None])
def test_what_a_format_cannot_hold_is_found_before_the_work(
    run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch, depth: int | None
) -> None:
    Image.fromarray(np.full((1, 16390, 3), 90, np.uint8)).save("wide.png")
    Image.fromarray(pixels(photo)).save("small.jpg")
    arguments = ["--depth", "16", "--model", "denoise-s"] if depth else ["--format", "webp", "--model", "denoise-s"]
    result = run("enhance", "small.jpg" if depth else "wide.png", "photo.png", "-o", "out/", "-v", *arguments)
    first, *others = result.err.splitlines()
    said = "small.jpg, JPEG cannot hold 16 bits" if depth else "wide.webp, WEBP holds at most 16383 pixels"
    assert result.code == 1 and said in first and not any("error" in line or "small" in line for line in others)
    assert sorted(path.name for path in Path("out").iterdir()) == ["photo.png" if depth else "photo.webp"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        # what cannot be read or written
        (["absent.png"], 1, "absent.png"),
        (["."], 1, "folder"),
        (["empty.png"], 1, "empty.png"),
        (["broken.png"], 1, "broken.png"),
        (["photo.png", "-o", "taken.png"], 1, "taken.png exists already: choose another name, or allow"),
        (["photo.png", "-o", "no/such/out.png"], 1, "folder no/such is not there"),
        (["photo.png", "-o", f"{'long' * 80}.png", "--task", "denoise"], 1, "File name too long"),
        ([f"{'long' * 80}.png"], 1, "File name too long"),
        (["photo.png", "-o", "/dev/null"], 1, "/dev/null, it is not a regular file"),
        (["photo.png", "-o", "taken.png/"], 1, "cannot make folder taken.png"),
        # what cannot be meant
        (["photo.png", "--task", "sharpen"], 2, "'sharpen' is not one of 'auto', 'low-light'"),
        (["photo.png", "--ensemble", "3"], 2, "'3' is not one of '1', '2', '4': see restorect enhance --help"),
        (["photo.png", "--device", "tpu"], 2, "'tpu' is not one of 'auto', 'cpu'"),
        (["photo.png", "--model", "xl"], 2, "unknown model 'xl': choose a size (s), a name (denoise-s, "),
        (["photo.png", "--format", "bmp"], 2, "'bmp' is not one of 'jpeg', 'png'"),
        (["photo.png", "--depth", "12"], 2, "'12' is not one of '8', '16'"),
        (["photo.png", "--strip", "exif"], 2, "'--strip': 'exif' is not one of 'none', 'gps', 'all'"),
        (["photo.png", "--format", "jpeg", "--depth", "16"], 2, "16 bits"),
        (["photo.png", "-o", "out.xyz"], 2, "cannot write '.xyz' files"),
        (["photo.png", "-o", "photo.png"], 2, "is the input itself"),
        (["photo.png", "taken.png", "-o", "one.png"], 2, "2 inputs cannot go to the one output"),
        (["photo.png", "photo.png"], 2, "given twice"),
        (["photo.png", "-o", "-", "--json"], 2, "both want standard output"),
        (["photo.png", "--model", "denoise-s", "--task", "low-light"], 2, "made for denoise, not for low-light"),
        # what cannot be had
        (["photo.png", "--task", "derain"], 3, "there is no model 'derain-s' yet"),
        (["photo.png", "--model", "m"], 3, "no model"),
        (["photo.png", "--model", "./absent"], 3, "model folder absent is not there"),
        (["photo.png", "--device", "coreml"], 3, "coreml"),
    ],
)
def test_wrong(run: Run, photo: Path, arguments: list[str], code: int, says: str) -> None:
    Path("empty.png").touch()
    Path("taken.png").write_bytes(photo.read_bytes()[:100])
    Path("broken.png").write_bytes(photo.read_bytes()[:100])
    before = {name: Path(name).read_bytes() for name in files()}
    result = run("enhance", *arguments)
    errors = [line for line in result.err.splitlines() if line.startswith("restorect: error: ")]
    assert (result.code, len(errors)) == (code, 1) and says in errors[0]
    assert result.out == "" and "Traceback" not in result.err
    assert {name: Path(name).read_bytes() for name in files()} == before  # nothing written, nothing half-written


@pytest.mark.parametrize("harm", ["damage", "rename"])
def test_damaged_student(run: Run, weights: Path, photo: Path, harm: str) -> None:
    path = weights / "denoise-s" / "velocity.onnx"
    path.write_bytes(path.read_bytes()[:-4]) if harm == "damage" else path.rename(path.with_suffix(".gone"))
    result = run("enhance", "photo.png")
    assert (result.code, result.out) == (3, "") and "velocity.onnx" in result.err.splitlines()[-1]
    assert files() == ["photo.png"]


def test_full_disk(run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = run("enhance", "photo.png", "--task", "denoise")
    assert result.code == 1 and "No space left on device" in result.err and len(result.err.splitlines()) == 1
    assert files() == ["photo.png"]


def test_a_jpeg_without_its_end(run: Run, photo: Path) -> None:
    Path("a.jpg").write_bytes(noisy()[:-9000])
    result = run("enhance", "a.jpg", "--task", "denoise")
    assert result.code == 1 and "--accept-truncated" in result.err and len(result.err.splitlines()) == 1
    result = run("enhance", "a.jpg", "--task", "denoise", "--accept-truncated")
    assert result.code == 0 and "rows are lost, at the bottom" in result.err
    Path("folder").mkdir()
    Path("a.jpg").rename("folder/a.jpg")
    assert run("batch", "folder", "--task", "denoise").code == 1
    result = run("batch", "folder", "--task", "denoise", "--accept-truncated")
    assert result.code == 0 and "rows are lost" in result.err


def test_raw_files_one_by_one_and_in_a_folder(run: Run, photo: Path) -> None:
    pytest.importorskip("rawpy")
    Path("folder").mkdir()
    data = dng(mosaic(np.full((32, 48, 3), 0.2)))
    Path("folder/a.dng").write_bytes(data)
    result = run("enhance", "folder/a.dng", "-o", "a.tif", "--task", "denoise")
    assert result.code == 0 and "developed from RAW" in result.err
    assert run("enhance", "folder/a.dng", "-o", "half.tif", "--task", "denoise", "--half-size").code == 0
    assert pixels(Path("half.tif")).shape == (16, 24, 3)
    assert run("batch", "folder", "--task", "denoise").code == 0
    assert pixels(Path("folder-restored/a.png")).shape == (32, 48, 3) and Path("folder/a.dng").read_bytes() == data
    assert run("batch", "folder", "--task", "denoise", "--half-size").code == 0
    assert pixels(Path("folder-restored/a.png")).shape == (16, 24, 3)


def test_a_gain_map_and_the_task(run: Run, photo: Path) -> None:
    Path("hdr.jpg").write_bytes(ultra_hdr())
    result = run("enhance", "hdr.jpg", "-o", "bright.jpg", "--task", "low-light")
    assert result.code == 0 and "the HDR gain map is left out" in result.err
    result = run("enhance", "hdr.jpg", "-o", "hdr.jpg", "--overwrite", "--task", "low-light")
    assert result.code == 1 and "gain map, which would be lost" in result.err
    assert Path("hdr.jpg").read_bytes() == ultra_hdr()
    assert run("enhance", "hdr.jpg", "-o", "hdr.jpg", "--overwrite", "--task", "denoise").err == ""

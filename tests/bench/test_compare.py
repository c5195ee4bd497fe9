from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench.conftest import photograph
from conftest import ADOBE_LIKE
from PIL import Image

from restorect_cli.cli.app import main


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """a.png and b.png, 40×48, in the folder we are in."""
    monkeypatch.chdir(tmp_path)
    made = [photograph(seed=seed) for seed in (0, 1)]
    for name, pixels in zip(("a.png", "b.png"), made, strict=True):
        Image.fromarray(pixels).save(name)
    return made


def test_a_picture_of_both_halves(pictures: list[np.ndarray]):
    assert main(["compare", "a.png", "b.png", "-o", "both.png"]) == 0
    both = np.asarray(Image.open("both.png"))
    assert np.array_equal(both[:, :22], pictures[0][:, :22]) and np.array_equal(both[:, 26:], pictures[1][:, 26:])
    assert (both[:, 24] == 255).all()


def test_a_page_beside_the_second(pictures: list[np.ndarray], capsys: pytest.CaptureFixture[str]):
    assert main(["compare", "a.png", "b.png"]) == 0
    page = Path("b.compare.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64") == 2 and 'role="slider"' in page
    assert main(["compare", "a.png", "b.png"]) == 1 and "exists already" in capsys.readouterr().err
    assert main(["compare", "a.png", "b.png", "--overwrite"]) == 0


def test_the_smaller_is_enlarged(pictures: list[np.ndarray]):
    Image.open("a.png").resize((24, 20)).save("small.png")
    assert main(["compare", "small.png", "b.png", "-o", "out.html"]) == 0
    assert "small.png was enlarged to 48×40" in Path("out.html").read_text(encoding="utf-8")


def test_two_profiles_meet_in_srgb(pictures: list[np.ndarray]):
    Image.open("a.png").save("wide.png", icc_profile=ADOBE_LIKE)
    assert main(["compare", "wide.png", "b.png", "-o", "both.png"]) == 0
    both = Image.open("both.png")
    assert "icc_profile" not in both.info and np.array_equal(np.asarray(both)[:, 26:], pictures[1][:, 26:])


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["a.png", "absent.png"], 1, "there is no such file"),
        (["a.png", "tall.png"], 1, "different shapes, 48×40 and 20×80"),
        (["a.png", "b.png", "-o", "out.gif"], 2, "end it in .html"),
        (["a.png", "b.png", "-o", "absent/out.html"], 1, "cannot write"),
    ],
)
def test_what_cannot_be_compared(
    pictures: list[np.ndarray], capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
):
    Image.fromarray(photograph(80, 20)).save("tall.png")
    assert main(["compare", *arguments]) == code
    err = capsys.readouterr().err
    assert says in err and len(err.splitlines()) == 1 and not Path("out.html").exists()

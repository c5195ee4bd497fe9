from __future__ import annotations

import re
from xml.etree import ElementTree

from restorect_cli.bench.plots import COLOURS, quality_against_seconds, spread

SVG = "{http://www.w3.org/2000/svg}"
POINTS = [
    ("restorect", 0.3, 33.4),
    ("wavelet <b> & $x$", 1.2, 30.1),
    ("a peer whose name is much too long", 12.0, 28.0),
]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def marks(svg: str) -> list[tuple[str, float, float]]:
    """Colour and place of everything drawn in the colour of a method, the legend's too."""
    used = ElementTree.fromstring(svg).iter(f"{SVG}use")
    found = [(re.search(r"fill: var\(--(m\d)\)", use.get("style", "")), use) for use in used]
    return [(match[1], float(use.get("x", "")), float(use.get("y", ""))) for match, use in found if match]


def test_a_mark_for_each_method_in_the_colours_of_the_page():
    svg = str(quality_against_seconds(POINTS, "PSNR").svg)
    placed = marks(svg)[: len(POINTS)]
    assert [colour for colour, _, _ in placed] == ["m1", "m2", "m3"]
    assert placed[0][1] < placed[1][1] < placed[2][1]  # slower is to the right
    assert placed[0][2] < placed[1][2] < placed[2][2]  # better is above
    assert {"PSNR", "seconds per megapixel", "restorect", "wavelet <b> & $x$", "a peer whose name is …"} <= set(
        texts(svg)
    )
    assert {"0.5", "1", "10"} <= set(texts(svg))  # plain numbers, no powers of ten
    wide = texts(str(quality_against_seconds([("a", 0.009, 1.0), ("b", 7.0, 2.0)], "PSNR").svg))
    assert {"0.01", "0.1", "1", "10"} <= set(wide) and "0.02" not in wide  # no labels on top of each other


def test_charts_follow_a_dark_page_and_hold_no_other_colour():
    for plot in (quality_against_seconds(POINTS, "PSNR"), spread([("a", [1.0, 2.0]), ("b", [])], "PSNR")):
        svg = str(plot.svg)
        assert svg.startswith("<svg ") and 'role="img"' in svg and "fill: var(--text)" in svg
        assert set(re.findall(r"#[0-9a-f]{6}\b", svg.replace("xlink:href=", ""))) == set()
        assert len(svg) < 20_000


def test_the_same_data_give_the_same_bytes():
    assert quality_against_seconds(POINTS, "PSNR") == quality_against_seconds(POINTS, "PSNR")


def test_one_dot_for_each_picture_and_a_bar_at_the_mean():
    plot = spread([("input", [1.0, 2.0, 6.0]), ("ours", [4.0])], "a & b")
    of_input = [x for colour, x, _ in marks(str(plot.svg)) if colour == "m0"]
    assert len(of_input) == 4  # the bar is the last
    assert abs(of_input[3] - (of_input[0] + (of_input[2] - of_input[0]) * 2 / 5)) < 0.01
    assert 'aria-label="a &amp; b of every picture; the bar is the mean"' in str(plot.svg)


def test_more_methods_than_colours_and_one_alone():
    many = [(f"method {number}", [float(number)]) for number in range(2 * COLOURS)]
    assert {colour for colour, _, _ in marks(str(spread(many, "PSNR").svg))} == {f"m{number}" for number in range(8)}
    assert len(marks(str(quality_against_seconds([("a", 0.02, 30.0)], "PSNR").svg))) == 2  # the dot and the legend's


def test_letters_that_the_font_lacks_are_no_warning():
    assert "画像" in texts(str(spread([("画像", [1.0])], "PSNR").svg))

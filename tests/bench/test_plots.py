from __future__ import annotations

import re
from xml.etree import ElementTree

from restorect_cli.bench.plots import BOTTOM, HEIGHT, quality_against_seconds, spread


def heights(svg: str, name: str) -> float:
    found = re.search(rf'class="name"[^>]* y="([\d.]+)"[^>]*>{name}<', svg)
    assert found is not None
    return float(found[1])


def test_names_of_close_dots_do_not_overlap():
    plot = quality_against_seconds([("a", 1.0, 30.0), ("b", 1.01, 30.01), ("c", 1.02, 29.99), ("d", 9, 20)], "PSNR")
    ElementTree.fromstring(str(plot.svg))
    placed = sorted(heights(str(plot.svg), name) for name in "abc")
    assert all(below - above >= 16 for above, below in zip(placed, placed[1:], strict=False))


def test_names_stay_above_the_axis():
    plot = quality_against_seconds([("a", 1.0, 30.0), ("b", 1.0, 20.0), ("c", 1.0, 20.0), ("d", 1.0, 20.0)], "PSNR")
    assert max(heights(str(plot.svg), name) for name in "abcd") < HEIGHT - BOTTOM


def test_a_dot_alone_has_its_name_beside_it():
    svg = str(quality_against_seconds([("a", 1.0, 30.0), ("b", 1.0, 20.0)], "PSNR").svg)
    top = float(re.findall(r'cy="([\d.]+)"', svg)[0])
    assert abs(heights(svg, "a") - top) < 6


def test_names_are_escaped():
    plot = spread([("<b>", [1.0, 2.0])], "a & b")
    ElementTree.fromstring(str(plot.svg))
    assert "&lt;b&gt;" in str(plot.svg)

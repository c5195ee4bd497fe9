from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from matplotlib.axes import Axes

from restorect_cli import charts


def panel(axes: Axes) -> None:
    axes.plot([1, 2], [3, 4], color=charts.page_colour("m1"), label="a")
    axes.legend()


def draw() -> str:
    return charts.svg(panel, width_px=300, height_px=200, label='say "it"')


def test_settings_of_the_user_neither_change_a_chart_nor_are_changed(tmp_path: Path):
    before = draw()
    with matplotlib.rc_context({"font.size": 40, "axes.facecolor": "red", "savefig.dpi": 300, "svg.fonttype": "path"}):
        assert draw() == before
        charts.write_png([panel], tmp_path / "chart.png", width_px=300, height_px=200)
        assert matplotlib.rcParams["font.size"] == 40 and matplotlib.rcParams["svg.fonttype"] == "path"


def test_charts_on_one_page_do_not_share_the_names_of_their_groups():
    assert draw().count("<g") > 5 and '<g id="' not in draw()


def test_a_chart_is_of_the_size_and_label_that_were_asked_for():
    svg = draw()
    assert 'viewBox="0 0 300 200"' in svg and "aria-label='say \"it\"'" in svg


@pytest.mark.parametrize(("low", "high", "ticks"), [(0.2, 6, [0.2, 0.5, 1, 2, 5]), (1.2, 3.1, [2]), (80, 1200, [100])])
def test_ticks_of_a_logarithmic_axis_are_plain_numbers(low: float, high: float, ticks: list[float]):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    axes.set(xscale="log", xlim=(low, high))
    charts.logarithmic(axes.xaxis)
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert set(ticks) <= {round(tick, 6) for tick in shown}
    assert [axes.xaxis.get_major_formatter()(tick, 0) for tick in ticks] == [f"{tick:g}" for tick in ticks]
    assert axes.xaxis.get_minor_formatter()(low, 0) == ""


def test_matplotlib_is_imported_when_something_is_drawn():
    code = "import sys, restorect_cli.charts, restorect_cli.bench.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

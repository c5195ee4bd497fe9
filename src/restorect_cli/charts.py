"""Charts in one style, drawn by matplotlib: SVG for a page, PNG for a file.

A chart is made of panels, functions that draw on a matplotlib `Axes`. matplotlib comes with the extras `train` and
`bench` and is imported only to draw. It needs no display here, keeps no state and ignores the user's own
settings, so the same data give the same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Panel = Callable[["Axes"], None]

PAPER, INK, FAINT = "#ffffff", "#303030", "#e4e4e4"
COLOURS = (
    "#1f6fb4",
    "#d1562b",
    "#2f8f4e",
    "#8a4fb0",
    "#b8860b",
    "#3aa6a6",
    "#c2427a",
    "#5c3d1e",
    "#12355b",
    "#777777",
)  # distinct in grey too
MARKERS = "osD^vPX*"  # for series of dots, which differ by shape too

VARIABLES = ("text", "line", *(f"m{number}" for number in range(8)))  # colours of a page's style sheet, --text to --m7


def is_available() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def page_colour(variable: str) -> str:
    """A colour that `svg` replaces by the style sheet's variable of this name, so a dark page has light text."""
    return f"#0102{VARIABLES.index(variable):02x}"


def svg(panel: Panel, *, width_px: int, height_px: int, label: str) -> str:
    """A chart as an <svg> element for an HTML page, with a transparent background and real text.

    Ink is the page's --text, lines are its --line. A screen reader says `label`.
    """
    file = io.StringIO()
    with _style(page_colour("text"), page_colour("line"), font_px=14):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # no date and no version: the same every time
        figure = _figure([panel], width_px, height_px)
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    text = text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label={quoteattr(label)}', 1)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # these names would repeat in a page of several charts
    for variable in VARIABLES:
        text = text.replace(page_colour(variable), f"var(--{variable})")
    return text


def write_png(panels: Sequence[Panel], path: Path, *, width_px: int, height_px: int) -> None:
    """Panels below each other on white paper. Raises OSError."""
    with _style(INK, FAINT, font_px=13):
        figure = _figure(panels, width_px, height_px)
        figure.savefig(path, format="png", facecolor=PAPER, metadata={"Software": None}, pil_kwargs={"optimize": True})


def logarithmic(axis: Axis, steps: Sequence[float] = (1, 2, 5)) -> None:
    """Ticks at these multiples of each power of ten, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


@contextmanager
def _style(ink: str, faint: str, *, font_px: int) -> Iterator[None]:
    """Set matplotlib's defaults and this style, and restore the previous settings afterwards."""
    import matplotlib

    settings: Any = {
        "figure.dpi": 72,  # a point is a pixel
        "savefig.dpi": 72,
        "figure.constrained_layout.w_pad": 0.1,  # inches of 72 pixels
        "figure.constrained_layout.h_pad": 0.1,
        "svg.fonttype": "none",
        "svg.hashsalt": "restorect",
        "text.parse_math": False,  # names may hold a dollar sign
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": font_px,
        "axes.titlesize": font_px,
        "axes.titlelocation": "left",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "lines.linewidth": 2,
        "xtick.labelsize": font_px - 1,
        "ytick.labelsize": font_px - 1,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), ink),
        **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), faint),
    }
    with warnings.catch_warnings(), matplotlib.rc_context():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # the browser has letters that this font lacks
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def _figure(panels: Sequence[Panel], width_px: int, height_px: int) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_px / 72, height_px / 72), layout="constrained")
    for panel, axes in zip(panels, figure.subplots(len(panels), squeeze=False)[:, 0], strict=True):
        panel(axes)
    return figure

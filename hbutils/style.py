"""The house style: one call, one palette, the same meaning in every figure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.style

__all__ = ["DARK_DATA", "DARK_PALETTE", "DATA", "PALETTE", "line_style", "marker_style", "use_style"]

STYLE_FILE = Path(__file__).with_name("house.mplstyle")

# From dark to light, so that they also differ in grey; the hues differ for colour-blind readers.
PALETTE = {
    "population": "#222222",
    "unpooled": "#31489F",
    "partial": "#00856F",
    "pooled": "#D97706",
}
# The same on a dark page, as figures show them there: inverted, hues turned back, screened on its ground.
DARK_PALETTE = {
    "population": "#E0E0E1",
    "unpooled": "#A5BBFF",
    "partial": "#42BDAA",
    "pooled": "#D47C1B",
}
DATA = "#6B6B6B"  # observations, which belong to no model
DARK_DATA = "#9D9E9F"

# A second difference beside the colour
_LINES = {"population": (0, (1, 1)), "unpooled": (0, (4, 1.5, 1, 1.5)), "partial": "-", "pooled": (0, (5, 2))}
_MARKERS = {"population": "*", "unpooled": "o", "partial": "D", "pooled": "s"}


def use_style() -> None:
    """Apply the house style to every figure drawn from now on, crisp on high-density screens."""
    mpl.style.use(STYLE_FILE)
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats  # noqa: PLC0415 - notebooks only

        set_matplotlib_formats("retina")  # type: ignore[no-untyped-call]


def line_style(strategy: str) -> dict[str, Any]:
    """Colour and dashes of a strategy's lines, for Matplotlib's `plot`.

    Parameters
    ----------
    strategy : {"population", "unpooled", "partial", "pooled"}
        Whose line it is.
    """
    return {"color": PALETTE[strategy], "linestyle": _LINES[strategy]}


def marker_style(strategy: str) -> dict[str, Any]:
    """Colour and shape of a strategy's points, hollow for unpooled; for Matplotlib's `plot`.

    Parameters
    ----------
    strategy : {"population", "unpooled", "partial", "pooled"}
        Whose point it is.
    """
    face = "white" if strategy == "unpooled" else PALETTE[strategy]
    return {
        "color": PALETTE[strategy],
        "marker": _MARKERS[strategy],
        "markerfacecolor": face,
        "markeredgecolor": PALETTE[strategy],
        "linestyle": "none",
    }

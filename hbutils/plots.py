"""Figures that more than one chapter draws. Each takes the axes to draw on and returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch
from scipy import stats

from hbutils.data import InputError
from hbutils.style import DATA, PALETTE, line_style, marker_style

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from hbutils.data import GroupedData
    from hbutils.exact import Marginal

__all__ = [
    "arrows",
    "density",
    "forest",
    "group_means",
    "model_graph",
    "panel",
    "panels",
    "population_ellipses",
]

NAMES = {"pooled": "pooled", "unpooled": "unpooled", "partial": "partial pooling", "population": "population"}


def _coefficients(table: pd.DataFrame, label: str) -> tuple[float, float]:
    """A group's intercept and slope, from a table of estimates or of posterior means."""
    suffix = "_mean" if "alpha_mean" in table else ""
    alpha = table[f"alpha{suffix}"].loc[label]
    beta = table[f"beta{suffix}"].loc[label] if f"beta{suffix}" in table else 0.0
    return float(alpha), float(beta)


def panel(ax: Axes, data: GroupedData, label: str, lines: dict[str, pd.DataFrame] | None = None) -> Axes:
    """One group's observations, and its line under each strategy.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    data : GroupedData
        With a predictor.
    label : str
        The group.
    lines : dict
        Strategy (``"pooled"``, ``"unpooled"``, ``"partial"``) to a table with a row a group and columns
        `alpha`, `beta` or `alpha_mean`, `beta_mean`.
    """
    if data.x is None:
        raise InputError("a panel needs a predictor for its horizontal axis")
    rows = data.rows(label)
    ax.plot(data.x[rows], data.y[rows], "o", color=DATA, markersize=3.5, alpha=0.9)
    ends = np.array([data.x.min(), data.x.max()])
    for strategy, table in (lines or {}).items():
        alpha, beta = _coefficients(table, label)
        ax.plot(ends, alpha + beta * ends, label=NAMES[strategy], linewidth=1.8, **line_style(strategy))
    ax.set_title(label, loc="left", fontsize=9.5, pad=2)
    return ax


def panels(
    data: GroupedData,
    lines: dict[str, pd.DataFrame] | None = None,
    *,
    labels: list[str] | None = None,
    columns: int = 6,
    height: float = 1.45,
) -> NDArray[np.object_]:
    """Small multiples: a :func:`panel` for each group, on shared axes with one legend.

    Parameters
    ----------
    data : GroupedData
        With a predictor.
    lines : dict
        As in :func:`panel`.
    labels : list of str
        The groups, all of them if left out.
    columns : int
        Panels side by side.
    height : float
        Height of a row in inches.

    Returns
    -------
    array of Axes
        One a group, flat.
    """
    labels = list(data.labels) if labels is None else labels
    n_rows = -(-len(labels) // columns)
    figure, grid = plt.subplots(
        n_rows, columns, sharex=True, sharey=True, figsize=(7.2, height * n_rows + 0.6), squeeze=False
    )
    axes = grid.ravel()
    for ax, label in zip(axes, labels, strict=False):
        panel(ax, data, label, lines)
    for ax in axes[len(labels) :]:
        ax.set_axis_off()
    figure.supxlabel(data.axis_label("x"), fontsize=10.5)
    figure.supylabel(data.axis_label("y"), fontsize=10.5)
    if lines:
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=len(names))
    return axes[: len(labels)]


def density(
    ax: Axes, exact: Marginal, strategy: str, *, draws: ArrayLike | None = None, label: str | None = None
) -> Axes:
    """A marginal posterior: the exact density as a line, draws, if any, as a histogram behind it.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    exact : Marginal
        Grid and density.
    strategy : str
        Whose colours to use.
    draws : array
        Draws of the same quantity, of any shape.
    label : str
        Name in the legend.
    """
    if draws is not None:
        low, high = exact.grid[[0, -1]]
        ax.hist(
            np.ravel(draws),
            bins=list(np.linspace(low, high, 60)),
            density=True,
            color=PALETTE[strategy],
            alpha=0.25,
            label="NUTS draws",
        )
    ax.plot(exact.grid, exact.density, label=label or "exact", **line_style(strategy))
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_ylim(bottom=0)
    return ax


def forest(ax: Axes, tables: dict[str, pd.DataFrame], name: str, *, order: ArrayLike | None = None) -> Axes:
    """Each group's mean and 95 % interval (mean plus or minus 1.96 SD), one row a group.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    tables : dict
        Strategy to a table with columns ``{name}_mean`` and ``{name}_sd`` and a row a group.
    name : str
        ``"alpha"`` or ``"beta"``.
    order : array of labels
        From bottom to top; that of the first table's means if left out.
    """
    first = next(iter(tables.values()))
    labels = list(first.sort_values(f"{name}_mean").index) if order is None else list(np.asarray(order))
    heights = np.arange(len(labels))
    offsets = np.linspace(0.17, -0.17, len(tables)) if len(tables) > 1 else [0.0]
    for (strategy, table), offset in zip(tables.items(), offsets, strict=True):
        rows = table.loc[labels]
        ax.errorbar(
            rows[f"{name}_mean"],
            heights + offset,
            xerr=1.96 * rows[f"{name}_sd"],
            linewidth=1.4,
            label=NAMES[strategy],
            **marker_style(strategy),
        )
    ax.set_yticks(heights, labels)
    ax.set_ylim(-0.7, len(labels) - 0.3)
    return ax


def group_means(ax: Axes, data: GroupedData, means: pd.DataFrame, strategy: str) -> Axes:
    """Observations group by group, with the mean that a strategy gives to each.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    data : GroupedData
        Without a predictor, or with one that is ignored.
    means : DataFrame
        A row a group; column `alpha` or `alpha_mean`, and, for intervals, `alpha_sd`.
    strategy : {"pooled", "unpooled", "partial"}
        Whose colours to use.
    """
    ax.plot(data.group, data.y, "o", color=DATA, markersize=3, alpha=0.55)
    values = np.array([_coefficients(means, label)[0] for label in data.labels])
    at = np.arange(data.n_groups)
    if strategy == "pooled":
        ax.plot([-0.5, data.n_groups - 0.5], values[[0, -1]], **line_style("pooled"))
    else:
        ax.plot(at, values, markersize=7, markeredgewidth=1.6, **marker_style(strategy))
    if "alpha_sd" in means and strategy != "pooled":
        ax.errorbar(
            at,
            values,
            yerr=1.96 * means["alpha_sd"].loc[list(data.labels)],
            fmt="none",
            ecolor=PALETTE[strategy],
            linewidth=1.4,
        )
    ax.set_xticks(at, data.labels, rotation=90 if data.n_groups > 8 else 0)
    ax.set_xlabel(data.group_name)
    ax.set_ylabel(data.axis_label("y"))
    return ax


def population_ellipses(
    ax: Axes, centre: ArrayLike, covariance: ArrayLike, *, levels: tuple[float, ...] = (0.5, 0.8, 0.95)
) -> Axes:
    """Ellipses that hold the given shares of a bivariate normal population.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    centre : (2,) array
        Population means, horizontal and vertical.
    covariance : (2, 2) array
        Population covariance.
    levels : tuple of float
        Shares of the population inside.
    """
    values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=float))
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    for level in levels:
        radius = np.sqrt(stats.chi2.ppf(level, 2))
        width, height = 2 * radius * np.sqrt(np.maximum(values[::-1], 0))
        ax.add_patch(
            Ellipse(
                tuple(np.asarray(centre, dtype=float)),
                width,
                height,
                angle=angle,
                fill=False,
                edgecolor=PALETTE["population"],
                alpha=0.45,
                linewidth=1.0,
            )
        )
    ax.plot(*np.asarray(centre, dtype=float), markersize=11, **marker_style("population"))
    return ax


def arrows(ax: Axes, table: pd.DataFrame) -> Axes:
    """Arrows from each group's own line to its partially pooled one, slope against intercept.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : DataFrame
        From :func:`hbutils.shrinkage_table`, with a predictor.
    """
    columns = ["alpha_unpooled", "beta_unpooled", "alpha", "beta"]
    for a0, b0, a1, b1 in table[columns].dropna().to_numpy(float):
        ax.add_patch(
            FancyArrowPatch(
                (a0, b0), (a1, b1), arrowstyle="-|>", mutation_scale=8, color=DATA, linewidth=0.9, shrinkA=3
            )
        )
    ax.plot(table["alpha_unpooled"], table["beta_unpooled"], label="unpooled", **marker_style("unpooled"))
    ax.plot(table["alpha"], table["beta"], label="partial pooling", **marker_style("partial"))
    return ax


def model_graph(ax: Axes, model: pm.Model) -> Axes:
    """A model's graph: what depends on what, read off the model itself.

    Circles are unknown, the shaded one is observed, boxes are data; a frame says over what its
    contents are repeated.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    model : pymc.Model
        The model.
    """
    from pymc.model_graph import ModelGraph  # noqa: PLC0415 - slow to load, and most figures need no model

    parents = {name: set(above) for name, above in ModelGraph(model).make_compute_graph().items()}
    observed = {rv.name for rv in model.observed_RVs}
    data = {v.name for v in model.data_vars}
    dims = {name: (model.named_vars_to_dims.get(name) or ("",))[0] for name in parents}
    level = _levels(parents, observed, data)
    position = _layout(level, dims, data)
    boxes = {}
    for name, (x, y) in position.items():
        box = "square,pad=0.45" if name in data else "round,pad=0.5,rounding_size=0.9"
        face = "#DDDDDD" if name in observed else "white"
        style = {"boxstyle": box, "facecolor": face, "edgecolor": PALETTE["population"], "linewidth": 1.0}
        boxes[name] = ax.text(x, y, name, ha="center", va="center", fontsize=9.5, bbox=style, zorder=3)
    for name, above in parents.items():
        for parent in above:
            ends = {"patchA": boxes[parent].get_bbox_patch(), "patchB": boxes[name].get_bbox_patch()}
            arrow = {"arrowstyle": "-|>", "color": DATA, "shrinkA": 1, "shrinkB": 2}
            ax.annotate("", position[name], position[parent], arrowprops=arrow | ends)
    for dim in dict.fromkeys(d for d in dims.values() if d):
        _plate(
            ax,
            np.array([position[n] for n in parents if dims[n] == dim]),
            f"{dim} × {len(model.coords[dim])}",
        )
    ax.set_axis_off()
    ax.set_xlim(-0.9, 0.9)
    ax.set_ylim(-0.6, max(level.values()) + 0.5)
    return ax


def _levels(parents: dict[str, set[str]], observed: set[str], data: set[str]) -> dict[str, int]:
    """Height of each node above what is observed: its longest way down. Data stand beside it."""
    children: dict[str, set[str]] = {
        name: {n for n, above in parents.items() if name in above} for name in parents
    }

    def height(name: str) -> int:
        if name in observed or name in data:
            return 0
        return 1 + max((height(child) for child in children[name]), default=-1)

    return {name: height(name) for name in parents}


def _layout(level: dict[str, int], dims: dict[str, str], data: set[str]) -> dict[str, tuple[float, float]]:
    """Nodes of a level side by side, those of one frame together, in the model's order."""
    position: dict[str, tuple[float, float]] = {}
    for height in set(level.values()):
        names = [name for name in level if level[name] == height]
        names.sort(key=lambda name: (name in data, not dims[name]))
        places = np.linspace(-0.6, 0.6, len(names)) if len(names) > 1 else [0.0]
        position |= {name: (float(x), float(height)) for name, x in zip(names, places, strict=True)}
    return position


def _plate(ax: Axes, nodes: NDArray[np.float64], text: str) -> None:
    margin = np.array([0.2, 0.32])
    low, high = nodes.min(axis=0) - margin, nodes.max(axis=0) + margin
    width, height = high - low
    ax.add_patch(
        FancyBboxPatch(
            (low[0], low[1]), width, height,
            boxstyle="round,pad=0,rounding_size=0.05", fill=False, edgecolor=DATA, linewidth=0.9,
        )
    )  # fmt: skip
    ax.text(high[0] - 0.02, low[1] + 0.04, text, ha="right", va="bottom", fontsize=8.5, color=DATA)

"""Draw the cover: the sleep study under the three strategies, as site/cover.png beside this file.

Run ``python site/make_cover.py``; the same data always give the same picture.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

import hbutils as hb

TITLES = {
    "pooled": "Pooled:\neveryone the same",
    "unpooled": "Unpooled:\neveryone a stranger",
    "partial": "Partially pooled:\nsomething in common",
}
SUBJECT = "335"  # the one who got quicker
DAYS = np.array([0, 9])


def lines(data: hb.GroupedData) -> dict[str, pd.DataFrame]:
    """Give each subject's intercept and slope under each strategy."""
    slope, intercept = np.polyfit(data.x, data.y, 1)
    together = hb.exact_posterior(data, hb.Priors.for_sleepstudy()).groups()
    return {
        "pooled": pd.DataFrame({"alpha": intercept, "beta": slope}, index=data.labels),
        "unpooled": hb.least_squares(data),
        "partial": together.rename(columns={"alpha_mean": "alpha", "beta_mean": "beta"}),
    }


def draw(ax: Axes, data: hb.GroupedData, strategy: str, table: pd.DataFrame) -> None:
    """Draw everybody's days and line, the one subject's on top."""
    colour, rows = hb.PALETTE[strategy], data.rows(SUBJECT)
    ax.plot(data.x, data.y, "o", color=hb.DATA, markersize=2.9, alpha=0.6, markeredgewidth=0)
    for row in table.itertuples():
        ax.plot(DAYS, row.alpha + row.beta * DAYS, color=colour, linewidth=0.9, alpha=0.6)
    ax.plot(data.x[rows], data.y[rows], "o", color=hb.PALETTE["population"], markersize=3.8)
    chosen = table.loc[SUBJECT]
    ax.plot(DAYS, chosen["alpha"] + chosen["beta"] * DAYS, color=colour, linewidth=3)
    ax.set(xticks=[0, 3, 6, 9], ylim=(180, 480))
    ax.set_title(TITLES[strategy], color=colour, fontsize=10)


def main() -> None:
    """Write the picture."""
    hb.use_style()
    data = hb.load_sleepstudy()
    figure, axes = plt.subplots(1, 3, figsize=(5.6, 3.0), sharey=True)
    for ax, (strategy, table) in zip(axes, lines(data).items(), strict=True):
        draw(ax, data, strategy, table)
    axes[0].set_ylabel("reaction time (ms)")
    axes[1].set_xlabel("day")
    axes[0].annotate(
        f"subject {SUBJECT}", (4, 252), (3.1, 192), fontsize=9, color=hb.PALETTE["population"], ha="left"
    )
    figure.savefig(Path(__file__).with_name("cover.png"), dpi=200, metadata={"Software": None})


if __name__ == "__main__":
    main()

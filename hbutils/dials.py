"""Interactive figures: the mathematics runs in the page, without a server, a library or a network.

A dial is a model (plain numbers, made here) and a script in ``js/`` that draws it. The scripts ``dial.js``
(axes, legend, controls, read-out, table) and ``lines.js`` (Gaussian lines in closed form) serve all dials.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hbutils.data import InputError
from hbutils.exact import ExactPosterior
from hbutils.style import DARK_DATA, DARK_PALETTE, DATA, PALETTE

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SCRIPTS", "Dial", "pooling_dial", "sparse_subject"]

SCRIPTS = Path(__file__).with_name("js")
SHARED = ("dial", "lines")
STEPS = 100  # positions of the pooling dial, beside zero


@dataclass(frozen=True, repr=False)
class Dial:
    """An interactive figure, which a notebook shows when it is a cell's last value.

    The figure of the cell before stands in for it on paper and without scripts, and lends it its caption.

    Attributes
    ----------
    name : str
        Name of the script in ``js/`` that draws it.
    model : dict
        What the script is given; must go into JSON.
    """

    name: str
    model: dict[str, Any]

    def __repr__(self) -> str:
        return f"Dial({self.name!r})"

    @property
    def scripts(self) -> tuple[str, ...]:
        """Names of the scripts it needs, in order."""
        return (*SHARED, self.name)

    def element(self) -> str:
        """HTML of the dial without the scripts, for a page that loads them."""
        palette = {
            "light": {**PALETTE, "data": DATA},
            "dark": {**DARK_PALETTE, "data": DARK_DATA},
        }
        model = json.dumps({**self.model, "palette": palette}, allow_nan=False, separators=(",", ":"))
        name = escape(self.name)
        return (
            f'<div class="hb-dial" id="dial-{name}" data-dial="{name}">'
            # A tag in a group's name would end the script, whatever it stands in
            f'<script type="application/json">{model.replace("<", "\\u003c")}</script></div>'
        )

    def _repr_html_(self) -> str:
        code = "\n".join((SCRIPTS / f"{name}.js").read_text(encoding="utf-8") for name in self.scripts)
        return f'{self.element()}\n<script class="hb-dial-code">\n{code}</script>'


def _padded(values: NDArray[np.float64]) -> list[float]:
    """Ends of an axis on which no value sits at the rim."""
    margin = 0.04 * np.ptp(values)
    return [float(values.min() - margin), float(values.max() + margin)]


def _axes(posterior: ExactPosterior, highlight: str | None) -> dict[str, Any]:
    """What both dials say about axes, units and observations."""
    if not isinstance(posterior, ExactPosterior):
        raise InputError("a dial needs what hb.exact_posterior(data) returns")
    data = posterior.data
    if data.x is None:
        raise InputError("this dial draws lines, so the data need a predictor: give from_frame an x")
    if "rho" in posterior.names:
        raise InputError("this dial's intercepts and slopes are independent: use correlated=False")
    x_unit, y_unit = (data.units.get(name, "") for name in (data.x_name, data.y_name))
    ends = [float(data.x.min()), float(data.x.max())]
    scale = float(np.ptp(data.y)) / 10  # differences of this size are worth three digits
    return {
        "group": data.group_name,
        "highlight": data.labels[0 if highlight is None else data.position(highlight)],
        "unit": y_unit,
        "slope_unit": f"{y_unit} per {x_unit or data.x_name}".strip(),
        "y_scale": scale,
        "slope_scale": scale / (ends[1] - ends[0]),
        "x": {"label": data.axis_label("x"), "range": ends, "domain": _padded(data.x)},
        "y": {"label": data.axis_label("y"), "domain": _padded(data.y)},
        "groups": [
            {"label": label, "x": data.x[rows].tolist(), "y": data.y[rows].tolist()}
            for label in data.labels
            for rows in [data.rows(label)]
        ],
    }


def pooling_dial(posterior: ExactPosterior, highlight: str | None = None) -> Dial:
    """The pooling dial: the SD between groups from zero to infinity, and everybody's line.

    At zero all lines are the pooled least-squares line, at infinity each is the group's own. In between they
    are those of `hbutils.conditional_posterior` with flat priors on the population's means. The noise SD, and
    the ratio of the SD of slopes to that of intercepts, are held at their posterior means. The slider is the
    SD of intercepts, of lines where the predictor is zero: let zero lie among the data, or near them.

    Parameters
    ----------
    posterior : ExactPosterior
        Says where the data put the dial: mean and 95 % interval of ``sigma_alpha``.
    highlight : str, optional
        Group whose line is drawn in bold; the first if left out.

    Raises
    ------
    InputError
        If the data have no predictor, a group has too few values of it for a line of its own, the posterior
        is a correlated one, or `highlight` is no group.
    """
    model = _axes(posterior, highlight)
    for group in model["groups"]:
        if len(set(group["x"])) < 2:
            raise InputError(
                f"group '{group['label']}' has one value of '{posterior.data.x_name}', so no line of its own "
                "for the end of the dial: leave it out with data.keep(...)"
            )
    summary = posterior.summary()
    mean = summary["mean"]
    low, middle, high = (float(summary[q]["sigma_alpha"]) for q in ("q2.5", "mean", "q97.5"))
    first, last = middle / 50, middle * 50
    finite = [float(f"{sd:.3g}") for sd in np.geomspace(first, last, STEPS - 1)]

    def position(sd: float) -> float:
        """Where on the slider an SD lies; zero has a step of its own."""
        return float(max(0.5, 1 + (STEPS - 2) * np.log(sd / first) / np.log(last / first)))

    powers = 10.0 ** np.arange(np.ceil(np.log10(first)), np.floor(np.log10(last)) + 1)
    learnt = {"low": low, "value": middle, "high": high}
    return Dial(
        "pooling_dial",
        {
            **model,
            "sigma": float(mean["sigma"]),
            "ratio": float(mean["sigma_beta"] / mean["sigma_alpha"]),
            "positions": [0.0, *finite, None],  # None stands for infinity, which JSON does not know
            "ticks": [[0, 0.0], *([position(p), float(p)] for p in powers), [STEPS, None]],
            "start": round(position(middle)),
            "learnt": learnt,
            "mark": {name: position(sd) for name, sd in learnt.items()},
        },
    )


def sparse_subject(posterior: ExactPosterior, highlight: str | None = None) -> Dial:
    """The sparse subject: take observations away from one group and watch where its line goes.

    Lines and bands are those of `hbutils.conditional_posterior` on the observations left, with flat priors on
    the population's means and the SDs held at their posterior means. With no observation left, the group's
    line is that of a new group.

    Parameters
    ----------
    posterior : ExactPosterior
        Its posterior means of the SDs are used.
    highlight : str, optional
        Group to begin with; the first if left out. The reader can choose another.

    Raises
    ------
    InputError
        If the data have no predictor, the posterior is a correlated one, or `highlight` is no group.
    """
    model = _axes(posterior, highlight)
    mean = posterior.summary()["mean"]
    start = min(2, int(posterior.data.counts.max()))  # few enough for the population to count
    sds = {name: float(mean[name]) for name in ("sigma", "sigma_alpha", "sigma_beta")}
    return Dial("sparse_subject", {**model, "start": start, **sds})

"""Interactive figures: the mathematics runs in the page, without a server, a library or a network.

A dial is a model (plain numbers, made here) and a script in ``js/`` that draws it. The script ``dial.js``
(axes, legend, controls, read-out, table) serves all dials; ``lines.js`` (Gaussian lines in closed form) and
``densities.js`` (mass and quantiles of a density) those that `LIBRARIES` names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.polynomial import chebyshev
from scipy import special

from hbutils._quadrature import light_nodes, mesh
from hbutils.data import GroupedData, InputError
from hbutils.exact import ExactPosterior, exact_posterior
from hbutils.priors import LKJ, Exponential, GammaPrecision, HalfNormal, HalfStudentT, Priors, Uniform
from hbutils.style import DARK_DATA, DARK_PALETTE, DATA, PALETTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hbutils._quadrature import Positive, Target

__all__ = [
    "SCRIPTS",
    "Dial",
    "correlation_dial",
    "explorer_dial",
    "hyperprior_dial",
    "pooling_dial",
    "shrinkage_dial",
    "sparse_subject",
]

SCRIPTS = Path(__file__).with_name("js")
SHARED = ("dial",)
LIBRARIES = {
    "lines": ("pooling_dial", "sparse_subject"),
    "densities": ("hyperprior_dial", "correlation_dial"),
}
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
        needed = (library for library, names in LIBRARIES.items() if self.name in names)
        return (*SHARED, *needed, self.name)

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


# --- hyperpriors: the likelihood of one quantity, all others integrated out ------------------------

SHAPES = (HalfNormal, HalfStudentT, Exponential, GammaPrecision, Uniform)  # in the order of the script
NUS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30)
EPSILONS = [float(f"{10.0 ** (k / 10):.2g}") for k in range(-30, 1)]
ETAS = [float(f"{10.0 ** (k / 20):.2g}") for k in range(-6, 35)]
WIDE = 2.0  # eta of a prior under which correlations near one are still seen
NEGLIGIBLE = 1e-9  # coefficients of a series that are left out


def _log_likelihood(
    data: GroupedData, priors: Priors
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Log likelihood of `sigma_alpha`, as a function of values (K,), with everything else integrated out.

    The other SDs are integrated over on axes that do for the posterior whether sigma_alpha is next to
    nothing, free, or as large as can be, at half their step.
    """
    spread = float(data.y.std())
    found = [
        exact_posterior(data, replace(priors, sigma_alpha=HalfNormal(factor * spread)))
        for factor in (0.01, 1.0, 1000.0)
    ]
    target = found[-1]._target  # noqa: SLF001 - in the family
    axes = []
    for k, name in enumerate(target.coordinates):
        every = [posterior._grid.axes[k] for posterior in found]  # noqa: SLF001
        low, high = min(axis[0] for axis in every), max(axis[-1] for axis in every)
        step = min(axis[1] - axis[0] for axis in every) / 2
        if name != "sigma_alpha":
            axes.append(np.arange(low, high + step, step))
    others = mesh(axes)
    scale = cast("Positive", target.coordinates["sigma_alpha"]).scale

    def log_likelihood(sds: NDArray[np.float64]) -> NDArray[np.float64]:
        t = -np.log(special.lambertw(scale / sds).real)  # where scale * exp(t - exp(-t)) is sd
        return _along(target, "sigma_alpha", t, others)

    return log_likelihood


def _along(
    target: Target, name: str, t: NDArray[np.float64], others: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Log likelihood of one coordinate at values t (K,), summed over nodes (M,) of the others."""
    place = list(target.coordinates).index(name)
    nodes = [*others[:place], np.empty(others[0].size), *others[place:]]
    values = []
    for at in t:
        nodes[place][:] = at
        values.append(special.logsumexp(target(nodes)[0]))
    return np.array(values) - target.coordinates[name].log_prior(t)  # the target has it in it


def _correlation(posterior: ExactPosterior) -> dict[str, Any]:
    """Log likelihood of `rho` at equal steps of its coordinate, close enough for cubics."""
    target, grid = posterior._target, posterior._grid  # noqa: SLF001 - in the family
    place = list(target.coordinates).index("rho")
    axis = posterior._axes["rho"]  # noqa: SLF001
    heavy = ~light_nodes(grid.weights.reshape(grid.log_density.shape).sum(axis=place).ravel())
    others = [t[heavy] for t in mesh([*grid.axes[:place], *grid.axes[place + 1 :]])]
    log_likelihood = np.empty(2 * axis.t.size - 1)
    log_likelihood[::2] = axis.log_density - axis.coordinate.log_prior(axis.t)
    log_likelihood[1::2] = _along(target, "rho", (axis.t[1:] + axis.t[:-1]) / 2, others)
    return {
        "start": float(axis.t[0]),
        "step": float(axis.t[1] - axis.t[0]) / 2,
        "log": np.round(log_likelihood - log_likelihood.max(), 8).tolist(),
    }


def _series(function: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> list[float]:
    """Coefficients of a Chebyshev series for a function on (-1, 1), up to a constant; small ones left out."""
    for n in (64, 128, 256):
        points = np.cos(np.pi * (np.arange(n) + 0.5) / n)
        values = function(points)
        coefficients = chebyshev.chebfit(points, values - values.max(), n - 1)
        if np.abs(coefficients[-4:]).max() < 10 * NEGLIGIBLE:
            break
    large = np.flatnonzero(np.abs(coefficients) > NEGLIGIBLE)
    return [round(float(c), 10) for c in coefficients[: large.max(initial=0) + 1]]


def _study(name: str, data: GroupedData, priors: Priors) -> dict[str, Any]:
    """What a study says of `sigma_alpha`, for the hyperprior dial's script."""
    # Without a power law for large SDs, and against tanh of their logarithm, it is nearly a polynomial.
    centre = float(data.y.std())
    power = data.n_groups - (1 if priors.mu_alpha.flat else 0)
    likelihood = _log_likelihood(data, priors)

    def rest(tanh: NDArray[np.float64]) -> NDArray[np.float64]:
        sd = centre * np.exp(np.arctanh(tanh))
        return likelihood(sd) + power / 2 * np.log1p((sd / centre) ** 2)

    return {
        "label": name,
        "groups": data.labels,
        "series": _series(rest),
        "centre": centre,
        "power": power,
    }


def _rounded(value: float) -> float:
    """One significant digit."""
    return float(f"{value:.0e}")


def hyperprior_dial(studies: dict[str, GroupedData], priors: Priors) -> Dial:
    """The hyperprior dial: a prior on the SD of intercepts, and the posterior that it leads to.

    Its shape is half-normal, half-Student-t, exponential, Gamma(epsilon, epsilon) on the precision, or
    uniform. The posterior is that of `hbutils.exact_posterior`; the priors of all other quantities stay.

    Parameters
    ----------
    studies : dict of GroupedData
        The data to choose from, under the names that the reader sees: a large study first, then smaller ones.
    priors : Priors
        Where the dial starts (`sigma_alpha`), and what it does not turn.

    Raises
    ------
    InputError
        If there are no studies, one has a single group, or they are not in the same units.
    """
    if not isinstance(studies, dict) or not studies:
        raise InputError('hyperprior_dial needs studies with names: {"18 subjects": data, ...}')
    for name, data in studies.items():
        if not isinstance(data, GroupedData):
            raise InputError(f"study '{name}' is not grouped data, as GroupedData.from_frame returns it")
    if not isinstance(priors, Priors):
        raise InputError("hyperprior_dial needs priors: hb.Priors.weakly_informative(data), for one")
    first = next(iter(studies.values()))
    unit = first.units.get(first.y_name, "")
    for name, data in studies.items():
        if (data.y_name, data.units.get(data.y_name, "")) != (first.y_name, unit):
            raise InputError(f"study '{name}' has another outcome, or other units, than the first")
    spread = float(first.y.std())
    lowest = 10.0 ** np.floor(np.log10(spread) - 1.5)
    scales = [float(f"{lowest * 10.0 ** (k / 20):.2g}") for k in range(61)]
    prior = priors.sigma_alpha
    scale = float(getattr(prior, "scale", getattr(prior, "upper", spread)))
    top = _rounded(2 * spread)
    tame = replace(priors, sigma_alpha=HalfNormal(spread))  # a spike would make the axis too high
    height = float(exact_posterior(first, tame).marginal("sigma_alpha").density.max())
    return Dial(
        "hyperprior_dial",
        {
            "group": first.group_name,
            "unit": unit,
            "studies": [_study(str(name), data, priors) for name, data in studies.items()],
            "centre": spread,
            "scales": scales,
            "scale_ticks": [0, 20, 40, 60],
            "nus": NUS,
            "epsilons": EPSILONS,
            "epsilon_ticks": [0, 10, 20, 30],
            "start": {
                "shape": SHAPES.index(type(prior)),
                "scale": int(np.abs(np.log(np.array(scales) / scale)).argmin()),
                "nu": int(np.abs(np.log(np.array(NUS) / getattr(prior, "nu", 3))).argmin()),
                "epsilon": int(np.abs(np.log(np.array(EPSILONS) / getattr(prior, "shape", 0.1))).argmin()),
            },
            "inside": [top / 20, top],
            "x": {
                "label": f"between-{first.group_name} SD" + (f" ({unit})" if unit else ""),
                "domain": [0.0, top],
            },
            "y": {
                "label": f"density per {unit}" if unit else "density",
                "domain": [0.0, 1.5 * height],
            },
        },
    )


def correlation_dial(posterior: ExactPosterior) -> Dial:
    """The correlation dial: the LKJ prior's eta, and the posterior of the correlation under it.

    The correlation's posterior is that of `hbutils.exact_posterior` for each eta. The ellipse and the groups'
    lines hold the population's mean and the SDs at their posterior means under the prior given, and the
    correlation at its posterior mean under the prior shown.

    Parameters
    ----------
    posterior : ExactPosterior
        Of the correlated model; its prior is where the dial starts.

    Raises
    ------
    InputError
        If the posterior is of another kind, or not of the correlated model.
    """
    if not isinstance(posterior, ExactPosterior):
        raise InputError("a dial needs what hb.exact_posterior(data, correlated=True) returns")
    if posterior.data.x is None or "rho" not in posterior.names:
        raise InputError("this dial turns a correlation: use hb.exact_posterior(data, correlated=True)")
    data, priors, x = posterior.data, posterior.priors, posterior.data.x
    # A prior that rules out correlations near one says nothing of how likely the data find them.
    wide = posterior
    if priors.rho.eta > WIDE:
        wide = exact_posterior(data, replace(priors, rho=LKJ(1.0)), correlated=True)
    mean = posterior.summary()["mean"]
    line = np.array([mean["mu_alpha"], mean["mu_beta"]])
    sds = np.array([mean["sigma_alpha"], mean["sigma_beta"]])
    groups = []
    own = []
    for label in data.labels:
        rows = data.rows(label)
        design = np.column_stack([np.ones(rows.size), x[rows]])
        xx = design.T @ design
        noise = float(mean["sigma"]) ** 2
        group: dict[str, Any] = {
            "label": label,
            "xx": (xx.ravel()[[0, 1, 3]] / noise).tolist(),
            "pull": (design.T @ (data.y[rows] - design @ line) / noise).tolist(),
        }
        if len(set(x[rows])) > 1:
            group["own"] = np.linalg.lstsq(design, data.y[rows])[0].tolist()
            own.append(group["own"])
        groups.append(group)
    reach = 2.7 * sds
    cloud = np.array([line - reach, line + reach, *own])
    x_unit, y_unit = (data.units.get(name, "") for name in (data.x_name, data.y_name))
    slope_unit = f"{y_unit} per {x_unit or data.x_name}".strip()
    return Dial(
        "correlation_dial",
        {
            "group": data.group_name,
            "likelihood": _correlation(wide),
            "etas": ETAS,
            "ticks": [ETAS.index(v) for v in (0.5, 1, 2, 5, 10, 20, 50)],
            "start": int(np.abs(np.log(np.array(ETAS) / priors.rho.eta)).argmin()),
            "mean": line.tolist(),
            "sds": sds.tolist(),
            "groups": groups,
            "density": [0.0, 4.2],
            "scale": [float(s) / 3 for s in sds],
            "x": {
                "label": f"intercept ({y_unit})" if y_unit else "intercept",
                "domain": _padded(cloud[:, 0]),
            },
            "y": {"label": f"slope ({slope_unit})", "domain": _padded(cloud[:, 1])},
        },
    )


# --- shrinkage: one group and its population ----------------------------------------------------------

COUNTS = (*range(1, 11), 12, 14, 16, 18, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100)
OCTAVES = 3  # that an SD of the shrinkage dial can be halved or doubled
SIXTHS = 6  # steps of an octave


def shrinkage_dial(
    mean: float,
    n: int,
    *,
    mu: float,
    sigma: float,
    sigma_alpha: float,
    quantity: str = "group mean",
    unit: str = "",
) -> Dial:
    """The shrinkage dial: one group's own mean, its population, and the weighted mean of the two.

    The reader turns the number of observations (up to 100) and both SDs (up to eight times as small or
    large). The weight is `hbutils.shrinkage_weight`; the population's mean is taken as known.

    Parameters
    ----------
    mean : float
        The group's own mean.
    n : int
        Observations behind it, where the dial starts; between 1 and 100.
    mu : float
        Population mean.
    sigma, sigma_alpha : float
        Noise SD and between-group SD, where the dial starts.
    quantity, unit : str
        What is measured, as the axis says it, and its unit.

    Raises
    ------
    InputError
        If a number is not finite, an SD is not positive, or `n` is no count between 1 and 100.
    """
    if not np.isfinite([mean, mu, sigma, sigma_alpha]).all() or min(sigma, sigma_alpha) <= 0:
        raise InputError("mean and mu must be finite, and sigma and sigma_alpha finite and above zero")
    if n not in range(1, COUNTS[-1] + 1):
        raise InputError(f"the dial's group has between 1 and {COUNTS[-1]} observations, and not {n}")
    counts = sorted({*COUNTS, int(n)})
    steps = range(-OCTAVES * SIXTHS, OCTAVES * SIXTHS + 1)
    noise, between = ([float(f"{sd * 2 ** (s / SIXTHS):.3g}") for s in steps] for sd in (sigma, sigma_alpha))
    middle = OCTAVES * SIXTHS
    noise[middle], between[middle] = float(sigma), float(sigma_alpha)
    reach = 3.5 * sigma_alpha
    return Dial(
        "shrinkage_dial",
        {
            "mean": float(mean),
            "mu": float(mu),
            "quantity": quantity,
            "unit": unit,
            "scale": float(max(abs(mean), abs(mu))),
            "counts": counts,
            "noise": noise,
            "between": between,
            "start": {"n": counts.index(n), "sigma": middle, "sigmaAlpha": middle},
            "ticks": {
                "n": [counts.index(tick) for tick in (1, 2, 5, 10, 20, 50, 100)],
                "sd": list(range(0, len(noise), SIXTHS)),
            },
            "x": {
                "label": f"{quantity} ({unit})" if unit else quantity,
                "domain": [float(min(mean, mu) - reach), float(max(mean, mu) + reach)],
            },
        },
    )


# --- the simulation study, cell by cell -------------------------------------------------------------

SIZES = {True: "equal", False: "unequal"}  # of groups, in words


def _digits(values: pd.Series, places: int) -> list[int | str]:
    """The least of some values, rounded to so many digits or to integers, and by how much each exceeds it.

    The excesses, as many digits each, follow one another; where there is no value stands the least.
    """
    rounded = [round(float(f"{value:.{places}g}")) for value in values.fillna(values.min())]
    low = min(rounded)
    width = len(str(max(rounded) - low))
    return [low, "".join(f"{value - low:0{width}d}" for value in rounded)]


def explorer_dial(study: pd.DataFrame, *, groups: int = 10, observations: int = 5, icc: float = 0.1) -> Dial:
    """The decision explorer: choose a cell of the simulation study, and see the three models' errors there.

    Errors are root mean squared errors of the groups' means, with two Monte Carlo standard errors. They are
    rounded to a thousandth of the errors for known SDs and equal groups, which the lines show; coverage, to a
    percent. The population is normal.

    Parameters
    ----------
    study : DataFrame
        What :func:`hbutils.study.load_study` returns.
    groups, observations, icc : int, int, float
        Where the dial starts; a cell of the study.

    Raises
    ------
    InputError
        If the study lacks columns or models, or the start is none of its cells.
    """
    axes = ["balanced", "groups", "observations", "icc"]
    needed = {*axes, "population", "model", "mse", "mse_se", "mse_lost", "mse_lost_se", "coverage"}
    if missing := sorted(needed - {*study.columns}):
        raise InputError(f"this is not a simulation study: columns missing: {', '.join(missing)}")
    study = study[study["population"] == "normal"]
    steps = {name: sorted(study[name].unique().tolist()) for name in axes[1:]}
    start = {"groups": groups, "observations": observations, "icc": icc}
    for name, values in steps.items():
        if start[name] not in values:
            raise InputError(
                f"the study has cells with {name} {', '.join(map(str, values))}, and not {start[name]}"
            )
    every = pd.MultiIndex.from_product([SIZES, *steps.values()], names=axes)
    count, n, r = (every.get_level_values(name).to_numpy() for name in axes[1:])
    own = np.sqrt(n)  # one over the standard error of a group's own mean, in noise SDs
    signal = n * r / (1 - r)
    bracket = {"pooled": signal, "unpooled": 1.0, "partial": signal / (1 + signal)}
    found = {}
    for name, part in bracket.items():
        rows = study[study["model"] == name].set_index(axes)
        if rows.empty or rows.index.has_duplicates:
            raise InputError(f"this is not a simulation study: the {name} model needs one row for each cell")
        rows = rows.reindex(every)
        paper = np.sqrt(1 / count + (1 - 1 / count) * part) / own
        rmse = np.sqrt(rows["mse"])
        # A difference of roots is that of squares over the roots' sum; its error, if it is small, likewise
        both = rmse + np.sqrt(rows["mse"] - rows["mse_lost"])
        found[name] = [
            _digits(1000 * rmse / paper, 4),
            _digits(1000 * rows["mse_se"] / rmse / paper, 2),
            _digits(100 * rows["coverage"], 3),
            _digits(2000 * rows["mse_lost_se"] / both / paper, 2),
        ][: 3 if name == "partial" else 4]
    return Dial(
        "explorer_dial",
        {
            **steps,
            "sizes": [*SIZES.values()],
            "start": [values.index(start[name]) for name, values in steps.items()],
            "found": found,
        },
    )

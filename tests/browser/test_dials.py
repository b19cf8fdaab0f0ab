"""The dials where readers use them: in a page, by keyboard, mouse and touch, on paper, and in JupyterLab.

What they draw is held to NumPy and to hbutils. The drawn numbers are read off the picture, by its own axes.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import built_book
import harness
import nbformat
import notebook_rules
import numpy as np
import pytest
from playwright.sync_api import expect
from scipy import integrate, interpolate, optimize, special, stats

import hbutils as hb
from hbutils import dials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

PLACES = [
    ("chapters/index", "pooling_dial"),
    ("chapters/05-partial-pooling", "pooling_dial"),
    ("chapters/05-partial-pooling", "sparse_subject"),
    ("chapters/07-hyperpriors", "hyperprior_dial"),
    ("chapters/09-covariance", "correlation_dial"),
    ("chapters/16-shrinkage", "shrinkage_dial"),
    ("chapters/17-decision-table", "explorer_dial"),
]
COST = 15 * 1024  # bytes that dials may add to a page, compressed
CLOSE = {"rtol": 1e-6, "atol": 1e-6}
BEFORE = [
    "import matplotlib.pyplot as plt\nimport hbutils as hb",
    "data, priors = hb.load_sleepstudy(), hb.Priors.for_sleepstudy()",
    "posterior = hb.exact_posterior(data, priors)",
    "correlated = hb.exact_posterior(data, priors, correlated=True)",
    "studies = {f'{n} subjects': data.keep(data.group < n) for n in (18, 6, 3)}",
    "plt.plot([0, 1]);",
]
CELLS = {
    "pooling_dial": 'hb.dials.pooling_dial(posterior, highlight="335")',
    "sparse_subject": 'hb.dials.sparse_subject(posterior, highlight="335")',
    "hyperprior_dial": "hb.dials.hyperprior_dial(studies, priors)",
    "correlation_dial": "hb.dials.correlation_dial(correlated)",
    "shrinkage_dial": "hb.dials.shrinkage_dial(820, 4, mu=700, sigma=120, sigma_alpha=60, unit='ms')",
    "explorer_dial": "hb.dials.explorer_dial(hb.study.load_study())",
}


@pytest.fixture(scope="module")
def data() -> hb.GroupedData:
    return hb.load_sleepstudy()


@pytest.fixture(scope="module")
def mean(data: hb.GroupedData) -> dict[str, float]:
    """Posterior means, at which the dials hold what they do not turn."""
    return hb.exact_posterior(data, hb.Priors.for_sleepstudy()).summary()["mean"].to_dict()


class Figure:
    """A dial that a browser shows."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.box: Locator = page.locator(f".hb-dial#dial-{name}")
        self.box.locator("path").first.wait_for(state="attached")
        self.slider = self.box.get_by_role("slider").first

    def ask(self, expression: str) -> Any:
        """Evaluate JavaScript in which `dial` is the handle that the dial leaves on its element."""
        return self.box.evaluate(f"el => {{ const dial = el.hbDial; return {expression}; }}")

    @property
    def readout(self) -> str:
        return self.box.locator(".hb-readout").inner_text()

    def table(self) -> list[list[str]]:
        """Rows of the table, which follows when the hand rests."""
        self.page.wait_for_timeout(300)
        return self.box.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(c => c.textContent.replace('−', '-')))"
        )

    @property
    def scene(self) -> dict[str, Any]:
        return self.ask("dial.state.scene")

    @property
    def model(self) -> dict[str, Any]:
        return self.ask("JSON.parse(el.querySelector('script').textContent)")

    def turn(self, position: int, name: str | None = None) -> None:
        """Set the first slider, or the one of that name, as an assistive technology does."""
        slider = self.slider if name is None else self.box.get_by_role("slider", name=name)
        slider.fill(str(position))

    def drawn(self, panel: int = 0) -> list[list[tuple[float, float]]]:
        """Points of every mark of a panel in units of its axes, which are read off the ticks' labels."""
        picture = self.box.locator("svg[role=img]").nth(panel)
        texts = picture.locator(".hb-axis text[text-anchor]").evaluate_all(
            "all => all.map(t => [t.getAttribute('text-anchor'), +t.getAttribute('x'), "
            "+t.getAttribute('y'), Number(t.textContent.replace('−', '-'))])"
        )
        across = [(x, value) for anchor, x, _, value in texts if anchor == "middle" and value is not None]
        up = [(y - 4, value) for anchor, _, y, value in texts if anchor == "end"]
        across = [(x, value) for x, value in across if not np.isnan(value)]
        to_x, to_y = (np.poly1d(np.polyfit(*zip(*ticks, strict=True), 1)) for ticks in (across, up))
        outlines = picture.locator("g[clip-path] path").evaluate_all(
            "all => all.map(p => p.getAttribute('d'))"
        )
        found = [re.findall(r"[ML]([-\d.]+) ([-\d.]+)", outline) for outline in outlines]
        return [[(to_x(float(x)), to_y(float(y))) for x, y in points] for points in found]


@pytest.fixture(scope="module", params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return request.param


def lines_by_least_squares(data: hb.GroupedData, sigma_alpha: float, sigma_beta: float, sigma: float) -> Any:
    """Posterior means of the population's and the groups' lines, as one weighted least-squares problem.

    Every group's distance from the population counts as an observation of zero. Pure NumPy.
    """
    design = np.zeros((data.n_observations, 2 + 2 * data.n_groups))
    rows = np.arange(data.n_observations)
    design[rows, 2 + 2 * data.group], design[rows, 3 + 2 * data.group] = 1, data.x
    tie = np.hstack([np.tile(-np.eye(2), (data.n_groups, 1)), np.eye(2 * data.n_groups)])
    scale = np.tile([sigma_alpha, sigma_beta], data.n_groups)[:, None]
    stacked = np.vstack([design / sigma, tie / scale])
    target = np.concatenate([data.y / sigma, np.zeros(2 * data.n_groups)])
    return np.linalg.lstsq(stacked, target)[0].reshape(-1, 2)


def check_pooling(figure: Figure, data: hb.GroupedData, mean: dict[str, float]) -> None:
    """Hold the pooling dial to NumPy and hbutils at 20 positions and at both ends."""
    last = int(figure.slider.get_attribute("max") or 0)
    model = figure.ask("JSON.parse(el.querySelector('script').textContent)")
    for position in [*np.linspace(1, last - 1, 18).round().astype(int).tolist(), 0, last]:
        figure.turn(position)
        scene = figure.scene
        lines = np.array([group["mean"] for group in scene["fit"]["groups"]])
        if position == 0:
            expected = np.tile(np.polyfit(data.x, data.y, 1)[::-1], (data.n_groups, 1))
            weight = 0.0
        elif position == last:
            expected = np.array(
                [np.polyfit(data.x[r], data.y[r], 1)[::-1] for r in map(data.rows, data.labels)]
            )
            weight = 1.0
        else:
            sd = model["positions"][position]
            sds = {"sigma_alpha": sd, "sigma_beta": sd * mean["sigma_beta"] / mean["sigma_alpha"]}
            exact = hb.conditional_posterior(data, **sds, sigma=mean["sigma"])
            expected = exact.groups()[["alpha_mean", "beta_mean"]].to_numpy()
            weight = exact.weights().mean()
            by_numpy = lines_by_least_squares(data, **sds, sigma=mean["sigma"])
            np.testing.assert_allclose(lines, by_numpy[1:], rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(scene["fit"]["mean"], by_numpy[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(lines, expected, **CLOSE)
        np.testing.assert_allclose(scene["weight"], weight, atol=1e-6)
        check_drawn_lines(figure, 1, expected)
        bold = expected[[data.position("335")]]
        check_drawn_lines(figure, 3, bold)
        assert f"335: {signed(bold[0, 1], 2)} ms per day." in figure.readout
        if 0.01 < weight < 0.99:
            assert (
                f"own line weighs {weight:.0%}, the population’s {1 - weight:.0%}.".replace("%", " %")
                in figure.readout
            )
        assert figure.box.locator(".hb-value").inner_text() == figure.slider.get_attribute("aria-valuetext")


def signed(value: float, places: int) -> str:
    """A number as the dials write it, with a true minus."""
    return f"{value:z.{places}f}".replace("-", "−")


def check_drawn_lines(figure: Figure, mark: int, expected: np.ndarray) -> None:
    """Hold a mark, lines from day 0 to day 9, to those expected."""
    drawn = np.array(figure.drawn()[mark]).reshape(-1, 2, 2)
    days = np.array([0.0, 9.0])
    np.testing.assert_allclose(drawn[..., 0], np.tile(days, (len(expected), 1)), atol=0.02)
    np.testing.assert_allclose(drawn[..., 1], expected[:, :1] + expected[:, 1:] * days, atol=0.1)


def check_pooling_table(figure: Figure, data: hb.GroupedData) -> None:
    """Hold the table to the fit, which is held to hbutils elsewhere."""
    figure.turn(30)
    scene = figure.scene
    weight = f"{scene['weight']:.0%}".replace("%", " %")
    expected = [
        [label, f"{group['mean'][0]:.1f}", f"{group['mean'][1]:.2f}", weight]
        for label, group in zip(data.labels, scene["fit"]["groups"], strict=True)
    ]
    assert figure.table() == expected


def check_sparse_table(figure: Figure, data: hb.GroupedData) -> None:
    """Hold the table to the fit and the data."""
    figure.turn(4)
    scene, days = figure.scene, np.arange(10.0)
    design = np.column_stack([np.ones(10), days])
    middle = design @ scene["mean"]
    half = 1.96 * np.sqrt(np.einsum("ij,jk,ik->i", design, np.reshape(scene["cov"], (2, 2)), design))
    times = data.y[data.rows("335")]
    columns = np.column_stack([times, middle, middle - half, middle + half, design @ scene["population"]])
    rows = figure.table()
    assert [row[:2] for row in rows] == [[f"{d:g}", "yes" if d < 4 else "no"] for d in days]
    np.testing.assert_allclose([[float(c) for c in row[2:]] for row in rows], columns, atol=0.051)


def check_sparse(figure: Figure, data: hb.GroupedData, mean: dict[str, float]) -> None:
    """Hold the sparse subject to hbutils: two subjects, every number of days."""
    sds = {name: mean[name] for name in ("sigma_alpha", "sigma_beta", "sigma")}
    days = np.arange(10.0)
    design = np.column_stack([np.ones(10), days])
    for label in ("335", "308"):
        figure.box.get_by_role("combobox").select_option(label)
        for known in range(11):
            figure.turn(known)
            scene = figure.scene
            kept = data.keep((data.group != data.position(label)) | (data.x < known))
            exact = hb.conditional_posterior(kept, **sds)
            cov = np.reshape(scene["cov"], (2, 2))
            if known:
                row = exact.groups().loc[label]
                line, sd = row[["alpha_mean", "beta_mean"]], row[["alpha_sd", "beta_sd"]]
            else:  # somebody new: the population's line, with its uncertainty and people's spread
                line = exact.summary()["mean"]
                sd = np.hypot(exact.summary()["sd"], [sds["sigma_alpha"], sds["sigma_beta"]])
            np.testing.assert_allclose(scene["mean"], line, **CLOSE)
            np.testing.assert_allclose(np.sqrt(np.diag(cov)), sd, **CLOSE)
            np.testing.assert_allclose(scene["population"], exact.summary()["mean"], **CLOSE)
            half = 1.96 * np.sqrt(np.einsum("ij,jk,ik->i", design, cov, design))
            marks = figure.drawn()
            band = np.array(marks[0])
            below = np.interp(days, *band[:41].T)
            above = np.interp(days, *band[41:][::-1].T)
            middle = design @ np.asarray(line)
            np.testing.assert_allclose(below, middle - half, atol=0.3)
            np.testing.assert_allclose(above, middle + half, atol=0.3)
            times = data.y[data.rows(label)]
            observed = np.column_stack([days, times])
            np.testing.assert_allclose(np.reshape(marks[5], (-1, 2)), observed[:known], atol=0.1)
            np.testing.assert_allclose(np.reshape(marks[4], (-1, 2)), observed[known:], atol=0.1)
            if known > 1:
                own = np.polyfit(days[:known], times[:known], 1)
                np.testing.assert_allclose(
                    np.interp(days, *np.transpose(marks[2])), np.polyval(own, days), atol=0.3
                )
            else:
                assert marks[2] == []
            population = exact.summary()["mean"]
            assert f"Slope: {signed(line.iloc[1], 2)} ms per day" in figure.readout
            assert f"population’s: {signed(population.iloc[1], 2)}." in figure.readout
            width = float(re.search(r"band is ([\d.]+) ms wide", figure.readout)[1])
            assert width == pytest.approx(2 * half[-1], rel=0.005)


# ------------------------------------------------------------------------------
# Hyperpriors


class Density:
    """The marginal that an exact posterior has at its nodes: by a quintic spline, and finer than it needs."""

    def __init__(self, axis: Any, log_weight: Any = 0.0) -> None:
        log_density = axis.log_density + log_weight
        held = log_density > log_density.max() - 30
        self.coordinate = axis.coordinate
        self.log = interpolate.make_interp_spline(axis.t[held], log_density[held], k=5)
        self.t = np.linspace(*axis.t[held][[0, -1]], 40_001)
        density = np.exp(self.log(self.t) - log_density.max())
        mass = integrate.cumulative_simpson(density, x=self.t, initial=0)
        self.log_total = np.log(mass[-1]) + log_density.max()
        self.mass, self.values = mass / mass[-1], self.coordinate.value(self.t)
        self.mean = integrate.simpson(density * self.values, x=self.t) / mass[-1]

    def quantile(self, q: float) -> float:
        return float(np.interp(q, self.mass, self.values))

    def below(self, value: float) -> float:
        return float(np.interp(value, self.values, self.mass))

    def at(self, values: np.ndarray) -> np.ndarray:
        """Density of the quantity itself; nothing where the posterior has next to nothing."""
        inside = (values > self.values[0]) & (values < self.values[-1])
        nearest = np.interp(values[inside], self.values, self.t)
        t = np.array(
            [
                optimize.newton(lambda u, v=v: np.log(self.coordinate.value(np.array(u)) / v), t0, tol=1e-13)
                if v > 0
                else optimize.newton(lambda u, v=v: self.coordinate.value(np.array(u)) - v, t0, tol=1e-13)
                for t0, v in zip(nearest, values[inside], strict=True)
            ]
        )
        found = np.zeros(values.size)
        found[inside] = np.exp(self.log(t) - self.coordinate.log_slope(t) - self.log_total)
        return found


@cache
def sd_density(labels: tuple[str, ...], prior: Any) -> Density:
    """The posterior of sigma_alpha, to 1e-9 posterior SDs."""
    data = hb.load_sleepstudy()
    study = data.keep(np.isin(np.array(data.labels)[data.group], labels))
    priors = replace(hb.Priors.for_sleepstudy(), sigma_alpha=prior)
    return Density(hb.exact_posterior(study, priors, tolerance=1e-9)._axes["sigma_alpha"])


GAMMA = "Gamma(ε, ε) on the precision"
# Shape of the prior, study, position of the scale or of epsilon, and of nu
HYPERPRIORS = [
    *[("half-normal", study, position, None) for study, position in [(0, 34), (0, 0), (1, 20), (2, 60)]],
    *[("half-Student-t", *rest) for rest in [(0, 28, 0), (1, 10, 2), (2, 30, 0), (2, 45, 9)]],
    *[("exponential", study, position, None) for study, position in [(0, 10), (1, 30), (2, 50), (2, 5)]],
    *[(GAMMA, study, position, None) for study, position in [(0, 0), (1, 10), (2, 0), (2, 20), (0, 30)]],
    *[
        ("uniform", study, position, None)
        for study, position in [(0, 40), (0, 24), (1, 60), (2, 60), (2, 40)]
    ],
]


def hyperprior(model: dict[str, Any], shape: str, position: int, nu: int | None) -> Any:
    """The prior that a dial shows."""
    if shape == GAMMA:
        return hb.GammaPrecision(*2 * [model["epsilons"][position]])
    scale = model["scales"][position]
    if nu is not None:
        return hb.HalfStudentT(model["nus"][nu], scale)
    return {"half-normal": hb.HalfNormal, "exponential": hb.Exponential, "uniform": hb.Uniform}[shape](scale)


def prior_mass(prior: Any, low: float, high: float) -> float:
    """Prior probability between two SDs."""
    if isinstance(prior, hb.GammaPrecision):
        precision = stats.gamma(prior.shape, scale=1 / prior.rate)
        return precision.cdf(low**-2.0) - precision.cdf(high**-2.0)
    end = min(high, getattr(prior, "upper", np.inf))
    return (
        integrate.quad(lambda sd: np.exp(prior.logpdf(sd)), low, end, epsabs=1e-10)[0] if end > low else 0.0
    )


def check_hyperprior(figure: Figure, data: hb.GroupedData, mean: dict[str, float]) -> None:
    """Hold the hyperprior dial to the exact posterior under twenty priors and more."""
    del data, mean
    model = figure.model
    selects = figure.box.get_by_role("combobox")
    for shape, study, position, nu in HYPERPRIORS:
        selects.nth(0).select_option(shape)
        selects.nth(1).select_option(model["studies"][study]["label"])
        sliders = {"half-Student-t": ["Scale", "Degrees of freedom ν"], GAMMA: ["ε"]}.get(shape, ["Scale"])
        names = figure.box.get_by_role("slider").evaluate_all("all => all.map(e => e.ariaLabel)")
        assert names == sliders  # what has no meaning is not there
        figure.turn(position, sliders[0])
        if nu is not None:
            figure.turn(nu, sliders[1])
        prior = hyperprior(model, shape, position, nu)
        exact = sd_density(tuple(model["studies"][study]["groups"]), prior)
        scene = figure.scene
        ours, before = scene["posterior"], scene["prior"]
        top = model["x"]["domain"][1]

        sd, density = np.transpose(ours["density"])
        expected = exact.at(sd)
        held = (sd > exact.values[0]) & (sd < exact.values[-1])  # a uniform prior's end is its inner side's
        peak = max(expected.max(), np.max(exact.at(exact.values[1:-1:500])))
        np.testing.assert_allclose(density[held], expected[held], atol=1e-6 * peak, err_msg=f"{prior}")
        for q in (0.025, 0.1, 0.5, 0.9, 0.975):
            assert np.exp(ours[str(q)]) == pytest.approx(exact.quantile(q), rel=1e-6), (prior, q)
            with np.errstate(divide="ignore"):
                theirs = prior.ppf(q)
            if np.isfinite(theirs):
                assert np.exp(before[str(q)]) == pytest.approx(theirs, rel=1e-6), (prior, q)
        assert ours["mean"] == pytest.approx(exact.mean, rel=1e-6)
        assert ours["beyond"] == pytest.approx(1 - exact.below(top), abs=1e-6)
        assert ours["inside"] == pytest.approx(exact.below(top) - exact.below(top / 20), abs=1e-6)
        assert before["beyond"] == pytest.approx(prior_mass(prior, top, np.inf), abs=1e-6)
        assert before["inside"] == pytest.approx(prior_mass(prior, top / 20, top), abs=1e-6)
        sd, density = np.transpose(before["density"])
        height = np.exp(prior.logpdf(sd))
        np.testing.assert_allclose(density, height, atol=1e-6 * height.max(), err_msg=f"{prior}")

        drawn = figure.drawn()
        for mark, one in [(2, before), (3, ours)]:
            points = np.array(drawn[mark])[: len(one["density"])]
            close = np.array(model["x"]["domain"][1]), np.array(model["y"]["domain"][1])
            seen = np.array(one["density"])[:, 1] < close[1]
            off = np.abs(points - one["density"])[seen]
            assert (off < np.array(close) / 3000).all()
        found = re.search(r"median ([\d.]+) ms, 95 % from ([\d.]+) to ([\d.]+) ms", figure.readout)
        if found is None:
            assert ours["0.025"] < np.log(0.01)
        else:
            said = np.array([float(word) for word in found.groups()])
            np.testing.assert_allclose(said, np.exp([ours["0.5"], ours["0.025"], ours["0.975"]]), rtol=0.006)


def check_hyperprior_table(figure: Figure, data: hb.GroupedData) -> None:
    """Hold the table to what is drawn, which is held to hbutils elsewhere."""
    del data
    figure.turn(30)
    scene, rows = figure.scene, figure.table()
    for row, q in zip(rows, ["0.025", "0.1", "0.5", "0.9", "0.975"], strict=False):
        expected = [np.exp(scene[name][q]) for name in ("prior", "posterior")]
        np.testing.assert_allclose([float(cell) for cell in row[1:]], expected, rtol=0.006)
    assert rows[5][:2] == ["mean", ""]
    assert float(rows[5][2]) == pytest.approx(scene["posterior"]["mean"], rel=0.006)
    assert [row[0] for row in rows[6:]] == ["5 to 100 ms", "above 100 ms"]
    for row, share in zip(rows[6:], ["inside", "beyond"], strict=True):
        for cell, name in zip(row[1:], ["prior", "posterior"], strict=True):
            digits = re.search(r"\d+", cell)[0]
            assert float(digits) == pytest.approx(100 * scene[name][share], abs=1.01)


@cache
def correlated(eta: float, tolerance: float = 1e-4) -> hb.ExactPosterior:
    priors = replace(hb.Priors.for_sleepstudy(), rho=hb.LKJ(eta))
    return hb.exact_posterior(hb.load_sleepstudy(), priors, correlated=True, tolerance=tolerance)


@cache
def correlation_axis() -> Any:
    """The marginal of rho under LKJ(1), at four times as many nodes as is usual."""
    posterior = correlated(1.0)
    target, grid, axis = posterior._target, posterior._grid, posterior._axes["rho"]
    *others, _ = grid.axes
    nodes = [part.ravel() for part in np.meshgrid(*others, indexing="ij")]
    t = np.linspace(axis.t[0], axis.t[-1], 4 * axis.t.size)
    log_density = [special.logsumexp(target([*nodes, np.full(nodes[0].size, at)])[0]) for at in t]
    return replace(axis, t=t, log_density=np.array(log_density))


def check_correlation(figure: Figure, data: hb.GroupedData, mean: dict[str, float]) -> None:
    """Hold the correlation dial to the exact posterior under two priors, and to quadrature under twenty."""
    del mean
    model, last = figure.model, int(figure.slider.get_attribute("max") or 0)
    start = correlated(model["etas"][model["start"]])
    held = start.summary()["mean"]
    line, sds = held[["mu_alpha", "mu_beta"]], held[["sigma_alpha", "sigma_beta"]].to_numpy()
    np.testing.assert_allclose(model["mean"], line, rtol=1e-5)
    np.testing.assert_allclose(model["sds"], sds, rtol=1e-5)
    axis = correlation_axis()
    for position in np.linspace(0, last, 21).round().astype(int).tolist():
        figure.turn(position)
        scene, eta = figure.scene, model["etas"][position]
        ours, before, lkj = scene["posterior"], scene["prior"], hb.LKJ(eta)
        exact = Density(axis, 2 * (eta - 1) * np.log(axis.coordinate.complement(axis.t)))
        rho, density = np.transpose(ours["density"])
        expected = exact.at(rho)
        np.testing.assert_allclose(density, expected, atol=1e-6 * expected.max(), err_msg=f"eta {eta}")
        for q in (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975):
            assert ours[str(q)] == pytest.approx(exact.quantile(q), abs=1e-6), (eta, q)
            assert before[str(q)] == pytest.approx(lkj.ppf(q), abs=1e-6), (eta, q)
        assert ours["mean"] == pytest.approx(exact.mean, abs=1e-6)
        assert ours["positive"] == pytest.approx(1 - exact.below(0.0), abs=1e-6)
        if eta in (1.0, 10.0):
            theirs = correlated(eta).summary().loc["rho"]
            assert ours["mean"] == pytest.approx(theirs["mean"], abs=1e-6)
            # whose own quantiles are read off a cubic spline through fewer nodes
            for name, q in {"q2.5": "0.025", "q50": "0.5", "q97.5": "0.975"}.items():
                assert ours[q] == pytest.approx(theirs[name], abs=2e-5)
        rho, density = np.transpose(before["density"])
        height = np.exp(lkj.logpdf(rho))
        np.testing.assert_allclose(density, height, atol=1e-6 * height.max())

        middle = hb.Normal(line.iloc[0], 1e-5), hb.Normal(line.iloc[1], 1e-5)
        groups = hb.conditional_posterior(
            data,
            sigma_alpha=sds[0],
            sigma_beta=sds[1],
            sigma=held["sigma"],
            rho=ours["mean"],
            priors=replace(start.priors, mu_alpha=middle[0], mu_beta=middle[1]),
        ).groups()[["alpha_mean", "beta_mean"]]
        np.testing.assert_allclose(scene["lines"], groups, rtol=2e-5, atol=2e-5)
        check_ellipses(
            figure, line.to_numpy(), sds, ours["mean"], [lkj.ppf(q) for q in (0.05, 0.25, 0.75, 0.95)]
        )
        drawn = np.array(figure.drawn(1)[3])
        assert (np.abs(drawn - groups.to_numpy()) < np.ptp(groups.to_numpy(), axis=0) / 500).all()
        words = " to ".join(signed(ours[q], 2) for q in ("0.025", "0.975"))
        assert f"Posterior: mean {signed(ours['mean'], 2)}, 95 % from {words}" in figure.readout


def check_ellipses(
    figure: Figure, middle: np.ndarray, sds: np.ndarray, rho: float, others: list[float]
) -> None:
    """What is drawn holds 95 % of normal lines: their squared distance from the middle is that quantile."""
    drawn = figure.drawn(1)
    faint = np.array(drawn[0]).reshape(len(others), -1, 2)
    for outline, r in [(np.array(drawn[2]), rho), *zip(faint, others, strict=True)]:
        x, y = ((outline - middle) / sds).T
        distance = (x**2 - 2 * r * x * y + y**2) / (1 - r**2)
        width = np.abs(distance - stats.chi2(2).ppf(0.95)) * np.sqrt(1 - r**2)
        assert width.max() < 0.03


def check_correlation_table(figure: Figure, data: hb.GroupedData) -> None:
    """Hold the two tables to what is drawn."""
    figure.turn(20)
    scene, rows = figure.scene, figure.table()
    quantiles = [0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975]
    assert [row[0] for row in rows[:8]] == [*[f"{100 * q:g} %" for q in quantiles], "mean"]
    values = [[scene[name][str(q)] for name in ("prior", "posterior")] for q in quantiles]
    values.append([0.0, scene["posterior"]["mean"]])
    np.testing.assert_allclose([[float(c) for c in row[1:]] for row in rows[:8]], values, atol=0.00501)
    assert [row[0] for row in rows[8:]] == list(data.labels)
    found = [[float(cell) for cell in row[1:]] for row in rows[8:]]
    np.testing.assert_allclose(found, scene["lines"], atol=0.051)


# ------------------------------------------------------------------------------
# One group and its population

# Positions of the sliders for n, the noise SD and the between-group SD
SHRINKAGES = [
    *[(n, 18, 18) for n in (3, 0, 4, 9, 14, 25)],
    *[(3, noise, 18) for noise in (0, 7, 12, 24, 36)],
    *[(3, 18, between) for between in (0, 6, 13, 30, 36)],
    *[(0, 36, 0), (25, 0, 36), (25, 36, 0), (0, 0, 36), (12, 21, 10), (20, 30, 5)],
]


def check_shrinkage(figure: Figure, data: hb.GroupedData, mean: dict[str, float]) -> None:
    """Hold the shrinkage dial to hbutils: the weight, and the posterior where the population is known."""
    del data, mean
    model = figure.model
    own, mu = model["mean"], model["mu"]
    for positions in SHRINKAGES:
        names = ("Observations in the group, n", "Noise SD", "Between-group SD")
        for name, position in zip(names, positions, strict=True):
            figure.turn(position, name)
        values = [
            model[key][position]
            for key, position in zip(("counts", "noise", "between"), positions, strict=True)
        ]
        n, sigma, sigma_alpha = values
        # A second group of one observation, far less precise than the prior of the mean
        study = hb.GroupedData(y=[own] * n + [mu], group=[0] * n + [1], labels=["this", "other"])
        known = replace(hb.Priors.weakly_informative(study), mu_alpha=hb.Normal(mu, 1e-5))
        posterior = hb.conditional_posterior(study, sigma_alpha=sigma_alpha, sigma=sigma, priors=known)
        theirs = posterior.groups().loc["this"]
        scene = figure.scene
        assert scene["weight"] == pytest.approx(
            float(hb.shrinkage_weight(n, sigma, sigma_alpha)), rel=1e-6, abs=1e-9
        )
        assert scene["mean"] == pytest.approx(theirs["alpha_mean"], rel=1e-6)
        assert scene["sd"] == pytest.approx(theirs["alpha_sd"], rel=1e-6)
        assert scene["own"] == pytest.approx(sigma / np.sqrt(n), rel=1e-6)
        assert scene["k"] == pytest.approx(sigma**2 / sigma_alpha**2, rel=1e-6)

        low, high = model["x"]["domain"]
        bells = [(mu, sigma_alpha), (own, scene["own"]), (scene["mean"], scene["sd"])]
        drawn, curve = figure.drawn(), figure.drawn(1)
        for mark, (centre, sd) in zip(drawn[1:], bells, strict=True):
            at, height = np.transpose(mark)
            np.testing.assert_allclose(at, centre + sd * np.linspace(-4, 4, 81), atol=(high - low) / 5000)
            np.testing.assert_allclose(
                height, stats.norm.pdf(np.linspace(-4, 4, 81)) / stats.norm.pdf(0), atol=1e-3
            )
        floor, roof = np.array(drawn[0]).reshape(2, -1, 2)
        assert np.abs(floor[:, 1]).max() < 1e-3
        ends = scene["mean"] + np.array([-1.96, 1.96]) * scene["sd"]
        np.testing.assert_allclose(floor[[0, -1], 0], ends, atol=(high - low) / 5000)
        np.testing.assert_allclose(sorted(roof[[0, -1], 0]), ends, atol=(high - low) / 5000)
        counts, weights = np.transpose(curve[0])
        held = counts > 0.5
        np.testing.assert_allclose(
            weights[held], hb.shrinkage_weight(counts[held], sigma, sigma_alpha), atol=0.02
        )
        np.testing.assert_allclose(np.ravel(curve[2]), [n, scene["weight"]], atol=0.02)
        if scene["k"] < 100:
            np.testing.assert_allclose(np.ravel(curve[1])[:2], [scene["k"], 0.5], atol=0.02)
        found = re.search(r"Estimate: ([\d.]+) ms, SD ([\d.]+) ms", figure.readout)
        np.testing.assert_allclose(
            [float(v) for v in found.groups()], [scene["mean"], scene["sd"]], rtol=0.006
        )


def check_shrinkage_table(figure: Figure, data: hb.GroupedData) -> None:
    """Hold the table to what is drawn: precisions, in observations, add up."""
    del data
    figure.turn(9)
    scene, rows = figure.scene, figure.table()
    assert [row[0] for row in rows] == ["own mean", "population", "together"]
    between = figure.model["between"][figure.ask("dial.state.settings.sigmaAlpha")]
    sds = [scene["own"], between, scene["sd"]]
    np.testing.assert_allclose([float(row[2]) for row in rows], sds, rtol=0.006)
    worth = [float(row[3]) for row in rows]
    assert worth == [10, pytest.approx(scene["k"], rel=0.006), pytest.approx(10 + scene["k"], rel=0.006)]
    assert float(rows[2][1]) == pytest.approx(scene["mean"], abs=0.51)
    weights = [f"{share:.0%}".replace("%", " %") for share in (scene["weight"], 1 - scene["weight"])]
    assert [row[4] for row in rows] == [*weights, ""]


# ------------------------------------------------------------------------------
# The simulation study

# Positions of the sliders for groups, observations and correlation; sizes of the groups
EXPLORED = [
    *[(J, 2, 3, "equal") for J in range(5)],
    *[(2, n, 3, "equal") for n in (0, 1, 3, 4, 5)],
    *[(2, 2, r, "equal") for r in (0, 1, 2, 4, 5, 6, 7)],
    *[(0, 3, 5, "unequal"), (4, 5, 7, "unequal"), (1, 0, 4, "equal"), (3, 1, 0, "unequal")],
]


@cache
def simulated() -> Any:
    """Rows of the study whose population is normal."""
    study = hb.study.load_study()
    axes = ["balanced", "groups", "observations", "icc", "model"]
    return study[study["population"] == "normal"].set_index(axes).sort_index()


def set_explorer(figure: Figure, place: tuple[int, int, int, str]) -> tuple[bool, int, int]:
    """Turn everything that has a meaning there; say which cells the reader should then see."""
    groups, n, r, sizes = place
    names = ("Groups", "Observations a group", "Intraclass correlation")
    for name, position in zip(names, (groups, n, r), strict=True):
        figure.turn(position, name)
    choice = figure.box.get_by_role("combobox", name="Group sizes")
    assert choice.count() == (n > 0)  # pairs cannot be unequal
    if n > 0:
        choice.select_option(sizes)
    return sizes == "equal", figure.model["groups"][groups], figure.model["observations"][n]


def on_paper(groups: int, w: Any) -> list[Any]:
    """Errors of the three models in standard errors of an own mean, if the SDs are known."""
    return [np.sqrt(1 / groups + (1 - 1 / groups) * part) for part in (w / (1 - w), np.ones_like(w), w)]


def check_explorer(figure: Figure, data: hb.GroupedData, mean: dict[str, float]) -> None:
    """Hold the explorer to the study's table, and its lines to the formulas for known SDs."""
    del data, mean
    correlations = np.array(figure.model["icc"])
    grid = np.append(np.arange(100) / 100, 0.999)
    for place in EXPLORED:
        balanced, groups, n = set_explorer(figure, place)
        scene, drawn = figure.scene, figure.drawn()
        weights = hb.shrinkage_weight(n, 1, np.sqrt(correlations / (1 - correlations)))
        np.testing.assert_allclose(scene["weights"], weights, atol=1e-12)
        for k, (name, paper) in enumerate(
            zip(["pooled", "unpooled", "partial"], on_paper(groups, weights), strict=True)
        ):
            rows = simulated().loc[(balanced, groups, n)].xs(name, level="model")
            error, partial = np.sqrt(rows["mse"]), np.sqrt(rows["mse"] - rows["mse_lost"])
            columns = {
                "error": (error * np.sqrt(n) / paper * 1000, 4),
                "error2se": (rows["mse_se"] / error * np.sqrt(n) / paper * 1000, 2),
                "more2se": (2000 * rows["mse_lost_se"] / (error + partial) * np.sqrt(n) / paper, 2),
                "coverage": (100 * rows["coverage"], 3),
            }
            ours = {key: np.array([cells[k][key] for cells in scene["cells"]]) for key in columns}
            for key, (values, digits) in columns.items():
                rounded = np.array([round(float(f"{v:.{digits}g}")) for v in values])
                expected = rounded if key == "coverage" else rounded * paper / 1000
                np.testing.assert_allclose(ours[key], expected, rtol=1e-6, err_msg=f"{key} at {place}")
            np.testing.assert_allclose(ours["error"], error * np.sqrt(n), rtol=0.002)  # to three digits
            points = np.column_stack([weights + 0.007 * (k - 1), ours["error"]])
            bars = np.array(drawn[4 + k]).reshape(-1, 2, 2)
            np.testing.assert_allclose(drawn[7 + k], points, atol=0.005)
            np.testing.assert_allclose(bars.mean(axis=1), points, atol=0.005)
            np.testing.assert_allclose(np.ptp(bars[..., 1], axis=1), 2 * ours["error2se"], atol=0.01)
            np.testing.assert_allclose(drawn[10 + k], points[[place[2]]], atol=0.005)
            line = on_paper(groups, grid)[k]
            np.testing.assert_allclose(scene["lines"][k][0], np.column_stack([grid, line]), rtol=1e-6)
            seen = line < 3
            np.testing.assert_allclose(
                np.array(drawn[1 + k])[seen], np.column_stack([grid, line])[seen], atol=0.005
            )
        assert scene["chosen"] == scene["cells"][place[2]]
        check_explorer_text(figure.readout, scene["chosen"], weights[place[2]], n)


def check_explorer_text(readout: str, chosen: list[dict[str, float]], weight: float, n: int) -> None:
    """The text says the weight, the error of partial pooling in noise SDs, and how the others compare."""
    said = re.match(r"Weight ([\d.]+)\. Error of partial pooling: ([\d.]+) ± ([\d.]+) noise SDs\.", readout)
    partial = chosen[2]
    expected = [weight, partial["error"] / np.sqrt(n), partial["error2se"] / np.sqrt(n)]
    np.testing.assert_allclose([float(v) for v in said.groups()], expected, atol=0.0051)
    for one in chosen[:2]:
        found = re.search(
            rf"\b{one['model']}: (?:([\d.]+) ± ([\d.]+) (more|less)|no clear difference)",
            readout,
            re.IGNORECASE,
        )
        more, within = ((one[key]) / np.sqrt(n) for key in ("more", "more2se"))
        if abs(more) <= within:
            assert found[0].endswith("no clear difference")
        else:
            assert found[3] == ("more" if more > 0 else "less")
            np.testing.assert_allclose([float(found[1]), float(found[2])], [abs(more), within], atol=0.00051)


def check_explorer_table(figure: Figure, data: hb.GroupedData) -> None:
    """Hold both tables to what is drawn."""
    del data
    figure.turn(1)
    scene, rows = figure.scene, figure.table()
    n = figure.model["observations"][figure.ask("dial.state.settings.n")]
    assert [row[0] for row in rows[:3]] == ["pooled", "unpooled", "partial"]
    for row, one in zip(rows[:3], scene["chosen"], strict=True):
        keys = ["error", "error2se", "more", "more2se"][: 2 if one["model"] == "partial" else 4]
        found = [float(cell) for cell in row[1:5] if cell]
        np.testing.assert_allclose(found, [one[key] / np.sqrt(n) for key in keys], atol=0.00051)
        assert row[5] == f"{one['coverage']} %"
    assert [row[0] for row in rows[3:]] == [f"{r:g}" for r in figure.model["icc"]]
    for row, weight, cells in zip(rows[3:], scene["weights"], scene["cells"], strict=True):
        expected = [weight, *(one["error"] for one in cells)]
        np.testing.assert_allclose([float(cell) for cell in row[1:]], expected, atol=0.0051)


CHECKS = {
    "pooling_dial": check_pooling,
    "sparse_subject": check_sparse,
    "hyperprior_dial": check_hyperprior,
    "correlation_dial": check_correlation,
    "shrinkage_dial": check_shrinkage,
    "explorer_dial": check_explorer,
}
TABLES = {
    "pooling_dial": check_pooling_table,
    "sparse_subject": check_sparse_table,
    "hyperprior_dial": check_hyperprior_table,
    "correlation_dial": check_correlation_table,
    "shrinkage_dial": check_shrinkage_table,
    "explorer_dial": check_explorer_table,
}


# ------------------------------------------------------------------------------
# In a page


def test_places_are_those_of_the_book(html: Path) -> None:
    pages = [(page, html / f"{page}.html") for page in built_book.listed_pages(notebook_rules.ROOT)]
    names = [
        (page, name)
        for page, path in pages
        for name in re.findall(r'data-dial="(\w+)"', path.read_text(encoding="utf-8"))
    ]
    assert sorted(names) == sorted(PLACES)
    shared = {f"{name}.js" for name in (*dials.SHARED, *dials.LIBRARIES)}
    scripts = {path.name for path in dials.SCRIPTS.glob("*.js")} - shared
    assert {f"{name}.js" for _, name in PLACES} == scripts


@pytest.fixture
def figure(browser: Browser, site: str, page: str, name: str) -> Iterator[Figure]:
    with harness.visit(browser, f"{site}/{page}.html", has_touch=True) as visit:
        yield Figure(visit.page, name)


@pytest.mark.parametrize(("page", "name"), PLACES)
def test_it_draws_what_hbutils_computes(figure, name, data, mean) -> None:
    """No part of the class below: beside the notebook's test, so that both use the same exact posteriors."""
    CHECKS[name](figure, data, mean)


@pytest.mark.parametrize(("page", "name"), PLACES)
class TestInAPage:
    def test_keys_move_it(self, figure, name) -> None:
        del name
        slider, last = figure.slider, figure.slider.get_attribute("max")
        said = []
        for key, value in [
            ("Home", "0"),
            ("ArrowRight", "1"),
            ("ArrowUp", "2"),
            ("ArrowLeft", "1"),
            ("End", last),
        ]:
            slider.press(key)
            assert slider.input_value() == value, key
            said.append(slider.get_attribute("aria-valuetext"))
        assert said[1] == said[3]
        assert len(set(said)) == 4

    def test_a_drag_moves_it_and_the_lines(self, figure, name) -> None:
        del name
        figure.slider.scroll_into_view_if_needed()
        figure.slider.press("Home")
        box = figure.slider.bounding_box()
        before, middle = figure.drawn(), box["y"] + box["height"] / 2
        figure.page.mouse.move(box["x"] + 12, middle)
        figure.page.mouse.down()
        figure.page.mouse.move(box["x"] + box["width"] / 2, middle, steps=5)
        figure.page.mouse.up()
        last = int(figure.slider.get_attribute("max"))
        assert abs(int(figure.slider.input_value()) - last / 2) <= 1
        assert figure.drawn() != before

    def test_a_finger_moves_it(self, figure, name) -> None:
        del name
        figure.slider.scroll_into_view_if_needed()
        figure.slider.press("Home")
        box = figure.slider.bounding_box()
        figure.page.touchscreen.tap(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
        last = int(figure.slider.get_attribute("max"))
        assert abs(int(figure.slider.input_value()) - 0.75 * last) <= 0.05 * last + 1

    def test_it_speaks(self, figure, name) -> None:
        """A name without the value, a value in words, and a read-out that is heard when the hand rests."""
        del name
        spoken = figure.box.locator("output")
        assert spoken.get_attribute("aria-live") == "polite"
        label = figure.slider.get_attribute("aria-label")
        assert (
            figure.box.locator("label")
            .filter(has=figure.page.locator("input"))
            .first.inner_text()
            .startswith(label)
        )
        figure.slider.press("Home")
        at_home, value = figure.readout, figure.slider.get_attribute("aria-valuetext")
        figure.slider.press("End")
        assert figure.readout != at_home
        assert figure.slider.get_attribute("aria-valuetext") != value
        assert spoken.inner_text() == ""  # not while it moves
        expect(spoken).to_have_text(figure.readout, timeout=3000)
        assert spoken.bounding_box()["width"] <= 1  # heard, not seen a second time

    def test_the_table_has_the_numbers(self, figure, name, data) -> None:
        figure.box.locator("summary").click()
        TABLES[name](figure, data)

    def test_it_fits_a_narrow_screen(self, browser, site, page, name) -> None:
        with harness.visit(browser, f"{site}/{page}.html", width=320) as visit:
            figure = Figure(visit.page, name)
            widths = figure.box.locator("svg, svg text, input, .hb-readout").evaluate_all(
                "all => all.map(e => { const r = e.getBoundingClientRect(); return [r.left, r.right]; })"
            )
            assert min(left for left, _ in widths) >= 0
            assert max(right for _, right in widths) <= 320
            sizes = figure.box.locator("svg text").evaluate_all(
                """all => all.filter(text => text.getScreenCTM() /* not hidden */).map(text => {
                    const { a, b } = text.getScreenCTM();
                    return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(a, b);
                })"""
            )
            assert min(sizes) >= 12

    def test_its_picture_stands_in_for_it(self, browser, site, page, name) -> None:
        """Without scripts and on paper there is the picture; with scripts there is the dial."""
        address, dial = f"{site}/{page}.html", f".hb-dial#dial-{name}"
        with harness.visit(browser, address) as visit:
            figure = visit.page.locator("figure").filter(has=visit.page.locator(dial))
            picture, caption = figure.locator("img"), figure.locator("figcaption")
            source = picture.get_attribute("src")
            assert (picture.is_visible(), figure.locator(dial).is_visible()) == (False, True)
            assert caption.is_visible()
            visit.page.emulate_media(media="print")
            assert (picture.is_visible(), figure.locator(dial).is_visible()) == (True, False)
        with harness.visit(browser, address, java_script_enabled=False) as visit:
            assert visit.page.locator(f"img[src='{source}']").is_visible()
            assert not visit.page.locator(f"{dial} svg").count()


def compressed(text: str) -> int:
    return len(gzip.compress(text.encode(), 9))


def test_the_mark_stands_where_the_data_put_the_dial(browser: Browser, site: str, mean) -> None:
    """A click on the slider above the mark's dot sets the posterior mean; the words beneath say the same."""
    with harness.visit(browser, f"{site}/chapters/index.html") as visit:
        figure = Figure(visit.page, "pooling_dial")
        strip = figure.box.locator(":scope > div > svg")
        bar, dot = (box.bounding_box() for box in strip.locator("path").all())
        figure.slider.press("Home")
        slider = figure.slider.bounding_box()
        assert slider["x"] < bar["x"] < dot["x"] < bar["x"] + bar["width"] < slider["x"] + slider["width"]
        visit.page.mouse.click(dot["x"] + dot["width"] / 2, slider["y"] + slider["height"] / 2)
        found = figure.ask("JSON.parse(el.querySelector('script').textContent).positions")
        sd = found[int(figure.slider.input_value())]
        step = found[51] / found[50]
        assert 1 / step < sd / mean["sigma_alpha"] < step
        summary = (
            hb.exact_posterior(hb.load_sleepstudy(), hb.Priors.for_sleepstudy()).summary().loc["sigma_alpha"]
        )
        words = f"{summary['mean']:.1f} ms (95 %: {summary['q2.5']:.1f} to {summary['q97.5']:.1f})"
        assert words in strip.locator("text").last.text_content()


@pytest.mark.parametrize(("width", "beside"), [(1280, True), (390, False)])
def test_panels_stand_side_by_side_where_there_is_room(browser, site, width, beside) -> None:
    with harness.visit(browser, f"{site}/chapters/09-covariance.html", width=width) as visit:
        figure = Figure(visit.page, "correlation_dial")
        first, second = (panel.bounding_box() for panel in figure.box.locator("svg[role=img]").all())
        assert (first["y"] == second["y"]) == beside
        assert (second["x"] >= first["x"] + first["width"]) == beside
        assert first["width"] == second["width"]


def test_a_dial_that_fails_leaves_its_picture(browser: Browser, html: Path) -> None:
    with harness.visit(browser, "about:blank") as visit:
        visit.page.route("**/lines.js*", lambda route: route.abort())
        visit.page.goto((html / "chapters/index.html").as_uri())
        assert visit.page.locator("figure img").first.is_visible()


def test_two_dials_of_a_kind_do_not_cut_each_other(browser: Browser, site: str) -> None:
    with harness.visit(browser, f"{site}/chapters/index.html") as visit:
        box = visit.page.locator(".hb-dial")
        box.evaluate(
            """el => {
                const twin = document.createElement("div");
                const model = JSON.parse(el.querySelector("script").textContent);
                el.after(twin);
                hbDials.render({ model, el: twin, name: "pooling_dial" });
            }"""
        )
        ids = visit.page.locator("clipPath").evaluate_all("all => all.map(c => c.id)")
        assert len(ids) == len(set(ids)) == 2


@pytest.mark.parametrize("page", sorted({page for page, _ in PLACES}))
def test_dials_cost_a_page_little(html: Path, page: str) -> None:
    """What the page would be without: no elements, no script files."""
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    names = {f"{name}.js" for place, dial in PLACES if place == page for name in dials.Dial(dial, {}).scripts}
    loaded = {
        src
        for src in re.findall(r'<script[^>]*src="[^"]*_static/(\w+\.js)[^"]*"></script>', text)
        if src in names
    }
    assert loaded == names
    without = re.sub(r'<div class="hb-dial".*?</script></div>', "", text, flags=re.DOTALL)
    without = re.sub(rf"<script[^>]*_static/({'|'.join(names)})[^>]*></script>", "", without)
    scripts = sum(compressed((html / "_static" / name).read_text(encoding="utf-8")) for name in names)
    assert 0 < compressed(text) - compressed(without) + scripts <= COST


def test_a_page_has_the_scripts_as_files_only(html: Path) -> None:
    for page in built_book.listed_pages(notebook_rules.ROOT):
        assert "hbDials.define" not in (html / f"{page}.html").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------
# In JupyterLab


@pytest.fixture(scope="module")
def notebook(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A notebook with all dials, run in JupyterLab."""
    scratch = tmp_path_factory.mktemp("jupyter")
    folder = scratch / "notebooks"
    folder.mkdir()
    cells = [nbformat.v4.new_code_cell(cell) for cell in [*BEFORE, *CELLS.values()]]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / "dials.ipynb")
    with (
        harness.jupyterlab(folder, scratch) as address,
        harness.visit(browser, f"{address}/lab/tree/dials.ipynb?reset") as visit,
    ):
        page = visit.page
        page.locator(".jp-Notebook").wait_for(timeout=60_000)
        page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.locator(f"#dial-{[*CELLS][-1]} path").first.wait_for(state="attached", timeout=120_000)
        yield page
        assert visit.outside == []


@pytest.mark.parametrize("name", CHECKS)
def test_a_notebook_s_dial_is_the_same(notebook, name, data, mean) -> None:
    CHECKS[name](Figure(notebook, name), data, mean)


def test_in_a_notebook_too_the_picture_gives_way(notebook) -> None:
    assert notebook.locator(".jp-OutputArea img").count() == 1
    assert not notebook.locator(".jp-OutputArea img").is_visible()

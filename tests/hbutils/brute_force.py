"""The hierarchical posterior by brute force: the oracle that `hbutils.exact` is held to.

Nothing is shared with the code under test, neither formulas nor coordinates. The likelihood is the
density of the N outcomes as one multivariate normal with a dense N x N covariance, and what is
known of the lines comes from conditioning one big joint normal of all lines and all outcomes. The SDs
(and the correlation) are integrated over on their own scale, by Gauss-Legendre panels, with
SciPy's densities as priors. Zero is an ordinary point there, so a pile-up at zero is no difficulty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from scipy import optimize, stats

PROBABILITIES = {"q2.5": 0.025, "q50": 0.5, "q97.5": 0.975}
CHUNK = 20_000  # nodes at a time
NEGLIGIBLE = 1e-6  # density, against its peak, at an end where the integral is cut off


class Axis:
    """Gauss-Legendre nodes on neighbouring panels."""

    def __init__(self, edges, order: int, *, cut_low: bool = False, cut_high: bool = True):
        self.edges = np.asarray(edges, dtype=float)
        self.cut = cut_low, cut_high
        unit, weight = legendre.leggauss(order)
        half = np.diff(self.edges)[:, None] / 2
        self.half = half[:, 0]
        self.unit, self.unit_weight = unit, weight
        self.nodes = (self.edges[:-1, None] + half * (1 + unit)).ravel()
        self.weights = (half * weight).ravel()

    def _coefficients(self, density: np.ndarray) -> np.ndarray:
        """Legendre coefficients of the polynomial through the nodes of each panel."""
        order = self.unit.size
        basis = legendre.legvander(self.unit, order - 1)
        return (density.reshape(-1, order) * self.unit_weight) @ basis * (2 * np.arange(order) + 1) / 2

    def at(self, density: np.ndarray, values: np.ndarray) -> np.ndarray:
        """A density known at the nodes, elsewhere."""
        panel = np.clip(np.searchsorted(self.edges, values, side="right") - 1, 0, self.half.size - 1)
        coefficients = self._coefficients(density)
        units = (values - self.edges[panel]) / self.half[panel] - 1
        return np.array([legendre.legval(u, coefficients[k]) for u, k in zip(units, panel, strict=True)])

    def mass(self, density: np.ndarray) -> np.ndarray:
        """Integral over each panel of a density known at the nodes."""
        return (density * self.weights).reshape(self.half.size, -1).sum(axis=1)

    def cdf(self, density: np.ndarray) -> Callable[[float], float]:
        """Integral of the polynomial through the nodes of each panel."""
        integrals = [legendre.legint(c, lbnd=-1) for c in self._coefficients(density)]
        before = np.concatenate([[0.0], np.cumsum(self.mass(density))])
        total = before[-1]

        def evaluate(value: float) -> float:
            k = int(np.clip(np.searchsorted(self.edges, value, side="right") - 1, 0, self.half.size - 1))
            u = np.clip((value - self.edges[k]) / self.half[k] - 1, -1, 1)
            return (before[k] + self.half[k] * legendre.legval(u, integrals[k])) / total

        return evaluate

    def quantile(self, density: np.ndarray, q: float) -> float:
        cdf = self.cdf(density)
        return optimize.brentq(
            lambda v: cdf(v) - q, self.edges[0], self.edges[-1], xtol=1e-13 * self.edges[-1]
        )


@dataclass
class BruteForce:
    """Axes, posterior mass of each node, and the lines given each node."""

    axes: dict[str, Axis]
    log_density: np.ndarray  # on the tensor grid of the axes
    mass: np.ndarray  # (K,) of the nodes that matter
    sigma: np.ndarray  # (K,) noise SD there
    mean: np.ndarray  # (K, P) mu_alpha, [mu_beta], then each line's alpha, [beta]; a new group comes last
    cov: np.ndarray  # (K, P, P)
    slopes: bool

    def density(self, name: str) -> np.ndarray:
        """Marginal density of an SD or of the correlation at its nodes."""
        k = list(self.axes).index(name)
        density = np.exp(self.log_density - self.log_density.max())
        for i, axis in reversed(list(enumerate(self.axes.values()))):
            if i != k:
                density = np.tensordot(density, axis.weights, axes=([i], [0]))
        return density / (density * self.axes[name].weights).sum()

    def axis_row(self, name: str) -> dict[str, float]:
        axis, density = self.axes[name], self.density(name)
        mean = (axis.weights * density) @ axis.nodes
        sd = np.sqrt((axis.weights * density) @ (axis.nodes - mean) ** 2)
        return {"mean": mean, "sd": sd} | {k: axis.quantile(density, q) for k, q in PROBABILITIES.items()}

    def combination(self, coefficients, *, noise: bool = False) -> dict[str, float]:
        """Summary of a linear combination of the lines' coefficients, with the noise added or not."""
        c = np.asarray(coefficients, dtype=float)
        means = self.mean @ c
        variances = self.cov @ c @ c + (self.sigma**2 if noise else 0.0)
        sds = np.sqrt(variances)
        mean = self.mass @ means
        sd = np.sqrt(self.mass @ (variances + (means - mean) ** 2))

        def quantile(q: float) -> float:
            return optimize.brentq(
                lambda v: self.mass @ stats.norm.cdf(v, means, sds) - q,
                (means - 9 * sds).min(),
                (means + 9 * sds).max(),
                xtol=1e-10 * sd,
            )

        return {"mean": mean, "sd": sd} | {k: quantile(q) for k, q in PROBABILITIES.items()}

    def line(self, j: int, x: float = 0.0, *, noise: bool = False) -> dict[str, float]:
        """Summary of line j at x: 0 is the population's, 1 the first group's, -1 a new group's."""
        width = 2 if self.slopes else 1
        c = np.zeros(self.mean.shape[1]).reshape(-1, width)
        c[j] = [1.0, x] if self.slopes else [1.0]
        return self.combination(c.ravel(), noise=noise)

    def slope(self, j: int) -> dict[str, float]:
        """Summary of the slope of line j."""
        c = np.zeros(self.mean.shape[1])
        c[range(1, c.size, 2)[j]] = 1.0
        return self.combination(c)


def lines_given_sds(y, x, group, sds, means, *, density_only=False):
    """Log density of the outcomes, and mean and covariance of all lines, given SDs (K,) by name.

    Lines are those of the population, of the groups, and of one new group. `means` holds the
    (mean, SD) of the population's intercept and, with a predictor, slope.
    """
    y, group = np.asarray(y, float), np.asarray(group)
    n_lines, width = group.max() + 3, len(means)
    size = n_lines * width
    sa, s = sds["sigma_alpha"], sds["sigma"]
    # Lines are their population's plus a deviation of their own.
    common = np.kron(np.ones((n_lines, n_lines)), np.diag([sd**2 for _, sd in means]))
    own = np.diag([0.0] + [1.0] * (n_lines - 1))
    if width == 1:
        deviation = sa[:, None, None] ** 2 * own
    else:
        sb, rho = sds["sigma_beta"], sds.get("rho", np.zeros_like(sa))
        one = np.array([[sa**2, rho * sa * sb], [rho * sa * sb, sb**2]]).transpose(2, 0, 1)
        deviation = np.einsum("ij,kpq->kipjq", own, one).reshape(-1, size, size)
    covariance = common + deviation
    design = np.zeros((y.size, n_lines, width))
    design[np.arange(y.size), group + 1, 0] = 1.0
    if width == 2:
        design[np.arange(y.size), group + 1, 1] = x
    design = design.reshape(y.size, size)
    prior_mean = np.tile([mean for mean, _ in means], n_lines)
    crossed = covariance @ design.T  # of lines and outcomes
    outcomes = design @ crossed + s[:, None, None] ** 2 * np.eye(y.size)
    residual = np.broadcast_to(y - design @ prior_mean, (s.size, y.size))[..., None]
    others = np.empty((s.size, y.size, 0)) if density_only else np.swapaxes(crossed, 1, 2)
    solved = np.linalg.solve(outcomes, np.concatenate([residual, others], axis=2))
    square = (residual * solved[..., :1]).sum((1, 2))
    log_density = -0.5 * (np.linalg.slogdet(outcomes)[1] + square + y.size * np.log(2 * np.pi))
    if density_only:
        return (log_density,)
    mean = prior_mean + (crossed @ solved[..., :1])[..., 0]
    return log_density, mean, covariance - crossed @ solved[..., 1:]


def brute_force(y, x, group, *, means, log_priors, axes) -> BruteForce:
    """Posterior of the partially pooled model.

    `log_priors` and `axes` have the same keys: sigma_alpha, sigma and, as needed, sigma_beta and rho.
    """
    nodes = {
        name: part.ravel()
        for name, part in zip(
            axes, np.meshgrid(*(a.nodes for a in axes.values()), indexing="ij"), strict=True
        )
    }
    shape = [axis.nodes.size for axis in axes.values()]
    log_prior = sum(log_priors[name](values) for name, values in nodes.items())
    log_weight = sum(
        part.ravel() for part in np.meshgrid(*(np.log(a.weights) for a in axes.values()), indexing="ij")
    )

    def chunks(index, **options):
        for part in np.array_split(index, max(1, index.size // CHUNK)):
            yield lines_given_sds(y, x, group, {name: v[part] for name, v in nodes.items()}, means, **options)

    every = np.arange(log_prior.size)
    log_density = log_prior + np.concatenate([part for (part,) in chunks(every, density_only=True)])
    log_mass = log_density + log_weight
    kept = np.flatnonzero(log_mass > log_mass.max() - 25)
    _, mean, cov = (np.concatenate(piece) for piece in zip(*chunks(kept), strict=True))
    mass = np.exp(log_mass[kept] - log_mass.max())
    result = BruteForce(
        axes=axes,
        log_density=log_density.reshape(shape),
        mass=mass / mass.sum(),
        sigma=nodes["sigma"][kept],
        mean=mean,
        cov=cov,
        slopes=len(means) == 2,
    )
    for name, axis in axes.items():
        density = result.density(name)
        for cut, end in zip(axis.cut, (0, -1), strict=True):
            assert not cut or density[end] < NEGLIGIBLE * density.max(), (
                f"{name}: the oracle's axis is too short"
            )
    return result

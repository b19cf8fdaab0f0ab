"""Many one-way studies at once: the three models' posteriors, for :mod:`hbutils.study`.

The models are those of :mod:`hbutils.exact` without a predictor, under ``Priors.weakly_informative``,
and so is the route: given the SDs everything is normal, and the SDs are integrated over by the trapezoidal
rule. What differs is that all data sets of a design are solved in the same array operations: see
``benchmarks/study.md`` for how much quicker that is. Tests hold the two to each other.

Arrays have the axes data set (D), group (J or G), node (K). A node is a value of the SDs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

DEEP = 22.0  # what lies exp(-22) below the peak is left out
SEEN, USED = (25, 61), (33, 41)  # nodes of noise SD and between-group SD: to find the peak, and to integrate


@dataclass(frozen=True)
class Studies:
    """D data sets of one design, as far as the models are concerned.

    Subtracting each data set's mean first costs nothing and keeps digits.
    """

    n: Array  # (J,) observations of each group
    mean: Array  # (D, J) of each group
    square: Array  # (D, J) sum of squares around the group's mean
    level: Array  # (D,) mean of all observations
    spread: Array  # (D,) their SD: the priors' scale

    @classmethod
    def of(cls, y: Array, n: NDArray[np.int64]) -> Studies:
        """Summarise outcomes (D, N), in which group follows group."""
        first = np.concatenate([[0], np.cumsum(n)[:-1]])
        mean = np.add.reduceat(y, first, axis=1) / n
        square = np.add.reduceat((y - np.repeat(mean, n, axis=1)) ** 2, first, axis=1)
        return cls(n.astype(float), mean, square, y.mean(axis=1), y.std(axis=1))


@dataclass(frozen=True)
class Mixtures:
    """Normals with weights that sum to one over the last axis; the arrays' shapes may be broadcast."""

    weights: Array
    means: Array
    sds: Array

    def mean(self) -> Array:
        return (self.weights * self.means).sum(-1)

    def sd(self) -> Array:
        return np.sqrt((self.weights * (self.sds**2 + (self.means - self.mean()[..., None]) ** 2)).sum(-1))

    def cdf(self, value: Array) -> Array:
        return (self.weights * special.ndtr((value[..., None] - self.means) / self.sds)).sum(-1)

    def log_density(self, value: Array) -> Array:
        z = (value[..., None] - self.means) / self.sds
        logs = -0.5 * z**2 - np.log(np.sqrt(2 * np.pi) * self.sds)
        peak = logs.max(-1, keepdims=True)
        return np.log((self.weights * np.exp(logs - peak)).sum(-1)) + peak[..., 0]

    def quantile(self, q: float) -> Array:
        """Newton's steps, kept between bounds that close in."""
        middle, sd = self.mean(), self.sd()
        low, high = middle - 40 * sd, middle + 40 * sd  # Chebyshev's inequality leaves nothing outside
        value = middle + special.ndtri(q) * sd
        for _ in range(60):
            z = (value[..., None] - self.means) / self.sds
            over = (self.weights * special.ndtr(z)).sum(-1) - q
            low, high = np.where(over < 0, value, low), np.where(over < 0, high, value)
            slope = (self.weights * np.exp(-0.5 * z**2) / self.sds).sum(-1) / np.sqrt(2 * np.pi)
            step = value - over / np.maximum(slope, 1e-300)
            new = np.where((step > low) & (step < high), step, (low + high) / 2)
            settled = np.abs(new - value) <= 1e-4 * sd  # the next step would be of the order of its square
            value = new
            if settled.all():
                break
        return value


def _closer(log_density: Array, nodes: Array, size: int) -> Array:
    """Nodes (D, size) over the stretch of nodes (D, S) where a log density (D, S) is not negligible."""
    held = log_density > log_density.max(axis=1, keepdims=True) - DEEP
    last = nodes.shape[1] - 1
    low = np.maximum(held.argmax(axis=1) - 1, 0)
    high = np.minimum(last - held[:, ::-1].argmax(axis=1) + 1, last)
    rows = np.arange(len(nodes))
    return np.linspace(nodes[rows, low], nodes[rows, high], size, axis=1)


def _half_normal(value: Array, scale: Array) -> Array:
    """Log density up to a constant."""
    return -0.5 * (value / scale) ** 2


# --- one mean and one noise SD: the pooled model, and each group of the unpooled one ------------------


@dataclass(frozen=True)
class Alone:
    """Means learnt from their own observations, each with its own noise: (D, G) of them."""

    alpha: Mixtures  # (D, G, K)
    sigma: Array  # (D, G, K)

    def of(self, groups: NDArray[np.int64]) -> Alone:
        """Some of the groups."""
        alpha = self.alpha
        parts = (alpha.weights, alpha.means, alpha.sds)
        return Alone(Mixtures(*(part[:, groups] for part in parts)), self.sigma[:, groups])

    def predict(self) -> Mixtures:
        """Predict an observation."""
        return Mixtures(self.alpha.weights, self.alpha.means, np.hypot(self.alpha.sds, self.sigma))


def alone(n: Array, mean: Array, square: Array, centre: Array, width: Array, spread: Array) -> Alone:
    """The posterior of means (D, G) under N(centre, width), with noise SDs under half-normal(spread)."""
    shape = mean.shape
    n, mean, square, centre, width, spread = (
        np.broadcast_to(part, shape).reshape(-1, 1) for part in (n, mean, square, centre, width, spread)
    )

    def given(log_sigma: Array) -> tuple[Array, Array, Array, Array]:
        sigma = np.exp(log_sigma)
        own, prior = n / sigma**2, width**-2
        fit = (own * mean + prior * centre) / (own + prior)
        distance = (mean - centre) ** 2 / (1 / own + 1 / prior)
        log_density = (
            -n * log_sigma
            - 0.5 * (square / sigma**2 + distance + np.log(own + prior))
            + _half_normal(sigma, spread)
            + log_sigma
        )
        return log_density, fit, (own + prior) ** -0.5, sigma

    low = 0.5 * np.log(np.maximum(square, 1e-12 * spread**2) / n) - 3
    log_sigma = np.linspace(low, np.log(8 * spread), 121, axis=1)[..., 0]
    for _ in range(2):
        log_sigma = _closer(given(log_sigma)[0], log_sigma, 61)
    log_density, fit, sd, sigma = given(log_sigma)
    parts = [special.softmax(log_density, axis=1), fit, sd, sigma]
    weights, fit, sd, sigma = (part.reshape(*shape, -1) for part in parts)
    return Alone(Mixtures(weights, fit, sd), sigma)


def pooled(studies: Studies) -> Alone:
    """One mean for everybody: (D, 1) of them."""
    total = studies.n.sum()
    square = studies.square.sum(axis=1) + ((studies.mean - studies.level[:, None]) ** 2) @ studies.n
    level, spread = studies.level[:, None], studies.spread[:, None]
    return alone(np.array(total), level, square[:, None], level, 2.5 * spread, spread)


def unpooled(studies: Studies) -> Alone:
    """A mean and a noise SD for each group: (D, J) of them."""
    level, spread = studies.level[:, None], studies.spread[:, None]
    return alone(studies.n, studies.mean, studies.square, level, 10 * spread, spread)


def prior_predictive(studies: Studies, nodes: int = 61) -> Mixtures:
    """What the unpooled model says of an observation of a group it has not seen: its priors (D, 1, K)."""
    q = (np.arange(nodes) + 0.5) / nodes
    level, spread = studies.level[:, None, None], studies.spread[:, None, None]
    sigma = spread * special.ndtri((1 + q) / 2)
    return Mixtures(np.full_like(sigma, 1 / nodes), level, np.hypot(10 * spread, sigma))


# --- partial pooling ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Partial:
    """The partially pooled posteriors of D data sets, at K nodes each."""

    studies: Studies
    weights: Array  # (D, K)
    mu: Array  # (D, K) mean of the population's mean, given the SDs
    mu_var: Array  # (D, K) its variance
    tau: Array  # (D, K) SD between groups
    sigma: Array  # (D, K)

    def thinned(self) -> Partial:
        """Every second node of each axis: a rule of its own, good to about the root of the other's error."""

        def thin(part: Array) -> Array:
            return part.reshape(len(part), *USED)[:, ::2, ::2].reshape(len(part), -1)

        weights = thin(self.weights)
        parts = (thin(part) for part in (self.mu, self.mu_var, self.tau, self.sigma))
        return Partial(self.studies, weights / weights.sum(axis=1, keepdims=True), *parts)

    def own_weight(self, groups: NDArray[np.int64]) -> Array:
        """Posterior mean (D, G) of the weight that a group's own mean gets."""
        n = self.studies.n[groups]
        sizes, which = np.unique(n, return_inverse=True)
        own = [(self.weights / (1 + (self.sigma / self.tau) ** 2 / size)).sum(axis=1) for size in sizes]
        return np.stack(own, axis=1)[:, which]

    def alpha(self, groups: NDArray[np.int64]) -> Mixtures:
        """Groups' means (D, G, K)."""
        noise = self.sigma[:, None] ** 2 / self.studies.n[groups][:, None]
        between = self.tau[:, None] ** 2
        own = between / (between + noise)
        mean = own * self.studies.mean[:, groups][..., None] + (1 - own) * self.mu[:, None]
        variance = own * noise + (1 - own) ** 2 * self.mu_var[:, None]
        return Mixtures(self.weights[:, None], mean, np.sqrt(variance))

    def means(self) -> Array:
        """Posterior means (D, J) of all groups' means."""
        sizes, which = np.unique(self.studies.n, return_inverse=True)
        own, rest = [], []
        for size in sizes:
            weight = 1 / (1 + (self.sigma / self.tau) ** 2 / size)
            own.append((self.weights * weight).sum(axis=1))
            rest.append((self.weights * (1 - weight) * self.mu).sum(axis=1))
        return np.stack(own, 1)[:, which] * self.studies.mean + np.stack(rest, 1)[:, which]

    def predict(self, groups: NDArray[np.int64]) -> Mixtures:
        """Predict an observation of a group: (D, G, K)."""
        alpha = self.alpha(groups)
        return Mixtures(alpha.weights, alpha.means, np.hypot(alpha.sds, self.sigma[:, None]))

    def new_group(self) -> Mixtures:
        """Predict an observation of a group that was not there: (D, 1, K)."""
        variance = self.mu_var + self.tau**2 + self.sigma**2
        return Mixtures(self.weights[:, None], self.mu[:, None], np.sqrt(variance)[:, None])


def partial(studies: Studies) -> Partial:
    """Integrate over both SDs, data set by data set but all at once."""
    n, level, spread = studies.n, studies.level, studies.spread
    freedom = n.sum() - n.size
    within = np.sqrt(studies.square.sum(axis=1) / freedom)
    unit = within / np.sqrt(n.mean())
    sizes, which = np.unique(n, return_inverse=True)
    groups = np.bincount(which).astype(float)
    offset = studies.mean - level[:, None]
    sums = np.stack([offset[:, which == u].sum(axis=1) for u in range(sizes.size)], axis=1)
    squares = np.stack([(offset[:, which == u] ** 2).sum(axis=1) for u in range(sizes.size)], axis=1)

    def given(u: Array, t: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Log density and the rest (D, A, B) at noise SDs u (D, A) and between-group SDs t (D, B)."""
        sigma = within[:, None, None] * np.exp(u)[:, :, None]
        tau = unit[:, None, None] * np.exp(np.maximum(t - np.exp(-t), -80.0))[:, None, :]
        prior = (2.5 * spread[:, None, None]) ** -2
        precision, linear = prior + np.zeros((1, u.shape[1], t.shape[1])), 0.0
        log_density = -freedom * np.log(sigma) - 0.5 * freedom * np.exp(-2 * u)[:, :, None]
        for k, size in enumerate(sizes):
            p = 1 / (tau**2 + sigma**2 / size)
            precision = precision + groups[k] * p
            linear = linear + p * sums[:, k, None, None]
            log_density = log_density + 0.5 * (groups[k] * np.log(p) - p * squares[:, k, None, None])
        mean = linear / precision
        log_density = log_density + 0.5 * (linear * mean - np.log(precision))
        log_density += _half_normal(sigma, spread[:, None, None]) + _half_normal(tau, spread[:, None, None])
        log_density += u[:, :, None] + (t - np.exp(-t) + np.log1p(np.exp(-t)))[:, None, :]
        return log_density, mean + level[:, None, None], 1 / precision, tau, sigma

    reach = 8 / np.sqrt(2 * freedom)
    upper = np.minimum(np.log(8 * spread / within), 3 * reach)
    u = np.linspace(np.full_like(within, -reach), np.maximum(upper, reach / 2), SEEN[0], axis=1)
    t = np.linspace(np.full_like(within, -4.0), np.log(8 * spread / unit), SEEN[1], axis=1)
    for _ in range(2):
        log_density = given(u, t)[0]
        u, t = (
            _closer(log_density.max(axis=2), u, USED[0]),
            _closer(log_density.max(axis=1), t, USED[1]),
        )
    log_density, mu, mu_var, tau, sigma = given(u, t)
    flat = (len(within), -1)
    weights = special.softmax(log_density.reshape(flat), axis=1)
    shape = log_density.shape
    mu, mu_var, tau, sigma = (np.broadcast_to(part, shape).reshape(flat) for part in (mu, mu_var, tau, sigma))
    return Partial(studies, weights, mu, mu_var, tau, sigma)

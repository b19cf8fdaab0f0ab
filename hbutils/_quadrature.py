"""Integrating over the SDs: coordinates, the trapezoidal rule and its marginals, for :mod:`hbutils.exact`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from scipy import interpolate, optimize, special

from hbutils._gaussian import Nodes, Spread, likelihood
from hbutils._surrogate import Search
from hbutils.data import HbutilsError
from hbutils.priors import Uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hbutils._gaussian import Groups, MeanPrior
    from hbutils._surrogate import Polynomial
    from hbutils.priors import LKJ, ScalePrior

    Array = NDArray[np.float64]

QUANTILES = {"q2.5": 0.025, "q50": 0.5, "q97.5": 0.975}
EDGE = np.log(1e-9)  # a marginal's log density at the ends of its grid, against its peak
FAR = 60.0  # a coordinate beyond which an SD is absurd: exp(60) times what the data resolve
UNSETTLED = 1e-3  # what a moment is integrated from, at an axis's end against its peak: then it is infinite
_NODES = 19  # nodes a dimension to begin with; odd, so that every second one is a grid as well
_MOST_NODES = 4_000_000  # nodes in all, beyond which a refinement is not tried
_MOMENT_EDGE = np.log(1e-7)  # as EDGE, for an SD's density times its square, which its variance needs
_LONGEST = 40.0  # how far an axis goes for the sake of a moment that may be infinite
_THINNED = 1_000, 5_000  # nodes of which fewer are chosen
_LIGHT = 1e-9  # total weight of the nodes that are dropped once the grid stands
_MOST_PASSES = 60  # over the grid's edges
MANY_DESIGNS = 400  # different groups, beyond which the likelihood is interpolated
_PART, _GROWTH = 200, 32  # groups to begin with, and how much each further part is larger


# --- coordinates ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Positive:
    """A standard deviation: sd = scale * exp(t - exp(-t))."""

    prior: ScalePrior
    scale: float
    starts: ClassVar[Array] = np.array([0.0, 1.0, 2.5, 5.0])

    def value(self, t: Array) -> Array:
        # The floor keeps fourth powers above underflow; the density is nil there all the same.
        return self.scale * np.exp(np.maximum(t - np.exp(-t), -80.0))

    def log_slope(self, t: Array) -> Array:
        return np.log(self.scale) + t - np.exp(-t) + np.log1p(np.exp(-t))

    def log_prior(self, t: Array) -> Array:
        return self.prior.logpdf(self.value(t)) + self.log_slope(t)


@dataclass(frozen=True)
class Bounded:
    """A standard deviation that ends at the prior's `upper`: sd = upper / (1 + exp(-pi * sinh(t)))."""

    prior: Uniform
    starts: ClassVar[Array] = np.array([-2.5, -2.0, -1.5, -1.0, -0.5, 0.5])

    def value(self, t: Array) -> Array:
        return self.prior.upper * special.expit(np.maximum(np.pi * np.sinh(t), -80.0))

    def log_slope(self, t: Array) -> Array:
        u = np.pi * np.sinh(t)
        # Written out, since beyond `upper` in the last digit there would be neither slope nor prior
        sides = special.log_expit(u) + special.log_expit(-u)
        return np.log(self.prior.upper * np.pi * np.cosh(t)) + sides

    def log_prior(self, t: Array) -> Array:
        return self.log_slope(t) - np.log(self.prior.upper)


def scale_coordinate(prior: ScalePrior, scale: float) -> Positive | Bounded:
    """The coordinate of an SD under its prior, where the data resolve about `scale`."""
    return Bounded(prior) if isinstance(prior, Uniform) else Positive(prior, scale)


@dataclass(frozen=True)
class Correlation:
    """A correlation: rho = tanh(pi / 2 * sinh(t))."""

    prior: LKJ
    starts: ClassVar[Array] = np.array([-0.6, 0.0, 0.6])

    def value(self, t: Array) -> Array:
        return np.tanh(np.pi / 2 * np.sinh(t))

    def complement(self, t: Array) -> Array:
        """The square root of 1 - rho**2."""
        return 1 / np.cosh(np.pi / 2 * np.sinh(t))

    def log_slope(self, t: Array) -> Array:
        return np.log(np.pi / 2 * np.cosh(t)) + 2 * np.log(self.complement(t))

    def log_prior(self, t: Array) -> Array:
        # (1 - rho^2)^(eta - 1) through the complement: 1 - rho itself is 0 next to the ends
        at_zero = float(self.prior.logpdf(0.0))
        return at_zero + 2 * (self.prior.eta - 1) * np.log(self.complement(t)) + self.log_slope(t)


Coordinate = Positive | Bounded | Correlation


@dataclass(frozen=True)
class Target:
    """The log density of the SDs (and correlation) in their coordinates, up to a constant."""

    coordinates: dict[str, Coordinate]
    groups: Groups
    prior: MeanPrior
    predictor: bool
    fitted: Polynomial | None = None  # in the place of the likelihood, if there are too many groups for that
    ill_fitted: float = 0.0  # its error in log density

    def spread(self, t: Sequence[Array]) -> Spread:
        """The SDs at nodes t, one array (K,) a coordinate."""
        sd = spreads(self.coordinates, dict(zip(self.coordinates, t, strict=True)))
        return Spread.of(sd, self.groups.frame)

    def log_prior(self, t: Sequence[Array]) -> Array:
        """Log prior (K,) of the SDs in their coordinates."""
        return np.sum([c.log_prior(at) for c, at in zip(self.coordinates.values(), t, strict=True)], axis=0)

    def likelihood(self, t: Sequence[Array]) -> Array:
        """Log likelihood, and mean and covariance of the population line, at K nodes: (K, 6)."""
        if self.fitted is not None:
            values = self.fitted(t)
            values[~self.fitted.inside(t), 0] = -np.inf
            return values
        spread = self.spread(t)
        log_like, mean, cov = likelihood(self.groups.sums(spread), spread, self.prior)
        return np.column_stack([log_like, mean, cov])

    def __call__(self, t: Sequence[Array]) -> tuple[Array, Array, Array]:
        """Log density (K,), and mean (K, 2) and covariance (K, 3) of the population line."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            found = self.likelihood(t)
            value, mean, cov = self.log_prior(t) + found[:, 0], found[:, 1:3], found[:, 3:]
        # In far corners, where SDs all but vanish, rounding leaves no number; nor is there any density.
        off = ~np.isfinite(value)
        value[off], mean[off], cov[off] = -np.inf, 0.0, 0.0
        return value, mean, cov

    def errors(self, grid: Grid) -> Array:
        """Estimated error of the grid along each axis."""
        t = mesh(grid.axes)
        part = slice(None) if self.predictor else slice(1)
        means = np.column_stack([*t, grid.mean[:, part]])
        return _axis_errors(grid, means, np.column_stack([*np.zeros_like(t), grid.cov[:, ::2][:, part]]))


# --- the trapezoidal rule --------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """A density on a tensor grid of equally spaced nodes."""

    axes: list[Array]
    log_density: Array  # shape of the grid
    mean: Array  # (K, 2) of the population line
    cov: Array  # (K, 3)
    error: float

    @property
    def weights(self) -> Array:
        """Probability of each node (K,)."""
        return special.softmax(self.log_density).ravel()

    def log_marginal(self, k: int) -> Array:
        others = tuple(i for i in range(self.log_density.ndim) if i != k)
        return special.logsumexp(self.log_density, axis=others)


def mesh(axes: Sequence[Array]) -> list[Array]:
    return [part.ravel() for part in np.meshgrid(*axes, indexing="ij")]


def many_groups(target: Target, tolerance: float) -> Target:
    """The target with its likelihood interpolated where the density is; as it is if that takes too much.

    Where that is, parts of the groups tell: what they leave possible shrinks as they grow.
    """
    kinds = target.coordinates.values()
    # What is left of an SD at t = -3 is a billionth of what the data resolve.
    ends = np.array([(-3.0, FAR) if isinstance(kind, Positive) else (-4.0, 4.0) for kind in kinds])
    search = Search(target.log_prior, ends, tolerance / 10)
    part = replace(target, groups=target.groups.sample(_PART))
    axes = find_grid(part, 1e-2).axes
    low, high = (np.clip([axis[i] for axis in axes], *ends.T) for i in (0, -1))
    size = _PART
    while (size := size * _GROWTH) < target.groups.overview.groups:
        part = replace(target, groups=target.groups.sample(size))
        low, high = search.box(part.likelihood, low, high)
    low, high = search.box(target.likelihood, low, high)
    while (found := search.polynomial(target.likelihood, low, high)) is not None:
        fitted, error = found
        around = search.around(fitted)  # a better look than the box was found with: is anything cut off?
        if np.all(around[0] >= low) and np.all(around[1] <= high):
            return replace(target, fitted=fitted, ill_fitted=error)
        low, high = np.minimum(low, around[0]), np.maximum(high, around[1])
    return target


def find_grid(target: Target, tolerance: float) -> Grid:
    """Lay a grid around the mode, widen it till the edges are empty, refine it till the answer stands."""

    def evaluate(axes: list[Array]) -> Grid:
        values, mean, cov = target(mesh(axes))
        return Grid(axes, values.reshape([axis.size for axis in axes]), mean, cov, np.inf)

    coordinates = list(target.coordinates.values())
    if target.fitted is None:
        axes = _first_axes(target)
    else:
        axes = [
            np.linspace(lo, hi, _NODES) for lo, hi in zip(target.fitted.low, target.fitted.high, strict=True)
        ]
    grid = evaluate(axes)
    for _ in range(_MOST_PASSES):
        axes = [
            _fit_axis(axis, grid.log_marginal(k), coordinate)
            for k, (axis, coordinate) in enumerate(zip(grid.axes, coordinates, strict=True))
        ]
        if all(new is old for new, old in zip(axes, grid.axes, strict=True)):
            break
        if max(np.abs(axis).max() for axis in axes) > FAR:
            raise HbutilsError(
                "the posterior has no end in sight: a prior is too vague for so little data; give it a scale"
            )
        grid = evaluate(axes)
    else:
        raise HbutilsError("no grid fits this posterior: give the SDs tighter priors, in the data's units")

    while True:
        errors = target.errors(grid)
        sizes = np.array([axis.size for axis in grid.axes])
        poor = errors > tolerance
        if np.prod(np.where(poor, _finer(sizes), sizes)) > _MOST_NODES:
            poor &= errors == errors.max()  # not all of them: the worst
        new = np.where(poor, _finer(sizes), sizes)
        if not poor.any() or np.prod(new) > _MOST_NODES:
            break
        grid = evaluate([np.linspace(axis[0], axis[-1], n) for axis, n in zip(grid.axes, new, strict=True)])
    if errors.max() > 10 * tolerance:
        warnings.warn(
            f"the exact posterior is good to {errors.max():.0e} posterior SDs only: "
            f"its {grid.weights.size} nodes are all that is tried; a tighter prior on the SDs would help",
            stacklevel=3,
        )
    return replace(grid, error=float(errors.max() + target.ill_fitted))


def _first_axes(target: Target) -> list[Array]:
    """Axes of about six SDs' half-width around the mode."""

    def height(t: Sequence[Array]) -> Array:
        return target(t)[0]

    scouts = mesh([coordinate.starts for coordinate in target.coordinates.values()])
    seen = height(scouts)
    if not np.isfinite(seen).any():
        raise HbutilsError(
            "the posterior vanishes everywhere it was looked for: check the units of the priors"
        )
    middle = np.array([t[np.argmax(seen)] for t in scouts])
    peak, step = seen.max(), 1.0
    for _ in range(_MOST_PASSES):  # to the highest place around, in ever smaller steps
        around = mesh([at + step * np.array([-1.0, -0.5, 0.0, 0.5, 1.0]) for at in middle])
        seen = height(around)
        best = np.array([t[np.argmax(seen)] for t in around])
        gain, peak = seen.max() - peak, max(seen.max(), peak)
        step, middle = (step if np.abs(best - middle).max() >= step else step / 2), best
        if step <= 0.1 and gain < 0.05:
            break
    halves = 0.05 * 1.5 ** np.arange(18)  # the density has fallen by exp(-2) on both sides: about two SDs
    axes = []
    for direction, at in zip(np.eye(middle.size), middle, strict=True):
        sides = height(list((middle + np.concatenate([-halves, halves])[:, None] * direction).T))
        fallen = sides.reshape(2, -1).max(axis=0) <= peak - 2
        half = halves[fallen.argmax()] if fallen.any() else FAR
        axes.append(np.linspace(at - 3 * half, at + 3 * half, _NODES))
    return axes


def _finer(size: NDArray[np.int64]) -> NDArray[np.int64]:
    """Half as many nodes again, an odd number of them."""
    return 2 * (3 * size // 4) + 1


def _fit_axis(axis: Array, log_marginal: Array, coordinate: Coordinate) -> Array:
    """Lengthen an axis whose ends still carry density, shorten one that is empty over long stretches.

    For an SD, what its variance is integrated from must have died away at the right end too; unless
    that goes on for ever, as under a half-Cauchy prior with two groups and a flat prior on their mean.
    """
    # Under a prior that favours correlations near one, as the dial offers, the ends weigh much more
    edge = 1.35 * EDGE if isinstance(coordinate, Correlation) else EDGE
    weighed = log_marginal > log_marginal.max() + edge
    if isinstance(coordinate, Positive):
        moment = log_marginal + 2 * np.log(coordinate.value(axis))
        weighed |= (moment > moment.max() + _MOMENT_EDGE) & (axis > axis[log_marginal.argmax()])
        if axis[-1] >= _LONGEST:
            weighed[-1], weighed[-2] = False, True  # far enough, whatever is left; and no turning back
    held = np.flatnonzero(weighed)
    step = axis[1] - axis[0]
    low, high = axis[held[0]] - step, axis[held[-1]] + step
    if held[0] == 0:
        low = axis[0] - 4 * step
    if held[-1] == axis.size - 1:
        high = axis[-1] + 4 * step
    inside = low >= axis[0] - 1e-9 and high <= axis[-1] + 1e-9
    if inside and (high - low) > 0.8 * (axis[-1] - axis[0]):
        return axis
    return np.linspace(low, high, axis.size)


def _axis_errors(grid: Grid, means: Array, variances: Array) -> Array:
    """Estimated error of means and SDs, in SDs, that comes of each axis's step.

    With every second node left out they move by about the error of a rule of twice the step, of which
    this one's is the square (Trefethen and Weideman 2014, section 5). The quantities have `means` and
    `variances` (K, M) at the nodes.
    """
    shape = grid.log_density.shape
    parts = [part.reshape(*shape, -1) for part in (grid.weights, means, variances)]

    def moments(keep: tuple[slice, ...]) -> tuple[Array, Array]:
        w, m, v = (part[keep].reshape(-1, part.shape[-1]) for part in parts)
        w = w[:, 0] / w.sum()
        mean = w @ m
        return mean, np.sqrt(w @ (v + (m - mean) ** 2))

    every = (slice(None),) * len(shape)
    mean, sd = moments(every)
    errors = []
    for k in range(len(shape)):
        thin_mean, thin_sd = moments((*every[:k], slice(None, None, 2), *every[k + 1 :]))
        errors.append(np.abs(np.concatenate([thin_mean - mean, thin_sd - sd]) / np.tile(sd, 2)).max())
    return np.array(errors) ** 2


def light_nodes(weights: Array) -> NDArray[np.bool_]:
    """The nodes that together have less than `_LIGHT` of the weight."""
    order = np.argsort(weights)
    light = np.zeros(weights.size, dtype=bool)
    light[order[np.cumsum(weights[order]) < _LIGHT * weights.sum()]] = True
    return light


def thinned(sds: Sequence[Array], nodes: Nodes) -> Nodes:
    """Fewer nodes, over which polynomials of the SDs (K,), of degree 5 or 3, have the same averages.

    Enough for what is smooth in them, as every group's posterior is. Tchakaloff's theorem says that there are
    such nodes among them, with weights that are not negative.
    """
    w = nodes.weights
    means = np.array([w @ at for at in sds])
    spreads = np.sqrt([w @ (at - mean) ** 2 for at, mean in zip(sds, means, strict=True)])
    # Over a hundredth of their size all is nearly straight, and cubes are plenty
    degree = 3 if (spreads < 0.01 * np.abs(means)).all() else 5
    x = (np.stack(sds) - means[:, None]) / spreads[:, None]
    powers = [p for p in np.ndindex(*[degree + 1] * len(x)) if sum(p) <= degree]
    basis = np.stack([np.prod(x ** np.array(p)[:, None], axis=0) for p in powers], axis=1)
    # Orthogonal over the nodes, so that no average drowns in another's rounding
    basis = np.linalg.qr(basis * np.sqrt(w)[:, None])[0] / np.sqrt(w)[:, None]
    averages = basis.T @ w
    # The search takes time with the square of their number: begin with some, from the middle and the tails
    chance, rng = np.sqrt(w) / np.sqrt(w).sum(), np.random.default_rng(1)
    for size in _THINNED:
        some = np.arange(w.size)
        if w.size > size:
            some = np.sort(rng.choice(w.size, size, replace=False, p=chance))
        try:
            weights, miss = optimize.nnls(basis[some].T, averages)
        except RuntimeError:
            miss = np.inf
        if miss < 1e-9:
            break
    else:  # it did not get there: then all of them
        return nodes
    keep = np.flatnonzero(weights)
    weights, keep = weights[keep] / weights.sum(), some[keep]
    return Nodes(weights, nodes.spread.take(keep), nodes.mean[keep], nodes.cov[keep])


def marginal_axis(target: Target, grid: Grid, k: int) -> Axis:
    """The marginal along axis k at twice as many nodes: enough to draw it and read quantiles off it.

    Between its nodes a density is known less well than its integral is from them.
    """
    axis = grid.axes[k]
    between = (axis[1:] + axis[:-1]) / 2
    others = mesh([other for i, other in enumerate(grid.axes) if i != k])
    heavy = ~light_nodes(grid.weights.reshape(grid.log_density.shape).sum(axis=k).ravel())
    t = [np.tile(part[heavy], between.size) for part in others]
    t.insert(k, np.repeat(between, int(heavy.sum())))
    values = target(t)[0].reshape(between.size, -1)
    at_nodes = np.moveaxis(grid.log_density, k, 0).reshape(axis.size, -1)[:, heavy]
    log_density = np.empty(2 * axis.size - 1)
    log_density[::2] = special.logsumexp(at_nodes, axis=1)
    log_density[1::2] = special.logsumexp(values, axis=1)
    nodes = np.linspace(axis[0], axis[-1], 2 * axis.size - 1)
    return Axis(list(target.coordinates.values())[k], nodes, log_density)


def spreads(coordinates: dict[str, Coordinate], t: dict[str, Array]) -> dict[str, Array]:
    """The SDs at coordinates t; what the model does not have is zero."""
    values = {name: coordinates[name].value(at) for name, at in t.items()}
    zero = np.zeros_like(values["sigma"])
    rho = coordinates.get("rho")
    complement = rho.complement(t["rho"]) if isinstance(rho, Correlation) else zero + 1
    return {"sigma_beta": zero, "rho": zero} | values | {"complement": complement}


# --- mixtures of normals: what a marginal is once the SDs are integrated over -------------------


class Marginal(NamedTuple):
    """A marginal posterior: `density` at the points of `grid`, both (M,)."""

    grid: Array
    density: Array


@dataclass(frozen=True)
class Mixture:
    """Normals N(mean, sd) with weights that sum to one, all (K,); `endless` if their variance is infinite."""

    weights: Array
    means: Array
    sds: Array
    endless: bool = False

    def mean(self) -> float:
        return float(self.weights @ self.means)

    def sd(self) -> float:
        if self.endless:
            return np.inf
        return float(np.sqrt(self.weights @ (self.sds**2 + (self.means - self.mean()) ** 2)))

    def cdf(self, value: float) -> float:
        return float(self.weights @ special.ndtr((value - self.means) / self.sds))

    def quantile(self, q: float) -> float:
        # A bracket grown from the middle: some component of a heavy-tailed mixture may be absurdly wide.
        middle = float(np.median(self.means))
        half = float(np.median(self.sds))
        while self.cdf(middle - half) > q or self.cdf(middle + half) < q:
            half *= 2
        return float(
            optimize.brentq(lambda v: self.cdf(v) - q, middle - half, middle + half, xtol=1e-10 * half)
        )

    def marginal(self, points: int) -> Marginal:
        grid = np.linspace(self.quantile(5e-5), self.quantile(1 - 5e-5), points)
        density = np.zeros(points)
        for w, m, s in zip(self.weights, self.means, self.sds, strict=True):
            density += w / s * np.exp(-0.5 * ((grid - m) / s) ** 2)
        return Marginal(grid, density / np.sqrt(2 * np.pi))

    def row(self) -> list[float]:
        return [self.mean(), self.sd(), *(self.quantile(q) for q in QUANTILES.values())]


@dataclass(frozen=True)
class Axis:
    """The marginal of an SD or a correlation, known at the nodes of its coordinate t."""

    coordinate: Coordinate
    t: Array
    log_density: Array

    @cached_property
    def _fine(self) -> tuple[Array, Array, Array]:
        """Coordinate, density and distribution function on a finer grid: splines of the log density."""
        held = self.log_density > self.log_density.max() - 30  # no more: tails too steep make a spline swing
        t = np.linspace(self.t[held][0], self.t[held][-1], 40 * self.t.size)
        log_density = interpolate.CubicSpline(self.t[held], self.log_density[held])(t)
        density = np.exp(log_density - log_density.max())
        cdf = interpolate.CubicSpline(t, density).antiderivative()(t)
        return t, density / cdf[-1], np.maximum.accumulate(cdf / cdf[-1])

    def _power(self, power: int) -> float:
        """Mean of a power; infinite when what it is integrated from has not died away at the right end."""
        values = self.coordinate.value(self.t) ** power
        log_part = self.log_density + np.log(np.abs(values) + 1e-300)
        if isinstance(self.coordinate, Positive) and log_part[-1] > log_part.max() + np.log(UNSETTLED):
            return np.inf
        return float(special.softmax(self.log_density) @ values)

    def mean(self) -> float:
        return self._power(1)

    def sd(self) -> float:
        if np.isinf(self._power(2)):
            return np.inf
        weights = special.softmax(self.log_density)
        return float(np.sqrt(weights @ (self.coordinate.value(self.t) - self.mean()) ** 2))

    def quantile(self, q: float) -> float:
        t, _, cdf = self._fine
        return float(self.coordinate.value(np.atleast_1d(np.interp(q, cdf, t)))[0])

    def cdf(self, value: float) -> float:
        t, _, cdf = self._fine
        return float(np.interp(value, self.coordinate.value(t), cdf))

    def marginal(self, points: int) -> Marginal:
        t, density, cdf = self._fine
        at = np.interp(np.linspace(5e-5, 1 - 5e-5, 2), cdf, t)
        low, high = self.coordinate.value(at)
        values = np.linspace(low, high, points)
        t_at = np.interp(values, self.coordinate.value(t), t)
        return Marginal(values, np.interp(t_at, t, density) / np.exp(self.coordinate.log_slope(t_at)))

    def row(self) -> list[float]:
        return [self.mean(), self.sd(), *(self.quantile(q) for q in QUANTILES.values())]

r"""The posteriors of the three Gaussian models, without sampling.

Given the standard deviations (and the correlation), everything else is jointly normal and
integrates out in closed form. Group i enters only through its least-squares line b_i, its
residual sum of squares and the 2 x 2 matrix A_i = X_i'X_i: six numbers a group. With S the
covariance of the groups' lines and s the noise SD, the data's information about the population
mean that passes through group i is ::

    G_i = X_i' (s^2 I + X_i S X_i')^{-1} X_i = [A_i + |A_i| adj(S) / s^2] / (s^2 D_i),
    D_i = 1 + tr(S A_i) / s^2 + |S| |A_i| / s^4,

in which no two nearly equal matrices are subtracted, so that S may be tiny or huge.

What is left is a density in one to four dimensions. It is integrated by the trapezoidal rule in the
coordinates of the double-exponential formulas (Takahasi and Mori 1974),
``sd = scale * exp(t - exp(-t))`` and ``rho = tanh(pi / 2 * sinh(t))``: there the density falls off
double-exponentially at the left, also when a between-group SD piles up at zero, and at least
exponentially at the right, and the rule converges exponentially fast. Every second node gives the
same integral with twice the step, and so an estimate of the step's error for nothing.

References
----------
Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 5.4 and 15.4.
Takahasi and Mori (1974), Publ. RIMS 9:721-741.
Trefethen and Weideman (2014), SIAM Review 56:385-458.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy import interpolate, optimize, special

from hbutils.data import GroupedData, HbutilsError, InputError
from hbutils.priors import GammaPrecision, Normal, Priors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from hbutils.priors import LKJ, ScalePrior

    Array = NDArray[np.float64]

__all__ = [
    "ConditionalPosterior",
    "ExactLines",
    "ExactPosterior",
    "conditional_posterior",
    "exact_pooled",
    "exact_posterior",
    "exact_unpooled",
]

QUANTILES = {"q2.5": 0.025, "q50": 0.5, "q97.5": 0.975}
_NODES = 19  # nodes a dimension to begin with; odd, so that every second one is a grid as well
_MOST_NODES = 4_000_000  # nodes in all, beyond which a refinement is not tried
_EDGE = np.log(1e-9)  # a marginal's log density at the ends of its grid, against its peak
_MOMENT_EDGE = np.log(1e-7)  # the same for an SD's density times its square, which its variance needs
_LONGEST = 40.0  # how far an axis goes for the sake of a moment that may be infinite
_LIGHT = 1e-9  # total weight of the nodes that are dropped once the grid stands
_FAR = 60.0  # a coordinate beyond which an SD is absurd: exp(60) times what the data resolve
_UNSETTLED = (
    1e-3  # what a moment is integrated from, at the end of an axis against its peak: then it is infinite
)
_MOST_PASSES = 60  # over the grid's edges
_BLOCK = 1_000_000  # numbers in one temporary array


# --- what the data say -------------------------------------------------------------------


@dataclass(frozen=True)
class _Lines:
    """Each group's least-squares line, measured from one pooled line and from the mean of x.

    Subtracting that line first keeps outcomes with a large mean, or predictors far from zero (years,
    say), from costing digits. Symmetric 2 x 2 matrices are stored as (11, 12, 22).
    """

    b: Array  # (J, 2) intercept and slope
    a: Array  # (J, 3) X'X
    det_a: Array  # (J,) its determinant
    rss: Array  # (J,) residual sum of squares
    n: Array  # (J,)
    centre: float  # x that was subtracted
    base: Array  # (2,) the pooled line in the data's own coordinates: intercept at x = 0, slope

    @classmethod
    def of(cls, data: GroupedData, group: NDArray | None = None) -> _Lines:
        """Summarise the groups, or the groups that `group` makes of the rows."""
        index = data.group if group is None else group
        size = int(index.max()) + 1
        n = np.bincount(index, minlength=size).astype(float)

        def total(values: Array) -> Array:
            return np.bincount(index, weights=values, minlength=size)

        centre = 0.0 if data.x is None else float(data.x.mean())
        x = np.zeros_like(data.y) if data.x is None else data.x - centre
        slope = 0.0 if data.x is None else float(x @ data.y / (x @ x))
        level = float(data.y.mean())
        y = data.y - level - slope * x
        mean_x, mean_y = total(x) / n, total(y) / n
        dx, dy = x - mean_x[index], y - mean_y[index]
        sxx, sxy = total(dx**2), total(dx * dy)
        # A group whose x never changes has no slope of its own; any line through its mean serves.
        steady = sxx <= 1e-14 * np.maximum(total(x**2), 1e-300)
        sxx = np.where(steady, 0.0, sxx)
        b1 = np.divide(sxy, sxx, out=np.zeros(size), where=~steady)
        b0 = mean_y - b1 * mean_x
        return cls(
            b=np.stack([b0, b1], axis=-1),
            a=np.stack([n, n * mean_x, sxx + n * mean_x**2], axis=-1),
            det_a=n * sxx,
            rss=total((dy - b1[index] * dx) ** 2),
            n=n,
            centre=centre,
            base=np.array([level - slope * centre, slope]),
        )

    def outward(self, line: Array) -> Array:
        """Lines (..., 2) in these coordinates, given in the data's own."""
        return np.stack([line[..., 0] - self.centre * line[..., 1], line[..., 1]], axis=-1) + self.base

    def outward_cov(self, cov: Array) -> Array:
        """Covariances (..., 3) of lines in these coordinates, given in the data's own."""
        c11, c12, c22 = np.moveaxis(cov, -1, 0)
        k = self.centre
        return np.stack([c11 - 2 * k * c12 + k**2 * c22, c12 - k * c22, c22], axis=-1)

    def inward_cov(self, cov: Array) -> Array:
        """The reverse of :meth:`outward_cov`."""
        c11, c12, c22 = np.moveaxis(cov, -1, 0)
        k = self.centre
        return np.stack([c11 + 2 * k * c12 + k**2 * c22, c12 + k * c22, c22], axis=-1)

    def prior(self, alpha: Normal, beta: Normal) -> _MeanPrior:
        """A prior on a line, in these coordinates."""
        pa, pb = alpha.precision, beta.precision
        k = self.centre
        da, db = alpha.mean - self.base[0], beta.mean - self.base[1]
        linear = np.array([pa * da, pb * db - k * pa * da])
        constant = (0.0 if alpha.flat else pa * da**2 - np.log(pa)) + (
            0.0 if beta.flat else pb * db**2 - np.log(pb)
        )
        return _MeanPrior(np.array([pa, -k * pa, pb + k**2 * pa]), linear, float(constant))


@dataclass(frozen=True)
class _MeanPrior:
    """N(m, P^-1) on a line: P as (11, 12, 22), P m, and m'Pm - log|P|."""

    precision: Array
    linear: Array
    constant: float


@dataclass(frozen=True)
class _Designs:
    """Sums over the groups that share one X'X: in balanced data, over all of them at once."""

    a: Array  # (U, 3)
    det_a: Array  # (U,)
    size: Array  # (U,) groups in each
    b: Array  # (U, 2) sum of the groups' lines
    bb: Array  # (U, 3) sum of their outer products
    rss: float
    n: float
    of_group: NDArray[np.int64]  # (J,) design of each group

    @classmethod
    def of(cls, lines: _Lines) -> _Designs:
        design = np.column_stack([lines.a, lines.det_a])
        design /= np.maximum(np.abs(design).max(axis=0), 1e-300)
        _, first, inverse = np.unique(np.round(design, 13), axis=0, return_index=True, return_inverse=True)
        inverse = inverse.reshape(-1)
        b0, b1 = lines.b.T

        def total(values: Array) -> Array:
            return np.bincount(inverse, weights=values)

        return cls(
            a=lines.a[first],
            det_a=lines.det_a[first],
            size=np.bincount(inverse).astype(float),
            b=np.stack([total(b0), total(b1)], axis=-1),
            bb=np.stack([total(b0**2), total(b0 * b1), total(b1**2)], axis=-1),
            rss=float(lines.rss.sum()),
            n=float(lines.n.sum()),
            of_group=inverse,
        )


# --- small symmetric matrices, stored as (11, 12, 22) --------------------------------------


def _det(m: Array) -> Array:
    return m[..., 0] * m[..., 2] - m[..., 1] ** 2


def _adj(m: Array) -> Array:
    return np.stack([m[..., 2], -m[..., 1], m[..., 0]], axis=-1)


def _times(m: Array, v: Array) -> Array:
    return np.stack(
        [m[..., 0] * v[..., 0] + m[..., 1] * v[..., 1], m[..., 1] * v[..., 0] + m[..., 2] * v[..., 1]],
        axis=-1,
    )


def _full(m: Array) -> Array:
    return np.stack([np.stack([m[..., 0], m[..., 1]], -1), np.stack([m[..., 1], m[..., 2]], -1)], -2)


def _packed(m: Array) -> Array:
    return np.stack([m[..., 0, 0], m[..., 0, 1], m[..., 1, 1]], axis=-1)


# --- the algebra given the SDs -------------------------------------------------------------


@dataclass(frozen=True)
class _Spread:
    """The SDs at K nodes: covariance of the groups' lines (K, 3) with its determinant, and noise (K,)."""

    cov: Array
    det: Array
    sigma: Array

    @classmethod
    def of(cls, sd: dict[str, Array], lines: _Lines) -> _Spread:
        sa, sb, sigma = sd["sigma_alpha"], sd["sigma_beta"], sd["sigma"]
        cov = np.stack([sa**2, sd["rho"] * sa * sb, sb**2], axis=-1)
        # |S| from the complement of rho, which is known to full precision also next to 1
        return cls(lines.inward_cov(cov), (sa * sb * sd["complement"]) ** 2, sigma)

    def take(self, index: NDArray | slice) -> _Spread:
        return _Spread(self.cov[index], self.det[index], self.sigma[index])


def _information(a: Array, det_a: Array, spread: _Spread) -> tuple[Array, Array]:
    """G (K, U, 3) and D (K, U) of the module's docstring, for designs (U) and nodes (K)."""
    v = spread.sigma[:, None] ** 2
    cov = spread.cov[:, None, :]
    trace = cov[..., 0] * a[:, 0] + 2 * cov[..., 1] * a[:, 1] + cov[..., 2] * a[:, 2]
    big_d = 1 + trace / v + spread.det[:, None] * det_a / v**2
    g = (a + (det_a / v)[..., None] * _adj(cov)) / (v * big_d)[..., None]
    return g, big_d


def _integrate_mean(g: Array, h: Array, q: Array, prior: _MeanPrior) -> tuple[Array, Array, Array]:
    """Integrate the population line out of a Gaussian exp(-(q - 2 h'm + m'Gm) / 2).

    Returns the log integral (...), and the line's mean (..., 2) and covariance (..., 3).
    """
    precision = g + prior.precision
    det = _det(precision)
    cov = _adj(precision) / det[..., None]
    v = h + prior.linear
    mean = _times(cov, v)
    fit = (v * mean).sum(-1)
    log_integral = -0.5 * (q + prior.constant - fit + np.log(det))
    # Where SDs all but vanish the two quadratic forms are huge and cancel. Where rounding, amplified by the
    # condition of the precision, would show in the result, the node counts for nothing; nor is density there.
    condition = precision[..., 0] * precision[..., 2] / det
    trusted = (det > 0) & (np.finfo(float).eps * (np.abs(q) + np.abs(fit)) * condition < 1e-2)
    return np.where(trusted, log_integral, -np.inf), mean, cov


def _hierarchical(designs: _Designs, spread: _Spread, prior: _MeanPrior) -> tuple[Array, Array, Array]:
    """Log likelihood (K,), and mean and covariance of the population line, at K nodes."""
    parts = []
    step = max(1, _BLOCK // designs.det_a.size)
    for start in range(0, spread.sigma.size, step):
        part = spread.take(slice(start, start + step))
        g, big_d = _information(designs.a, designs.det_a, part)
        h = _times(g, designs.b).sum(axis=1)
        weight = np.array([1.0, 2.0, 1.0])
        q = np.einsum("kus,us,s->k", g, designs.bb, weight) + designs.rss / part.sigma**2
        total = np.einsum("kus,u->ks", g, designs.size)
        log_like, mean, cov = _integrate_mean(total, h, q, prior)
        log_like -= designs.n * np.log(part.sigma) + 0.5 * np.log(big_d) @ designs.size
        parts.append((log_like, mean, cov))
    log_like, mean, cov = (np.concatenate(piece) for piece in zip(*parts, strict=True))
    return log_like, mean, cov


def _group_given(
    lines: _Lines, groups: NDArray | slice, spread: _Spread, mean: Array, cov: Array
) -> tuple[Array, Array]:
    """Mean (K, J, 2) and covariance (K, J, 3) of groups' lines at K nodes, whatever the population's mean."""
    a, det_a, b = lines.a[groups], lines.det_a[groups], lines.b[groups]
    v = spread.sigma[:, None] ** 2
    g, big_d = _information(a, det_a, spread)
    own = _full(spread.cov)[:, None] @ _full(g)  # weight on the group's own line
    # I - own, and S - S G S, written so that nothing is subtracted
    rest = (np.eye(2) + (_full(_adj(a)) @ _full(_adj(spread.cov))[:, None]) / v[..., None, None]) / big_d[
        ..., None, None
    ]
    within = (spread.cov[:, None] + (spread.det[:, None] / v)[..., None] * _adj(a)) / big_d[..., None]
    centre = (rest @ mean[:, None, :, None] + own @ b[..., None])[..., 0]
    between = _packed(rest @ _full(cov)[:, None] @ np.swapaxes(rest, -1, -2))
    return centre, within + between


def _own_weight(lines: _Lines, groups: slice, spread: _Spread, *, predictor: bool) -> Array:
    """Mean eigenvalue (K, J) of the weight matrix S G at K nodes."""
    g, _ = _information(lines.a[groups], lines.det_a[groups], spread)
    cov = spread.cov[:, None]
    trace = cov[..., 0] * g[..., 0] + 2 * cov[..., 1] * g[..., 1] + cov[..., 2] * g[..., 2]
    return trace / (2 if predictor else 1)


# --- coordinates ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Positive:
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
class _Correlation:
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


_Coordinate = _Positive | _Correlation


@dataclass(frozen=True)
class _Target:
    """The log density of the SDs (and correlation) in their coordinates, up to a constant."""

    coordinates: dict[str, _Coordinate]
    lines: _Lines
    designs: _Designs
    prior: _MeanPrior
    predictor: bool

    def spread(self, t: Sequence[Array]) -> _Spread:
        """The SDs at nodes t, one array (K,) a coordinate."""
        return _Spread.of(_sds(self.coordinates, dict(zip(self.coordinates, t, strict=True))), self.lines)

    def __call__(self, t: Sequence[Array]) -> tuple[Array, Array, Array]:
        """Log density (K,), and mean (K, 2) and covariance (K, 3) of the population line."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            log_prior = sum(c.log_prior(at) for c, at in zip(self.coordinates.values(), t, strict=True))
            log_like, mean, cov = _hierarchical(self.designs, self.spread(t), self.prior)
            value = log_prior + log_like
        # In far corners, where SDs all but vanish, rounding leaves no number; nor is there any density.
        off = ~np.isfinite(value)
        value[off], mean[off], cov[off] = -np.inf, 0.0, 0.0
        return value, mean, cov

    def errors(self, grid: _Grid) -> Array:
        """Estimated error of the grid along each axis."""
        t = _mesh(grid.axes)
        part = slice(None) if self.predictor else slice(1)
        means = np.column_stack([*t, grid.mean[:, part]])
        return _axis_errors(grid, means, np.column_stack([*np.zeros_like(t), grid.cov[:, ::2][:, part]]))


# --- the trapezoidal rule --------------------------------------------------------------------


@dataclass(frozen=True)
class _Grid:
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


def _mesh(axes: Sequence[Array]) -> list[Array]:
    return [part.ravel() for part in np.meshgrid(*axes, indexing="ij")]


def _find_grid(target: _Target, tolerance: float) -> _Grid:
    """Lay a grid around the mode, widen it till the edges are empty, refine it till the answer stands."""

    def evaluate(axes: list[Array]) -> _Grid:
        values, mean, cov = target(_mesh(axes))
        return _Grid(axes, values.reshape([axis.size for axis in axes]), mean, cov, np.inf)

    coordinates = list(target.coordinates.values())
    grid = evaluate(_first_axes(target))
    for _ in range(_MOST_PASSES):
        axes = [
            _fit_axis(axis, grid.log_marginal(k), coordinate)
            for k, (axis, coordinate) in enumerate(zip(grid.axes, coordinates, strict=True))
        ]
        if all(new is old for new, old in zip(axes, grid.axes, strict=True)):
            break
        if max(np.abs(axis).max() for axis in axes) > _FAR:
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
    return replace(grid, error=float(errors.max()))


def _first_axes(target: _Target) -> list[Array]:
    """Axes of about six SDs' half-width around the mode."""

    def single(t: Array) -> float:
        value = target([np.array([v]) for v in t])[0][0]
        return -float(value) if np.isfinite(value) else 1e300

    scouts = _mesh([coordinate.starts for coordinate in target.coordinates.values()])
    height = target(scouts)[0]
    if not np.isfinite(height).any():
        raise HbutilsError(
            "the posterior vanishes everywhere it was looked for: check the units of the priors"
        )
    first = np.array([t[np.argmax(height)] for t in scouts])
    found = optimize.minimize(single, first, method="Nelder-Mead", options={"xatol": 0.1, "fatol": 0.05})
    axes = []
    for direction, middle in zip(np.eye(first.size), found.x, strict=True):
        half = 0.05  # grows till the density has fallen by exp(-2) on both sides: about two SDs
        while half < _FAR:
            if min(single(found.x + side * half * direction) for side in (-1, 1)) >= found.fun + 2:
                break
            half *= 1.5
        axes.append(np.linspace(middle - 3 * half, middle + 3 * half, _NODES))
    return axes


def _finer(size: NDArray[np.int64]) -> NDArray[np.int64]:
    """Half as many nodes again, an odd number of them."""
    return 2 * (3 * size // 4) + 1


def _fit_axis(axis: Array, log_marginal: Array, coordinate: _Coordinate) -> Array:
    """Lengthen an axis whose ends still carry density, shorten one that is empty over long stretches.

    For an SD, what its variance is integrated from must have died away at the right end too; unless
    that goes on for ever, as under a half-Cauchy prior with two groups and a flat prior on their mean.
    """
    weighed = log_marginal > log_marginal.max() + _EDGE
    if isinstance(coordinate, _Positive):
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


def _axis_errors(grid: _Grid, means: Array, variances: Array) -> Array:
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


def _light(weights: Array) -> NDArray[np.bool_]:
    """The nodes that together have less than `_LIGHT` of the weight."""
    order = np.argsort(weights)
    light = np.zeros(weights.size, dtype=bool)
    light[order[np.cumsum(weights[order]) < _LIGHT * weights.sum()]] = True
    return light


def _marginal_axis(target: _Target, grid: _Grid, k: int) -> _Axis:
    """The marginal along axis k at twice as many nodes: enough to draw it and read quantiles off it.

    Between its nodes a density is known less well than its integral is from them.
    """
    axis = grid.axes[k]
    between = (axis[1:] + axis[:-1]) / 2
    others = _mesh([other for i, other in enumerate(grid.axes) if i != k])
    heavy = ~_light(grid.weights.reshape(grid.log_density.shape).sum(axis=k).ravel())
    t = [np.tile(part[heavy], between.size) for part in others]
    t.insert(k, np.repeat(between, int(heavy.sum())))
    values = target(t)[0].reshape(between.size, -1)
    at_nodes = np.moveaxis(grid.log_density, k, 0).reshape(axis.size, -1)[:, heavy]
    log_density = np.empty(2 * axis.size - 1)
    log_density[::2] = special.logsumexp(at_nodes, axis=1)
    log_density[1::2] = special.logsumexp(values, axis=1)
    nodes = np.linspace(axis[0], axis[-1], 2 * axis.size - 1)
    return _Axis(list(target.coordinates.values())[k], nodes, log_density)


# --- mixtures of normals: what a marginal is once the SDs are integrated over -------------------


class Marginal(NamedTuple):
    """A marginal posterior: `density` at the points of `grid`, both (M,)."""

    grid: Array
    density: Array


@dataclass(frozen=True)
class _Mixture:
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
class _Axis:
    """The marginal of an SD or a correlation, known at the nodes of its coordinate t."""

    coordinate: _Coordinate
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
        if isinstance(self.coordinate, _Positive) and log_part[-1] > log_part.max() + np.log(_UNSETTLED):
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

    def marginal(self, points: int) -> Marginal:
        t, density, cdf = self._fine
        at = np.interp(np.linspace(5e-5, 1 - 5e-5, 2), cdf, t)
        low, high = self.coordinate.value(at)
        values = np.linspace(low, high, points)
        t_at = np.interp(values, self.coordinate.value(t), t)
        return Marginal(values, np.interp(t_at, t, density) / np.exp(self.coordinate.log_slope(t_at)))

    def row(self) -> list[float]:
        return [self.mean(), self.sd(), *(self.quantile(q) for q in QUANTILES.values())]


def _table(rows: dict[str, _Mixture | _Axis]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(
        {name: quantity.row() for name, quantity in rows.items()},
        orient="index",
        columns=["mean", "sd", *QUANTILES],
    )


def _known(names: Sequence[str], name: str) -> None:
    if name not in names:
        raise InputError(f"no quantity '{name}': this posterior has {', '.join(names)}")


def _at(data: GroupedData, x: ArrayLike | None) -> Array:
    """The values of x at which to predict, checked."""
    if data.x is None:
        if x is not None:
            raise InputError("the model has no predictor: call predict without x")
        return np.zeros(1)
    if x is None:
        raise InputError(f"say at which values of '{data.x_name}' to predict: predict(x=...)")
    values = np.atleast_1d(np.asarray(x, dtype=float))
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError("x must be one finite number or a list of them")
    return values


@dataclass(frozen=True)
class _Predictive:
    """Normal lines (K, 2) with covariance (K, 3) and noise variance (K,), mixed over nodes."""

    weights: Array
    mean: Array
    cov: Array
    noise: Array
    endless: bool = False

    def at(self, x: float, *, observation: bool) -> _Mixture:
        """What is predicted at x: an observation, or the line alone."""
        variance = self.cov[:, 0] + 2 * x * self.cov[:, 1] + x**2 * self.cov[:, 2]
        if observation:
            variance = variance + self.noise
        return _Mixture(self.weights, self.mean[:, 0] + x * self.mean[:, 1], np.sqrt(variance), self.endless)


def _predictions(
    data: GroupedData, predictive: _Predictive, x: ArrayLike | None, *, observation: bool
) -> pd.DataFrame:
    values = _at(data, x)
    rows: dict[str, _Mixture | _Axis] = {
        str(i): predictive.at(value, observation=observation) for i, value in enumerate(values)
    }
    index = pd.Index(values, name=data.x_name) if data.x is not None else pd.RangeIndex(1)
    return _table(rows).set_axis(index)


def _log_density(data: GroupedData, predictive: _Predictive, y: ArrayLike, x: ArrayLike | None) -> Array:
    outcomes = np.atleast_1d(np.asarray(y, dtype=float))
    values = _at(data, x)
    if outcomes.ndim != 1 or not np.isfinite(outcomes).all() or values.size not in (1, outcomes.size):
        raise InputError("y must be one finite number or a list of them, and x one value or as many")
    values = np.broadcast_to(values, outcomes.shape)
    parts = []
    for outcome, value in zip(outcomes, values, strict=True):
        mixture = predictive.at(value, observation=True)
        z = (outcome - mixture.means) / mixture.sds
        density = -0.5 * (z**2 + np.log(2 * np.pi)) - np.log(mixture.sds)
        parts.append(special.logsumexp(density, b=mixture.weights))
    return np.array(parts)


# --- partial pooling -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ExactPosterior:
    """The partially pooled model's posterior, from :func:`exact_posterior`.

    Attributes
    ----------
    data, priors
        What it is the posterior of.
    nodes : int
        Nodes of the final grid.
    error : float
        Estimated error, in posterior SDs, that comes of the grid's step, in the means and SDs of the
        population's line and of the coordinates t: the square of the largest change when every second
        node of an axis is left out, since halving the step squares the error. An estimate, not a bound;
        quantiles, which are interpolated, may be out by some times more.
    """

    data: GroupedData
    priors: Priors
    nodes: int
    error: float
    _target: _Target
    _grid: _Grid

    @property
    def _lines(self) -> _Lines:
        return self._target.lines

    @cached_property
    def _heavy(self) -> NDArray[np.bool_]:
        """The nodes that matter, to the mean or to the variance of a new group."""
        weights = self._grid.weights
        variances = self._target.spread(_mesh(self._grid.axes)).cov[:, :: 2 if self._target.predictor else 3]
        return ~_light(weights * (1 + (variances / (weights @ variances)).sum(axis=1)))

    @cached_property
    def _weights(self) -> Array:
        weights = self._grid.weights[self._heavy]
        return weights / weights.sum()

    @cached_property
    def _spread(self) -> _Spread:
        return self._target.spread([t[self._heavy] for t in _mesh(self._grid.axes)])

    @cached_property
    def _mean(self) -> Array:
        return self._grid.mean[self._heavy]

    @cached_property
    def _cov(self) -> Array:
        return self._grid.cov[self._heavy]

    @cached_property
    def _axes(self) -> dict[str, _Axis]:
        return {
            name: _marginal_axis(self._target, self._grid, k)
            for k, name in enumerate(self._target.coordinates)
        }

    def __repr__(self) -> str:
        names = ", ".join(self.names)
        return f"ExactPosterior({names}; {self.data!r}; {self.nodes} nodes, error {self.error:.0e})"

    @property
    def names(self) -> list[str]:
        """Names of the population's quantities, in the order of :meth:`summary`."""
        means = ["mu_alpha"] if self.data.x is None else ["mu_alpha", "mu_beta"]
        order = ["sigma_alpha", "sigma_beta", "rho", "sigma"]
        return means + [name for name in order if name in self._target.coordinates]

    def _quantity(self, name: str, group: str | None) -> _Mixture | _Axis:
        lines = ["alpha"] if self.data.x is None else ["alpha", "beta"]
        if name in lines:
            if group is None:
                raise InputError(f"'{name}' differs from group to group: say whose, with group=...")
            part = lines.index(name)
            mean, cov = self._group(np.array([self.data.position(group)]))
            return _Mixture(self._weights, mean[:, 0, part], np.sqrt(cov[:, 0, 2 * part]))
        _known([*self.names, *lines], name)
        if group is not None:
            raise InputError(f"'{name}' belongs to the population: ask for it without a group")
        if name in self._target.coordinates:
            return self._axes[name]
        part = ["mu_alpha", "mu_beta"].index(name)
        mean, cov = self._lines.outward(self._mean), self._lines.outward_cov(self._cov)
        endless = self._endless(self._lines.outward_cov(self._grid.cov)[:, 2 * part])
        return _Mixture(self._weights, mean[:, part], np.sqrt(cov[:, 2 * part]), endless)

    def _endless(self, variances: Array) -> bool:
        """Whether the mean of these variances (K,), at all nodes, has not settled where an SD's axis ends."""
        shape = self._grid.log_density.shape
        mass = (self._grid.weights * variances).reshape(shape)
        for k, coordinate in enumerate(self._target.coordinates.values()):
            along = mass.sum(axis=tuple(i for i in range(len(shape)) if i != k))
            if isinstance(coordinate, _Positive) and along[-1] > _UNSETTLED * along.max():
                return True
        return False

    def _group(self, groups: NDArray) -> tuple[Array, Array]:
        """Mean (K, G, 2) and covariance (K, G, 3) of groups' lines in the data's own coordinates."""
        mean, cov = _group_given(self._lines, groups, self._spread, self._mean, self._cov)
        return self._lines.outward(mean), self._lines.outward_cov(cov)

    def summary(self) -> pd.DataFrame:
        """Mean, SD and 2.5, 50 and 97.5 % quantiles of the population's quantities, one a row."""
        return _table({name: self._quantity(name, None) for name in self.names})

    def groups(self) -> pd.DataFrame:
        """Mean and SD of each group's intercept (`alpha`) and, with a predictor, slope (`beta`).

        Returns
        -------
        DataFrame
            One row a group, in the order of ``data.labels``; columns ``alpha_mean``, ``alpha_sd``
            and, with a predictor, ``beta_mean``, ``beta_sd``.
        """
        parts = []
        step = max(1, _BLOCK // (8 * self._weights.size))
        for start in range(0, self.data.n_groups, step):
            mean, cov = self._group(np.arange(start, min(start + step, self.data.n_groups)))
            average = np.einsum("k,kgp->gp", self._weights, mean)
            variance = np.einsum("k,kgp->gp", self._weights, cov[..., ::2] + (mean - average) ** 2)
            parts.append(np.stack([average, np.sqrt(variance)], axis=-1).reshape(-1, 4))
        columns = ["alpha_mean", "alpha_sd", "beta_mean", "beta_sd"]
        table = pd.DataFrame(
            np.concatenate(parts),
            index=pd.Index(self.data.labels, name=self.data.group_name),
            columns=columns,
        )
        return table if self.data.x is not None else table[columns[:2]]

    def weights(self) -> pd.Series:
        """Posterior mean of the weight that each group's own data get, between 0 and 1.

        The mean of the eigenvalues of the weight matrix (:func:`hbutils.shrinkage_matrix`); with an
        intercept only, that of :func:`hbutils.shrinkage_weight`.
        """
        parts = []
        step = max(1, _BLOCK // self._weights.size)
        for start in range(0, self.data.n_groups, step):
            own = _own_weight(
                self._lines, slice(start, start + step), self._spread, predictor=self.data.x is not None
            )
            parts.append(self._weights @ own)
        return pd.Series(np.concatenate(parts), index=pd.Index(self.data.labels, name=self.data.group_name))

    def marginal(self, name: str, group: str | None = None, points: int = 401) -> Marginal:
        """Marginal density of a population quantity, or of one group's `alpha` or `beta`.

        Parameters
        ----------
        name : str
            A row of :meth:`summary`, or ``"alpha"`` or ``"beta"`` together with `group`.
        group : str, optional
            Name of the group.
        points : int
            Points of the grid, which spans the central 99.99 %.

        Returns
        -------
        Marginal
            ``grid`` and ``density``, both (points,).

        Raises
        ------
        InputError
            If there is no such quantity or group, or a group is given for a quantity of the population.
        """
        return self._quantity(name, group).marginal(points)

    def predict(
        self, x: ArrayLike | None = None, group: str | None = None, *, observation: bool = True
    ) -> pd.DataFrame:
        """Predict for a known group, or for a new one from the same population.

        Parameters
        ----------
        x : float or (M,) array
            Where; left out when the model has no predictor.
        group : str, optional
            Name of a known group. Without it the prediction is for a new group.
        observation : bool
            Predict an observation, or (False) the group's line without the noise.

        Returns
        -------
        DataFrame
            One row a value of `x`; columns ``mean, sd, q2.5, q50, q97.5``.

        Raises
        ------
        InputError
            If there is no such group, or `x` is missing or not finite.
        """
        return _predictions(self.data, self._predictive(group), x, observation=observation)

    def log_density(self, y: ArrayLike, x: ArrayLike | None = None, group: str | None = None) -> Array:
        """Log predictive density of observations that were not among the data, each on its own.

        Parameters
        ----------
        y : (M,) array
            The observations.
        x : (M,) array, optional
            Where they were made; left out when the model has no predictor.
        group : str, optional
            The known group they belong to; a new one if left out.

        Returns
        -------
        (M,) array
            In natural logarithms, per unit of the outcome.

        Raises
        ------
        InputError
            If there is no such group, a value is not finite, or `x` is missing or of another length.
        """
        return _log_density(self.data, self._predictive(group), y, x)

    def _predictive(self, group: str | None) -> _Predictive:
        noise = self._spread.sigma**2
        if group is not None:
            means, covs = self._group(np.array([self.data.position(group)]))
            return _Predictive(self._weights, means[:, 0], covs[:, 0], noise)
        mean = self._lines.outward(self._mean)
        cov = self._lines.outward_cov(self._cov + self._spread.cov)
        everywhere = self._grid.cov + self._target.spread(_mesh(self._grid.axes)).cov
        return _Predictive(self._weights, mean, cov, noise, self._endless(everywhere[:, 0]))


def exact_posterior(
    data: GroupedData, priors: Priors | None = None, *, correlated: bool = False, tolerance: float = 1e-4
) -> ExactPosterior:
    """The partially pooled Gaussian model's posterior, by quadrature.

    The model is that of :func:`hbutils.partial_pooling` with the same `priors`.

    Parameters
    ----------
    data : GroupedData
        At least two groups. Without a predictor the model has intercepts only.
    priors : Priors, optional
        :meth:`Priors.weakly_informative` if left out.
    correlated : bool
        Whether intercepts and slopes have a correlation, `rho`.
    tolerance : float
        The grid is refined until its estimated error is at most this many posterior SDs. If that
        would take more than four million nodes a warning says how far it got.

    Returns
    -------
    ExactPosterior

    Raises
    ------
    InputError
        If there is only one group, `correlated` without a predictor, or no noise in the outcome.
    HbutilsError
        If a prior is so vague that the posterior does not end.
    """
    data.check_hierarchical(correlated=correlated)
    if not tolerance > 0:
        raise InputError(f"tolerance must be positive, not {tolerance}")
    priors = priors or Priors.weakly_informative(data)
    lines = _Lines.of(data)
    _check_noise(data, lines, priors, lines.rss.sum(keepdims=True))
    target = _Target(
        coordinates=_coordinates(lines, priors, predictor=data.x is not None, correlated=correlated),
        lines=lines,
        designs=_Designs.of(lines),
        prior=_population_prior(lines, data, priors),
        predictor=data.x is not None,
    )
    grid = _find_grid(target, tolerance)
    return ExactPosterior(
        data=data, priors=priors, nodes=grid.log_density.size, error=grid.error, _target=target, _grid=grid
    )


def _check_noise(data: GroupedData, lines: _Lines, priors: Priors, rss: Array) -> None:
    """Refuse outcomes without noise, under which the density of sigma goes to infinity at zero."""
    if isinstance(priors.sigma, GammaPrecision):
        return  # whose density vanishes there faster than anything grows
    spread = np.abs(data.y - data.y.mean()).max()
    if spread <= 1e-12 * np.abs(data.y).max():
        raise InputError(
            f"column '{data.y_name}' is the same in every row: there is no noise to learn sigma from"
        )
    freedom = lines.n - 1 - (lines.det_a > 0) if rss.size > 1 else (lines.n - 1 - (lines.det_a > 0)).sum()
    exact = (rss <= (1e-12 * spread) ** 2) & (freedom > 0)
    if exact.any():
        where = (
            f" in '{data.group_name}' {', '.join(np.asarray(data.labels)[exact][:5])}" if rss.size > 1 else ""
        )
        raise InputError(
            f"column '{data.y_name}' lies exactly on a line{where}: there is no noise to learn sigma from"
        )


def _population_prior(lines: _Lines, data: GroupedData, priors: Priors) -> _MeanPrior:
    # Without a predictor the slope is a dummy that nothing depends on: a proper prior integrates to one.
    return lines.prior(priors.mu_alpha, Normal(0.0, 1.0) if data.x is None else priors.mu_beta)


def _coordinates(
    lines: _Lines, priors: Priors, *, predictor: bool, correlated: bool
) -> dict[str, _Coordinate]:
    """A coordinate for each SD and for rho, scaled by what the data can resolve."""
    freedom = lines.n.sum() - (lines.n > 0).sum() - (lines.det_a > 0).sum()
    noise = np.sqrt(lines.rss.sum() / freedom) if freedom > 0 else 0.0
    if not noise > 0:
        noise = float(np.abs(lines.b[:, 0]).mean()) or float(priors.sigma.ppf(0.5))
    coordinates: dict[str, _Coordinate] = {
        "sigma_alpha": _Positive(priors.sigma_alpha, noise / np.sqrt(lines.n.mean())),
        "sigma": _Positive(priors.sigma, noise),
    }
    if predictor:
        spread = lines.a[:, 2].sum() / lines.n.sum()
        coordinates["sigma_beta"] = _Positive(priors.sigma_beta, noise / np.sqrt(lines.n.mean() * spread))
    if correlated:
        coordinates["rho"] = _Correlation(priors.rho)
    return coordinates


def _sds(coordinates: dict[str, _Coordinate], t: dict[str, Array]) -> dict[str, Array]:
    """The SDs at coordinates t; what the model does not have is zero."""
    values = {name: coordinates[name].value(at) for name, at in t.items()}
    zero = np.zeros_like(values["sigma"])
    rho = coordinates.get("rho")
    complement = rho.complement(t["rho"]) if isinstance(rho, _Correlation) else zero + 1
    return {"sigma_beta": zero, "rho": zero} | values | {"complement": complement}


# --- partial pooling with the SDs given ---------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ConditionalPosterior:
    """Population and groups given the SDs: jointly normal, in closed form.

    Attributes
    ----------
    log_likelihood : float
        Log marginal likelihood of the SDs, up to a constant that depends on the data alone.
    """

    data: GroupedData
    log_likelihood: float
    _mean: Array
    _cov: Array
    _group_mean: Array
    _group_cov: Array
    _weights: Array

    def __repr__(self) -> str:
        return f"ConditionalPosterior({self.data!r}; log likelihood {self.log_likelihood:.6g})"

    def summary(self) -> pd.DataFrame:
        """Mean and SD of the population's mean intercept and slope, one a row."""
        table = pd.DataFrame(
            {"mean": self._mean, "sd": np.sqrt(self._cov[::2])}, index=["mu_alpha", "mu_beta"]
        )
        return table if self.data.x is not None else table.iloc[:1]

    def groups(self) -> pd.DataFrame:
        """As :meth:`ExactPosterior.groups`."""
        sd = np.sqrt(self._group_cov[:, ::2])
        table = pd.DataFrame(
            {
                "alpha_mean": self._group_mean[:, 0],
                "alpha_sd": sd[:, 0],
                "beta_mean": self._group_mean[:, 1],
                "beta_sd": sd[:, 1],
            },
            index=pd.Index(self.data.labels, name=self.data.group_name),
        )
        return table if self.data.x is not None else table.iloc[:, :2]

    def weights(self) -> pd.Series:
        """As :meth:`ExactPosterior.weights`."""
        return pd.Series(self._weights, index=pd.Index(self.data.labels, name=self.data.group_name))


def conditional_posterior(
    data: GroupedData,
    *,
    sigma_alpha: float,
    sigma: float,
    sigma_beta: float = 0.0,
    rho: float = 0.0,
    priors: Priors | None = None,
) -> ConditionalPosterior:
    """The partially pooled posterior with the SDs held at given values.

    Parameters
    ----------
    data : GroupedData
        At least two groups.
    sigma_alpha, sigma_beta : float
        Between-group SDs, zero or more: zero gives the pooled model.
    sigma : float
        Noise SD, positive.
    rho : float
        Correlation of intercept and slope, strictly between -1 and 1.
    priors : Priors, optional
        Only `mu_alpha` and `mu_beta` are used; flat if left out.

    Raises
    ------
    InputError
        If there is only one group or an SD or `rho` is out of range.
    """
    data.check_hierarchical(correlated=rho != 0)
    if not (
        np.isfinite([sigma_alpha, sigma_beta, sigma]).all() and min(sigma_alpha, sigma_beta) >= 0 < sigma
    ):
        raise InputError(
            "sigma_alpha and sigma_beta must be 0 or more, sigma positive, and all of them finite"
        )
    if not -1 < rho < 1:
        raise InputError(f"rho must lie between -1 and 1, not {rho}")
    lines = _Lines.of(data)
    flat = Normal(0.0, np.inf)
    alpha, beta = (flat, flat) if priors is None else (priors.mu_alpha, priors.mu_beta)
    prior = lines.prior(alpha, beta if data.x is not None else Normal(0.0, 1.0))
    sd = {
        "sigma_alpha": np.array([float(sigma_alpha)]),
        "sigma_beta": np.array([float(sigma_beta) if data.x is not None else 0.0]),
        "sigma": np.array([float(sigma)]),
        "rho": np.array([float(rho)]),
        "complement": np.array([np.sqrt(1 - rho**2)]),
    }
    spread = _Spread.of(sd, lines)
    log_like, mean, cov = _hierarchical(_Designs.of(lines), spread, prior)
    group_mean, group_cov = _group_given(lines, slice(None), spread, mean, cov)
    return ConditionalPosterior(
        data=data,
        log_likelihood=float(log_like[0]),
        _mean=lines.outward(mean)[0],
        _cov=lines.outward_cov(cov)[0],
        _group_mean=lines.outward(group_mean)[0],
        _group_cov=lines.outward_cov(group_cov)[0],
        _weights=_own_weight(lines, slice(None), spread, predictor=data.x is not None)[0],
    )


# --- pooled and unpooled -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ExactLines:
    """Posterior of one line (pooled) or of a line for each group (unpooled), each with its own noise."""

    data: GroupedData
    priors: Priors
    pooled: bool
    _lines: _Lines
    _t: Array  # (J, K)
    _log_density: Array  # (J, K)
    _mean: Array  # (J, K, 2)
    _cov: Array  # (J, K, 3)
    _coordinates: list[_Positive]

    def __repr__(self) -> str:
        return f"ExactLines({'pooled' if self.pooled else 'unpooled'}; {self.data!r})"

    @property
    def names(self) -> list[str]:
        """Names of a line's quantities."""
        return ["alpha", "sigma"] if self.data.x is None else ["alpha", "beta", "sigma"]

    def _position(self, group: str | None) -> int:
        if self.pooled:
            if group is not None:
                self.data.position(group)  # everybody has the same line, but must exist
            return 0
        if group is None:
            raise InputError(
                "the unpooled model says nothing about a new group: its groups have nothing in common; "
                f"name one of {', '.join(self.data.labels[:3])}, ..."
            )
        return self.data.position(group)

    def _quantity(self, name: str, j: int) -> _Mixture | _Axis:
        _known(self.names, name)
        if name == "sigma":
            return _Axis(self._coordinates[j], self._t[j], self._log_density[j])
        part = ["alpha", "beta"].index(name)
        weights = special.softmax(self._log_density[j])
        return _Mixture(weights, self._mean[j, :, part], np.sqrt(self._cov[j, :, 2 * part]))

    def summary(self) -> pd.DataFrame:
        """Mean, SD and 2.5, 50 and 97.5 % quantiles.

        Returns
        -------
        DataFrame
            Rows ``alpha, beta, sigma`` when pooled; ``alpha[308], alpha[309], ...`` when not.
        """
        if self.pooled:
            return _table({name: self._quantity(name, 0) for name in self.names})
        return _table(
            {
                f"{name}[{label}]": self._quantity(name, j)
                for name in self.names
                for j, label in enumerate(self.data.labels)
            }
        )

    def groups(self) -> pd.DataFrame:
        """Mean and SD of each group's intercept and slope, as :meth:`ExactPosterior.groups`."""
        weights = special.softmax(self._log_density, axis=1)
        mean = np.einsum("jk,jkp->jp", weights, self._mean)
        spread = self._cov[..., ::2] + (self._mean - mean[:, None]) ** 2
        sd = np.sqrt(np.einsum("jk,jkp->jp", weights, spread))
        values = np.stack([mean, sd], axis=-1).reshape(-1, 4)
        if self.pooled:
            values = np.repeat(values, self.data.n_groups, axis=0)
        index = pd.Index(self.data.labels, name=self.data.group_name)
        table = pd.DataFrame(values, index=index, columns=["alpha_mean", "alpha_sd", "beta_mean", "beta_sd"])
        return table if self.data.x is not None else table.iloc[:, :2]

    def marginal(self, name: str, group: str | None = None, points: int = 401) -> Marginal:
        """As :meth:`ExactPosterior.marginal`; the unpooled model needs a `group`."""
        return self._quantity(name, self._position(group)).marginal(points)

    def predict(
        self, x: ArrayLike | None = None, group: str | None = None, *, observation: bool = True
    ) -> pd.DataFrame:
        """As :meth:`ExactPosterior.predict`. The unpooled model refuses to predict for a new group."""
        return _predictions(self.data, self._predictive(group), x, observation=observation)

    def log_density(self, y: ArrayLike, x: ArrayLike | None = None, group: str | None = None) -> Array:
        """As :meth:`ExactPosterior.log_density`; the unpooled model needs a `group`."""
        return _log_density(self.data, self._predictive(group), y, x)

    def _predictive(self, group: str | None) -> _Predictive:
        j = self._position(group)
        noise = self._coordinates[j].value(self._t[j]) ** 2
        return _Predictive(special.softmax(self._log_density[j]), self._mean[j], self._cov[j], noise)


def exact_pooled(data: GroupedData, priors: Priors | None = None) -> ExactLines:
    """The pooled model's posterior: one line for everybody.

    Coefficients given the noise SD in closed form, the noise SD by quadrature.

    Parameters
    ----------
    data : GroupedData
        The groups are ignored.
    priors : Priors, optional
        :meth:`Priors.weakly_informative` if left out. Uses `mu_alpha`, `mu_beta` and `sigma`.

    Returns
    -------
    ExactLines

    Raises
    ------
    InputError
        If there is no noise in the outcome.
    """
    priors = priors or Priors.weakly_informative(data)
    lines = _Lines.of(data, group=np.zeros_like(data.group))
    return _exact_lines(data, priors, lines, priors.mu_alpha, priors.mu_beta, pooled=True)


def exact_unpooled(data: GroupedData, priors: Priors | None = None) -> ExactLines:
    """The unpooled model's posterior: a line and a noise SD for each group, from its own data alone.

    Parameters
    ----------
    data : GroupedData
        Every group needs an observation more than its line has coefficients.
    priors : Priors, optional
        :meth:`Priors.weakly_informative` if left out. Uses `alpha`, `beta` and `sigma`.

    Returns
    -------
    ExactLines

    Raises
    ------
    InputError
        If a group has too few observations, its predictor never changes, or it has no noise.
    """
    data.check_unpooled()
    priors = priors or Priors.weakly_informative(data)
    return _exact_lines(data, priors, _Lines.of(data), priors.alpha, priors.beta, pooled=False)


def _exact_lines(
    data: GroupedData, priors: Priors, lines: _Lines, alpha: Normal, beta: Normal, *, pooled: bool
) -> ExactLines:
    _check_noise(data, lines, priors, lines.rss)
    prior = lines.prior(alpha, beta if data.x is not None else Normal(0.0, 1.0))
    freedom = lines.n - (1 if data.x is None else 2)
    noise = np.sqrt(lines.rss / np.maximum(freedom, 1))
    noise = np.where(noise > 0, noise, float(priors.sigma.ppf(0.5)))
    scale = _Positive(priors.sigma, 1.0)

    def evaluate(t: Array) -> tuple[Array, Array, Array]:
        sigma = noise[:, None] * scale.value(t)
        g = lines.a[:, None] / (sigma**2)[..., None]
        h = _times(g, lines.b[:, None])
        q = (h * lines.b[:, None]).sum(-1) + lines.rss[:, None] / sigma**2
        log_like, mean, cov = _integrate_mean(g, h, q, prior)
        log_prior = priors.sigma.logpdf(sigma) + scale.log_slope(t)
        return log_like - lines.n[:, None] * np.log(sigma) + log_prior, mean, cov

    # From next to nothing to what the prior all but rules out, or a million times the residuals' own scale
    far = np.log(float(priors.sigma.ppf(1 - 1e-9))) - np.log(noise) + 2
    low, high = np.full(noise.size, -3.0), np.clip(far, 14.0, _FAR)
    for zoom in range(8):  # in on where the density is
        t = np.linspace(low, high, 201, axis=1)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            log_density, mean, cov = evaluate(t)
        held = log_density > log_density.max(axis=1, keepdims=True) + 2 * _EDGE
        if zoom == 0 and held[:, -1].any():
            raise HbutilsError(
                "sigma's posterior has no end in sight: give its prior a scale, in the data's units"
            )
        first, last = held.argmax(axis=1), 200 - held[:, ::-1].argmax(axis=1)
        rows = np.arange(noise.size)
        low, high = t[rows, np.maximum(first - 1, 0)], t[rows, np.minimum(last + 1, 200)]
    return ExactLines(
        data=data,
        priors=priors,
        pooled=pooled,
        _lines=lines,
        _t=t,
        _log_density=log_density,
        _mean=lines.outward(mean),
        _cov=lines.outward_cov(cov),
        _coordinates=[_Positive(priors.sigma, float(value)) for value in noise],
    )

"""What Gaussian groups say about a population, given the SDs: the algebra of :mod:`hbutils.exact`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hbutils.data import GroupedData
    from hbutils.priors import Normal

    Array = NDArray[np.float64]

BLOCK = 1_000_000  # numbers in one temporary array


# --- what the data say -------------------------------------------------------------------


@dataclass(frozen=True)
class Lines:
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
    def of(cls, data: GroupedData, group: NDArray | None = None) -> Lines:
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

    def prior(self, alpha: Normal, beta: Normal) -> MeanPrior:
        """A prior on a line, in these coordinates."""
        pa, pb = alpha.precision, beta.precision
        k = self.centre
        da, db = alpha.mean - self.base[0], beta.mean - self.base[1]
        linear = np.array([pa * da, pb * db - k * pa * da])
        constant = (0.0 if alpha.flat else pa * da**2 - np.log(pa)) + (
            0.0 if beta.flat else pb * db**2 - np.log(pb)
        )
        return MeanPrior(np.array([pa, -k * pa, pb + k**2 * pa]), linear, float(constant))


@dataclass(frozen=True)
class MeanPrior:
    """N(m, P^-1) on a line: P as (11, 12, 22), P m, and m'Pm - log|P|."""

    precision: Array
    linear: Array
    constant: float


@dataclass(frozen=True)
class Designs:
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
    def of(cls, lines: Lines) -> Designs:
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


def determinant(m: Array) -> Array:
    return m[..., 0] * m[..., 2] - m[..., 1] ** 2


def adjugate(m: Array) -> Array:
    return np.stack([m[..., 2], -m[..., 1], m[..., 0]], axis=-1)


def times(m: Array, v: Array) -> Array:
    return np.stack(
        [m[..., 0] * v[..., 0] + m[..., 1] * v[..., 1], m[..., 1] * v[..., 0] + m[..., 2] * v[..., 1]],
        axis=-1,
    )


def full(m: Array) -> Array:
    return np.stack([np.stack([m[..., 0], m[..., 1]], -1), np.stack([m[..., 1], m[..., 2]], -1)], -2)


def packed(m: Array) -> Array:
    return np.stack([m[..., 0, 0], m[..., 0, 1], m[..., 1, 1]], axis=-1)


# --- the algebra given the SDs -------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """The SDs at K nodes: covariance of the groups' lines (K, 3) with its determinant, and noise (K,)."""

    cov: Array
    det: Array
    sigma: Array

    @classmethod
    def of(cls, sd: dict[str, Array], lines: Lines) -> Spread:
        sa, sb, sigma = sd["sigma_alpha"], sd["sigma_beta"], sd["sigma"]
        cov = np.stack([sa**2, sd["rho"] * sa * sb, sb**2], axis=-1)
        # |S| from the complement of rho, which is known to full precision also next to 1
        return cls(lines.inward_cov(cov), (sa * sb * sd["complement"]) ** 2, sigma)

    def take(self, index: NDArray | slice) -> Spread:
        return Spread(self.cov[index], self.det[index], self.sigma[index])


def information(a: Array, det_a: Array, spread: Spread) -> tuple[Array, Array]:
    """G (K, U, 3) and D (K, U) of the module's docstring, for designs (U) and nodes (K)."""
    v = spread.sigma[:, None] ** 2
    cov = spread.cov[:, None, :]
    trace = cov[..., 0] * a[:, 0] + 2 * cov[..., 1] * a[:, 1] + cov[..., 2] * a[:, 2]
    big_d = 1 + trace / v + spread.det[:, None] * det_a / v**2
    g = (a + (det_a / v)[..., None] * adjugate(cov)) / (v * big_d)[..., None]
    return g, big_d


def integrate_mean(g: Array, h: Array, q: Array, prior: MeanPrior) -> tuple[Array, Array, Array]:
    """Integrate the population line out of a Gaussian exp(-(q - 2 h'm + m'Gm) / 2).

    Returns the log integral (...), and the line's mean (..., 2) and covariance (..., 3).
    """
    precision = g + prior.precision
    det = determinant(precision)
    cov = adjugate(precision) / det[..., None]
    v = h + prior.linear
    mean = times(cov, v)
    fit = (v * mean).sum(-1)
    log_integral = -0.5 * (q + prior.constant - fit + np.log(det))
    # Where SDs all but vanish the two quadratic forms are huge and cancel. Where rounding, amplified by the
    # condition of the precision, would show in the result, the node counts for nothing; nor is density there.
    condition = precision[..., 0] * precision[..., 2] / det
    trusted = (det > 0) & (np.finfo(float).eps * (np.abs(q) + np.abs(fit)) * condition < 1e-2)
    return np.where(trusted, log_integral, -np.inf), mean, cov


def hierarchical(designs: Designs, spread: Spread, prior: MeanPrior) -> tuple[Array, Array, Array]:
    """Log likelihood (K,), and mean and covariance of the population line, at K nodes."""
    parts = []
    step = max(1, BLOCK // designs.det_a.size)
    for start in range(0, spread.sigma.size, step):
        part = spread.take(slice(start, start + step))
        g, big_d = information(designs.a, designs.det_a, part)
        h = times(g, designs.b).sum(axis=1)
        weight = np.array([1.0, 2.0, 1.0])
        q = np.einsum("kus,us,s->k", g, designs.bb, weight) + designs.rss / part.sigma**2
        total = np.einsum("kus,u->ks", g, designs.size)
        log_like, mean, cov = integrate_mean(total, h, q, prior)
        log_like -= designs.n * np.log(part.sigma) + 0.5 * np.log(big_d) @ designs.size
        parts.append((log_like, mean, cov))
    log_like, mean, cov = (np.concatenate(piece) for piece in zip(*parts, strict=True))
    return log_like, mean, cov


def group_given(
    lines: Lines, groups: NDArray | slice, spread: Spread, mean: Array, cov: Array
) -> tuple[Array, Array]:
    """Mean (K, J, 2) and covariance (K, J, 3) of groups' lines at K nodes, whatever the population's mean."""
    a, det_a, b = lines.a[groups], lines.det_a[groups], lines.b[groups]
    v = spread.sigma[:, None] ** 2
    g, big_d = information(a, det_a, spread)
    own = full(spread.cov)[:, None] @ full(g)  # weight on the group's own line
    # I - own, and S - S G S, written so that nothing is subtracted
    rest = (
        np.eye(2) + (full(adjugate(a)) @ full(adjugate(spread.cov))[:, None]) / v[..., None, None]
    ) / big_d[..., None, None]
    within = (spread.cov[:, None] + (spread.det[:, None] / v)[..., None] * adjugate(a)) / big_d[..., None]
    centre = (rest @ mean[:, None, :, None] + own @ b[..., None])[..., 0]
    between = packed(rest @ full(cov)[:, None] @ np.swapaxes(rest, -1, -2))
    return centre, within + between


def own_weight(lines: Lines, groups: slice, spread: Spread, *, predictor: bool) -> Array:
    """Mean eigenvalue (K, J) of the weight matrix S G at K nodes."""
    g, _ = information(lines.a[groups], lines.det_a[groups], spread)
    cov = spread.cov[:, None]
    trace = cov[..., 0] * g[..., 0] + 2 * cov[..., 1] * g[..., 1] + cov[..., 2] * g[..., 2]
    return trace / (2 if predictor else 1)

"""What Gaussian groups say about a population, given the SDs: the algebra of :mod:`hbutils.exact`."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from hbutils.data import GroupedData, Totals
    from hbutils.priors import Normal

    Array = NDArray[np.float64]

BLOCK = 1_000_000  # numbers in one temporary array
WIDE = 4096  # designs in one matrix product
MANY = 16  # pieces of work that are worth the start of threads


# --- what the data say -------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """Where lines are measured from: one pooled line, and the mean of x.

    Subtracting that line first keeps outcomes with a large mean, or predictors far from zero (years,
    say), from costing digits.
    """

    centre: float  # x that was subtracted
    base: Array  # (2,) the pooled line in the data's own coordinates: intercept at x = 0, slope

    @classmethod
    def of(cls, totals: Totals) -> Frame:
        """The frame of data with these totals."""
        slope = totals.sxy / totals.sxx if totals.sxx else 0.0
        return cls(totals.mean_x, np.array([totals.mean_y - slope * totals.mean_x, slope]))

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
class Lines:
    """Each group's least-squares line in a frame. Symmetric 2 x 2 matrices are stored as (11, 12, 22)."""

    frame: Frame
    b: Array  # (J, 2) intercept and slope
    a: Array  # (J, 3) X'X
    det_a: Array  # (J,) its determinant
    rss: Array  # (J,) residual sum of squares
    n: Array  # (J,)

    @classmethod
    def of(cls, data: GroupedData, group: NDArray | None = None) -> Lines:
        """Summarise the groups, or the groups that `group` makes of the rows."""
        index = data.group if group is None else group
        size = int(index.max()) + 1
        n = np.bincount(index, minlength=size).astype(float)

        def total(values: Array) -> Array:
            return np.bincount(index, weights=values, minlength=size)

        frame = Frame.of(data.totals)
        level = frame.base[0] + frame.base[1] * frame.centre
        x = np.zeros_like(data.y) if data.x is None else data.x - frame.centre
        y = data.y - level - frame.base[1] * x
        mean_x, mean_y = total(x) / n, total(y) / n
        dx, dy = x - mean_x[index], y - mean_y[index]
        sxx, sxy = total(dx**2), total(dx * dy)
        b1, sxx = _slopes(sxx, sxy, total(x**2))
        return cls._from(frame, n, mean_x, mean_y, sxx, b1, total((dy - b1[index] * dx) ** 2))

    @classmethod
    def of_sums(cls, sums: Array, frame: Frame) -> Lines:
        """The same from sums (J, 6), as of :class:`hbutils.GroupSums`."""
        n, mean_x, mean_y, sxx, sxy, syy = sums.T
        slope = frame.base[1]
        x = mean_x - frame.centre
        y = mean_y - frame.base[0] - slope * mean_x
        syy, sxy = syy - 2 * slope * sxy + slope**2 * sxx, sxy - slope * sxx
        b1, sxx = _slopes(sxx, sxy, sxx + n * x**2)
        return cls._from(frame, n, x, y, sxx, b1, np.maximum(syy - b1 * sxy, 0.0))

    @classmethod
    def _from(
        cls, frame: Frame, n: Array, mean_x: Array, mean_y: Array, sxx: Array, slope: Array, rss: Array
    ) -> Lines:
        return cls(
            frame=frame,
            b=np.stack([mean_y - slope * mean_x, slope], axis=-1),
            a=np.stack([n, n * mean_x, sxx + n * mean_x**2], axis=-1),
            det_a=n * sxx,
            rss=rss,
            n=n,
        )

    def take(self, groups: NDArray | slice) -> Lines:
        """The lines of some groups."""
        parts = (self.b, self.a, self.det_a, self.rss, self.n)
        return Lines(self.frame, *(part[groups] for part in parts))


def _slopes(sxx: Array, sxy: Array, square: Array) -> tuple[Array, Array]:
    """Least-squares slopes, and sums of squares of x with those that are rounding alone put to zero.

    A group whose x never changes has no slope of its own; any line through its mean serves.
    """
    steady = sxx <= 1e-14 * np.maximum(square, 1e-300)
    return np.divide(sxy, sxx, out=np.zeros(sxx.size), where=~steady), np.where(steady, 0.0, sxx)


@dataclass(frozen=True)
class MeanPrior:
    """N(m, P^-1) on a line: P as (11, 12, 22), P m, and m'Pm - log|P|."""

    precision: Array
    linear: Array
    constant: float


@dataclass(frozen=True)
class Designs:
    """Sums over the groups that share one X'X: in balanced data, over all of them at once.

    A design has `terms` that D is linear in, and `features` that are divided by D and added up: the entries
    of A and its determinant, their products with the groups' lines b, and with b on both sides.
    """

    terms: Array  # (U, 5) A as (11, 12, 22), |A|, 1
    features: Array  # (U, 12) A (3), |A|, A b (2), |A| b (2), b'Ab, |A| bb' (3), summed over the groups
    size: Array  # (U,) groups in each
    rss: float
    n: float

    @classmethod
    def of(cls, lines: Lines) -> Designs:
        """Group the groups by their X'X."""
        terms = np.column_stack([lines.a, lines.det_a])
        scale = np.maximum(np.abs(terms).max(axis=0), 1e-300)
        _, first, design = np.unique(
            _codes(np.round(terms / scale, 13)), return_index=True, return_inverse=True
        )
        features = (_features(terms, lines.b)).T
        return cls(
            terms=np.column_stack([terms[first], np.ones(first.size)]),
            features=np.stack([np.bincount(design, weights=f) for f in features], axis=-1),
            size=np.bincount(design).astype(float),
            rss=float(lines.rss.sum()),
            n=float(lines.n.sum()),
        )


def _codes(rows: Array) -> NDArray[np.int64]:
    """A number for each row of a table, the same for equal rows. By hashing: a sort of rows takes seconds."""
    code = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:
        values, labels = pd.factorize(column + 0.0)  # no negative zero
        code, _ = pd.factorize(code * len(labels) + values)
    return code


def _features(terms: Array, b: Array) -> Array:
    """The features (J, 12) of groups with these terms (J, 4) and lines (J, 2)."""
    det = terms[:, 3:]
    ab = times(terms, b)
    bb = np.stack([b[:, 0] ** 2, b[:, 0] * b[:, 1], b[:, 1] ** 2], axis=-1)
    return np.column_stack([terms, ab, det * b, (b * ab).sum(axis=1), det * bb])


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
    def of(cls, sd: dict[str, Array], frame: Frame) -> Spread:
        sa, sb, sigma = sd["sigma_alpha"], sd["sigma_beta"], sd["sigma"]
        cov = np.stack([sa**2, sd["rho"] * sa * sb, sb**2], axis=-1)
        # |S| from the complement of rho, which is known to full precision also next to 1
        return cls(frame.inward_cov(cov), (sa * sb * sd["complement"]) ** 2, sigma)

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


@dataclass(frozen=True)
class Overview:
    """What is to be known of all groups before the SDs are looked for. Those of parts add up."""

    groups: int
    sloped: int  # groups whose x changes
    count: float  # observations
    rss: float
    square_x: float  # sum of squares of x from its mean
    level: float  # sum of the groups' distances from the pooled line

    @classmethod
    def of(cls, lines: Lines) -> Overview:
        """Look over some groups."""
        return cls(
            groups=lines.n.size,
            sloped=int((lines.det_a > 0).sum()),
            count=float(lines.n.sum()),
            rss=float(lines.rss.sum()),
            square_x=float(lines.a[:, 2].sum()),
            level=float(np.abs(lines.b[:, 0]).sum()),
        )

    def __add__(self, other: Overview) -> Overview:
        return Overview(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    @property
    def freedom(self) -> float:
        """Degrees of freedom left for the noise when every group has a line of its own."""
        return self.count - self.groups - self.sloped


@dataclass(frozen=True)
class Nodes:
    """The posterior of the SDs as K nodes, with the population line given each."""

    weights: Array  # (K,), adding up to one
    spread: Spread
    mean: Array  # (K, 2)
    cov: Array  # (K, 3)


class Groups(Protocol):
    """Where the groups are: in memory, or spread over a cluster."""

    frame: Frame
    overview: Overview
    designs: int  # how many have an X'X of their own, at most

    def sums(self, spread: Spread) -> Sums:
        """Sum over the groups, at K nodes."""

    def sample(self, size: int) -> Groups:
        """Some of the groups: about so many, chosen at random but always the same."""

    def lines(self, groups: NDArray) -> Lines:
        """The lines of some groups."""

    def averaged(self, nodes: Nodes) -> Array:
        """What :func:`averaged` says of all of them."""


class GroupsHere:
    """Groups in memory."""

    def __init__(self, lines: Lines) -> None:
        self.frame, self.overview = lines.frame, Overview.of(lines)
        self._lines, self._sums = lines, Designs.of(lines)
        self.designs = self._sums.size.size

    def sums(self, spread: Spread) -> Sums:
        return group_sums(self._sums, spread)

    def sample(self, size: int) -> GroupsHere:
        return GroupsHere(self.some(size))

    def some(self, size: int) -> Lines:
        """The lines of some groups, chosen at random but always the same."""
        chosen = np.random.default_rng(1).permutation(self._lines.n.size)[:size]
        return self._lines.take(np.sort(chosen))

    def lines(self, groups: NDArray) -> Lines:
        return self._lines.take(groups)

    def averaged(self, nodes: Nodes) -> Array:
        return averaged(self._lines, nodes)


@dataclass(frozen=True)
class Sums:
    """What the likelihood at K nodes needs of the groups. Those of parts add up."""

    count: float  # observations
    rss: float
    log_d: Array  # (K,) log D
    over_d: Array  # (K, 12) each of FEATURES over D

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.count + other.count,
            self.rss + other.rss,
            self.log_d + other.log_d,
            self.over_d + other.over_d,
        )


def group_sums(designs: Designs, spread: Spread) -> Sums:
    """Sum over the groups, at K nodes. D and the sums of features over D are matrix products."""
    k, u = spread.sigma.size, designs.size.size
    log_d, over_d = np.zeros(k), np.zeros((k, designs.features.shape[1]))
    wide = min(u, WIDE)
    tall = max(1, BLOCK // (8 * wide))  # what is at hand at a time should stay in the processor's own memory
    pieces = [(slice(i, i + tall), slice(j, j + wide)) for i in range(0, k, tall) for j in range(0, u, wide)]

    def one(piece: tuple[slice, slice]) -> tuple[slice, Array, Array]:
        nodes, part = piece
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # a thread has its own settings
            big_d = _node_terms(spread.take(nodes)) @ designs.terms[part].T
            log_part = _log_product(big_d, designs.size[part])
            return nodes, log_part, np.reciprocal(big_d, out=big_d) @ designs.features[part]

    for nodes, log_part, over_part in in_threads(one, pieces):
        log_d[nodes] += log_part
        over_d[nodes] += over_part
    return Sums(designs.n, designs.rss, log_d, over_d)


def _log_product(big_d: Array, size: Array) -> Array:
    """Sum of log D (K,) over designs of these sizes."""
    # Logarithms are dear: products of eight are taken first.
    eights = 8 * (big_d.shape[1] // 8)
    if eights and size.max() == 1:
        product = big_d[:, :eights].reshape(len(big_d), 8, -1).prod(axis=1)
        if product.max() < np.inf:
            return np.log(product).sum(axis=1) + np.log(big_d[:, eights:]).sum(axis=1)
    return np.log(big_d) @ size


def in_threads(work: Callable, pieces: Sequence) -> Iterable:
    """What `work` makes of each piece, in order, on all cores; NumPy lets go of Python's lock."""
    if len(pieces) < MANY:
        return map(work, pieces)
    allowed = getattr(os, "sched_getaffinity", None)  # not everywhere
    with one_thread(), ThreadPoolExecutor(len(allowed(0)) if allowed else None) as pool:
        return list(pool.map(work, pieces))


def one_thread() -> AbstractContextManager:
    """A time in which a matrix product starts no threads of its own.

    Small ones gain nothing from them, and where several are at work at once they lose twentyfold.
    """
    return _libraries().limit(limits=1)


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def _node_terms(spread: Spread) -> Array:
    """What D is linear in the designs' terms with: (K, 5)."""
    v = spread.sigma**2
    c11, c12, c22 = spread.cov.T
    return np.stack([c11 / v, 2 * c12 / v, c22 / v, spread.det / v**2, np.ones_like(v)], axis=-1)


def likelihood(sums: Sums, spread: Spread, prior: MeanPrior) -> tuple[Array, Array, Array]:
    """Log likelihood (K,), and mean and covariance of the population line, from the groups' sums."""
    v = spread.sigma**2
    adj = adjugate(spread.cov)
    a, det, ab, det_b, bab, det_bb = np.split(sums.over_d, [3, 4, 6, 8, 9], axis=1)
    # G = [A + |A| adj(S) / s^2] / (s^2 D), times 1, b, and b on both sides
    g = (a + adj * det / v[:, None]) / v[:, None]
    h = (ab + times(adj, det_b) / v[:, None]) / v[:, None]
    q = (bab[:, 0] + (adj * [1, 2, 1] * det_bb).sum(-1) / v + sums.rss) / v
    log_like, mean, cov = integrate_mean(g, h, q, prior)
    return log_like - sums.count * np.log(spread.sigma) - 0.5 * sums.log_d, mean, cov


def group_given(lines: Lines, spread: Spread, mean: Array, cov: Array) -> tuple[Array, Array]:
    """Mean (K, J, 2) and covariance (K, J, 3) of groups' lines at K nodes, whatever the population's mean."""
    a, det_a, b = lines.a, lines.det_a, lines.b
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


def averaged(lines: Lines, nodes: Nodes) -> Array:
    """Posterior of every group, averaged over K nodes.

    Returns
    -------
    (J, 6) array
        Mean intercept and slope, their covariance as (11, 12, 22), all in the lines' frame, and the trace of
        the weight matrix S G.

    Notes
    -----
    As :func:`group_given`, in matrix products: all numerators are linear in what is known of a group.
    """
    spread, v, below = nodes.spread, nodes.spread.sigma**2, nodes.spread.det / nodes.spread.sigma**4
    c11, c12, c22 = spread.cov.T / v
    m1, m2 = nodes.mean.T
    k1, k2 = times(adjugate(spread.cov), nodes.mean).T / v
    d = spread.det / v
    zero, one = np.zeros_like(v), np.ones_like(v)
    # Times D, linear in 1, A (3), |A|, A b (2), |A| b (2)
    numerators = [
        [one, c11, 2 * c12, c22, below, zero, zero, zero, zero],  # D itself
        [m1, zero, -k2, k1, zero, c11, c12, below, zero],  # the intercept
        [m2, k2, -k1, zero, zero, c12, c22, zero, below],  # the slope
        [v * c11, zero, zero, d, zero, zero, zero, zero, zero],  # its covariance given the population's mean
        [v * c12, zero, -d, zero, zero, zero, zero, zero, zero],
        [v * c22, d, zero, zero, zero, zero, zero, zero, zero],
        [one, zero, c12, c22, zero, zero, zero, zero, zero],  # the weight I - S G on the population's mean
        [zero, zero, -c11, -c12, zero, zero, zero, zero, zero],
        [zero, -c12, -c22, zero, zero, zero, zero, zero, zero],
        [one, c11, c12, zero, zero, zero, zero, zero, zero],
        [zero, c11, 2 * c12, c22, 2 * below, zero, zero, zero, zero],  # the trace of S G
    ]
    left = [np.stack(row, axis=1) for row in numerators]
    w, (p11, p12, p22) = nodes.weights, nodes.cov.T[:, :, None]

    def some(part: slice) -> Array:
        a, det, b = lines.a[part], lines.det_a[part, None], lines.b[part]
        right = np.concatenate([np.ones_like(det), a, det, times(a, b), det * b], axis=1).T
        big_d = left[0] @ right
        intercept, slope, v11, v12, v22, r11, r12, r21, r22, trace = (row @ right / big_d for row in left[1:])
        mean1, mean2 = w @ intercept, w @ slope
        intercept, slope = intercept - mean1, slope - mean2
        v11 += r11 * (r11 * p11 + 2 * r12 * p12) + r12**2 * p22 + intercept**2
        v12 += r11 * (r21 * p11 + r22 * p12) + r12 * (r21 * p12 + r22 * p22) + intercept * slope
        v22 += r21 * (r21 * p11 + 2 * r22 * p12) + r22**2 * p22 + slope**2
        return np.stack([mean1, mean2, w @ v11, w @ v12, w @ v22, w @ trace], axis=1)

    step = max(1, BLOCK // (4 * w.size))
    return np.concatenate(list(in_threads(some, [slice(i, i + step) for i in range(0, lines.n.size, step)])))

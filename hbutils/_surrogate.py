"""Many different groups: the likelihood of the SDs by interpolation, for :mod:`hbutils.exact`.

A likelihood to which a million groups contribute is dear, but it is a smooth function of the SDs, and all
that matters of it lies in a small box. There a tensor product of Chebyshev polynomials, fitted at some
hundred nodes, equals it to many digits. The box is found on random parts of the groups, each some thirty
times as large as the one before, so that it shrinks while what is outside is still cheap to look at.

References
----------
Trefethen (2013), Approximation Theory and Approximation Practice, chapters 3 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import chebyshev

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Function = Callable[[list[Array]], Array]

MOST = 20_000  # nodes of a fit, beyond which interpolating is given up
POINTS = {4: 17}  # on an axis of four, to find where in a box the density is; on one of fewer, 33
DEEP = 26.0  # what lies exp(-26) below the peak is not in the box
WIDE = 1.6  # a box this much wider than it need be is fitted again
TRIES = 20
CHUNK = 20_000  # points evaluated at a time


@dataclass(frozen=True)
class Polynomial:
    """A function of d coordinates with M values, on a box, as a tensor product of Chebyshev polynomials."""

    low: Array  # (d,)
    high: Array  # (d,)
    coefficients: Array  # (n_1, ..., n_d, M)

    @classmethod
    def fit(cls, function: Function, low: Array, high: Array, sizes: NDArray[np.int64]) -> Polynomial:
        """Interpolate a function, which takes d arrays (K,) and returns (K, M)."""
        roots = [np.cos(np.pi * (np.arange(n) + 0.5) / n) for n in sizes]
        axes = [(lo + hi) / 2 + (hi - lo) / 2 * x for lo, hi, x in zip(low, high, roots, strict=True)]
        t = [part.ravel() for part in np.meshgrid(*axes, indexing="ij")]
        values = function(t).reshape(*sizes, -1)
        for k, (x, n) in enumerate(zip(roots, sizes, strict=True)):
            inverse = 2 / n * chebyshev.chebvander(x, n - 1).T  # the nodes make the basis orthogonal
            inverse[0] /= 2
            values = np.moveaxis(np.tensordot(inverse, values, axes=(1, k)), 0, k)
        return cls(low, high, values)

    def __call__(self, t: Sequence[Array]) -> Array:
        """Values (K, M) at points in the box."""
        return np.concatenate(
            [self._values([part[i : i + CHUNK] for part in t]) for i in range(0, t[0].size, CHUNK)]
        )

    def _values(self, t: Sequence[Array]) -> Array:
        x = [(2 * at - lo - hi) / (hi - lo) for at, lo, hi in zip(t, self.low, self.high, strict=True)]
        basis = [chebyshev.chebvander(at, n - 1) for at, n in zip(x, self.coefficients.shape, strict=False)]
        values = np.tensordot(basis[0], self.coefficients, axes=1)
        for part in basis[1:]:
            values = np.einsum("kn,kn...->k...", part, values)
        return values

    def tails(self) -> Array:
        """Size (d,) of the last coefficients of the first value along each axis."""
        first = np.abs(self.coefficients[..., 0])
        return np.array([np.take(first, [-2, -1], axis=k).sum(axis=k).max() for k in range(first.ndim)])

    def inside(self, t: Sequence[Array]) -> NDArray[np.bool_]:
        """Which points (K,) lie in the box."""
        sides = zip(t, self.low, self.high, strict=True)
        return np.all([(at >= lo) & (at <= hi) for at, lo, hi in sides], axis=0)


@dataclass(frozen=True)
class Search:
    """Look for a polynomial in the place of a function whose first value, plus a prior, is a log density.

    Attributes
    ----------
    log_prior : callable
        Takes d arrays (K,), returns (K,).
    ends : (d, 2) array
        How far each coordinate may go.
    """

    log_prior: Function
    ends: Array
    tolerance: float
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def box(self, function: Function, low: Array, high: Array) -> tuple[Array, Array]:
        """Narrow a box, or move it, till it holds the density and little else."""
        sizes = np.full(low.size, 4)  # enough to see where to go
        for _ in range(TRIES):
            new_low, new_high = self.around(Polynomial.fit(function, low, high, sizes))
            inside = np.all((new_low >= low) & (new_high <= high))
            fits = np.all(high - low <= WIDE * (new_high - new_low))
            low, high = new_low, new_high
            if inside and fits:
                break
            if not inside:
                sizes = np.minimum(sizes + 1, 8)
        return low, high

    def around(self, fit: Polynomial) -> tuple[Array, Array]:
        """The part of a box that holds the density and a step more; half a box more where it ends outside."""
        points = POINTS.get(fit.low.size, 33)
        axes = [np.linspace(lo, hi, points) for lo, hi in zip(fit.low, fit.high, strict=True)]
        t = [part.ravel() for part in np.meshgrid(*axes, indexing="ij")]
        log_density = (fit(t)[:, 0] + self.log_prior(t)).reshape([points] * len(axes))
        low, high = fit.low.copy(), fit.high.copy()
        for k, axis in enumerate(axes):
            profile = log_density.max(axis=tuple(i for i in range(len(axes)) if i != k))
            step = axis[1] - axis[0]
            # Where points lie far apart the peak is seen from afar: what is far below it may be next to it.
            fall = np.sort(profile.max() - profile)[1:3].max()
            held = np.flatnonzero(profile > profile.max() - max(DEEP, 2 * fall))
            low[k] = axis[held[0]] - step * (1 if held[0] else points / 2)
            high[k] = axis[held[-1]] + step * (1 if held[-1] < points - 1 else points / 2)
        return np.maximum(low, self.ends[:, 0]), np.minimum(high, self.ends[:, 1])

    def polynomial(self, function: Function, low: Array, high: Array) -> tuple[Polynomial, float] | None:
        """A polynomial, and its error in log density where that counts; None if it takes too many nodes."""
        sizes = np.full(low.size, 6)
        while np.prod(sizes) <= MOST:
            fit = Polynomial.fit(function, low, high, sizes)
            t = self._draw(fit)
            error = float((fit(t)[:, 0] - function(t)[:, 0]).std())
            if error < self.tolerance:
                return fit, error
            tails = fit.tails()
            sizes = sizes + 2 * (tails >= 0.3 * tails.max())
        return None

    def _draw(self, fit: Polynomial, size: int = 16) -> list[Array]:
        """Points from about where the density is."""
        t = [self.rng.uniform(lo, hi, 20_000) for lo, hi in zip(fit.low, fit.high, strict=True)]
        log_density = fit(t)[:, 0] + self.log_prior(t)
        weights = np.exp((log_density - log_density.max()) / 2)  # somewhat wider than it is
        chosen = self.rng.choice(weights.size, size, p=weights / weights.sum())
        return [part[chosen] for part in t]

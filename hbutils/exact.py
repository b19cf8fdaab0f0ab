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

Sums over groups are matrix products, since D_i is linear in A_i and its determinant, and so is all that is
divided by it. Where many groups have designs of their own, the log likelihood is interpolated.

References
----------
Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 5.4 and 15.4.
Takahasi and Mori (1974), Publ. RIMS 9:721-741.
Trefethen and Weideman (2014), SIAM Review 56:385-458.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import pandas as pd
from scipy import special

from hbutils._gaussian import (
    GroupsHere,
    Lines,
    Nodes,
    Spread,
    group_given,
    integrate_mean,
    likelihood,
    one_thread,
    times,
)
from hbutils._quadrature import (
    EDGE,
    FAR,
    MANY_DESIGNS,
    QUANTILES,
    UNSETTLED,
    Axis,
    Bounded,
    Coordinate,
    Correlation,
    Grid,
    Marginal,
    Mixture,
    Positive,
    Target,
    find_grid,
    light_nodes,
    many_groups,
    marginal_axis,
    mesh,
    scale_coordinate,
    thinned,
)
from hbutils.data import GroupedData, HbutilsError, InputError
from hbutils.priors import GammaPrecision, Normal, Priors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from hbutils._gaussian import Frame, Groups, Overview
    from hbutils.sums import GroupSums, SpreadSums

    Array = NDArray[np.float64]

_MUCH = 30_000_000  # nodes times groups, beyond which averages over nodes are taken over fewer

__all__ = [
    "ConditionalPosterior",
    "ExactLines",
    "ExactPosterior",
    "GroupArrays",
    "Marginal",
    "conditional_posterior",
    "exact_pooled",
    "exact_posterior",
    "exact_unpooled",
]


def _table(rows: dict[str, Mixture | Axis]) -> pd.DataFrame:
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
    if not data.has_predictor:
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

    def at(self, x: float, *, observation: bool) -> Mixture:
        """What is predicted at x: an observation, or the line alone."""
        variance = self.cov[:, 0] + 2 * x * self.cov[:, 1] + x**2 * self.cov[:, 2]
        if observation:
            variance = variance + self.noise
        return Mixture(self.weights, self.mean[:, 0] + x * self.mean[:, 1], np.sqrt(variance), self.endless)


def _predictions(
    data: GroupedData,
    predictive: _Predictive,
    x: ArrayLike | None,
    *,
    observation: bool,
) -> pd.DataFrame:
    values = _at(data, x)
    rows: dict[str, Mixture | Axis] = {
        str(i): predictive.at(value, observation=observation) for i, value in enumerate(values)
    }
    index = pd.Index(values, name=data.x_name) if data.has_predictor else pd.RangeIndex(1)
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


class GroupArrays(NamedTuple):
    """Posterior `mean` and `sd` of every group's line, both (J, 2), or (J, 1) without a predictor."""

    mean: Array
    sd: Array


@dataclass(frozen=True, eq=False)
class ExactPosterior:
    """The partially pooled model's posterior, from :func:`exact_posterior`.

    Attributes
    ----------
    data, priors
        What it is the posterior of; group sums have the attributes of data that are needed here.
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
    _target: Target
    _grid: Grid

    @property
    def _frame(self) -> Frame:
        return self._target.groups.frame

    @cached_property
    def _heavy(self) -> NDArray[np.bool_]:
        """The nodes that matter, to the mean or to the variance of a new group."""
        weights = self._grid.weights
        variances = self._target.spread(mesh(self._grid.axes)).cov[:, :: 2 if self._target.predictor else 3]
        return ~light_nodes(weights * (1 + (variances / (weights @ variances)).sum(axis=1)))

    @cached_property
    def _weights(self) -> Array:
        weights = self._grid.weights[self._heavy]
        return weights / weights.sum()

    @cached_property
    def _spread(self) -> Spread:
        return self._target.spread([t[self._heavy] for t in mesh(self._grid.axes)])

    @cached_property
    def _mean(self) -> Array:
        return self._grid.mean[self._heavy]

    @cached_property
    def _cov(self) -> Array:
        return self._grid.cov[self._heavy]

    @cached_property
    def _axes(self) -> dict[str, Axis]:
        return {
            name: marginal_axis(self._target, self._grid, k)
            for k, name in enumerate(self._target.coordinates)
        }

    def __repr__(self) -> str:
        names = ", ".join(self.names)
        return f"ExactPosterior({names}; {self.data!r}; {self.nodes} nodes, error {self.error:.0e})"

    @property
    def names(self) -> list[str]:
        """Names of the population's quantities, in the order of :meth:`summary`."""
        means = ["mu_alpha"] if not self.data.has_predictor else ["mu_alpha", "mu_beta"]
        order = ["sigma_alpha", "sigma_beta", "rho", "sigma"]
        return means + [name for name in order if name in self._target.coordinates]

    def _quantity(self, name: str, group: str | None) -> Mixture | Axis:
        lines = ["alpha"] if not self.data.has_predictor else ["alpha", "beta"]
        if name in lines:
            if group is None:
                raise InputError(f"'{name}' differs from group to group: say whose, with group=...")
            part = lines.index(name)
            mean, cov = self._group(np.array([self.data.position(group)]))
            return Mixture(self._weights, mean[:, 0, part], np.sqrt(cov[:, 0, 2 * part]))
        _known([*self.names, *lines], name)
        if group is not None:
            raise InputError(f"'{name}' belongs to the population: ask for it without a group")
        if name in self._target.coordinates:
            return self._axes[name]
        part = ["mu_alpha", "mu_beta"].index(name)
        mean, cov = self._frame.outward(self._mean), self._frame.outward_cov(self._cov)
        endless = self._endless(self._frame.outward_cov(self._grid.cov)[:, 2 * part])
        return Mixture(self._weights, mean[:, part], np.sqrt(cov[:, 2 * part]), endless)

    def _endless(self, variances: Array) -> bool:
        """Whether the mean of these variances (K,), at all nodes, has not settled where an SD's axis ends."""
        shape = self._grid.log_density.shape
        mass = (self._grid.weights * variances).reshape(shape)
        for k, coordinate in enumerate(self._target.coordinates.values()):
            along = mass.sum(axis=tuple(i for i in range(len(shape)) if i != k))
            if isinstance(coordinate, Positive) and along[-1] > UNSETTLED * along.max():
                return True
        return False

    def _group(self, groups: NDArray) -> tuple[Array, Array]:
        """Mean (K, G, 2) and covariance (K, G, 3) of groups' lines in the data's own coordinates."""
        lines = self._target.groups.lines(groups)
        mean, cov = group_given(lines, self._spread, self._mean, self._cov)
        return self._frame.outward(mean), self._frame.outward_cov(cov)

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
        mean, sd = self.group_arrays()
        columns = ["alpha", "beta"][: mean.shape[1]]
        parts = {f"{name}_mean": mean[:, k] for k, name in enumerate(columns)}
        parts |= {f"{name}_sd": sd[:, k] for k, name in enumerate(columns)}
        index = pd.Index(self.data.labels, name=self.data.group_name)
        return pd.DataFrame(parts, index=index)[[f"{c}_{part}" for c in columns for part in ("mean", "sd")]]

    def group_arrays(self) -> GroupArrays:
        """As :meth:`groups`, as arrays: for a million groups that is a second instead of several.

        With thousands of groups, averages are taken over fewer nodes: good to about 1e-4 posterior SDs.

        Returns
        -------
        GroupArrays
            ``mean`` and ``sd``, both (J, 2): intercept and slope; (J, 1) without a predictor.
        """
        lines = 2 if self.data.has_predictor else 1
        mean = self._frame.outward(self._averaged[:, :2])
        cov = self._frame.outward_cov(self._averaged[:, 2:5])
        return GroupArrays(mean[:, :lines], np.sqrt(cov[:, ::2][:, :lines]))

    @cached_property
    def _averaged(self) -> Array:
        with one_thread():
            nodes = Nodes(self._weights, self._spread, self._mean, self._cov)
            if self.data.n_groups > MANY_DESIGNS and self.data.n_groups * self._weights.size > _MUCH:
                t = [part[self._heavy] for part in mesh(self._grid.axes)]
                kinds = self._target.coordinates.values()
                nodes = thinned([kind.value(at) for kind, at in zip(kinds, t, strict=True)], nodes)
            return self._target.groups.averaged(nodes)

    def weights(self) -> pd.Series:
        """Posterior mean of the weight that each group's own data get, between 0 and 1.

        The mean of the eigenvalues of the weight matrix (:func:`hbutils.shrinkage_matrix`); with an
        intercept only, that of :func:`hbutils.shrinkage_weight`.
        """
        weights = self._averaged[:, 5] / (2 if self.data.has_predictor else 1)
        return pd.Series(weights, index=pd.Index(self.data.labels, name=self.data.group_name))

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

    def cdf(self, name: str, value: float, group: str | None = None) -> float:
        """Posterior probability that a quantity is at most `value`.

        Parameters
        ----------
        name, group
            As in :meth:`marginal`.
        value : float
            In the quantity's own units.

        Raises
        ------
        InputError
            As :meth:`marginal`.
        """
        return self._quantity(name, group).cdf(value)

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
        mean = self._frame.outward(self._mean)
        cov = self._frame.outward_cov(self._cov + self._spread.cov)
        everywhere = self._grid.cov + self._target.spread(mesh(self._grid.axes)).cov
        return _Predictive(self._weights, mean, cov, noise, self._endless(everywhere[:, 0]))


def exact_posterior(
    data: GroupedData | GroupSums | SpreadSums,
    priors: Priors | None = None,
    *,
    correlated: bool = False,
    tolerance: float = 1e-4,
) -> ExactPosterior:
    """The partially pooled Gaussian model's posterior, by quadrature.

    The model is that of :func:`hbutils.partial_pooling` with the same `priors`.

    The work grows with the number of different designs, the sets of predictor values that groups have, and
    with the nodes of the grid. A balanced study takes a fraction of a second, and so do thousands of groups
    that each have values of their own; a million take seconds. With `correlated`, one dimension more,
    hundreds take seconds as well. Beyond some hundred designs the likelihood is interpolated where the
    density is, and :attr:`ExactPosterior.error` includes what that costs.

    Parameters
    ----------
    data : GroupedData, GroupSums or SpreadSums
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
    groups = _groups_of(data)
    if not isinstance(priors.sigma, GammaPrecision):  # whose density vanishes faster than anything grows
        _check_noise(data, groups.overview)
    slope = priors.mu_beta if data.has_predictor else Normal(0.0, 1.0)  # nothing depends on it then
    target = Target(
        coordinates=_coordinates(
            groups.overview, priors, predictor=data.has_predictor, correlated=correlated
        ),
        groups=groups,
        prior=groups.frame.prior(priors.mu_alpha, slope),
        predictor=data.has_predictor,
    )
    with one_thread():
        if groups.designs > MANY_DESIGNS:
            target = many_groups(target, tolerance)
        grid = find_grid(target, tolerance)
    return ExactPosterior(
        data=cast("GroupedData", data),
        priors=priors,
        nodes=grid.log_density.size,
        error=grid.error,
        _target=target,
        _grid=grid,
    )


def _groups_of(data: GroupedData | GroupSums | SpreadSums) -> Groups:
    return GroupsHere(Lines.of(data)) if isinstance(data, GroupedData) else data.groups()


def _check_not_constant(data: GroupedData | GroupSums | SpreadSums) -> None:
    if data.constant:
        raise InputError(
            f"column '{data.y_name}' is the same in every row: there is no noise to learn sigma from"
        )


def _check_noise(data: GroupedData | GroupSums | SpreadSums, overview: Overview) -> None:
    """Refuse outcomes without noise, under which the density of sigma goes to infinity at zero."""
    _check_not_constant(data)
    # Sums of squares know a line from one that is nearly so to half as many digits as the rows do.
    least = 1e-24 if isinstance(data, GroupedData) else 1e-14
    if overview.freedom > 0 and overview.rss <= least * data.totals.syy:
        raise InputError(
            f"column '{data.y_name}' lies exactly on a line in every '{data.group_name}': "
            "there is no noise to learn sigma from"
        )


def _coordinates(
    overview: Overview, priors: Priors, *, predictor: bool, correlated: bool
) -> dict[str, Coordinate]:
    """A coordinate for each SD and for rho, scaled by what the data can resolve."""
    noise = np.sqrt(overview.rss / overview.freedom) if overview.freedom > 0 else 0.0
    if not noise > 0:
        noise = overview.level / overview.groups or float(priors.sigma.ppf(0.5))
    size = overview.count / overview.groups
    coordinates: dict[str, Coordinate] = {
        "sigma_alpha": scale_coordinate(priors.sigma_alpha, noise / np.sqrt(size)),
        "sigma": scale_coordinate(priors.sigma, noise),
    }
    if predictor:
        spread = overview.square_x / overview.count
        coordinates["sigma_beta"] = scale_coordinate(priors.sigma_beta, noise / np.sqrt(size * spread))
    if correlated:
        coordinates["rho"] = Correlation(priors.rho)
    return coordinates


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
    lines = Lines.of(data)
    flat = Normal(0.0, np.inf)
    alpha, beta = (flat, flat) if priors is None else (priors.mu_alpha, priors.mu_beta)
    prior = lines.frame.prior(alpha, beta if data.x is not None else Normal(0.0, 1.0))
    sd = {
        "sigma_alpha": np.array([float(sigma_alpha)]),
        "sigma_beta": np.array([float(sigma_beta) if data.x is not None else 0.0]),
        "sigma": np.array([float(sigma)]),
        "rho": np.array([float(rho)]),
        "complement": np.array([np.sqrt(1 - rho**2)]),
    }
    spread = Spread.of(sd, lines.frame)
    groups = GroupsHere(lines)
    log_like, mean, cov = likelihood(groups.sums(spread), spread, prior)
    found = groups.averaged(Nodes(np.ones(1), spread, mean, cov))
    return ConditionalPosterior(
        data=data,
        log_likelihood=float(log_like[0]),
        _mean=lines.frame.outward(mean)[0],
        _cov=lines.frame.outward_cov(cov)[0],
        _group_mean=lines.frame.outward(found[:, :2]),
        _group_cov=lines.frame.outward_cov(found[:, 2:5]),
        _weights=found[:, 5] / (2 if data.has_predictor else 1),
    )


# --- pooled and unpooled -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ExactLines:
    """Posterior of one line (pooled) or of a line for each group (unpooled), each with its own noise."""

    data: GroupedData
    priors: Priors
    pooled: bool
    _lines: Lines
    _t: Array  # (J, K)
    _log_density: Array  # (J, K)
    _mean: Array  # (J, K, 2)
    _cov: Array  # (J, K, 3)
    _coordinates: list[Positive | Bounded]

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

    def _quantity(self, name: str, j: int) -> Mixture | Axis:
        _known(self.names, name)
        if name == "sigma":
            return Axis(self._coordinates[j], self._t[j], self._log_density[j])
        part = ["alpha", "beta"].index(name)
        weights = special.softmax(self._log_density[j])
        return Mixture(weights, self._mean[j, :, part], np.sqrt(self._cov[j, :, 2 * part]))

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
    lines = Lines.of(data, group=np.zeros_like(data.group))
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
    return _exact_lines(data, priors, Lines.of(data), priors.alpha, priors.beta, pooled=False)


def _check_noise_of_each(data: GroupedData, lines: Lines) -> None:
    """As :func:`_check_noise`, for lines that each have a noise SD of their own."""
    _check_not_constant(data)
    spread = np.abs(data.y - data.y.mean()).max()
    freedom = lines.n - 1 - (lines.det_a > 0)
    exact = (lines.rss <= (1e-12 * spread) ** 2) & (freedom > 0)
    if exact.any():
        where = (
            f" in '{data.group_name}' {', '.join(np.asarray(data.labels)[exact][:5])}"
            if lines.rss.size > 1
            else ""
        )
        raise InputError(
            f"column '{data.y_name}' lies exactly on a line{where}: there is no noise to learn sigma from"
        )


def _exact_lines(
    data: GroupedData, priors: Priors, lines: Lines, alpha: Normal, beta: Normal, *, pooled: bool
) -> ExactLines:
    if not isinstance(priors.sigma, GammaPrecision):
        _check_noise_of_each(data, lines)
    prior = lines.frame.prior(alpha, beta if data.x is not None else Normal(0.0, 1.0))
    freedom = lines.n - (1 if data.x is None else 2)
    noise = np.sqrt(lines.rss / np.maximum(freedom, 1))
    noise = np.where(noise > 0, noise, float(priors.sigma.ppf(0.5)))
    scale = scale_coordinate(priors.sigma, 1.0)
    bounded = isinstance(scale, Bounded)
    unit = np.ones_like(noise) if bounded else noise

    def evaluate(t: Array) -> tuple[Array, Array, Array]:
        sigma = unit[:, None] * scale.value(t)
        g = lines.a[:, None] / (sigma**2)[..., None]
        h = times(g, lines.b[:, None])
        q = (h * lines.b[:, None]).sum(-1) + lines.rss[:, None] / sigma**2
        log_like, mean, cov = integrate_mean(g, h, q, prior)
        log_prior = priors.sigma.logpdf(sigma) + scale.log_slope(t)
        return log_like - lines.n[:, None] * np.log(sigma) + log_prior, mean, cov

    # From next to nothing to what the prior all but rules out, or a million times the residuals' own scale
    far = np.log(float(priors.sigma.ppf(1 - 1e-9))) - np.log(noise) + 2
    low, high = np.full(noise.size, -3.0), np.clip(far, 14.0, FAR)
    if bounded:
        low, high = np.full(noise.size, -4.0), np.full(noise.size, 4.0)
    for zoom in range(8):  # in on where the density is
        t = np.linspace(low, high, 201, axis=1)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            log_density, mean, cov = evaluate(t)
        held = log_density > log_density.max(axis=1, keepdims=True) + 2 * EDGE
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
        _mean=lines.frame.outward(mean),
        _cov=lines.frame.outward_cov(cov),
        _coordinates=[scale_coordinate(priors.sigma, float(value)) for value in noise],
    )

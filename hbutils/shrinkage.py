"""How far an estimate moves from a group's own data towards the population, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbutils.data import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hbutils.data import GroupedData
    from hbutils.exact import ConditionalPosterior, ExactPosterior

__all__ = ["least_squares", "shrinkage_matrix", "shrinkage_table", "shrinkage_weight"]


def shrinkage_weight(n: ArrayLike, sigma: ArrayLike, sigma_alpha: ArrayLike) -> NDArray[np.float64]:
    """Weight that partial pooling gives to a group's own mean; the population's gets the rest.

    ``sigma_alpha**2 / (sigma_alpha**2 + sigma**2 / n)``, between 0 (pooled) and 1 (unpooled).

    Parameters
    ----------
    n : array
        Observations in the group.
    sigma, sigma_alpha : array
        Noise SD and between-group SD, in the outcome's units.

    Returns
    -------
    array
        The weights, of the arguments' common shape.

    Raises
    ------
    InputError
        If `n` or `sigma` is not positive or `sigma_alpha` is negative.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., equation 5.17.
    """
    n, sigma, sigma_alpha = (np.asarray(value, dtype=float) for value in (n, sigma, sigma_alpha))
    if not ((n > 0).all() and (sigma > 0).all() and (sigma_alpha >= 0).all()):
        raise InputError("a shrinkage weight needs n and sigma above zero and sigma_alpha of zero or more")
    # As a ratio of two precisions, so that an infinite between-group SD gives 1.
    with np.errstate(divide="ignore"):
        return 1.0 / (1.0 + sigma**2 / (n * sigma_alpha**2))


def shrinkage_matrix(
    x: ArrayLike, *, sigma: float, sigma_alpha: float, sigma_beta: float, rho: float = 0.0
) -> NDArray[np.float64]:
    """Weight, a matrix now, that partial pooling gives to a group's own least-squares line.

    ``S (S + sigma**2 (X'X)^-1)^-1``, with S the covariance of intercepts and slopes in the population:
    the group's line becomes ``W @ own + (1 - W) @ population``.

    Parameters
    ----------
    x : (n,) array
        Where the group was observed; at least two different values.
    sigma, sigma_alpha, sigma_beta : float
        Noise SD, and the between-group SDs of intercept and slope.
    rho : float
        Correlation of intercept and slope.

    Returns
    -------
    (2, 2) array
        Its eigenvalues lie between 0 and 1.

    Raises
    ------
    InputError
        If `x` has fewer than two different values or an SD is out of range.
    """
    x = np.asarray(x, dtype=float)
    if x.ndim != 1 or not np.isfinite(x).all() or np.unique(x).size < 2:
        raise InputError("a line needs at least two different values of x, all of them finite")
    finite = np.isfinite([sigma, sigma_alpha, sigma_beta]).all()
    if not (finite and sigma > 0 and min(sigma_alpha, sigma_beta) >= 0 and -1 <= rho <= 1):
        raise InputError(
            "sigma must be positive, between-group SDs 0 or more, all finite, and rho between -1 and 1"
        )
    design = np.column_stack([np.ones_like(x), x])
    noise = sigma**2 * np.linalg.inv(design.T @ design)
    off = rho * sigma_alpha * sigma_beta
    between = np.array([[sigma_alpha**2, off], [off, sigma_beta**2]])
    return np.linalg.solve((between + noise).T, between.T).T


def least_squares(data: GroupedData) -> pd.DataFrame:
    """Each group's own least-squares line: what it says when nobody else is asked.

    Returns
    -------
    DataFrame
        One row a group; columns ``alpha`` and, with a predictor, ``beta``. Both are NaN for a group
        whose predictor never changes.
    """
    index = pd.Index(data.labels, name=data.group_name)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(data.group, weights=values) / data.counts

    y = mean(data.y)
    if data.x is None:
        return pd.DataFrame({"alpha": y}, index=index)
    # From the overall mean, so that a predictor far from zero (seconds since 1970, say) costs no digits
    offset = data.x.mean()
    x = mean(data.x - offset)
    dx, dy = data.x - offset - x[data.group], data.y - y[data.group]
    spread = mean(dx**2)
    steady = spread <= 1e-14 * np.maximum(mean((data.x - offset) ** 2), 1e-300)
    beta = np.divide(mean(dx * dy), spread, out=np.full(data.n_groups, np.nan), where=~steady)
    return pd.DataFrame({"alpha": y - beta * (x + offset), "beta": beta}, index=index)


def shrinkage_table(data: GroupedData, posterior: ExactPosterior | ConditionalPosterior) -> pd.DataFrame:
    """Each group's line before and after partial pooling, and the weight that its own data got.

    Parameters
    ----------
    data : GroupedData
        The observations.
    posterior : ExactPosterior or ConditionalPosterior
        Of the partially pooled model, for the same data.

    Returns
    -------
    DataFrame
        One row a group; columns ``n``, ``alpha_unpooled``, ``alpha``, with a predictor
        ``beta_unpooled``, ``beta``, and ``weight``: the mean of the eigenvalues of the weight
        matrix, so that it does not depend on where the predictor's zero is.

    Raises
    ------
    InputError
        If the posterior is that of other data.
    """
    fitted = posterior.data
    same = fitted.labels == data.labels and (fitted.x is None) == (data.x is None)
    if not same or not fitted.to_frame().equals(data.to_frame()):
        raise InputError("the posterior belongs to other groups or other data: fit it to these")
    own, groups = least_squares(data), posterior.groups()
    table = pd.DataFrame({"n": data.counts}, index=own.index)
    for name in own.columns:
        table[f"{name}_unpooled"] = own[name]
        table[name] = groups[f"{name}_mean"]
    return table.assign(weight=posterior.weights())

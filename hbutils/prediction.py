"""How well the three models predict what they have not seen: cross-validation with exact posteriors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import special

from hbutils._quadrature import FAR, scale_coordinate
from hbutils.data import GroupedData, InputError
from hbutils.exact import ExactLines, ExactPosterior, exact_pooled, exact_posterior, exact_unpooled
from hbutils.priors import Priors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

__all__ = ["compare", "cross_validate"]

STRATEGIES = ["pooled", "unpooled", "partial"]


def cross_validate(
    data: GroupedData,
    priors: Priors | None = None,
    *,
    leave_out: Literal["observation", "group"] = "observation",
    folds: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> pd.DataFrame:
    """Log predictive density of every observation, from the exact posterior of the data without it.

    Parameters
    ----------
    data : GroupedData
        Of N observations in J groups.
    priors : Priors, optional
        :meth:`Priors.weakly_informative` if left out, set once from all the data. The observations left out
        have then had a say in the scale of the priors, though not in what is learnt with them; the other
        way would compare models whose priors differ from fold to fold.
    leave_out : {"observation", "group"}
        Leave out observations of groups that the models know by others, or whole groups. In the second case
        each observation is predicted on its own, as one of a group never seen. The unpooled model has
        learnt nothing about such a group, and what it predicts is its prior: a line from the priors `alpha`
        and `beta`, a noise SD from `sigma`.
    folds : int, optional
        Leave out one observation, or one group, at a time; or this many random parts, each in turn. Parts
        of observations take as equal a share as can be of every group.
    seed : int
        Of the random parts; without `folds` nothing is random.
    progress : bool
        Count the fits on stderr.

    Returns
    -------
    DataFrame
        One row an observation, in the order of the data; columns ``pooled``, ``unpooled`` and ``partial``,
        in natural logarithms, per unit of the outcome.

    Raises
    ------
    InputError
        If `leave_out` is neither word, the number of folds is out of range, a part leaves fewer than two
        groups, or too little of a group for the unpooled model, or if a group is to be predicted from
        a flat prior.

    See Also
    --------
    compare : adds the scores up.

    References
    ----------
    Vehtari, Gelman and Gabry (2017), Statistics and Computing 27:1413-1432, section 2, on the score; on what
    to leave out, Roberts et al. (2017), Ecography 40:913-929.
    """
    if leave_out not in ("observation", "group"):
        raise InputError(f"leave_out must be 'observation' or 'group', not {leave_out!r}")
    part = _parts(data, folds, seed, by_group=leave_out == "group")
    priors = priors or Priors.weakly_informative(data)
    n_parts = int(part.max()) + 1
    for k in range(n_parts):  # before the long wait, rather than in the middle of it
        _check(data, part != k, by_group=leave_out == "group")
    scores = pd.DataFrame(np.nan, index=range(data.n_observations), columns=STRATEGIES)
    for k in range(n_parts):
        if leave_out == "group":
            scores[part == k] = _as_new(data, part == k, priors)
        else:
            scores[part == k] = _as_known(data, part == k, priors)
        if progress:
            sys.stderr.write(f"\r{k + 1} of {n_parts}" + "\n" * (k + 1 == n_parts))
    return scores


def _parts(data: GroupedData, folds: int | None, seed: int, *, by_group: bool) -> NDArray[np.int64]:
    """The part (N,) that each observation belongs to."""
    size, what = (data.n_groups, "groups") if by_group else (data.n_observations, "observations")
    if folds is None:
        return data.group if by_group else np.arange(size)
    if not (isinstance(folds, int | np.integer) and 2 <= folds <= size):
        raise InputError(f"folds must be a whole number from 2 to {size}, the number of {what}, not {folds}")
    # In random order, group by group, one part after another: so every part gets its share of every group.
    order = np.random.default_rng(seed).permutation(size)
    if not by_group:
        order = order[np.argsort(data.group[order], kind="stable")]
    part = np.empty(size, dtype=np.int64)
    part[order] = np.arange(size) % folds
    return part[data.group] if by_group else part


def _check(data: GroupedData, kept: NDArray[np.bool_], *, by_group: bool) -> None:
    """Refuse a part without which some model has too little to learn from."""
    if by_group:
        groups = np.unique(data.group[kept])
        if groups.size < 2:
            raise InputError(
                f"leaving out groups of '{data.group_name}' must leave two or more for partial pooling: "
                f"there are {data.n_groups}; use more groups, or more folds"
            )
        return
    data.check_hierarchical()
    rows = np.flatnonzero(~kept)
    which = f"row {rows[0]}" if rows.size == 1 else f"{rows.size} rows, {rows[0]} among them"
    lost = np.setdiff1d(data.group, data.group[kept])
    if lost.size:
        raise InputError(
            f"without {which}: '{data.group_name}' {data.labels[lost[0]]} has no observation left; "
            "drop the group, or leave out less at a time"
        )
    try:
        data.keep(kept).check_unpooled()
    except InputError as error:
        raise InputError(f"without {which}: {error}; or leave out less at a time") from None


def _as_known(data: GroupedData, out: NDArray[np.bool_], priors: Priors) -> Array:
    """Scores (M, 3) of the observations left out, their groups being known by the others."""
    rest, touched = data.keep(~out), np.isin(data.group, data.group[out])
    fits: list[ExactLines | ExactPosterior] = [
        exact_pooled(rest, priors),
        exact_unpooled(data.keep(~out & touched), priors),  # the other groups have nothing to say
        exact_posterior(rest, priors),
    ]
    rows = np.flatnonzero(out)
    scores = np.empty((rows.size, len(fits)))
    for j in np.unique(data.group[rows]):
        mine = data.group[rows] == j
        x = None if data.x is None else data.x[rows[mine]]
        for k, fit in enumerate(fits):
            scores[mine, k] = fit.log_density(data.y[rows[mine]], x, data.labels[j])
    return scores


def _as_new(data: GroupedData, out: NDArray[np.bool_], priors: Priors) -> Array:
    """Scores (M, 3) of the observations left out, each as one of a new group."""
    rest, y = data.keep(~out), data.y[out]
    x = None if data.x is None else data.x[out]
    pooled = exact_pooled(rest, priors).log_density(y, x)
    partial = exact_posterior(rest, priors).log_density(y, x)
    return np.column_stack([pooled, _from_priors(y, x, priors), partial])


def _from_priors(y: Array, x: Array | None, priors: Priors) -> Array:
    """Log density (M,) of observations of a group about which nothing but the unpooled priors is known.

    A line drawn from the priors is normal, and so is an observation given its noise SD, which is integrated
    over by the trapezoidal rule in the coordinate of :mod:`hbutils.exact`.
    """
    alpha, beta = priors.alpha, priors.beta
    if alpha.flat or (x is not None and beta.flat):
        raise InputError("a new group cannot be predicted from a flat prior: give alpha and beta an SD")
    slope = np.zeros_like(y) if x is None else x
    mean = alpha.mean + beta.mean * slope
    variance = alpha.sd**2 + (beta.sd * slope) ** 2
    coordinate = scale_coordinate(priors.sigma, float(priors.sigma.ppf(0.5)))
    t = np.linspace(-6.0, FAR, 1321)
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        log_prior = coordinate.log_prior(t)
    t, log_prior = (part[np.isfinite(log_prior)] for part in (t, log_prior))
    total = variance[:, None] + coordinate.value(t) ** 2
    log_density = -0.5 * (np.log(2 * np.pi * total) + (y - mean)[:, None] ** 2 / total)
    return special.logsumexp(log_density + log_prior, axis=1) + np.log(t[1] - t[0])


def compare(scores: pd.DataFrame, group: ArrayLike | None = None) -> pd.DataFrame:
    """Add up log predictive densities, and say how sure it is that one model predicts best.

    Parameters
    ----------
    scores : DataFrame
        One row an observation, one column a model, such as :func:`cross_validate` returns.
    group : (N,) array, optional
        What the observations belong to. Those with the same value then count as one in the standard
        errors, since what surprises a model in one of them is likely to surprise it in the next.

    Returns
    -------
    DataFrame
        One row a model, in the order of the columns: ``elpd``, the sum; ``difference`` to the largest, zero
        or less; and ``standard_error`` of that difference, the root of the number of rows (or groups) times
        the variance of their differences. With few of them it is itself uncertain, and it says little if a
        few hold most of the difference.

    Raises
    ------
    InputError
        If a score is missing, or `group` has another length.

    References
    ----------
    Vehtari, Gelman and Gabry (2017), Statistics and Computing 27:1413-1432, section 5.2. Sivula et al.
    (2020), arXiv:2008.10296, on when the standard error can be trusted.
    """
    if scores.isna().any(axis=None) or not len(scores):
        raise InputError("scores must have a number in every row and column")
    if group is not None:
        values = np.asarray(group)
        if values.shape != (len(scores),):
            raise InputError(f"group must have {len(scores)} values, one a row of the scores")
        scores = scores.groupby(values).sum()
    elpd = scores.sum()
    behind = scores.sub(scores[elpd.idxmax()], axis=0)
    error = np.sqrt(len(scores) * behind.var(ddof=0))
    return pd.DataFrame({"elpd": elpd, "difference": behind.sum(), "standard_error": error})

"""Grouped data with known truth."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hbutils.data import GroupedData, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Simulated", "seed_from", "simulate"]


@dataclass(frozen=True, eq=False)
class Simulated:
    """A simulated study and the truth behind it.

    Attributes
    ----------
    data : GroupedData
        The observations.
    alpha, beta : (J,) arrays
        True intercept and slope of each group; `beta` is None without a predictor.
    population : dict
        The population parameters the groups were drawn from, and the noise SD `sigma`.
    """

    data: GroupedData
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64] | None
    population: dict[str, float]


def simulate(
    seed: int,
    *,
    n_groups: int,
    n_observations: int | Sequence[int],
    mu_alpha: float,
    sigma_alpha: float,
    sigma: float,
    mu_beta: float = 0.0,
    sigma_beta: float = 0.0,
    rho: float = 0.0,
    x: ArrayLike | None = None,
    labels: Sequence[str] | None = None,
    y_name: str = "y",
    x_name: str = "x",
    group_name: str = "group",
    units: dict[str, str] | None = None,
) -> Simulated:
    """Draw groups from a normal population and observations from each group.

    The same seed always gives the same study.

    Parameters
    ----------
    seed : int
        Seed of the random numbers.
    n_groups : int
        Number of groups, J.
    n_observations : int or J ints
        Observations in each group.
    mu_alpha, sigma_alpha : float
        Mean and SD of the groups' intercepts, in units of the outcome.
    sigma : float
        SD of an observation around its group's line.
    mu_beta, sigma_beta, rho : float
        Mean and SD of the groups' slopes, and the correlation of intercept and slope.
        Used only when `x` is given.
    x : array, optional
        Values of the predictor; group j takes the first `n_observations[j]` of them.
    labels : J names, optional
        Names of the groups; ``g1``, ``g2``, and so on if left out.
    y_name, x_name, group_name, units
        As in :class:`~hbutils.GroupedData`.

    Raises
    ------
    InputError
        If a number is out of its range or lengths do not fit.
    """
    counts = np.asarray(n_observations)
    if n_groups < 1 or counts.dtype.kind != "i" or counts.shape not in ((), (n_groups,)) or counts.min() < 1:
        raise InputError(
            "n_groups must be at least one, and n_observations a whole number, at least one, for all groups "
            f"or for each of the {n_groups}"
        )
    counts = np.broadcast_to(counts, (n_groups,))
    if min(sigma_alpha, sigma_beta, sigma) < 0 or abs(rho) > 1:
        raise InputError("standard deviations must be 0 or more, and rho between -1 and 1")
    if x is not None and (np.ndim(x) != 1 or np.size(x) < counts.max()):
        raise InputError(
            f"x has {np.size(x)} values, but a group has {counts.max()} observations: give as many"
        )
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((2, n_groups))
    alpha = mu_alpha + sigma_alpha * z[0]
    beta = mu_beta + sigma_beta * (rho * z[0] + np.sqrt(1 - rho**2) * z[1])
    group = np.repeat(np.arange(n_groups), counts)
    mean = alpha[group]
    values = None
    if x is not None:
        values = np.concatenate([np.asarray(x, dtype=float)[:n] for n in counts])
        mean = mean + beta[group] * values
    data = GroupedData(
        y=mean + sigma * rng.standard_normal(group.size),
        group=group,
        labels=tuple(labels) if labels is not None else tuple(f"g{j + 1}" for j in range(n_groups)),
        x=values,
        y_name=y_name,
        x_name=x_name,
        group_name=group_name,
        units=units or {},
    )
    population = {"mu_alpha": mu_alpha, "sigma_alpha": sigma_alpha, "sigma": sigma}
    if x is not None:
        population |= {"mu_beta": mu_beta, "sigma_beta": sigma_beta, "rho": rho}
    return Simulated(data, alpha, beta if x is not None else None, population)


def seed_from(identifier: str, purpose: str = "") -> int:
    """A seed from a name, so that each student has data of their own, and always the same.

    Parameters
    ----------
    identifier : str
        Who it is for. Upper and lower case, and white space around it, make no difference.
    purpose : str
        What it is for: another purpose gives another seed.

    Returns
    -------
    int
        Between 0 and 2**63.

    Raises
    ------
    InputError
        If there is no identifier.
    """
    if not isinstance(identifier, str) or not identifier.strip():
        raise InputError('an identifier is missing: type yours between the quotes, as in STUDENT = "ada"')
    name = f"{purpose}\n{identifier.strip().casefold()}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1

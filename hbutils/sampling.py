"""Sampling with NUTS, and refusing what has not converged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import arviz as az
import numpy as np
import nutpie
import pandas as pd

from hbutils.data import HbutilsError, InputError

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

    from hbutils.exact import ExactLines, ExactPosterior

__all__ = ["NotConverged", "agreement", "diagnostics", "sample"]

RHAT_MAX = 1.01  # Vehtari et al. (2021)
ESS_PER_CHAIN = 100  # the same
BFMI_MIN = 0.3  # Betancourt (2017)


class NotConverged(HbutilsError, RuntimeError):  # noqa: N818 - what it says is the point
    """Chains that cannot be trusted. ``.fit`` holds them, ``.table`` the diagnostics."""

    def __init__(self, message: str, fit: xr.DataTree, table: pd.DataFrame) -> None:
        super().__init__(message)
        self.fit = fit
        self.table = table


_ADVICE = {
    "divergences": "try the other parametrisation (centred=True or False), or a higher target_accept",
    "largest R-hat": "try more tuning steps, or look for a prior that is too vague",
    "smallest bulk ESS": "draw more, or try the other parametrisation",
    "smallest tail ESS": "draw more, or try the other parametrisation",
    "smallest E-BFMI": "try the other parametrisation, or a tighter prior on the between-group SDs",
}


def sample(
    model: pm.Model,
    *,
    seed: int,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    target_accept: float = 0.9,
    check: bool = True,
    progress: bool = False,
) -> xr.DataTree:
    """Draw from a model's posterior with NUTS, through nutpie.

    Parameters
    ----------
    model : pymc.Model
        What to sample.
    seed : int
        Seed. Draws repeat with the same compiled code; another machine's may differ.
    draws, tune, chains : int
        Draws kept and tuning steps, for each of `chains` chains.
    target_accept : float
        Acceptance rate aimed at; higher means shorter steps.
    check : bool
        Raise unless the chains pass :func:`diagnostics`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataTree
        Groups ``posterior`` and ``sample_stats``; dimensions chain, draw and the model's own.

    Raises
    ------
    NotConverged
        Saying what failed, and what to try.
    """
    compiled = _compiled(model)
    fit = nutpie.sample(
        compiled,
        draws=draws,
        tune=tune,
        chains=chains,
        seed=seed,
        target_accept=target_accept,
        save_warmup=False,
        progress_bar=progress,
    )
    if check:
        table = diagnostics(fit)
        failed = table[~table["passed"]]
        if len(failed):
            raise NotConverged(_complaint(failed), fit, table)
    return fit


# What was compiled stays as long as its model: compiling takes ten times as long as drawing.
_KEPT: WeakKeyDictionary[pm.Model, tuple[tuple, Any]] = WeakKeyDictionary()


def _compiled(model: pm.Model) -> Any:  # noqa: ANN401 - nutpie has no types
    """The model compiled, now or when it was last sampled, unless it has changed since."""
    state = (
        *(variable.name for variable in model.unobserved_value_vars),
        *(potential.name for potential in model.potentials),
        *(str(value) for value in model.rvs_to_initial_values.values()),
        *(variable.get_value(borrow=True).tobytes() for variable in model.data_vars),
    )
    known, compiled = _KEPT.get(model, (None, None))
    if known != state:
        compiled = nutpie.compile_pymc_model(model)
        _KEPT[model] = state, compiled
    return compiled


def _complaint(failed: pd.DataFrame) -> str:
    reasons = []
    for check, row in failed.to_dict("index").items():
        name = str(check)
        place = f" in {row['where']}" if row["where"] else ""
        reasons.append(f"{name} {row['worst']:.4g}{place}, limit {row['limit']:g}: {_ADVICE[name]}")
    return "the chains have not converged (" + "; ".join(reasons) + "); check=False returns them all the same"


def _constants(posterior: xr.Dataset) -> xr.Dataset:
    """Tell which entries are no unknowns, such as the diagonal of a correlation matrix.

    They have one and the same value in every draw of every chain, while others of their array move. An
    array that stands still as a whole is stuck.
    """
    same = (posterior == posterior.isel(chain=0, draw=0, drop=True)).all(("chain", "draw"))
    return same & ~same.all()


def _extreme(values: xr.Dataset, constants: xr.Dataset, *, largest: bool) -> tuple[float, str]:
    """The worst value over all unknowns and where it stands; a NaN is the worst of all."""
    worst, where, value = -np.inf, "", float("nan")
    for name, array in values.data_vars.items():
        flat = array.to_numpy().ravel()
        score = np.where(np.isnan(flat), np.inf, flat if largest else -flat)
        score[constants[name].to_numpy().ravel()] = -np.inf
        i = int(score.argmax())
        if score[i] > worst:
            position = np.unravel_index(i, array.shape)
            labels = [str(array[d].to_numpy()[p]) for d, p in zip(array.dims, position, strict=True)]
            worst, where = score[i], f"{name!s}[{', '.join(labels)}]" if labels else str(name)
            value = float(flat[i])
    return value, where


def diagnostics(fit: xr.DataTree) -> pd.DataFrame:
    """Whether chains can be trusted: one row a check, with the worst value and where it was found.

    Parameters
    ----------
    fit : DataTree
        What :func:`sample` or :func:`pymc.sample` returned.

    Returns
    -------
    DataFrame
        Rows ``divergences``, ``largest R-hat``, ``smallest bulk ESS``, ``smallest tail ESS`` and
        ``smallest E-BFMI``; columns ``worst``, ``where``, ``limit``, ``passed``.

    References
    ----------
    Vehtari et al. (2021), Bayesian Analysis 16:667-718. Betancourt (2016), arXiv:1604.00695, defines
    E-BFMI; the limit is that of Betancourt (2017), arXiv:1701.02434, section 6.1.
    """
    posterior = fit["posterior"].to_dataset()
    ess_min = ESS_PER_CHAIN * posterior.sizes["chain"]
    stats = fit["sample_stats"]
    bfmi = np.asarray(az.bfmi(fit)["energy"])
    constants = _constants(posterior)
    with np.errstate(divide="ignore", invalid="ignore"):  # a quantity that never moves: NaN, and so failed
        rhat = _extreme(az.rhat(posterior), constants, largest=True)
        bulk = _extreme(az.ess(posterior, method="bulk"), constants, largest=False)
        tail = _extreme(az.ess(posterior, method="tail"), constants, largest=False)
    rows = {
        "divergences": (float(stats["diverging"].sum()), "", 0.0, "at most"),
        "largest R-hat": (*rhat, RHAT_MAX, "at most"),
        "smallest bulk ESS": (*bulk, float(ess_min), "at least"),
        "smallest tail ESS": (*tail, float(ess_min), "at least"),
        "smallest E-BFMI": (float(bfmi.min()), f"chain {int(bfmi.argmin())}", BFMI_MIN, "at least"),
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["worst", "where", "limit", "side"])
    at_most = table["side"] == "at most"
    # Written so that a NaN passes neither
    table["passed"] = (at_most & (table["worst"] <= table["limit"])) | (
        ~at_most & (table["worst"] >= table["limit"])
    )
    return table.drop(columns="side")


def agreement(fit: xr.DataTree, exact: ExactPosterior | ExactLines) -> pd.DataFrame:
    """Sampled means and SDs beside the exact ones, and their distance in Monte Carlo standard errors.

    Parameters
    ----------
    fit : DataTree
        Draws, as :func:`sample` returns them.
    exact : ExactPosterior or ExactLines
        The exact posterior of the same model.

    Returns
    -------
    DataFrame
        One row a quantity, such as ``mu_alpha`` or ``alpha[308]``; columns ``sampled_mean``,
        ``exact_mean``, ``mean_distance``, ``sampled_sd``, ``exact_sd``, ``sd_distance``. A distance
        beyond 4 in either direction calls for an explanation.

    Raises
    ------
    InputError
        If the draws lack a quantity that the exact posterior has.
    """
    reference = exact.summary()[["mean", "sd"]]
    groups = exact.groups()
    for name in ("alpha", "beta"):
        if f"{name}_mean" in groups and name not in reference.index:
            rows = groups[[f"{name}_mean", f"{name}_sd"]].set_axis(["mean", "sd"], axis=1)
            rows.index = [f"{name}[{label}]" for label in groups.index]
            reference = pd.concat([reference, rows[~rows.index.isin(reference.index)]])
    posterior = fit["posterior"].to_dataset()
    missing = reference.index.difference(_rows(posterior.isel(chain=0, draw=0)).index)
    if len(missing):
        raise InputError(f"the draws have no '{missing[0]}': fit and exact posterior are of different models")
    table = pd.DataFrame(index=reference.index)
    sampled = {"mean": posterior.mean(("chain", "draw")), "sd": posterior.std(("chain", "draw"))}
    for part, values in sampled.items():
        table[f"sampled_{part}"] = _rows(values)
        table[f"exact_{part}"] = reference[part]
        error = _rows(az.mcse(posterior, method=part))
        table[f"{part}_distance"] = (table[f"sampled_{part}"] - table[f"exact_{part}"]) / error
    return table


def _rows(values: xr.Dataset) -> pd.Series:
    """A data set's numbers, one a row, under names such as ``mu_alpha`` and ``alpha[308]``."""
    rows = {}
    for name, array in values.data_vars.items():
        for position, value in np.ndenumerate(array.to_numpy()):
            labels = [str(array[d].to_numpy()[p]) for d, p in zip(array.dims, position, strict=True)]
            rows[f"{name!s}[{', '.join(labels)}]" if labels else str(name)] = float(value)
    return pd.Series(rows)

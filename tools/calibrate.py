"""Check by simulation that a posterior, over many studies, is as sure as it should be.

    python tools/calibrate.py          all replications; writes data/calibration.csv, calibration_nuts.csv

A replication draws the parameters of chapter 5's model from their priors and a study from the
parameters: 18 subjects on days 0 to 9, as in the sleep study. It then fits the study and asks how much
posterior probability lies below each true value. If the computation is right these probabilities are
uniform between 0 and 1, whatever the priors (Cook, Gelman and Rubin 2006; Talts et al. 2018).

Three routes fit the same studies. `exact` is hbutils.exact_posterior; `nuts` ranks the true value among
99 nearly independent draws; `broken` is `exact` with a mistake, the 50 of N(250, 50) read as a variance.
A replication depends on nothing but its number, so any of them can be computed again alone.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import nutpie
import pymc as pm
import xarray as xr

import hbutils as hb

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from nutpie.compile_pymc import CompiledPyMCModel
    from pytensor.tensor import TensorVariable

DATA = Path(__file__).resolve().parents[1] / "data"
SEED = 11
REPLICATIONS = {"exact": 1000, "broken": 500, "nuts": 500}
RANKED = 99  # draws that a true value is ranked among: 100 possible ranks, all equally likely
CHAINS, TUNE, DRAWS = 2, 500, 1000
LONGER = (1, 4, 16)  # chains that fail the book's limits are run again, this many times as long
CENTRED_FROM = 0.8  # weight of a subject's own line from which its effects are sampled centred

PRIORS = hb.Priors.for_sleepstudy()
MISREAD = replace(PRIORS, mu_alpha=hb.Normal(PRIORS.mu_alpha.mean, PRIORS.mu_alpha.sd**0.5))
POPULATION = ("mu_alpha", "sigma_alpha", "mu_beta", "sigma_beta", "sigma")
PARAMETERS = (*POPULATION, "alpha_1", "beta_1")
PROBABILITIES = ["route", "replication", "parameter", "p"]
DIAGNOSTICS = ["replication", "draws", "divergences", "rhat", "ess_bulk", "ess_tail", "e_bfmi", "passed"]
DAYS = np.arange(10.0)
SUBJECTS = hb.load_sleepstudy().labels


@dataclass(frozen=True)
class Study:
    """A simulated study, its `truth` under the names of `PARAMETERS`, and a seed to fit it with."""

    data: hb.GroupedData
    truth: dict[str, float]
    seed: int


@dataclass(frozen=True)
class Sampled:
    """What NUTS makes of a study: draws below each true value, and how the chains came out."""

    ranks: dict[str, int]
    draws: int  # in all chains together
    worst: dict[str, float]  # diagnostics, of the quantities that are ranked
    passed: bool


def study(replication: int) -> Study:
    """Draw parameters from their priors, and a study from the parameters."""
    seeds = np.random.SeedSequence([SEED, replication]).generate_state(3)
    rng = np.random.default_rng(seeds[0])
    truth: dict[str, float] = {}
    for name in POPULATION:
        prior = getattr(PRIORS, name)
        normal = isinstance(prior, hb.Normal)
        truth[name] = rng.normal(prior.mean, prior.sd) if normal else float(prior.ppf(rng.random()))
    simulated = hb.simulate(
        int(seeds[1]),
        n_groups=len(SUBJECTS),
        n_observations=DAYS.size,
        x=DAYS,
        labels=SUBJECTS,
        y_name="reaction_ms",
        x_name="day",
        group_name="subject",
        **truth,
    )
    effects = {"alpha_1": simulated.alpha, "beta_1": simulated.beta}
    first = {name: float(effect[0]) for name, effect in effects.items() if effect is not None}
    return Study(simulated.data, truth | first, int(seeds[2]))


# --- the exact posterior ---------------------------------------------------------------------


def probabilities(of: Study, priors: hb.Priors) -> dict[str, float]:
    """Posterior probability below each true value."""
    exact = hb.exact_posterior(of.data, priors)
    return {
        name: exact.cdf(name.removesuffix("_1"), value, None if name in POPULATION else SUBJECTS[0])
        for name, value in of.truth.items()
    }


# --- NUTS ------------------------------------------------------------------------------------


def model(data: hb.GroupedData) -> pm.Model:
    """The model of ``hb.partial_pooling(data, PRIORS)``, with an outcome that can be exchanged.

    So can the parametrisation, which depends on the study: `centred` is 1 where the intercepts and
    where the slopes are sampled themselves, 0 where their standardised distance from the population is.
    """
    with pm.Model(coords={"subject": list(data.labels), "observation": range(data.n_observations)}) as built:
        centred = pm.Data("centred", np.ones(2))

        def effect(name: str, switch: TensorVariable) -> TensorVariable:
            mean, spread = getattr(PRIORS, f"mu_{name}"), getattr(PRIORS, f"sigma_{name}")
            mu = pm.Normal(f"mu_{name}", mean.mean, mean.sd)
            sigma = pm.HalfNormal(f"sigma_{name}", spread.scale)
            inner = pm.Normal(f"inner_{name}", switch * mu, sigma**switch, dims="subject")
            return pm.Deterministic(name, (1 - switch) * mu + sigma ** (1 - switch) * inner, dims="subject")

        alpha, beta = effect("alpha", centred[0]), effect("beta", centred[1])
        sigma = pm.HalfNormal("sigma", PRIORS.sigma.scale)
        outcome = pm.Data("outcome", data.y)
        line = alpha[data.group] + beta[data.group] * data.x
        pm.Normal("reaction_ms", line, sigma, observed=outcome, dims="observation")
    return built


def own_weights(data: hb.GroupedData) -> NDArray[np.float64]:
    """How much the subjects' own least-squares intercepts and slopes can be relied on, from 0 to 1."""
    design = np.column_stack([np.ones_like(DAYS), DAYS])
    outcome = data.y.reshape(len(SUBJECTS), DAYS.size)
    own = outcome @ np.linalg.pinv(design).T
    freedom = outcome.size - own.size
    noise = ((outcome - own @ design.T) ** 2).sum() / freedom
    error = noise * np.diag(np.linalg.inv(design.T @ design))
    return np.clip(1 - error / own.var(axis=0, ddof=1), 0, 1)


@cache
def compiled() -> CompiledPyMCModel:
    """The model, compiled once in each process."""
    return nutpie.compile_pymc_model(model(study(0).data))


def sample(of: Study) -> Sampled:
    """Rank the true values among draws, from chains run longer till they pass the limits of the book."""
    centred = (own_weights(of.data) > CENTRED_FROM).astype(float)
    ready = compiled().with_data(outcome=of.data.y, centred=centred)
    for times in LONGER:
        fit = nutpie.sample(
            ready,
            draws=DRAWS * times,
            tune=TUNE * times,
            chains=CHAINS,
            cores=1,
            seed=of.seed,
            target_accept=0.9,
            save_warmup=False,
            progress_bar=False,
        )
        posterior = fit["posterior"].to_dataset()
        ranked = posterior[list(POPULATION)].assign(
            alpha_1=posterior["alpha"].isel(subject=0, drop=True),
            beta_1=posterior["beta"].isel(subject=0, drop=True),
        )
        table = hb.diagnostics(
            xr.DataTree.from_dict({"posterior": ranked, "sample_stats": fit["sample_stats"].to_dataset()})
        )
        passed = bool(table["passed"].all())
        if passed:
            break
    ranks = {}
    for name, value in of.truth.items():
        draws = ranked[name].to_numpy().ravel()
        kept = draws[np.linspace(0, draws.size - 1, RANKED).round().astype(int)]
        ranks[name] = int((kept < value).sum())
    worst = {str(check): float(value) for check, value in table["worst"].items()}
    return Sampled(ranks, draws.size, worst, passed)


# --- all of it -------------------------------------------------------------------------------


def replicate(route: str, replication: int) -> tuple[list[list[str]], list[str] | None]:
    """One replication's rows of calibration.csv, and its row of calibration_nuts.csv if it was sampled."""
    of = study(replication)
    row = None
    if route == "nuts":
        fit = sample(of)
        p = {name: f"{(rank + 0.5) / (RANKED + 1):.3f}" for name, rank in fit.ranks.items()}
        worst = [f"{value:.3f}" for value in list(fit.worst.values())[1:]]
        divergences = f"{fit.worst['divergences']:.0f}"
        row = [str(replication), str(fit.draws), divergences, *worst, "yes" if fit.passed else "no"]
    else:
        below = probabilities(of, MISREAD if route == "broken" else PRIORS)
        p = {name: f"{value:.4f}" for name, value in below.items()}
    return [[route, str(replication), name, p[name]] for name in PARAMETERS], row


def write(path: Path, head: list[str], rows: list[list[str]]) -> None:
    """Write a table in one step."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])
    temporary.replace(path)


def run(replications: dict[str, int], mapped: Callable) -> tuple[list[list[str]], list[list[str]]]:
    """Rows of both files, for so many replications of each route; `mapped` works as `map` does."""
    rows: list[list[str]] = []
    chains: list[list[str]] = []
    for route, count in replications.items():
        start = time.perf_counter()
        for finished, (some, chain) in enumerate(mapped(replicate, [route] * count, range(count)), start=1):
            rows += some
            chains += [chain] if chain else []
            if finished % 100 == 0 or finished == count:
                print(f"  {route:6} {finished:4} of {count}, {time.perf_counter() - start:.0f} s", flush=True)
    return rows, chains


def main(argv: list[str] | None = None) -> int:
    """Compute every replication and write both files; return the exit code."""
    parser = argparse.ArgumentParser(description="Recompute data/calibration.csv and calibration_nuts.csv.")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    options = parser.parse_args(argv)
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    start = time.perf_counter()
    # Spawned, not forked: the compiled model's threads do not survive a fork.
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        rows, chains = run(REPLICATIONS, partial(pool.map, chunksize=5))
    write(DATA / "calibration.csv", PROBABILITIES, rows)
    write(DATA / "calibration_nuts.csv", DIAGNOSTICS, chains)
    failed = sum(chain[-1] == "no" for chain in chains)
    print(f"{len(rows)} probabilities in {time.perf_counter() - start:.0f} s; {failed} fits did not converge")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

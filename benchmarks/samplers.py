"""Measure how soon the sleep study's posterior is there: hbutils, the samplers of Python, those of R.

    python benchmarks/samplers.py             writes benchmarks/samplers.md and .csv
    python benchmarks/samplers.py --quick     one repeat of each, for trying; writes nothing

Bambi and NumPyro are no part of the book's environment: the first run makes another one for them, in the
user's cache folder. A tool that is not there, or cannot be had, is left out and named in the report.
"""

# Whatever is imported at the top would count among the seconds of tools that do without it.
# ruff: noqa: PLC0415

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import xarray as xr

    from hbutils import ExactPosterior

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "data"
SEED, CORES, CHAINS, TUNE, DRAWS = 20260, 2, 4, 1000, 1000
POPULATION = ["mu_alpha", "mu_beta", "sigma_alpha", "sigma_beta", "sigma"]
BASE = "hbutils"


@dataclass(frozen=True)
class Tool:
    """A tool, how it is started, and what can be said of its result."""

    label: str
    home: str  # "book" or "own", the environment of Python; or "R"
    packages: tuple[str, ...] = ()  # of Python; R tells its own
    samples: bool = True
    same_priors: bool = True


TOOLS = {
    BASE: Tool("hbutils' default, `hb.sample`", "book", ("nutpie", "pymc", "numba")),
    "pymc": Tool("PyMC's own NUTS", "book", ("pymc", "numba")),
    "bambi": Tool("Bambi", "own", ("bambi", "pymc")),
    "numpyro": Tool("NumPyro", "own", ("numpyro", "jax")),
    "brms": Tool("brms", "R"),
    "rstanarm": Tool("rstanarm", "R", same_priors=False),
    "lme4": Tool("lme4, a point estimate", "R", samples=False),
    "exact": Tool("`hb.exact_posterior`, no draws", "book", ("scipy", "numpy"), samples=False),
}


def progress(text: str) -> None:
    """Say what is going on, where it does not get into the report."""
    print(text, file=sys.stderr, flush=True)


# What runs in a process of its own. Each gives the work to be timed, from a seed to a printed summary, and
# (sampling) how to get at the draws afterwards: arrays (chain, draw) and (chain, draw, subject).


def run_hbutils(_folder: Path) -> tuple[Callable, Callable]:
    """What the chapters do, with a model that stays."""
    import arviz as az

    import hbutils as hb

    model = hb.partial_pooling(hb.load_sleepstudy(), hb.Priors.for_sleepstudy())

    def work(seed: int) -> xr.DataTree:
        fit = hb.sample(model, seed=seed)
        print(az.summary(fit).to_string())
        return fit

    return work, lambda fit: {name: fit["posterior"][name] for name in [*POPULATION, "alpha", "beta"]}


def run_pymc(_folder: Path) -> tuple[Callable, Callable]:
    """The same model under PyMC's sampler; frozen, so that it stays compiled."""
    import arviz as az
    import pymc as pm
    from pymc.model.transform import freeze_model

    import hbutils as hb

    model = freeze_model(hb.partial_pooling(hb.load_sleepstudy(), hb.Priors.for_sleepstudy()))

    def work(seed: int) -> xr.DataTree:
        fit = pm.sample(
            model=model,
            # Otherwise PyMC takes nutpie, which the book brings along.
            nuts_sampler="pymc",
            draws=DRAWS,
            tune=TUNE,
            chains=CHAINS,
            cores=CORES,
            random_seed=seed,
            progressbar=False,
        )
        print(az.summary(fit).to_string())
        return fit

    return work, lambda fit: {name: fit["posterior"][name] for name in [*POPULATION, "alpha", "beta"]}


def run_bambi(folder: Path) -> tuple[Callable, Callable]:
    """Bambi's formula for independent intercepts and slopes, not centred as is its default."""
    import arviz as az
    import bambi as bmb

    sleep = pd.read_csv(folder / "data.csv", dtype={"subject": str})
    priors = pd.read_csv(folder / "priors.csv", index_col="name")

    def normal(name: str) -> bmb.Prior:
        return bmb.Prior("Normal", mu=priors.centre[name], sigma=priors.spread[name])

    def half(name: str) -> bmb.Prior:
        return bmb.Prior("HalfNormal", sigma=priors.spread[name])

    model = bmb.Model(
        "reaction_ms ~ 1 + day + (1 + day | subject)",
        sleep,
        priors={
            "Intercept": normal("mu_alpha"),
            "day": normal("mu_beta"),
            "1|subject": bmb.Prior("Normal", mu=0, sigma=half("sigma_alpha")),
            "day|subject": bmb.Prior("Normal", mu=0, sigma=half("sigma_beta")),
            "sigma": half("sigma"),
        },
        center_predictors=False,  # the prior of the intercept is of day 0, not of the mean day
    )

    def work(seed: int) -> xr.DataTree:
        fit = model.fit(
            draws=DRAWS, tune=TUNE, chains=CHAINS, cores=CORES, random_seed=seed, progressbar=False
        )
        print(az.summary(fit).to_string())
        return fit

    def draws(fit: xr.DataTree) -> dict[str, Any]:
        names = ["Intercept", "day", "1|subject_sigma", "day|subject_sigma", "sigma"]
        values = {name: fit["posterior"][theirs] for name, theirs in zip(POPULATION, names, strict=True)}
        for name, centre, theirs in (("alpha", "mu_alpha", "1|subject"), ("beta", "mu_beta", "day|subject")):
            values[name] = values[centre].to_numpy()[:, :, None] + fit["posterior"][theirs].to_numpy()
        return values

    return work, draws


def run_numpyro(folder: Path) -> tuple[Callable, Callable]:
    """The model of hbutils, centred, which for NumPyro is the quicker of the two as well."""
    import numpyro

    # A device for each chain; they share the two cores. The chains are through sooner than vectorised; with
    # a device for each core, NumPyro draws them one after the other.
    numpyro.set_host_device_count(CHAINS)
    import arviz as az
    import jax
    from numpyro import distributions as dist, infer

    sleep = pd.read_csv(folder / "data.csv")
    priors = pd.read_csv(folder / "priors.csv", index_col="name")
    subject, labels = pd.factorize(sleep["subject"])
    day, outcome = sleep["day"].to_numpy(float), sleep["reaction_ms"].to_numpy()

    def normal(name: str) -> jax.Array:
        return numpyro.sample(name, dist.Normal(priors.centre[name], priors.spread[name]))

    def half(name: str) -> jax.Array:
        return numpyro.sample(name, dist.HalfNormal(priors.spread[name]))

    def model() -> None:
        mu_alpha, mu_beta = normal("mu_alpha"), normal("mu_beta")
        sigma_alpha, sigma_beta, sigma = half("sigma_alpha"), half("sigma_beta"), half("sigma")
        with numpyro.plate("subject", len(labels)):
            alpha = numpyro.sample("alpha", dist.Normal(mu_alpha, sigma_alpha))
            beta = numpyro.sample("beta", dist.Normal(mu_beta, sigma_beta))
        numpyro.sample("y", dist.Normal(alpha[subject] + beta[subject] * day, sigma), obs=outcome)

    chains = infer.MCMC(
        infer.NUTS(model),
        num_warmup=TUNE,
        num_samples=DRAWS,
        num_chains=CHAINS,
        chain_method="parallel",
        progress_bar=False,
    )

    def work(seed: int) -> dict[str, Any]:
        chains.run(jax.random.PRNGKey(seed))
        print(az.summary(az.from_numpyro(chains)).to_string())
        return chains.get_samples(group_by_chain=True)

    return work, lambda samples: samples


def run_exact(_folder: Path) -> tuple[Callable, None]:
    """The exact posterior: nothing is drawn, so that the seed does nothing."""
    import hbutils as hb

    def work(_seed: int) -> ExactPosterior:
        fit = hb.exact_posterior(hb.load_sleepstudy(), hb.Priors.for_sleepstudy())
        print(fit.summary().to_string(), fit.groups().to_string(), sep="\n\n")
        return fit

    return work, None


RUNS = {
    BASE: run_hbutils,
    "pymc": run_pymc,
    "bambi": run_bambi,
    "numpyro": run_numpyro,
    "exact": run_exact,
}


def save(path: Path, values: dict[str, Any]) -> None:
    """Write draws as samplers.R does: a column a quantity, chain after chain."""
    columns = {}
    for name in [*POPULATION, "alpha", "beta"]:
        flat = np.asarray(values[name], dtype=float)
        flat = flat.reshape(CHAINS * DRAWS, -1)
        labels = [name] if name in POPULATION else [f"{name}.{j}" for j in range(flat.shape[1])]
        columns |= dict(zip(labels, flat.T, strict=True))
    pd.DataFrame(columns).to_csv(path, index=False)


def worker(name: str, folder: Path | None, seed: int, repeats: int) -> None:
    """Do the work once from a cold start and then again; without a folder, only tell the version."""
    if folder is None:
        for package in TOOLS[name].packages:
            __import__(package)
        print(", ".join(f"{package} {version(package)}" for package in TOOLS[name].packages))
        return
    work, draws = RUNS[name](folder)
    work(seed)
    print('\n{"done": "cold"}', flush=True)
    for k in range(1, repeats + 1):
        start = time.perf_counter()
        result = work(seed + k)
        seconds = time.perf_counter() - start
        print("\n" + json.dumps({"done": "warm", "seconds": seconds}), flush=True)
        if draws is not None:
            save(folder / f"draws-{k}.csv", draws(result))


# What starts the processes and reads the clock.


def own_python() -> str | None:
    """The Python that has Bambi and NumPyro, made if need be; None if it cannot be had."""
    wanted = [HERE / "requirements.txt", HERE.parent / "requirements.txt"]
    pins = hashlib.sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "hbutils-benchmarks" / pins
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / ".complete"
    if not complete.exists():
        progress(f"an environment for Bambi and NumPyro: {folder}")
        uv = str(Path(sys.executable).with_name("uv"))
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
        try:
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
            subprocess.run([*install, "--requirement", wanted[0], "--constraint", wanted[1]], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            progress(f"no environment for Bambi and NumPyro: {error}")
            return None
        complete.touch()
    return str(python)


def commands() -> dict[str, list[str]]:
    """How each tool is started that may be here."""
    script = str(Path(__file__).resolve())
    rscript = shutil.which("Rscript")
    pythons = {"book": sys.executable, "own": own_python()}
    found = {}
    for name, tool in TOOLS.items():
        if tool.home == "R":
            if rscript:
                found[name] = [rscript, str(HERE / "samplers.R"), name]
        elif python := pythons[tool.home]:
            found[name] = [python, script, "--worker", name]
    return found


def version_of(command: list[str]) -> str | None:
    """What a tool says of itself, None if it is not there.

    It is loaded for that, so that no tool is the first to wait for the disk.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines()[-1].strip() if done.returncode == 0 else None


def run(name: str, command: list[str], folder: Path, seed: int, repeats: int) -> tuple[float, list[float]]:
    """Run a tool in a process that has never compiled anything: seconds cold, seconds of each warm repeat."""
    arguments = [str(folder), str(seed), str(repeats)]
    if TOOLS[name].home != "R":
        arguments = [f"--folder={folder}", f"--seed={seed}", f"--repeats={repeats}"]
    caches = {
        "PYTENSOR_FLAGS": f"base_compiledir={folder / 'pytensor'}",
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        # NumPyro compiles anew for each run, unless JAX is asked to keep what it has compiled. The others
        # keep it unasked.
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "OMP_NUM_THREADS": "1",  # as the Makefile does
        "TMPDIR": str(folder),
    }
    cold, warm = None, []
    with (folder / "errors.txt").open("w+", encoding="utf-8") as errors:
        begin = time.perf_counter()
        with subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | caches
        ) as process:
            for line in process.stdout or ():
                if line.startswith('{"done": "cold"'):
                    cold = time.perf_counter() - begin
                elif line.startswith('{"done": "warm"'):
                    warm.append(float(json.loads(line)["seconds"]))
        errors.seek(0)
        if process.returncode or cold is None or len(warm) != repeats:
            raise SystemExit(f"{name} failed:\n{errors.read()}")
    return cold, warm


def read_draws(paths: Iterable[Path], labels: tuple[str, ...]) -> list[xr.DataTree]:
    """The draws of each warm repeat, under hbutils' names."""
    import arviz as az

    fits = []
    for path in paths:
        table = pd.read_csv(path)
        posterior = {name: table[name].to_numpy().reshape(CHAINS, DRAWS) for name in POPULATION}
        for name in ("alpha", "beta"):
            lines = table[[f"{name}.{j}" for j in range(len(labels))]]
            posterior[name] = lines.to_numpy().reshape(CHAINS, DRAWS, -1)
        of_subject = {"alpha": ["subject"], "beta": ["subject"]}
        fits.append(az.from_dict({"posterior": posterior}, dims=of_subject, coords={"subject": list(labels)}))
    return fits


def smallest_ess(fit: xr.DataTree) -> float:
    """Bulk ESS of what has been determined worst, by ArviZ whatever the tool."""
    import arviz as az

    return min(float(v.min()) for v in az.ess(fit["posterior"].to_dataset(), method="bulk").values())


def distances(fits: list[xr.DataTree]) -> tuple[float, float]:
    """How far population means and SDs are from the exact ones at most, all repeats taken together."""
    import xarray as xr

    import hbutils as hb

    exact = hb.exact_posterior(hb.load_sleepstudy(), hb.Priors.for_sleepstudy())
    chains = xr.concat([fit["posterior"].to_dataset() for fit in fits], "chain")
    chains["chain"] = np.arange(chains.sizes["chain"])
    table = hb.agreement(xr.DataTree.from_dict({"posterior": chains}), exact)
    worst = table.loc[POPULATION, ["mean_distance", "sd_distance"]].abs().max()
    return float(worst["mean_distance"]), float(worst["sd_distance"])


def write_inputs(folder: Path) -> None:
    """Data and priors for those that do without hbutils."""
    import hbutils as hb

    priors = hb.Priors.for_sleepstudy()
    rows = []
    for name in POPULATION:
        prior = getattr(priors, name)
        match prior:
            case hb.Normal(mean, sd):
                rows.append((name, mean, sd))
            case hb.HalfNormal(scale):
                rows.append((name, 0.0, scale))
            case _:
                kind = type(prior).__name__
                raise SystemExit(f"{name}: the other tools are not told how to write {kind}")
    pd.DataFrame(rows, columns=["name", "centre", "spread"]).to_csv(folder / "priors.csv", index=False)
    shutil.copy(DATA / "sleepstudy.csv", folder / "data.csv")


@dataclass
class Row:
    """A line of the CSV: medians over repeats. What a tool does not have is NaN."""

    tool: str
    cold_s: float
    warm_s: float
    ess_min: float
    ess_per_s: float
    mean_distance: float
    sd_distance: float
    version: str


def measure(found: dict[str, list[str]], versions: dict[str, str], cold: int, warm: int) -> list[Row]:
    """Every tool in turn, `cold` times, the warm repeats shared out: a busy moment meets several tools."""
    import hbutils as hb

    labels = hb.load_sleepstudy().labels
    seconds: dict[str, list[float]] = {name: [] for name in found}
    again: dict[str, list[float]] = {name: [] for name in found}
    fits: dict[str, list[xr.DataTree]] = {name: [] for name in found}
    for turn in range(cold):
        for name, command in found.items():
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                write_inputs(folder)
                repeats = len(range(turn, warm, cold))
                first, others = run(name, command, folder, SEED + 100 * turn, repeats)
                seconds[name].append(first)
                again[name] += others
                fits[name] += read_draws(sorted(folder.glob("draws-*.csv")), labels)
                progress(f"{name}: {first:.2f} s cold; {', '.join(f'{s:.2f}' for s in others)} s warm")
    rows = []
    for name in found:
        ess = [smallest_ess(fit) for fit in fits[name]] or [np.nan] * warm
        speeds = [e / s for e, s in zip(ess, again[name], strict=True)]
        comparable = TOOLS[name].samples and TOOLS[name].same_priors
        agreement = distances(fits[name]) if comparable else (np.nan, np.nan)
        medians = (float(np.median(v)) for v in (seconds[name], again[name], ess, speeds))
        rows.append(Row(name, *medians, *agreement, versions[name]))
    return rows


def number(value: float, digits: int = 0) -> str:
    """For a table; nothing if there is none."""
    return "" if np.isnan(value) else f"{value:,.{digits}f}"


def report(rows: list[Row], absent: list[str], cold: int, warm: int) -> str:
    """What is written to samplers.md."""
    base = next(row for row in rows if row.tool == BASE)

    def line(row: Row) -> str:
        cells = [
            TOOLS[row.tool].label,
            number(row.cold_s, 1),
            number(row.cold_s / base.cold_s, 2),
            number(row.warm_s, 2),
            number(row.warm_s / base.warm_s, 2),
            number(row.ess_min),
            number(row.ess_per_s),
            number(base.ess_per_s / row.ess_per_s, 1),
            number(row.mean_distance, 1),
            number(row.sd_distance, 1),
        ]
        return "| " + " | ".join(cells) + " |"

    table = "\n".join(line(row) for row in rows)
    versions = "\n".join(f"- {TOOLS[row.tool].label}: {row.version}" for row in rows)
    missing = ", ".join(TOOLS[name].label for name in absent)
    today = dt.datetime.now(tz=dt.UTC)
    system, python = f"{platform.system()} {platform.machine()}", platform.python_version()
    left_out = f"\nNot measured here: {missing}.\n" if absent else ""
    titles = [
        *("tool", "cold, s", "times hbutils", "warm, s", "times hbutils", "smallest ESS", "ESS a second"),
        *("hbutils is faster by", "means", "SDs"),
    ]
    return f"""# Samplers

Written by `python benchmarks/samplers.py` on {today:%Y-%m-%d}: {system}, {CORES} of
{os.cpu_count()} cores, Python {python}. The sleep study with varying intercepts and slopes under
`hb.Priors.for_sleepstudy()`; where there are draws, {CHAINS} chains of {TUNE} warm-up steps and {DRAWS}
draws. Medians over repeats, {cold} cold and {warm} warm.

| {" | ".join(titles)} |
|---|{"---:|" * (len(titles) - 1)}
{table}
{left_out}
**Cold** is from the start of a process to a printed summary of the population and of every subject, with
nothing compiled beforehand. **Warm** is the same once more in that process. **Smallest ESS** is the bulk
effective sample size of whatever has least, among the {len(POPULATION)} parameters of the population and all
subjects' coefficients; ArviZ computes it from every tool's draws. **ESS a second** divides it by the warm
seconds. **Means** and **SDs** are the largest distances from the exact posterior among the population's
parameters, in Monte Carlo standard errors, the warm repeats taken together; one beyond 4 would call for an
explanation.

## What differs

- Acceptance rates aimed at are every tool's own default, and so are the checks that come with a fit.
- hbutils, PyMC (its model is frozen for that) and NumPyro keep the model, and with it what they have
  compiled; brms keeps its compiled program; rstanarm is installed compiled. Bambi keeps the model, but PyMC
  makes its functions anew for each fit, from code that is compiled already.
- PyMC and Bambi would take nutpie where they find it; here they use PyMC's own NUTS.
- hbutils, PyMC and NumPyro have the centred model. Bambi, brms and rstanarm are not centred, which is their
  default.
- NumPyro runs its chains in parallel, and keeps what it has compiled in JAX's cache, which has to be asked
  for: otherwise it would compile again for each fit. It computes in single precision, its default.
- rstanarm has no half-normal prior for the SDs between subjects. Its gamma prior here has the same mean and
  SD, given the noise around separate lines. Its posterior is another one, and not compared with the exact.
- lme4 has no priors: a point estimate (REML), of which only the time is comparable.

## Versions

{versions}
"""


def rounded(row: Row) -> dict[str, float | str]:
    """As it goes into the CSV."""
    values = {field.name: getattr(row, field.name) for field in fields(Row)}
    return {name: round(v, 3) if isinstance(v, float) else v for name, v in values.items()}


def main() -> None:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one repeat of each; nothing is written")
    parser.add_argument("--worker", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=SEED, help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.folder, options.seed, options.repeats)
        return
    if hasattr(os, "sched_setaffinity"):  # the tools that take all cores get no more than the others
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    may_be_here = commands()
    asked = {name: version_of(command) for name, command in may_be_here.items()}
    versions = {name: text for name, text in asked.items() if text is not None}
    found = {name: command for name, command in may_be_here.items() if name in versions}
    absent = [name for name in TOOLS if name not in found]
    cold, warm = (1, 1) if options.quick else (2, 3)
    rows = measure(found, versions, cold, warm)
    text = report(rows, absent, cold, warm)
    print(text)
    if not options.quick:
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
        table = pd.DataFrame(map(rounded, rows))
        table.to_csv(HERE / "samplers.csv", index=False)


if __name__ == "__main__":
    main()

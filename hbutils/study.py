"""The simulation study behind the decision table, and advice on data of your own.

The study asks one question in many places: groups are drawn from a population, observations from the
groups, and the three models are fitted; how wrong is each? A *cell* is one such place: a number of groups,
observations a group, intraclass correlation, balance and shape of population. The noise SD is 1 everywhere,
so errors and widths are in noise SDs. The posteriors are exact.

A cell's data sets depend on nothing but the cell and the seed. So cells may be computed in any order, on
any machine, and again.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
import pandas as pd

from hbutils import _oneway
from hbutils._cluster import OFTEN, opened
from hbutils.data import DATA_FOLDER, InputError, _listed
from hbutils.exact import exact_posterior

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from hbutils.data import GroupedData
    from hbutils.exact import ExactPosterior
    from hbutils.priors import Priors
    from hbutils.sums import GroupSums

    Array = NDArray[np.float64]

__all__ = ["Advice", "Cell", "advise", "compute", "design", "load_study", "regret", "run"]

SEED = 17
DATASETS = 400  # in a cell
MODELS = ("pooled", "unpooled", "partial", "advised")
GROUPS = (3, 5, 10, 30, 100)
OBSERVATIONS = (2, 3, 5, 10, 30, 100)
CORRELATIONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.9)
POPULATIONS = ("normal", "heavy", "humps")
UNEVEN = {True: (1.0,), False: (0.4, 0.6, 0.8, 1.2, 2.0)}  # group sizes, in multiples of their mean
EXAMINED = 10  # groups of a data set whose intervals and predictions are looked at: they are alike
NEWCOMERS = 5  # new groups that each data set's fit must predict
ENOUGH = 0.1  # the dearest mistake that is still called enough, in standard errors of a group's own mean
FEW = 6  # fewer groups than this, and the prior on their SD is part of the answer
ODD = 2.5  # SDs between groups that a shrunken estimate may lie from the mean before it is called unusual


# --- the design ---------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Cell:
    """A place of the study.

    Attributes
    ----------
    groups : int
        Number of groups, J.
    observations : int
        Observations a group; their mean, about, where groups differ in size.
    icc : float
        Intraclass correlation: the variance between groups as a share of all variance.
    balanced : bool
        Whether all groups are of one size; if not, sizes run from 0.4 to 2 times the mean, but not below 2.
    population : {"normal", "heavy", "humps"}
        What groups' means are drawn from: a normal, a Student-t with 3 degrees of freedom, or two humps.
        All have the same mean and SD.
    """

    groups: int
    observations: int
    icc: float
    balanced: bool = True
    population: str = "normal"

    def __post_init__(self) -> None:
        if self.groups < 2 or self.observations < 2 or not 0 <= self.icc < 1:
            raise InputError("a cell needs 2 groups or more, 2 observations or more, and 0 <= icc < 1")
        if self.population not in POPULATIONS:
            raise InputError(f"population must be one of {', '.join(POPULATIONS)}, not {self.population!r}")

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Observations of each group (J,)."""
        share = UNEVEN[self.balanced]
        if self.groups < len(share):
            share = (share[0], share[1], share[-1])
        sizes = np.round(self.observations * np.resize(share, self.groups))
        return np.maximum(sizes, 2).astype(int)

    @property
    def tau(self) -> float:
        """SD between groups, in noise SDs."""
        return float(np.sqrt(self.icc / (1 - self.icc)))

    def seed(self, seed: int) -> list[int]:
        """Numbers that no other cell has."""
        return [
            seed,
            self.groups,
            self.observations,
            round(1e6 * self.icc),
            int(self.balanced),
            POPULATIONS.index(self.population),
        ]


def design() -> list[Cell]:
    """All cells of the study, in a fixed order.

    What would repeat another cell is left out: without differences between groups a population has no
    shape, and pairs cannot be unequal.
    """
    cells = (Cell(*values) for values in product(GROUPS, OBSERVATIONS, CORRELATIONS, UNEVEN, POPULATIONS))
    return [
        cell
        for cell in cells
        if (cell.icc > 0 or cell.population == "normal") and (cell.observations > 2 or cell.balanced)
    ]


# --- one cell -----------------------------------------------------------------------------------


def _population(rng: np.random.Generator, shape: str, size: tuple[int, int]) -> Array:
    """Draws with mean 0 and SD 1."""
    if shape == "heavy":
        return rng.standard_t(3, size) / np.sqrt(3)
    if shape == "humps":
        return rng.choice([-0.9, 0.9], size) + np.sqrt(1 - 0.9**2) * rng.standard_normal(size)
    return rng.standard_normal(size)


def compute(cell: Cell, *, datasets: int = DATASETS, seed: int = SEED) -> pd.DataFrame:
    """Fit the three models to simulated data sets of one cell, and say how wrong they are.

    Parameters
    ----------
    cell : Cell
        What to simulate.
    datasets : int
        How many data sets, two or more.
    seed : int
        Of the study; the same seed gives the same data sets.

    Returns
    -------
    DataFrame
        One row a model, `advised` (the one that :func:`advise` would choose) being the fourth. Each
        quantity stands beside its Monte Carlo standard error, ``_se``. ``mse``: mean squared error of the
        groups' means; ``coverage`` and ``width`` of their central 95 % intervals; ``known`` and ``new``:
        log predictive density of a further observation of a group, and of one of a new group. What ends in
        ``_lost`` is how much worse than partial pooling on the same data. ``share``: of the data sets, how
        many were advised to use this model.
    """
    if datasets < 2:
        raise InputError(f"a cell needs two data sets or more, not {datasets}")
    rng = np.random.default_rng(cell.seed(seed))
    size, sizes = (datasets, cell.groups), cell.sizes
    alpha = cell.tau * _population(rng, cell.population, size)
    y = np.repeat(alpha, sizes, axis=1) + rng.standard_normal((datasets, sizes.sum()))
    looked_at = np.linspace(0, cell.groups - 1, min(EXAMINED, cell.groups)).round().astype(int)
    further = alpha[:, looked_at] + rng.standard_normal((datasets, looked_at.size))
    newcomers = cell.tau * _population(rng, cell.population, (datasets, NEWCOMERS))
    newcomers += rng.standard_normal((datasets, NEWCOMERS))

    studies = _oneway.Studies.of(y, sizes)
    every = np.arange(cell.groups)
    partially = _oneway.partial(studies)
    thin = partially.thinned()
    same, own = _oneway.pooled(studies), _oneway.unpooled(studies)
    one = own.of(looked_at)
    means = {
        "pooled": np.broadcast_to(same.alpha.mean(), size),
        "unpooled": own.alpha.mean(),
        "partial": partially.means(),
    }
    found = {
        name: _scores(means[name] - alpha, alpha[:, looked_at], intervals, known, new, further, newcomers)
        for name, intervals, known, new in [
            ("pooled", same.alpha, same.predict(), same.predict()),
            ("unpooled", one.alpha, one.predict(), _oneway.prior_predictive(studies)),
            ("partial", thin.alpha(looked_at), thin.predict(looked_at), thin.new_group()),
        ]
    }
    choice = _choices(partially.own_weight(every))
    found["advised"] = {
        quantity: np.choose(choice, [found[name][quantity] for name in MODELS[:3]])
        for quantity in found["partial"]
    }
    share = [*(np.bincount(choice, minlength=3) / datasets), 1.0]
    rows = [_row(found[name], found["partial"]) for name in MODELS]
    index = {name: [value] * len(rows) for name, value in asdict(cell).items()}
    return pd.DataFrame(index | {"model": MODELS, "share": share}).join(pd.DataFrame(rows))


def _scores(
    error: Array,
    truth: Array,
    intervals: _oneway.Mixtures,
    known: _oneway.Mixtures,
    new: _oneway.Mixtures,
    further: Array,
    newcomers: Array,
) -> dict[str, Array]:
    """Each quantity, averaged within each data set (D,)."""
    low, high = intervals.quantile(0.025), intervals.quantile(0.975)
    low, high = np.broadcast_to(low, truth.shape), np.broadcast_to(high, truth.shape)
    return {
        "mse": (error**2).mean(axis=1),
        "coverage": ((low <= truth) & (truth <= high)).mean(axis=1),
        "width": (high - low).mean(axis=1),
        "known": known.log_density(further).mean(axis=1),
        "new": new.log_density(newcomers).mean(axis=1),
    }


def _row(scores: dict[str, Array], partial_scores: dict[str, Array]) -> dict[str, float]:
    row: dict[str, float] = {}
    for name, values in scores.items():
        lost = values - partial_scores[name] if name == "mse" else partial_scores[name] - values
        columns = {name: values} if name in ("coverage", "width") else {name: values, f"{name}_lost": lost}
        for column, each in columns.items():
            row |= {column: float(each.mean()), f"{column}_se": float(each.std(ddof=1) / np.sqrt(each.size))}
    return row


# --- all cells ----------------------------------------------------------------------------------


def run(
    path: str | Path,
    cells: Sequence[Cell] | None = None,
    *,
    datasets: int = DATASETS,
    seed: int = SEED,
    scheduler: str | None = None,
    progress: TextIO | None = sys.stderr,
) -> pd.DataFrame:
    """Compute many cells on a Dask cluster and write them to a CSV file.

    Every finished cell is at once appended to a file beside it, ``.part`` for ``.csv``. A run that was
    stopped or killed goes on from there when it is started again, and comes out the same. When all cells are
    there, the CSV file is written and the other removed. Dask gives the cells of a lost worker to the others.

    Parameters
    ----------
    path : str or Path
        The CSV file; the columns are those of :func:`compute`.
    cells : list of Cell, optional
        :func:`design` if left out.
    datasets, seed : int
        As in :func:`compute`.
    scheduler : str, optional
        Address of a running Dask scheduler whose workers have hbutils, such as ``tcp://10.0.0.5:8786``.
        Without it a cluster of this machine's cores is started, and stopped in the end. A script that does so
        needs the guard ``if __name__ == "__main__":``.
    progress : text file, optional
        Where to say how far it is; None for silence.

    Returns
    -------
    DataFrame
        As :func:`load_study`.

    Raises
    ------
    InputError
        If the unfinished file belongs to another seed or number of data sets, or no scheduler answers.
    """
    target = Path(path)
    wanted = list(dict.fromkeys(design() if cells is None else cells))
    kept = _Kept(target.with_suffix(".part"), {"seed": seed, "datasets": datasets})
    todo = [cell for cell in wanted if cell not in kept.rows]
    if todo:
        say = _Progress(len(todo), len(wanted), datasets, progress)
        for cell, rows in _on_cluster(partial(compute, datasets=datasets, seed=seed), todo, scheduler):
            kept.add(cell, rows)
            say.one_more()
    table = pd.concat([pd.DataFrame(kept.rows[cell]) for cell in wanted], ignore_index=True)
    finished = target.with_suffix(".new")
    table.to_csv(finished, index=False, float_format="%.5g", lineterminator="\n")
    finished.replace(target)
    kept.path.unlink(missing_ok=True)
    return load_study(target)


def load_study(path: str | Path | None = None) -> pd.DataFrame:
    """Results of the simulation study, one row a cell and model: the columns of :func:`compute`.

    Parameters
    ----------
    path : str or Path, optional
        A file that :func:`run` wrote; the book's own if left out.
    """
    return pd.read_csv(DATA_FOLDER / "study.csv" if path is None else path)


def _on_cluster(
    function: Callable[[Cell], pd.DataFrame], cells: Sequence[Cell], scheduler: str | None
) -> Iterator[tuple[Cell, pd.DataFrame]]:
    """Give back each cell with its rows as soon as it is done, in any order."""
    from distributed import as_completed  # noqa: PLC0415 - it takes half a second

    with opened(scheduler) as client:
        futures = client.map(function, cells, **OFTEN)
        of = {future.key: cell for future, cell in zip(futures, cells, strict=True)}
        for future, rows in as_completed(futures, with_results=True):
            yield of[future.key], rows


class _Kept:
    """Finished cells in a file: settings in its first line, a cell in each further one."""

    def __init__(self, path: Path, settings: dict[str, int]) -> None:
        self.path = path
        self.rows: dict[Cell, list[dict]] = {}
        if not path.exists():
            path.write_text(json.dumps(settings) + "\n", encoding="utf-8")
            return
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # the end of a killed run may be half a line
        first, *lines = whole.splitlines() or ["null"]
        found = json.loads(first)
        if found is not None and found != settings:
            raise InputError(
                f"{path} is of an unfinished run with {found}, and this one has {settings}: "
                "finish that one first, or remove the file"
            )
        if found is None:
            lines, whole = [], json.dumps(settings) + "\n"
        for line in lines:
            cell, rows = json.loads(line)
            self.rows[Cell(**cell)] = rows
        path.write_text(whole, encoding="utf-8")

    def add(self, cell: Cell, rows: pd.DataFrame) -> None:
        """Keep a cell, on disk before anything else happens."""
        if cell in self.rows:
            return
        self.rows[cell] = rows.to_dict("records")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([asdict(cell), self.rows[cell]]) + "\n")
            file.flush()
            os.fsync(file.fileno())


class _Progress:
    """A line that says how many cells are done, how fast it goes and how long it will take."""

    def __init__(self, todo: int, cells: int, datasets: int, out: TextIO | None) -> None:
        self.todo, self.cells, self.datasets, self.out = todo, cells, datasets, out
        self.done, self.start, self.said = 0, time.monotonic(), 0.0
        if out and todo < cells:
            out.write(f"{cells - todo} of {cells} cells were there already\n")

    def one_more(self) -> None:
        self.done += 1
        now = time.monotonic()
        live = self.out is not None and self.out.isatty()
        if not self.out or (self.done < self.todo and now - self.said < (0.5 if live else 30)):
            return
        self.said = now
        speed = self.done * self.datasets / (now - self.start)
        left = (self.todo - self.done) * self.datasets / speed
        line = (
            f"{self.cells - self.todo + self.done} of {self.cells} cells, "
            f"{speed:,.0f} data sets a second, {left / 60:.0f} min to go"
        )
        self.out.write(f"\r{line:<70}" + ("\n" if self.done == self.todo else "") if live else line + "\n")
        self.out.flush()


# --- advice -------------------------------------------------------------------------------------


def regret(weight: ArrayLike) -> pd.DataFrame:
    """What it costs to pool completely, or not at all, where partial pooling would use a weight.

    With the weight w of :func:`hbutils.shrinkage_weight`, the root mean squared error of a group's mean is
    sqrt(w / (1 - w)) pooled, 1 unpooled and sqrt(w) partially pooled, in standard errors of the group's own
    mean (population mean and SDs taken as known).

    Parameters
    ----------
    weight : (M,) array
        Weights on a group's own mean, between 0 and 1.

    Returns
    -------
    DataFrame
        Columns ``pooled`` and ``unpooled``: their error less that of partial pooling.

    Raises
    ------
    InputError
        If a weight is not between 0 and 1.
    """
    w = np.atleast_1d(np.asarray(weight, dtype=float))
    if not ((w >= 0) & (w <= 1)).all():
        raise InputError("weights lie between 0 and 1")
    with np.errstate(divide="ignore"):
        return pd.DataFrame({"pooled": np.sqrt(w / (1 - w)) - np.sqrt(w), "unpooled": 1 - np.sqrt(w)})


def _choices(weights: Array) -> NDArray[np.int64]:
    """Positions in `MODELS` of the model that is enough for groups with weights (D, J)."""
    # What counts is the group for which the model is worst: the regret of pooling grows with the weight
    pooled = regret(weights.max(axis=1))["pooled"] <= ENOUGH
    unpooled = regret(weights.min(axis=1))["unpooled"] <= ENOUGH
    return np.select([pooled, unpooled], [0, 1], 2)


@dataclass(frozen=True, eq=False, repr=False)
class Advice:
    """Which model is enough for a data set, and why: from :func:`advise`. ``print`` it.

    Attributes
    ----------
    model : {"pooled", "unpooled", "partial"}
        The simplest model that is enough.
    regrets : DataFrame
        One row a group: ``n``, the posterior mean ``weight`` of its own data, and what it costs to pool it
        completely (``pooled``) or not at all (``unpooled``), as in :func:`regret`.
    posterior : ExactPosterior
        Of the partially pooled model, from which they were computed.
    """

    model: str
    regrets: pd.DataFrame
    posterior: ExactPosterior

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Why, in a sentence or two each."""
        data = self.posterior.data
        reasons = [
            _about_weights(data, self.regrets),
            _about_choice(self.model, self.regrets),
            _about_few_groups(data, self.posterior.priors, self.model),
            _about_odd_groups(self.posterior),
            _about_small_groups(data),
            _about_new_groups(self.model),
        ]
        return tuple(filter(None, reasons))

    def __str__(self) -> str:
        lines = [
            textwrap.fill(reason, 76, initial_indent="- ", subsequent_indent="  ") for reason in self.reasons
        ]
        return "\n".join([_VERDICTS[self.model], *lines])

    __repr__ = __str__


_VERDICTS = {
    "pooled": "The pooled model is enough.",
    "unpooled": "The unpooled model is enough.",
    "partial": "Pool partially.",
}


def advise(data: GroupedData | GroupSums, priors: Priors | None = None) -> Advice:
    """Say which of the three models is enough for a data set, with reasons.

    What decides is the weight that partial pooling gives to a group's own data: near 0 for all groups,
    pooling does as well; near 1 for all, so do separate fits. *As well* means that :func:`regret` is at most
    a tenth of the standard error of a group's own mean, for the group for which it is largest. With a
    predictor the weight is the mean over the two directions of :func:`hbutils.shrinkage_matrix`. Chapter 17
    tests this rule by simulation.

    Parameters
    ----------
    data : GroupedData or GroupSums
        At least two groups.
    priors : Priors, optional
        :meth:`Priors.weakly_informative` if left out.

    Raises
    ------
    InputError
        If there is only one group or no noise in the outcome.
    """
    posterior = exact_posterior(data, priors)
    weights = posterior.weights()
    regrets = pd.DataFrame({"n": data.counts, "weight": weights})
    regrets[["pooled", "unpooled"]] = regret(weights).to_numpy()
    return Advice(MODELS[int(_choices(weights.to_numpy()[None])[0])], regrets, posterior)


def _between(low: float, high: float, form: str) -> str:
    first, last = format(low, form), format(high, form)
    return first if first == last else f"{first} to {last}"


def _about_weights(data: GroupedData | GroupSums, regrets: pd.DataFrame) -> str:
    sizes = _between(int(data.counts.min()), int(data.counts.max()), "d")
    weights = _between(regrets["weight"].min(), regrets["weight"].max(), ".2f")
    return (
        f"{data.n_groups} groups with {sizes} observations each: partial pooling would give a group's own "
        f"data a weight of {weights}, and the population the rest."
    )


def _about_choice(model: str, regrets: pd.DataFrame) -> str:
    worst = regrets[["pooled", "unpooled"]].max()
    unit = "standard errors of a group's own estimate"
    if model == "pooled":
        return (
            f"The groups hardly differ. Pooling them completely costs at most {worst['pooled']:.2f} {unit}; "
            "partial pooling would do the same by itself. This is about estimates. The pooled model's "
            "intervals take it that groups do not differ at all: if you need intervals, pool partially."
        )
    if model == "unpooled":
        return (
            "The groups differ much more than their own estimates are uncertain. Fitting each on its own "
            f"costs at most {worst['unpooled']:.2f} {unit}; partial pooling would leave them alone as well."
        )
    return (
        f"Pooling completely costs a group up to {worst['pooled']:.2f} {unit}, and fitting each on its own "
        f"up to {worst['unpooled']:.2f}. Up to {ENOUGH:g} would be called enough."
    )


def _about_few_groups(data: GroupedData | GroupSums, priors: Priors, model: str) -> str:
    if data.n_groups >= FEW:
        return ""
    others = []
    for factor in (0.5, 2):
        scaled = {
            name: replace(prior, scale=factor * prior.scale)
            for name in ("sigma_alpha", "sigma_beta")
            if hasattr(prior := getattr(priors, name), "scale")
        }
        weights = exact_posterior(data, replace(priors, **scaled)).weights().to_numpy()
        others.append((MODELS[int(_choices(weights[None])[0])], weights.mean()))
    (first, low), (last, high) = others
    changed = "the advice stays" if {first, last} == {model} else "the advice changes with it"
    return (
        f"Only {data.n_groups} groups tell how much groups differ, so the prior on the SD between groups "
        f"speaks too: at half and at twice its scale the mean weight is {low:.2f} and {high:.2f}, and "
        f"{changed}. State that prior, and defend it."
    )


def _about_odd_groups(posterior: ExactPosterior) -> str:
    summary, groups = posterior.summary()["mean"], posterior.groups()
    odd = []
    for name in ("alpha", "beta"):
        if f"{name}_mean" in groups:
            far = (groups[f"{name}_mean"] - summary[f"mu_{name}"]).abs() / summary[f"sigma_{name}"]
            odd += list(far.index[far > ODD])
    if not odd:
        return ""
    return (
        f"Unusual even after shrinkage: {_listed(list(dict.fromkeys(odd)))}, more than {ODD:g} SDs "
        "from the population's mean. A normal population hurts such groups most; look at them alone as well."
    )


def _about_small_groups(data: GroupedData | GroupSums) -> str:
    needed = 3 if data.has_predictor else 2
    short = int((data.counts < needed).sum())
    if not short:
        return ""
    return (
        f"{short} of {data.n_groups} groups have fewer than {needed} observations: the unpooled model cannot "
        "be fitted to them at all."
    )


def _about_new_groups(model: str) -> str:
    if model == "pooled":
        return "For a group not seen yet, the pooled model's prediction serves too."
    return (
        "For a group not seen yet, use partial pooling whatever the rest: the unpooled model has no answer, "
        "and the pooled one leaves out how much groups differ."
    )

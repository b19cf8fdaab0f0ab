"""Measure the simulation study: data sets a second, one by one and all at once, on one worker and two.

    python benchmarks/study.py             writes benchmarks/study.md, and prints it

Every row is measured in the same run, on the same cells, which are drawn from the study's design.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from distributed import Client, LocalCluster

import hbutils as hb
from hbutils import study

if TYPE_CHECKING:
    from collections.abc import Callable

CELLS = 24
ONE_BY_ONE = 10  # data sets a cell that are fitted one after the other: enough to know how long that takes


def one_by_one(cell: study.Cell) -> None:
    """Fit the three models to some data sets of a cell through hbutils' public functions."""
    for k in range(ONE_BY_ONE):
        data = hb.simulate(
            k,
            n_groups=cell.groups,
            n_observations=cell.sizes.tolist(),
            mu_alpha=0,
            sigma_alpha=cell.tau,
            sigma=1,
        ).data
        for fit in (hb.exact_posterior(data), hb.exact_pooled(data), hb.exact_unpooled(data)):
            fit.groups()


def seconds(work: Callable[[], object]) -> float:
    """Time a piece of work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def on_cluster(cells: list[study.Cell], workers: int) -> float:
    """Time a run on a cluster that stands already, as one of many hours would find it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.gather(client.map(partial(study.compute, datasets=2), cells, pure=False))  # all is imported
        path = Path(folder) / "study.csv"
        address = cluster.scheduler_address
        return seconds(lambda: study.run(path, cells, scheduler=address, progress=None))


def main() -> None:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    rng = np.random.default_rng(study.SEED)
    cells = list(rng.choice(np.array(study.design(), dtype=object), CELLS, replace=False))
    one_by_one(cells[0])  # nothing is timed that is done for the first time
    study.compute(cells[0], datasets=2)
    many = CELLS * study.DATASETS
    speeds = {
        "one by one: `hb.exact_posterior` and the two others, without scores": CELLS
        * ONE_BY_ONE
        / seconds(lambda: [one_by_one(cell) for cell in cells]),
        "a cell at once: `study.compute`, with scores": many
        / seconds(lambda: [study.compute(cell) for cell in cells]),
        "the same through Dask, 1 worker": many / on_cluster(cells, 1),
        "the same through Dask, 2 workers": many / on_cluster(cells, 2),
    }
    first = next(iter(speeds.values()))
    rows = "\n".join(f"| {name} | {speed:,.0f} | {speed / first:.1f} |" for name, speed in speeds.items())
    today = dt.datetime.now(tz=dt.UTC)
    system, version = f"{platform.system()} {platform.machine()}", platform.python_version()
    report = f"""# The simulation study

Written by `python benchmarks/study.py` on {today:%Y-%m-%d}: {system}, {os.cpu_count()} cores, Python
{version}. {CELLS} cells drawn at random from the study's {len(study.design()):,};
{study.DATASETS} data sets each, or {ONE_BY_ONE} where they are fitted one by one.

| route | data sets a second | times the first |
|---|---:|---:|
{rows}
"""
    print(report)
    (Path(__file__).with_suffix(".md")).write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()

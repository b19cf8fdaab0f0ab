"""Measure how the cost of a hierarchical fit grows with the number of groups, and with the rows on disk.

    python benchmarks/scale.py             writes benchmarks/scale.csv and benchmarks/scale.md
    python benchmarks/scale.py --quick     small numbers only, to try it; prints, and writes nothing
    python benchmarks/scale.py exact lme4  these two again, beside each other; the others stay as they are

Every fit has a process of its own, so that its peak memory is its own. A tool is not taken further once a
fit has taken a minute. Times are those of the fit: making or reading the data and importing the tool are left
out, which favours the slow starters.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import hbutils as hb

HERE = Path(__file__).resolve().parent
CHAPTER = HERE.parent / "chapters" / "15-a-million-sleepers.ipynb"
SIZES = [18, 100, 1_000, 10_000, 100_000, 1_000_000]
ROWS = 10  # of each group
ENOUGH = 60  # seconds for one fit, after which a tool is taken no further
REPEATS = 3
PARTS = 20  # files of the rows on disk


def rows(groups: int, each: int = ROWS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, group numbers and predictor: sleepers as in the study, on days of their own."""
    rng = np.random.default_rng(groups)
    group = np.repeat(np.arange(groups), each)
    x = rng.uniform(0, 9, group.size)
    alpha, beta = rng.normal(251, 25, groups), rng.normal(10, 6, groups)
    return alpha[group] + beta[group] * x + rng.normal(0, 25, group.size), group, x


def grouped(groups: int) -> hb.GroupedData:
    """The rows as the samplers' models take them."""
    y, group, x = rows(groups)
    return hb.GroupedData(y=y, group=group, x=x, labels=tuple(map(str, range(groups))))


# --- what is measured, each in a process of its own -----------------------------------------------


def exact(groups: int) -> float:
    """From rows in memory to the population's summary and every group's mean and SD."""

    def work(groups: int) -> float:
        y, group, x = rows(groups)
        start = time.perf_counter()
        posterior = hb.exact_posterior(hb.group_sums(y, group, x), hb.Priors.for_sleepstudy())
        posterior.summary()
        posterior.group_arrays()
        return time.perf_counter() - start

    work(1_000)  # all is imported
    return work(groups)


def nuts(groups: int) -> float:
    """The default of hbutils: 4 chains of 1000 + 1000 draws, every group sampled."""
    data = grouped(groups)
    start = time.perf_counter()
    hb.sample(hb.partial_pooling(data, hb.Priors.for_sleepstudy()), seed=1, check=False)
    return time.perf_counter() - start


def nuts_integrated(groups: int) -> float:
    """The same sampler on the five unknowns of the model that chapter 15 writes, lines integrated out."""
    import pymc as pm  # noqa: PLC0415 - where it is not measured it would only take memory

    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    sources = ("".join(cell["source"]) for cell in cells)
    names = {"pm": pm}
    exec(next(s for s in sources if s.startswith("def integrated_model")), names)  # noqa: S102 - our own
    y, group, x = rows(groups)
    start = time.perf_counter()
    model = names["integrated_model"](hb.group_sums(y, group, x), hb.Priors.for_sleepstudy())
    hb.sample(model, seed=1, check=False)
    return time.perf_counter() - start


def advi(groups: int) -> float:
    """PyMC's mean-field ADVI, 20,000 steps."""
    import pymc as pm  # noqa: PLC0415 - where it is not measured it would only take memory

    data = grouped(groups)
    start = time.perf_counter()
    with hb.partial_pooling(data, hb.Priors.for_sleepstudy()):
        pm.fit(20_000, random_seed=1, progressbar=False)
    return time.perf_counter() - start


def lme4(groups: int) -> tuple[float, float]:
    """lme4's point estimate (REML), in R; reading the rows is not counted. Seconds, and R's peak memory."""
    y, group, x = rows(groups)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        pd.DataFrame({"y": y, "x": x, "g": group}).to_csv(file, index=False)
        command = ["Rscript", str(HERE / "lme4.R"), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    return said["seconds"], said["peak_mb"]


FITS = {"exact": exact, "NUTS": nuts, "NUTS on five": nuts_integrated, "ADVI": advi, "lme4": lme4}


def measured(tool: str, groups: int) -> tuple[float, float]:
    """Seconds of a fit, and the peak memory in MB of the process, or of R, that it ran in."""
    command = [sys.executable, __file__, "--fit", tool, str(groups)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def fit(tool: str, groups: int) -> None:
    """What :func:`measured` runs."""
    found = FITS[tool](groups)
    print(json.dumps(found if tool == "lme4" else [found, peak()]))


def growth(sizes: list[int], tools: list[str]) -> pd.DataFrame:
    """Measure tools at all sizes that they can be expected to reach."""
    found = []
    for tool in tools:
        if tool == "lme4" and not shutil.which("Rscript"):
            sys.stderr.write("lme4: no R on this machine\n")
            continue
        last = 0.0
        for groups in sizes:
            if last > ENOUGH:
                break
            repeats = REPEATS if last < ENOUGH / 10 else 1
            seconds, peaks = zip(*(measured(tool, groups) for _ in range(repeats)), strict=True)
            last = statistics.median(seconds)
            found.append({"tool": tool, "groups": groups, "seconds": last, "peak_mb": max(peaks)})
            sys.stderr.write(f"{tool}, {groups:,} groups: {last:.2f} s, {max(peaks):.0f} MB\n")
    return pd.DataFrame(found)


def from_disk(groups: int, each: int) -> list[dict]:
    """Rows a second from Parquet files, on one worker and two, and what memory a worker takes for it."""
    from distributed import Client, LocalCluster  # noqa: PLC0415

    y, group, x = rows(groups, each)
    table = pd.DataFrame({"y": y, "x": x, "g": group}).sample(frac=1, random_state=1)  # groups all over
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for k, part in enumerate(np.array_split(np.arange(len(table)), PARTS)):
            table.iloc[part].to_parquet(Path(folder) / f"{k:02}.parquet", index=False)
        table.head(1000).to_parquet(Path(folder) / "few.parquet", index=False)
        for workers in (1, 2):
            with (
                LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
                Client(cluster) as client,
            ):
                names = {"y": "y", "x": "x", "group": "g", "cluster": client}
                hb.read_group_sums(f"{folder}/few.parquet", **names)  # all is imported
                before = max(client.run(peak).values())
                start = time.perf_counter()
                hb.read_group_sums(f"{folder}/[0-9]*.parquet", **names)
                seconds = time.perf_counter() - start
                taken = max(client.run(peak).values()) - before
            speed = len(table) / seconds
            found.append(
                {"groups": groups, "workers": workers, "speed": speed, "before": before, "mb": taken}
            )
            sys.stderr.write(f"{groups:,} groups, {workers} workers: {found[-1]}\n")
    return found


def peak() -> float:
    """Peak memory of this process in MB; what `resource` says would count its parent's as well."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


# --- the report ------------------------------------------------------------------------------------


def slope(found: pd.DataFrame, tool: str, first: int) -> float:
    """Slope of log seconds on log groups from some size on."""
    some = found[(found["tool"] == tool) & (found["groups"] >= first)]
    return float(np.polyfit(np.log(some["groups"]), np.log(some["seconds"]), 1)[0])


def report(found: pd.DataFrame, disk: pd.DataFrame, again: list[str]) -> str:
    """The measurements in words and tables; `again` are the tools of this run, if the others are older."""
    table = found.pivot_table(index="groups", columns="tool", values=["seconds", "peak_mb"])
    tools = list(found["tool"].unique())
    seconds, memory = table["seconds"][tools], table["peak_mb"][tools]
    lines = ["| groups | " + " | ".join(tools) + " |", "|---:|" + "---:|" * len(tools)]
    for groups in seconds.index:
        pairs = zip(seconds.loc[groups], memory.loc[groups], strict=True)
        cells = ["" if np.isnan(s) else f"{s:.2f} s, {m:,.0f} MB" for s, m in pairs]
        lines.append(f"| {groups:,} | " + " | ".join(cells) + " |")
    steep = slope(found, "exact", 10_000)
    said = [f"From 10,000 groups on, the exact route's slope on log-log axes is {steep:.2f}."]
    if not np.isnan(theirs := seconds.get("lme4", pd.Series(dtype=float)).get(100_000, np.nan)):
        ratio = theirs / seconds["exact"][100_000]
        said.append(f"At 100,000 groups lme4 takes {ratio:.0f} times as long, for its point estimate.")
    if again:
        said.append(f"In this run: {', '.join(again)}; the others were measured in an earlier one.")
    on_disk = "\n".join(
        f"| {row.groups:,} | {row.workers} | {row.speed:,.0f} | {row.mb:,.0f} |" for row in disk.itertuples()
    )
    today = dt.datetime.now(tz=dt.UTC)
    system, version = f"{platform.system()} {platform.machine()}", platform.python_version()
    text, on_all = "\n".join(lines), " ".join(said)
    total = SIZES[-1] * ROWS
    return f"""# Many groups

Written by `python benchmarks/scale.py` on {today:%Y-%m-%d}: {system}, {os.cpu_count()} cores,
Python {version}.

Simulated sleepers with {ROWS} rows each, every one on days of their own, so that no two have the same design.
Seconds of the fit and peak memory of its process; medians of {REPEATS}, or one where a fit takes long. A tool
is taken no further once a fit takes {ENOUGH} s.

{text}

![Seconds against groups, on logarithmic axes, a line for each tool](scale.svg)

- **exact**: `hb.group_sums`, `hb.exact_posterior`, its summary, and every group's mean and SD.
- **NUTS**: `hb.sample`, 4 chains of 1000 + 1000, compilation included; **on five**: with everybody's line
  integrated out first, as in chapter 15. **ADVI**: PyMC's, 20,000 steps.
- **lme4**: `lmer(y ~ x + (x || g))`, a point estimate; reading the rows is not counted.

{on_all}

## Rows on disk

{total:,} rows in {PARTS} Parquet files, those of a sleeper scattered over all of them, summed by
`hb.read_group_sums`. In memory these rows alone take {total * 24 / 1e6:.0f} MB. A worker that has read next
to nothing takes {disk["before"].max():.0f} MB; the table has what it takes on top of that. With few rows a
group the sums are nearly as many as the rows.

| groups | workers | rows a second | MB more, at most |
|---:|---:|---:|---:|
{on_disk}
"""


def draw(found: pd.DataFrame) -> None:
    """Draw the seconds, for a look at once; the book draws its own."""
    hb.use_style()
    figure, ax = plt.subplots(figsize=(6.4, 4))
    for tool, part in found.groupby("tool", sort=False):
        ax.loglog(part["groups"], part["seconds"], "o-", label=tool)
    ax.set(xlabel="groups", ylabel="seconds")
    ax.legend()
    figure.savefig(HERE / "scale.svg")


def main() -> None:
    """Measure, print and write the report; or make one fit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "tools", nargs="*", metavar="TOOL", help=f"of {', '.join(FITS)}; all if none is named"
    )
    parser.add_argument("--quick", action="store_true", help="small numbers, nothing written")
    parser.add_argument("--fit", nargs=2, metavar=("TOOL", "GROUPS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fit:
        fit(given.fit[0], int(given.fit[1]))
        return
    sizes = SIZES[:3] if given.quick else SIZES
    found = growth(sizes, given.tools or list(FITS))
    total = sizes[-1] * ROWS
    disk = pd.DataFrame([*from_disk(total // 100, 100), *from_disk(sizes[-1], ROWS)])
    if given.quick:
        print(found, disk, sep="\n")
        return
    file = HERE / "scale.csv"
    if given.tools:
        known = pd.read_csv(file)
        found = pd.concat([found, known[~known["tool"].isin(given.tools)]])
        found = pd.concat([found[found["tool"] == tool] for tool in FITS])
    found.round(3).to_csv(file, index=False)
    text = report(found, disk, given.tools)
    print(text)
    (HERE / "scale.md").write_text(text, encoding="utf-8")
    draw(found)


if __name__ == "__main__":
    main()

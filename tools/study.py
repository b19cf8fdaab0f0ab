"""Run the simulation study behind the decision table of chapter 17.

    python tools/study.py        on all cores of this machine; writes data/study.csv
    python tools/study.py --scheduler tcp://10.0.0.5:8786
                                 on the workers of a running Dask scheduler

A run that is stopped, or killed, goes on where it was when it is started again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hbutils import study

DATA = Path(__file__).resolve().parents[1] / "data"


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scheduler", help="address of a running Dask scheduler whose workers have hbutils")
    parser.add_argument("--datasets", type=int, default=study.DATASETS, help="in each cell (%(default)s)")
    parser.add_argument("--seed", type=int, default=study.SEED, help="of all of them (%(default)s)")
    parser.add_argument(
        "--out", type=Path, default=DATA / "study.csv", help="the file to write (%(default)s)"
    )
    options = parser.parse_args()
    study.run(options.out, datasets=options.datasets, seed=options.seed, scheduler=options.scheduler)


if __name__ == "__main__":
    main()

"""Make the simulated drivers' study: drivers.csv and drivers_truth.csv, beside this file.

Twelve drivers in a driving simulator brake when a light turns red. Every number here is invented;
the point of the study is that the truth is known. Drivers differ in how often they were tested.

Run ``python data/make_drivers.py``; the same seed always gives the same files.
"""

from pathlib import Path

import pandas as pd

from hbutils.simulate import Simulated, simulate

SEED = 20030
TRIALS = [3, 3, 4, 4, 5, 6, 8, 8, 10, 12, 15, 20]
POPULATION = {"mu_alpha": 700.0, "sigma_alpha": 60.0, "sigma": 120.0}  # ms


def drivers() -> Simulated:
    """The study, with its truth."""
    return simulate(
        SEED,
        n_groups=len(TRIALS),
        n_observations=TRIALS,
        labels=[f"D{j + 1:02d}" for j in range(len(TRIALS))],
        y_name="braking_ms",
        group_name="driver",
        units={"braking_ms": "ms"},
        **POPULATION,
    )


def main() -> None:
    """Write both files."""
    study = drivers()
    folder = Path(__file__).parent
    frame = study.data.to_frame()
    frame.insert(1, "trial", frame.groupby("driver").cumcount() + 1)
    frame.round(1).to_csv(folder / "drivers.csv", index=False)
    truth = pd.DataFrame({"driver": study.data.labels, "true_mean_ms": study.alpha.round(1)})
    truth.to_csv(folder / "drivers_truth.csv", index=False)


if __name__ == "__main__":
    main()

"""Make the simulated school beans: beans.csv and beans_truth.csv, beside this file.

Fourteen school classes grow beans on their windowsills. Each plant gets a fixed amount of water a day and is
measured after three weeks. Every number here is invented; the point of the study is that the truth is known,
and that the table looks like one of your own: rows in no order, columns no model needs, groups of all sizes.

Run ``python data/make_beans.py``; the same seed always gives the same files.
"""

from pathlib import Path

import numpy as np
import pandas as pd

SEED = 20031
CLASSES = ["1a", "1b", "2a", "2b", "3a", "3b", "3c", "4a", "4b", "5a", "5b", "6a", "6b", "6c"]
PLANTS = [5, 8, 26, 6, 14, 9, 5, 18, 7, 12, 22, 10, 6, 16]
DOSES = np.arange(5, 41, 5)  # ml a day
MIDDLE = 20  # ml a day, where a class's height is defined
HEIGHT = {"mean": 24.0, "sd": 3.0}  # cm at the middle dose, over classes
SLOPE = {"mean": 0.3, "sd": 0.1}  # cm per ml a day, over classes
NOISE = 3.5  # cm, a plant around its class's line


def beans() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The plants, and the classes' true lines."""
    rng = np.random.default_rng(SEED)
    truth = pd.DataFrame({"class": CLASSES})
    truth["height_cm_at_20_ml"] = rng.normal(HEIGHT["mean"], HEIGHT["sd"], len(CLASSES))
    truth["slope_cm_per_ml"] = rng.normal(SLOPE["mean"], SLOPE["sd"], len(CLASSES))
    parts = []
    for n, (name, height, slope) in zip(PLANTS, truth.itertuples(index=False), strict=True):
        # Doses are dealt like cards, so that even a class of five has different ones.
        water = np.concatenate([rng.permutation(DOSES) for _ in range(n // DOSES.size + 1)])[:n]
        grown = height + slope * (water - MIDDLE) + rng.normal(0, NOISE, n)
        sown = rng.choice(["Mon", "Tue", "Wed"])
        parts.append(pd.DataFrame({"sown": sown, "water_ml": water, "class": name, "height_cm": grown}))
    plants = pd.concat(parts).sample(frac=1, random_state=rng)
    plants.insert(0, "plant", np.arange(1, len(plants) + 1))
    return plants.round({"height_cm": 1}), truth.round({"height_cm_at_20_ml": 2, "slope_cm_per_ml": 3})


def main() -> None:
    """Write both files."""
    folder = Path(__file__).parent
    plants, truth = beans()
    plants.to_csv(folder / "beans.csv", index=False)
    truth.to_csv(folder / "beans_truth.csv", index=False)


if __name__ == "__main__":
    main()

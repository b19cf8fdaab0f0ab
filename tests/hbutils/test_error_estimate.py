"""The error that the exact posterior reports, against brute force on a hundred small and hard data sets.

Two to five groups, most of them with one observation, between-group SDs that may be nil, outcomes in units
from 1e-6 to 1e6. The oracle shares no formula with the code under test; it is only told where to look.
"""

import dataclasses

import numpy as np
import pytest
from brute_force import Axis, brute_force
from scipy import stats

import hbutils as hb

FROM_GROUPS = [0, 0.1, 0.3, 0.6, 1, 1.5, 2.2, 3.3, 5, 8, 14, 25, 50, 100, 250, 700, 2e3, 7e3]  # medians
FROM_NOISE = [0, 0.02, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.2, 1.6, 2.2, 3, 5, 9, 18, 40, 100, 300, 1e3]
ORDER = {False: 10, True: 6}  # nodes a panel
ORACLE = 5e-5  # posterior SDs that the oracle itself may be out by


def small_and_hard(seed):
    """A data set and priors."""
    rng = np.random.default_rng([seed, 77])
    sloped = seed % 4 == 0  # a dimension more: dear to the oracle
    n_groups = 2 if seed % 3 == 0 else int(rng.integers(2, 6 - 2 * sloped))
    counts = np.ones(n_groups, dtype=int)
    counts[-1] = rng.integers(3, 6)
    if seed % 5 == 0:
        counts[:] = rng.integers(1, 4, n_groups)
        counts[0] += 1
    unit = 10.0 ** rng.integers(-6, 7)
    group = np.repeat(np.arange(n_groups), counts)
    between = rng.choice([0, 0.3, 3])
    y = unit * (5 + between * rng.normal(size=n_groups)[group] + rng.normal(size=group.size))
    x = rng.permutation(6)[np.arange(group.size) % 6] * 10.0 ** rng.integers(-2, 3) if sloped else None
    data = hb.GroupedData(y=y, group=group, labels=[f"g{j}" for j in range(n_groups)], x=x)
    weak = hb.Priors.weakly_informative(data)
    others = [weak.sigma_alpha, hb.Exponential(weak.sigma_alpha.scale), hb.HalfNormal(0.2 * unit)]
    return data, dataclasses.replace(weak, sigma_alpha=others[seed % 3])


def oracle(data, priors, medians):
    """Brute force, on panels that end where nothing is left."""
    axes, log_priors = {}, {}
    for name in medians:
        prior = getattr(priors, name)
        kind = stats.halfnorm if isinstance(prior, hb.HalfNormal) else stats.expon
        log_priors[name] = kind(scale=prior.scale).logpdf
        edges = medians[name] * np.array(FROM_NOISE if name == "sigma" else FROM_GROUPS)
        ends = edges > prior.scale * (9 if kind is stats.halfnorm else 40)  # the prior leaves nothing there
        edges = edges[: max(4, int(ends.argmax()) + 1)] if ends.any() else edges
        axes[name] = Axis(edges, ORDER[data.x is not None])
    means = [(priors.mu_alpha.mean, priors.mu_alpha.sd)]
    if data.x is not None:
        means.append((priors.mu_beta.mean, priors.mu_beta.sd))
    return brute_force(data.y, data.x, data.group, means=means, log_priors=log_priors, axes=axes)


def worst_distance(posterior, found):
    """Largest distance, in posterior SDs, of means and SDs of population and groups."""
    summary, groups = posterior.summary(), posterior.groups()
    pairs = [(summary.loc["mu_alpha"], found.line(0))]
    pairs += [(summary.loc[name], found.axis_row(name)) for name in found.axes]
    for j, row in enumerate(groups.itertuples()):
        pairs.append(({"mean": row.alpha_mean, "sd": row.alpha_sd}, found.line(j + 1)))
    return max(abs(ours[c] - row[c]) / row["sd"] for ours, row in pairs for c in ("mean", "sd"))


@pytest.mark.parametrize("seed", range(100))
def test_the_reported_error_covers_the_distance_from_brute_force(seed):
    data, priors = small_and_hard(seed)
    coarse, fine = (hb.exact_posterior(data, priors, tolerance=t) for t in (1.0, 1e-5))
    sds = [name for name in fine.names if name.startswith("sigma")]
    found = oracle(data, priors, fine.summary()["q50"][sds].to_dict())
    assert worst_distance(coarse, found) < max(coarse.error, ORACLE)
    assert fine.error <= 1e-5
    assert worst_distance(fine, found) < ORACLE


def test_a_coarse_grid_does_err_and_says_so():
    """Or else the test above would hold for nothing."""
    errors = []
    for seed in (7, 9, 10, 13, 17, 19):
        data, priors = small_and_hard(seed)
        coarse, fine = (hb.exact_posterior(data, priors, tolerance=t).summary() for t in (1.0, 1e-5))
        errors.append(float(((coarse - fine)[["mean", "sd"]].div(fine["sd"], axis=0)).abs().max(axis=None)))
    assert max(errors) > 4 * ORACLE

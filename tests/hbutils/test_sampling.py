"""NUTS held to the exact posteriors, and refusal of chains that have not converged."""

import gc

import numpy as np
import nutpie
import pymc as pm
import pytest
import xarray as xr

import hbutils as hb
from hbutils import sampling

DATA = hb.load_sleepstudy()
PRIORS = hb.Priors.for_sleepstudy()
SEED = 8927
POPULATION = ["mu_alpha", "mu_beta", "sigma_alpha", "sigma_beta", "sigma"]


@pytest.mark.parametrize("centred", [True, False])
def test_nuts_agrees_with_the_exact_posterior_of_population_and_subjects(centred):
    fit = hb.sample(hb.partial_pooling(DATA, PRIORS, centred=centred), seed=SEED)
    table = hb.agreement(fit, hb.exact_posterior(DATA, PRIORS))
    assert list(table.index[:5]) == POPULATION
    assert len(table) == 5 + 36
    assert table["mean_distance"].abs().max() < 4
    # SDs of the population's quantities; some subjects' tails are too long for theirs to settle in 4000 draws
    assert table.loc[POPULATION, "sd_distance"].abs().max() < 4


def test_nuts_agrees_with_the_exact_correlated_posterior():
    # not centred: with intercepts and slopes correlated, a centred fit has a stray divergence now and then
    model = hb.partial_pooling(DATA, PRIORS, centred=False, correlated=True)
    fit = hb.sample(model, seed=SEED, draws=2000, target_accept=0.95)
    table = hb.agreement(fit, hb.exact_posterior(DATA, PRIORS, correlated=True))
    assert "rho" in table.index
    assert len(table) == 6 + 36
    assert table["mean_distance"].abs().max() < 4
    assert table.loc["rho", "sd_distance"] == pytest.approx(0, abs=4)


def test_nuts_agrees_with_the_exact_pooled_posterior():
    table = hb.agreement(hb.sample(hb.pooled(DATA, PRIORS), seed=SEED), hb.exact_pooled(DATA, PRIORS))
    assert list(table.index) == ["alpha", "beta", "sigma"]
    assert table[["mean_distance", "sd_distance"]].abs().to_numpy().max() < 4


def test_nuts_agrees_with_the_exact_unpooled_posteriors():
    table = hb.agreement(hb.sample(hb.unpooled(DATA, PRIORS), seed=SEED), hb.exact_unpooled(DATA, PRIORS))
    assert len(table) == 3 * 18
    assert table["mean_distance"].abs().max() < 4


def chains(**shifts: float) -> xr.DataTree:
    """Four chains of white noise; `shifts` moves the last chain of a variable."""
    rng = np.random.default_rng(SEED)
    posterior = {name: (("chain", "draw"), rng.standard_normal((4, 1000))) for name in ("calm", *shifts)}
    for name, shift in shifts.items():
        posterior[name][1][3] += shift
    stats = {
        "diverging": (("chain", "draw"), np.zeros((4, 1000), dtype=bool)),
        "energy": (("chain", "draw"), rng.standard_normal((4, 1000))),
    }
    return xr.DataTree.from_dict({"posterior": xr.Dataset(posterior), "sample_stats": xr.Dataset(stats)})


def test_white_noise_passes_every_check():
    assert hb.diagnostics(chains())["passed"].all()


def test_a_chain_that_lives_elsewhere_fails_and_is_named():
    table = hb.diagnostics(chains(shifted=3.0))
    assert not table.loc["largest R-hat", "passed"]
    assert table.loc["largest R-hat", "where"] == "shifted"
    assert not table.loc["smallest bulk ESS", "passed"]


def test_a_stuck_quantity_fails():
    fit = chains(stuck=0.0)
    fit["posterior"]["stuck"][:] = 1.0
    table = hb.diagnostics(fit)
    assert not table.loc["largest R-hat", "passed"]
    assert table.loc["largest R-hat", "where"] == "stuck"


def test_a_constant_among_unknowns_passes():
    """The diagonal of a correlation matrix does not move, and need not."""
    rng = np.random.default_rng(SEED)
    rho = rng.uniform(-1, 1, (4, 1000))
    matrix = np.stack([np.ones_like(rho), rho, rho, np.ones_like(rho)], axis=-1)
    fit = chains(a=0.0)
    posterior = fit["posterior"].to_dataset()
    posterior["matrix"] = ("chain", "draw", "entry"), matrix
    fit["posterior"] = xr.DataTree(posterior)
    assert hb.diagnostics(fit)["passed"].all()
    # Chains that stand still, each in its own place, are no constants
    posterior["matrix"][..., 0] = np.arange(4)[:, None]
    fit["posterior"] = xr.DataTree(posterior)
    table = hb.diagnostics(fit)
    assert not table.loc["largest R-hat", "passed"]
    assert table.loc["largest R-hat", "where"] == "matrix[0]"


def test_limits_are_those_of_the_literature():
    """Vehtari et al. 2021 (1.01, 100 a chain); Betancourt 2017 (0.3)."""
    assert hb.diagnostics(chains())["limit"].tolist() == [0, 1.01, 400, 400, 0.3]


def test_a_slight_shift_of_one_chain_fails():
    """A third of an SD gives an R-hat of about 1.02: too much, by a little."""
    table = hb.diagnostics(chains(shifted=0.35))
    assert 1.01 < table.loc["largest R-hat", "worst"] < 1.05
    assert not table.loc["largest R-hat", "passed"]


def test_tails_that_stick_fail_although_the_middle_mixes():
    fit = chains(tailed=0.0)
    draws = fit["posterior"]["tailed"]
    rng = np.random.default_rng(SEED)
    calm = np.clip(rng.standard_normal((4, 1000)), -1.5, 1.5)
    calm[:, :60] = 3 + 0.01 * rng.standard_normal((4, 60))  # one long visit to each tail, then never again
    calm[:, 60:120] = -3 + 0.01 * rng.standard_normal((4, 60))
    draws[:] = calm
    table = hb.diagnostics(fit)
    assert table.loc["smallest tail ESS", "where"] == "tailed"
    assert not table.loc["smallest tail ESS", "passed"]
    assert table.loc["smallest tail ESS", "worst"] < 0.7 * table.loc["smallest bulk ESS", "worst"]


def test_draws_of_another_model_are_not_compared():
    with pytest.raises(hb.InputError, match="the draws have no"):
        hb.agreement(chains(), hb.exact_pooled(DATA, PRIORS))


def test_one_divergence_is_one_too_many():
    fit = chains()
    fit["sample_stats"]["diverging"][2, 10] = True
    table = hb.diagnostics(fit)
    assert table.loc["divergences", "worst"] == 1
    assert not table.loc["divergences", "passed"]


def test_slow_energy_fails():
    fit = chains()
    fit["sample_stats"]["energy"][1] = np.cumsum(np.random.default_rng(SEED).standard_normal(1000))
    table = hb.diagnostics(fit)
    assert not table.loc["smallest E-BFMI", "passed"]
    assert table.loc["smallest E-BFMI", "where"] == "chain 1"


@pytest.fixture(scope="module")
def funnel() -> pm.Model:
    """Neal's funnel, centred: NUTS cannot get down its neck."""
    with pm.Model() as model:
        log_sd = pm.Normal("log_sd", 0, 3)
        pm.Normal("x", 0, pm.math.exp(log_sd), shape=9)
    return model


def test_an_unconverged_fit_is_refused_and_the_error_says_what_failed(funnel):
    with pytest.raises(hb.NotConverged, match=r"have not converged .*: try .*check=False") as caught:
        hb.sample(funnel, seed=SEED, draws=300, tune=300)
    assert isinstance(caught.value, hb.HbutilsError)
    failed = caught.value.table.query("~passed")
    assert len(failed) > 0
    assert all(name in str(caught.value) for name in failed.index)
    assert caught.value.fit["posterior"].sizes["draw"] == 300


def test_an_unconverged_fit_is_returned_when_asked_for(funnel):
    fit = hb.sample(funnel, seed=SEED, draws=300, tune=300, check=False)
    assert not hb.diagnostics(fit)["passed"].all()


def test_the_same_seed_gives_the_same_draws():
    model = hb.pooled(DATA, PRIORS)
    one, two = (hb.sample(model, seed=SEED, draws=200, check=False)["posterior"]["beta"] for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_a_model_is_compiled_once_until_it_changes(monkeypatch):
    compiled = []

    def counted(model):
        compiled.append(model)
        return compile_model(model)

    compile_model = nutpie.compile_pymc_model
    monkeypatch.setattr(nutpie, "compile_pymc_model", counted)
    with pm.Model() as model:
        level = pm.Data("level", 0.0)
        x = pm.Normal("x", level, 1.0)
    few = {"seed": SEED, "draws": 400, "tune": 200, "check": False}
    first, again = (hb.sample(model, **few)["posterior"]["x"] for _ in range(2))
    assert len(compiled) == 1
    np.testing.assert_array_equal(first, again)
    with model:
        pm.set_data({"level": 50.0})
    assert hb.sample(model, **few)["posterior"]["x"].mean() == pytest.approx(50, abs=1)
    with model:
        pm.Potential("narrow", -200 * (x - 50) ** 2)
    assert hb.sample(model, **few)["posterior"]["x"].std() < 0.1
    assert len(compiled) == 3


def test_what_was_compiled_goes_with_its_model():
    with pm.Model() as model:
        pm.Normal("x")
    hb.sample(model, seed=SEED, draws=100, tune=100, check=False)
    assert model in sampling._KEPT
    before = len(sampling._KEPT)
    del model
    gc.collect()
    assert len(sampling._KEPT) < before

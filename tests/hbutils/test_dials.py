"""The dials' scripts compute what NumPy and the exact posterior compute; their models say what the data say.

The scripts run in a small JavaScript engine here; tests/browser runs them where readers do.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import dukpy
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import interpolate, stats

import hbutils as hb
from hbutils import dials


@pytest.fixture(scope="module")
def posterior():
    return hb.exact_posterior(hb.load_sleepstudy(), hb.Priors.for_sleepstudy())


@pytest.fixture(scope="module")
def engine():
    """Run a line of JavaScript after the scripts of algebra and of densities."""
    interpreter = dukpy.JSInterpreter()
    scripts = [(dials.SCRIPTS / f"{name}.js").read_text(encoding="utf-8") for name in dials.LIBRARIES]
    interpreter.evaljs(f"var hbDials = {{}}; {'; '.join(scripts)}; 1")
    return interpreter


def fit_in_javascript(engine, data, **sds):
    rows = [data.rows(label) for label in data.labels]
    groups = [{"x": data.x[r].tolist(), "y": data.y[r].tolist()} for r in rows]
    return engine.evaljs(
        "var L = hbDials.lines; var s = dukpy['sds'];"
        "if (s.sigmaAlpha === null) s.sigmaAlpha = Infinity;"
        "L.fit(dukpy['groups'].map(function (g) { return L.sums(g.x, g.y); }), s)",
        groups=groups,
        sds=sds,
    )


def study(rng, sizes):
    x = np.concatenate([rng.permutation(12)[:n] for n in sizes]).astype(float)
    group = np.repeat(np.arange(len(sizes)), sizes)
    alpha, beta = rng.normal(100, 20, len(sizes)), rng.normal(3, 5, len(sizes))
    y = alpha[group] + beta[group] * x + rng.normal(0, 10, x.size)
    return hb.GroupedData(y=y, group=group, labels=[str(j) for j in range(len(sizes))], x=x)


@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(2, 12), min_size=2, max_size=8),
    ratio=st.floats(0.01, 5),
    sd=st.floats(0.01, 500),
    sigma=st.floats(1, 60),
)
def test_lines_of_unbalanced_studies_are_those_of_the_exact_posterior(seed, sizes, ratio, sd, sigma, engine):
    data = study(np.random.default_rng(seed), sizes)
    ours = fit_in_javascript(engine, data, sigma=sigma, sigmaAlpha=sd, sigmaBeta=ratio * sd)
    theirs = hb.conditional_posterior(data, sigma_alpha=sd, sigma_beta=ratio * sd, sigma=sigma)
    groups = theirs.groups()
    mean = np.array([g["mean"] for g in ours["groups"]])
    cov = np.array([g["cov"] for g in ours["groups"]])
    weight = np.array([g["weight"] for g in ours["groups"]])
    np.testing.assert_allclose(mean, groups[["alpha_mean", "beta_mean"]], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(cov[:, [0, 3]], groups[["alpha_sd", "beta_sd"]] ** 2, rtol=1e-6)
    np.testing.assert_allclose(weight[:, [0, 3]].sum(axis=1) / 2, theirs.weights(), atol=1e-6)
    np.testing.assert_allclose(ours["mean"], theirs.summary()["mean"], rtol=1e-6, atol=1e-6)


def test_without_spread_everybody_has_the_pooled_line(engine):
    data = hb.load_sleepstudy()
    lines = fit_in_javascript(engine, data, sigma=25.0, sigmaAlpha=0, sigmaBeta=0)["groups"]
    pooled = np.polyfit(data.x, data.y, 1)[::-1]
    np.testing.assert_allclose([g["mean"] for g in lines], np.tile(pooled, (18, 1)), rtol=1e-9)
    assert all(g["weight"] == [0, 0, 0, 0] for g in lines)


def test_with_endless_spread_everybody_has_their_own_line(engine):
    data = hb.load_sleepstudy()
    lines = fit_in_javascript(engine, data, sigma=25.0, sigmaAlpha=None, sigmaBeta=None)["groups"]
    own = [np.polyfit(data.x[r], data.y[r], 1)[::-1] for r in map(data.rows, data.labels)]
    np.testing.assert_allclose([g["mean"] for g in lines], own, rtol=1e-9)


def test_weight_is_the_shrinkage_matrix(engine):
    data = hb.load_sleepstudy()
    fit = fit_in_javascript(engine, data, sigma=25.0, sigmaAlpha=26.0, sigmaBeta=6.0)
    expected = hb.shrinkage_matrix(np.arange(10), sigma=25.0, sigma_alpha=26.0, sigma_beta=6.0)
    for group in fit["groups"]:
        np.testing.assert_allclose(np.reshape(group["weight"], (2, 2)), expected, atol=1e-12)


def test_group_without_observations_is_a_new_group(engine):
    data = study(np.random.default_rng(1), [5, 6, 7])
    sds = {"sigma": 10.0, "sigmaAlpha": 20.0, "sigmaBeta": 5.0}
    rows = [data.rows(label) for label in data.labels]
    groups = [{"x": data.x[r].tolist(), "y": data.y[r].tolist()} for r in rows] + [{"x": [], "y": []}]
    found = engine.evaljs(
        "var L = hbDials.lines;"
        "L.fit(dukpy['groups'].map(function (g) { return L.sums(g.x, g.y); }), dukpy['sds'])",
        groups=groups,
        sds=sds,
    )
    population = hb.conditional_posterior(data, sigma_alpha=20.0, sigma_beta=5.0, sigma=10.0).summary()
    new = found["groups"][3]
    np.testing.assert_allclose(new["mean"], population["mean"], rtol=1e-9)
    spread = population["sd"].to_numpy() ** 2 + np.array([400, 25])
    np.testing.assert_allclose([new["cov"][0], new["cov"][3]], spread, rtol=1e-9)


@settings(max_examples=25)
@given(mean=st.floats(-2, 2), sd=st.floats(0.2, 1), skew=st.floats(-3, 3), end=st.floats(-4, 8))
def test_densities_have_the_mass_and_quantiles_of_scipy_s(mean, sd, skew, end, engine):
    """A skew-normal density, cut off at its right or not, known up to a constant."""
    theirs = stats.skewnorm(skew, mean, sd)
    high = max(end, theirs.ppf(0.2))
    total = theirs.cdf(high)
    probabilities = [1e-4, 0.025, 0.5, 0.9, 0.999]
    log = [float(v) for v in theirs.logpdf(np.linspace(-12, high, 4000))]
    ours = engine.evaljs(
        "var a = dukpy, log = a.log.map(function (v) { return v + 7; });"
        "var d = hbDials.densities.density(log, -12, a.high);"
        "[d.log, d.mean(a.t), a.q.map(d.quantile), a.at.map(d.below)]",
        t=np.linspace(-12, high, 4000).tolist(),
        log=[max(v, -1e9) for v in log],
        high=float(high),
        q=probabilities,
        at=[float(v) for v in theirs.ppf([0.01, 0.1, 0.15])],
    )
    assert ours[0] == pytest.approx(7 + np.log(total), abs=1e-7)
    assert ours[1] == pytest.approx(theirs.expect(ub=high) / total, abs=1e-6)
    np.testing.assert_allclose(ours[2], theirs.ppf(np.multiply(probabilities, total)), atol=1e-6)
    np.testing.assert_allclose(ours[3], np.array([0.01, 0.1, 0.15]) / total, atol=1e-7)


def test_splines_and_series_are_those_of_scipy_and_numpy(engine):
    rng = np.random.default_rng(3)
    values, coefficients = rng.normal(size=9), rng.normal(size=7)
    x, u = np.linspace(-1, 9, 41), np.linspace(-1, 1, 21)
    ours = engine.evaljs(
        "[dukpy['x'].map(hbDials.densities.spline(dukpy['values'])),"
        " dukpy['u'].map(hbDials.densities.series(dukpy['c']))]",
        **{key: part.tolist() for key, part in {"x": x, "u": u, "values": values, "c": coefficients}.items()},
    )
    theirs = interpolate.CubicSpline(np.arange(9), values, bc_type="natural")(np.clip(x, 0, 8))
    np.testing.assert_allclose(ours[0], theirs, atol=1e-12)
    np.testing.assert_allclose(ours[1], np.polynomial.chebyshev.chebval(u, coefficients), atol=1e-12)


def test_dial_starts_where_the_data_put_it(posterior):
    model = dials.pooling_dial(posterior, "335").model
    row = posterior.summary().loc["sigma_alpha"]
    positions = [np.inf if p is None else p for p in model["positions"]]
    assert positions == sorted(positions)
    assert positions[0] == 0
    step = positions[51] / positions[50]
    assert abs(np.log(positions[model["start"]] / row["mean"])) <= np.log(step) / 2 + 0.01
    for end, quantile in [("low", "q2.5"), ("value", "mean"), ("high", "q97.5")]:
        between = np.interp(model["mark"][end], range(1, 100), np.log(positions[1:-1]))
        assert np.exp(between) == pytest.approx(row[quantile], rel=0.01), end


def test_ticks_stand_at_the_positions_of_their_values(posterior):
    model = dials.pooling_dial(posterior).model
    assert model["ticks"][0] == [0, 0]
    assert model["ticks"][-1] == [100, None]
    for position, sd in model["ticks"][1:-1]:
        below, above = int(position), int(position) + 1
        assert model["positions"][below] <= sd <= model["positions"][above]


def test_scripts_come_along_once_and_in_order(posterior):
    page = dials.sparse_subject(posterior, "308")._repr_html_()
    assert [page.count(f'hbDials.define("{name}"') for name in ("sparse_subject", "pooling_dial")] == [1, 0]
    parts = [
        page.index(s) for s in ("window.hbDials =", "hbDials.lines =", 'hbDials.define("sparse_subject"')
    ]
    assert parts == sorted(parts)


def test_nothing_in_the_data_can_end_the_script():
    frame = pd.DataFrame(
        {"who": ["</script><b>", "b"] * 4, "t": [0, 0, 1, 1, 2, 2, 3, 3], "y": [1.0, 2, 2, 4, 3, 5, 5, 8]}
    )
    data = hb.GroupedData.from_frame(frame, y="y", x="t", group="who")
    element = dials.pooling_dial(hb.exact_posterior(data)).element()
    assert element.count("</script>") == 1
    found = re.search(r'<script type="application/json">(.*)</script>', element)
    assert json.loads(found[1])["groups"][0]["label"] == "</script><b>"


@pytest.mark.parametrize("make", [dials.pooling_dial, dials.sparse_subject])
def test_unknown_group_and_missing_predictor_are_named(make, posterior):
    with pytest.raises(hb.InputError, match="999"):
        make(posterior, "999")
    without = hb.exact_posterior(replace(posterior.data, x=None, x_name="x"))
    with pytest.raises(hb.InputError, match="predictor"):
        make(without)


def test_group_without_a_line_of_its_own_is_named():
    frame = hb.load_sleepstudy().to_frame()
    frame = frame[(frame["subject"] != "335") | (frame["day"] == 0)]
    data = hb.GroupedData.from_frame(frame, y="reaction_ms", x="day", group="subject")
    posterior = hb.exact_posterior(data, hb.Priors.for_sleepstudy())
    with pytest.raises(hb.InputError, match="'335' has one value of 'day'"):
        dials.pooling_dial(posterior)
    assert dials.sparse_subject(posterior, "335").model["highlight"] == "335"


def test_posteriors_of_another_kind_are_refused(posterior):
    data = posterior.data
    with pytest.raises(hb.InputError, match="correlated"):
        dials.pooling_dial(hb.exact_posterior(data, hb.Priors.for_sleepstudy(), correlated=True))
    for other in (data, hb.exact_pooled(data)):
        with pytest.raises(hb.InputError, match="exact_posterior"):
            dials.sparse_subject(other)


def test_stored_outputs_have_the_scripts_of_today():
    """JupyterLab shows what a chapter stores; a page has its scripts as files."""
    code = re.compile(r'<script class="hb-dial-code">.*?</script>', re.DOTALL)
    found = 0
    for path in sorted((Path(hb.__file__).parents[1] / "chapters").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                page = "".join(output.get("data", {}).get("text/html", ""))
                for stored in code.findall(page):
                    name = re.search(r'data-dial="(\w+)"', page)[1]
                    assert stored == code.search(dials.Dial(name, {})._repr_html_())[0], (
                        f"run {path.name} again"
                    )
                    found += 1
    assert found >= 2


def test_units_and_names_are_the_data_s(posterior):
    model = dials.sparse_subject(posterior).model
    assert model["slope_unit"] == "ms per day"
    assert model["y"]["label"] == "reaction time (ms)"
    assert model["highlight"] == posterior.data.labels[0]


# --- hyperpriors ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def few():
    data = hb.load_sleepstudy()
    return data.keep(data.group < 3)


@pytest.fixture(scope="module")
def correlated(few):
    """Of an intercept and a slope that three subjects say little of, on a coarse grid."""
    return hb.exact_posterior(few, hb.Priors.for_sleepstudy(), correlated=True, tolerance=0.1)


def shipped_likelihood(study, sd):
    """What the script computes from the model."""
    ratio = sd / study["centre"]
    rest = np.polynomial.chebyshev.chebval(np.tanh(np.log(ratio)), study["series"])
    return rest - study["power"] / 2 * np.log1p(ratio**2)


def test_likelihood_of_the_sd_is_the_posterior_over_its_prior(few):
    """Under any prior; also without a predictor, with a flat prior on the mean, and for unequal groups."""
    priors = hb.Priors.for_sleepstudy()
    flat = replace(priors, mu_alpha=hb.Normal(0, np.inf))
    schools = hb.load_schools()
    schools = schools.keep(schools.group < 12)
    cases = [
        (few, priors, hb.HalfStudentT(1, 20)),
        (few, flat, hb.Exponential(30)),
        (hb.load_sleepstudy(), priors, hb.HalfNormal(3)),
        (replace(few, x=None, x_name="x"), priors, hb.HalfNormal(300)),
        (schools, hb.Priors.weakly_informative(schools), hb.HalfNormal(2)),
    ]
    for data, others, prior in cases:
        study = dials.hyperprior_dial({"all": data}, others).model["studies"][0]
        exact = hb.exact_posterior(data, replace(others, sigma_alpha=prior), tolerance=1e-9)
        axis = exact._axes["sigma_alpha"]
        sd = axis.coordinate.value(axis.t)
        held = axis.log_density > axis.log_density.max() - 8  # the axis itself is out by 1e-9 of its peak
        theirs = (axis.log_density - axis.coordinate.log_prior(axis.t))[held]
        difference = shipped_likelihood(study, sd[held]) - theirs
        assert np.ptp(difference) < 1e-6, (data, prior)


def test_hyperprior_dial_starts_at_the_prior(few):
    for prior, shape, scale in [
        (hb.HalfNormal(50.0), 0, 50),
        (hb.HalfStudentT(4, 20.0), 1, 20),
        (hb.Exponential(30.0), 2, 32),
        (hb.Uniform(100.0), 4, 100),
    ]:
        model = dials.hyperprior_dial(
            {"3": few}, replace(hb.Priors.for_sleepstudy(), sigma_alpha=prior)
        ).model
        assert (model["start"]["shape"], model["scales"][model["start"]["scale"]]) == (shape, scale)
    assert model["scales"][0] == 1
    documents = replace(hb.Priors.for_sleepstudy(), sigma_alpha=hb.GammaPrecision(0.001, 0.001))
    model = dials.hyperprior_dial({"3": few}, documents).model
    assert (model["start"]["shape"], model["start"]["epsilon"]) == (3, 0)
    assert (model["x"]["label"], model["x"]["domain"]) == ("between-subject SD (ms)", [0, 100])
    assert model["y"]["label"] == "density per ms"
    assert model["studies"][0]["groups"] == few.labels


def test_hyperprior_dial_says_what_is_wrong(few):
    priors = hb.Priors.for_sleepstudy()
    other = replace(few, units={"reaction_ms": "s"})
    for studies in ({}, few, None):
        with pytest.raises(hb.InputError, match="studies with names"):
            dials.hyperprior_dial(studies, priors)
    with pytest.raises(hb.InputError, match="study 'a' is not grouped data"):
        dials.hyperprior_dial({"a": few.to_frame()}, priors)
    with pytest.raises(hb.InputError, match="needs priors"):
        dials.hyperprior_dial({"a": few}, hb.HalfNormal(50))
    with pytest.raises(hb.InputError, match="study 'seconds' has another outcome, or other units"):
        dials.hyperprior_dial({"a": few, "seconds": other}, priors)
    with pytest.raises(hb.InputError, match="group"):
        dials.hyperprior_dial({"one": few.keep(few.group == 0)}, priors)


def test_correlation_dial_starts_at_the_prior(correlated):
    model = dials.correlation_dial(correlated).model
    assert model["etas"][model["start"]] == 1
    mean = correlated.summary()["mean"]
    assert model["mean"] == [mean["mu_alpha"], mean["mu_beta"]]
    assert model["sds"] == [mean["sigma_alpha"], mean["sigma_beta"]]
    assert (model["x"]["label"], model["y"]["label"]) == ("intercept (ms)", "slope (ms per day)")
    for own, label in zip(model["groups"], correlated.data.labels, strict=True):
        rows = correlated.data.rows(label)
        line = np.polyfit(correlated.data.x[rows], correlated.data.y[rows], 1)[::-1]
        np.testing.assert_allclose(own["own"], line, rtol=1e-9)


def test_narrow_prior_does_not_hide_what_the_data_say_of_a_correlation(correlated):
    narrow = replace(correlated.priors, rho=hb.LKJ(20.0))
    posterior = hb.exact_posterior(correlated.data, narrow, correlated=True, tolerance=0.1)
    wide, found = (dials.correlation_dial(p).model["likelihood"] for p in (correlated, posterior))
    t = np.linspace(-1.5, 1.5, 31)
    logs = [np.interp((t - m["start"]) / m["step"], range(len(m["log"])), m["log"]) for m in (wide, found)]
    np.testing.assert_allclose(*logs, atol=0.01)


def test_group_without_a_line_of_its_own_has_no_point(correlated):
    frame = correlated.data.to_frame()
    frame = frame[(frame["subject"] != "309") | (frame["day"] == 0)]
    data = hb.GroupedData.from_frame(frame, y="reaction_ms", x="day", group="subject")
    posterior = hb.exact_posterior(data, correlated.priors, correlated=True, tolerance=0.1)
    groups = dials.correlation_dial(posterior).model["groups"]
    assert [("own" in group) for group in groups] == [True, False, True]


def test_correlation_dial_needs_a_correlated_posterior(posterior):
    with pytest.raises(hb.InputError, match="correlated=True"):
        dials.correlation_dial(posterior)
    with pytest.raises(hb.InputError, match="exact_posterior"):
        dials.correlation_dial(posterior.data)


def test_shrinkage_dial_starts_where_it_is_told():
    model = dials.shrinkage_dial(820, 4, mu=700, sigma=120, sigma_alpha=60, unit="ms").model
    start, ticks = model["start"], model["ticks"]
    assert model["counts"][start["n"]] == 4
    assert model["noise"][start["sigma"]] == 120
    assert model["between"][start["sigmaAlpha"]] == 60
    assert [model["counts"][i] for i in ticks["n"]] == [1, 2, 5, 10, 20, 50, 100]
    assert [model["between"][i] for i in ticks["sd"]] == [7.5, 15, 30, 60, 120, 240, 480]
    assert model["x"] == {"label": "group mean (ms)", "domain": [490, 1030]}
    between = dials.shrinkage_dial(3.5, 13, mu=4, sigma=1 / 3, sigma_alpha=2, quantity="score").model
    assert between["counts"][between["start"]["n"]] == 13
    assert between["noise"][between["start"]["sigma"]] == 1 / 3
    assert between["x"]["label"] == "score"


def test_shrinkage_dial_says_what_is_wrong():
    known = {"mu": 700, "sigma": 120, "sigma_alpha": 60}
    for bad in ({"sigma": 0}, {"sigma_alpha": -1}, {"mu": np.nan}, {"sigma_alpha": np.inf}):
        with pytest.raises(hb.InputError, match="above zero"):
            dials.shrinkage_dial(820, 4, **{**known, **bad})
    for n in (0, 101, 2.5):
        with pytest.raises(hb.InputError, match=f"and not {n}"):
            dials.shrinkage_dial(820, n, **known)


@pytest.fixture(scope="module")
def few_cells():
    """A study of a few cells, of which one population is not normal."""
    cells = [
        hb.study.Cell(J, n, r, size)
        for J in (3, 10)
        for n in (3, 30)
        for r in (0.0, 0.4)
        for size in (True, False)
    ]
    others = [hb.study.Cell(3, 3, 0.4, True, "heavy")]
    return pd.concat([hb.study.compute(cell, datasets=20) for cell in [*cells, *others]], ignore_index=True)


def test_explorer_dial_carries_the_study_in_thousandths(few_cells):
    model = dials.explorer_dial(few_cells, groups=3, observations=30, icc=0.4).model
    assert [model[name] for name in ("groups", "observations", "icc")] == [[3, 10], [3, 30], [0.0, 0.4]]
    assert model["start"] == [0, 1, 1]
    rows = few_cells[(few_cells["model"] == "partial") & (few_cells["population"] == "normal")]
    rows = rows.sort_values(
        ["balanced", "groups", "observations", "icc"], ascending=[False, True, True, True]
    )
    found = []
    for low, digits in model["found"]["partial"]:
        width = len(digits) // 16
        found.append([low + int(digits[i : i + width]) for i in range(0, len(digits), width)])
    error, _, coverage = found
    np.testing.assert_allclose(coverage, 100 * rows["coverage"], atol=0.5)
    w = hb.shrinkage_weight(rows["observations"], 1, np.sqrt(rows["icc"] / (1 - rows["icc"])))
    paper = np.sqrt((1 / rows["groups"] + (1 - 1 / rows["groups"]) * w) / rows["observations"])
    np.testing.assert_allclose(error, 1000 * np.sqrt(rows["mse"]) / paper, atol=0.5)


def test_explorer_dial_says_what_is_wrong(few_cells):
    start = {"groups": 3, "observations": 3, "icc": 0.4}
    with pytest.raises(hb.InputError, match="columns missing: coverage, mse_lost"):
        dials.explorer_dial(few_cells.drop(columns=["mse_lost", "coverage"]), **start)
    with pytest.raises(hb.InputError, match=r"icc 0\.0, 0\.4, and not 0\.3"):
        dials.explorer_dial(few_cells, **start | {"icc": 0.3})
    for rows in (few_cells[few_cells["model"] != "pooled"], pd.concat([few_cells, few_cells])):
        with pytest.raises(hb.InputError, match="pooled model needs one row"):
            dials.explorer_dial(rows, **start)


def test_dials_load_the_scripts_they_need():
    assert dials.Dial("pooling_dial", {}).scripts == ("dial", "lines", "pooling_dial")
    assert dials.Dial("hyperprior_dial", {}).scripts == ("dial", "densities", "hyperprior_dial")
    assert dials.Dial("of_my_own", {}).scripts == ("dial", "of_my_own")

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
from hypothesis import given, strategies as st

import hbutils as hb
from hbutils import dials


@pytest.fixture(scope="module")
def posterior():
    return hb.exact_posterior(hb.load_sleepstudy(), hb.Priors.for_sleepstudy())


@pytest.fixture(scope="module")
def engine():
    """Run a line of JavaScript after the algebra's script."""
    interpreter = dukpy.JSInterpreter()
    script = (dials.SCRIPTS / "lines.js").read_text(encoding="utf-8")
    interpreter.evaljs(f"var hbDials = {{}}; {script}; 1")
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

"""What is drawn is what was computed."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

import hbutils as hb

DATA = hb.load_sleepstudy()
PRIORS = hb.Priors.for_sleepstudy()


@pytest.fixture
def ax():
    mpl.use("agg")
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture(scope="module")
def exact():
    return hb.exact_posterior(DATA, PRIORS)


def test_a_panel_shows_the_group_s_rows_and_its_line(ax):
    table = hb.least_squares(DATA)
    assert hb.plots.panel(ax, DATA, "335", {"unpooled": table}) is ax
    points, line = ax.lines
    np.testing.assert_array_equal(points.get_ydata(), DATA.y[DATA.rows("335")])
    slope, intercept = np.polyfit(DATA.x[DATA.rows("335")], DATA.y[DATA.rows("335")], 1)
    np.testing.assert_allclose(line.get_ydata(), [intercept, intercept + 9 * slope])
    assert line.get_color() == hb.PALETTE["unpooled"]


def test_a_panel_takes_posterior_means_too(ax, exact):
    hb.plots.panel(ax, DATA, "308", {"partial": exact.groups()})
    row = exact.groups().loc["308"]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), row.alpha_mean + row.beta_mean * np.array([0, 9]))


def test_a_panel_needs_a_predictor(ax):
    with pytest.raises(hb.InputError, match="needs a predictor"):
        hb.plots.panel(ax, hb.load_drivers(), "D01")


def test_panels_give_every_group_one_and_share_axes(exact):
    axes = hb.plots.panels(DATA, {"partial": exact.groups()}, columns=5)
    assert [ax.get_title(loc="left") for ax in axes] == list(DATA.labels)
    assert len({ax.get_ylim() for ax in axes}) == 1
    figure = axes[0].figure
    assert figure.get_supxlabel() == "day"
    assert figure.get_supylabel() == "reaction time (ms)"
    plt.close(figure)


def test_density_draws_the_exact_curve_over_a_histogram_of_area_one(ax, exact):
    marginal = exact.marginal("mu_beta")
    draws = stats.norm.rvs(10.5, 1.2, size=2000, random_state=1)
    hb.plots.density(ax, marginal, "partial", draws=draws)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), marginal.density)
    assert sum(bar.get_width() * bar.get_height() for bar in ax.patches) == pytest.approx(1, rel=1e-9)


def test_forest_intervals_are_1_96_sds_either_side(ax, exact):
    hb.plots.forest(ax, {"partial": exact.groups()}, "beta")
    segments = ax.collections[0].get_segments()
    order = [tick.get_text() for tick in ax.get_yticklabels()]
    rows = exact.groups().loc[order]
    assert rows["beta_mean"].is_monotonic_increasing
    widths = [segment[1, 0] - segment[0, 0] for segment in segments]
    np.testing.assert_allclose(widths, 2 * 1.96 * rows["beta_sd"])


def test_ellipses_hold_the_share_they_say(ax):
    cov = np.array([[600.0, -40.0], [-40.0, 35.0]])
    hb.plots.population_ellipses(ax, [250, 10], cov, levels=(0.5, 0.95))
    draws = np.random.default_rng(5).multivariate_normal([250, 10], cov, size=20_000)
    for ellipse, share in zip(ax.patches, (0.5, 0.95), strict=True):
        path = ellipse.get_path().transformed(ellipse.get_patch_transform())
        inside = path.contains_points(draws).mean()
        assert inside == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 20_000))


def test_arrows_run_from_own_line_to_pooled_line(ax, exact):
    table = hb.shrinkage_table(DATA, exact)
    hb.plots.arrows(ax, table)
    assert len(ax.patches) == 18
    for arrow, row in zip(ax.patches, table.itertuples(), strict=True):
        start, end = arrow._posA_posB
        assert start == (row.alpha_unpooled, row.beta_unpooled)
        assert end == (row.alpha, row.beta)


def test_group_means_mark_each_group_s_mean(ax):
    data = hb.load_drivers()
    hb.plots.group_means(ax, data, hb.least_squares(data), "unpooled")
    expected = [data.y[data.group == j].mean() for j in range(12)]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), expected)


def test_group_means_put_each_interval_on_its_own_group(ax):
    data = hb.load_drivers()
    means = hb.exact_posterior(data).groups()
    hb.plots.group_means(ax, data, means.iloc[::-1], "partial")
    for segment, label in zip(ax.collections[0].get_segments(), data.labels, strict=True):
        row = means.loc[label]
        expected = row["alpha_mean"] + np.array([-1.96, 1.96]) * row["alpha_sd"]
        np.testing.assert_allclose(segment[:, 1], expected)


def test_model_graph_names_every_variable_and_draws_every_dependence(ax):
    model = hb.partial_pooling(DATA, PRIORS)
    hb.plots.model_graph(ax, model)
    words = [text.get_text() for text in ax.texts]
    for name in (
        "mu_alpha",
        "sigma_alpha",
        "mu_beta",
        "sigma_beta",
        "sigma",
        "alpha",
        "beta",
        "reaction_ms",
        "day",
    ):
        assert words.count(name) == 1
    assert "subject × 18" in words
    assert "observation × 180" in words
    assert words.count("") == 8  # an arrow each: 2 to alpha, 2 to beta, 4 to the outcome

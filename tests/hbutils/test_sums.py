"""Group sums: the same posterior from rows, from six numbers a group, from files and from a cluster."""

import os
import re
import signal
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

import hbutils as hb
from hbutils import _quadrature, _tables, exact, sums
from hbutils._gaussian import Lines

SAME = 1e-8  # in posterior SDs


def nights(n_groups=60, seed=3, *, predictor=True):
    """Rows in no order, of groups of two to nine, with predictor values of their own."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), rng.integers(2, 10, n_groups))
    x = rng.uniform(0, 9, group.size)
    y = (250 + 25 * rng.normal(size=n_groups)[group]) + rng.normal(0, 25, group.size)
    if predictor:
        y += (10 + 6 * rng.normal(size=n_groups)[group]) * x
    order = rng.permutation(group.size)
    table = pd.DataFrame({"sleeper": group, "day": x, "ms": y}).iloc[order]
    return table if predictor else table.drop(columns="day")


def from_rows(table):
    table = table.sort_values("sleeper", kind="stable")
    return hb.GroupedData.from_frame(table, y="ms", x="day" if "day" in table else None, group="sleeper")


def assert_same(one, two, within=SAME):
    """Two posteriors agree, in posterior SDs, on the population and on every group."""
    first, second = one.summary(), two.summary()
    assert list(first.index) == list(second.index)
    far = first.sub(second).div(first["sd"], axis=0).abs()
    assert far.to_numpy().max() < within
    (mean, sd), (other_mean, other_sd) = one.group_arrays(), two.group_arrays()
    assert np.abs((mean - other_mean) / sd).max() < within
    assert np.abs(other_sd / sd - 1).max() < within
    np.testing.assert_allclose(one.weights(), two.weights(), rtol=0, atol=within)


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", processes=True) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The same rows as two CSV files and as two Parquet files, each of several parts."""
    table = nights()
    half = len(table) // 2
    for k, part in enumerate((table[:half], table[half:])):
        part.to_csv(tmp_path / f"part{k}.csv", index=False)
        part.to_parquet(tmp_path / f"part{k}.parquet", index=False, row_group_size=50)
    monkeypatch.setattr(_tables, "BYTES", 1500)
    monkeypatch.setattr(_tables, "ROWS", 50)
    return tmp_path


NAMES = {"y": "ms", "x": "day", "group": "sleeper"}


# --- the numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("predictor", [True, False], ids=["lines", "means"])
def test_six_numbers_a_group_give_the_posterior_of_the_rows(predictor):
    data = from_rows(nights(predictor=predictor))
    found = hb.GroupSums.of(data)
    assert list(found.labels) == list(data.labels)
    assert_same(hb.exact_posterior(data), hb.exact_posterior(found))


def test_the_numbers_are_those_of_pandas():
    table = nights()
    found = hb.group_sums(table["ms"], table["sleeper"], table["day"])
    by = table.groupby("sleeper")
    np.testing.assert_array_equal(found.n, by.size())
    np.testing.assert_allclose(found.mean_x, by["day"].mean(), rtol=1e-13)
    np.testing.assert_allclose(found.syy, by["ms"].var(ddof=0) * by.size(), rtol=1e-11)
    products = [part["day"].cov(part["ms"]) * (len(part) - 1) for _, part in by]
    np.testing.assert_allclose(found.sxy, products, rtol=1e-9, atol=1e-9)


def test_sums_of_parts_of_groups_are_sums_of_the_whole():
    table = nights()
    parts = [hb.group_sums(t["ms"], t["sleeper"], t["day"]) for t in (table[:100], table[100:])]
    labels, joined = sums._joined_by_label([p.labels for p in parts], [p.table for p in parts])
    whole = hb.group_sums(table["ms"], table["sleeper"], table["day"])
    assert list(labels) == list(whole.labels)
    np.testing.assert_allclose(joined, whole.table, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("offset", [0, 1e6])
def test_outcomes_far_from_zero_keep_their_digits(offset):
    table = nights()
    far = hb.group_sums(table["ms"] + offset, table["sleeper"], table["day"] + offset)
    near = hb.group_sums(table["ms"], table["sleeper"], table["day"])
    np.testing.assert_allclose(far.syy, near.syy, rtol=1e-8)
    np.testing.assert_allclose(far.sxx, near.sxx, rtol=1e-6, atol=1e-8)


def test_predictions_and_probabilities_come_from_sums_as_well():
    data = from_rows(nights())
    one, two = (hb.exact_posterior(d) for d in (data, hb.GroupSums.of(data)))
    for group in (None, "7"):
        pd.testing.assert_frame_equal(one.predict([0, 9], group), two.predict([0, 9], group), rtol=1e-8)
    assert one.cdf("alpha", 250, "7") == pytest.approx(two.cdf("alpha", 250, "7"), abs=1e-8)
    with pytest.raises(hb.InputError, match="no sleeper 'nobody'"):
        two.predict(0, "nobody")


def test_advice_comes_from_sums_as_well_and_names_a_few_groups_only():
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(900), 5)
    levels = rng.standard_t(3, 900)  # a population with more odd ones than a normal has
    y = 3 * levels[group] + rng.normal(size=group.size)
    said = str(hb.advise(hb.group_sums(y, group)))
    assert "900 groups with 5 observations each" in said
    assert "Unusual even after shrinkage" in said
    assert re.search(r"and \d+ more, more than 2\.5 SDs", " ".join(said.split()))


def test_numbers_as_names_are_found_by_number_and_by_text():
    found = hb.group_sums([1, 2, 4, 3.0], [308, 308, 309, 309])
    assert found.position(309) == found.position("309") == 1


# --- from files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["part*.csv", "part*.parquet", "part?.*"])
def test_files_give_the_same_as_memory(client, files, pattern):
    chosen = str(files / pattern)
    found = hb.read_group_sums(chosen, **NAMES, cluster=client)
    table = nights()
    table = pd.concat([table, table]) if pattern == "part?.*" else table
    whole = hb.group_sums(table["ms"], table["sleeper"], table["day"])
    assert len(_tables.parts_of(chosen, list(NAMES.values()))) > 4
    assert list(found.labels) == list(whole.labels)
    assert_same(hb.exact_posterior(whole), hb.exact_posterior(found))


@pytest.mark.parametrize("many", [False, True], ids=["few", "many"])
def test_sums_that_stay_with_the_workers_give_the_same(client, files, monkeypatch, many):
    if many:  # as if the likelihood had to be interpolated
        monkeypatch.setattr(exact, "MANY_DESIGNS", 30)
    there = hb.read_group_sums(str(files / "*.csv"), **NAMES, cluster=client, gather=False)
    here = hb.read_group_sums(str(files / "*.csv"), **NAMES, cluster=client)
    assert there.n_groups == here.n_groups == 60
    assert there.n_observations == here.n_observations
    one, two = hb.exact_posterior(here), hb.exact_posterior(there)
    order = np.argsort(there.labels.astype(int))  # text, since they come from a CSV file
    far = one.summary().sub(two.summary()).div(one.summary()["sd"], axis=0).abs()
    assert far.to_numpy().max() < (1e-4 if many else SAME)  # parts of the groups are others there
    mean, sd = two.group_arrays()
    assert np.abs((mean[order] - one.group_arrays().mean) / sd[order]).max() < (1e-4 if many else SAME)
    seven = [p.predict([0, 9], 7) for p in (one, two)]
    pd.testing.assert_frame_equal(*seven, rtol=1e-4 if many else 1e-8)


def test_groups_that_are_to_stay_with_the_workers_do(client, tmp_path, monkeypatch):
    monkeypatch.setattr(_quadrature, "_PART", 30)
    monkeypatch.setattr(_quadrature, "_GROWTH", 8)  # so that parts of 240 and 1920 groups are looked at
    monkeypatch.setattr(sums, "FEW", 100)
    nights(3_000).to_parquet(tmp_path / "nights.parquet")
    there = hb.read_group_sums(tmp_path / "nights.parquet", **NAMES, cluster=client, gather=False)
    gather, fetched = Client.gather, []

    def watched(self, futures):
        found = gather(self, futures)
        fetched.append(sum(part.n.size for part in found if isinstance(part, Lines)))
        return found

    monkeypatch.setattr(Client, "gather", watched)
    posterior = hb.exact_posterior(there)
    assert 30 <= max(fetched) < 50  # each piece's share is rounded up
    monkeypatch.undo()
    here = hb.exact_posterior(hb.read_group_sums(tmp_path / "nights.parquet", **NAMES, cluster=client))
    far = here.summary().sub(posterior.summary()).div(here.summary()["sd"], axis=0).abs()
    assert far.to_numpy().max() < 1e-4


def test_a_group_keeps_its_name_whatever_else_its_part_of_a_file_holds(client, tmp_path, monkeypatch):
    monkeypatch.setattr(_tables, "BYTES", 60)
    names = ["1", "2"] * 8 + ["1", "007", "B2"] * 6
    rows = [f"{name},{k % 5},{k * k % 11}" for k, name in enumerate(names)]
    (tmp_path / "mixed.csv").write_text("\n".join(["sleeper,day,ms", *rows]) + "\n")
    assert len(_tables.parts_of(tmp_path / "mixed.csv", ["sleeper"])) > 3
    found = hb.read_group_sums(tmp_path / "mixed.csv", **NAMES, cluster=client)
    assert list(found.labels) == ["007", "1", "2", "B2"]
    assert found.counts.tolist() == [6, 14, 8, 6]
    assert found.position(1) == 1


def test_a_cluster_of_its_own_is_started_and_ended(files):
    found = hb.read_group_sums(files / "part0.parquet", **NAMES)
    assert found.n_observations == len(pd.read_parquet(files / "part0.parquet"))


def test_progress_is_counted(client, files, capsys):
    hb.read_group_sums(str(files / "*.csv"), **NAMES, cluster=client, progress=True)
    said = capsys.readouterr().err
    parts = len(_tables.parts_of(str(files / "*.csv"), list(NAMES.values())))
    assert said.endswith(f"\r{parts} of {parts} parts\n")


def slow(part, columns, pieces, *, text):
    time.sleep(0.3)
    return sums._summed(part, columns, pieces, text=text)


def test_a_killed_worker_changes_nothing(client, files, monkeypatch):
    whole = hb.read_group_sums(str(files / "*.csv"), **NAMES, cluster=client)
    victims = list(client.run(os.getpid).values())
    monkeypatch.setattr(sums, "_summed", slow)
    seen = []

    def after_some(done):
        if len(seen) == 2:
            os.kill(victims[0], signal.SIGKILL)
        seen.append(done)

    monkeypatch.setattr(sums.sys.stderr, "write", after_some)
    again = hb.read_group_sums(str(files / "*.csv"), **NAMES, cluster=client, progress=True)
    assert len(seen) > 4
    assert victims[0] not in client.run(os.getpid).values()
    assert list(again.labels) == list(whole.labels)
    np.testing.assert_allclose(again.table, whole.table, rtol=1e-12, atol=1e-9)


def test_workers_that_die_while_the_likelihood_is_summed_change_nothing(client, files):
    there = hb.read_group_sums(str(files / "*.csv"), **NAMES, cluster=client, gather=False)
    before = hb.exact_posterior(there).summary()
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    after = hb.exact_posterior(there).summary()
    assert before.sub(after).div(before["sd"], axis=0).abs().to_numpy().max() < SAME


# --- what cannot be used ---------------------------------------------------------------------------


def wrong_lines(change):
    def write(folder):
        lines = nights().head(200).to_csv(index=False).splitlines()
        lines[150] = change(lines[150])
        path = folder / "bad.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda line: line.rpartition(",")[0] + ",fast", "column 'ms' holds 'fast'"),
        (lambda line: line.rpartition(",")[0] + ",", "column 'ms' holds no number"),
        (lambda line: line.rpartition(",")[0] + ",inf", "column 'ms' holds inf"),
        (lambda line: line + ",7", "4 cells under a header of 3"),
        (lambda line: line.rpartition(",")[0], "2 cells under a header of 3"),
        (lambda line: "," + line.partition(",")[2], "column 'sleeper' is empty"),
        (lambda _: "", "0 cells under a header of 3"),
    ],
    ids=["text", "missing", "infinite", "too many cells", "too few", "no group", "an empty line"],
)
def test_a_malformed_line_is_named_with_its_file(client, tmp_path, monkeypatch, change, says):
    monkeypatch.setattr(_tables, "BYTES", 1500)
    path = wrong_lines(change)(tmp_path)
    with pytest.raises(hb.InputError, match=rf"'bad\.csv', line 151: .*({says})"):
        hb.read_group_sums(path, **NAMES, cluster=client)


def test_a_line_that_is_no_text_is_named(client, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_bytes(b"sleeper,day,ms\n1,2,3\n1,3,4\nJos\xe9,2,3\n")
    with pytest.raises(hb.InputError, match=r"'bad\.csv', line 4: not text in UTF-8"):
        hb.read_group_sums(path, **NAMES, cluster=client)


def test_a_malformed_row_of_a_parquet_file_is_named(client, tmp_path, monkeypatch):
    monkeypatch.setattr(_tables, "ROWS", 50)
    table = nights().reset_index(drop=True)
    table.loc[130, "day"] = np.nan
    table.to_parquet(tmp_path / "bad.parquet", row_group_size=50)
    with pytest.raises(hb.InputError, match=r"'bad\.parquet', row 130: column 'day' holds no number"):
        hb.read_group_sums(tmp_path / "bad.parquet", **NAMES, cluster=client)


def test_files_that_are_not_there_or_not_tables_are_refused(client, tmp_path):
    nights().to_csv(tmp_path / "good.csv", index=False)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "fake.parquet").write_text("no parquet")
    (tmp_path / "twice.csv").write_text("sleeper,ms,ms,day\n1,2,3,4\n")
    (tmp_path / "empty.csv").write_text("sleeper,ms,day\n")
    for file, says in {
        "nothing*.csv": "there is no file '.*nothing",
        "notes.txt": "neither .parquet nor .csv",
        "fake.parquet": "'fake.parquet' cannot be read as Parquet",
        "twice.csv": "two columns of 'twice.csv' are called 'ms'",
        "empty.csv": "the files have no rows",
    }.items():
        with pytest.raises(hb.InputError, match=says):
            hb.read_group_sums(str(tmp_path / file), **NAMES, cluster=client)
    with pytest.raises(hb.InputError, match=r"no column 'hour' in 'good\.csv': it has sleeper, day, ms"):
        hb.read_group_sums(tmp_path / "good.csv", y="ms", x="hour", group="sleeper", cluster=client)


def test_sums_are_not_left_with_workers_that_end(tmp_path):
    nights().to_csv(tmp_path / "good.csv", index=False)
    with pytest.raises(hb.InputError, match="so it needs a client"):
        hb.read_group_sums(tmp_path / "good.csv", **NAMES, gather=False)


def test_no_scheduler_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("hbutils._cluster.PATIENCE", 1)
    nights().to_csv(tmp_path / "good.csv", index=False)
    with pytest.raises(hb.InputError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        hb.read_group_sums(tmp_path / "good.csv", **NAMES, cluster="tcp://127.0.0.1:9")


GOOD = {"labels": ["a", "b"], "n": [3, 4], "mean_y": [1.0, 2.0], "syy": [2.0, 3.0]}
SLOPED = GOOD | {"mean_x": [0.0, 1.0], "sxx": [1.0, 1.0], "sxy": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (GOOD | {"n": [3, 0]}, "n must be 1 or more: see 'group' b"),
        (GOOD | {"n": [3]}, r"n has shape \(1,\)"),
        (GOOD | {"syy": [2.0, np.nan]}, "syy is missing or infinite for 'group' b"),
        (GOOD | {"syy": [2.0, -1.0]}, "syy must not be negative: see 'group' b"),
        (GOOD | {"syy": ["two", "three"]}, "syy must be numbers"),
        (GOOD | {"labels": ["a", "a"]}, "'group' a is there twice"),
        (GOOD | {"mean_x": [0.0, 1.0]}, "all of mean_x, sxx and sxy"),
        (SLOPED | {"sxy": [0.5, 5.0]}, "sxy is larger than sxx and syy allow: see 'group' b"),
        (
            SLOPED | {"sxx": [0.0, 0.0], "sxy": [0.0, 0.0], "mean_x": [1.0, 1.0]},
            "predictor 'x' is 1 in every",
        ),
        ({"labels": [], "n": [], "mean_y": [], "syy": []}, "there are no groups"),
    ],
    ids=str,
)
def test_impossible_sums_are_refused_by_name(given, says):
    hb.GroupSums(**SLOPED)
    with pytest.raises(hb.InputError, match=says):
        hb.GroupSums(**given)


def test_rows_that_do_not_fit_together_are_refused():
    with pytest.raises(hb.InputError, match="y has shape"):
        hb.group_sums([1.0, 2.0], ["a", "b", "c"])
    with pytest.raises(hb.InputError, match="y is missing or infinite in row 1"):
        hb.group_sums([1.0, np.nan], ["a", "b"])
    with pytest.raises(hb.InputError, match="every row needs a group"):
        hb.group_sums([1.0, 2.0], ["a", None])


def test_sums_without_noise_or_with_one_group_are_refused():
    with pytest.raises(hb.InputError, match="'y' is the same in every row"):
        hb.exact_posterior(hb.group_sums([2.0, 2, 2, 2], [1, 1, 2, 2]), hb.Priors.for_sleepstudy())
    with pytest.raises(hb.InputError, match="lies exactly on a line in every 'group'"):
        hb.exact_posterior(hb.group_sums([1.0, 1, 2, 2], [1, 1, 2, 2]))
    with pytest.raises(hb.InputError, match="has one group"):
        hb.exact_posterior(hb.group_sums([1.0, 2, 3], [1, 1, 1]))
    with pytest.raises(hb.InputError, match="a correlation needs a predictor"):
        hb.exact_posterior(hb.group_sums([1.0, 2, 3, 5], [1, 1, 2, 2]), correlated=True)


# --- many groups ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sds", "correlated"),
    [((25.0, 6.0), False), ((25.0, 0.0), False), ((0.5, 6.0), False), ((25.0, 6.0), True)],
    ids=["as in the sleep study", "no slope differs", "no intercept differs", "correlated"],
)
def test_an_interpolated_likelihood_gives_the_posterior_that_all_its_nodes_give(monkeypatch, sds, correlated):
    rng = np.random.default_rng(12)
    size = 1500
    group = np.repeat(np.arange(size), 6 if correlated else rng.integers(3, 9, size))
    # in four dimensions a million nodes are too many, unless all groups have one design
    x = np.tile(np.arange(6.0), size) if correlated else rng.uniform(0, 9, group.size)
    alpha, beta = (sd * rng.normal(size=size)[group] for sd in sds)
    given = hb.group_sums(250 + alpha + (10 + beta) * x + rng.normal(0, 25, group.size), group, x)
    options = {"priors": hb.Priors.for_sleepstudy(), "correlated": correlated}
    monkeypatch.setattr(exact, "MANY_DESIGNS", 10_000)
    direct = hb.exact_posterior(given, **options, tolerance=1e-3 if correlated else 1e-4)
    assert direct._target.fitted is None
    monkeypatch.setattr(exact, "MANY_DESIGNS", 0)
    monkeypatch.setattr("hbutils._quadrature._PART", 60)
    monkeypatch.setattr("hbutils._quadrature._GROWTH", 4)
    monkeypatch.setattr(exact, "_MUCH", 1000)
    fitted = hb.exact_posterior(given, **options)
    assert fitted._target.fitted is not None
    assert np.prod(fitted._target.fitted.coefficients.shape[:-1]) < fitted.nodes / 2
    # both are good to their errors, of at most 1e-4 SDs
    if correlated:
        far = direct.summary().sub(fitted.summary()).div(direct.summary()["sd"], axis=0)
        assert far.abs().to_numpy().max() < 3e-3
    else:
        assert_same(direct, fitted, within=3e-4)


def test_averages_over_fewer_nodes_are_those_over_all(monkeypatch):
    data = from_rows(nights(800))
    monkeypatch.setattr(exact, "MANY_DESIGNS", 900)
    all_nodes = hb.exact_posterior(data)
    assert all_nodes.nodes > 4000
    monkeypatch.setattr(exact, "_MUCH", 1)
    monkeypatch.setattr(exact, "MANY_DESIGNS", 700)
    assert_same(all_nodes, hb.exact_posterior(data), within=1e-4)


def test_where_the_sds_are_known_well_a_few_nodes_are_as_good_as_all(monkeypatch):
    simulated = hb.simulate(3, n_groups=20_000, n_observations=4, mu_alpha=5.0, sigma_alpha=1.0, sigma=1.0)
    data = hb.GroupSums.of(simulated.data)  # one design, so that all nodes cost little
    monkeypatch.setattr(exact, "_MUCH", 1e12)
    all_nodes = hb.exact_posterior(data)
    assert all_nodes._weights.size > 200
    sd = all_nodes.summary()["sd"] / all_nodes.summary()["mean"]
    assert sd[["sigma_alpha", "sigma"]].max() < 0.01
    monkeypatch.setattr(exact, "_MUCH", 1)
    assert_same(all_nodes, hb.exact_posterior(data), within=1e-7)


def test_the_part_of_the_groups_that_is_looked_at_first_does_not_matter(monkeypatch):
    data = from_rows(nights(400))
    monkeypatch.setattr(exact, "MANY_DESIGNS", 100)
    monkeypatch.setattr("hbutils._quadrature._GROWTH", 3)
    found = []
    for part in (20, 60, 150):
        monkeypatch.setattr("hbutils._quadrature._PART", part)
        found.append(hb.exact_posterior(data))
    assert_same(found[0], found[1], within=3e-4)
    assert_same(found[0], found[2], within=3e-4)


def test_groups_in_bulk_are_the_table_of_groups():
    posterior = hb.exact_posterior(hb.load_sleepstudy(), hb.Priors.for_sleepstudy())
    mean, sd = posterior.group_arrays()
    table = posterior.groups()
    np.testing.assert_array_equal(mean, table[["alpha_mean", "beta_mean"]])
    np.testing.assert_array_equal(sd, table[["alpha_sd", "beta_sd"]])
    lone = replace(hb.load_sleepstudy(), x=None)
    assert hb.exact_posterior(lone).group_arrays().mean.shape == (18, 1)

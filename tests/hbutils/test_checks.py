"""Checks accept what has the property, refuse what has not, and say why; answers survive being packed."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from hypothesis import given, strategies as st
from scipy import stats

import hbutils as hb
from hbutils import checks
from hbutils.checks import CheckFailed
from hbutils.data import InputError


@pytest.mark.parametrize("value", [3, 3.0, np.float32(3), np.int64(3), np.array(3.0), xr.DataArray(3.0)])
def test_number_takes_every_kind_of_number(value, capsys):
    assert checks.number(value, "n", low=0, high=4) == 3.0
    assert "✓ n is a number between 0 and 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("3", "a str"),
        (None, "return its result"),
        (..., "dots of the question"),
        (True, "a bool"),
        ([3], "a list"),
        (np.array([3.0]), "shape (1,)"),
        (np.nan, "finite"),
        (np.inf, "finite"),
        (5.0, "between 0 and 4"),
        (-1e-9, "between 0 and 4"),
    ],
)
def test_number_refuses_and_says_why(value, said):
    with pytest.raises(CheckFailed, match="n: ") as caught:
        checks.number(value, "n", low=0, high=4)
    assert said in str(caught.value)


def test_number_out_of_a_range_open_to_one_side():
    with pytest.raises(CheckFailed, match="below 0"):
        checks.number(-1, "n", low=0)
    with pytest.raises(CheckFailed, match="above 1"):
        checks.number(2, "n", high=1)


@pytest.mark.parametrize(
    "value", [[1, 2], (1.0, 2.0), np.array([1, 2]), pd.Series([1, 2]), xr.DataArray([1, 2])]
)
def test_array_takes_what_holds_numbers(value):
    np.testing.assert_array_equal(checks.array(value, "a", shape=2, low=0), [1.0, 2.0])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "None"),
        ("12", "a str"),
        ({1, 2}, "a set"),
        (["a", "b"], "array of numbers"),
        ([1, 2, 3], "shape"),
        ([[1, 2]], "shape"),
        ([1, np.nan], "missing or infinite"),
        ([1, -2], "below 0"),
    ],
)
def test_array_refuses_and_says_why(value, said):
    with pytest.raises(CheckFailed) as caught:
        checks.array(value, "a", shape=2, low=0)
    assert said in str(caught.value)


def test_text_and_one_of():
    assert checks.text("two words", "t", words=2) == "two words"
    assert checks.one_of("b", "choice", ["a", "b"]) == "b"
    for call in (
        lambda: checks.text("one", "t", words=2),
        lambda: checks.text(2, "t"),
        lambda: checks.one_of("c", "choice", ["a", "b"]),
        lambda: checks.one_of(["a"], "choice", ["a", "b"]),
    ):
        with pytest.raises(CheckFailed):
            call()


def test_agree_within_its_tolerance_only():
    checks.agree([1.0, 2.0], [1.0, 2.0 + 1e-7], "both")
    with pytest.raises(CheckFailed, match="do not agree"):
        checks.agree([1.0, 2.0], [1.0, 2.0001], "both")
    with pytest.raises(CheckFailed, match="different shapes"):
        checks.agree([1.0], 1.0, "both")
    with pytest.raises(CheckFailed):
        checks.agree(np.nan, np.nan, "both")


def test_orthogonal_accepts_least_squares_residuals_and_nothing_else():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 50))
    slope, intercept = np.polyfit(x, y, 1)
    left = y - intercept - slope * x
    checks.orthogonal(left, x, "residuals and x")
    with pytest.raises(CheckFailed, match="not orthogonal"):
        checks.orthogonal(left + 0.001 * x, x, "residuals and x")
    with pytest.raises(CheckFailed, match="one length"):
        checks.orthogonal(left[1:], x, "residuals and x")
    with pytest.raises(CheckFailed):
        checks.orthogonal(left * np.nan, x, "residuals and x")


def test_monotone_checks_are_strict():
    checks.rising([1, 2, 3], "it")
    checks.falling([3, 2, 1], "it")
    for refused in ([1, 1, 2], [2, 1, 3], [1, np.nan, 2]):
        with pytest.raises(CheckFailed):
            checks.rising(refused, "it")


def test_limit_of_the_shrinkage_weight():
    def weight(n):
        return hb.shrinkage_weight(n, 2.0, 5.0)

    checks.tends_to(weight, 1e12, 1, "the weight of a very large group")
    with pytest.raises(CheckFailed, match="extreme"):
        checks.tends_to(weight, 10, 1, "the weight of a very large group")


def test_self_check_waits_for_an_answer_and_raises_nothing(capsys):
    def check(answer):
        checks.agree(answer**-2, 0.04, "your SD and the precision")

    for answer, said in [(..., "no answer yet"), (5, "✓ your SD"), (4, "✗ your SD"), ("5", "✗ this is not")]:
        checks.self_check(answer, check)
        assert capsys.readouterr().out.startswith(("… " if answer is ... else "") + said)


@pytest.fixture(scope="module")
def model():
    with pm.Model() as made:
        mu = pm.Normal("mu", 1, 2)
        sigma = pm.HalfNormal("sigma", 3)
        group = pm.Normal("group", mu, sigma, shape=3)
        share = pm.Beta("share", 2, 2)
        pm.Normal("y", group[0] + share, 1, observed=[0.5, 1.5])
    return made


POINTS = [
    {"mu": 0.3, "sigma": 1.5, "group": [1.0, 2.0, -1.0], "share": 0.4},
    {"mu": -2, "sigma": 0.2, "group": [0.1, 0.2, 0.3], "share": 0.9},
]


def by_scipy(p):
    group = np.array(p["group"])
    return (
        stats.norm.logpdf(p["mu"], 1, 2)
        + stats.halfnorm.logpdf(p["sigma"], scale=3)
        + stats.norm.logpdf(group, p["mu"], p["sigma"]).sum()
        + stats.beta.logpdf(p["share"], 2, 2)
        + stats.norm.logpdf([0.5, 1.5], group[0] + p["share"], 1).sum()
    )


def test_log_probability_is_that_of_scipy_on_the_natural_scale(model):
    np.testing.assert_allclose(
        checks.log_probability(model, POINTS), [by_scipy(p) for p in POINTS], rtol=1e-10
    )


def test_log_probability_needs_every_unknown(model):
    with pytest.raises(InputError, match="'share'"):
        checks.log_probability(model, [{k: v for k, v in POINTS[0].items() if k != "share"}])


def test_variables_by_name_and_shape(model):
    checks.variables(model, {"mu": (), "sigma": (), "group": 3, "share": ()})
    for wanted, said in [
        ({"mu": (), "sigma": (), "group": 4, "share": ()}, "shape"),
        ({"mu": (), "sigma": (), "groups": 3, "share": ()}, "no unknown called 'groups'"),
        ({"mu": (), "sigma": (), "group": 3}, "more unknowns"),
    ]:
        with pytest.raises(CheckFailed, match=said):
            checks.variables(model, wanted)
    with pytest.raises(CheckFailed, match="PyMC model"):
        checks.variables("model", {})
    with pm.Model() as blind:
        pm.Normal("mu")
    with pytest.raises(CheckFailed, match="observed"):
        checks.variables(blind, {"mu": ()})


# --- packing ------------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(PLAIN)
def test_plain_answers_survive(value):
    assert checks.unpack(checks.pack(value)) == value


def test_arrays_tables_and_numpy_numbers_survive():
    table = pd.DataFrame({"mean": [1.5, np.nan], "name": ["a", "b"]}, index=["x", "y"])
    found = checks.unpack(
        checks.pack(
            {
                "matrix": np.arange(6).reshape(2, 3),
                "series": pd.Series([1, 2]),
                "array": xr.DataArray([0.1]),
                "words": np.array(["a", "b"]),
                "flag": np.bool_(True),
                "count": np.int64(3),
                "infinite": np.inf,
                "table": table,
            }
        )
    )
    np.testing.assert_array_equal(found["matrix"], np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(found["series"], [1.0, 2.0])
    np.testing.assert_array_equal(found["array"], [0.1])
    assert found["words"].tolist() == ["a", "b"]
    assert found["flag"] is True
    assert found["count"] == 3.0
    assert found["infinite"] == np.inf
    pd.testing.assert_frame_equal(found["table"], table, check_dtype=False)


def test_a_number_that_claims_to_equal_everything_becomes_an_ordinary_one():
    class Anything(float):
        def __eq__(self, other):
            return True

        __hash__ = float.__hash__

    found = checks.unpack(checks.pack({"a": Anything(7), "b": [Anything(7)], "c": np.array([Anything(7)])}))
    assert type(found["a"]) is float
    assert type(found["b"][0]) is float
    assert found["a"] != 3
    assert found["c"].dtype == float


@pytest.mark.parametrize("value", [lambda: 1, object(), 1j, {1, 2}, [np.array([1j])], "x" * 2_000_000])
def test_other_answers_are_refused(value):
    with pytest.raises(CheckFailed):
        checks.pack(value)


@pytest.mark.parametrize("text", ["", "{", '{"other": 1}', '{"frame": 3}', "[" * 100_000, '{"numbers": "x"}'])
def test_what_pack_does_not_write_is_refused(text):
    with pytest.raises(CheckFailed):
        checks.unpack(text)

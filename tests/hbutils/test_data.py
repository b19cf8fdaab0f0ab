"""Bad input is refused by name and left alone; good input cannot be changed behind one's back."""

import copy
import dataclasses
import datetime as dt
import hashlib
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from hbutils.data import (
    GroupedData,
    HbutilsError,
    InputError,
    load_drivers,
    load_drivers_truth,
    load_hospitals,
    load_schools,
    load_sleepstudy,
    read_csv,
)

DATA = Path(__file__).parents[2] / "data"


def frame(**columns):
    """Three sleepers, nights and reaction times; `columns` replace or, if None, remove what is there."""
    table = pd.DataFrame(
        {
            "reaction_ms": [250.0, 260.0, 255.0, 300.0, 310.0, 270.0],
            "day": [0, 1, 2, 0, 1, 0],
            "subject": ["ann", "ann", "ann", "bob", "bob", "cy"],
        },
        index=[10, 11, 12, 13, 14, 15],
    )
    for name, values in columns.items():
        table = table.drop(columns=name) if values is None else table.assign(**{name: values})
    return table


def read(table, **names):
    return GroupedData.from_frame(table, **({"y": "reaction_ms", "x": "day", "group": "subject"} | names))


def with_two(column):
    table = frame()
    return pd.concat([table, table[[column]]], axis=1)


NUMBERS = [250.0, 260.0, 255.0, 300.0, 310.0, 270.0]
WORDS = pd.Series([250.0, "fast", 255.0, 300.0, "slow", 270.0], index=frame().index, dtype=object)
HOLES = [250.0, np.nan, 255.0, np.inf, -np.inf, 270.0]

REFUSED = {
    "missing outcome column": (frame(reaction_ms=None), {}, ["no column 'reaction_ms'", "day, subject"]),
    "missing predictor column": (frame(day=None), {}, ["no column 'day'", "reaction_ms, subject"]),
    "missing group column": (frame(subject=None), {}, ["no column 'subject'", "reaction_ms, day"]),
    "table without columns": (pd.DataFrame(), {}, ["no column 'reaction_ms'", "none"]),
    "words in the outcome": (
        frame(reaction_ms=WORDS),
        {},
        ["'reaction_ms'", "rows 11, 14", "'fast'", "numeric"],
    ),
    "words in the predictor": (frame(day=WORDS), {}, ["'day'", "rows 11, 14", "'fast'", "numeric"]),
    "only words": (frame(day=list("abcdef")), {}, ["'day'", "10, 11, 12, 13, 14 and 1 more", "'a'"]),
    "categories that are words": (
        frame(day=pd.Categorical(list("abcabc"))),
        {},
        ["'day'", "rows 10", "numeric"],
    ),
    "truth values": (frame(reaction_ms=[True, False] * 3), {}, ["'reaction_ms'", "bool", "numeric"]),
    "nullable truth values": (
        frame(reaction_ms=pd.array([True, None] * 3, dtype="boolean")),
        {},
        ["'reaction_ms'", "boolean", "numeric"],
    ),
    "dates": (frame(day=pd.date_range("2020-01-01", periods=6)), {}, ["'day'", "datetime64", "numeric"]),
    "dates with a zone": (
        frame(day=pd.date_range("2020-01-01", periods=6, tz="UTC")),
        {},
        ["'day'", "datetime64", "numeric"],
    ),
    "dates as objects": (frame(day=[dt.date(2020, 1, 1)] * 6), {}, ["'day'", "rows 10", "numeric"]),
    "missing and infinite outcomes": (
        frame(reaction_ms=HOLES),
        {},
        ["'reaction_ms'", "missing or infinite", "rows 11, 13, 14"],
    ),
    "missing and infinite predictors": (
        frame(day=HOLES),
        {},
        ["'day'", "missing or infinite", "rows 11, 13, 14"],
    ),
    "missing integers": (
        frame(day=pd.array([0, 1, None, 0, 1, 2], dtype="Int64")),
        {},
        ["'day'", "missing or infinite", "rows 12"],
    ),
    "many missing values": (
        frame(reaction_ms=[np.nan] * 6),
        {},
        ["'reaction_ms'", "10, 11, 12, 13, 14 and 1 more"],
    ),
    "missing group name": (
        frame(subject=["ann", None, "ann", "bob", np.nan, "cy"]),
        {},
        ["'subject'", "no group name", "rows 11, 14"],
    ),
    "blank group name": (
        frame(subject=["ann", " ", "ann", "bob", "", "cy"]),
        {},
        ["'subject'", "rows 11, 14"],
    ),
    "missing category": (
        frame(subject=pd.Categorical(["ann", None, "ann", "bob", "bob", "cy"])),
        {},
        ["'subject'", "no group name", "rows 11"],
    ),
    "group names that read alike": (
        frame(subject=pd.Series([1, "1", 1, 2, 2, 2], index=frame().index, dtype=object)),
        {},
        ["'subject'", "twice"],
    ),
    "no rows": (frame().iloc[:0], {}, ["no rows", "'reaction_ms'"]),
    "constant predictor": (frame(day=[3] * 6), {}, ["'day'", "3 in every row", "no slope"]),
    "two outcome columns": (with_two("reaction_ms"), {}, ["two columns", "'reaction_ms'"]),
    "two group columns": (with_two("subject"), {}, ["two columns", "'subject'"]),
    "outcome as predictor": (
        frame(),
        {"x": "reaction_ms"},
        ["reaction_ms, reaction_ms, subject", "different"],
    ),
    "outcome as group": (frame(), {"group": "reaction_ms"}, ["reaction_ms, day, reaction_ms", "different"]),
}


@pytest.mark.parametrize(("table", "names", "words"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_naming_column_and_rows_and_left_as_it_was(table, names, words):
    before = table.copy(deep=True)
    with pytest.raises(InputError) as caught:
        read(table, **names)
    assert isinstance(caught.value, HbutilsError)
    assert isinstance(caught.value, ValueError)
    for word in words:
        assert word in str(caught.value)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    "values",
    [
        pd.to_timedelta([0, 1, 2, 0, 1, 0], unit="D"),
        pd.period_range("2020", periods=6, freq="Y"),
        np.array([0, 1, 2, 0, 1, 1j]),
        pd.Series([True, False, True, False, True, False], index=frame().index, dtype=object),
    ],
    ids=["durations", "periods", "complex numbers", "truth values as objects"],
)
def test_values_that_only_look_like_numbers_are_refused(values):
    # pandas makes numbers of them without a word: microseconds, years since 1970, the real part, 0 and 1
    with pytest.raises(InputError, match="'day'"):
        read(frame(day=values))


def test_a_multi_level_index_names_rows_by_all_levels():
    table = frame(day=HOLES).set_index(pd.MultiIndex.from_product([["a", "b"], [1, 2, 3]]))
    with pytest.raises(InputError, match=r"\('a', 2\)"):
        read(table)


def test_good_input_is_left_as_it_was_and_not_shared():
    table = frame()
    before = table.copy(deep=True)
    data = read(table)
    pd.testing.assert_frame_equal(table, before)
    table.loc[:, "reaction_ms"] = 0.0
    table.loc[:, "day"] = 7
    np.testing.assert_array_equal(data.y, NUMBERS)
    np.testing.assert_array_equal(data.x, [0, 1, 2, 0, 1, 0])


def test_arrays_changed_later_do_not_reach_the_data():
    y, group, x = np.array([1.0, 2, 3]), np.array([0, 0, 1]), np.array([0.0, 1, 2])
    units = {"y": "ms"}
    data = GroupedData(y=y, group=group, labels=("a", "b"), x=x, units=units)
    y[:], group[:], x[:], units["y"] = 9, 1, 9, "s"
    np.testing.assert_array_equal(data.y, [1, 2, 3])
    np.testing.assert_array_equal(data.group, [0, 0, 1])
    np.testing.assert_array_equal(data.x, [0, 1, 2])
    assert data.units == {"y": "ms"}


@pytest.mark.parametrize("name", ["y", "x", "group"])
def test_arrays_cannot_be_written_to(name):
    with pytest.raises(ValueError, match="read-only"):
        getattr(read(frame()), name)[0] = 1


@pytest.mark.parametrize("name", ["y", "x", "group", "labels", "y_name", "units", "counts", "new"])
def test_attributes_cannot_be_set(name):
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
        setattr(read(frame()), name, 1)


def test_groups_are_listed_in_order_of_first_appearance_with_their_counts():
    data = read(frame(subject=["cy", "ann", "cy", "bob", "ann", "cy"]))
    assert data.labels == ("cy", "ann", "bob")
    np.testing.assert_array_equal(data.group, [0, 1, 0, 2, 1, 0])
    np.testing.assert_array_equal(data.counts, [3, 2, 1])
    assert (data.n_groups, data.n_observations) == (3, 6)


def test_unused_categories_are_no_groups():
    names = pd.Categorical(["b", "b", "a", "a", "a", "b"], categories=["z", "a", "b"])
    assert read(frame(subject=names)).labels == ("b", "a")


def test_rows_and_position_find_a_group_by_name_or_number():
    data = read(frame(subject=[308, 309, 308, 310, 309, 308]))
    assert data.position("309") == data.position(309) == 1
    np.testing.assert_array_equal(data.rows("308"), [0, 2, 5])
    for look_up in (data.rows, data.position):
        with pytest.raises(InputError, match=r"no subject '999': there are 308, 309, 310"):
            look_up("999")


def test_keep_takes_the_marked_rows_and_drops_groups_left_empty():
    data = read(frame(), units={"reaction_ms": "ms"})
    kept = data.keep(data.y > 255)
    np.testing.assert_array_equal(kept.y, [260, 300, 310, 270])
    np.testing.assert_array_equal(kept.x, [1, 0, 1, 0])
    assert kept.labels == ("ann", "bob", "cy")
    without = data.keep(data.group != 0)
    assert without.labels == ("bob", "cy")
    np.testing.assert_array_equal(without.group, [0, 0, 1])
    assert without.units == data.units
    np.testing.assert_array_equal(data.y, NUMBERS)


@pytest.mark.parametrize(
    ("mask", "word"),
    [([0, 1, 2], "6 true or false"), ([True] * 5, "6 true or false"), ([False] * 6, "no row")],
    ids=["positions", "too short", "nothing"],
)
def test_keep_refuses_a_mask_that_is_not_one(mask, word):
    with pytest.raises(InputError, match=word):
        read(frame()).keep(mask)


def test_keep_refuses_rows_among_which_the_predictor_never_changes():
    with pytest.raises(InputError, match="'day' is 0 in every row"):
        read(frame()).keep([True, False, False, True, False, True])


def test_balanced_means_the_same_values_of_the_predictor_equally_often():
    day, subject = [0, 1, 2, 2, 1, 0], ["a", "a", "a", "b", "b", "b"]
    assert read(frame(day=day, subject=subject)).balanced
    assert not read(frame(day=[0, 1, 2, 0, 1, 1], subject=subject)).balanced
    assert not read(frame(day=day, subject=["a", "a", "b", "b", "b", "b"])).balanced
    assert read(frame(day=[0, 1, 2, 0, 1, 1], subject=subject), x=None).balanced


def test_axis_label_gives_name_and_unit_once():
    data = read(frame(), units={"reaction_ms": "ms", "day": "nights"})
    assert data.axis_label("y") == "reaction (ms)"
    assert data.axis_label("x") == "day (nights)"
    assert read(frame()).axis_label("y") == "reaction ms"


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(0, 4), st.integers(0, 9)), min_size=2, max_size=12)
)
def test_to_frame_and_back_changes_nothing(rows):
    y, group, x = (np.array(column) for column in zip(*rows, strict=True))
    x[0], x[1] = 0, 1
    table = pd.DataFrame({"reaction_ms": y, "day": x, "subject": group})
    data = read(table)
    again = read(data.to_frame())
    for name in ("y", "x", "group"):
        np.testing.assert_array_equal(getattr(again, name), getattr(data, name))
    assert again.labels == data.labels
    pd.testing.assert_frame_equal(again.to_frame(), data.to_frame())


def test_to_frame_without_a_predictor_has_two_columns():
    assert list(read(frame(), x=None).to_frame()) == ["subject", "reaction_ms"]


MADE = {
    "no rows": ({"y": [], "group": []}, "'y' has no rows"),
    "predictor too short": ({"x": [1.0]}, "'x' has shape"),
    "groups too few": ({"group": [0]}, "'group' has shape"),
    "missing outcome": ({"y": [1.0, np.nan, 3.0]}, "'y' has missing or infinite values in rows 1"),
    "infinite predictor": ({"x": [0.0, 1.0, np.inf]}, "'x' has missing or infinite values in rows 2"),
    "label twice": ({"labels": ("a", "a")}, "'group' lists a group name twice"),
    "position too high": ({"group": [0, 1, 2]}, "'group' points outside its 2 group names"),
    "position negative": ({"group": [0, 1, -1]}, "'group' points outside its 2 group names"),
    "empty groups": ({"group": [0, 0, 0], "labels": ("a", "b", "c")}, "'group' has groups without.*: b, c"),
    "constant predictor": ({"x": [2.0, 2.0, 2.0]}, "'x' is 2 in every row"),
}


@pytest.mark.parametrize(("change", "message"), MADE.values(), ids=MADE)
def test_data_made_by_hand_are_checked_too(change, message):
    good = {"y": [1.0, 2.0, 3.0], "group": [0, 0, 1], "labels": ("a", "b"), "x": [0.0, 1.0, 2.0]}
    GroupedData(**good)
    given_ = good | change
    before = copy.deepcopy(given_)
    with pytest.raises(InputError, match=message):
        GroupedData(**given_)
    assert str(given_) == str(before)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"y": ["a", "b", "c"]}, "y"),
        ({"y": [[1.0, 2.0, 3.0]]}, "y"),
        ({"x": ["a", "b", "c"]}, "x"),
        ({"group": [0.0, np.nan, 1.0]}, "group"),
        ({"group": [0.0, 0.5, 1.0]}, "group"),
    ],
    ids=[
        "words for outcomes",
        "a table for outcomes",
        "words for predictors",
        "missing group",
        "half a group",
    ],
)
def test_data_made_by_hand_from_the_wrong_kind_of_values_name_the_column(change, column):
    good = {"y": [1.0, 2.0, 3.0], "group": [0, 0, 1], "labels": ("a", "b"), "x": [0.0, 1.0, 2.0]}
    with pytest.raises(InputError, match=f"'{column}'"):
        GroupedData(**(good | change))


@pytest.fixture
def unequal():
    return read(frame())


def test_a_hierarchical_model_refuses_one_group_by_name(unequal):
    with pytest.raises(InputError, match="'subject' has one group, 'ann'"):
        unequal.keep(unequal.group == 0).check_hierarchical()


def test_a_correlation_without_a_predictor_is_refused():
    data = read(frame(), x=None)
    data.check_hierarchical()
    with pytest.raises(InputError, match="predictor"):
        data.check_hierarchical(correlated=True)


def test_the_unpooled_model_refuses_short_groups_by_name(unequal):
    with pytest.raises(InputError, match=r"'subject' bob, cy: fewer than 3 observations of 'reaction_ms'"):
        unequal.check_unpooled()
    without = read(frame(), x=None)
    with pytest.raises(InputError, match=r"'subject' cy: fewer than 2 observations of 'reaction_ms'"):
        without.check_unpooled()
    without.keep(without.group < 2).check_unpooled()


def test_the_unpooled_model_refuses_groups_whose_predictor_never_changes():
    data = read(frame(day=[0, 1, 2, 5, 5, 5], subject=["ann"] * 3 + ["bob"] * 3))
    with pytest.raises(InputError, match="'day' never changes in 'subject' bob"):
        data.check_unpooled()


# --- the book's data sets; facts from the table that came with them ---------------------------------

SHA256 = {
    "sleepstudy": "d8655797c48be78656e0f6966b1a1865ef469c8f27b673024113e2db3a5d9155",
    "math_achievement": "8212409720dba9c4c9f5d67961cb7a807715c0ce5a4c5405fc3d338ccebed502",
    "math_schools": "adcc1e8c15daaf9f23be6ead3c6ecbe7e42ac639566338625f6c13fb15295aae",
    "surgical": "615f8d6a140dc4007e69b32cffb8d4147fa0d36554760e267fe0243af5f72870",
}


@pytest.mark.parametrize("name", SHA256)
def test_data_files_are_those_that_were_checked(name):
    assert hashlib.sha256((DATA / f"{name}.csv").read_bytes()).hexdigest() == SHA256[name]


def test_sleep_study_has_18_subjects_on_ten_days_each():
    data = load_sleepstudy()
    assert (data.n_observations, data.n_groups, data.balanced) == (180, 18, True)
    assert (data.y_name, data.x_name, data.group_name) == ("reaction_ms", "day", "subject")
    for label in data.labels:
        np.testing.assert_array_equal(np.sort(data.x[data.rows(label)]), np.arange(10))
    assert data.y[data.rows("308")][0] == 249.56
    assert data.axis_label("y").endswith("(ms)")


def test_schools_have_7185_students_in_160_schools_of_14_to_67():
    data = load_schools()
    assert (data.n_observations, data.n_groups, data.balanced) == (7185, 160, False)
    assert (data.counts.min(), data.counts.max()) == (14, 67)
    assert (data.y_name, data.x_name, data.group_name) == ("math_score", "ses", "school")


def test_hospitals_are_twelve():
    table = load_hospitals().set_index("hospital")
    assert list(table) == ["operations", "deaths"]
    assert len(table) == 12
    assert table.loc["A"].tolist() == [47, 0]
    assert table.loc["H"].tolist() == [215, 31]
    assert (table["deaths"] <= table["operations"]).all()


def test_drivers_are_what_their_script_makes():
    study = runpy.run_path(str(DATA / "make_drivers.py"))["drivers"]()
    data = load_drivers()
    assert data.labels == study.data.labels
    assert data.x is None
    np.testing.assert_array_equal(data.group, study.data.group)
    np.testing.assert_allclose(data.y, study.data.y, rtol=0, atol=0.0500001)  # stored to a tenth of a ms
    truth = load_drivers_truth()
    assert tuple(truth.index) == data.labels
    np.testing.assert_allclose(truth, study.alpha, rtol=0, atol=0.0500001)


def test_beans_are_what_their_script_makes():
    made = runpy.run_path(str(DATA / "make_beans.py"))["beans"]()
    for name, table in zip(("beans", "beans_truth"), made, strict=True):
        shipped = pd.read_csv(DATA / f"{name}.csv")
        pd.testing.assert_frame_equal(shipped, table.reset_index(drop=True), rtol=0, atol=0.1)


def test_titles_replace_names_on_axes():
    data = read(frame(), units={"reaction_ms": "ms"}, titles={"reaction_ms": "reaction time"})
    assert data.axis_label("y") == "reaction time (ms)"
    assert data.keep(data.group == 0).axis_label("y") == "reaction time (ms)"


# --- files ------------------------------------------------------------------------------------------

GOOD_FILE = "class,water_ml,height_cm\n3a,10,12.5\n3a,20,18\n\n5b,10,13\n5b,30,22.5\n,,\n\n"


@pytest.fixture
def written(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "beans.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_a_file_is_read_without_its_empty_rows_and_numbered_as_in_a_spreadsheet(written):
    table = read_csv(written(GOOD_FILE))
    assert list(table) == ["class", "water_ml", "height_cm"]
    assert table.index.tolist() == [2, 3, 5, 6]
    assert table["height_cm"].tolist() == [12.5, 18, 13, 22.5]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_marks_and_blanks_that_spreadsheets_leave_do_no_harm(written, encoding):
    text = GOOD_FILE.replace("class,water_ml", "class , water_ml").replace("3a", "3å")
    table = read_csv(written(text, encoding))
    assert list(table) == ["class", "water_ml", "height_cm"]
    assert table["class"].tolist() == ["3å", "3å", "5b", "5b"]


def test_options_are_those_of_pandas(written):
    text = GOOD_FILE.replace(",", ";").replace(".", ",").replace("5b", "NÅ")
    table = read_csv(written(text, "cp1252"), sep=";", decimal=",", encoding="cp1252")
    assert table["height_cm"].tolist() == [12.5, 18, 13, 22.5]
    assert table["class"].tolist() == ["3a", "3a", "NÅ", "NÅ"]
    named = read_csv(written(GOOD_FILE), index_col="class")
    assert named.index.name == "class"


FILES_REFUSED = {
    "nothing": ("", {}, ["'beans.csv'", "empty"]),
    "semicolons": (GOOD_FILE.replace(",", ";"), {}, ["'class;water_ml;height_cm'", "semicolons", "sep=';'"]),
    "semicolons and decimal commas": (
        GOOD_FILE.replace(",", ";").replace(".", ","),
        {},
        ["'class;water_ml;height_cm'", "semicolons", "sep=';'"],
    ),
    "tabs": (GOOD_FILE.replace(",", "\t"), {}, ["tabs", r"sep='\t'"]),
    "commas after all": (GOOD_FILE, {"sep": ";"}, ["commas", "sep=','"]),
    "decimal commas in every row": (
        "class,water_ml,height_cm\n3a,10,12,5\n5b,10,13,0\n",
        {},
        ["more cells than its header", "quotes"],
    ),
    "decimal commas in some": (
        "class,water_ml,height_cm\n3a,10,12\n5b,10,13,5\n",
        {},
        ["row 3", "4 cells", "quotes"],
    ),
}


@pytest.mark.parametrize(("text", "options", "words"), FILES_REFUSED.values(), ids=FILES_REFUSED)
def test_files_that_would_be_read_wrongly_are_refused_with_what_to_do(written, text, options, words):
    with pytest.raises(InputError) as caught:
        read_csv(written(text), **options)
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_named(written, tmp_path):
    with pytest.raises(InputError, match=r"no file '.*nowhere\.csv'"):
        read_csv(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="no file"):
        read_csv(tmp_path)
    with pytest.raises(InputError, match=r"'beans\.csv' is not text in UTF-8.*cp1252"):
        read_csv(written(GOOD_FILE.replace("3a", "3å"), "cp1252"))


def test_what_is_wrong_in_a_file_is_named_by_its_row_in_the_spreadsheet(written):
    names = {"y": "height_cm", "x": "water_ml", "group": "class"}
    gap = read_csv(written(GOOD_FILE.replace("5b,10,13", "5b,10,")))
    with pytest.raises(InputError, match=r"'height_cm' has missing or infinite values in rows 5:"):
        GroupedData.from_frame(gap, **names)
    comma = read_csv(written(GOOD_FILE.replace("22.5", '"22,5"')))
    with pytest.raises(InputError, match=r"not numeric in rows 6 \(the first holds '22,5'\).*decimal=','"):
        GroupedData.from_frame(comma, **names)
    nameless = read_csv(written(GOOD_FILE.replace("3a", "NA")))
    with pytest.raises(InputError, match=r"no group name in rows 2, 3: .*keep_default_na=False"):
        GroupedData.from_frame(nameless, **names)


def test_group_names_are_read_without_blanks_and_whole_numbers_without_a_point():
    assert read(frame(subject=[308.0, 308.0, 309.0, 309.5, 308.0, 309.0])).labels == ("308", "309", "309.5")
    assert read(frame(subject=["ann ", "ann ", " bob", "cy", " bob", "cy"])).labels == ("ann", "bob", "cy")
    with pytest.raises(InputError, match="'subject' lists a group name twice, 'ann'"):
        read(frame(subject=["ann", "ann ", "ann", "bob", "bob", "cy"]))

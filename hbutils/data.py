"""Grouped data, checked once, and the data sets of the book."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from hbutils.sums import GroupSums, SpreadSums

__all__ = [
    "GroupedData",
    "HbutilsError",
    "InputError",
    "load_drivers",
    "load_drivers_truth",
    "load_hospitals",
    "load_schools",
    "load_sleepstudy",
    "read_csv",
]

DATA_FOLDER = Path(__file__).resolve().parents[1] / "data"
_SHOWN = 5  # how many offenders an error message names before it says "and k more"


class HbutilsError(Exception):
    """What every error raised on purpose by hbutils derives from."""


class InputError(HbutilsError, ValueError):
    """Data or settings that cannot be used; the message says which and what to do."""


def _listed(items: ArrayLike) -> str:
    """Name the first few items, and say how many more there are."""
    names = [str(item) for item in np.asarray(items).tolist()]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _frozen(values: ArrayLike, dtype: type, name: str) -> NDArray:
    """Copy into an array that nobody can write to, or say which column is at fault."""
    try:
        array: NDArray = np.array(values, dtype=dtype)
        whole = np.array_equal(array, np.asarray(values)) if dtype is np.int64 else True
    except (TypeError, ValueError):
        raise InputError(f"column '{name}' is not numeric: numbers are needed") from None
    if not whole:
        raise InputError(f"column '{name}' must hold whole numbers: the positions of group names")
    if array.ndim != 1:
        raise InputError(
            f"column '{name}' has {array.ndim} dimensions: a list with one value a row is needed"
        )
    array.setflags(write=False)
    return array


class Totals(NamedTuple):
    """Number of observations, means, and sums of squares and products around the means, of all rows."""

    n: float
    mean_x: float
    mean_y: float
    sxx: float
    sxy: float
    syy: float


@dataclass(frozen=True, eq=False)
class GroupedData:
    """Observations of one outcome, each belonging to one group.

    Build it with :meth:`from_frame`, which checks the columns and names what is wrong.

    Parameters
    ----------
    y : (N,) array
        Outcome of each observation.
    group : (N,) array of int
        Position of each observation's group in `labels`.
    labels : sequence of J names
        The groups, in the order in which results list them.
    x : (N,) array, optional
        Predictor of each observation. Without it every model has an intercept only.
    y_name, x_name, group_name : str
        What the columns are called. `group_name` is also the name of the dimension in the models.
    units : dict, optional
        Unit of each column that has one, such as ``{"reaction_ms": "ms"}``.
    titles : dict, optional
        What an axis calls a column whose name will not do, such as ``{"reaction_ms": "reaction time"}``.

    Raises
    ------
    InputError
        If lengths differ, a value is missing or infinite, a group has no observation,
        or the predictor never changes.
    """

    y: NDArray[np.float64]
    group: NDArray[np.int64]
    labels: tuple[str, ...]
    x: NDArray[np.float64] | None = None
    y_name: str = "y"
    x_name: str = "x"
    group_name: str = "group"
    units: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "y", _frozen(self.y, float, self.y_name))
        object.__setattr__(self, "group", _frozen(self.group, np.int64, self.group_name))
        object.__setattr__(self, "labels", tuple(str(label) for label in self.labels))
        object.__setattr__(self, "units", dict(self.units))
        object.__setattr__(self, "titles", dict(self.titles))
        if self.x is not None:
            object.__setattr__(self, "x", _frozen(self.x, float, self.x_name))
        self._check()

    def _check(self) -> None:
        if self.y.size == 0:
            raise InputError(f"column '{self.y_name}' has no rows: at least one observation is needed")
        columns = {self.y_name: self.y, self.group_name: self.group}
        if self.x is not None:
            columns[self.x_name] = self.x
        for name, values in columns.items():
            if values.shape != self.y.shape:
                raise InputError(
                    f"column '{name}' has shape {values.shape}, but '{self.y_name}' has {self.y.shape}: "
                    "give every observation one value of each"
                )
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                raise InputError(
                    f"column '{name}' has missing or infinite values in rows {_listed(bad)}: "
                    "drop those rows or fill them in"
                )
        if len(set(self.labels)) != len(self.labels):
            twice = next(name for name in self.labels if self.labels.count(name) > 1)
            raise InputError(
                f"'{self.group_name}' lists a group name twice, '{twice}': names must differ by more "
                "than blanks around them"
            )
        if self.group.min() < 0 or self.group.max() >= self.n_groups:
            raise InputError(
                f"'{self.group_name}' points outside its {self.n_groups} group names: "
                "positions run from 0 to the number of names less one"
            )
        empty = np.flatnonzero(self.counts == 0)
        if empty.size:
            raise InputError(
                f"'{self.group_name}' has groups without an observation: "
                f"{_listed(np.asarray(self.labels)[empty])}; remove their names"
            )
        if self.x is not None and np.ptp(self.x) == 0:
            raise InputError(
                f"predictor '{self.x_name}' is {self.x[0]:g} in every row, so no slope can be learnt: "
                "choose another column or leave the predictor out"
            )

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        *,
        y: str,
        group: str,
        x: str | None = None,
        units: dict[str, str] | None = None,
        titles: dict[str, str] | None = None,
    ) -> GroupedData:
        """Take columns of a data frame, which is left as it was.

        Parameters
        ----------
        df : DataFrame
            One row an observation.
        y, group, x : str
            Names of the outcome's, the group's and, if there is one, the predictor's column.
        units : dict, optional
            Unit of each column that has one.
        titles : dict, optional
            What an axis calls a column whose name will not do.

        Returns
        -------
        GroupedData
            Groups are listed in the order in which they first appear.

        Raises
        ------
        InputError
            If a column is missing or not numeric, a value or a group name is missing or
            infinite, there are no rows, or the predictor never changes.
        """
        wanted = [y, group] if x is None else [y, x, group]
        missing = [name for name in wanted if name not in df.columns]
        if missing:
            have = _listed([str(name) for name in df.columns]) or "none"
            raise InputError(f"no column '{missing[0]}': the table has {have}")
        twice = [name for name in wanted if list(df.columns).count(name) > 1]
        if twice:
            raise InputError(f"two columns are called '{twice[0]}': rename one of them")
        if len(set(wanted)) < len(wanted):
            raise InputError(
                f"columns {_listed(wanted)}: outcome, predictor and group must be different ones"
            )
        if not len(df):
            raise InputError(f"the table has no rows: column '{y}' needs at least one observation")
        numbers = {name: _numeric(df[name]) for name in wanted if name != group}
        index, labels = pd.factorize(df[group])
        blank = np.flatnonzero([not str(label).strip() for label in labels])
        unnamed = np.flatnonzero((index < 0) | np.isin(index, blank))
        if unnamed.size:
            raise InputError(
                f"column '{group}' has no group name in rows {_listed(df.index[unnamed])}: "
                "name the group or drop those rows (for groups called NA, read the file with "
                "keep_default_na=False)"
            )
        return cls(
            y=numbers[y],
            x=None if x is None else numbers[x],
            group=index,
            labels=tuple(_label(label) for label in labels),
            y_name=y,
            x_name="x" if x is None else x,
            group_name=group,
            units=units or {},
            titles=titles or {},
        )

    def __repr__(self) -> str:
        by = f" by {self.x_name}" if self.x is not None else ""
        return (
            f"GroupedData({self.n_observations} observations of {self.y_name}{by}, "
            f"{self.n_groups} groups: {self.group_name})"
        )

    @property
    def n_groups(self) -> int:
        """Number of groups, J."""
        return len(self.labels)

    @property
    def n_observations(self) -> int:
        """Number of observations, N."""
        return self.y.size

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of observations in each group, shape (J,)."""
        return np.bincount(self.group, minlength=self.n_groups)

    @property
    def has_predictor(self) -> bool:
        """Whether there is a predictor."""
        return self.x is not None

    @property
    def constant(self) -> bool:
        """Whether the outcome is the same in every row, but for rounding."""
        return bool(np.ptp(self.y) <= 1e-12 * np.abs(self.y).max())

    @property
    def totals(self) -> Totals:
        """What the rows come to if the groups are ignored."""
        mean_y = float(self.y.mean())
        dy = self.y - mean_y
        if self.x is None:
            return Totals(self.y.size, 0.0, mean_y, 0.0, 0.0, float(dy @ dy))
        mean_x = float(self.x.mean())
        dx = self.x - mean_x
        return Totals(self.y.size, mean_x, mean_y, float(dx @ dx), float(dx @ dy), float(dy @ dy))

    @property
    def balanced(self) -> bool:
        """Whether every group was observed at the same values of the predictor, equally often."""
        if np.ptp(self.counts):
            return False
        if self.x is None:
            return True
        order = np.lexsort((self.x, self.group))
        return bool(np.ptp(self.x[order].reshape(self.n_groups, -1), axis=0).max() == 0)

    def position(self, label: str) -> int:
        """Position of a group in `labels`.

        Raises
        ------
        InputError
            If there is no such group.
        """
        try:
            return self.labels.index(str(label))
        except ValueError:
            raise InputError(f"no {self.group_name} '{label}': there are {_listed(self.labels)}") from None

    def rows(self, label: str) -> NDArray[np.int64]:
        """Row numbers of one group's observations."""
        return np.flatnonzero(self.group == self.position(label))

    def keep(self, mask: ArrayLike) -> GroupedData:
        """A new data set with the observations for which `mask`, shape (N,), is true.

        Groups left without an observation disappear from `labels`.
        """
        chosen = np.asarray(mask)
        if chosen.dtype != bool or chosen.shape != self.y.shape:
            raise InputError(f"the mask must be {self.n_observations} true or false values, one a row")
        if not chosen.any():
            raise InputError("the mask keeps no row: keep at least one")
        stay, index = np.unique(self.group[chosen], return_inverse=True)
        return replace(
            self,
            y=self.y[chosen],
            x=None if self.x is None else self.x[chosen],
            group=index,
            labels=tuple(self.labels[j] for j in stay),
        )

    def check_hierarchical(self, *, correlated: bool = False) -> None:
        """Refuse data that a hierarchical model cannot use.

        Raises
        ------
        InputError
            If there is one group only, or slopes are to be correlated and there is no predictor.
        """
        check_hierarchical(self, correlated=correlated)

    def check_unpooled(self) -> None:
        """Refuse data from which some group's own line and noise cannot be learnt.

        Raises
        ------
        InputError
            Naming the groups with too few observations, or whose predictor never changes.
        """
        needed = 2 if self.x is None else 3
        labels = np.asarray(self.labels)
        short = labels[self.counts < needed]
        if short.size:
            raise InputError(
                f"'{self.group_name}' {_listed(short)}: fewer than {needed} observations of '{self.y_name}', "
                f"and the unpooled model needs {needed} in every group; drop the group or pool partially"
            )
        if self.x is None:
            return
        low, high = np.full(self.n_groups, np.inf), np.full(self.n_groups, -np.inf)
        np.minimum.at(low, self.group, self.x)
        np.maximum.at(high, self.group, self.x)
        steady = labels[low == high]
        if steady.size:
            raise InputError(
                f"predictor '{self.x_name}' never changes in '{self.group_name}' {_listed(steady)}: "
                "no slope of its own can be learnt; drop the group or pool partially"
            )

    def to_frame(self) -> pd.DataFrame:
        """The observations as a new table with the columns' own names."""
        columns = {self.group_name: np.asarray(self.labels)[self.group]}
        if self.x is not None:
            columns[self.x_name] = self.x
        return pd.DataFrame(columns | {self.y_name: self.y})

    def axis_label(self, which: str) -> str:
        """Name and unit of the outcome (``"y"``) or the predictor (``"x"``), for an axis."""
        name = {"y": self.y_name, "x": self.x_name}[which]
        unit = self.units.get(name)
        title = self.titles.get(name) or (name.removesuffix(f"_{unit}") if unit else name).replace("_", " ")
        return f"{title} ({unit})" if unit else title


def check_hierarchical(data: GroupedData | GroupSums | SpreadSums, *, correlated: bool = False) -> None:
    """As :meth:`GroupedData.check_hierarchical`, for its group sums as well."""
    if data.n_groups < 2:
        raise InputError(
            f"'{data.group_name}' has one group, '{data.labels[0]}': partial pooling needs at least two; "
            "use the pooled model"
        )
    if correlated and not data.has_predictor:
        raise InputError(
            "a correlation needs a predictor: without slopes there is nothing to correlate; "
            "name the predictor or leave the correlation out"
        )


def _label(name: object) -> str:
    """A group's name as it is read: without blanks around it; 308 for 308.0, which a gap may make of it."""
    return str(int(name)) if isinstance(name, float) and name.is_integer() else str(name).strip()


def _numeric(column: pd.Series) -> NDArray[np.float64]:
    """A column's values as floats, or an error that names the rows which are not numbers."""
    dtype, types = column.dtype, pd.api.types
    if dtype.kind in "bcmMV" or isinstance(dtype, (pd.PeriodDtype, pd.BooleanDtype, pd.IntervalDtype)):
        raise InputError(f"column '{column.name}' holds {dtype} values: a numeric column is needed")
    if not types.is_numeric_dtype(dtype):  # numbers written as text will do; true and false will not
        column = column.astype(object).mask(column.map(types.is_bool).astype(bool), "a truth value")
    values = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
    words = np.flatnonzero(np.isnan(values) & column.notna().to_numpy())
    if words.size:
        first = column.iloc[words[0]]
        comma = isinstance(first, str) and re.fullmatch(r"\s*[-+]?\d+,\d+\s*", first)
        raise InputError(
            f"column '{column.name}' is not numeric in rows {_listed(column.index[words])} "
            f"(the first holds {first!r}): a numeric column is needed"
            + ("; if the comma is a decimal one, read the file with decimal=','" if comma else "")
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise InputError(
            f"column '{column.name}' has missing or infinite values in rows {_listed(column.index[bad])}: "
            "drop those rows or fill them in"
        )
    return values


_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv(path: str | Path, **options: Any) -> pd.DataFrame:  # noqa: ANN401 - they are pandas' own
    """Read a table from a CSV file, or say what is wrong with the file.

    Parameters
    ----------
    path : str or Path
        A text file with one row an observation, and the columns' names in the first.
    **options
        For :func:`pandas.read_csv`, such as ``sep=";", decimal=","``, or ``encoding="cp1252"``.

    Returns
    -------
    DataFrame
        Blanks around the columns' names and rows without anything in them are left out. Unless `options`
        move the header or choose an index, the index has the rows' numbers as a spreadsheet shows them,
        where the header is row 1.

    Raises
    ------
    InputError
        If there is no such file, it is empty or no text, its columns are separated by something else, or
        its rows have more cells than the header.
    """
    options = {"sep": ",", "skip_blank_lines": False, "encoding": "utf-8-sig"} | options
    file = f"'{Path(path).name}'"
    text = _text_of(Path(path), str(options.pop("encoding")))
    parse: Callable[..., pd.DataFrame] = pd.read_csv
    try:
        names = parse(StringIO(text), **(options | {"nrows": 0, "index_col": False})).columns
        _check_separator(file, names, str(options["sep"]))
        table = parse(StringIO(text), **options)
    except pd.errors.EmptyDataError:
        raise InputError(f"{file} is empty: a header and rows are needed") from None
    except pd.errors.ParserError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        where = f"row {found[2]} of {file} has {found[3]} cells" if found else f"{file} cannot be read"
        raise InputError(f"{where}: {_TOO_MANY}") from None
    if "index_col" not in options:
        if not isinstance(table.index, pd.RangeIndex):  # pandas would make an index of the cells left over
            raise InputError(f"the rows of {file} have more cells than its header has names: {_TOO_MANY}")
        if not {"header", "names", "skiprows"} & set(options):
            table.index = pd.RangeIndex(2, len(table) + 2, name="row")
    table.columns = table.columns.map(lambda name: str(name).strip())
    return table.dropna(how="all")


_TOO_MANY = (
    'give every row as many as the header; a comma within a cell needs quotes, "3,5", or another separator'
)


def _text_of(path: Path, encoding: str) -> str:
    try:
        return path.read_text(encoding=encoding)
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"there is no file '{path}': a path starts from the notebook's folder") from None
    except UnicodeDecodeError:
        raise InputError(
            f"'{path.name}' is not text in UTF-8: save it as CSV in UTF-8, or name its encoding, as in "
            "encoding='cp1252'"
        ) from None


def _check_separator(file: str, names: pd.Index, used: str) -> None:
    """Refuse a header that came out as one name because its names are separated by something else."""
    if len(names) > 1:
        return
    other = max(_SEPARATORS, key=str(names[0]).count)
    if other != used and other in str(names[0]):
        raise InputError(
            f"{file} has one column, '{names[0]}': its columns are separated by {_SEPARATORS[other]}; "
            f"read it with sep={other!r}"
        )


def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(DATA_FOLDER / f"{name}.csv")


def load_sleepstudy() -> GroupedData:
    """Reaction times of 18 subjects on ten days of a sleep-deprivation study.

    Returns
    -------
    GroupedData
        180 observations: `reaction_ms` (average reaction time, ms) by `day` (0 to 9) and `subject`.

    References
    ----------
    Belenky et al. (2003), Journal of Sleep Research 12:1-12; R package lme4, `sleepstudy`.
    """
    return GroupedData.from_frame(
        _read("sleepstudy"),
        y="reaction_ms",
        x="day",
        group="subject",
        units={"reaction_ms": "ms"},
        titles={"reaction_ms": "reaction time"},
    )


def load_drivers() -> GroupedData:
    """Braking times of simulated drivers, whose truth is known.

    Returns
    -------
    GroupedData
        `braking_ms` (time from signal to brake, ms) by `driver`; no predictor. Simulated by
        ``data/make_drivers.py``; :func:`load_drivers_truth` has the true means.
    """
    return GroupedData.from_frame(
        _read("drivers"),
        y="braking_ms",
        group="driver",
        units={"braking_ms": "ms"},
        titles={"braking_ms": "braking time"},
    )


def load_drivers_truth() -> pd.Series:
    """True mean braking time of each simulated driver of :func:`load_drivers`, in ms.

    Returns
    -------
    Series
        One value a driver, named by driver, in the order of the data's labels.
    """
    return _read("drivers_truth").set_index("driver")["true_mean_ms"]


def load_schools() -> GroupedData:
    """Mathematics scores of 7185 students in 160 schools, with their socio-economic status.

    Returns
    -------
    GroupedData
        `math_score` (points) by `ses` (composite scale, mean near zero) and `school`.

    References
    ----------
    Bryk and Raudenbush (1992), High School and Beyond 1982; R package nlme, `MathAchieve`.
    """
    return GroupedData.from_frame(
        _read("math_achievement"), y="math_score", x="ses", group="school", units={"math_score": "points"}
    )


def load_hospitals() -> pd.DataFrame:
    """Deaths after cardiac surgery in babies at 12 hospitals.

    Returns
    -------
    DataFrame
        Columns `hospital` (name), `operations` (number) and `deaths` (number among them).

    References
    ----------
    The BUGS examples, "Surgical: institutional ranking".
    """
    return _read("surgical")

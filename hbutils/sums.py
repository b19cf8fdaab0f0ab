"""Six numbers a group: all that a Gaussian model needs of its data, from memory, files or a cluster.

Number of observations, means of x and y, and sums of squares and products around those means. The numbers of
two parts of a group make those of the whole (Chan, Golub and LeVeque 1983), so parts of the data can be read
anywhere, and in any order.

References
----------
Chan, Golub and LeVeque (1983), The American Statistician 37:242-247.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from itertools import batched
from operator import add, attrgetter, itemgetter, methodcaller
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from hbutils._cluster import OFTEN, opened
from hbutils._gaussian import Frame, Groups, GroupsHere, Lines, Nodes, Overview, Spread, Sums
from hbutils._tables import Part, parts_of, read
from hbutils.data import GroupedData, InputError, Totals, _label, check_hierarchical

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from distributed import Client, Future
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

__all__ = ["GroupSums", "SpreadSums", "group_sums", "read_group_sums"]


# --- the numbers -------------------------------------------------------------------------------


def of_rows(index: NDArray, y: Array, x: Array | None, size: int) -> Array:
    """The numbers (J, 6) of `size` groups: n, mean of x and y, sums of squares and products xx, xy, yy."""

    def total(values: Array) -> Array:
        return np.bincount(index, weights=values, minlength=size)

    n = np.bincount(index, minlength=size).astype(float)
    mean_y = total(y) / n
    dy = y - mean_y[index]
    if x is None:
        zero = np.zeros(size)
        return np.column_stack([n, zero, mean_y, zero, zero, total(dy**2)])
    mean_x = total(x) / n
    dx = x - mean_x[index]
    return np.column_stack([n, mean_x, mean_y, total(dx**2), total(dx * dy), total(dy**2)])


def joined(index: NDArray, parts: Array, size: int) -> Array:
    """The numbers (J, 6) of groups from those (P, 6) of their parts."""

    def total(values: Array) -> Array:
        return np.bincount(index, weights=values, minlength=size)

    n, mean_x, mean_y, sxx, sxy, syy = parts.T
    whole = total(n)
    centre_x, centre_y = total(n * mean_x) / whole, total(n * mean_y) / whole
    dx, dy = mean_x - centre_x[index], mean_y - centre_y[index]
    squares = [total(s + n * d) for s, d in ((sxx, dx * dx), (sxy, dx * dy), (syy, dy * dy))]
    return np.column_stack([whole, centre_x, centre_y, *squares])


def _joined_by_label(labels: Sequence[pd.Index], parts: Sequence[Array]) -> tuple[pd.Index, Array]:
    """Groups, in order, and their numbers, from those of parts."""
    together = labels[0].append(list(labels[1:]))
    index, found = pd.factorize(together, sort=True)
    return pd.Index(found), joined(index, np.concatenate(parts), len(found))


def _totals(sums: Array) -> Totals:
    return Totals(*joined(np.zeros(len(sums), dtype=int), sums, 1)[0].tolist())


class _Described:
    """What group sums say of themselves as :class:`hbutils.GroupedData` does."""

    y_name: str
    x_name: str | None
    group_name: str
    if TYPE_CHECKING:

        @property
        def totals(self) -> Totals: ...

    def _described(self, groups: int) -> str:
        by = f" by {self.x_name}" if self.has_predictor else ""
        return f"{self.totals.n:.0f} observations of {self.y_name}{by}, {groups} groups: {self.group_name}"

    @property
    def has_predictor(self) -> bool:
        """Whether there is a predictor."""
        return self.x_name is not None

    @property
    def constant(self) -> bool:
        """Whether the outcome is the same in every row."""
        return self.totals.syy <= 1e-24 * self.totals.n * self.totals.mean_y**2

    def _check_totals(self) -> None:
        if self.has_predictor and self.totals.sxx == 0:
            raise InputError(
                f"predictor '{self.x_name}' is {self.totals.mean_x:g} in every row, so no slope can be "
                "learnt: choose another column or leave the predictor out"
            )


@dataclass(frozen=True, eq=False)
class GroupSums(_Described):
    """What the partially pooled model needs of each group: stands in for the data in ``exact_posterior``.

    Parameters
    ----------
    labels : (J,) sequence
        The groups' names, numbers or text.
    n : (J,) array
        Observations of each.
    mean_y, syy : (J,) array
        Mean of the outcome, and sum of squares around it.
    mean_x, sxx, sxy : (J,) array, optional
        The same of the predictor, and the sum of products. All three, or none for a model without a
        predictor.
    y_name, x_name, group_name : str
        What the columns are called.

    Raises
    ------
    InputError
        If lengths differ, a number is missing or infinite, a group is named twice or has no observation, a
        sum of squares is negative, or products exceed what squares allow.
    """

    labels: pd.Index
    n: Array
    mean_y: Array
    syy: Array
    mean_x: Array | None = None
    sxx: Array | None = None
    sxy: Array | None = None
    y_name: str = "y"
    x_name: str | None = "x"
    group_name: str = "group"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", pd.Index(self.labels))
        given = [self.mean_x, self.sxx, self.sxy]
        if any(part is None for part in given) and not all(part is None for part in given):
            raise InputError("a predictor needs all of mean_x, sxx and sxy: give all three, or none")
        if self.mean_x is None:
            object.__setattr__(self, "x_name", None)
        for name in ("n", "mean_y", "syy", "mean_x", "sxx", "sxy"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self._checked(name))
        self._check()

    def _checked(self, name: str) -> Array:
        try:
            values = np.array(getattr(self, name), dtype=float)
        except (TypeError, ValueError):
            raise InputError(f"{name} must be numbers, one a group") from None
        if values.shape != (self.n_groups,):
            raise InputError(
                f"{name} has shape {values.shape}: {self.n_groups} numbers are needed, one a group"
            )
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise InputError(
                f"{name} is missing or infinite for '{self.group_name}' {self.labels[int(bad[0])]}"
            )
        values.setflags(write=False)
        return values

    def _check(self) -> None:
        if not self.n_groups:
            raise InputError("there are no groups: at least one is needed")
        if not self.labels.is_unique:
            twice = self.labels[self.labels.duplicated()][0]
            raise InputError(f"'{self.group_name}' {twice} is there twice: join the two first")
        wrong = {"n must be 1 or more": self.n < 1, "syy must not be negative": self.syy < 0}
        if self.sxx is not None and self.sxy is not None:
            wrong["sxx must not be negative"] = self.sxx < 0
            wrong["sxy is larger than sxx and syy allow"] = self.sxy**2 > 1.000001 * self.sxx * self.syy
        for what, where in wrong.items():
            if where.any():
                raise InputError(f"{what}: see '{self.group_name}' {self.labels[int(where.argmax())]}")
        self._check_totals()

    @classmethod
    def of(cls, data: GroupedData) -> GroupSums:
        """Sum the groups of a data set, keeping their order."""
        sums = of_rows(data.group, data.y, data.x, data.n_groups)
        x_name = data.x_name if data.has_predictor else None
        return cls.of_table(data.labels, sums, data.y_name, x_name, data.group_name)

    @classmethod
    def of_table(
        cls,
        labels: Any,  # noqa: ANN401 - whatever pandas makes an index of
        sums: Array,
        y_name: str,
        x_name: str | None,
        group_name: str,
    ) -> GroupSums:
        """From a table (J, 6) of n, means of x and y, and sums of squares and products xx, xy, yy."""
        n, mean_x, mean_y, sxx, sxy, syy = sums.T
        about_x = {} if x_name is None else {"mean_x": mean_x, "sxx": sxx, "sxy": sxy, "x_name": x_name}
        return cls(pd.Index(labels), n, mean_y, syy, y_name=y_name, group_name=group_name, **about_x)

    def __repr__(self) -> str:
        return f"GroupSums({self._described(self.n_groups)})"

    @property
    def n_groups(self) -> int:
        """Number of groups, J."""
        return len(self.labels)

    @property
    def n_observations(self) -> int:
        """Number of observations, N."""
        return int(self.n.sum())

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of observations in each group, shape (J,)."""
        return self.n.astype(np.int64)

    @cached_property
    def table(self) -> Array:
        """The six numbers (J, 6): n, means of x and y, sums of squares and products xx, xy, yy."""
        zero = np.zeros(self.n_groups)
        x = [zero if part is None else part for part in (self.mean_x, self.sxx, self.sxy)]
        return np.column_stack([self.n, x[0], self.mean_y, x[1], x[2], self.syy])

    @cached_property
    def totals(self) -> Totals:
        """What the rows come to if the groups are ignored."""
        return _totals(self.table)

    def position(self, label: object) -> int:
        """Position of a group in `labels`.

        Raises
        ------
        InputError
            If there is no such group.
        """
        return _position(self.labels, label, self.group_name)

    def check_hierarchical(self, *, correlated: bool = False) -> None:
        """As :meth:`GroupedData.check_hierarchical`."""
        check_hierarchical(self, correlated=correlated)

    def groups(self) -> GroupsHere:
        """What the exact posterior works with."""
        return GroupsHere(Lines.of_sums(self.table, Frame.of(self.totals)))


def _position(labels: pd.Index, label: object, group_name: str) -> int:
    try:
        return int(cast("int", labels.get_loc(label)))  # names differ, so it is one
    except KeyError:
        # A number may be written as text, and text may be a number
        other = int(label) if isinstance(label, str) and label.strip().isdigit() else str(label)
        if other in labels:
            return int(cast("int", labels.get_loc(other)))
        first = ", ".join(str(name) for name in labels[:5])
        raise InputError(f"no {group_name} '{label}': there are {first} and so on") from None


def group_sums(y: ArrayLike, group: ArrayLike, x: ArrayLike | None = None) -> GroupSums:
    """Sum groups from arrays.

    Parameters
    ----------
    y : (N,) array
        Outcomes.
    group : (N,) array
        The group of each, numbers or text.
    x : (N,) array, optional
        Predictor of each.

    Returns
    -------
    GroupSums
        With the groups in order.

    Raises
    ------
    InputError
        If lengths differ, or a value or group is missing or infinite.
    """
    columns = {"y": np.asarray(y, dtype=float)} | ({} if x is None else {"x": np.asarray(x, dtype=float)})
    index, labels = pd.factorize(np.asarray(group), sort=True)
    for name, values in columns.items():
        if values.shape != index.shape:
            raise InputError(f"{name} has shape {values.shape}, but group has {index.shape}: one value a row")
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise InputError(f"{name} is missing or infinite in row {bad[0]}: drop such rows or fill them in")
    if not index.size or index.min() < 0:
        raise InputError("group is missing somewhere, or there are no rows: every row needs a group")
    sums = of_rows(index, columns["y"], columns.get("x"), len(labels))
    return GroupSums.of_table(labels, sums, "y", None if x is None else "x", "group")


# --- from files, on a cluster ----------------------------------------------------------------------


Pieces = list[tuple[pd.Index, "Array"]]


def _summed(
    part: Part, columns: tuple[str, str | None, str], pieces: int, *, text: bool
) -> Pieces | InputError:
    """Read a part, sum its groups, and deal them out into pieces by their names, as `text` or as they are."""
    y, x, group = columns
    try:
        table = read(part, y, x, group)
    except InputError as error:  # handed over, since Dask would try again, and write about it at length
        return error
    index, labels = pd.factorize(table[group])
    if text:
        index, labels = _as_text(index, labels)
    sums = of_rows(index, table[y].to_numpy(), None if x is None else table[x].to_numpy(), len(labels))
    piece = pd.util.hash_array(np.asarray(labels)) % np.uint64(pieces)
    return [(pd.Index(labels)[piece == k], sums[piece == k]) for k in range(pieces)]


def _as_text(index: NDArray, labels: Any) -> tuple[NDArray, Any]:  # noqa: ANN401 - pandas' own
    names, found = pd.factorize(np.array([_label(label) for label in labels], dtype=object))
    return names[index], found


def _numbered(labels: pd.Index, sums: Array) -> tuple[pd.Index, Array]:
    """Groups whose names are all whole numbers, as numbers and in their order; others as they are."""
    try:
        numbers = labels.astype(np.int64)
    except (TypeError, ValueError):
        return labels, sums
    if list(numbers.astype(str)) != list(labels):  # 007 is a name
        return labels, sums
    order = numbers.argsort()
    return numbers[order], sums[order]


def _error(summed: Pieces | InputError) -> InputError | None:
    return summed if isinstance(summed, InputError) else None


def _piece(k: int, part: Pieces | InputError) -> tuple[pd.Index, Array]:
    """Piece k of a part."""
    return (pd.Index([]), np.zeros((0, 6))) if isinstance(part, InputError) else part[k]


def _both(one: tuple[pd.Index, Array], other: tuple[pd.Index, Array]) -> tuple[pd.Index, Array]:
    """The groups of two pieces, joined."""
    filled = [piece for piece in (one, other) if len(piece[0])]
    return _joined_by_label(*map(list, zip(*filled, strict=True))) if filled else one


def _folded(client: Client, pieces: Sequence[Future]) -> Future:
    """All pieces as one, two and two: what has been joined is let go, long before the last part is read."""
    while len(pieces) > 1:
        pieces = [
            client.submit(_both, *pair, **OFTEN) if len(pair) > 1 else pair[0] for pair in batched(pieces, 2)
        ]
    return pieces[0]


def read_group_sums(
    files: str | Path | Sequence[str | Path],
    *,
    y: str,
    group: str,
    x: str | None = None,
    cluster: Client | str | None = None,
    gather: bool = True,
    progress: bool = False,
) -> GroupSums | SpreadSums:
    """Sum groups from Parquet or CSV files, part by part, through Dask.

    Parameters
    ----------
    files : path, pattern or list of them
        Such as ``"nights/*.parquet"``. A Parquet file is read a row group at a time, a CSV file some
        megabytes at a time; it has a header, commas and one row a line.
    y, group, x : str
        Names of the outcome's, the group's and, if there is one, the predictor's column.
    cluster : Client or str, optional
        A Dask client, or a scheduler's address, whose workers see the files; a cluster on this machine if
        left out.
    gather : bool
        Bring the sums here; or (False, with a client) leave them with the workers, for when there are too
        many groups even for that.
    progress : bool
        Count the parts on stderr.

    Returns
    -------
    GroupSums or SpreadSums
        With the groups in order, whatever the order of rows and files.

    Raises
    ------
    InputError
        If there is no such file or column, a row has no number or no group (naming the file and the row),
        no scheduler answers, or sums are to be left with workers that end with this call.
    """
    from distributed import Client, as_completed  # noqa: PLC0415

    if not gather and not isinstance(cluster, Client):
        raise InputError(
            "gather=False leaves the sums with workers, so it needs a client: cluster=Client(...)"
        )
    parts, columns = parts_of(files, (y, group) if x is None else (y, x, group)), (y, x, group)
    with opened(cluster) as client:
        workers = max(1, len(client.scheduler_info()["workers"]))
        pieces = workers if gather else 4 * workers
        text = not parts[0].parquet or len({part.kind for part in parts}) > 1
        read_ones = client.map(_summed, parts, columns=columns, pieces=pieces, text=text, **OFTEN)
        pieces_of = [
            _folded(client, client.map(partial(_piece, k), read_ones, **OFTEN)) for k in range(pieces)
        ]
        checks = client.map(_error, read_ones, **OFTEN)
        del read_ones  # or the workers would keep them
        for done, (_, error) in enumerate(as_completed(checks, with_results=True), start=1):
            if error is not None:
                raise error
            if progress:
                sys.stderr.write(f"\r{done} of {len(parts)} parts" + "\n" * (done == len(parts)))
        if not gather:
            return SpreadSums(client, pieces_of, y, x, group)
        found = [piece for piece in client.gather(pieces_of) if len(piece[0])]
    labels, sums = _joined_by_label([piece[0] for piece in found], [piece[1] for piece in found])
    return GroupSums.of_table(*(_numbered(labels, sums) if text else (labels, sums)), y, x, group)


# --- sums that stay with the workers -----------------------------------------------------------------


FEW = 1_000  # groups that may be fetched to look at them more quickly


def _ask(client: Client, pieces: list[Future], function: Callable) -> list[Any]:
    """What a function makes of each piece, where it is."""
    return client.gather(client.map(function, pieces, **OFTEN))


class SpreadSums(_Described):
    """Group sums that stay with the workers of a cluster, from :func:`read_group_sums`.

    As good as :class:`GroupSums` to :func:`hbutils.exact_posterior`: the likelihood is summed where the
    groups are. The client must stay open. `labels` are fetched only when somebody asks for them.
    """

    def __init__(
        self, client: Client, pieces: list[Future], y_name: str, x_name: str | None, group_name: str
    ) -> None:
        self.y_name, self.x_name, self.group_name = y_name, x_name, group_name
        self._client, self._pieces = client, pieces
        found = _ask(client, pieces, _look)
        self._sizes = [size for size, _ in found]
        self._totals = _totals(np.concatenate([row for _, row in found]))
        self._check_totals()

    def __repr__(self) -> str:
        return f"SpreadSums({self._described(self.n_groups)}; {len(self._pieces)} pieces)"

    @property
    def n_groups(self) -> int:
        """Number of groups, J."""
        return sum(self._sizes)

    @property
    def totals(self) -> Totals:
        """What the rows come to if the groups are ignored."""
        return self._totals

    @property
    def n_observations(self) -> int:
        """Number of observations, N."""
        return int(self.totals.n)

    @cached_property
    def labels(self) -> pd.Index:
        """The groups' names, piece by piece: as long as there are groups."""
        first, *others = _ask(self._client, self._pieces, itemgetter(0))
        return first.append(others)

    def position(self, label: object) -> int:
        """As :meth:`GroupSums.position`."""
        return _position(self.labels, label, self.group_name)

    def check_hierarchical(self, *, correlated: bool = False) -> None:
        """As :meth:`GroupedData.check_hierarchical`."""
        check_hierarchical(self, correlated=correlated)

    def groups(self) -> _SpreadGroups:
        """What the exact posterior works with."""
        frame = Frame.of(self.totals)
        filled = [piece for piece, size in zip(self._pieces, self._sizes, strict=True) if size]
        return _SpreadGroups(
            self._client, frame, self._client.map(_groups_here, filled, frame=frame, **OFTEN)
        )


def _look(piece: tuple[pd.Index, Array]) -> tuple[int, Array]:
    labels, sums = piece
    return len(labels), np.array([_totals(sums)]) if len(labels) else np.zeros((0, 6))


class _SpreadGroups:
    """Groups that stay with the workers; see :class:`hbutils._gaussian.Groups`."""

    def __init__(self, client: Client, frame: Frame, pieces: list[Future]) -> None:
        self.frame, self._client, self._pieces = frame, client, pieces
        overviews = self._ask(attrgetter("overview"))
        self.overview: Overview = reduce(add, overviews)
        self.designs = sum(self._ask(attrgetter("designs")))
        self._ends = np.cumsum([overview.groups for overview in overviews])

    def _ask(self, function: Callable) -> list[Any]:
        return _ask(self._client, self._pieces, function)

    def sums(self, spread: Spread) -> Sums:
        """Sum over the groups, where they are."""
        return reduce(add, self._ask(methodcaller("sums", spread)))

    def sample(self, size: int) -> Groups:
        """Take from each piece its share; fetch it if it is small."""
        share = size / self.overview.groups
        part = self._client.map(partial(_share, share), self._pieces, **OFTEN)
        if size > FEW:
            return _SpreadGroups(self._client, self.frame, part)
        return GroupsHere(_together(_ask(self._client, part, methodcaller("some", size))))

    def lines(self, groups: NDArray) -> Lines:
        """Fetch the lines of some groups."""
        piece = np.searchsorted(self._ends, groups, side="right")
        first = np.concatenate([[0], self._ends[:-1]])
        found = [
            self._client.submit(methodcaller("lines", np.array([group - first[k]])), self._pieces[k], **OFTEN)
            for k, group in zip(piece, groups, strict=True)
        ]
        return _together(self._client.gather(found))

    def averaged(self, nodes: Nodes) -> Array:
        """Average each piece's groups where they are; fetch the averages."""
        return np.concatenate(self._ask(methodcaller("averaged", nodes)))


def _together(lines: list[Lines]) -> Lines:
    names = ("b", "a", "det_a", "rss", "n")
    return Lines(lines[0].frame, *(np.concatenate([getattr(part, name) for part in lines]) for name in names))


def _groups_here(piece: tuple[pd.Index, Array], frame: Frame) -> GroupsHere:
    return GroupsHere(Lines.of_sums(piece[1], frame))


def _share(share: float, groups: GroupsHere) -> GroupsHere:
    return groups.sample(int(np.ceil(share * groups.overview.groups)))

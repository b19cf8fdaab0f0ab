"""Files in parts, each read on its own: for :mod:`hbutils.sums`."""

from __future__ import annotations

import csv
import glob
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbutils.data import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BYTES = 16 * 2**20  # of a CSV file in one part
ROWS = 1_000_000  # of a Parquet file in one part, about


@dataclass(frozen=True)
class Part:
    """A part of a file: row groups of a Parquet file, or bytes of a CSV file from one line's start on."""

    path: Path
    first: int
    last: int  # the one after the last
    header: tuple[str, ...] = ()  # of a CSV file
    kind: str = "text"  # of the group's column

    @property
    def parquet(self) -> bool:
        """Whether it is of a Parquet file."""
        return not self.header


def parts_of(files: str | Path | Sequence[str | Path], columns: Sequence[str]) -> list[Part]:
    """The parts of all files, with the columns that are needed looked for in each; the group's comes last."""
    given = [files] if isinstance(files, str | Path) else list(files)
    parts = []
    for entry in given:
        paths = sorted(glob.glob(str(entry))) or ([str(entry)] if Path(entry).exists() else [])  # noqa: PTH207
        if not paths:
            raise InputError(f"there is no file '{entry}'")
        for path in map(Path, paths):
            if path.suffix not in (".parquet", ".csv"):
                raise InputError(f"'{path.name}' is neither .parquet nor .csv: convert it, or rename it")
            parts += _parquet(path, columns) if path.suffix == ".parquet" else _csv(path, columns)
    if not parts:
        raise InputError("the files have no rows")
    return parts


def _check_columns(path: Path, have: Sequence[str], columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in have]
    if missing:
        raise InputError(f"no column '{missing[0]}' in '{path.name}': it has {', '.join(have) or 'none'}")
    twice = [name for name in columns if list(have).count(name) > 1]
    if twice:
        raise InputError(f"two columns of '{path.name}' are called '{twice[0]}': rename one of them")


def _parquet(path: Path, columns: Sequence[str]) -> list[Part]:
    from pyarrow import lib, parquet  # noqa: PLC0415 - it takes a tenth of a second

    try:
        about = parquet.read_metadata(path)
    except (lib.ArrowInvalid, OSError) as error:
        raise InputError(f"'{path.name}' cannot be read as Parquet: {error}") from None
    _check_columns(path, about.schema.names, columns)
    kind = str(about.schema.to_arrow_schema().field(columns[-1]).type)
    parts, first, rows = [], 0, 0
    for k in range(about.num_row_groups):
        rows += about.row_group(k).num_rows
        if rows >= ROWS or k == about.num_row_groups - 1:
            parts.append(Part(path, first, k + 1, kind=kind))
            first, rows = k + 1, 0
    return parts


def _csv(path: Path, columns: Sequence[str]) -> list[Part]:
    with path.open("rb") as file:
        start = file.readline()
        try:
            text = start.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InputError(f"'{path.name}' is not text in UTF-8: save it as CSV in UTF-8") from None
        header = tuple(name.strip() for name in next(csv.reader([text]), []))
        _check_columns(path, header, columns)
        size, first, parts = path.stat().st_size, len(start), []
        while first < size:
            file.seek(min(first + BYTES, size))
            file.readline()  # to the end of the line
            parts.append(Part(path, first, file.tell(), header))
            first = file.tell()
    return parts


def read(part: Part, y: str, x: str | None, group: str) -> pd.DataFrame:
    """The columns of a part, checked: numbers in `y` and `x`, something in `group`."""
    numbers = [y] if x is None else [y, x]
    table = _read_parquet(part, [*numbers, group]) if part.parquet else _read_csv(part, [*numbers, group])
    for name in numbers:
        values = pd.to_numeric(table[name], errors="coerce").to_numpy(float, na_value=np.nan)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            there = table[name].iloc[bad[0]]
            what = "no number" if pd.isna(there) else repr(there) if isinstance(there, str) else str(there)
            place = _place(part, bad[0])
            raise InputError(f"{place}: column '{name}' holds {what}; a finite number is needed")
        table[name] = values
    unnamed = np.flatnonzero(table[group].isna())
    if unnamed.size:
        raise InputError(f"{_place(part, unnamed[0])}: column '{group}' is empty; every row needs a group")
    return table


def _place(part: Part, row: int) -> str:
    """Name file and row: in a CSV file as an editor counts lines, in a Parquet file from 0."""
    if part.parquet:
        from pyarrow import parquet  # noqa: PLC0415

        about = parquet.read_metadata(part.path)
        return f"'{part.path.name}', row {row + sum(about.row_group(k).num_rows for k in range(part.first))}"
    with part.path.open("rb") as file:
        before = sum(1 for _ in _lines(file, part.first))
        return f"'{part.path.name}', line {before + row + 1}"


def _lines(file: io.BufferedReader, end: int) -> Iterator[bytes]:
    while file.tell() < end:
        yield file.readline()


def _read_parquet(part: Part, columns: list[str]) -> pd.DataFrame:
    from pyarrow import lib, parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(part.path) as file:
            table: pd.DataFrame = file.read_row_groups(range(part.first, part.last), columns).to_pandas()
    except (lib.ArrowException, OSError) as error:
        raise InputError(f"'{part.path.name}' cannot be read: {error}") from None
    return table


def _read_csv(part: Part, columns: list[str]) -> pd.DataFrame:
    with part.path.open("rb") as file:
        file.seek(part.first)
        text = file.read(part.last - part.first)
    rows = text.count(b"\n") + (not text.endswith(b"\n"))
    if text.count(b",") != rows * (len(part.header) - 1):  # pandas would drop a cell too many
        _check_cells(part, text)
    try:
        return pd.read_csv(
            io.BytesIO(text),
            header=None,
            names=list(part.header),
            usecols=columns,
            # Or else a part with nothing but digits would have numbers for names, and the next one text
            dtype={columns[-1]: str},
            index_col=False,
            skip_blank_lines=False,
        )
    except (pd.errors.ParserError, UnicodeDecodeError):
        _check_cells(part, text)
        raise


def _check_cells(part: Part, text: bytes) -> None:
    """Refuse a line that is no text, or has another number of cells than the header."""
    for row, line in enumerate(text.splitlines()):
        try:
            cells = len(next(csv.reader([line.decode()]), []))
        except UnicodeDecodeError:
            raise InputError(f"{_place(part, row)}: not text in UTF-8") from None
        if cells != len(part.header):
            raise InputError(f"{_place(part, row)}: {cells} cells under a header of {len(part.header)}")

"""The data are the files their README describes, and both licences are there in full."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
_ROW = re.compile(r"^\s*\|.*\|\s*$", re.MULTILINE)
_FILE = re.compile(r"[\w.-]+\.csv\b")
_SHA256 = re.compile(r"\b[0-9a-f]{64}\b", re.IGNORECASE)


def checksums(readme: str) -> dict[str, str]:
    """Return the SHA-256 of each file that a row of a table in the README names."""
    found: dict[str, str] = {}
    for row in _ROW.findall(readme):
        names, sums = _FILE.findall(row), _SHA256.findall(row)
        if names and sums:
            assert len(set(names)) == len(sums) == 1, f"one file and one checksum a row: {row}"
            assert names[0] not in found, f"{names[0]} has two rows with a checksum"
            found[names[0]] = sums[0].lower()
    return found


def listed() -> dict[str, str]:
    readme = DATA / "README.md"
    return checksums(readme.read_text(encoding="utf-8")) if readme.exists() else {}


def test_every_data_file_has_a_checksum_and_every_checksum_a_file() -> None:
    shipped = {path.name for path in DATA.glob("*.csv")}
    assert shipped, "no data: the checks below would hold for nothing"
    assert set(listed()) == shipped


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.csv")))
def test_data_file_is_the_one_described(name: str) -> None:
    assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == listed()[name]


def test_readme_gives_source_licence_and_units() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8").lower()
    for word in ("source", "licen", "unit"):
        assert word in readme


def test_checksums_are_read_from_a_table_of_any_columns() -> None:
    digest = "0A" * 32
    table = (
        f"| file | rows | SHA-256 |\n|---|---|---|\n| `a.csv` | 3 | `{digest}` |\n| b.csv | 4 | none yet |\n"
    )
    assert checksums(table) == {"a.csv": digest.lower()}


@pytest.mark.parametrize(
    "table",
    [f"| a.csv and b.csv | {'0' * 64} |", f"| a.csv | {'0' * 64} |\n| a.csv | {'1' * 64} |"],
)
def test_ambiguous_table_is_refused(table: str) -> None:
    with pytest.raises(AssertionError):
        checksums(table)


@pytest.mark.parametrize(
    "sentence",
    [
        "Attribution 4.0 International",  # CC BY 4.0: text and figures
        "Permission is hereby granted, free of charge, to any person obtaining a copy",  # MIT: code
    ],
)
def test_licence_is_there_in_full(sentence: str) -> None:
    licences = [path.read_text(encoding="utf-8") for path in ROOT.glob("LICEN[CS]E*")]
    matching = [text for text in licences if sentence in " ".join(text.split())]
    assert len(matching) == 1
    assert len(matching[0]) > 1000

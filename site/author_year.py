"""Sphinx extension: a bibliography style that labels works as the chapters cite them, and says where."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pybtex.plugin import register_plugin
from pybtex.richtext import Text
from pybtex.style.formatting.plain import Style
from pybtex.style.labels import BaseLabelStyle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pybtex.database import Entry
    from pybtex.style import FormattedEntry
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]


def surnames(entry: Entry) -> list[str]:
    """Return the authors' last names, as they are written in the text."""
    return [str(Text.from_latex(" ".join(p.last_names))) for p in entry.persons["author"]]


def texts() -> Iterator[tuple[str, str]]:
    """Yield what can cite a work: each page's prose, and the code's docstrings and comments."""
    for path in sorted((ROOT / "chapters").glob("[0-9]*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        prose = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        yield f"chapter {int(path.name[:2])}", prose
    for name in ("notation", "data"):
        yield f"the {name} appendix", (ROOT / "chapters" / f"{name}.md").read_text(encoding="utf-8")
    code = sorted((ROOT / "hbutils").glob("*.py"))
    yield "the code", "\n".join(path.read_text(encoding="utf-8") for path in code)


class Labels(BaseLabelStyle):
    """Label a work as the chapters cite it: Bates et al. (2015)."""

    def format_labels(self, sorted_entries: list[Entry]) -> Iterator[str]:
        """Yield the label of every entry."""
        for entry in sorted_entries:
            first, *others = surnames(entry)
            if len(others) > 2:
                others = ["al."]
            names = " et al." if others == ["al."] else "".join(f", {n}" for n in others[:-1])
            names += f" and {others[-1]}" if others not in ([], ["al."]) else ""
            yield f"{first}{names} ({entry.fields['year']})"


class AuthorYear(Style):
    """Last names first, as in the chapters' own lists, and at the end where a work is used."""

    default_name_style = "lastfirst"
    default_label_style = Labels

    def __init__(self, **options: object) -> None:
        super().__init__(**options | {"abbreviate_names": True})
        self.texts = list(texts())

    def format_entry(self, label: str, entry: Entry, bib_data: object = None) -> FormattedEntry:
        """Add to an entry the places that cite it: the first name, then the year with no other before it."""
        formatted = super().format_entry(label, entry, bib_data)
        cited = re.compile(rf"\b{re.escape(surnames(entry)[0])}\b\D{{1,150}}\b{entry.fields['year']}\b")
        places = [place for place, text in self.texts if cited.search(text)]
        if places:
            formatted.text += Text(f" Used in: {', '.join(places)}.")
        return formatted


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Pybtex, which Sphinx asks for the style by its name; the list depends on every page."""
    app.connect("env-get-outdated", lambda *_: ["chapters/references"])
    register_plugin("pybtex.style.formatting", "author_year", AuthorYear)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

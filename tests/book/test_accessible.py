"""What pandas, docutils and MyST-NB leave unsaid is said on the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import accessible
import built_book
import pytest
from bs4 import BeautifulSoup

if TYPE_CHECKING:
    from pathlib import Path

FRAME = """<style scoped>td {}</style><table border="1" class="dataframe">
<thead><tr style="text-align: right;"><th></th><th>mean</th><th colspan="2">interval</th></tr>
<tr><th>subject</th><th></th><th>2.5%</th><th>97.5%</th></tr></thead>
<tbody><tr><th rowspan="2">308</th><td>1</td><td>2</td><td>3</td></tr>
<tr><td>4</td><td>5</td><td>6</td></tr></tbody>
</table>"""
MARKDOWN = """<table><thead><tr><th><p></p></th><th><p>pooled</p></th></tr></thead>
<tbody><tr><td><p>slope</p></td><td><p>10</p></td></tr></tbody></table>"""
FOLD = """<details class="hide"><summary aria-label="Toggle hidden content">
<p class="collapsed">Show code cell {kind}</p>
<p class="expanded">Hide code cell {kind}</p></summary>x</details>"""


def mended(html: str) -> BeautifulSoup:
    return BeautifulSoup(accessible.mend(html), "html.parser")


def test_headers_of_a_data_frame_say_what_they_head() -> None:
    page = mended(FRAME)
    scopes = {cell.get_text(): cell.get("scope") for cell in page.select("th")}
    assert scopes == {
        "mean": "col",
        "interval": "colgroup",
        "subject": "col",
        "2.5%": "col",
        "97.5%": "col",
        "308": "rowgroup",
    }
    assert len(page.select("thead tr:first-child > td")) == 1
    assert page.select("[border], [style], style") == []


def test_empty_corner_of_a_table_makes_the_first_column_headers() -> None:
    page = mended(MARKDOWN)
    assert [(cell.get_text(), cell["scope"]) for cell in page.select("th")] == [
        ("pooled", "col"),
        ("slope", "row"),
    ]


def test_first_column_names_the_rows_under_a_header_too() -> None:
    page = mended(MARKDOWN.replace("<p></p>", "<p>what</p>"))
    assert [(cell.get_text(), cell["scope"]) for cell in page.select("tbody th")] == [("slope", "row")]
    assert [cell.get_text() for cell in page.select("td")] == ["10"]


def test_first_column_of_formulas_stays_data() -> None:
    page = mended(MARKDOWN.replace("slope", "<math><mi>y</mi></math>"))
    assert len(page.select("tbody td")) == 2


def test_header_that_is_a_formula_is_not_empty() -> None:
    page = mended("<table><thead><tr><th>a</th><th><math></math></th></tr></thead></table>")
    assert len(page.select("th[scope=col]")) == 2


def test_works_of_a_bibliography_are_items_of_its_list() -> None:
    page = mended('<div role="list"><div role="doc-biblioentry">A</div></div>')
    assert [work["role"] for work in page.select("[role=list] > *")] == ["listitem"]


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("source", "Show the code"),
        ("content", "Show the code and what it prints"),
        ("outputs", "Show the output"),
    ],
)
def test_fold_says_what_it_hides(kind: str, shown: str) -> None:
    (summary,) = mended(FOLD.format(kind=kind)).select("summary")
    assert [line.get_text() for line in summary.select("span")] == [shown, shown.replace("Show", "Hide")]
    assert not summary.has_attr("aria-label")
    assert summary.p is None  # no paragraph may stand there


def test_cell_under_an_exercise_is_a_solution() -> None:
    page = mended(f'<section id="exercises">{FOLD.format(kind="content")}</section>')
    assert page.select_one("summary .collapsed").get_text() == "Show a solution"


def test_dropdown_folds_without_a_script() -> None:
    page = mended(
        '<div class="dropdown admonition"><p class="admonition-title">What to see</p><p>It.</p></div>'
    )
    assert page.select_one("details > summary").get_text() == "What to see"
    assert page.select_one("details > p").get_text() == "It."


def test_images_have_their_size() -> None:
    (image,) = mended('<img alt="a" src="a.png" style="width: 731px; height: 339px;"/>').select("img")
    assert image.attrs == {"alt": "a", "src": "a.png", "width": "731", "height": "339"}


@pytest.mark.parametrize(
    ("title", "number"), [("16. What shrinkage does", "16"), ("Notation", None), ("1.5 times", None)]
)
def test_number_of_a_chapter_is_set_apart_and_the_title_says_the_same(title: str, number: str | None) -> None:
    heading = mended(f"<h1>{title}<a>#</a></h1>").select_one("h1")
    assert heading.get_text() == f"{title}#"
    apart = heading.select_one(".hb-number")
    assert (apart and apart["data-number"]) == number
    assert (heading.select_one(".hb-words") is None) == (number is None)


@pytest.mark.parametrize(
    ("html", "name"),
    [
        ('<div class="cell_input"><pre>x</pre></div>', "Code"),
        ('<div class="cell_output"><pre>x</pre></div>', "Output"),
        ('<div class="math"><math></math></div>', "Formula"),
    ],
)
def test_what_may_have_to_be_scrolled_has_a_name(html: str, name: str) -> None:
    (block,) = mended(html).select("[role=group]")
    assert block["aria-label"] == name


def test_signs_that_link_to_headings_are_for_pointers_only() -> None:
    page = mended(
        '<h2>A<a class="headerlink" href="#a">#</a></h2><figcaption><a class="headerlink">#</a></figcaption>'
    )
    heading, caption = page.select("a")
    assert (heading["aria-hidden"], heading["tabindex"]) == ("true", "-1")
    assert caption["aria-label"] == "Link to this figure"


def test_image_is_no_link_to_itself() -> None:
    page = mended('<a class="reference internal image-reference" href="a.png"><img alt="a" src="a.png"/></a>')
    assert page.img
    assert not page.a


def test_percent_sign_stays_with_its_number() -> None:
    page = mended("<p>95 % of <code>10 % 3</code></p>")
    assert page.get_text() == "95\N{NO-BREAK SPACE}% of 10 % 3"


def test_what_needs_no_mending_stays_as_it_is() -> None:
    good = '<p>a &lt; b <code>x</code></p><script type="application/json">{"a": "<b> & c"}</script>'
    assert accessible.mend(good) == good


# ------------------------------------------------------------------------------
# The pages

BAD = {
    "empty header cell": "th:not(:has(img, math)):is(:empty, :has(> p:only-child:empty))",
    "header of nobody knows what": "th:not([scope])",
    "list without items": "[role=doc-biblioentry]",
    "paragraph in a summary": "summary p",
    "name that hides the words": "summary[aria-label]",
    "picture without a size": "figure img[style]",
}


@pytest.mark.parametrize("selector", BAD.values(), ids=BAD)
def test_pages_have_none_of_it(html: Path, selector: str) -> None:
    assert [page.name for page in built_book.pages(html) if built_book.parsed(page).select(selector)] == []


@pytest.mark.parametrize("selector", BAD.values(), ids=BAD)
def test_selector_finds_what_it_is_for(selector: str) -> None:
    bad = f'{FRAME}<p role="doc-biblioentry"></p>{FOLD}<figure><img alt="a" style="width: 1px"/></figure>'
    assert BeautifulSoup(bad, "html.parser").select(selector)


def test_a_page_has_one_title_and_says_where_in_the_book_it_is(html: Path) -> None:
    pages = [page for page in built_book.pages(html) if page.parent.name == "chapters"]
    assert pages
    for page in pages:
        parsed = built_book.parsed(page)
        assert len(parsed.select("h1")) == 1, page.name
        assert len(parsed.select("nav [aria-current=page]")) == 1, page.name
        assert parsed.html["lang"] == "en"

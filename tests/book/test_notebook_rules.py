"""The rules on notebooks: each refuses its bad examples, all pass a good one, every chapter obeys them."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import notebook_rules as rules
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

PATH = Path("chapters/03-example.ipynb")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ALT = "Points rise from left to right around a straight line, with more scatter towards the right."
CAPTION = "The scatter grows to the right: look at the last three days."


def figure_output() -> NotebookNode:
    return new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure size 640x480 with 1 Axes>"})


def stdout(text: str) -> NotebookNode:
    return new_output("stream", name="stdout", text=text)


def good() -> NotebookNode:
    """A small chapter that breaks no rule."""
    figure = {
        "mystnb": {"image": {"alt": ALT}, "figure": {"caption": CAPTION, "name": "fig-scatter"}},
        "tags": ["hide-input"],
        "jupyter": {"source_hidden": True},
    }
    cells = [
        new_markdown_cell("# 3. An example\n\nWhat if everyone were the same? See {doc}`02-sleep-study`."),
        new_code_cell("import numpy as np\n\nimport hbutils as hb"),
        new_code_cell("SEED = 20030301\nrng = np.random.default_rng(SEED)\nhb.use_style()"),
        new_markdown_cell("## Fit\n\nThe prior is $N(250, 50)$; we keep a 95 % interval."),
        new_code_cell("fit = hb.sample(hb.pooled(data, prior_sd=4.5), seed=SEED)"),
        new_code_cell("hb.diagnostics(fit)", outputs=[stdout("converged, R-hat at most 1.003\n")]),
        new_code_cell(
            "print(data.mean)", metadata={"tags": ["nbval-check-output"]}, outputs=[stdout("298.508\n")]
        ),
        new_code_cell("hb.plot(fit, rng)", metadata=figure, outputs=[figure_output()]),
        new_markdown_cell("## Where this goes wrong\n\n### With few groups\n\nSee {numref}`fig-scatter`."),
        new_code_cell(
            "1 / 0",
            metadata={"tags": ["raises-exception"]},
            outputs=[
                new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=["x"])
            ],
        ),
        new_markdown_cell("## Exercises\n\n1. Set the prior's SD to 4.5."),
        new_markdown_cell("## What you can do now\n\nFit a model."),
    ]
    notebook = new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    notebook.metadata["language_info"] = {"name": "python", "file_extension": ".py"}
    return renumbered(notebook)


def renumbered(notebook: NotebookNode) -> NotebookNode:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
    return notebook


# The places in the good chapter that the bad ones spoil.
TITLE, IMPORTS, SEED, TEXT, SAMPLE, DIAGNOSTICS, COMPARED, FIGURE, WRONG, RAISES, EXERCISES, _ = range(12)

Spoil = Callable[[NotebookNode], object]


def add_code(*sources: str) -> Spoil:
    return lambda nb: renumbered(nb) if nb.cells.extend(map(new_code_cell, sources)) is None else None


def add_text(source: str) -> Spoil:
    return lambda nb: nb.cells.append(new_markdown_cell(source))


def set_source(place: int, source: str) -> Spoil:
    return lambda nb: nb.cells[place].update(source=source)


def set_metadata(place: int, **metadata: object) -> Spoil:
    return lambda nb: nb.cells[place].metadata.update(metadata)


def set_mystnb(group: str, **options: str) -> Spoil:
    return lambda nb: nb.cells[FIGURE].metadata["mystnb"][group].update(options)


def set_outputs(place: int, *outputs: NotebookNode) -> Spoil:
    return lambda nb: nb.cells[place].update(outputs=list(outputs))


def given(**entries: str) -> Spoil:
    return lambda nb: nb.metadata.update(given=entries)


def without(place: int) -> Spoil:
    return lambda nb: renumbered(nb) if nb.cells.pop(place) else None


def both(first: Spoil, second: Spoil) -> Spoil:
    return lambda nb: (first(nb), second(nb))


STDERR = new_output("stream", name="stderr", text="FutureWarning: soon\n")
HTML = new_output("display_data", {"text/html": "<table><tr><td>10.467</td><td>7,185</td></tr></table>"})

# The rule that must refuse, a part of what it must say, and how the good chapter is spoilt.
BAD: list[tuple[str, str, Spoil]] = [
    ("tags_are_known", "'hide_input'", set_metadata(FIGURE, tags=["hide_input"])),
    ("tags_are_known", "'nbval-skip'", set_metadata(SAMPLE, tags=["nbval-skip"])),
    ("tags_are_known", "'remove-cell'", set_metadata(SAMPLE, tags=["remove-cell"])),
    ("tags_are_known", "no tag", set_metadata(TEXT, tags=["hide-cell"])),
    ("tags_are_known", "twice", set_metadata(COMPARED, tags=["nbval-check-output"] * 2)),
    ("tags_are_known", "add the tag hide-cell", set_metadata(SAMPLE, tags=["solution"])),
    ("folded_in_jupyterlab_too", "source_hidden", set_metadata(FIGURE, jupyter={})),
    ("folded_in_jupyterlab_too", "outputs_hidden", set_metadata(FIGURE, tags=["hide-cell"])),
    ("folded_in_jupyterlab_too", "in JupyterLab only", set_metadata(SAMPLE, jupyter={"source_hidden": True})),
    ("metadata_keys_are_known", "'mystb'", set_metadata(FIGURE, mystb={})),
    ("metadata_keys_are_known", "'execution'", set_metadata(SAMPLE, execution={"iopub.status.busy": "now"})),
    ("metadata_keys_are_known", "'mystnb.figures'", set_metadata(FIGURE, mystnb={"figures": {}})),
    ("metadata_keys_are_known", "'mystnb.figure.Caption'", set_mystnb("figure", Caption=CAPTION)),
    ("normalised", "kernelspec", lambda nb: nb.metadata["kernelspec"].update(display_name="hb (3.12)")),
    ("normalised", "language_info", lambda nb: nb.metadata["language_info"].update(version="3.12.4")),
    ("normalised", "no id", lambda nb: nb.cells[SAMPLE].pop("id")),
    ("normalised", "id of another", lambda nb: nb.cells[SAMPLE].update(id=nb.cells[SEED].id)),
    ("executed_in_order", "as None, not as 2", lambda nb: nb.cells[SEED].update(execution_count=None)),
    ("executed_in_order", "as 7, not as 3", lambda nb: nb.cells[SAMPLE].update(execution_count=7)),
    ("executed_in_order", "empty", add_code(" \n")),
    ("no_errors", "tag it raises-exception", lambda nb: nb.cells[RAISES].metadata.pop("tags")),
    ("no_errors", "raised nothing", set_outputs(RAISES)),
    ("no_stderr", "FutureWarning", set_outputs(SAMPLE, STDERR)),
    ("no_stderr", "FutureWarning", set_outputs(RAISES, *good().cells[RAISES].outputs, STDERR)),
    ("something_is_compared", "no cell is tagged", lambda nb: nb.cells[COMPARED].metadata.pop("tags")),
    ("something_is_compared", "no text output", set_outputs(COMPARED, figure_output())),
    ("figures_are_described", "no alternative text", set_mystnb("image", alt="")),
    ("figures_are_described", "no alternative text", lambda nb: nb.cells[FIGURE].metadata.pop("mystnb")),
    ("figures_are_described", "file name", set_mystnb("image", alt="../_images/" + "0a1b" * 16 + ".png")),
    ("figures_are_described", "starts 'Plot of", set_mystnb("image", alt="Plot of" + ALT)),
    ("figures_are_described", "starts 'A figure sho", set_mystnb("image", alt="A figure showing " + ALT)),
    ("figures_are_described", "markup", set_mystnb("image", alt=ALT[:-1] + r" with slope $\beta$.")),
    ("figures_are_described", "of 22 characters", set_mystnb("image", alt="Points around a line..")),
    ("figures_are_described", "alternative text that does not end", set_mystnb("image", alt=ALT[:-1])),
    ("figures_are_described", "its caption for", set_mystnb("image", alt=CAPTION)),
    ("figures_are_described", "no caption", set_mystnb("figure", caption="Scatter of days.")),
    ("figures_are_described", "a caption that does not end", set_mystnb("figure", caption=CAPTION[:-1])),
    ("figures_are_described", "several paragraphs", set_mystnb("figure", caption=f"{CAPTION}\n\n{CAPTION}")),
    ("figures_are_described", "figure name", set_mystnb("figure", name="Scatter")),
    ("figures_are_described", "shows no image", set_outputs(FIGURE)),
    ("figures_are_described", "2 images", set_outputs(FIGURE, figure_output(), figure_output())),
    ("markdown_images_are_described", "a.png has no", add_text("Look: ![](a.png)")),
    (
        "markdown_images_are_described",
        "a.svg has no",
        add_text(":::{figure} a.svg\n:name: fig-a\nText.\n:::"),
    ),
    (
        "markdown_images_are_described",
        "of 6 char",
        add_text("```{image} a.svg\n:width: 60%\n:alt: A map.\n```"),
    ),
    ("markdown_images_are_described", "has no", add_text('<img src="a.png" width="60%">')),
    ("no_machine_paths", "/home/", add_code('data = "/home/ann/sleepstudy.csv"')),
    ("no_machine_paths", "C:", add_code(r'data = r"C:\data\sleepstudy.csv"')),
    ("no_machine_paths", "file://", add_code('data = f"file://{name}"')),
    ("no_machine_paths", "'/tmp'", add_code('path = Path("/tmp")')),
    ("no_machine_paths", "absolute path at", add_text("Open [the data](/home/ann/data.csv).")),
    (
        "no_machine_paths",
        "output shows an absolute",
        set_outputs(COMPARED, stdout("saved to /root/book/x.csv")),
    ),
    ("no_machine_paths", "memory address", set_outputs(COMPARED, stdout("<Axes at 0x7f03a4b5c6d0>"))),
    ("no_network", "https://", add_code('pd.read_csv("https://example.org/sleepstudy.csv")')),
    ("no_network", "urllib.request", add_code("from urllib.request import urlopen")),
    ("no_network", "requests", add_code("import requests")),
    ("plain_python", "magic", add_code("%matplotlib inline")),
    ("plain_python", "magic", add_code("%%capture\nx = 1")),
    ("plain_python", "magic", add_code("!pip install pymc")),
    ("plain_python", "magic", add_code("files = !ls")),
    ("plain_python", "calls get_ipython", add_code("get_ipython().run_line_magic('time', 'x')")),
    ("plain_python", "subprocess", add_code("import subprocess")),
    ("plain_python", "not valid", add_code("def f(:")),
    ("randomness_is_seeded", "default_rng()", add_code("r = np.random.default_rng()")),
    ("randomness_is_seeded", "default_rng()", add_code("r = np.random.default_rng(seed=None)")),
    ("randomness_is_seeded", "global state", add_code("np.random.seed(1)")),
    ("randomness_is_seeded", "global state", add_code("x = np.random.normal(0, 1, 10)")),
    ("randomness_is_seeded", "imports random", add_code("import random")),
    ("randomness_is_seeded", "hb.sample", set_source(SAMPLE, "fit = hb.sample(hb.pooled(data))")),
    ("randomness_is_seeded", "pm.sample", add_code("pm.sample(random_seed=None)\nhb.diagnostics(fit)")),
    ("randomness_is_seeded", "prior_predictive", add_code("p = pm.sample_prior_predictive(draws=100)")),
    ("randomness_is_seeded", "posterior_predictive", add_code("pm.sample_posterior_predictive(fit)")),
    ("randomness_is_seeded", "pm.draw", add_code("x = pm.draw(pm.Normal.dist(0, 1), draws=10)")),
    ("randomness_is_seeded", "pm.fit", add_code("a = pm.fit(method='advi')")),
    ("randomness_is_seeded", "?.rvs", add_code("x = stats.norm(0, 1).rvs(10)")),
    ("declared_seeds_are_used", "'SEED'", both(set_source(SAMPLE, "x = 1"), set_source(SEED, "SEED = 1"))),
    ("declared_seeds_are_used", "'rng'", set_source(FIGURE, "hb.plot(fit)")),
    ("declared_seeds_are_used", "'plot_seed'", add_code("plot_seed = 1")),
    ("warnings_are_not_silenced", "wholesale", add_code('warnings.filterwarnings("ignore")')),
    (
        "warnings_are_not_silenced",
        "wholesale",
        add_code('warnings.filterwarnings("ignore", category=UserWarning)'),
    ),
    ("warnings_are_not_silenced", "wholesale", add_code('warnings.simplefilter("ignore", UserWarning)')),
    ("warnings_are_not_silenced", "wholesale", add_code('np.seterr(all="ignore")')),
    ("warnings_are_not_silenced", "logging.disable", add_code("logging.disable(logging.WARNING)")),
    (
        "warnings_are_not_silenced",
        "setLevel",
        add_code('logging.getLogger("pymc").setLevel(logging.ERROR)'),
    ),
    ("cells_are_small", "26 lines", add_code("\n".join(["x = 1"] * 26))),
    ("cells_are_small", "median", add_code(*["\n".join(["x = 1"] * 10)] * 8)),
    ("headings_are_nested", "does not start", lambda nb: nb.cells.pop(TITLE)),
    ("headings_are_nested", "second", add_text("# Another title")),
    ("headings_are_nested", "from level 2 to 4", add_text("#### Too deep")),
    ("chapter_has_its_parts", "start '# 3. Title'", set_source(TITLE, "# An example")),
    ("chapter_has_its_parts", "start '# 3. Title'", set_source(TITLE, "# 30. An example")),
    ("chapter_has_its_parts", "'## Where this goes wrong'", set_source(WRONG, "### Where this goes wrong")),
    ("chapter_has_its_parts", "'## Exercises'", without(EXERCISES)),
    ("chapter_has_its_parts", "'## What you can do now'", lambda nb: nb.cells.pop()),
    ("chapter_has_its_parts", "order", lambda nb: nb.cells.append(nb.cells.pop(WRONG))),
    ("sampling_is_checked", "cell 5", without(DIAGNOSTICS)),
    ("sampling_is_checked", "cell 13", add_code("again = hb.sample(model, seed=SEED)")),
    ("sampling_is_checked", "cell 5", set_metadata(DIAGNOSTICS, tags=["hide-cell"])),
    ("file_is_small", "1.2 MB", set_outputs(COMPARED, stdout("x" * 1_200_000))),
    ("file_is_small", "state of widgets", lambda nb: nb.metadata.update(widgets={})),
    (
        "file_is_small",
        "a widget",
        set_outputs(SAMPLE, new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}})),
    ),
    ("no_computed_number_in_prose", "'10.467'", add_text("The slope is 10.467 a day.")),
    ("no_computed_number_in_prose", "'0.35'", add_text("Then $w = 0.35$.")),
    ("no_computed_number_in_prose", "'0.35'", add_text("```{math}\nw = 0.35\n```")),
    (
        "no_computed_number_in_prose",
        "'0.35'",
        add_text(":::{admonition} Weight\n:class: tip\nIt is 0.35.\n:::"),
    ),
    ("no_computed_number_in_prose", "'.066'", add_text("A correlation of .066.")),
    ("no_computed_number_in_prose", "'1e-3'", add_text("They agree to 1e-3.")),
    ("no_computed_number_in_prose", "'2.5'", add_text("It is 2.5x faster.")),
    ("no_computed_number_in_prose", "unit", add_text("Reactions slow by 11 ms a day.")),
    ("no_computed_number_in_prose", "unit", add_text(r"They slow by $11\,\text{ms}$ a day.")),
    ("no_computed_number_in_prose", "unit", add_text("It holds for 27% of subjects.")),
    ("no_computed_number_in_prose", "unit", add_text("It holds for 27 per cent of subjects.")),
    ("no_computed_number_in_prose", "unit", add_text(r"It holds for $27\,\%$ of subjects.")),
    (
        "no_computed_number_in_prose",
        "unit",
        add_text("Pooling helps 90 % of subjects. The interval is wide."),
    ),
    ("no_computed_number_in_prose", "unit", add_text("The interval covers 27 % of them.")),
    ("no_computed_number_in_prose", "298.508", add_text("The mean is about 299.")),
    (
        "no_computed_number_in_prose",
        "shows 45)",
        both(set_outputs(COMPARED, stdout("45 of 180")), add_text("In 45 cases.")),
    ),
    ("no_computed_number_in_prose", "unit", add_text("Subject 335 slows by 335 ms.")),
    (
        "no_computed_number_in_prose",
        "7185",
        both(set_outputs(COMPARED, HTML), add_text("There are 7,185 students.")),
    ),
    ("no_computed_number_in_prose", "caption", set_mystnb("figure", caption="The line rises by 10.4 a day.")),
    ("no_computed_number_in_prose", "alternative text", set_mystnb("image", alt=f"{ALT} It rises by 11 ms.")),
    ("no_computed_number_in_prose", "'1.01' stands nowhere", given(**{"1.01": "R-hat's usual threshold"})),
    ("no_computed_number_in_prose", "a reason", given(**{"1.01": "because"})),
]


def problems_of(notebook: NotebookNode, rule: str) -> list[str]:
    return rules.NOTEBOOK_RULES[rule](notebook, PATH)


@pytest.mark.parametrize("rule", rules.NOTEBOOK_RULES)
def test_good_chapter_passes(rule: str) -> None:
    assert problems_of(good(), rule) == []


@pytest.mark.parametrize(
    ("rule", "message", "spoil"), BAD, ids=[f"{rule}-{place}" for place, (rule, _, _) in enumerate(BAD)]
)
def test_bad_chapter_is_refused(rule: str, message: str, spoil: Spoil) -> None:
    notebook = copy.deepcopy(good())
    spoil(notebook)
    problems = problems_of(notebook, rule)
    assert any(message in problem for problem in problems), problems
    assert all(problem.startswith(("cell ", "notebook: ")) for problem in problems)


def test_every_rule_is_proved_on_a_bad_example() -> None:
    book_rules_proved_below = {"contents_are_complete", "labels_are_unique"}
    assert {rule for rule, _, _ in BAD} == set(rules.NOTEBOOK_RULES)
    assert set(rules.BOOK_RULES) == book_rules_proved_below


@pytest.mark.parametrize(
    "text",
    [
        "In 2003, 18 subjects were followed for 10 days, 180 rows in all.",
        "As [Section 2.1](02-sleep-study.ipynb) and Chapters 3.1 and 3.2 say, Figure 1.2 shows it.",
        "Use `rhat < 1.01`, as {cite}`vehtari2021` and doi:10.1046/j.1365-2869.2003.00337.x say.",
        "```python\nx = 3.14\n```\n\n~~~\n2.72 ms\n~~~",
        "<!-- 10.467 -->\n(sec-1.5)=\n\n[^1]: See <https://example.org/v1.5/page>.\n\n[1.5]: https://example.org/1.5",
        "A 95 % interval, a 90% credible interval and an 89 % posterior band.",
        "The intervals are 95 % equal-tailed, from the 2.5 % to the 97.5 % quantile. You are 95 % sure.",
        "Pooling is 0 % or 100 %.",
        "Reading takes about 45 minutes.",
        "Take subjects 299, 308 and 335: subject 298's points climb, and 335 is shrunk most.",
        "It needs Python 3.12, PyMC 6.4.0 and CC BY 4.0.",
        "The prior's SD is 4.5, and 95 % lies within.\n\n:::{figure} a.svg\n:width: 62.5%\n:::",
        r"$\hspace{0.5em} \tau^{-1/2}, x_{10}, \frac{1}{2}$, the 3rd and the 2D case",
        "1. First\n2. Second\n\n### 2.3 A numbered heading\n\nGive it to the 40 drivers.",
        "> ```{note}\n> Quoted.\n> ```",
    ],
)
def test_ordinary_text_raises_no_alarm(text: str) -> None:
    notebook = good()
    notebook.cells[SAMPLE].source += "\nlevel = 0.95"
    notebook.cells[COMPARED].outputs[0].text += "45.4 335 308 299\n"
    notebook.cells.append(new_markdown_cell(text))
    assert problems_of(notebook, "no_computed_number_in_prose") == []


def test_a_number_may_be_given_with_a_reason() -> None:
    notebook = good()
    notebook.metadata["given"] = {"1.01": "R-hat's customary threshold (Vehtari et al. 2021)"}
    notebook.cells.append(new_markdown_cell("R-hat should be below 1.01."))
    assert problems_of(notebook, "no_computed_number_in_prose") == []


def test_text_after_a_code_block_is_read_again() -> None:
    notebook = good()
    notebook.cells.append(
        new_markdown_cell("````{note}\n```python\nx = 1.5\n```\nThe slope is 10.467.\n````\nSo 3.25.")
    )
    problems = problems_of(notebook, "no_computed_number_in_prose")
    assert [literal for literal in ("1.5", "10.467", "3.25") if f"'{literal}'" in " ".join(problems)] == [
        "10.467",
        "3.25",
    ]


@pytest.mark.parametrize(
    "source",
    [
        'warnings.filterwarnings("ignore", message="Loky", category=UserWarning)',
        'warnings.filterwarnings("ignore", "Loky", UserWarning)',
        'warnings.filterwarnings("error")',
        'with np.errstate(divide="ignore"):\n    x = 1 / y',
    ],
)
def test_one_named_warning_may_be_silenced(source: str) -> None:
    notebook = good()
    add_code(source)(notebook)
    assert problems_of(notebook, "warnings_are_not_silenced") == []


# ------------------------------------------------------------------------------
# The book as a whole


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of two pages that breaks no rule."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters/index.md").write_text("# A book\n\n(welcome)=\n## Welcome\n")
    nbformat.write(good(), tmp_path / "chapters/03-example.ipynb")
    toc = (
        "format: jb-book\nroot: chapters/index\n"
        "parts:\n  - caption: One\n    chapters:\n    - file: chapters/03-example\n"
    )
    (tmp_path / "_toc.yml").write_text(toc)
    return tmp_path


def test_good_book_passes(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rules.main([], book) == 0
    assert "2 pages pass" in capsys.readouterr().out


def test_page_missing_from_the_contents_is_refused(book: Path) -> None:
    (book / "chapters/04-forgotten.md").write_text("# 4. Forgotten\n")
    assert rules.contents_are_complete(book) == ["chapters/04-forgotten.md: is not in _toc.yml"]


def test_contents_naming_no_page_are_refused(book: Path) -> None:
    (book / "chapters/03-example.ipynb").unlink()
    assert rules.contents_are_complete(book) == ["_toc.yml: 'chapters/03-example' has no file"]


def test_contents_naming_a_page_twice_are_refused(book: Path) -> None:
    with (book / "_toc.yml").open("a") as toc:
        toc.write("    - file: chapters/03-example.ipynb\n")
    assert rules.contents_are_complete(book) == ["_toc.yml: 'chapters/03-example.ipynb' is listed twice"]


def test_missing_contents_are_refused(book: Path) -> None:
    (book / "_toc.yml").unlink()
    assert rules.contents_are_complete(book) == ["_toc.yml: is missing"]


@pytest.mark.parametrize("text", ["(Fig-Scatter)=\n## Here", ":::{figure} a.svg\n:name: fig-scatter\n:::"])
def test_label_used_twice_is_refused(book: Path, text: str) -> None:
    with (book / "chapters/index.md").open("a") as page:
        page.write(text)
    (problem,) = rules.labels_are_unique(book)
    assert "'fig-scatter' names 2 things: 03-example.ipynb cell 8 (In [6]), index.md cell 1" in problem


def test_command_line_names_page_rule_and_cell(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = good()
    add_text("The slope is 10.467.")(notebook)
    nbformat.write(notebook, book / "chapters/03-example.ipynb")
    assert rules.main([str(book / "chapters/03-example.ipynb")], book) == 1
    assert "03-example.ipynb: [no_computed_number_in_prose] cell 13: '10.467'" in capsys.readouterr().out


def test_command_line_refuses_a_bad_markdown_page(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (book / "chapters/index.md").write_text("---\ntitle: A book\n---\n# A book\n\n![plot](a.png)\n")
    assert rules.main([], book) == 1
    assert "index.md: [markdown_images_are_described] cell 1: image a.png" in capsys.readouterr().out


def test_a_book_without_notebooks_does_not_pass(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(book / "chapters")
    (book / "chapters").mkdir()
    assert rules.main([], book) == 1
    assert "no notebooks in" in capsys.readouterr().out


# ------------------------------------------------------------------------------
# The real chapters

PAGES = rules.pages(rules.ROOT)


def test_there_are_chapters() -> None:
    assert rules.chapters(rules.ROOT), "no notebooks in chapters/: the checks below would hold for nothing"


@pytest.mark.parametrize("path", PAGES, ids=[os.fspath(path.relative_to(rules.ROOT)) for path in PAGES])
def test_page_obeys_the_rules(path: Path) -> None:
    assert rules.check_page(path) == []


def test_book_obeys_the_rules() -> None:
    assert rules.check_book(rules.ROOT) == []

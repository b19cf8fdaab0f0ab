"""What every chapter must obey and no build flag checks.

Each rule is a function of a notebook and its path that returns its problems, each naming the cell and what to
do. A cell is named by its place in the notebook, counting from 1, with its execution count where it has one.

    python tests/book/notebook_rules.py                      every chapter
    python tests/book/notebook_rules.py chapters/03-*.ipynb  some

The checks see what is written, not what is meant: a number hidden in a code span, or a seed passed through
`**options`, gets past them. They are for slips, and reviewers are for the rest.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import re
import statistics
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]

NotebookRule = Callable[[NotebookNode, Path], list[str]]
BookRule = Callable[[Path], list[str]]

NOTEBOOK_RULES: dict[str, NotebookRule] = {}
PAGE_RULES: dict[str, NotebookRule] = {}  # those that also hold for a Markdown page, read as one cell
BOOK_RULES: dict[str, BookRule] = {}


def notebook_rule(rule: NotebookRule) -> NotebookRule:
    """Register a rule for notebooks."""
    NOTEBOOK_RULES[rule.__name__] = rule
    return rule


def page_rule(rule: NotebookRule) -> NotebookRule:
    """Register a rule for notebooks that holds for Markdown pages too."""
    PAGE_RULES[rule.__name__] = rule
    return notebook_rule(rule)


def book_rule(rule: BookRule) -> BookRule:
    """Register a rule that needs the whole book."""
    BOOK_RULES[rule.__name__] = rule
    return rule


# ------------------------------------------------------------------------------
# Looking into a notebook


def _cells(notebook: NotebookNode, kind: str) -> Iterator[tuple[str, NotebookNode]]:
    """Yield the cells of a kind, each with the name that messages call it by."""
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == kind:
            yield _name(number, cell), cell


def _name(number: int, cell: NotebookNode) -> str:
    count = cell.get("execution_count")
    return f"cell {number} (In [{count}])" if count else f"cell {number}"


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def _images(cell: NotebookNode) -> int:
    """Count the outputs of a cell that the book shows as an image."""
    return sum(any(mime.startswith("image/") for mime in output.get("data", {})) for output in cell.outputs)


def _output_texts(cell: NotebookNode) -> Iterator[str]:
    """Yield what a cell printed or displayed as text, tags and scripts of HTML removed."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield _text(output.text)
        for mime, content in output.get("data", {}).items():
            if mime == "text/html":
                without_scripts = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", _text(content))
                yield re.sub(r"<[^>]*>", " ", without_scripts)
            elif mime.startswith("text/"):
                yield _text(content)


@lru_cache(maxsize=4096)
def _parse(source: str) -> ast.Module | None:
    """Return the syntax tree of plain Python, or None when the source is something else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a chapter's own SyntaxWarning shows up in its stderr
            return ast.parse(source)
    except SyntaxError:
        return None


def _trees(notebook: NotebookNode) -> Iterator[tuple[str, ast.Module]]:
    for where, cell in _cells(notebook, "code"):
        if (tree := _parse(cell.source)) is not None:
            yield where, tree


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with its dotted name; what is not a plain name before the last dot becomes `?`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield _dotted(node.func), node


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return "?"


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


# ------------------------------------------------------------------------------
# Tags and metadata

HIDING_TAGS = {
    # What JupyterLab must be told so that it folds what the rendered book folds.
    "hide-input": {"source_hidden"},
    "hide-output": {"outputs_hidden"},
    "hide-cell": {"source_hidden", "outputs_hidden"},
    "remove-input": {"source_hidden"},
}
CODE_TAGS = {*HIDING_TAGS, "nbval-check-output", "raises-exception", "solution"}
CELL_METADATA = {
    "tags": None,
    "jupyter": {"source_hidden", "outputs_hidden"},
    "mystnb": {"image", "figure"},
}
MYSTNB_METADATA = {
    "image": {"alt", "width", "height", "align", "classes", "scale"},
    "figure": {"caption", "name", "align", "classes"},
}


@notebook_rule
def tags_are_known(notebook: NotebookNode, _path: Path) -> list[str]:
    """A misspelt tag does nothing and nobody notices; some known ones would hide a defect."""
    problems = []
    for number, cell in enumerate(notebook.cells, start=1):
        where, tags = _name(number, cell), _tags(cell)
        known = CODE_TAGS if cell.cell_type == "code" else set()
        for tag in tags:
            if tag not in known:
                on = "code cell may have" if known else f"{cell.cell_type} cell may have no tag; code cells"
                problems.append(
                    f"{where}: tag {tag!r} is not one that a {on}: {', '.join(sorted(CODE_TAGS))}"
                )
        if len(tags) != len(set(tags)):
            problems.append(f"{where}: a tag is given twice")
        if "solution" in tags and "hide-cell" not in tags:
            problems.append(f"{where}: a solution is folded away; add the tag hide-cell")
    return problems


@notebook_rule
def folded_in_jupyterlab_too(notebook: NotebookNode, _path: Path) -> list[str]:
    """The rendered book folds by tag, JupyterLab by `metadata.jupyter`; a cell folds in both or neither."""
    problems = []
    for where, cell in _cells(notebook, "code"):
        wanted = set().union(*(HIDING_TAGS.get(tag, set()) for tag in _tags(cell)))
        found = {key for key, value in cell.metadata.get("jupyter", {}).items() if value is True}
        problems += [
            f'{where}: hidden in the book but not in JupyterLab; add metadata "jupyter": {{"{key}": true}}'
            for key in sorted(wanted - found)
        ]
        problems += [
            f"{where}: jupyter.{key} folds it in JupyterLab only; add the matching tag or drop it"
            for key in sorted(found - wanted)
        ]
    return problems


@notebook_rule
def metadata_keys_are_known(notebook: NotebookNode, _path: Path) -> list[str]:
    """A misspelt key (`mystb`, `figures`, `Caption`) is ignored without a word by all that read it."""
    problems = []
    for number, cell in enumerate(notebook.cells, start=1):
        where = _name(number, cell)
        unknown = [key for key in cell.metadata if key not in CELL_METADATA]
        for key, allowed in CELL_METADATA.items():
            unknown += [
                f"{key}.{k}" for k in cell.metadata.get(key, {}) if allowed is not None and k not in allowed
            ]
        for key, allowed in MYSTNB_METADATA.items():
            options = cell.metadata.get("mystnb", {}).get(key, {})
            unknown += [f"mystnb.{key}.{k}" for k in options if k not in allowed]
        problems += [
            f"{where}: metadata key {key!r} is unknown or belongs to an editor; remove it" for key in unknown
        ]
    return problems


@notebook_rule
def normalised(notebook: NotebookNode, _path: Path) -> list[str]:
    """What differs from machine to machine is not committed: `make notebooks` writes none of it."""
    problems = []
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    if notebook.metadata.get("kernelspec") != kernel:
        problems.append(f"notebook: metadata.kernelspec must be {json.dumps(kernel)}; run make notebooks")
    language = notebook.metadata.get("language_info", {})
    if language.get("name") != "python" or "version" in language:
        problems.append("notebook: metadata.language_info names no Python or its version; run make notebooks")
    ids = [cell.get("id") for cell in notebook.cells]
    if None in ids or len(ids) != len(set(ids)):
        problems.append("notebook: a cell has no id, or the id of another; run make notebooks")
    return problems


# ------------------------------------------------------------------------------
# Execution


@notebook_rule
def executed_in_order(notebook: NotebookNode, _path: Path) -> list[str]:
    """Run from top to bottom in a fresh kernel, so that what a reader runs gives what a reader sees."""
    problems = []
    expected = 0
    for where, cell in _cells(notebook, "code"):
        if not cell.source.strip():
            problems.append(f"{where}: an empty code cell; remove it")
            continue
        expected += 1
        if cell.execution_count != expected:
            problems.append(
                f"{where}: executed as {cell.execution_count}, not as {expected}; run make notebooks"
            )
            expected = cell.execution_count or expected  # one message a gap, not one a cell
    return problems


@notebook_rule
def no_errors(notebook: NotebookNode, _path: Path) -> list[str]:
    """An error is shown only where it is the lesson, and then it does happen."""
    problems = []
    for where, cell in _cells(notebook, "code"):
        errors = [output.ename for output in cell.outputs if output.output_type == "error"]
        meant = "raises-exception" in _tags(cell)
        if errors and not meant:
            problems.append(
                f"{where}: raised {errors[0]}; mend it, or tag it raises-exception if it is the lesson"
            )
        if meant and not errors:
            problems.append(f"{where}: tagged raises-exception but raised nothing; drop the tag")
    return problems


@notebook_rule
def no_stderr(notebook: NotebookNode, _path: Path) -> list[str]:
    """Warnings are mended, not shown."""
    return [
        f"{where}: wrote to stderr: {_text(output.text).strip().splitlines()[0]!r}; mend the cause"
        for where, cell in _cells(notebook, "code")
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr" and _text(output.text).strip()
    ]


@notebook_rule
def something_is_compared(notebook: NotebookNode, _path: Path) -> list[str]:
    """nbval compares the text of tagged cells, never images: a tag on a figure alone compares nothing."""
    tagged = [
        (where, cell) for where, cell in _cells(notebook, "code") if "nbval-check-output" in _tags(cell)
    ]
    if not tagged:
        return ["notebook: no cell is tagged nbval-check-output; tag one whose output never depends on draws"]
    return [
        f"{where}: tagged nbval-check-output but has no text output to compare; drop the tag"
        for where, cell in tagged
        if not any(text.strip() and not text.startswith("<Figure ") for text in _output_texts(cell))
    ]


# ------------------------------------------------------------------------------
# Figures

_STOCK_PHRASE = re.compile(
    r"(?i)^(an?|the|this)?\s*(image|figure|fig\.?|plot|picture|graph|chart|screenshot)\s+(of|show)"
)
_FILE_OR_HASH = re.compile(r"(?i)\.(png|svg|jpe?g|gif|webp)\b|_images/|\b[0-9a-f]{16,}\b")
_MARKUP = re.compile(r"[$`]|\\[a-z]|\*\*|\{[a-z:-]+\}")


def alt_problem(alt: str, caption: str = "") -> str | None:
    """Say what is wrong with an alternative text, if anything is."""
    alt = alt.strip()
    complaints = [
        (not alt, "has no alternative text"),
        (_FILE_OR_HASH.search(alt), "has a file name for alternative text"),
        (
            _STOCK_PHRASE.match(alt),
            f"has alternative text that starts {alt[:16]!r}; say at once what it shows",
        ),
        (_MARKUP.search(alt), "has markup in its alternative text, which is read out as it stands"),
        (
            len(alt) < 40,
            f"has alternative text of {len(alt)} characters; describe what it shows, in 40 or more",
        ),
        (not alt.endswith("."), "has alternative text that does not end with a full stop"),
        (_squeezed(alt) == _squeezed(caption), "has its caption for alternative text; say what is shown"),
    ]
    return next((complaint for applies, complaint in complaints if applies), None)


def _squeezed(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()


def caption_problem(caption: str) -> str | None:
    """Say what is wrong with a caption, if anything is."""
    caption = caption.strip()
    if len(caption) < 30:
        return "has no caption of 30 characters or more; say what to see"
    if not caption.endswith("."):
        return "has a caption that does not end with a full stop"
    if re.search(r"\n\s*\n", caption):
        return "has a caption of several paragraphs; keep one"
    return None


@notebook_rule
def figures_are_described(notebook: NotebookNode, _path: Path) -> list[str]:
    """A figure has alternative text, a caption and a name, where myst-nb looks for them."""
    problems = []
    for where, cell in _cells(notebook, "code"):
        images = _images(cell)
        mystnb = cell.metadata.get("mystnb", {})
        image, figure = mystnb.get("image", {}), mystnb.get("figure", {})
        if not images:
            if mystnb:
                problems.append(f"{where}: has mystnb metadata but shows no image; remove it")
            continue
        if images > 1:
            problems.append(f"{where}: shows {images} images under one caption; one figure a cell")
        alt, caption, name = (
            str(image.get("alt", "")),
            str(figure.get("caption", "")),
            str(figure.get("name", "")),
        )
        if problem := alt_problem(alt, caption):
            problems.append(f"{where}: figure {problem} (mystnb.image.alt)")
        if problem := caption_problem(caption):
            problems.append(f"{where}: figure {problem} (mystnb.figure.caption)")
        if not re.fullmatch(r"fig-[a-z0-9]+(-[a-z0-9]+)*", name):
            problems.append(
                f"{where}: figure name {name!r} is not like 'fig-shrinkage-arrows' (mystnb.figure.name)"
            )
    return problems


_MD_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]*)[^)]*\)")
_IMAGE_DIRECTIVE = re.compile(
    r"(?m)^\s*(?:`{3,}|:{3,})\s*\{(?:image|figure)\}\s*(\S*)\s*\n((?:\s*:[\w-]+:.*\n?)*)"
)
_HTML_IMAGE = re.compile(r"(?is)<img\b[^>]*>")


@page_rule
def markdown_images_are_described(notebook: NotebookNode, _path: Path) -> list[str]:
    """An image placed in the text needs alternative text as much as one that is computed."""
    problems = []
    for where, cell in _cells(notebook, "markdown"):
        text = _without_code(cell.source, keep_directives=True)
        found = [(target, alt) for alt, target in _MD_IMAGE.findall(text)]
        for target, options in _IMAGE_DIRECTIVE.findall(text):
            alt = re.search(r"(?m)^\s*:alt:\s*(.*)$", options)
            found.append((target, alt[1] if alt else ""))
        for tag in _HTML_IMAGE.findall(text):
            alt = re.search(r"""(?is)\balt\s*=\s*(["'])(.*?)\1""", tag)
            found.append((tag, alt[2] if alt else ""))
        for target, alt_text in found:
            if problem := alt_problem(alt_text):
                problems.append(f"{where}: image {target} {problem}")
    return problems


# ------------------------------------------------------------------------------
# Code

_MACHINE_PATH = re.compile(
    r"(?<![\w.:/~-])/(?:home|root|Users|tmp|work|mnt|var|opt|usr|private)/|\b[A-Za-z]:\\{1,2}\w|file://|(?<!\w)~/"
)
_NETWORK_MODULES = {
    *("aiohttp", "ftplib", "gdown", "http.client", "httpx", "kagglehub", "pooch"),
    *("requests", "socket", "urllib", "urllib.request", "urllib3", "wget"),
}
_ADDRESS = re.compile(r"(?i)\b(https?|ftp|s3|gs)://")


@page_rule
def no_machine_paths(notebook: NotebookNode, _path: Path) -> list[str]:
    """What holds on one machine only: absolute paths, and memory addresses in output."""
    problems = [
        f"{where}: absolute path at {found[0]!r}; use a path relative to the chapter"
        for where, cell in _cells(notebook, "markdown")
        if (found := _MACHINE_PATH.search(cell.source))
    ]
    problems += [
        f"{where}: absolute path {string!r}; use a path relative to the chapter"
        for where, tree in _trees(notebook)
        for string in _strings(tree)
        if _MACHINE_PATH.search(string) or re.fullmatch(r"/[a-z]+", string)
    ]
    for where, cell in _cells(notebook, "code"):
        for text in _output_texts(cell):
            if found := _MACHINE_PATH.search(text):
                problems.append(
                    f"{where}: its output shows an absolute path at {found[0]!r}; do not print it"
                )
            if re.search(r"\bat 0x[0-9a-f]{4,}", text):
                problems.append(f"{where}: its output shows a memory address; end the line with a semicolon")
    return problems


@notebook_rule
def no_network(notebook: NotebookNode, _path: Path) -> list[str]:
    """A chapter runs offline, from what the project ships."""
    problems = []
    for where, tree in _trees(notebook):
        problems += [
            f"{where}: imports {module}, which reads from the network; ship the data in data/"
            for module in _imports(tree)
            if module in _NETWORK_MODULES or module.split(".")[0] in _NETWORK_MODULES
        ]
        problems += [
            f"{where}: address {string!r} in code; ship the data in data/, cite in the text"
            for string in _strings(tree)
            if _ADDRESS.search(string)
        ]
    return problems


@notebook_rule
def plain_python(notebook: NotebookNode, _path: Path) -> list[str]:
    """No magics, shell commands or installs: a cell is Python that can be pasted into a script."""
    problems = []
    for where, cell in _cells(notebook, "code"):
        tree = _parse(cell.source)
        if tree is None:
            if "raises-exception" in _tags(cell):
                continue
            transformed = TransformerManager().transform_cell(cell.source)
            if "get_ipython()" in transformed:
                problems.append(f"{where}: a magic or shell command; write plain Python")
            else:
                problems.append(f"{where}: is not valid Python")
            continue
        problems += [
            f"{where}: imports subprocess; a chapter starts no programs"
            for module in _imports(tree)
            if module.split(".")[0] == "subprocess"
        ]
        problems += [
            f"{where}: calls {name}; write plain Python"
            for name, _ in _calls(tree)
            if name in {"get_ipython", "os.system", "os.popen"} or name.startswith("get_ipython.")
        ]
    return problems


_RANDOM_CLASSES = {
    *(
        "default_rng",
        "Generator",
        "SeedSequence",
        "BitGenerator",
        "PCG64",
        "PCG64DXSM",
        "Philox",
        "SFC64",
        "MT19937",
    )
}
_SEED_KEYWORDS = {"seed", "random_seed", "random_state", "rng"}
_SEEDED_METHODS = {*("sample", "sample_prior_predictive", "sample_posterior_predictive", "sample_smc", "rvs")}
_SEEDED_IN_PYMC = {f"{module}.{name}" for module in ("pm", "pymc") for name in ("draw", "fit")}
_SEED_NAME = re.compile(r"(?i)(^|_)(seeds?|random_state|rng)$")


@notebook_rule
def randomness_is_seeded(notebook: NotebookNode, _path: Path) -> list[str]:
    """Everything random takes a seed that can be read in the chapter."""
    problems = []
    for where, tree in _trees(notebook):
        problems += [
            f"{where}: imports random; use np.random.default_rng(seed)"
            for m in _imports(tree)
            if m == "random"
        ]
        for name, call in _calls(tree):
            if problem := _seed_problem(name, call):
                problems.append(f"{where}: {problem}")
    return problems


def _seed_problem(name: str, call: ast.Call) -> str | None:
    method = name.rpartition(".")[2]
    if method == "default_rng":
        given = [*call.args, *(k.value for k in call.keywords)]
        return (
            None if any(not _is_none(value) for value in given) else f"{name}() without a seed; give it one"
        )
    if re.match(r"(np|numpy)\.random\.", name) and method not in _RANDOM_CLASSES:
        return f"{name} draws from a global state; use np.random.default_rng(seed)"
    if method in _SEEDED_METHODS or name in _SEEDED_IN_PYMC:
        for keyword in call.keywords:
            if keyword.arg is None or (keyword.arg in _SEED_KEYWORDS and not _is_none(keyword.value)):
                return None
        return f"{name}(...) without a seed; pass {' or '.join(sorted(_SEED_KEYWORDS))}"
    return None


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


@notebook_rule
def declared_seeds_are_used(notebook: NotebookNode, _path: Path) -> list[str]:
    """A seed that is declared and not used promises what it does not keep."""
    declared: dict[str, str] = {}
    used: set[str] = set()
    for where, tree in _trees(notebook):
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and _SEED_NAME.search(node.id):
                declared.setdefault(node.id, where)
            elif isinstance(node, ast.Name):
                used.add(node.id)
    return [
        f"{where}: seed {name!r} declared and not used; pass it on or remove it"
        for name, where in declared.items()
        if name not in used
    ]


@notebook_rule
def warnings_are_not_silenced(notebook: NotebookNode, _path: Path) -> list[str]:
    """One known warning may be silenced, named by category and message; never all of them."""
    return [
        f"{where}: {problem}"
        for where, tree in _trees(notebook)
        for name, call in _calls(tree)
        if (problem := _silencing_problem(name, call))
    ]


def _silencing_problem(name: str, call: ast.Call) -> str | None:
    method = name.rpartition(".")[2]
    keywords = {keyword.arg for keyword in call.keywords}
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    ignores = any(isinstance(value, ast.Constant) and value.value == "ignore" for value in values)
    complaint = None
    if method == "filterwarnings" and ignores:
        # The order of its arguments: action, message, category.
        named = len(call.args) + ("message" in keywords) + ("category" in keywords) > 2
        complaint = None if named else "silences warnings wholesale; name the one, by message and category"
    elif method in {"simplefilter", "catch_warnings"} and ignores:
        complaint = f"{name} silences warnings wholesale; use filterwarnings with message and category"
    elif method in {"seterr", "errstate"} and "all" in keywords and ignores:
        complaint = f"{name}(all='ignore') silences wholesale; name the one kind"
    elif method in {"redirect_stderr", "capture_output", "setLevel"} or name == "logging.disable":
        complaint = f"{name} hides what a reader should see; mend the cause"
    return complaint


MAX_LINES, MAX_MEDIAN_LINES = 25, 8


@notebook_rule
def cells_are_small(notebook: NotebookNode, _path: Path) -> list[str]:
    """One idea a cell."""
    lengths = {
        where: sum(bool(line.strip()) for line in cell.source.splitlines())
        for where, cell in _cells(notebook, "code")
    }
    problems = [
        f"{where}: {length} lines of code, at most {MAX_LINES}; split it or move a part to hbutils"
        for where, length in lengths.items()
        if length > MAX_LINES
    ]
    if lengths and (median := statistics.median(lengths.values())) > MAX_MEDIAN_LINES:
        problems.append(
            f"notebook: the median code cell has {median:g} lines, at most {MAX_MEDIAN_LINES}; split some"
        )
    return problems


# ------------------------------------------------------------------------------
# Structure

REQUIRED_SECTIONS = ("Where this goes wrong", "Exercises", "What you can do now")


def _headings(notebook: NotebookNode) -> list[tuple[str, int, str]]:
    """Return (cell, level, text) of every heading."""
    found = []
    for where, cell in _cells(notebook, "markdown"):
        for hashes, text in re.findall(r"(?m)^ {0,3}(#{1,6})\s+(.*?)\s*#*$", _without_code(cell.source)):
            found.append((where, len(hashes), text))
    return found


@page_rule
def headings_are_nested(notebook: NotebookNode, _path: Path) -> list[str]:
    """One title, first; no level skipped on the way down."""
    headings = _headings(notebook)
    if not headings or headings[0][1] != 1:
        return ["cell 1: the page does not start with a '# ' title"]
    problems = [
        f"{w}: a second '# ' title, {t!r}; make it a '## ' section"
        for w, level, t in headings[1:]
        if level == 1
    ]
    for (_, above, _), (where, level, text) in itertools.pairwise(headings):
        if level > above + 1:
            problems.append(f"{where}: heading {text!r} skips from level {above} to {level}")
    return problems


@notebook_rule
def chapter_has_its_parts(notebook: NotebookNode, path: Path) -> list[str]:
    """A numbered chapter starts with its number and ends with failures, practice and what was learnt."""
    number = re.match(r"(\d+)-", path.name)
    if not number:
        return []
    problems = []
    first = notebook.cells[0] if notebook.cells else None
    if (
        first is None
        or first.cell_type != "markdown"
        or not re.match(rf"# 0*{int(number[1])}\b", first.source)
    ):
        problems.append(
            f"cell 1: must be Markdown and start '# {int(number[1])}. Title', as the file's number says"
        )
    sections = [_squeezed(text) for _, level, text in _headings(notebook) if level == 2]
    places = []
    for wanted in REQUIRED_SECTIONS:
        if _squeezed(wanted) in sections:
            places.append(sections.index(_squeezed(wanted)))
        else:
            problems.append(f"notebook: has no section '## {wanted}'")
    if places != sorted(places):
        problems.append(f"notebook: sections come in the order {', '.join(REQUIRED_SECTIONS)}")
    return problems


@notebook_rule
def sampling_is_checked(notebook: NotebookNode, _path: Path) -> list[str]:
    """Where something was sampled, a visible convergence check follows."""
    sampled: str | None = None
    for where, cell in _cells(notebook, "code"):
        tree = _parse(cell.source)
        names = [name for name, _ in _calls(tree)] if tree else []
        if "hb.diagnostics" in names and not {"hide-cell", "hide-output"} & set(_tags(cell)):
            sampled = None
        elif {"hb.sample", "pm.sample"} & set(names):
            sampled = where
    if sampled:
        return [f"{sampled}: samples, and no visible hb.diagnostics(...) follows in that or a later cell"]
    return []


@notebook_rule
def file_is_small(notebook: NotebookNode, _path: Path) -> list[str]:
    """Under a megabyte, and no widget: widgets need a server that the rendered book does not have."""
    problems = []
    size = len(nbformat.writes(notebook).encode())
    if size >= 1_000_000:
        problems.append(f"notebook: {size / 1e6:.1f} MB, at most 1; draw fewer points or fewer figures")
    if "widgets" in notebook.metadata:
        problems.append("notebook: stores the state of widgets; run make notebooks")
    for where, cell in _cells(notebook, "code"):
        if any("jupyter.widget" in mime for output in cell.outputs for mime in output.get("data", {})):
            problems.append(
                f"{where}: shows a widget, which needs a running kernel; show a plain figure or table"
            )
    return problems


# ------------------------------------------------------------------------------
# Numbers in the text

_CODE_DIRECTIVES = {
    *(
        "code",
        "code-block",
        "code-cell",
        "sourcecode",
        "literalinclude",
        "mermaid",
        "eval-rst",
        "bibliography",
    ),
    *("raw", "testcode", "prompt", "toctree", "tableofcontents"),
}
_FENCE = re.compile(r"^\s*(?:[-*>]\s+|>\s*)?(`{3,}|~{3,}|:{3,})\s*(?:\{([^}]*)\})?(.*)$")


def _without_code(markdown: str, *, keep_directives: bool = False) -> str:
    """Return Markdown without comments and code blocks.

    A directive's content is text like any other, unless it shows code; of its fence lines stays what is
    beside its name, which may be a title.
    """
    lines = []
    directives: list[str] = []  # the fences of the directives we are in
    code: str | None = None  # the fence of the code block we are in
    for line in re.sub(r"(?s)<!--.*?-->", "", markdown).splitlines():
        match = _FENCE.match(line)
        fence, directive, rest = match.groups() if match else ("", None, "")
        if code is not None:
            if (
                fence
                and fence[0] == code[0]
                and len(fence) >= len(code)
                and not directive
                and not rest.strip()
            ):
                code = None
        elif not fence:
            lines.append(line)
        elif directive is None and not rest.strip() and directives and fence.startswith(directives[-1]):
            directives.pop()
        elif directive is None and fence[0] == ":":
            continue
        elif directive is None or directive in _CODE_DIRECTIVES:
            code = fence
        else:
            directives.append(fence)
            lines.append(line if keep_directives else rest)
    return "\n".join(lines)


_WORDS_BEFORE_A_LABEL = (
    r"chapters?|sections?|figures?|fig\.|tables?|equations?|eq\.|exercises?|parts?|steps?|pages?|pp?\.|volume|"
    r"version|python|pymc|arviz|numpy|nutpie|lme4|jupyter book|cc by"
)
_NOT_PROSE: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"(?m)^\s*:(?!alt:)[\w-]+:.*$", " "),  # a directive's options
        (r"(?m)^\([\w:.-]+\)=\s*$", " "),  # a target
        (r"\{math\}`([^`]*)`", r" \1 "),  # formulas are read: their numbers count
        (
            r"(?:\{[\w:.-]+\})?(`+)(?!`)(?:(?!\1|\n\s*\n)[\s\S])+?\1(?!`)",
            " ",
        ),  # code spans, references, citations
        (r"(?m)^\s*\[(?!\^)[^\]]+\]:\s.*$", " "),  # a link's definition
        (r"\[\^[^\]]+\]:?|\[@[^\]]*\]", " "),  # footnote marks, citations
        (r"\]\([^)]*\)", " "),  # where a link leads; its text stays
        (r"<?\b(?:https?|ftp|mailto):[^\s>)]*>?", " "),
        (r"</?[A-Za-z][^>]*>", " "),
        (r"\b(?:doi:\s*)?10\.\d{4,9}/\S+", " "),
        (r"(?m)^(\s*#+)\s*\d+(?:\.\d+)*[.:)]?(?=\s)", r"\1"),  # a heading's number
        (r"(?m)^(\s*(?:>\s*)?)\d+[.)](?=\s)", r"\1"),  # a list's number
        (
            rf"(?i)\b(?:{_WORDS_BEFORE_A_LABEL})\s+\(?\d+(?:\.\d+)*\)?(?:\s*(?:,|and|to|or|-|–)\s+\d+(?:\.\d+)+)*",
            " ",
        ),
        (r"\bv?\d+(?:\.\d+){2,}\b", " "),  # a version
        (r"(\d)\{,\}(\d)", r"\1,\2"),
        (r"\\%", "%"),
    ]
]
_NUMBER = re.compile(
    r"(?<![\w.])(?:[1-9]\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+\b)?"
)
_GAP = r"(?:\s|~|\\[,;: ]|\$|\\(?:text|mathrm|,)\s*\{\s*)*"
_UNIT = re.compile(
    rf"{_GAP}(?:(?P<percent>%|per\s?cent\b)|percentage points?\b|ms\b|msecs?\b|milliseconds?\b)"
)
_LENGTH = re.compile(r"(em|ex|rem|px|pt|cm|mm|in|fr)\b")
_INTERVAL = re.compile(
    r"(?i)\b(intervals?|bands?|regions?|limits|HDIs?|ETIs?|CIs?|ellipses?|quantiles?|equal-tailed|sure)\b"
)
CONVENTIONAL_LEVELS = {2.5, 5, 10, 25, 50, 75, 80, 89, 90, 95, 97.5, 99}
_LABELS = re.compile(
    r"(?i)\b(?:subjects?|drivers?|schools?|hospitals?)\s+(\d+(?:(?:,\s*|,?\s+(?:and|or|to)\s+)\d+)*)"
)
SMALL_INTEGER = 32


@dataclass(frozen=True)
class Number:
    """A number as it stands in the text."""

    literal: str
    value: float
    is_decimal: bool
    has_unit: bool
    is_percent: bool
    names_an_interval: bool


def prose(markdown: str) -> str:
    """Return the text of a Markdown cell that may hold a number that somebody typed."""
    text = _without_code(markdown)
    for pattern, replacement in _NOT_PROSE:
        text = pattern.sub(replacement, text)
    return text


def numbers(text: str) -> Iterator[Number]:
    """Yield the numbers of a text, each with what makes it suspect."""
    for match in _NUMBER.finditer(text):
        literal, after = match[0], text[match.end() :]
        decimal = "." in literal or "e" in literal.lower()
        unit = _UNIT.match(after)
        if _LENGTH.match(after) and decimal:
            continue  # a length in LaTeX or CSS
        if not decimal and not unit and after[:1].isalpha():
            continue  # 3rd, 2D
        percent = bool(unit and unit["percent"])
        interval = percent and bool(_INTERVAL.search(_sentence_around(text, match.start())))
        yield Number(literal, float(literal.replace(",", "")), decimal, bool(unit), percent, interval)


def _sentence_around(text: str, place: int) -> str:
    """Return the sentence that holds a place in the text; the point in a number ends none."""
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s)|\n\s*\n", text)]
    start = max((end for end in ends if end <= place), default=0)
    return text[start : min((end for end in ends if end > place), default=len(text))]


def _prose_pieces(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """Yield what a reader reads: text, captions and alternative texts, each with where it stands."""
    for where, cell in _cells(notebook, "markdown"):
        yield where, prose(cell.source)
    for where, cell in _cells(notebook, "code"):
        mystnb = cell.metadata.get("mystnb", {})
        yield f"{where}, caption", prose(str(mystnb.get("figure", {}).get("caption", "")))
        yield f"{where}, alternative text", prose(str(mystnb.get("image", {}).get("alt", "")))


def _code_values(notebook: NotebookNode) -> set[float]:
    """Return the numbers written in the code: these are inputs, and an assertion's are checked."""
    return {
        abs(float(node.value))
        for _, tree in _trees(notebook)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
    }


def _shown_values(notebook: NotebookNode) -> dict[float, str]:
    """Return the numbers that the outputs show, each with a cell that shows it."""
    shown: dict[float, str] = {}
    for where, cell in _cells(notebook, "code"):
        for text in _output_texts(cell):
            for match in _NUMBER.finditer(text):
                shown.setdefault(float(match[0].replace(",", "")), where)
    return shown


@notebook_rule
def no_computed_number_in_prose(notebook: NotebookNode, _path: Path) -> list[str]:
    """A number that came from a computation is the output of a cell, not typed in the text.

    Looked at: Markdown (formulas too), captions, alternative texts. Not looked at: code, references, links,
    citations, the numbers of headings, lists, chapters, figures and versions. A number is suspect when it

    * has a decimal point (or exponent), or
    * is followed by %, per cent, percentage points, ms or milliseconds, or
    * is a whole number from 32 up, not a year (1800 to 2100), that some output shows: exactly, or
      from 100 up when rounded to a whole number.

    It is cleared when it

    * is also a literal in a code cell: an input, or asserted (95 % may stand there as 0.95);
    * is 0 % or 100 %, or a customary level in a sentence that speaks of an interval, a band, a quantile;
    * is a whole number and names a group: the notebook says `subject 335` somewhere;
    * is listed in the notebook's metadata with the reason: `"given": {"1.01": "R-hat's usual threshold"}`.
      An entry whose number stands nowhere in the text is a problem too.
    """
    given = notebook.metadata.get("given", {})
    problems: list[str] = [
        f"notebook: given {key!r} needs a number for a key and a reason of ten characters or more"
        for key, reason in given.items()
        if not _NUMBER.fullmatch(key) or len(str(reason).strip()) < 10
    ]
    reasons = {float(key.replace(",", "")): key for key in given if _NUMBER.fullmatch(key)}
    typed_in_code, shown, labels = _code_values(notebook), _shown_values(notebook), _group_labels(notebook)
    met: set[float] = set()
    for where, text in _prose_pieces(notebook):
        for number in numbers(text):
            met.add(number.value)
            why = _suspicion(number, {} if number.value in labels else shown)
            if why and not _is_input(number, typed_in_code) and number.value not in reasons:
                problems.append(
                    f"{where}: {number.literal!r} typed in the text ({why}); show it as a cell's output, "
                    "or give the reason in the notebook's metadata 'given'"
                )
    problems += [
        f"notebook: given {key!r} stands nowhere in the text; remove it"
        for value, key in reasons.items()
        if value not in met
    ]
    return problems


def _group_labels(notebook: NotebookNode) -> set[float]:
    """Return the numbers that name groups: after one `subject 335` in the text, 335 is a name."""
    listed = [found for _, text in _prose_pieces(notebook) for found in _LABELS.findall(text)]
    return {float(label) for found in listed for label in re.findall(r"\d+", found)}


def _suspicion(number: Number, shown: dict[float, str]) -> str | None:
    if number.is_percent and number.value in {0, 100}:
        return None
    if number.names_an_interval and number.value in CONVENTIONAL_LEVELS:
        return None
    if number.is_decimal:
        return "it has a decimal point"
    if number.has_unit:
        return "it has a unit"
    if number.value >= SMALL_INTEGER and not 1800 <= number.value <= 2100:
        for value, where in shown.items():
            # Rounded to two figures, a large output would hit upon too many numbers that mean something else.
            if abs(value - number.value) <= (0.5 if number.value >= 100 else 0):
                return f"{where} shows {value:g}"
    return None


def _is_input(number: Number, typed_in_code: set[float]) -> bool:
    return number.value in typed_in_code or (
        number.is_percent and round(number.value / 100, 12) in typed_in_code
    )


# ------------------------------------------------------------------------------
# The whole book


def pages(root: Path) -> list[Path]:
    """Return the files of the book's pages, whether listed or not."""
    folder = root / "chapters"
    found = [*folder.rglob("*.ipynb"), *folder.rglob("*.md")]
    return sorted(
        path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def chapters(root: Path) -> list[Path]:
    """Return the book's notebooks."""
    return [path for path in pages(root) if path.suffix == ".ipynb"]


def toc_entries(node: Any) -> list[str]:
    """Return every page a table of contents names, whatever its parts are nested in."""
    if isinstance(node, list):
        return [entry for item in node for entry in toc_entries(item)]
    if not isinstance(node, dict):
        return []
    named = [node[key] for key in ("root", "file") if key in node]
    return named + [
        entry for key, value in node.items() if key not in {"root", "file"} for entry in toc_entries(value)
    ]


@book_rule
def contents_are_complete(root: Path) -> list[str]:
    """Every page is in the table of contents once, and every entry has its page."""
    toc = root / "_toc.yml"
    if not toc.exists():
        return ["_toc.yml: is missing"]
    entries = toc_entries(yaml.safe_load(toc.read_text(encoding="utf-8")))
    listed: dict[Path, str] = {}
    problems = []
    for entry in entries:
        files = [
            root / f"{entry}{suffix}"
            for suffix in ("", ".ipynb", ".md")
            if (root / f"{entry}{suffix}").is_file()
        ]
        if not files:
            problems.append(f"_toc.yml: {entry!r} has no file")
        elif files[0] in listed:
            problems.append(f"_toc.yml: {entry!r} is listed twice")
        else:
            listed[files[0]] = entry
    return problems + [
        f"{page.relative_to(root)}: is not in _toc.yml" for page in pages(root) if page not in listed
    ]


@book_rule
def labels_are_unique(root: Path) -> list[str]:
    """A label names one figure or place in the whole book."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in pages(root):
        notebook = read_page(path)
        for where, cell in _cells(notebook, "code"):
            if name := cell.metadata.get("mystnb", {}).get("figure", {}).get("name"):
                places[str(name).lower()].append(f"{path.name} {where}")
        for where, cell in _cells(notebook, "markdown"):
            text = _without_code(cell.source)
            for name in re.findall(r"(?m)^\(([\w:.-]+)\)=\s*$", text) + re.findall(
                r"(?m)^\s*:(?:name|label):\s*(\S+)", text
            ):
                places[name.lower()].append(f"{path.name} {where}")
    return [
        f"label {name!r} names {len(found)} things: {', '.join(found)}"
        for name, found in places.items()
        if len(found) > 1
    ]


# ------------------------------------------------------------------------------
# Running the rules


def read_page(path: Path) -> NotebookNode:
    """Read a notebook as it is in the file, ids and all; or a Markdown page, as a notebook of one cell."""
    if path.suffix == ".md":
        # Front matter is for the machine.
        text = re.sub(r"(?s)\A---\n.*?\n---\n", "", path.read_text(encoding="utf-8"))
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*missing an id", category=Warning
        )  # a rule of ours says it better
        raw = json.loads(path.read_text(encoding="utf-8"))
    for cell in raw["cells"]:
        cell["source"] = _text(cell["source"])
    notebook: NotebookNode = nbformat.from_dict(raw)
    return notebook


def check_page(path: Path) -> list[str]:
    """Return every problem of one page, each led by the rule it breaks."""
    rules = NOTEBOOK_RULES if path.suffix == ".ipynb" else PAGE_RULES
    notebook = read_page(path)
    return [f"[{name}] {problem}" for name, rule in rules.items() for problem in rule(notebook, path)]


def check_book(root: Path) -> list[str]:
    """Return the problems that no page has on its own."""
    return [f"[{name}] {problem}" for name, rule in BOOK_RULES.items() for problem in rule(root)]


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Check the pages named on the command line, or all, and the book as a whole; return the exit code."""
    parser = argparse.ArgumentParser(description="Check the chapters against the book's rules.")
    parser.add_argument("pages", nargs="*", type=Path, help="notebooks or Markdown pages; all when left out")
    named = [page.resolve() for page in parser.parse_args(argv).pages]
    checked = named or pages(root)
    problems = [f"{path.name}: {problem}" for path in checked for problem in check_page(path)]
    problems += check_book(root)
    if not chapters(root):
        problems.append(f"no notebooks in {root / 'chapters'}")
    rules = len(NOTEBOOK_RULES) + len(BOOK_RULES)
    sys.stdout.write(("\n".join(problems) or f"{len(checked)} pages pass {rules} rules") + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""Re-execute the chapters in place.

    python tools/notebooks.py          every chapter
    python tools/notebooks.py 03 05    some

Chapters run in parallel, each in a fresh kernel started in its own folder. A chapter that raises, warns or
writes to stderr keeps its file as it was; the others go on, and the exit code is 1. What differs between
machines or runs without meaning anything (timestamps, version, threads) is fixed, so that a difference
in a committed notebook is one in its results.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import multiprocessing
import os
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from io import BytesIO
from pathlib import Path

import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CELL_TIMEOUT = 600  # seconds; the first chapter to sample may have to compile its model

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE_INFO = {
    "codemirror_mode": {"name": "ipython"},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
# Written by editors and kernels, different every time, and of no use to a reader.
NOISY_CELL_METADATA = ("ExecuteTime", "collapsed", "execution", "scrolled", "trusted")
NOISY_NOTEBOOK_METADATA = ("signature", "toc", "trusted", "widgets")

# One thread each: sums taken in another order change the last digits, and so the figures.
KERNEL_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class ChapterError(Exception):
    """A chapter did not run cleanly; the message says where and why."""


def all_chapters(root: Path) -> list[Path]:
    """Return the book's notebooks: those of `_toc.yml` in its order, then any it does not list."""
    toc = root / "_toc.yml"
    listed = toc_files(yaml.safe_load(toc.read_text(encoding="utf-8"))) if toc.exists() else []
    in_order = [root / f"{name.removesuffix('.ipynb')}.ipynb" for name in listed]
    folder = root / "chapters"
    found = [*sorted(folder.glob("[0-9]*.ipynb")), *folder.glob("index.ipynb")]
    return list(dict.fromkeys(path for path in [*in_order, *found] if path.exists()))


def toc_files(node: object) -> list[str]:
    """Return every page named in a Jupyter Book table of contents, in reading order."""
    if isinstance(node, list):
        return [name for item in node for name in toc_files(item)]
    if not isinstance(node, dict):
        return []
    own = [node[key] for key in ("root", "file") if key in node]
    nested = [name for key in ("parts", "chapters", "sections") for name in toc_files(node.get(key))]
    return own + nested


def select(chapters: list[Path], names: list[str]) -> list[Path]:
    """Return the chapters meant by `names`: a number, a stem or a path; all for none."""
    if not names:
        return chapters
    chosen: list[Path] = []
    for name in names:
        stem = Path(name).stem
        matches = [c for c in chapters if c.stem == stem or _number(c.stem) == _number(stem) is not None]
        if not matches:
            raise ValueError(
                f"no chapter {name!r}; there are: {', '.join(c.stem for c in chapters) or 'none'}"
            )
        chosen += matches
    return list(dict.fromkeys(chosen))


def _number(stem: str) -> int | None:
    match = re.match(r"(\d+)(?:-|$)", stem)
    return int(match[1]) if match else None


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook, giving cells that lack an id the same id every time."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["nbformat"], raw["nbformat_minor"] = 4, max(5, raw.get("nbformat_minor", 0))
    taken = {cell.get("id") for cell in raw["cells"]}
    for position, cell in enumerate(raw["cells"]):
        if not cell.get("id"):
            cell["id"] = _deterministic_id(position, "".join(cell["source"]), taken)
    # nbformat joins the lists of lines that the file format stores.
    return nbformat.reads(json.dumps(raw), as_version=4)


def _deterministic_id(position: int, source: str, taken: set[str | None]) -> str:
    digest = hashlib.sha256(f"{position}\n{source}".encode()).hexdigest()
    new = next(digest[i : i + 8] for i in range(len(digest)) if digest[i : i + 8] not in taken)
    taken.add(new)
    return new


def normalise(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Fix, in place, what would differ between machines or runs without meaning anything; lighten figures."""
    for key in NOISY_NOTEBOOK_METADATA:
        notebook.metadata.pop(key, None)
    notebook.metadata["kernelspec"] = dict(KERNELSPEC)
    notebook.metadata["language_info"] = dict(LANGUAGE_INFO)
    for cell in notebook.cells:
        for key in NOISY_CELL_METADATA:
            cell.metadata.pop(key, None)
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                output["data"]["image/png"] = lighter(png)
    return notebook


def lighter(png: str) -> str:
    """Return a figure, in base 64, with 256 colours: a third of the size, and the same to the eye."""
    image = Image.open(BytesIO(base64.b64decode(png)))
    if image.mode == "P":
        return png
    small = BytesIO()
    palette = image.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette.save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def dumps(notebook: nbformat.NotebookNode) -> str:
    """Return the file's text as JupyterLab would write it, keys sorted and a newline at the end."""
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook, version=4)
    return text.rstrip("\n") + "\n"


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Replace `path` in one step: an interrupted run never leaves half a notebook behind."""
    text = dumps(notebook)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return  # an unchanged file keeps its time, and make rebuilds nothing
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def stderr_problems(notebook: nbformat.NotebookNode) -> list[str]:
    """Name the cells that wrote to stderr (which is where warnings go) and what they wrote."""
    problems = []
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                first = cell.source.strip().splitlines()[0]
                problems.append(
                    f"cell {number} (In [{cell.execution_count}]: {first}) wrote to stderr; "
                    f"mend the cause:\n{output.text.rstrip()}"
                )
    return problems


def execute(path: Path) -> None:
    """Run one chapter and rewrite its file, or raise `ChapterError` and leave the file as it was."""
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        kernel_name=KERNELSPEC["name"],
        timeout=CELL_TIMEOUT,
        record_timing=False,
        coalesce_streams=True,
        # The kernel warns that its local sockets are not encrypted; the terminal is for the chapters.
        extra_arguments=["--IPKernelApp.log_level=40"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise ChapterError(str(error)) from None
    if problems := stderr_problems(notebook):
        raise ChapterError("\n".join(problems))
    write(normalise(notebook), path)


def _run_one(path: Path) -> tuple[float, str | None]:
    """Execute a chapter in a worker process; return its seconds and, if it failed, why."""
    print(f"  start  {path.stem}", flush=True)
    start = time.perf_counter()
    try:
        execute(path)
    except ChapterError as failure:
        return time.perf_counter() - start, str(failure)
    return time.perf_counter() - start, None


def run(chapters: list[Path], jobs: int) -> bool:
    """Execute `chapters`, `jobs` at a time, telling what happens; return whether all of them ran cleanly."""
    os.environ.update(KERNEL_ENVIRONMENT)
    os.environ.pop("MPLBACKEND", None)  # a backend set outside would keep figures from the notebook
    start = time.perf_counter()
    failed: list[str] = []
    # Spawned, not forked: a kernel's sockets and threads do not survive a fork.
    with ProcessPoolExecutor(
        min(jobs, len(chapters)), mp_context=multiprocessing.get_context("spawn")
    ) as pool:
        # The longest chapters stand towards the end: begin with those, and no core waits for the last one.
        futures = {pool.submit(_run_one, path): path for path in reversed(chapters)}
        for future in as_completed(futures):
            path = futures[future]
            try:
                seconds, failure = future.result()
            except (KeyError, OSError, RuntimeError, ValueError, nbformat.ValidationError) as error:
                # An unreadable chapter or a killed worker does not keep the others from being told.
                seconds, failure = 0.0, f"{type(error).__name__}: {error}"
            print(f"  {'FAILED' if failure else 'done  '} {path.stem}  {seconds:.1f} s", flush=True)
            if failure:
                failed.append(path.stem)
                print(f"\n{_for_terminal(failure)}\n", file=sys.stderr, flush=True)
    print(f"{len(chapters) - len(failed)} of {len(chapters)} chapters in {time.perf_counter() - start:.1f} s")
    if failed:
        print(f"failed, left as they were: {', '.join(sorted(failed))}", file=sys.stderr)
    return not failed


def _for_terminal(text: str) -> str:
    return text if sys.stderr.isatty() else _ANSI.sub("", text)


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Parse the command line and run; return the exit code."""
    parser = argparse.ArgumentParser(description="Re-execute chapters in place, in parallel.")
    parser.add_argument("chapters", nargs="*", metavar="NN", help="numbers or paths; all when left out")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default 2)")
    options = parser.parse_args(argv)
    try:
        chapters = select(all_chapters(root), options.chapters)
    except ValueError as error:
        parser.error(str(error))
    if not chapters:
        parser.error(f"no notebooks in {root / 'chapters'}")
    return 0 if run(chapters, max(1, options.jobs)) else 1


if __name__ == "__main__":
    raise SystemExit(main())

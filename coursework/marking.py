"""Run a submission shut in, and mark its answers outside.

A graded cell has two parts. What the student sees runs in the student's kernel, in the sandbox. The hidden
part never enters that kernel: the answers it names are fetched as plain data (numbers, text, arrays, tables),
and it runs here, in a namespace that holds those answers and what the notebook's own locked cells define. So
nothing a submission does can read a hidden test, or change what it compares.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async, run_sync
from nbformat.v4 import new_output
from nbgrader import utils
from nbgrader.preprocessors import Execute
from traitlets import Integer

from coursework.sandbox import KernelManager, NoSandboxError, require
from hbutils import checks

if TYPE_CHECKING:
    from nbformat import NotebookNode

BEGIN, END = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
FETCH = "__import__('hbutils.checks').checks.pack({name})"
TURN: Any = None  # a lock on the gradebook, let go while students' code runs
PATIENCE = 10  # seconds that a kernel may take to answer what is asked of it between cells


def split(source: str) -> tuple[str, str]:
    """Return the part of a graded cell that students see, and the part they do not."""
    seen, hidden, inside = [], [], False
    for line in source.splitlines():
        if line.strip() in (BEGIN, END):
            inside = line.strip() == BEGIN
        else:
            (hidden if inside else seen).append(line)
    return "\n".join(seen).rstrip(), "\n".join(hidden)


def names_needed(hidden: str, known: set[str]) -> list[str]:
    """Return the names that a hidden test takes from the student: those neither known nor made by itself."""
    tree = ast.parse(hidden)
    made = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    made |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    made |= {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ExceptHandler) and node.name
    }
    made |= _imported(tree)
    used = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    return sorted(used - made - known - set(vars(builtins)))


def run_hidden(hidden: str, namespace: dict[str, Any]) -> list[NotebookNode]:
    """Run a hidden test; return what the cell's outputs gain: an error, a partial mark, words, or nothing.

    What it prints is for the student: what is wrong, where a partial mark alone would not say.
    """
    told = io.StringIO()
    body = ast.parse(hidden).body
    last = ast.Expression(body.pop().value) if body and isinstance(body[-1], ast.Expr) else None
    try:
        with contextlib.redirect_stdout(told):
            exec(compile(ast.Module(body, []), "<hidden test>", "exec"), namespace)  # noqa: S102
            mark = None if last is None else eval(compile(last, "<hidden test>", "eval"), namespace)  # noqa: S307
    except Exception as error:  # noqa: BLE001  # whatever an answer makes of a test is a lost mark, not the end
        return [failure(error)]
    words = "".join(f"✗ {line}\n" for line in told.getvalue().splitlines() if line.strip())
    said = [new_output("stream", name="stdout", text=words)] if words else []
    return said if mark is None else [*said, new_output("execute_result", {"text/plain": str(float(mark))})]


def failure(error: Exception) -> NotebookNode:
    """Return an error output that says what the error says, and shows no line of the test."""
    message = str(error).strip()
    if not isinstance(error, AssertionError):
        message = f"The answer could not be marked: {type(error).__name__}: {message}"
    said = message or "The answer is not right."
    return new_output("error", ename=type(error).__name__, evalue=said, traceback=[said])


class MarkOutside(Execute):
    """The preprocessor that nbgrader's autograder runs in the place of its own."""

    timeout = Integer(180, help="Seconds a cell may take.", allow_none=True).tag(config=True)
    all_in_all = Integer(900, help="Seconds a notebook may take.").tag(config=True)
    most_output = Integer(1_000_000, help="Characters a cell may print, pictures included.").tag(config=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **{**kwargs, "kernel_manager_class": KernelManager})

    def preprocess(self, nb: NotebookNode, resources: Any, km: Any = None) -> tuple[NotebookNode, Any]:  # noqa: ANN401
        """Run the notebook, whatever its cells do; nothing here raises because of what a student wrote."""
        require()
        self._over, self._identifier, self._deadline = "", "", time.monotonic() + self.all_in_all
        self._namespace: dict[str, Any] | None = None
        self._locked = [c.source for c in nb.cells if _is_given(c)]
        if TURN is not None:
            TURN.release()
        try:
            return super().preprocess(nb, resources, km)
        except (DeadKernelError, RuntimeError) as error:  # it never came up, or will not go down
            if isinstance(error, NoSandboxError):
                raise
            self._stop(f"the kernel could not be used ({error})")
            for cell in nb.cells:
                self._not_run(cell)
            return nb, resources
        finally:
            nb.metadata["hb"] = {
                "identifier": self._identifier,
                "problems": [self._over] if self._over else [],
            }
            if TURN is not None:
                TURN.acquire()

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> tuple[NotebookNode, Any]:  # noqa: ANN401
        """Run what students see of a cell; if that went well, run the hidden part on their answers."""
        if cell.cell_type != "code":
            return cell, resources
        if not self._over and time.monotonic() > self._deadline:
            self._stop(f"the notebook took more than {self.all_in_all} seconds in all")
        if self._over:
            self._not_run(cell)
            return cell, resources
        whole = cell.source
        seen, hidden = split(whole) if utils.is_grade(cell) else (whole, "")
        cell.source, self._printed = seen, 0
        try:
            self.execute_cell(cell, index, store_history=True)
            if self._stuck(cell):
                self._stop("an earlier cell ran without end and could not be interrupted")
        except DeadKernelError:
            self._stop(
                "the kernel died in an earlier cell (was too much memory asked for, or the process ended?)"
            )
            cell.outputs = [failure(AssertionError("The kernel died while this cell ran."))]
        except CellTimeoutError:
            self._stop("an earlier cell could not be interrupted")
            cell.outputs = [failure(AssertionError("This cell ran without end."))]
        finally:
            cell.source = whole
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "student" and not self._over:
            with contextlib.suppress(AssertionError, checks.HbutilsError):
                self._identifier = str(self._fetch(["STUDENT"])["STUDENT"])
        if utils.is_grade(cell):
            # What a library mutters is no reason to lose a mark; nor is what a cell shows a mark in itself.
            cell.outputs = [
                o for o in cell.outputs if o.output_type in ("stream", "error") and o.get("name") != "stderr"
            ]
            if hidden.strip() and not self._over and not utils.has_failed(cell):
                cell.outputs += self._mark(hidden)
        return cell, resources

    def _stop(self, why: str) -> None:
        self._over = self._over or why
        if self.km is not None and self.km.has_kernel:
            run_sync(self._kill)()

    async def _kill(self) -> None:
        await ensure_async(self.km.shutdown_kernel(now=True))

    def _not_run(self, cell: NotebookNode) -> None:
        if cell.cell_type == "code":
            cell.outputs = (
                [failure(AssertionError(f"Not run: {self._over}."))] if utils.is_grade(cell) else []
            )

    def _stuck(self, cell: NotebookNode) -> bool:
        """Whether the kernel still does not answer, after a cell that took too long was interrupted."""
        if not any(o.output_type == "error" and o.ename == "CellTimeoutError" for o in cell.outputs):
            return False
        return self._ask({}) is None

    def _ask(self, questions: dict[str, str]) -> dict[str, Any] | None:
        """Evaluate expressions in the kernel; return the replies, or None if there are none in time."""
        try:
            return run_sync(self._ask_async)(questions)
        except (TimeoutError, DeadKernelError):
            return None

    async def _ask_async(self, questions: dict[str, str]) -> dict[str, Any]:
        number = self.kc.execute("", silent=True, user_expressions=questions)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                reply = await ensure_async(self.kc.shell_channel.get_msg(timeout=1))
                if reply["parent_header"].get("msg_id") == number:
                    return reply["content"].get("user_expressions", {})
            if not await ensure_async(self.kc.is_alive()):
                raise DeadKernelError("Kernel died")
        raise TimeoutError

    def _fetch(self, names: list[str]) -> dict[str, Any]:
        """Return the student's answers, as plain data."""
        replies = self._ask({name: FETCH.format(name=name) for name in names})
        if replies is None:
            raise AssertionError("The kernel did not hand over the answers.")
        found = {}
        for name in names:
            reply = replies.get(name, {})
            if reply.get("status") != "ok":
                why = reply.get("evalue") or "it could not be read"
                raise AssertionError(f"{name}: {why}")
            try:
                packed = reply["data"]["text/plain"]
                if len(packed) > 4 * checks.LARGEST:
                    raise AssertionError(f"{name}: too large to be marked")
                found[name] = checks.unpack(ast.literal_eval(packed))
            except (KeyError, SyntaxError, ValueError, MemoryError):
                raise AssertionError(f"{name}: it could not be read") from None
        return found

    def _mark(self, hidden: str) -> list[NotebookNode]:
        try:
            given = self._given()
            return run_hidden(hidden, {**given, **self._fetch(names_needed(hidden, set(given)))})
        except Exception as error:  # noqa: BLE001  # an odd identifier must not end the marking
            return [failure(error)]

    def _given(self) -> dict[str, Any]:
        """Return what the locked cells define, run here with the identifier that the student typed."""
        if self._namespace is None:
            names: dict[str, Any] = {"__name__": "given"}
            needed = sorted({name for source in self._locked for name in names_needed(source, set())})
            made = {n for source in self._locked for n in _made(source)}
            names |= self._fetch([name for name in needed if name not in made])
            with contextlib.redirect_stdout(io.StringIO()):
                for source in self._locked:
                    exec(compile(source, "<given cell>", "exec"), names)  # noqa: S102
            self._namespace = names
        return dict(self._namespace)

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:  # noqa: ANN401
        """Take in what a cell shows, up to a limit, and nothing that reaches beyond the cell."""
        if msg["msg_type"] == "update_display_data" or msg["msg_type"].startswith("comm"):
            return None  # a later cell could change what stands below an earlier one
        if msg["msg_type"] in ("stream", "display_data", "execute_result", "error"):
            before = self._printed
            self._printed += len(str(msg["content"]))
            if self._printed > self.most_output:
                if before <= self.most_output:
                    said = f"\n[cut: a cell may print {self.most_output:,} characters]\n"
                    cell.outputs.append(new_output("stream", name="stdout", text=said))
                    self.kc.control_channel.send(self.kc.session.msg("interrupt_request", {}))
                return None
        return super().process_message(msg, cell, cell_index)


@dataclass(frozen=True)
class Mark:
    """What a task got."""

    score: float
    most: float
    said: str  # what is wrong, as the student reads it


def marks(notebook: NotebookNode) -> dict[str, Mark]:
    """Run a notebook as `make grade` would, without a gradebook; return the marks of its automatic tasks."""
    preprocessor = MarkOutside()
    preprocessor.preprocess(notebook, {"metadata": {}})
    found = {}
    for cell in notebook.cells:
        if utils.is_grade(cell) and not utils.is_solution(cell):
            score, most = utils.determine_grade(cell)
            said = "\n".join(o.get("evalue", o.get("text", "")) for o in cell.outputs)
            found[cell.metadata.nbgrader["grade_id"]] = Mark(score, most, said)
    return found


def _is_given(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and utils.is_locked(cell) and not utils.is_grade(cell)


def _made(source: str) -> set[str]:
    tree = ast.parse(source)
    made = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    made |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    return made | _imported(tree)


def _imported(tree: ast.AST) -> set[str]:
    found = [a for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names]
    return {a.asname or a.name.split(".")[0] for a in found}

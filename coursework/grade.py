"""Mark what is not marked yet, on all cores."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from nbgrader.api import MissingEntry
from nbgrader.converters import Autograde

from coursework import marking
from coursework.collect import collect
from coursework.course import Course, CourseError, Note, converter, digest_of, notes, prepared, quiet
from coursework.sandbox import NoSandboxError, require

if TYPE_CHECKING:
    from pathlib import Path

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
JOBS = min(8, CORES)


def _init(turn: object) -> None:
    marking.TURN = turn


def _grade_one(course: Course, student: str, assignment: str) -> tuple[float, str, list[str]]:
    """Mark one submission, in a worker; return seconds, the identifier typed, and what went wrong."""
    start = time.perf_counter()
    problems: list[str] = []
    identifier = ""
    with marking.TURN, quiet() as lines:
        try:
            converter(Autograde, course, assignment, student).start()
        except NoSandboxError:
            raise
        except Exception as error:  # noqa: BLE001  # one submission must not stop the others
            problems.append(
                f"could not be marked ({type(error).__name__}: {str(error)[:200]}); mark it by hand"
            )
            log = course.root / "logs" / f"{student}-{assignment}.txt"
            log.parent.mkdir(exist_ok=True)
            log.write_text("\n".join(lines) + "\n" + traceback.format_exc(), encoding="utf-8")
    marked = course.root / "autograded" / student / assignment / f"{assignment}.ipynb"
    if marked.exists():
        found = json.loads(marked.read_text(encoding="utf-8"))["metadata"].get("hb", {})
        identifier = found.get("identifier", "")
        problems += found.get("problems", [])
    return time.perf_counter() - start, identifier, problems


def pending(course: Course) -> list[tuple[str, str, str]]:
    """Submissions that are new, changed, or whose assignment changed: student, assignment, digest."""
    waiting = []
    for path in sorted((course.root / "submitted").glob("*/*/*.ipynb")):
        assignment, student = path.parent.name, path.parent.parent.name
        source = course.source / assignment / f"{assignment}.ipynb"
        if path.stem != assignment or not source.exists():
            continue
        digest = digest_of(path, source)
        if Note.load(course, student, assignment).digest != digest:
            waiting.append((student, assignment, digest))
    return waiting


def grade(course: Course, inbox: Path | None = None, jobs: int = JOBS) -> list[str]:
    """Collect, then mark all that is not marked yet, several at a time; return what was refused."""
    require()
    course.prepare()
    prepared(course)
    refused = collect(course, inbox) if inbox else []
    for line in refused:
        print(f"  not taken  {line}", flush=True)
    waiting = pending(course)
    start, context = time.perf_counter(), _processes()
    turn = context.Lock()
    print(f"{len(waiting)} to mark, {jobs} at a time", flush=True)
    left = dict.fromkeys(waiting)
    for attempt in range(2):  # a worker that is killed breaks its pool: the rest is tried once more
        if not left:
            break
        with ProcessPoolExecutor(
            min(jobs, len(left)), mp_context=context, initializer=_init, initargs=(turn,)
        ) as pool:
            futures = {pool.submit(_grade_one, course, s, a): (s, a, digest) for s, a, digest in left}
            try:
                for future in as_completed(futures):
                    student, assignment, digest = key = futures[future]
                    seconds, identifier, problems = future.result()
                    left.pop(key)
                    note = Note.load(course, student, assignment)
                    kept = [r for r in note.remarks if not r.startswith("! ")]
                    note.remarks = kept + [f"! {p}" for p in problems]
                    note.digest, note.seconds, note.identifier = digest, round(seconds, 2), identifier
                    note.save(course)
                    done = len(waiting) - len(left)
                    print(
                        f"  [{done:>3}/{len(waiting)}] {student}  {assignment}  "
                        f"{_mark(course, student, assignment)}  "
                        f"{seconds:.1f} s" + "".join(f"\n      {r}" for r in note.remarks),
                        flush=True,
                    )
            except BrokenProcessPool:
                if attempt:
                    raise CourseError(
                        "a worker was ended twice: is memory short? Try again with --jobs 1"
                    ) from None
                turn = context.Lock()
    print(f"marked {len(waiting)} in {time.perf_counter() - start:.0f} s")
    for line in _doubles(course):
        print(f"  look at    {line}")
    return refused


def _processes() -> multiprocessing.context.BaseContext:
    """Start workers from one that has imported everything, where that can be done."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["coursework.grade"])
    return context


def _mark(course: Course, student: str, assignment: str) -> str:
    with course.gradebook() as book, contextlib.suppress(MissingEntry):
        found = book.find_submission(assignment, student)
        more = ", answers to read" if found.needs_manual_grade else ""
        return f"{found.score:g} of {found.max_score:g}{more}"
    return "no mark"


def _doubles(course: Course) -> list[str]:
    """Name students who worked on somebody else's data."""
    said, owners = [], {}
    for note in notes(course):
        if note.identifier:
            owners.setdefault((note.assignment, note.identifier), []).append(note.student)
    for (assignment, identifier), students in sorted(owners.items()):
        if len(students) > 1:
            said.append(f"{assignment}: {', '.join(students)} typed the same identifier, {identifier!r}")
    return said

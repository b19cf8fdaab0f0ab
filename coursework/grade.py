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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbgrader.api import MissingEntry
from nbgrader.converters import Autograde

from coursework import marking
from coursework.collect import collect
from coursework.course import Course, CourseError, Note, converter, digest_of, notes, quiet, refresh
from coursework.sandbox import NoSandboxError, require

if TYPE_CHECKING:
    from pathlib import Path

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
JOBS = min(8, CORES)


@dataclass(frozen=True)
class Marked:
    """What a worker says of a submission."""

    seconds: float
    identifier: str = ""  # what the student typed
    problems: tuple[str, ...] = ()
    failed: bool = False  # it could not be marked at all, and will be tried again


def _init(turn: object) -> None:
    marking.TURN = turn


def _mark_one(course: Course, student: str, assignment: str) -> Marked:
    """Mark one submission, in a worker."""
    start = time.perf_counter()
    with marking.TURN, quiet() as lines:
        try:
            converter(Autograde, course, assignment, student).start()
        except NoSandboxError:
            raise
        except Exception as error:  # noqa: BLE001  # one submission must not stop the others
            log = course.root / "logs" / f"{student}-{assignment}.txt"
            log.parent.mkdir(exist_ok=True)
            log.write_text("\n".join([*lines, traceback.format_exc()]), encoding="utf-8")
            why = f"could not be marked ({type(error).__name__}; see {log}): mark it by hand, or try again"
            return Marked(time.perf_counter() - start, problems=(why,), failed=True)
    path = course.root / "autograded" / student / assignment / f"{assignment}.ipynb"
    found = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("hb", {})
    return Marked(time.perf_counter() - start, found.get("identifier", ""), tuple(found.get("problems", [])))


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
    refresh(course)
    refused = collect(course, inbox) if inbox else []
    for line in refused:
        print(f"  not taken  {line}", flush=True)
    waiting = pending(course)
    start = time.perf_counter()
    print(f"{len(waiting)} to mark, {jobs} at a time", flush=True)
    left = dict.fromkeys(waiting)
    for attempt in range(2):  # a worker that is killed breaks its pool: the rest is tried once more
        try:
            _mark_all(course, left, len(waiting), jobs)
        except BrokenProcessPool:
            if attempt:
                why = "a worker was ended twice: is memory short? Try again with --jobs 1"
                raise CourseError(why) from None
    print(f"marked {len(waiting)} in {time.perf_counter() - start:.0f} s")
    for line in _doubles(course):
        print(f"  look at    {line}")
    return refused


def _mark_all(course: Course, left: dict[tuple[str, str, str], None], total: int, jobs: int) -> None:
    """Mark what is left, telling how it goes; what is marked is left no more."""
    if not left:
        return
    context = _processes()
    shared = {"mp_context": context, "initializer": _init, "initargs": (context.Lock(),)}
    with ProcessPoolExecutor(min(jobs, len(left)), **shared) as pool:
        futures = {pool.submit(_mark_one, course, key[0], key[1]): key for key in left}
        for future in as_completed(futures):
            student, assignment, digest = key = futures[future]
            marked = future.result()
            del left[key]
            note = Note.load(course, student, assignment)
            note.remarks = [r for r in note.remarks if not r.startswith("! ")]
            note.remarks += [f"! {problem}" for problem in marked.problems]
            note.digest = "" if marked.failed else digest
            note.seconds, note.identifier = round(marked.seconds, 2), marked.identifier
            note.save(course)
            said = f"{student}  {assignment}  {_mark(course, student, assignment)}  {marked.seconds:.1f} s"
            print(f"  [{total - len(left):>3}/{total}] {said}", flush=True)
            for remark in note.remarks:
                print(f"      {remark}", flush=True)


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

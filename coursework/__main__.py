"""Hand out, collect, mark, give back: the coursework's commands.

    python -m coursework release          blank notebooks from the sources
    python -m coursework grade [INBOX]    collect a folder or ZIP file, and mark what is new
    python -m coursework feedback         a page for each student and assignment
    python -m coursework grades           sheets of marks, and a list of written answers to be read

The sources, with solutions and hidden tests, are in `coursework/source`, or where HB_SOURCE says. What
belongs to a class is kept in `coursework/course`, or where HB_COURSE says. A command that was stopped goes
on where it was.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from coursework.course import Course, CourseError, release
from coursework.grade import JOBS, grade
from coursework.report import feedback, grades
from coursework.sandbox import NoSandboxError


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["release", "grade", "feedback", "grades"])
    parser.add_argument("inbox", nargs="?", type=Path, help="folder or ZIP file with the students' work")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"how many to mark at a time (default {JOBS})")
    options = parser.parse_args(argv)
    try:
        course = Course.here()
        if options.command == "grade":
            grade(course, options.inbox, max(1, options.jobs))
        else:
            {"release": release, "feedback": feedback, "grades": grades}[options.command](course)
    except (CourseError, NoSandboxError) as error:
        print(f"coursework: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

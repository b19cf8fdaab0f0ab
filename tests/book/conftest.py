"""Let the tests import the checks and tools that are scripts of their own."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "book"), str(ROOT / "tools")]

"""Let the tests in this folder import the helpers beside them."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# The first example of a property may have to import half of SciPy, and a check must not depend on luck.
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")

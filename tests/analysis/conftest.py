"""`example_tables` is shared with the tests of the figures and of the report."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

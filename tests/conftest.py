"""Settings of all tests."""

from __future__ import annotations

import os

# Two threads of torch on a machine with two busy cores wait for each other; sums depend on the number of threads, too.
os.environ["OMP_NUM_THREADS"] = "1"

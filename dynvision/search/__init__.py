"""Searching for parameters: trials that are ordinary runs, drawn by Optuna."""

from dynvision.search.objective import Objective
from dynvision.search.study import Search

__all__ = ["Objective", "Search"]

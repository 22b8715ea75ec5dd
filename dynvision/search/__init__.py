"""Searching for parameters: trials that are ordinary runs, drawn by Optuna."""

from dynvision.search.study import Search
from dynvision.search.trial import Objective

__all__ = ["Objective", "Search"]

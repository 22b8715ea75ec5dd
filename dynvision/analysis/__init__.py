"""Measures of responses: tables in, tables out. Nothing here imports torch or matplotlib."""

from dynvision.analysis.bootstrap import average_seeds, bootstrap_interval, seed_intervals
from dynvision.analysis.conditions import Condition, NamedExperiment, group_runs, read_experiment
from dynvision.analysis.courses import accuracy_courses, response_courses, stimulus_periods
from dynvision.analysis.metrics import CLASSIFIER_LAYER, measure_responses, summarize_responses
from dynvision.analysis.registry import MEASURES, Measure, find_measure, register
from dynvision.analysis.tables import (
    read_metrics,
    read_performance,
    read_responses,
    read_summary,
    read_training,
    write_table,
)
from dynvision.recordings.responses import extract_responses, open_responses

__all__ = [
    "CLASSIFIER_LAYER",
    "MEASURES",
    "Condition",
    "Measure",
    "NamedExperiment",
    "accuracy_courses",
    "average_seeds",
    "bootstrap_interval",
    "extract_responses",
    "find_measure",
    "group_runs",
    "measure_responses",
    "open_responses",
    "read_experiment",
    "read_metrics",
    "read_performance",
    "read_responses",
    "read_summary",
    "read_training",
    "register",
    "response_courses",
    "seed_intervals",
    "stimulus_periods",
    "summarize_responses",
    "write_table",
]

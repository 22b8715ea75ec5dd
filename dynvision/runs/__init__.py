"""From a workflow's configuration to its runs, and the paths of all that a run writes. Nothing here imports torch."""

from dynvision.runs.calls import CallFolder, failures, interrupt_once
from dynvision.runs.expansion import check_pretrained, expand_runs, run_config, split_input_dims
from dynvision.runs.freshness import Freshness
from dynvision.runs.listing import flat_parameters, flatten
from dynvision.runs.made_from import written
from dynvision.runs.plan import ResultPaths, WorkflowPlan, plan_workflow

__all__ = [
    "CallFolder",
    "Freshness",
    "ResultPaths",
    "WorkflowPlan",
    "check_pretrained",
    "expand_runs",
    "failures",
    "flat_parameters",
    "flatten",
    "interrupt_once",
    "plan_workflow",
    "run_config",
    "split_input_dims",
    "written",
]

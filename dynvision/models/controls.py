"""Controls of a recurrent network: feedforward ones that have as many parameters, or compute as much.

    parameters     without recurrence, feedback, normalisation and adaptation;   width: n_parameters as those of the network
    computation    the same with one more layer in each area;                    width: multiplications a trial likewise

What recurrence does is what is left beside both. Time constants, delays and skip connections stay, and so do data, training
and seed: a control differs in its architecture alone. A width is found by halving intervals; channels are whole numbers, so
counts agree to a few percent.

Source: the controls B-F and B-D of Spoerer et al. (2017), Front Psychol 8:1551, and (2020), PLOS Comput Biol 16:e1008215.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dynvision.config.dyrcnn import DyRCNNArgs
from dynvision.config.models import find_model
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.errors import InputError
from dynvision.models import create
from dynvision.models.footprint import trial_macs

# What a feedforward network has not.
WITHOUT: dict[str, Any] = {
    "recurrence_type": "none",
    "feedback": "none",
    "divisive_normalization": False,
    "intrinsic_suppression": 0.0,
    "input_adaptation": 0.0,
    "synaptic_depression": 0.0,
    "train": [],
    "lesion": DyRCNNArgs.model_fields["lesion"].default,
}
EXTRA_LAYERS = {"parameters": 0, "computation": 1}
WIDTHS = (0.02, 50.0)
N_HALVINGS = 12


@dataclass(frozen=True)
class Control:
    """A control and what it shares with the network.

    Attributes:
        run: its run.
        network, control: what each has, parameters or multiplications of a trial.
    """

    run: RunConfig
    network: int
    control: int


def control_runs(run: RunConfig, image: tuple[int, int, int], n_classes: int) -> dict[str, Control]:
    """Return the controls of a run, ``parameters`` and ``computation``.

    Args:
        run: the network.
        image: (C, H, W) of its images.
        n_classes: number of its classes.

    Raises:
        InputError: its model is none of the family DyRCNN, or names a number for single layers where a control has more.
    """
    if find_model(run.model.name).args is not DyRCNNArgs:
        raise InputError(
            f"controls are made of DyRCNN models, whose width and extra_layers can be set, and {run.model.name} is none"
        )
    args = validate(DyRCNNArgs, run.model.args, "model_args").model_dump()
    controls = {}
    for matched, extra in EXTRA_LAYERS.items():
        without = {**args, **WITHOUT, "extra_layers": args["extra_layers"] + extra}

        def count(of: dict[str, Any], matched: str = matched) -> int:
            return _count(matched, run.model.name, of, image, n_classes)

        network = count(args)
        low, high = WIDTHS
        for _ in range(N_HALVINGS):
            middle = (low * high) ** 0.5
            low, high = (low, middle) if count({**without, "width": middle}) > network else (middle, high)
        widths = (args["width"], round(low, 4), round(high, 4))
        counts = {width: count({**without, "width": width}) for width in widths}
        width = min(counts, key=lambda one: abs(counts[one] - network))
        model = {"name": run.model.name, "args": {**without, "width": width}}
        values = {**run.model_dump(), "model": model}
        controls[matched] = Control(validate(RunConfig, values, ""), network, counts[width])
    return controls


def _count(matched: str, name: str, args: dict[str, Any], image: tuple[int, int, int], n_classes: int) -> int:
    """Parameters of a model, or multiplications of a trial, counted on tensors without content."""
    with torch.device("meta"):
        model = create(name, input_dims=(args["n_timesteps"], *image), n_classes=n_classes, **args).eval()
        if matched == "parameters":
            return sum(parameter.numel() for parameter in model.parameters())
        return trial_macs(model, torch.empty(1, *image))


def workflow_of(runs: Sequence[RunConfig]) -> dict[str, Any]:
    """Return the configuration of a workflow that trains runs which differ in ``width`` and ``extra_layers`` alone."""
    first = runs[0]
    varied = ("width", "extra_layers")
    data = first.data.model_dump(mode="json")
    return {
        "model_name": first.model.name,
        # An empty list would be a sweep over nothing.
        "model_args": {
            name: value for name, value in first.model.args.items() if name not in varied and value != []
        },
        "paired": [{name: [run.model.args[name] for run in runs] for name in varied}],
        "data_name": data.pop("name"),
        "data": data,
        "training": first.training.model_dump(mode="json"),
        "seed": first.seed,
        "experiment": "contrast",
    }

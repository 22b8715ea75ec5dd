"""The parameter that an experiment varies: a key of its stimulus or noise, an argument of the model, or the checkpoint.

duration_ms        stimulus      what is shown
ssnr               noise         what is added to it
t_idle             model         the same weights in another model; true and false are values, too
checkpoint         checkpoint    the weights after another epoch of training, counted from 1
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from dynvision.config.models import MODELS
from dynvision.config.section import Section, is_by_layer
from dynvision.errors import InputError, unknown_name
from dynvision.noise.blend import NoiseConfig
from dynvision.parameter_names import answer
from dynvision.stimuli.stimulus import STIMULI, Stimulus

Kind = Literal["stimulus", "noise", "model", "checkpoint"]
CHECKPOINT = "checkpoint"
# Arguments of models that act in training alone: an experiment has its own trial, trained weights and no loss.
ONLY_IN_TRAINING = {
    "n_timesteps": "an experiment has its own trial; vary duration_ms or recorded_ms",
    "data_presentation_pattern": "an experiment has its own trial; set stimulus",
    "shuffle_presentation_pattern": "an experiment has its own trial; set stimulus",
    "loss_reaction_time": "a test has no loss",
    "non_label_index": "a test has no loss",
    "truncated_bptt_timesteps": "a test has no gradient",
    "max_weight_init": "the weights of a test are the trained ones",
    "checkpoint_segments": "a test has no gradient",
    "block_steps": "it changes speed and no result",
}


@dataclass(frozen=True)
class Parameter:
    """A parameter that can vary.

    Attributes:
        name: as in configurations and tables.
        kind: whose parameter it is.
        unit: unit of its values; empty where they have none.
    """

    name: str
    kind: Kind
    unit: str = ""


@cache
def _numbers(section: type[Section], kind: Kind, allowed: tuple[Any, ...]) -> dict[str, Parameter]:
    """Return the keys of a section that hold one number (or truth) each."""
    found = {}
    for name, field in section.model_fields.items():
        extra = field.json_schema_extra
        if field.annotation in allowed or is_by_layer(field):  # of all layers at once
            unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
            found[name] = Parameter(name, kind, unit)
    return found


def stimulus_parameters(stimulus: type[Stimulus]) -> dict[str, Parameter]:
    """Return the parameters of one kind of stimulus by name."""
    return _numbers(stimulus, "stimulus", (float, int, bool))


def all_parameters() -> dict[str, Parameter]:
    """Return every parameter that some experiment can vary, by name."""
    parameters: dict[str, Parameter] = {}
    for entry in MODELS.values():
        parameters |= _numbers(entry.args, "model", (float, int, bool, float | None))
    parameters |= {CHECKPOINT: Parameter(CHECKPOINT, "checkpoint", "epochs")}
    parameters |= _numbers(NoiseConfig, "noise", (float, int))
    for stimulus in STIMULI.values():
        parameters |= stimulus_parameters(stimulus)
    return parameters


def unit_of(parameter: str) -> str:
    """Return the unit of what can vary; empty where it has none. Looked up at each call, since plugins bring parameters."""
    known = all_parameters().get(parameter)
    return "" if known is None else known.unit


def find_parameter(
    name: str, stimulus: Stimulus, noise: NoiseConfig, model_args: dict[str, Any]
) -> Parameter:
    """Return the parameter of an experiment by name.

    Args:
        name: the name.
        stimulus: the experiment's stimulus.
        noise: its noise.
        model_args: its model arguments; what is listed there may vary, also if no known model has it.

    Raises:
        InputError: nothing has that name, or it belongs to what this experiment does not show.
    """
    own = stimulus_parameters(type(stimulus))
    if name in own:
        return own[name]
    known = all_parameters()
    if name not in known and name in model_args:
        return Parameter(name, "model")
    if name not in known and (former := answer(name, None)):
        raise InputError(f"unknown experiment parameter: {former}")
    if name not in known:
        raise unknown_name("experiment parameter", name, known, key="parameter")
    parameter = known[name]
    if name in ONLY_IN_TRAINING:
        raise InputError(f"parameter {name!r} changes nothing in a test: {ONLY_IN_TRAINING[name]}")
    if parameter.kind == "stimulus":
        owners = sorted(kind for kind, section in STIMULI.items() if name in section.model_fields)
        raise InputError(
            f"parameter {name!r} is no key of the stimulus {stimulus.type!r}; set stimulus.type to "
            f"{' or '.join(owners)}, or parameter to one of {', '.join(own)}"
        )
    if parameter.kind == "noise" and noise.type == "none":
        raise InputError(
            f"parameter {name!r} is of noise, and there is none; set noise.type, e.g. to gaussian"
        )
    if name == "dt":
        raise InputError(
            "parameter 'dt' cannot vary within an experiment, whose tables have one time grid; "
            "write one experiment for each, with model_args: {dt: ...}"
        )
    return parameter

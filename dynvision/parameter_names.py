"""Short names of parameters, and names of DynVision 0.1 whose place, unit or meaning is another one here.

Short names are expanded where a configuration enters, so that everything after reads long names alone. A name of DynVision
0.1 that does not exist here is refused with its sentence. A short name that does exist and means something else is taken
as it is meant here, with a warning in one sentence (`ChangedMeaning`); its long name has no other meaning and no warning.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

from dynvision.errors import InputError

MODEL_ALIASES: dict[str, str] = {
    "rctype": "recurrence_type",
    "rctarget": "recurrence_target",
    "rcmode": "recurrence_merge",
    "trc": "t_recurrence",
    "tff": "t_feedforward",
    "tfb": "t_feedback",
    "tsk": "t_skip",
    "idle": "t_idle",
    "ffonly": "feedforward_only",
    "tsteps": "n_timesteps",
    "solver": "dynamics_solver",
    "lossrt": "loss_reaction_time",
    "pattern": "data_presentation_pattern",
    "shufflepattern": "shuffle_presentation_pattern",
    "supralin": "supralinearity",
    "inadapt": "input_adaptation",
    "taugrad": "train_tau",
    "tbptt": "truncated_bptt_timesteps",
    "winit": "max_weight_init",
    "tau_n": "tau_divisive_normalization",
    "divnorm": "divisive_normalization",
}

TRAINING_ALIASES: dict[str, str] = {
    "ep": "epochs",
    "lr": "learning_rate",
    "opt": "optimizer",
    "sched": "scheduler",
    "clip": "gradient_clip",
    "prec": "precision",
    "accum": "accumulate_batches",
    "patience": "early_stopping_patience",
}


def expand_aliases(values: Mapping[str, Any], aliases: Mapping[str, str], where: str) -> dict[str, Any]:
    """Replace short names by the names of the schema.

    Short names that meant something else in DynVision 0.1 are warned of.

    Raises:
        InputError: a key is given twice, once by its short and once by its long name.
    """
    expanded: dict[str, Any] = {}
    for given, value in values.items():
        name = aliases.get(str(given), str(given))
        if name in expanded:
            raise InputError(f"{where}: {name!r} is given twice, once by its short name; remove one of them")
        warn_if_changed(str(given), value)
        expanded[name] = value
    return expanded


STEP_MS = 2.0  # dt of DynVision 0.1 by default


class ChangedMeaning(UserWarning):
    """A name is used that means something else in DynVision 0.1."""


def _in_ms(write: str) -> tuple[str, str]:
    return "counted steps of dt", write + " in ms, {ms} at a dt of 2 ms"


# What the name meant there, and what to write here.
FORMER: dict[str, tuple[str, str]] = {
    # arguments of a model
    "idle_timesteps": _in_ms("t_idle"),
    "steps": ("was the length of the presentation in steps", "n_timesteps: {value}"),
    "dsteps": _in_ms("the experiment's recorded_ms (in training: n_timesteps, in steps)"),
    "input_adaption_weight": (
        "weighed the input before the one that is shown",
        "input_adaptation, the strength of a gain that adapts, from 0 to 1",
    ),
    "fbmode": ("was the merge of the feedback", "feedback: additive or multiplicative"),
    "activityloss": (
        "was the weight of the activity loss",
        "training: {{loss: {{CrossEntropyLoss: 1, ActivityLoss: {value}}}}}",
    ),
    "pretrained": ("asked for published weights", "training: {{init_with_pretrained: FILE}}"),
    "classes": ("was the number of classes", "data: {{group: ...}}; their number follows from the data"),
    # stimuli and noise
    "stim": _in_ms("stimulus: {{duration_ms: ...}}"),
    "intro": _in_ms("the experiment's baseline_ms"),
    "interval": _in_ms("stimulus: {{type: pair, gap_ms: ...}}"),
    "stimulus_duration": _in_ms("stimulus: {{duration_ms: ...}}"),
    "intro_duration": _in_ms("the experiment's baseline_ms"),
    "noisetype": ("was the kind of noise", "noise: {{type: {value}}}"),
    "noiselevel": ("was the signal's part of signal and noise", "noise: {{ssnr: {value}}}"),
    "tempmode": ("said whether noise is new in each step", "noise: {{refresh_ms: ...}}, 0 where it is drawn once"),
    "data_loader": ("was the time course of the stimulus", "the experiment's stimulus: {{type: ...}}"),
    # training
    "train_ratio": ("was the part of the images that is trained on", "data: {{validation_fraction: {rest}}}"),
    "accumulate_grad_batches": ("was the number of batches an update", "training: {{accumulate_batches: {value}}}"),
    "gradient_clip_val": ("was the largest norm of the gradient", "training: {{gradient_clip: {value}}}"),
    "loss_configs": ("held the arguments of losses", "training: {{loss: {{NAME: {{weight: ...}}}}}}"),
    "optimizer_configs": ("held the arguments of the optimizer", "training: {{optimizer_args: ...}}"),
    "scheduler_configs": ("held the arguments of the schedule", "training: {{scheduler_args: ...}}"),
    # the workflow
    "status": ("chose the weights of a test", "nothing for the best, or an experiment with parameter: checkpoint"),
    "data_group": ("was the classes of a test", "data: {{group: {value}}}, or the experiment's group"),
    "use_debug_mode": ("switched a mode on", "mode: debug"),
    "use_local_mode": ("switched a mode on", "mode: local"),
    "use_large_dataset_mode": ("switched a mode on", "mode: large_dataset"),
    "use_distributed_mode": ("switched a mode on", "mode: distributed"),
}  # fmt: skip

# Short names that are taken here: what they mean here and meant there, and what to write for either without a warning.
CHANGED: dict[str, str] = {
    "idle": (
        "idle={value} is a time in ms here, and was a number of steps in DynVision 0.1; write t_idle: {ms} for {value} "
        "steps of 2 ms, or t_idle: {value} if ms are meant"
    ),
    "ffonly": (
        "ffonly={value} removes recurrence and feedback and keeps skip connections here, and DynVision 0.1 removed these "
        "as well; write feedforward_only with without_skip: true for that, or feedforward_only alone if skips are to stay"
    ),
    "inadapt": (
        "inadapt={value} is the strength of a gain that adapts here, and was the weight of the earlier input in DynVision "
        "0.1; write input_adaptation if the gain is meant"
    ),
}


def answer(name: str, value: Any) -> str | None:
    """Return what to state of a key that is not known, if it is one of DynVision 0.1."""
    if name not in FORMER:
        return None
    meant, write = FORMER[name]
    return f"{name!r} is a key of DynVision 0.1, where it {meant}; write {write.format(**_values(value))}"


def warn_if_changed(name: str, value: Any) -> None:
    """Warn of a short name that means something else in DynVision 0.1."""
    if name in CHANGED:
        warnings.warn(CHANGED[name].format(**_values(value)), ChangedMeaning, stacklevel=2)


def warn_in_one_line() -> None:
    """Print such warnings as one sentence to standard error, without a place in the code.

    This lasts as long as the `warnings.catch_warnings` around it.
    """
    before = warnings.showwarning

    def show(message: Any, category: Any, *place: Any, **more: Any) -> None:
        if not issubclass(category, ChangedMeaning):
            return before(message, category, *place, **more)
        print(f"dynvision: {message}", file=sys.stderr, flush=True)

    warnings.showwarning = show
    warnings.filterwarnings("always", category=ChangedMeaning)


def _values(value: Any) -> dict[str, Any]:
    """Return a value as text, in ms where it counts steps, and what is left of it to one."""
    many = list(value) if isinstance(value, (list, tuple)) else [value]
    numbers = [float(one) for one in many if isinstance(one, (int, float)) and not isinstance(one, bool)]
    in_ms = [f"{STEP_MS * number:g}" for number in numbers]
    rest = [f"{1 - number:g}" for number in numbers]
    texts = {"ms": in_ms if len(numbers) == len(many) else [], "rest": rest}
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return {"value": shown} | {
        name: f"[{', '.join(parts)}]" if isinstance(value, (list, tuple)) else (parts or ["..."])[0]
        for name, parts in texts.items()
    }

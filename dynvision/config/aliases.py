"""The short names that scientists use, accepted at the configuration boundary and nowhere behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynvision.errors import InputError
from dynvision.former_names import warn_if_changed

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

"""Published weights as weights of a model here: every name and shape is accounted for, or nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import dynvision
from dynvision.base import TemporalBase
from dynvision.config.model import TemporalArgs
from dynvision.config.models import find_model
from dynvision.config.run import resolve_model_args
from dynvision.config.yaml_text import to_yaml
from dynvision.errors import InputError
from dynvision.files import file_sha256, write_text
from dynvision.model_components import Solver
from dynvision.models import create, model_class
from dynvision.models.weights import read_checkpoint, save_weights
from dynvision.parameter_names import MODEL_ALIASES, expand_aliases
from dynvision.text import aligned

COUNTER = "num_batches_tracked"  # of batch normalisations; files from before 2018 do not have it, and it changes no output


@dataclass(frozen=True)
class ImportedWeights:
    """A model with published weights.

    Attributes:
        model: it.
        config: ``model`` and ``data`` as in ``config_workflow.yaml``.
        mapped: published name, own name and shape of every weight that was taken over.
        left_out: published names of what is no weight of the model, as its class knows.
        assumed: arguments that shape what the model computes and that neither the file nor the caller gave.
    """

    model: TemporalBase
    config: dict[str, Any]
    mapped: list[tuple[str, str, tuple[int, ...]]]
    left_out: list[str]
    assumed: dict[str, Any]


def import_weights(
    path: str | Path, model_name: str, model_args: Mapping[str, Any] | None = None, resolution: int = 0
) -> ImportedWeights:
    """Build a model with the weights of a checkpoint. Channels and classes follow from the shapes of the weights.

    Args:
        path: the checkpoint.
        model_name: a registered name or ``package.module:Class``.
        model_args: arguments of the model that do not follow from the weights.
        resolution: height and width of the images, in px; 0 takes what the model was made for.

    Raises:
        InputError: the file cannot be read, an argument is not possible, or a weight is missing, left over or of another
            shape; then all of these are listed in a table.
    """
    published = read_checkpoint(path)
    kind = model_class(model_name)
    chosen = expand_aliases(model_args or {}, MODEL_ALIASES, "model_args")
    known = {**kind.published_arguments(published), **chosen}
    args = resolve_model_args(model_name, known)
    translated = dict(kind.translate_pretrained_layer_names(published))
    given = args.model_dump(exclude_unset=True)
    entry = find_model(model_name)
    size = resolution or entry.image[-1]
    with torch.device("meta"):  # shapes alone
        probe = create(
            model_name, input_dims=(args.n_timesteps, 3, size, size), n_classes=entry.n_classes, **given
        )
    n_channels, n_classes = _sizes(probe, translated, entry.n_classes)
    dims = (args.n_timesteps, n_channels, size, size)
    model = create(model_name, input_dims=dims, n_classes=n_classes, **given)
    tensors = _fitted(model, translated)
    _check(model.state_dict(), tensors, published, translated, path, model_name)
    model.load_state_dict(tensors)
    sources = {tensor.data_ptr(): name for name, tensor in translated.items()}
    mapped = [
        (name, sources[tensor.data_ptr()], tuple(tensor.shape))
        for name, tensor in published.items()
        if tensor.data_ptr() in sources
    ]
    taken = {name for name, _, _ in mapped}
    config = {
        "model": {"name": model_name, "args": args.model_dump(mode="json")},
        "data": {"n_channels": n_channels, "resolution": size},
    }
    left_out = [name for name in published if name not in taken]
    return ImportedWeights(model, config, mapped, left_out, _assumed(args, known, chosen))


def _assumed(args: TemporalArgs, known: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the dynamics that have their defaults because they are not known.

    Args:
        args: all arguments.
        known: those that the file states or the caller has chosen.
        chosen: those that the caller has chosen.
    """
    values = args.model_dump(mode="json")
    recurrent = values.get("recurrence_type", "none") != "none"
    feedback = values.get("feedback", "none") != "none"
    leaks = bool(getattr(args, "leaks", False))
    matters = {
        "dt": leaks or recurrent, "tau": leaks, "t_feedforward": leaks or recurrent, "recurrence_target": recurrent,
        "recurrence_merge": recurrent, "t_recurrence": recurrent, "t_skip": bool(values.get("skip")),
        "t_feedback": feedback,
    }  # fmt: skip
    found = {name: values[name] for name, matter in matters.items() if matter and name in values}
    assumed = {name: value for name, value in found.items() if name not in known}
    # A file has the weights of feedback connections; how they are merged is not in it.
    merge = {"feedback": values["feedback"]} if feedback and "feedback" not in chosen else {}
    return {**assumed, **merge}


def save_imported(imported: ImportedWeights, source: Path, output: Path) -> Path:
    """Write the weights as safetensors, and the configuration as YAML beside them; returns the path of the latter."""
    digest = file_sha256(source)
    config = output.with_suffix(".yaml")
    text = to_yaml({**imported.config, "training": {"init_with_pretrained": str(output)}})
    header = {"config": to_yaml(imported.config), "source": source.name, "source_sha256": digest}
    save_weights(imported.model, output, {**header, "dynvision": dynvision.__version__})
    write_text(
        config, f"# The model of {output.name}, as in config_workflow.yaml; from {source.name}.\n{text}"
    )
    return config


def _sizes(probe: nn.Module, tensors: Mapping[str, Tensor], made_for: int) -> tuple[int, int]:
    """Channels of the images and number of classes, from the first convolution and the last matrix of a model.

    Without a matrix that fits, it is the number of classes that the model was made for; what does not fit is reported then.
    """
    parameters = list(probe.named_parameters())
    gains = ".original0"  # of normalised weights, one a channel
    convolution = next(
        (n for n, p in parameters if p.dim() == 4 and n in tensors and not n.endswith(gains)), None
    )
    matrix = next((n for n, p in reversed(parameters) if p.dim() == 2 and n in tensors), None)
    n_channels = tensors[convolution].shape[1] if convolution and tensors[convolution].dim() == 4 else 3
    n_classes = tensors[matrix].shape[0] if matrix and tensors[matrix].dim() == 2 else made_for
    return n_channels, n_classes


def _fitted(model: nn.Module, translated: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Time constants as the parameters that stand for them, and counters of normalisations where a file has none."""
    tensors = dict(translated)
    for name, module in model.named_modules():
        if isinstance(module, Solver) and module.log_tau is not None and f"{name}.tau" in tensors:
            module.start_at(float(tensors.pop(f"{name}.tau")))
            tensors[f"{name}.log_tau"] = module.log_tau.detach()
    for name, tensor in model.state_dict().items():
        if name.endswith(COUNTER):
            tensors.setdefault(name, torch.zeros_like(tensor))
    return tensors


def _check(
    wanted: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    published: Mapping[str, Tensor],
    translated: Mapping[str, Tensor],
    path: str | Path,
    model_name: str,
) -> None:
    """Check that names and shapes are those of the model."""
    by_data = {tensor.data_ptr(): name for name, tensor in published.items()}
    origin = {name: by_data.get(tensor.data_ptr(), name) for name, tensor in translated.items()}
    rows = [("missing", name, _shape(tensor), "") for name, tensor in wanted.items() if name not in found]
    rows += [
        ("left over", origin.get(name, name), "", _shape(tensor))
        for name, tensor in found.items()
        if name not in wanted
    ]
    rows += [
        ("other shape", name, _shape(tensor), _shape(found[name]))
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if rows:
        lines = aligned([("", "weight", "the model has", "the file has"), *rows])
        raise InputError(f"{path} does not fit {model_name}; nothing is written\n" + "\n".join(lines))


def _shape(tensor: Tensor) -> str:
    return " x ".join(str(size) for size in tensor.shape) or "one number"

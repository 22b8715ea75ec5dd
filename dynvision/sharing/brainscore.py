"""A trained run as a plugin of Brain-Score: a folder that needs neither DynVision nor its workflow.

    __init__.py                        registers the model
    model.py                           `dynvision.sharing.brainscore_model`: the subject (BrainModel)
    step.pt2, start.safetensors        one step of the network, which also returns the activity of units; its first state
    about.json                         regions and layers, units, times, normalisation, classes
    region_layer_map/<identifier>.json the layer of each region
    metadata.yaml, requirements.txt, test.py

Source of the interface: brainscore_vision 2.4.2, ``model_interface.BrainModel``.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dynvision.base.frames import Frames
from dynvision.config.yaml_text import to_yaml
from dynvision.errors import InputError, unknown_name
from dynvision.files import atomic_path, write_text
from dynvision.inference.export import _Step, write_compared
from dynvision.inference.predictor import Predictor
from dynvision.models.build import build_model
from dynvision.models.weights import load_run_weights
from dynvision.sharing.folder import refuse_other_files

REGIONS = ("V1", "V2", "V4", "IT")
IDLE_MS = (100.0, 200.0, 400.0, 800.0)  # rests that are tried until all layers have begun
# What a plugin consists of: the first are written before the others.
FIRST = ("step.pt2", "start.safetensors", "about.json")
OTHERS = (
    *("__init__.py", "model.py", "test.py", "requirements.txt", "metadata.yaml", "region_layer_map"),
    "__pycache__",
)


@dataclass(frozen=True)
class Setup:
    """What a plugin is given beside the run.

    Attributes:
        identifier: name of the model on Brain-Score.
        regions: layer by region; empty takes layers that are called like regions, or spreads the layers over them.
        visual_degrees: that an image covers.
        stimulus_ms: how long an image is shown in a recording.
        latency_ms: by how much neurons are later than the network.
        n_units: most units of a layer, drawn at random.
        seed: of the units.
    """

    identifier: str
    regions: Mapping[str, str]
    visual_degrees: int = 8
    stimulus_ms: float = 100.0
    latency_ms: float = 0.0
    n_units: int = 2000
    seed: int = 0


class RecordedStep(_Step):
    """One step that also returns the activity of some units of some layers."""

    def __init__(self, network: Any, units: Mapping[str, Tensor]) -> None:
        super().__init__(network)
        self.layers = list(units)
        for number, index in enumerate(units.values()):
            self.register_buffer(f"units_{number}", index)

    def forward(self, frame: Tensor, state: list[Tensor]) -> Any:
        """Logits (B, K), activity (B, U) of each layer, and the state after the step."""
        active: dict[str, Tensor] = {}

        def keep(layer: str, frames: Frames) -> None:
            active[layer] = frames.folded()

        before = self.flat.state(state, frame.shape[0])
        logits, after = self.network.advance(Frames(0, 1, frame), before, self.plan, watch={"state": keep})
        activity = [
            active[layer].flatten(1).index_select(1, getattr(self, f"units_{number}"))
            for number, layer in enumerate(self.layers)
        ]
        return logits[:, 0], activity, self.flat.tensors(after)


def write_plugin(predictor: Predictor, weights: Path, folder: Path, setup: Setup) -> None:
    """Write a plugin. ``test.py`` is written last.

    Args:
        predictor: the run, loaded on the CPU.
        weights: its ``model.safetensors``.
        folder: receives the files.
        setup: names, times and regions.

    Raises:
        InputError: a region or a layer is not known, the folder holds something else, or the network cannot be exported.
    """
    refuse_other_files(folder, (*FIRST, *OTHERS) if (folder / "about.json").exists() else FIRST)
    (folder / "test.py").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    network = _rested(predictor, weights)
    regions = region_map(setup.regions, list(network.chain))
    with torch.no_grad():
        shapes = _shapes(network)
        layers = [layer for layer in network.chain if layer in {*regions.values(), network.chain[-1]}]
        generator = torch.Generator().manual_seed(setup.seed)
        units = {layer: _draw(math.prod(shapes[layer]), setup.n_units, generator) for layer in layers}
        module = RecordedStep(network, units).eval()
        with atomic_path(folder / "step.pt2") as temporary:
            write_compared(module, "torch-export", "step", temporary, predictor.run.run_id)
        with atomic_path(folder / "start.safetensors") as temporary:
            save_file(dict(zip(module.flat.names(), module.start, strict=True)), temporary)
    about = _about(predictor, module, setup, regions, units, shapes)
    write_text(folder / "about.json", json.dumps(about, ensure_ascii=False) + "\n")
    write_text(folder / "region_layer_map" / f"{setup.identifier}.json", json.dumps(regions, indent=2) + "\n")
    with atomic_path(folder / "model.py") as temporary:
        shutil.copyfile(Path(__file__).with_name("brainscore_model.py"), temporary)
    write_text(folder / "requirements.txt", _requirements())
    write_text(folder / "metadata.yaml", to_yaml(_metadata(predictor, setup)))
    write_text(folder / "__init__.py", _INIT.format(identifier=setup.identifier))
    write_text(folder / "test.py", _TEST.format(identifier=setup.identifier, region=next(iter(regions))))


def region_map(given: Mapping[str, str], layers: list[str]) -> dict[str, str]:
    """Return the layer of each region: as given, of equal name, or the layers spread over the regions in their order.

    Raises:
        InputError: a region or a layer is not known.
    """
    for region, layer in given.items():
        if region not in REGIONS:
            raise unknown_name("region", region, REGIONS, key="--regions")
        if layer not in layers:
            raise unknown_name("layer", layer, layers, key=f"--regions {region}")
    if given:
        return {region: given[region] for region in REGIONS if region in given}
    named = {region: region for region in REGIONS if region in layers}
    if named:
        return named
    last = len(layers) - 1
    return {region: layers[round(k * last / (len(REGIONS) - 1))] for k, region in enumerate(REGIONS)}


def _rested(predictor: Predictor, weights: Path) -> Any:
    """Return the network with a rest before the image in which all of its layers begin."""
    run, images = predictor.run, predictor._loaded_images()
    own = float(run.model.args.get("t_idle", 0.0))
    error = None
    for rest in (own, *(idle for idle in IDLE_MS if idle > own)):
        network = build_model(run, images.input_shape, images.n_classes, {"t_idle": rest})
        load_run_weights(network, weights, run.run_id)
        network.eval()
        try:
            with torch.no_grad():
                _Step(network)
        except InputError as found:
            error = found
            continue
        return network
    raise InputError(f"{run.run_id} cannot be a plugin of Brain-Score: {error}")


def _shapes(network: Any) -> dict[str, tuple[int, ...]]:
    """The shape (C, H, W) of each layer's activity."""
    shapes: dict[str, tuple[int, ...]] = {}

    def look(layer: str, frames: Frames) -> None:
        shapes[layer] = tuple(frames.folded().shape[1:])

    plan = network.plan()
    state = network.initial_state(1, plan)
    network.advance(Frames(0, 1, network.null_input(1)), state, plan, watch={"state": look})
    return shapes


def _draw(n_all: int, most: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(n_all, generator=generator)[:most].sort().values


def _about(
    predictor: Predictor,
    module: RecordedStep,
    setup: Setup,
    regions: Mapping[str, str],
    units: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, Any]:
    images, network = predictor._loaded_images(), module.network
    where = {}
    for layer, index in units.items():
        _, height, width = (*shapes[layer], 1, 1)[:3]
        where[layer] = {
            "index": index.tolist(),
            "channel": (index // (height * width)).tolist(),
            "row": (index // width % height).tolist(),
            "column": (index % width).tolist(),
        }
    return {
        "identifier": setup.identifier,
        "run": predictor.run.run_id,
        "layers": dict(regions),
        "recorded": module.layers,
        "units": where,
        "state": module.flat.names(),
        "dt_ms": network.dt,
        "stimulus_ms": setup.stimulus_ms,
        "latency_ms": setup.latency_ms,
        "decision_ms": float(predictor._time_ms[predictor._final]),
        "visual_degrees": setup.visual_degrees,
        "null": float(network.non_input_value),
        "input": {"shape": list(images.input_shape), "mean": list(images.mean), "sd": list(images.sd)},
        "class_names": list(images.class_names),
    }


def _metadata(predictor: Predictor, setup: Setup) -> dict[str, Any]:
    parameters = list(predictor.model.network.parameters())
    about = {
        "architecture": "RCNN",
        "model_family": predictor.run.model.name,
        "total_parameter_count": sum(each.numel() for each in parameters),
        "trainable_parameter_count": sum(each.numel() for each in parameters if each.requires_grad),
        "total_layers": len(predictor.model.network.chain),
        "training_dataset": predictor._loaded_images().source.rpartition("/")[2],
        "task_specialization": "object recognition",
        "hacking": "none",
    }
    return {"models": {setup.identifier: about}}


def _requirements() -> str:
    """What the plugin needs beside Brain-Score; a program is read by the PyTorch that wrote it, or a later one."""
    version = importlib.metadata.version("torch").partition("+")[0]
    return f"torch>={version}\nsafetensors\nnumpy\npillow\nscikit-learn\n"


_INIT = '''"""{identifier}: a recurrent network in time, made with DynVision."""

from brainscore_vision import model_registry

from .model import get_model

model_registry["{identifier}"] = lambda: get_model("{identifier}")
'''
_TEST = '''"""The model is loaded and answers images, in time."""

import numpy as np
from brainscore_vision import load_model
from PIL import Image


def test_recording(tmp_path):
    model = load_model("{identifier}")
    assert model.identifier == "{identifier}"
    paths = [str(tmp_path / f"{{k}}.png") for k in range(2)]
    for k, path in enumerate(paths):
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    model.start_recording("{region}", time_bins=[(70, 80), (80, 90), (70, 170)])
    recorded = model.look_at(paths)
    assert recorded.dims == ("presentation", "neuroid", "time_bin")
    assert recorded.shape[0] == 2 and recorded.shape[2] == 3
    assert np.isfinite(recorded.values).all()
'''

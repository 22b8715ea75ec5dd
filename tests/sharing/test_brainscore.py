"""A plugin of Brain-Score: its model meets the interface, and records what the network does."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import dynvision
from dynvision.base.frames import Frames
from dynvision.cli import main
from dynvision.errors import InputError
from dynvision.inference.export import write_compared
from dynvision.models import DyRCNNx2
from dynvision.sharing.brainscore import (
    RecordedStep,
    Setup,
    _rested,
    region_map,
    write_plugin,
)
from tests.lab import Lab
from tests.sharing import brainscore_contract as contract

pytest.importorskip("xarray")
NAME = "small-network"


@pytest.fixture(scope="module")
def plugin(trained_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights = trained_lab.root / "run" / "model.safetensors"
    folder = tmp_path_factory.mktemp("models") / "small_network"
    setup = Setup(NAME, {"V1": "layer1", "IT": "layer2"}, stimulus_ms=10, latency_ms=50, n_units=30)
    write_plugin(dynvision.load(weights, device="cpu"), weights, folder, setup)
    return folder


@pytest.fixture
def model(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The model as Brain-Score would load it."""
    registry = contract.install(monkeypatch)
    monkeypatch.syspath_prepend(str(plugin.parent))
    for name in [name for name in sys.modules if name.split(".")[0] == plugin.name]:
        monkeypatch.delitem(sys.modules, name)
    importlib.import_module(plugin.name)
    return registry[NAME]()


@pytest.fixture
def stimuli(tmp_path: Path) -> Any:
    """A stimulus set of four images of the size that the network takes, of two objects."""
    rows, paths = [], {}
    for k in range(4):
        pixels = np.random.default_rng(k).integers(0, 100, (8, 8), dtype=np.uint8) + 100 * (k % 2)
        path = tmp_path / f"{k}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        rows.append({"stimulus_id": f"id{k}", "image_label": ("cat", "dog")[k % 2], "contrast": k / 4})
        paths[f"id{k}"] = str(path)
    table = contract.StimulusSet(rows)
    table.stimulus_paths = paths
    return table


def test_the_model_has_the_methods_of_the_interface(model: Any) -> None:
    assert isinstance(model, contract.BrainModel)
    assert model.identifier == NAME and isinstance(type(model).identifier, property)
    assert model.visual_degrees() == 8
    for name, arguments in contract.METHODS.items():
        assert list(inspect.signature(getattr(type(model), name)).parameters) == arguments
    assert inspect.signature(type(model).look_at).parameters["number_of_trials"].default == 1


def test_it_records_what_the_network_does(model: Any, trained_lab: Lab, plugin: Path, stimuli: Any) -> None:
    """Against the network itself, step by step: bins of ms with a latency, parts of steps, before and after the image."""
    bins = [(40, 50), (50, 60), (55, 57), (53, 68), (60, 80)]
    model.start_recording("IT", time_bins=bins)
    found = model.look_at(stimuli)
    assert found.dims == ("presentation", "neuroid", "time_bin") and found.shape == (4, 30, 5)
    weights = trained_lab.root / "run" / "model.safetensors"
    predictor = dynvision.load(weights, device="cpu")
    network = _rested(predictor, weights)
    dt = network.dt
    images = torch.stack([predictor.preprocess(stimuli.get_stimulus(f"id{k}"))[0] for k in range(4)])
    heard: dict[int, torch.Tensor] = {}
    plan = network.plan()
    state = network.initial_state(4, plan)
    for step in range(-5, 15):  # -10 to 30 ms
        shown = images if 0 <= step < 5 else torch.full_like(images, network.non_input_value)

        def keep(layer: str, frames: Frames, step: int = step) -> None:
            if layer == "layer2":
                heard[step] = frames.folded().flatten(1)

        with torch.no_grad():
            _, state = network.advance(Frames(0, 1, shown), state, plan, watch={"state": keep})
    index = json.loads((plugin / "about.json").read_text())["units"]["layer2"]["index"]
    fine = 1000  # a plain sum over microseconds: the step that a moment is in
    for number, (start, end) in enumerate(bins):
        moments = (np.arange(start * fine, end * fine, 100) + 50) / fine - 50
        steps = np.floor(moments / dt).astype(int)
        wanted = sum(heard[step] for step in steps)[:, index] / len(steps)  # type: ignore[index,union-attr]
        assert np.allclose(found.values[:, :, number], wanted, atol=1e-5)


def test_coordinates_are_those_that_benchmarks_read(model: Any, stimuli: Any) -> None:
    model.start_recording("V1", [(70, 170)])
    found = model.look_at(stimuli, number_of_trials=10)
    assert list(found["stimulus_id"].values) == [f"id{k}" for k in range(4)]
    assert list(found["contrast"].values) == [0, 0.25, 0.5, 0.75]
    assert len(set(found["neuroid_id"].values)) == found.sizes["neuroid"]
    assert set(found["layer"].values) == {"layer1"} and set(found["region"].values) == {"V1"}
    assert (found["time_bin_start"].values, found["time_bin_end"].values) == (np.array([70]), np.array([170]))
    paths = [stimuli.get_stimulus("id0")]
    alone = model.look_at(paths)
    assert np.allclose(alone.values, found.values[:1], atol=1e-6)
    assert list(alone["stimulus_id"].values) == ["0"]


def test_tasks(model: Any, trained_lab: Lab, stimuli: Any) -> None:
    model.start_task("passive", None)
    assert model.look_at(stimuli) is None
    classes = ["digit 2", "digit 0"]
    model.start_task("label", classes)
    said = model.look_at(stimuli)
    assert said.dims == ("presentation", "choice") and said.shape == (4, 1)
    predictor = dynvision.load(trained_lab.root / "run" / "model.safetensors")
    for k, name in enumerate(said.values[:, 0]):
        answer = predictor.predict(stimuli.get_stimulus(f"id{k}"))
        own = dict(zip(answer.class_names, np.asarray(answer.probabilities)[answer.final], strict=True))
        assert name == max(classes, key=own.__getitem__)
    model.start_task("probabilities", stimuli)
    probable = model.look_at(stimuli)
    assert list(probable["choice"].values) == ["cat", "dog"]
    assert np.allclose(probable.values.sum(axis=1), 1)
    assert [["cat", "dog"][k] for k in probable.values.argmax(axis=1)] == list(stimuli["image_label"])
    model.start_task("odd_one_out", None)
    paths = [stimuli.get_stimulus(f"id{k}") for k in (1, 1, 0)]
    odd = model.look_at(paths)
    assert odd.shape == (1, 1) and odd.values[0, 0] in (0, 1, 2)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda model: model.start_recording("V4", [(70, 80)]), "has no layer for V4; it has V1, IT"),
        (lambda model: model.start_recording("IT", [(80, 70)]), "a beginning and a later end"),
        (lambda model: model.start_task("label", ["cat"]), "knows the classes digit 0"),
        (lambda model: model.start_task("naming", []), "task 'naming' is not known"),
        (lambda model: model.look_at([]), "call start_recording or start_task"),
    ],
)
def test_what_the_model_refuses(model: Any, ask: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ask(model)


def test_the_plugin_is_whole_and_needs_no_dynvision(plugin: Path, model: Any) -> None:
    files = {
        path.relative_to(plugin).as_posix() for path in plugin.rglob("*.*") if "__pycache__" not in path.parts
    }
    wanted = {
        "__init__.py",
        "about.json",
        "metadata.yaml",
        "model.py",
        "requirements.txt",
        "start.safetensors",
    }
    assert files == {*wanted, "step.pt2", "test.py", f"region_layer_map/{NAME}.json"}
    assert json.loads((plugin / "region_layer_map" / f"{NAME}.json").read_text()) == {
        "V1": "layer1",
        "IT": "layer2",
    }
    assert set(yaml.safe_load((plugin / "metadata.yaml").read_text())["models"]) == {NAME}
    code = "".join(path.read_text() for path in plugin.glob("*.py"))
    assert "import dynvision" not in code and "from dynvision" not in code
    for path in plugin.glob("*.py"):
        compile(path.read_text(), path, "exec")


def test_the_test_of_the_plugin_passes(model: Any, plugin: Path, tmp_path: Path) -> None:
    space: dict[str, Any] = {}
    exec(compile((plugin / "test.py").read_text(), "test", "exec"), space)
    space["test_recording"](tmp_path)


def test_regions() -> None:
    assert region_map({}, ["V1", "V2", "V4", "IT"]) == {name: name for name in ("V1", "V2", "V4", "IT")}
    assert region_map({}, ["a", "b"]) == {"V1": "a", "V2": "a", "V4": "b", "IT": "b"}
    assert region_map({"IT": "b"}, ["a", "b"]) == {"IT": "b"}
    with pytest.raises(InputError, match="did you mean 'V1'|allowed"):
        region_map({"V11": "a"}, ["a"])
    with pytest.raises(InputError, match="unknown layer"):
        region_map({"V1": "c"}, ["a"])


def test_the_command(trained_lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = trained_lab.root / "run" / "model.safetensors"
    arguments = ["brainscore", str(weights), "--output", str(tmp_path / "plugin"), "--units", "5"]
    assert main([*arguments, "--regions", "V1"]) == 2
    assert "--regions V1 is not REGION=LAYER" in capsys.readouterr().err
    for options, message in (
        (["--stimulus-ms", "0"], "--stimulus-ms must be above 0"),
        (["--stimulus-ms", "inf"], "--stimulus-ms must be above 0"),
        (["--stimulus-ms", "0.3"], "--stimulus-ms=0.3 ms"),
        (["--latency-ms", "nan"], "--latency-ms must be a number of ms, not nan"),
        (["--regions", "V1=layer1", "V1=layer2"], "--regions has the key 'V1' twice"),
        (["--identifier", ""], "--identifier '' must be letters"),
    ):
        assert main([*arguments, *options]) == 2, options
        assert message in capsys.readouterr().err
    assert not (tmp_path / "plugin").exists()


def test_operations_with_a_state_take_batches_of_any_size(tmp_path: Path) -> None:
    """Written with three images and run back with one, two and five; a guard on the batch fails with one of them."""
    torch.manual_seed(0)
    network: Any = DyRCNNx2(
        n_classes=3,
        input_dims=(4, 1, 8, 8),
        t_recurrence=2,
        t_idle=40,
        divisive_normalization=True,
        intrinsic_suppression=0.5,
    ).eval()
    module = RecordedStep(network, {"layer2": torch.arange(4)}).eval()
    with torch.no_grad():
        write_compared(module, "torch-export", "step", tmp_path / "step.pt2", "run")
    assert (tmp_path / "step.pt2").is_file()

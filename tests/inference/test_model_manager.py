"""Models by name, and the class that a path asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dynvision.errors import InputError
from dynvision.inference import ModelLoadError, ModelManager, RunModel, get_model_manager
from dynvision.inference.sources import ADAPTERS, register_adapter
from tests.inference.toy import Weighted, cpu, weighted


def test_models_are_found_by_name(tmp_path: Path) -> None:
    manager, model = ModelManager(), weighted(tmp_path)
    with pytest.raises(InputError, match="there is no model 'sums'; no model is registered"):
        manager.get_model("sums")
    manager.register_model("sums", model)
    manager.register_model("sums", model)  # the same again is no other
    manager.register_model("again", model)
    assert manager.list_models() == ["sums", "again"] and manager.get_model("sums") is model
    with pytest.raises(InputError, match="unknown model 'sms'; did you mean 'sums'?"):
        manager.get_model("sms")
    with pytest.raises(InputError, match="'sums' is registered already"):
        manager.register_model("sums", weighted(tmp_path))
    with pytest.raises(InputError, match="must be a dynvision.inference.InferenceModel, not a int"):
        manager.register_model("number", 3)  # type: ignore[arg-type]
    manager.cleanup_all()
    assert manager.list_models() == []


def test_there_is_one_manager_for_the_program() -> None:
    assert get_model_manager() is get_model_manager()


@pytest.mark.parametrize("file", ["", "model.safetensors"])
def test_a_run_is_loaded_by_its_folder_or_its_weights(digits_run: Path, file: str) -> None:
    manager = ModelManager()
    model = manager.load_model(digits_run / file, cpu())
    assert isinstance(model, RunModel) and model.is_loaded
    assert manager.list_models() == [digits_run.name]
    assert manager.get_model(digits_run.name) is model
    assert model.predict(np.eye(8, dtype=np.float32)).probabilities.shape[1] == 10
    with pytest.raises(InputError, match="registered already; give this one another name="):
        manager.load_model(digits_run, cpu())
    manager.load_model(digits_run, cpu(), name="second")
    assert manager.list_models() == [digits_run.name, "second"]


def test_loading_optimises(digits_run: Path) -> None:
    model = ModelManager().load_model(digits_run, cpu(optimization={"optimization_level": "balanced"}))
    assert model.model_info["optimizations"]["memory_format"] == "channels last"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "there is no model"),
        (
            "weights.pt",
            "may run code when it is read; convert published weights with 'dynvision weights import'",
        ),
        ("weights.pth", "subclass dynvision.inference.InferenceModel"),
        ("program.pt2", "an exported program, .* may run any code"),
        ("model.onnx", "no model can be made of"),
        ("empty", "config.yaml does not exist"),
        ("foreign.safetensors", "are not of a run"),
        ("broken.safetensors", "cannot be read as safetensors"),
    ],
)
def test_what_cannot_be_loaded(tmp_path: Path, name: str, said: str) -> None:
    from safetensors.torch import save_file

    (tmp_path / "empty").mkdir()
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pt")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pth")
    (tmp_path / "model.onnx").touch()
    (tmp_path / "program.pt2").touch()
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nonsense")
    manager = ModelManager()
    with pytest.raises(ModelLoadError, match=said):
        manager.load_model(tmp_path / name, cpu())
    assert manager.list_models() == []


def test_a_class_of_ones_own_for_a_kind_of_file(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    register_adapter(".weighted", Weighted)
    request.addfinalizer(lambda: ADAPTERS.remove(".weighted"))
    with pytest.raises(ValueError, match=r"the adapter of files name '\.weighted' is taken"):
        register_adapter(".weighted", Weighted)
    torch.save({"weight": torch.tensor([[1.0, 1.0, 1.0, 1.0]])}, tmp_path / "ones.weighted")
    model = ModelManager().load_model(tmp_path / "ones.weighted", cpu(performance={"warmup_iterations": 0}))
    assert model.predict([1, 2, 3, 4]) == {"value": 10.0}

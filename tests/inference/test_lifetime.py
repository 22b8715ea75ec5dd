"""Nothing outlives what it was made from: compiled networks, caches, optimisations, settings, copies and processes."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.inference import InferenceConfig, InferenceModel, ModelInferenceError, RunModel
from dynvision.inference.prediction import ModelMetadata
from dynvision.inference.sources import NetworkModel
from tests.inference.toy import cpu, weighted

ROW = torch.ones(4)


class Scaled(InferenceModel):
    """The sum of a row times ``scale``, by a network that is loaded as `path` numbers it; ``shift`` is added at the end."""

    scale = 1.0

    def __init__(self, config: InferenceConfig) -> None:
        super().__init__(config)
        self.settings = {"shift": 0.0}

    def load_model(self, model_path: str | Path) -> None:
        network = nn.Linear(4, 1, bias=False)
        nn.init.constant_(network.weight, float(model_path))  # type: ignore[arg-type]
        self.model = nn.Sequential(network)
        self._is_loaded = True

    def preprocess(self, inputs: Tensor) -> Tensor:
        return inputs[None] * self.scale

    def forward(self, inputs: Tensor) -> Tensor:
        return self.get_model_for_inference()(inputs)

    def postprocess(self, outputs: Tensor) -> float:
        return outputs.item() + self.settings["shift"]


def scaled(**sections: Any) -> Scaled:
    model = Scaled(cpu(**sections))
    model.load_model("1")
    return model


def test_a_new_network_answers_and_not_the_old_one_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, **settings: network)
    model = scaled(device={"device_type": "cpu", "use_torch_compile": True})
    model.optimize_for_inference()
    assert model.predict(ROW) == 4.0 and model.model_info["compiled"] is True
    model.load_model("2")
    assert model.predict(ROW) == 8.0 and model.model_info["compiled"] is False


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_new_network_is_not_quantised_because_the_old_one_was() -> None:
    model = scaled(optimization={"enable_quantization": True})
    model.optimize_for_inference()
    assert "quantization" in model.optimizations
    model.load_model("2")
    assert model.model_info["optimizations"] == {}
    model.optimize_for_inference()
    assert "quantization" in model.optimizations and not isinstance(model.model[0], nn.Linear)


def test_caches_know_what_processing_depends_on() -> None:
    model = scaled(performance={"cache_entries": 8})
    assert [model.predict(ROW), model.predict(ROW)] == [4.0, 4.0]
    assert model.model_info["caches"] == {
        "inputs": {"hits": 1, "misses": 1, "entries": 1},
        "outputs": {"hits": 1, "misses": 1, "entries": 1},
    }
    model.scale = 3.0  # of preprocessing
    assert model.predict(ROW) == 12.0
    model.settings["shift"] = 1.0  # of postprocessing, changed in place
    assert model.predict(ROW) == 13.0
    model.load_model("2")
    assert model.model_info["caches"]["inputs"]["entries"] == 0
    assert model.predict(ROW) == 25.0


def test_what_cannot_be_hashed_is_not_kept() -> None:
    model = scaled(performance={"cache_entries": 8})
    model.helper = object()
    assert [model.predict(ROW), model.predict(ROW)] == [4.0, 4.0]
    assert model.model_info["caches"]["inputs"] == {"hits": 0, "misses": 2, "entries": 0}


def test_caches_are_off_unless_asked_for_and_follow_their_size(tmp_path: Path) -> None:
    assert InferenceConfig().performance.cache_entries == 0
    model = weighted(tmp_path)
    for size, n_preprocessed in ((0, 2), (4, 1), (0, 2)):
        model.config.performance.cache_entries = size
        model.seen.clear()
        assert [model.predict([1, 1, 1, 1]) for _ in range(2)] == [{"value": 10.0}] * 2
        assert model.seen.count("preprocess") == n_preprocessed


# --- internals ------------------------------------------------------------------------------------------------------


def test_an_answer_is_its_owners(digits_run: Path) -> None:
    model = RunModel(cpu(performance={"cache_entries": 4}))
    model.load_model(digits_run)
    image = np.eye(8, dtype=np.float32)
    first = model.predict(image)
    time_ms, probabilities = first.time_ms.copy(), first.probabilities.copy()
    first.time_ms[:] -= 20
    first.probabilities[:] = 0
    for again in (model.predict(image), *model.predict_batch([image, image])):
        assert np.array_equal(again.time_ms, time_ms)
        assert np.allclose(again.probabilities, probabilities, atol=1e-6)


def test_an_input_is_its_owners() -> None:
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 2))
    model = NetworkModel(cpu(), network, ModelMetadata("x", "", "", (), ()))
    mine = torch.tensor([-1.0, 1.0])
    model.predict(mine)
    assert mine.tolist() == [-1.0, 1.0]


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "value"), [("device_type", "auto"), ("device_index", 1), ("use_fp16", True)])
def test_what_is_read_once_cannot_be_changed_afterwards(key: str, value: object) -> None:
    config = cpu()
    model = Scaled(config)
    with pytest.raises(InputError, match=f"device.{key}=.* a model has been made with"):
        setattr(config.device, key, value)
    with pytest.raises(InputError, match=f"device.{key}=.* a model has been made with"):
        config.device = type(config.device)(**{**dict(config.device), key: value})
    with pytest.raises(InputError, match="the configuration of a model is not replaced"):
        model.config = InferenceConfig()
    setattr(config.device, key, getattr(config.device, key))  # no change
    config.device = type(config.device)(**dict(config.device))
    with pytest.raises(InputError, match="a model has been made with"):
        setattr(config.device, key, value)
    other = copy.deepcopy(config)
    setattr(other.device, key, value)
    assert other != config and getattr(config.device, key) != value


# --- copies and processes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_model_is_not_copied(way: Any) -> None:
    with pytest.raises(InputError, match="neither pickled nor copied; load it again where it is needed"):
        way(scaled())


WAYS: dict[str, Callable[[Scaled], Any]] = {
    "predict": lambda model: model.predict(ROW),
    "predict_batch": lambda model: model.predict_batch([ROW]),
    "submit": lambda model: model.submit(ROW),
    "warmup": lambda model: model.warmup(),
    "optimize": lambda model: model.optimize_for_inference(),
    "compile": lambda model: model.compile_model(),
    "load": lambda model: model.load_model("2"),
    "load state": lambda model: model.load_optimized_state("nothing"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_forked_process_does_not_wait_for_threads_that_it_has_not(way: str) -> None:
    model = scaled()
    model.predict(ROW)
    receiving, sending = multiprocessing.Pipe(duplex=False)

    def ask() -> None:
        try:
            WAYS[way](model)
        except ModelInferenceError as error:
            sending.send(str(error))

    process = multiprocessing.get_context("fork").Process(target=ask)
    with model._lock:  # as another thread of the parent would hold it
        process.start()
        sending.close()  # here, so that the end of the process ends the wait
        said = receiving.recv()
    process.join()
    assert f"was made in process {os.getpid()}" in said


# --- a failed load --------------------------------------------------------------------------------------------------


def test_a_failed_load_leaves_the_model_as_it_was(own_run: Path, tmp_path: Path) -> None:
    model = RunModel(cpu())
    model.load_model(own_run)
    image = np.eye(8, dtype=np.float32)
    before = model.predict(image).probabilities
    (tmp_path / "broken.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        model.load_model(tmp_path / "broken.safetensors")
    assert np.array_equal(model.predict(image).probabilities, before)

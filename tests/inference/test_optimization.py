"""What makes a model faster changes no answer by more than rounding, and what does not work is said once."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dynvision.errors import InputError
from dynvision.inference import InferenceConfig, RunModel
from dynvision.inference.batching import optimal_batch_size
from dynvision.inference.optimization import CompiledNetwork
from tests.inference.convolutions import IMAGE, expected, network, plain
from tests.inference.toy import cpu


def test_exact_is_exact() -> None:
    model = plain()
    model.optimize_for_inference()
    assert not model.model.training
    assert torch.equal(model.predict(IMAGE), expected())
    assert model.model_info["optimizations"] == {}


def test_convolutions_in_three_dimensions_keep_their_order() -> None:
    model = plain(optimization={"optimization_level": "balanced"})
    model.model = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Flatten())
    model.optimize_for_inference()
    assert model.model_info["optimizations"] == {}


def test_optimization_can_be_left_out() -> None:
    model = plain(optimization={"optimization_level": "balanced", "enable_optimization": False})
    model.optimize_for_inference()
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.model.modules())
    assert torch.equal(model.predict(IMAGE), expected())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_quantisation_rounds_the_weights_of_linear_layers() -> None:
    model = plain(optimization={"enable_quantization": True})
    before = model.get_memory_usage()["total_params"]
    model.optimize_for_inference()
    model.optimize_for_inference()
    assert model.model_info["optimizations"] == {"quantization": "8-bit weights of linear layers"}
    assert model.get_memory_usage()["total_params"] == before - 63
    answer = model.predict(IMAGE)
    assert not torch.equal(answer, expected())
    assert torch.allclose(answer, expected(), atol=0.05)
    with pytest.raises(InputError, match="a quantised model are more than tensors"):
        model.save_optimized_state("nowhere")
    with pytest.raises(InputError, match="a quantised model are more than tensors"):
        model.load_optimized_state("nowhere")


def test_quantisation_that_torch_does_not_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.ao.quantization", None)
    with pytest.raises(InputError, match="enable_quantization=True, which torch .* does not offer"):
        plain(optimization={"enable_quantization": True}).optimize_for_inference()


def test_threads_are_set_only_if_asked_for() -> None:
    before = torch.get_num_threads()
    try:
        model = plain(performance={"cpu_threads": 2})
        model.optimize_for_inference()
        assert torch.get_num_threads() == 2
        assert model.model_info["optimizations"] == {"cpu_threads": "2 threads"}
    finally:
        torch.set_num_threads(before)


# --- compilation ----------------------------------------------------------------------------------------------------


def failing_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the compiler fail as it does without a C++ compiler."""
    compile_as_it_is = torch.compile

    def backend(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(
        torch, "compile", lambda module, mode, **rest: compile_as_it_is(module, backend=backend, **rest)
    )


def test_a_failed_compilation_is_said_once_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing_backend(monkeypatch)
    model = plain(device={"device_type": "cpu", "use_torch_compile": True})
    model.optimize_for_inference()
    model.warmup(2)
    assert torch.equal(model.predict(IMAGE), expected())
    warnings = [record for record in caplog.records if record.name.startswith("dynvision")]
    assert len(warnings) == 1 and warnings[0].levelno == logging.WARNING
    assert (
        "torch.compile failed" in warnings[0].message and "the model runs uncompiled" in warnings[0].message
    )
    info = model.model_info
    assert info["compiled"] is False and "no compiler here" in info["compile_failure"]


def test_an_error_of_the_network_is_not_the_compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    failing_backend(monkeypatch)
    compiled = CompiledNetwork(network().eval(), "default")
    with pytest.raises(RuntimeError, match="channels"):
        compiled(torch.zeros(1, 2, 12, 12))
    assert compiled.failure == ""


@pytest.mark.slow
def test_a_compiled_run_has_the_same_answers(digits_run: Path) -> None:
    image = np.eye(8, dtype=np.float32)
    eager, compiled = RunModel(cpu()), RunModel(cpu(device={"device_type": "cpu", "use_torch_compile": True}))
    for model in (eager, compiled):
        model.load_model(digits_run)
        model.optimize_for_inference()
    assert np.allclose(eager.predict(image).probabilities, compiled.predict(image).probabilities, atol=1e-5)
    assert compiled.model_info["compiled"] is True


# --- state ----------------------------------------------------------------------------------------------------------


def test_optimized_state_comes_back(tmp_path: Path) -> None:
    model = plain(optimization={"optimization_level": "balanced"})
    with torch.no_grad():
        model.model[6].bias += 1  # something to recognise it by
    model.optimize_for_inference()
    answer = model.predict(IMAGE)
    model.save_optimized_state(tmp_path / "state")
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"model.safetensors", "optimized.json"}
    about = json.loads((tmp_path / "state" / "optimized.json").read_text())
    assert about["optimizations"]["fusion"] == "2 batch normalisations fused"
    assert InferenceConfig(**about["config"]) == model.config
    for level in ("exact", "balanced"):  # into a model as it was loaded, whatever it would do itself
        other = plain(optimization={"optimization_level": level})
        assert torch.equal(other.predict(IMAGE), expected())
        assert other.load_optimized_state(tmp_path / "state") is True
        assert torch.allclose(other.predict(IMAGE), answer, atol=1e-6)
        assert other.model_info["optimizations"]["fusion"] == "2 batch normalisations fused"


def test_state_that_cannot_be_used_is_said_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = plain()
    assert model.load_optimized_state(tmp_path) is False
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    assert model.load_optimized_state(tmp_path) is False
    other = plain()
    other.model = nn.Linear(2, 2)
    other.save_optimized_state(tmp_path)
    assert model.load_optimized_state(tmp_path) is False
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "no optimised state is loaded"
    ] * 3
    assert "are of another model: missing 0.0.weight" in caplog.text
    assert torch.equal(model.predict(IMAGE), expected())


def test_state_of_a_run(digits_run: Path, tmp_path: Path) -> None:
    model = RunModel(cpu())
    model.load_model(digits_run)
    image = np.eye(8, dtype=np.float32)
    before = model.predict(image).probabilities
    model.save_optimized_state(tmp_path / "state")
    with torch.no_grad():
        for parameter in model.model.parameters():
            parameter.zero_()
    assert model.predict(image).probabilities == pytest.approx(np.full_like(before, 0.1))
    assert model.load_optimized_state(tmp_path / "state")
    assert np.array_equal(model.predict(image).probabilities, before)


def test_a_run_is_not_quantised(digits_run: Path) -> None:
    model = RunModel(cpu(optimization={"enable_quantization": True}))
    model.load_model(digits_run)
    with pytest.raises(InputError, match="not offered for networks that compute over time"):
        model.optimize_for_inference()


# --- what a GPU would do --------------------------------------------------------------------------------------------


def test_batch_sizes_follow_from_memory() -> None:
    assert optimal_batch_size(2**20, 2**30, 64) == 4  # 0.3 x 1024 MiB / (1 MiB x 16 x 4) = 4.8
    assert optimal_batch_size(2**20, 2**40, 64) == 64
    assert optimal_batch_size(2**30, 2**20, 64) == 1


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Sequential(nn.ReLU(), nn.Conv2d(2, 3, 3)), (1, 2, 64, 64)),
        (nn.Conv1d(5, 3, 3), (1, 5, 64)),
        (nn.Sequential(nn.Linear(7, 3), nn.Linear(3, 1)), (1, 7)),
        (nn.Identity(), (1, 3, 64, 64)),
    ],
)
def test_dummy_inputs_fit_the_first_layer(module: nn.Module, shape: tuple[int, ...]) -> None:
    model = plain()
    model.model = module.double()
    dummy = model._create_dummy_input()
    assert dummy.shape == shape and dummy.dtype == (torch.float32 if shape[1] == 3 else torch.float64)
    assert model._create_dummy_input() is dummy  # as long as somebody holds it
    module(dummy)


def test_a_warm_up_that_is_not_possible_is_said(caplog: pytest.LogCaptureFixture) -> None:
    model = plain()
    model.model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(200, 3))
    model.warmup()
    assert [record.message.partition(":")[0] for record in caplog.records] == ["no warm-up"]
    assert "does not take (1, 3, 64, 64)" in caplog.text
    assert model.predict(IMAGE).shape == (3,)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [
        ({}, 1e-4),
        ({"use_fp16": True}, 2e-2),
        ({"memory_fraction": 0.5}, 1e-4),
        pytest.param({"use_torch_compile": True}, 1e-4, marks=pytest.mark.slow),
        pytest.param(
            {"use_torch_compile": True, "compile_mode": "default", "use_fp16": True},
            2e-2,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_gpu_computes_the_same(digits_run: Path, settings: dict[str, Any], tolerance: float) -> None:
    images = np.random.default_rng(0).random((9, 8, 8), dtype=np.float32)
    on_cpu = RunModel(cpu())
    on_cpu.load_model(digits_run)
    expected = [answer.probabilities for answer in on_cpu.predict_batch(images)]
    config = InferenceConfig(
        device={"device_type": "cuda", **settings},
        optimization={"optimization_level": "exact" if tolerance < 1e-3 else "aggressive"},
        batch={"dynamic_batching": True},
    )
    model = RunModel(config)
    model.load_model(digits_run)
    model.optimize_for_inference()
    model.warmup(2)
    for answers in (model.predict_batch(images), [model.predict(image) for image in images]):
        assert np.allclose([answer.probabilities for answer in answers], expected, atol=tolerance)
    assert model.model_info["compiled"] is bool(settings.get("use_torch_compile"))
    assert model.get_performance_stats()["predict_memory"]["count"] == 9
    assert model.get_memory_usage()["gpu_allocated_mb"] > 0
    model.cleanup()
    torch.cuda.set_per_process_memory_fraction(1.0)

"""Configuration that is set key by key: every value checked, every misspelt key named."""

from __future__ import annotations

import copy

import pytest
import torch

from dynvision.errors import InputError
from dynvision.inference import BatchConfig, InferenceConfig
from dynvision.inference.devices import target_device


def test_values_are_set_in_place_and_each_configuration_has_its_own() -> None:
    one, other = InferenceConfig(), InferenceConfig()
    one.device.device_type, one.batch.batch_size = "cuda", 32
    assert (one.device.device_type, one.batch.batch_size) == ("cuda", 32)
    assert (other.device.device_type, other.batch.batch_size) == ("auto", 16)
    assert copy.deepcopy(one) == one != other
    one.batch = BatchConfig(batch_size=3)
    assert one.batch.batch_size == 3


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("device", "device_tpe", "cpu", "unknown key 'device_tpe' (key device.device_tpe); did you mean 'device_type'?"),
        ("device", "device_type", "cuad", "unknown value 'cuad' (key device.device_type); did you mean 'cuda'?"),
        ("device", "device_index", -1, "device.device_index=-1 is not valid"),
        ("device", "compile_mode", "max", "key device.compile_mode"),
        ("device", "memory_fraction", 1.5, "device.memory_fraction=1.5 is not valid"),
        ("optimization", "enable_tensorrt", True, "optimization.enable_tensorrt=True, but TensorRT is not offered"),
        ("optimization", "optimization_level", "aggressiv", "did you mean 'aggressive'?"),
        ("batch", "batch_size", 0, "batch.batch_size=0 is not valid"),
        ("batch", "batch_size", 65, "batch.batch_size=65 is more than batch.max_batch_size=64; set max_batch_size first"),
        ("batch", "timeout_ms", float("inf"), "batch.timeout_ms=inf is not valid"),
        ("performance", "warmup_iteration", 1, "did you mean 'warmup_iterations'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_changes_nothing(section: str, key: str, value: object, said: str) -> None:
    config = InferenceConfig()
    with pytest.raises(InputError) as by_setting:
        setattr(getattr(config, section), key, value)
    with pytest.raises(InputError) as by_construction:
        InferenceConfig(**{section: {key: value}})
    assert said in str(by_setting.value) and said in str(by_construction.value)
    assert config == InferenceConfig()


def test_an_unknown_section() -> None:
    with pytest.raises(InputError, match="unknown key 'devices'.* did you mean 'device'"):
        InferenceConfig().devices = 1  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="unknown key 'devices'.* did you mean 'device'"):
        InferenceConfig(devices={})  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("device", "n_gpus", "expected"),
    [
        ({"device_type": "auto"}, 0, "cpu"),
        ({"device_type": "cpu"}, 2, "cpu"),
        ({"device_type": "cpu"}, -1, "cpu"),
        ({"device_type": "auto"}, 2, "cuda:0"),
        ({"device_type": "cuda", "device_index": 1}, 2, "cuda:1"),
        ({"device_type": "cuda"}, 0, "torch finds no GPU here"),
        ({"device_type": "cuda", "device_index": 2}, 2, "torch finds 2 GPUs here, counted from 0"),
        ({"device_type": "cpu", "use_fp16": True}, 2, "use_fp16=True needs a GPU"),
        ({"use_fp16": True}, 0, "use_fp16=True needs a GPU"),
    ],
)
def test_the_device(
    monkeypatch: pytest.MonkeyPatch, device: dict[str, object], n_gpus: int, expected: str
) -> None:
    def is_available() -> bool:
        assert n_gpus >= 0, "CUDA is not to be asked"
        return n_gpus > 0

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    config = InferenceConfig(device=device).device
    if expected.startswith(("cpu", "cuda")):
        assert target_device(config) == torch.device(expected)
    else:
        with pytest.raises(InputError, match=expected):
            target_device(config)


def test_a_key_is_not_deleted() -> None:
    config = InferenceConfig()
    for section, key in ((config, "batch"), (config.batch, "batch_size")):
        with pytest.raises(InputError, match=f"{key} cannot be deleted; set another value"):
            delattr(section, key)
    assert config == InferenceConfig()

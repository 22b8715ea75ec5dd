"""The code of the page "BaseModel Module Documentation", as it stands there; what had to be adapted says so.

Adapted throughout: what the page imports from ``framework.core.base_model`` and ``framework.core.config`` is
``dynvision.inference``; examples for ``cuda`` run on the CPU.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn as nn
from PIL import Image

from dynvision.inference import (
    BaseModel,
    InferenceConfig,
    ModelInferenceError,
    ModelLoadError,
    ModelManager,
    get_model_manager,
)
from dynvision.models.weights import load_weights, read_checkpoint


class ToTensor:
    """Stands in for torchvision, which the page uses and which is not installed: a picture as (C, H, W) in 0..1."""

    def __call__(self, picture: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float() / 255


class Normalize:
    """Likewise: (x - mean) / std per channel."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        self.mean, self.std = (torch.tensor(values)[:, None, None] for values in (mean, std))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.std


class transforms:  # noqa: N801
    ToTensor, Normalize = ToTensor, Normalize


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )


class MyImageModel(BaseModel):
    def load_model(self, model_path):
        """Load PyTorch model from path."""
        # The page: self.model = torch.load(model_path, map_location=self.device), which would run a pickle's code.
        self.model = small_network()
        load_weights(self.model, read_checkpoint(model_path), model_path)
        self.model.to(self.device)
        self.model.eval()
        self._is_loaded = True

    def preprocess(self, inputs):
        """Preprocess image inputs."""
        # Convert PIL/numpy to tensor
        if hasattr(inputs, "convert"):  # PIL Image
            inputs = transforms.ToTensor()(inputs)

        # Normalize
        inputs = transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])(inputs)

        # Add batch dimension and move to device
        return inputs.unsqueeze(0).to(self.device)

    def forward(self, inputs):
        """Run model inference."""
        model = self.get_model_for_inference()
        with torch.no_grad():
            return model(inputs)

    def postprocess(self, outputs):
        """Process model outputs."""
        probabilities = torch.softmax(outputs, dim=1)
        predicted_class = torch.argmax(probabilities, dim=1)
        return {
            "class": predicted_class.item(),
            "confidence": probabilities.max().item(),
            "probabilities": probabilities.squeeze().tolist(),
        }


def pictures(n: int) -> list[Image.Image]:
    draw = np.random.default_rng(0)
    return [Image.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for _ in range(n)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.save(small_network().state_dict(), tmp_path / "model.pth")
    return tmp_path / "model.pth"


def expected(image: Image.Image) -> dict[str, Any]:
    """The answer, computed from the formulas."""
    x = np.asarray(image).transpose(2, 0, 1) / 255
    x = (x - np.reshape([0.485, 0.456, 0.406], (3, 1, 1))) / np.reshape([0.229, 0.224, 0.225], (3, 1, 1))
    with torch.no_grad():
        p = small_network().eval()(torch.from_numpy(x).float()[None]).softmax(1)[0]
    return {"class": int(p.argmax()), "confidence": float(p.max()), "probabilities": p.tolist()}


def close(one: dict[str, Any], other: dict[str, Any], atol: float = 1e-5) -> bool:
    same = one["class"] == other["class"] and np.isclose(one["confidence"], other["confidence"], atol=atol)
    return bool(same and np.allclose(one["probabilities"], other["probabilities"], atol=atol))


def test_basic_model_implementation(path: Path) -> None:
    config = InferenceConfig()
    config.device.device_type = "cpu"  # the page: "cuda"
    config.device.use_torch_compile = (
        True  # it takes effect when the model is optimised, which is not done here
    )

    model = MyImageModel(config)
    model.load_model(path)
    image, image1, image2, image3 = pictures(4)

    # Single prediction
    result = model.predict(image)
    assert close(result, expected(image))
    print(f"Predicted class: {result['class']}")

    # Batch prediction
    results = model.predict_batch([image1, image2, image3])
    assert all(
        close(one, expected(each)) for one, each in zip(results, (image1, image2, image3), strict=True)
    )

    # Async prediction
    async def ask() -> Any:
        return await model.predict_async(image)

    assert close(asyncio.run(ask()), result)

    # Performance monitoring
    stats = model.get_performance_stats()
    print(f"Average inference time: {stats['predict_time']['mean']:.3f}s")
    for name in ("predict_time", "preprocess_time", "forward_time", "postprocess_time"):
        assert set(stats[name]) == {"count", "mean", "min", "max", "p95"}
    assert stats["predict_time"]["count"] == 2 and stats["error_counts"] == {}

    # Memory usage
    memory = model.get_memory_usage()
    print(f"GPU memory: {memory['gpu_allocated_mb']:.1f}MB")
    assert set(memory) == {
        "gpu_allocated_mb",
        "gpu_reserved_mb",
        "gpu_max_allocated_mb",
        "cpu_memory_mb",
        "total_params",
        "trainable_params",
        "model_size_mb",
    }
    model.cleanup()


def test_advanced_optimization(path: Path, tmp_path: Path) -> None:
    config = InferenceConfig()
    config.device.device_type = "cpu"  # the page: "cuda", use_torch_compile, use_fp16
    config.device.compile_mode = "max-autotune"
    config.batch.batch_size = 32
    config.batch.dynamic_batching = True

    model = MyImageModel(config)
    model.load_model(path)

    # Apply comprehensive optimizations
    model.optimize_for_inference()

    # Warmup for optimal performance
    model.warmup(num_iterations=10)

    # Save optimized state for faster loading
    model.save_optimized_state(tmp_path / "optimized/")

    # Later: load optimized state
    assert model.load_optimized_state(tmp_path / "optimized/")
    image = pictures(1)[0]
    assert close(model.predict(image), expected(image))
    assert not model.load_optimized_state(tmp_path / "nowhere")


def test_status_and_info(path: Path) -> None:
    config = InferenceConfig()
    config.device.device_type = "cpu"
    model = MyImageModel(config)
    assert not model.is_loaded
    model.load_model(path)
    assert model.is_loaded
    model.is_loaded = True
    info = model.model_info
    assert info["loaded"] is True and info["device"] == "cpu" and info["config"] is config
    assert set(info["metadata"]) == {"model_type", "input_shape", "output_shape", "num_parameters"}
    n = sum(parameter.numel() for parameter in model.model.parameters())
    assert info["total_parameters"] == info["trainable_parameters"] == info["metadata"]["num_parameters"] == n
    assert info["memory_usage"]["total_params"] == n
    with pytest.raises(ModelInferenceError):
        model.predict(torch.zeros(3, 2, 2))  # smaller than the kernel
    assert model.get_performance_stats()["error_counts"] == {"ModelInferenceError": 1}
    model.reset_stats()
    assert model.get_performance_stats() == {"error_counts": {}}


def test_global_manager(path: Path) -> None:
    # Get global manager instance
    manager = get_model_manager()
    model = MyImageModel(InferenceConfig(device={"device_type": "cpu"}))
    model.load_model(path)

    # Register and use models
    manager.register_model("my_model", model)
    loaded_model = manager.get_model("my_model")
    assert loaded_model is model
    models = manager.list_models()
    assert models == ["my_model"]
    manager.cleanup_all()
    assert manager.list_models() == []


HUBCONF = """
import torch.nn as nn

def resnet18(pretrained=False):
    assert pretrained
    return nn.Sequential(nn.Conv2d(3, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def test_model_manager_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The page downloads; here a folder stands in for GitHub, and a module for transformers.
    repository = tmp_path / "vision"
    repository.mkdir()
    (repository / "hubconf.py").write_text(HUBCONF)
    transformers: Any = ModuleType("transformers")
    processor = lambda images, return_tensors: {"pixel_values": ToTensor()(images)[None]}  # noqa: E731
    transformers.AutoImageProcessor = SimpleNamespace(from_pretrained=lambda name: processor)

    class Classifier(nn.Module):
        config = SimpleNamespace(id2label={k: f"class {k}" for k in range(5)})

        def __init__(self) -> None:
            super().__init__()
            self.network = small_network()

        def forward(self, pixel_values: torch.Tensor) -> Any:
            return SimpleNamespace(logits=self.network(pixel_values))

    transformers.AutoModelForImageClassification = SimpleNamespace(
        from_pretrained=lambda name, use_safetensors: Classifier()
    )
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    config = InferenceConfig(device={"device_type": "cpu"})

    manager = get_model_manager()

    # Download and load from PyTorch Hub
    manager.download_and_load_model(
        source="pytorch_hub",
        model_id=f"{repository}/resnet18",  # the page: "pytorch/vision:v0.10.0/resnet18"
        name="resnet18",
        config=config,
        pretrained=True,
        trust_repo=True,  # not on the page: the code of the repository runs
        preprocess=transforms.ToTensor(),  # not on the page: the repository does not say how it takes an image
    )

    # Download from Hugging Face
    manager.download_and_load_model(
        source="huggingface", model_id="microsoft/resnet-50", name="resnet50_hf", config=config
    )

    # Use loaded models
    resnet18 = manager.get_model("resnet18")
    image = pictures(1)[0]
    result = resnet18.predict(image)
    assert result.shape == (7,)
    assert manager.get_model("resnet50_hf").predict(image)["class_name"].startswith("class ")

    # List all models
    models = manager.list_models()
    print(f"Available models: {models}")
    assert models == ["resnet18", "resnet50_hf"]

    # Cleanup
    manager.cleanup_all()
    assert manager.list_models() == []


def test_configuration_integration() -> None:
    config = InferenceConfig()
    config.device.device_type = "cuda"  # Device type
    config.device.device_index = 0  # GPU index
    config.device.use_fp16 = True  # Half precision
    config.device.use_torch_compile = True  # Enable compilation
    config.device.compile_mode = "reduce-overhead"  # Compile mode
    config.device.memory_fraction = 0.8  # GPU memory limit

    config.optimization.enable_optimization = True  # Enable optimizations
    config.optimization.enable_tensorrt = False  # TensorRT optimization
    config.optimization.enable_quantization = False  # Dynamic quantization
    config.optimization.optimization_level = "aggressive"  # Optimization level

    config.batch.batch_size = 16  # Default batch size
    config.batch.max_batch_size = 64  # Maximum batch size
    config.batch.dynamic_batching = True  # Enable dynamic batching
    config.batch.timeout_ms = 50  # Batch timeout

    config.performance.warmup_iterations = 5  # Warmup iterations
    config.performance.enable_profiling = False  # Performance profiling
    config.performance.log_memory_usage = True  # Memory usage logging
    assert config.model_dump()["batch"] == {
        "batch_size": 16,
        "max_batch_size": 64,
        "dynamic_batching": True,
        "timeout_ms": 50.0,
    }


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    torch.save(small_network(), tmp_path / "whole.pth")  # what the page loads
    model = MyImageModel(InferenceConfig(device={"device_type": "cpu"}))
    with pytest.raises(ValueError, match="would run code when it is read"):
        model.load_model(tmp_path / "whole.pth")
    with pytest.raises(ModelLoadError, match="may run code"):
        ModelManager().load_model(tmp_path / "whole.pth", InferenceConfig())

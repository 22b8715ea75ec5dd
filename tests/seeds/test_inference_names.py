"""The names of the page "BaseModel Module Documentation": classes, methods and their arguments, and fields."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from dynvision.inference import BaseModel, InferenceConfig, ModelManager, ModelMetadata


def test_metadata_has_the_fields_of_the_page() -> None:
    names = [
        "name",
        "version",
        "model_type",
        "input_shape",
        "output_shape",
        "description",
        "author",
        "license",
        "tags",
    ]
    assert [field.name for field in fields(ModelMetadata)] == names
    about = ModelMetadata("resnet", "1", "pytorch", (3, 224, 224), (1000,))
    assert about.description is about.author is about.license is None


METHODS = {
    BaseModel: {
        "load_model": ["model_path"],
        "preprocess": ["inputs"],
        "forward": ["inputs"],
        "postprocess": ["outputs"],
        "predict": ["inputs"],
        "predict_batch": ["inputs"],
        "predict_batch_optimized": ["inputs"],
        "predict_async": ["inputs"],
        "optimize_for_inference": [],
        "compile_model": [],
        "warmup": ["num_iterations"],
        "get_performance_stats": [],
        "reset_stats": [],
        "get_memory_usage": [],
        "save_optimized_state": ["path"],
        "load_optimized_state": ["path"],
        "cleanup": [],
        "get_model_for_inference": [],
        "_create_dummy_input": [],
        "_calculate_optimal_batch_size": ["sample_input"],
        "_get_inference_context": [],
        "_get_cached_tensor": ["shape", "dtype"],
        "_compute_input_hash": ["inputs"],
        "_compute_tensor_hash": ["tensor"],
        "_optimize_gpu_compute": [],
        "_optimize_cpu_threads": [],
        "_optimize_cuda_memory": [],
        "_apply_model_fusion": [],
        "_apply_quantization": [],
    },
    ModelManager: {
        "register_model": ["name", "model"],
        "get_model": ["name"],
        "list_models": [],
        "load_model": ["model_path", "config"],
        "download_and_load_model": ["source", "model_id", "name", "config"],
        "cleanup_all": [],
    },
}


@pytest.mark.parametrize("owner", METHODS)
def test_signatures(owner: type) -> None:
    for method, expected in METHODS[owner].items():
        named = [name for name in inspect.signature(getattr(owner, method)).parameters if name != "self"]
        assert named[: len(expected)] == expected, method


def test_what_must_be_implemented() -> None:
    assert BaseModel.__abstractmethods__ == {"load_model", "preprocess", "forward", "postprocess"}
    with pytest.raises(TypeError, match="abstract"):
        BaseModel(InferenceConfig())  # type: ignore[abstract]

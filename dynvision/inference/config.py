"""How a trained model is run: device, optimisation, batches, performance. Nothing here changes what it has learned.

Unlike the sections of a run, these can be changed in place (``config.device.use_fp16 = True``); each change is checked.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from dynvision.config.section import Section, key, sentences
from dynvision.errors import InputError, unknown_name


class OpenSection(Section):
    """A section whose values can be set, one at a time, each with all checks.

    Raises:
        InputError: an unknown key, a value that is not allowed, or a key that a model has read already; what was there
            before stays.
    """

    model_config = ConfigDict(frozen=False)
    where: ClassVar[str] = ""
    _fixed: set[str] = PrivateAttr(default_factory=set)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(sentences(type(self), error, self.where)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__private_attributes__:
            super().__setattr__(name, value)
            return
        allowed = type(self).model_fields
        if name not in allowed:
            raise unknown_name("key", name, allowed, key=f"{self.where}.{name}".lstrip("."))
        old, new = getattr(self, name), getattr(type(self)(**{**dict(self), name: value}), name)
        if name in self._fixed and new != old:
            raise _read_already(f"{self.where}.{name}", old, new)
        if isinstance(old, OpenSection):
            for key_ in old._fixed:
                if getattr(new, key_) != getattr(old, key_):
                    raise _read_already(f"{name}.{key_}", getattr(old, key_), getattr(new, key_))
            new._fixed |= old._fixed
        super().__setattr__(name, new)

    def __delattr__(self, name: str) -> None:
        raise InputError(f"{self.where}.{name}".lstrip(".") + " cannot be deleted; set another value")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and dict(self) == dict(other)  # type: ignore[call-overload]

    def __copy__(self) -> Self:
        return type(self)(**dict(self))

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return type(self)(**copy.deepcopy(dict(self), memo))

    def fix(self, *names: str) -> None:
        """Let keys not be changed any more, since a model has been made with them; a copy can be changed."""
        self._fixed |= set(names)


def _read_already(name: str, old: object, new: object) -> InputError:
    return InputError(
        f"{name}={new!r}, but a model has been made with {old!r}, where it is read once; make another InferenceConfig and "
        "another model"
    )


class DeviceConfig(OpenSection):
    """Where a model computes, and in which precision; type, index and ``use_fp16`` are read once, when it is made."""

    where: ClassVar[str] = "device"
    device_type: Literal["auto", "cpu", "cuda"] = key(
        "auto", "where to compute; auto is a GPU if there is one"
    )
    device_index: int = key(0, "which GPU, counted from 0", ge=0)
    use_fp16: bool = key(False, "half precision by autocast; needs a GPU")
    use_torch_compile: bool = key(False, "compile the model when it is optimised")
    compile_mode: Literal["default", "reduce-overhead", "max-autotune"] = key(
        "reduce-overhead", "mode of torch.compile"
    )
    memory_fraction: float = key(1.0, "part of the GPU's memory that this process may take", gt=0, le=1)


class OptimizationConfig(OpenSection):
    """What `optimize_for_inference` does."""

    where: ClassVar[str] = "optimization"
    enable_optimization: bool = key(
        True, "false leaves the model as it was loaded, in evaluation mode on its device"
    )
    enable_tensorrt: bool = key(False, "not offered; must be false")
    enable_quantization: bool = key(False, "8-bit weights of linear layers, on a CPU")
    optimization_level: Literal["exact", "balanced", "aggressive"] = key(
        "exact",
        "exact changes no result; balanced may change the last bits (channels last, fused batch normalisation); aggressive "
        "also lets a GPU round to TF32 and choose its algorithms by their speed",
    )

    @field_validator("enable_tensorrt")
    @classmethod
    def _no_tensorrt(cls, value: bool) -> bool:
        if value:
            raise InputError(
                "optimization.enable_tensorrt=True, but TensorRT is not offered; set it to False and use "
                "device.use_torch_compile"
            )
        return value


class BatchConfig(OpenSection):
    """How many inputs are answered at once."""

    where: ClassVar[str] = "batch"
    batch_size: int = key(16, "inputs per batch", ge=1)
    max_batch_size: int = key(64, "most inputs per batch, if dynamic", ge=1)
    dynamic_batching: bool = key(
        False, "as many inputs at once as there is memory for, up to max_batch_size; false takes batch_size"
    )
    timeout_ms: float = key(
        0.0,
        "time that an asynchronous input waits for others to share its batch; 0 does not wait",
        "ms",
        ge=0,
    )

    @model_validator(mode="after")
    def _sizes_go_together(self) -> Self:
        if self.batch_size > self.max_batch_size:
            raise InputError(
                f"batch.batch_size={self.batch_size} is more than batch.max_batch_size={self.max_batch_size}; set "
                "max_batch_size first"
            )
        return self


class PerformanceConfig(OpenSection):
    """Warm-up, caches and what is measured of speed."""

    where: ClassVar[str] = "performance"
    warmup_iterations: int = key(1, "forward passes of a warm-up", ge=0)
    enable_profiling: bool = key(
        False, "profile each prediction: the ten slowest operations are in the statistics"
    )
    log_memory_usage: bool = key(False, "log the memory in use after each prediction")
    cache_entries: int = key(0, "inputs and outputs whose processing is kept, the latest; 0 keeps none", ge=0)
    cpu_threads: int = key(
        0, "threads of torch, set when a model is optimised; 0 leaves them as they are", ge=0
    )


class InferenceConfig(OpenSection):
    """Everything about how a model is run."""

    device: DeviceConfig = Field(default_factory=DeviceConfig, description="where, and in which precision")
    optimization: OptimizationConfig = Field(
        default_factory=OptimizationConfig, description="what optimisation does"
    )
    batch: BatchConfig = Field(default_factory=BatchConfig, description="how many inputs at once")
    performance: PerformanceConfig = Field(
        default_factory=PerformanceConfig, description="warm-up, caches, statistics"
    )

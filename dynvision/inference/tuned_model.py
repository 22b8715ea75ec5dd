"""A network on its device: optimisation, compilation, warm-up, use of memory, and saving of its optimised state."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import dynvision
from dynvision.errors import InputError
from dynvision.files import write_text
from dynvision.inference import optimization
from dynvision.inference.cache import ContentCache
from dynvision.inference.config import InferenceConfig
from dynvision.inference.devices import Statistics, memory_usage, target_device
from dynvision.inference.optimization import CompiledNetwork
from dynvision.inference.prediction import ModelInferenceError, ModelMetadata
from dynvision.models.weights import load_weights, read_weights, save_weights

logger = logging.getLogger(__name__)
WEIGHTS, ABOUT = "model.safetensors", "optimized.json"  # what `save_optimized_state` writes


class OwnLock:
    """A lock of the process that made it, which a thread may take several times.

    A process that is forked gets it as it is held then, without the thread that would release it, and without the threads
    of torch; there it is refused.
    """

    def __init__(self) -> None:
        self._lock, self._process = threading.RLock(), os.getpid()

    def check_process(self) -> None:
        """Refuse to compute in a process that was forked.

        Raises:
            ModelInferenceError: the model was made in another process.
        """
        if os.getpid() != self._process:
            raise ModelInferenceError(
                f"this model was made in process {self._process}, from which this one was forked; load another one here"
            )

    def __enter__(self) -> None:
        self.check_process()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class TunedModel(ABC):
    """The half of `InferenceModel` that knows no inputs: the network, its device, and its optimisation.

    Args:
        config: where and how to run.

    Attributes:
        device: where the network is.
        model: the network; None until it is loaded.
        metadata: what is recorded of it; None where nothing is.
        optimizations: what `optimize_for_inference` has done, in words.

    Raises:
        InputError: the device or the precision is not possible here.
    """

    def __init__(self, config: InferenceConfig) -> None:
        if not isinstance(config, InferenceConfig):
            raise InputError(f"config must be an InferenceConfig, not a {type(config).__name__}")
        self._config = config
        self.device = target_device(config.device)
        config.device.fix("device_type", "device_index", "use_fp16")
        self.optimizations: dict[str, str] = {}
        self.metadata: ModelMetadata | None = None
        self._is_loaded = False
        self._compiled: CompiledNetwork | None = None
        self._statistics = Statistics()
        self._preprocessed = ContentCache(lambda: config.performance.cache_entries)
        self._postprocessed = ContentCache(lambda: config.performance.cache_entries)
        self._model: Any = None
        self._fused: list[optimization.Pair] = []
        self._checked = False
        self._lock = OwnLock()
        self._tensors: weakref.WeakValueDictionary[Any, Tensor] = weakref.WeakValueDictionary()

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of preprocessed inputs."""

    @property
    def config(self) -> InferenceConfig:
        """Where and how the model runs. Its keys can be set, this one cannot."""
        return self._config

    @config.setter
    def config(self, value: Any) -> None:
        raise InputError("the configuration of a model is not replaced; set its keys, or make another model")

    @property
    def model(self) -> Any:
        """The network; None until it is loaded. A new network drops everything that was made from the old one."""
        return self._model

    @model.setter
    def model(self, network: Any) -> None:
        with self._lock:
            self._replace_network(network)
            self.optimizations, self._fused = {}, []

    def _replace_network(self, network: Any) -> None:
        """Take another network, or another form of it: nothing that was compiled or cached outlives the old one."""
        self._model, self._compiled, self._checked = network, None, False
        self._clear_caches()

    @property
    def is_loaded(self) -> bool:
        """Whether there is a network to ask."""
        return self._is_loaded

    @is_loaded.setter
    def is_loaded(self, value: bool) -> None:
        self._is_loaded = bool(value)

    @property
    def model_info(self) -> dict[str, Any]:
        """What the model is, where it runs, what was done to it and what it takes."""
        memory = self.get_memory_usage()
        about = self.metadata
        return {
            "loaded": self.is_loaded,
            "device": str(self.device),
            "config": self.config,
            "metadata": {
                "model_type": about.model_type if about else "pytorch",
                "input_shape": about.input_shape if about else None,
                "output_shape": about.output_shape if about else None,
                "num_parameters": memory["total_params"],
            },
            "memory_usage": memory,
            "total_parameters": memory["total_params"],
            "trainable_parameters": memory["trainable_params"],
            "compiled": self._compiled is not None and not self._compiled.failure,
            "compile_failure": self._compiled.failure if self._compiled else "",
            "optimizations": dict(self.optimizations),
            "caches": {"inputs": self._preprocessed.counts(), "outputs": self._postprocessed.counts()},
        }

    def get_model_for_inference(self) -> Any:
        """Return the compiled network if there is one, otherwise the network.

        Raises:
            ModelInferenceError: nothing is loaded.
        """
        return self._compiled or self._network()

    def get_memory_usage(self) -> dict[str, float]:
        """Return memory in MB and numbers of parameters; the values of a GPU are 0 on a CPU."""
        network = self.model if isinstance(self.model, nn.Module) else None
        return memory_usage(network, self.device)

    # --- faster -----------------------------------------------------------------------------------------------------

    def optimize_for_inference(self) -> None:
        """Do everything that the configuration asks for; what was done is in ``model_info["optimizations"]``.

        Raises:
            InputError: something that is asked for is not possible here.
        """
        with self._lock:
            self._optimize(self._network().eval().to(self.device))

    def _optimize(self, network: nn.Module) -> None:
        self._clear_caches()
        if not self.config.optimization.enable_optimization:
            return
        if self.config.optimization.optimization_level != "exact":
            if optimization.order_channels_last(network):
                self.optimizations["memory_format"] = "channels last"
            self._apply_model_fusion()
        self._optimize_gpu_compute()
        self._optimize_cpu_threads()
        self._optimize_cuda_memory()
        if self.config.optimization.enable_quantization:
            self._apply_quantization()
        if self.config.device.use_torch_compile:
            self.compile_model()

    def compile_model(self) -> None:
        """Compile with ``torch.compile``, at the first call. A failure warns once; ``model_info`` has its cause."""
        with self._lock:
            self._compiled = CompiledNetwork(self._network(), self.config.device.compile_mode)

    def warmup(self, num_iterations: int | None = None) -> None:
        """Answer made-up inputs, so that what happens once has happened; the statistics do not count it.

        A network that does not take the made-up input is not warm, and a warning states this.

        Args:
            num_iterations: how often; by default ``performance.warmup_iterations``.
        """
        n = self.config.performance.warmup_iterations if num_iterations is None else num_iterations
        if type(n) is not int or n < 0:
            raise InputError(f"num_iterations={n!r} must be a whole number from 0")
        with self._lock, self._get_inference_context():
            self._network()
            inputs = self._create_dummy_input()
            try:
                for _ in range(n):
                    self.forward(inputs)
            except (RuntimeError, ValueError, AssertionError) as error:  # torch's message about a shape
                logger.warning("no warm-up: the network does not take %s: %s", tuple(inputs.shape), error)

    def _optimize_gpu_compute(self) -> None:
        if self.device.type == "cuda" and self.config.optimization.optimization_level == "aggressive":
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
            self.optimizations["gpu_compute"] = "TF32; cuDNN chooses by speed"

    def _optimize_cpu_threads(self) -> None:
        if threads := self.config.performance.cpu_threads:  # of the whole process
            torch.set_num_threads(threads)
            self.optimizations["cpu_threads"] = f"{threads} threads"

    def _optimize_cuda_memory(self) -> None:
        part = self.config.device.memory_fraction
        if self.device.type == "cuda" and part < 1:
            torch.cuda.set_per_process_memory_fraction(part, self.device)
            self.optimizations["cuda_memory"] = f"at most {part:g} of the memory"

    def _apply_model_fusion(self) -> None:
        example = self._create_dummy_input()
        example = torch.randn(example.shape, generator=torch.Generator().manual_seed(0)).to(example)
        pairs, reason = optimization.fuse_batch_norm(self._network().eval(), example)
        if pairs:
            self._replace_network(self._model)
            self._fused += pairs
            self.optimizations["fusion"] = f"{len(self._fused)} batch normalisations fused"
        elif reason and not self._fused:
            self.optimizations["fusion"] = reason

    def _apply_quantization(self) -> None:
        if self.device.type != "cpu":
            raise InputError("optimization.enable_quantization=True needs device.device_type=cpu")
        if "quantization" not in self.optimizations:
            self._replace_network(optimization.quantize_linear(self._network()))
            self.optimizations["quantization"] = "8-bit weights of linear layers"

    # --- state on disk ----------------------------------------------------------------------------------------------

    def save_optimized_state(self, path: str | Path) -> None:
        """Write weights (safetensors), configuration and what was done to a folder, whole or not at all each.

        Raises:
            InputError: the network is quantised, whose weights are more than tensors.
        """
        self._refuse_quantized()
        about = {
            "dynvision": dynvision.__version__,
            "optimizations": dict(self.optimizations),
            "config": self.config.model_dump(mode="json"),
        }
        header = {"model": self._identity(), "fused": json.dumps(self._fused)}
        save_weights(self._network(), Path(path) / WEIGHTS, header)
        write_text(Path(path) / ABOUT, json.dumps(about, indent=2) + "\n")

    def load_optimized_state(self, path: str | Path) -> bool:
        """Take over what `save_optimized_state` wrote of such a model, into the network that is loaded.

        Returns:
            Whether they were loaded; if not, a warning states why and the model is as it was.

        Raises:
            InputError: the network is quantised.
        """
        self._refuse_quantized()
        with self._lock:
            try:
                network, fused = self._saved_network(Path(path) / WEIGHTS)
            except (InputError, ModelInferenceError) as error:
                logger.warning("no optimised state is loaded: %s", error)
                return False
            self._replace_network(network.eval().to(self.device))
            self._fused = fused
            if fused:
                self.optimizations["fusion"] = f"{len(fused)} batch normalisations fused"
            self.is_loaded = True
            self.optimize_for_inference()
        return True

    def _saved_network(self, path: Path) -> tuple[Any, list[optimization.Pair]]:
        """Return a copy of the network with weights that `save_optimized_state` wrote, and what is fused in it."""
        tensors, header = read_weights(path)
        if header.get("model") != self._identity():
            raise InputError(
                f"weights {path} are of {header.get('model', 'a model without a name')}, not of {self._identity()}"
            )
        try:
            fused = [(first, second) for first, second in json.loads(header["fused"])]
            made = copy.deepcopy(self._network()).eval()
            optimization.fuse_pairs(made, [pair for pair in fused if pair not in self._fused])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"the header of weights {path} is damaged or of another model: {error}"
            ) from None
        load_weights(made, tensors, path)
        optimization.check_weights(made)
        return made, fused

    def _identity(self) -> str:
        """Return whose weights these are: the training of a run, or the class of another model."""
        return self.metadata.name if self.metadata else type(self).__qualname__

    def _refuse_quantized(self) -> None:
        if "quantization" in self.optimizations:
            raise InputError(
                "the weights of a quantised model are more than tensors, and neither saved nor loaded; set "
                "optimization.enable_quantization=False before the model is optimised"
            )

    # --- what must hold ---------------------------------------------------------------------------------------------

    def _check_weights(self) -> None:
        """Look through a network once before its first answer.

        Raises:
            ModelInferenceError: a parameter is not finite, or a buffer not-a-number.
        """
        if not self._checked and isinstance(self._model, nn.Module):
            optimization.check_weights(self._model)
        self._checked = True

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise InputError(
            "a model that answers is neither pickled nor copied; load it again where it is needed"
        )

    # --- for subclasses ---------------------------------------------------------------------------------------------

    def _network(self) -> Any:
        if self.model is None:
            raise ModelInferenceError("no model is loaded; call load_model first")
        return self.model

    def _create_dummy_input(self) -> Tensor:
        """Return zeros in the shape that the network's first layer takes."""
        network = self._network()
        return self._get_cached_tensor(optimization.dummy_shape(network), optimization.floating_type(network))

    @contextlib.contextmanager
    def _get_inference_context(self) -> Iterator[None]:
        """Compute without gradients; in half precision on a GPU where ``device.use_fp16`` asks for it."""
        use_fp16 = self.config.device.use_fp16
        half = torch.amp.autocast(self.device.type, torch.float16) if use_fp16 else contextlib.nullcontext()
        with torch.inference_mode(), half:
            yield

    def _get_cached_tensor(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return zeros on the model's device, the same tensor as long as it is referenced; not to be written to."""
        key = (shape, dtype, self.device)
        tensor = self._tensors.get(key)
        if tensor is None:
            tensor = self._tensors[key] = torch.zeros(shape, dtype=dtype, device=self.device)
        return tensor

    def _clear_caches(self) -> None:
        self._preprocessed.clear()
        self._postprocessed.clear()

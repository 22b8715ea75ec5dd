"""The base of models that answer: preprocessing, forward pass, postprocessing; one input, several, or asynchronously.

    answer = postprocess(forward(preprocess(input)))

A subclass loads a network and says what the three do; everything else is here. Not to be confused with
``dynvision.base.BaseModel``, the trainable network.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.inference.asynchronous import AsynchronousAnswers
from dynvision.inference.batching import by_shape, complexity, optimal_batch_size
from dynvision.inference.config import InferenceConfig
from dynvision.inference.errors import ModelInferenceError
from dynvision.inference.hashing import input_hash, tensor_hash
from dynvision.inference.memory import MB
from dynvision.inference.profile import profiled
from dynvision.inference.tuned_model import TunedModel

logger = logging.getLogger(__name__)


class BaseModel(TunedModel):
    """A model that answers. Threads may share it: one prediction is computed at a time.

    Args:
        config: where and how to run.
    """

    def __init__(self, config: InferenceConfig) -> None:
        super().__init__(config)
        self._asynchronous: AsynchronousAnswers | None = None
        self._asynchronous_lock = threading.Lock()  # never held for long, since an event loop waits for it
        self._profile: dict[str, float] = {}

    # --- what a subclass says ---------------------------------------------------------------------------------------

    @abstractmethod
    def load_model(self, model_path: str | Path) -> None:
        """Set ``self.model`` from a file and ``self._is_loaded`` to True.

        Raises:
            ModelLoadError: it cannot be loaded.
        """

    @abstractmethod
    def preprocess(self, inputs: Any) -> Tensor:
        """One input as the network takes it, on the device, with a first axis for the batch; always the same."""

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs of a batch, with a row for each of its rows; call ``self.get_model_for_inference()``."""

    @abstractmethod
    def postprocess(self, outputs: Tensor) -> Any:
        """The answer that the outputs of one input mean."""

    # --- answers ----------------------------------------------------------------------------------------------------

    def predict(self, inputs: Any) -> Any:
        """The answer to one input.

        Raises:
            ModelInferenceError: nothing is loaded, or the forward pass fails.
        """
        with self._prediction("predict"):
            return self._answer(self._run(self._prepare(inputs)))

    def predict_batch(self, inputs: Sequence[Any]) -> list[Any]:
        """The answers to several inputs, in their order, computed in batches.

        Inputs that differ in shape do not share a batch. Each answer is that of `predict`, but for the last bits where a
        library adds up in another order for another size of batch.

        Raises:
            InputError: an input cannot be used; its number, counted from 0, is in the message.
            ModelInferenceError: as in `predict`.
        """
        if isinstance(inputs, (str, bytes)):
            raise InputError(f"predict_batch takes a list of inputs, not the single input {inputs!r}")
        inputs = list(inputs)
        if not inputs:
            return []
        answers: list[Any] = [None] * len(inputs)
        with self._prediction("predict_batch"):
            size = self._batch_size(inputs[0])
            for first in range(0, len(inputs), size):
                prepared = [
                    self._prepare(each, number)
                    for number, each in enumerate(inputs[first : first + size], start=first)
                ]
                for group in by_shape(prepared):
                    outputs = self._run_together([prepared[position] for position in group])
                    for position, output in zip(group, outputs, strict=True):
                        answers[first + position] = self._answer(output)
        return answers

    def predict_batch_optimized(self, inputs: Sequence[Any]) -> list[Any]:
        """As `predict_batch`, with inputs of similar size side by side; the answers are in the order of the inputs."""
        inputs = list(inputs)
        order = sorted(range(len(inputs)), key=lambda position: complexity(inputs[position]))
        answers: list[Any] = [None] * len(inputs)
        for position, answer in zip(order, self.predict_batch([inputs[k] for k in order]), strict=True):
            answers[position] = answer
        return answers

    async def predict_async(self, inputs: Any) -> Any:
        """As `predict`, in a thread; with ``batch.dynamic_batching``, what comes within ``timeout_ms`` shares a batch."""
        batch = self.config.batch
        most = batch.max_batch_size if batch.dynamic_batching else 1
        with self._asynchronous_lock:
            if self._asynchronous is None:
                self._asynchronous = AsynchronousAnswers(self.predict, self.predict_batch)
            answer = self._asynchronous.ask(inputs, most, batch.timeout_ms / 1000)
        return await asyncio.wrap_future(answer)

    # --- what is told -----------------------------------------------------------------------------------------------

    def get_performance_stats(self) -> dict[str, Any]:
        """Times in s (and memory in MB, on a GPU): count, mean, min, max and p95 of each; and ``error_counts``."""
        profile = {"profile_ms": dict(self._profile)} if self._profile else {}
        return {**self._statistics.summary(), **profile}

    def reset_stats(self) -> None:
        """Forget all times and errors."""
        self._statistics.reset()
        self._profile = {}

    def cleanup(self) -> None:
        """Answer what is queued, end the thread, and give back what is cached. The model stays loaded and can be asked."""
        with self._asynchronous_lock:
            asynchronous, self._asynchronous = self._asynchronous, None
        if asynchronous is not None:
            asynchronous.close()
        self._clear_caches()
        if self.device.type == "cuda" and not torch.cuda.is_current_stream_capturing():
            torch.cuda.empty_cache()

    # --- the steps --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _prediction(self, name: str) -> Iterator[None]:
        """One prediction at a time, timed, with its errors counted."""
        with self._lock, self._statistics.errors_counted():
            if not self.is_loaded:
                raise ModelInferenceError("no model is loaded; call load_model first")
            if isinstance(self.model, nn.Module) and self.model.training:
                self.model.eval()  # in training mode an answer would depend on what shares its batch
            with self._statistics.timed(f"{name}_time"):
                yield
            if self.device.type == "cuda":
                self._statistics.add(f"{name}_memory", torch.cuda.memory_allocated(self.device) / MB)
            if self.config.performance.log_memory_usage:
                used = self.get_memory_usage()
                logger.info(
                    "%s: %.1f MB, on the GPU %.1f MB", name, used["cpu_memory_mb"], used["gpu_allocated_mb"]
                )

    def _prepare(self, inputs: Any, number: int | None = None) -> Tensor:
        """One input preprocessed, now or before; with the number that it has in a batch."""
        try:
            with self._statistics.timed("preprocess_time"):
                return self._preprocessed.get_or_make(
                    lambda: self._compute_input_hash(inputs), lambda: self.preprocess(inputs)
                )
        except InputError as error:
            if number is None:
                raise
            raise type(error)(f"input {number}: {error}") from None

    def _run(self, prepared: Tensor) -> Tensor:
        """Outputs of a batch."""
        try:
            with self._statistics.timed("forward_time"), self._get_inference_context():
                if self.config.performance.enable_profiling:
                    outputs, self._profile = profiled(lambda: self.forward(prepared), self.device)
                else:
                    outputs = self.forward(prepared)
                if self.device.type == "cuda":
                    torch.cuda.synchronize(self.device)
        except ModelInferenceError:
            raise
        except RuntimeError as error:
            shape = tuple(prepared.shape)
            raise ModelInferenceError(
                f"the forward pass of inputs of shape {shape} failed: {error}"
            ) from error
        if not isinstance(outputs, Tensor) or not outputs.dim() or len(outputs) != len(prepared):
            told = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ModelInferenceError(f"forward must return a tensor with {len(prepared)} rows, not {told}")
        return outputs

    def _run_together(self, prepared: list[Tensor]) -> Sequence[Tensor]:
        """Outputs of each of several inputs; of halves of them where a GPU's memory does not suffice."""
        try:
            return self._run(torch.cat(prepared)).split([len(each) for each in prepared])
        except ModelInferenceError as error:
            too_large = isinstance(error.__cause__, torch.OutOfMemoryError)
            if not (too_large and len(prepared) > 1 and self.config.batch.dynamic_batching):
                raise
        half = len(prepared) // 2  # out of the except block, which would hold on to the tensors of the pass
        torch.cuda.empty_cache()
        logger.warning("no memory for %d inputs at once; going on with %d", len(prepared), half)
        return [*self._run_together(prepared[:half]), *self._run_together(prepared[half:])]

    def _answer(self, outputs: Tensor) -> Any:
        """The answer that outputs mean, made now or before."""
        with self._statistics.timed("postprocess_time"):
            return self._postprocessed.get_or_make(
                lambda: self._compute_tensor_hash(outputs), lambda: self.postprocess(outputs)
            )

    def _batch_size(self, sample: Any) -> int:
        dynamic = self.config.batch.dynamic_batching
        return self._calculate_optimal_batch_size(sample) if dynamic else self.config.batch.batch_size

    def _calculate_optimal_batch_size(self, sample_input: Any) -> int:
        """As many such inputs as 30 % of the GPU's memory holds with room to spare; on a CPU ``batch.batch_size``."""
        batch = self.config.batch
        if self.device.type == "cpu":
            return batch.batch_size
        memory = torch.cuda.get_device_properties(self.device).total_memory
        return optimal_batch_size(self._prepare(sample_input, 0).nbytes, memory, batch.max_batch_size)

    def _compute_input_hash(self, inputs: Any) -> str:
        """Hash of an input's content; empty, so that nothing is kept, for an object of a kind that is not known."""
        return input_hash(inputs)

    def _compute_tensor_hash(self, tensor: Tensor) -> str:
        """Hash of a tensor's type, shape and values."""
        return tensor_hash(tensor)

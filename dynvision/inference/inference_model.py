"""The base of models that answer: preprocessing, forward pass, postprocessing; one input, several, or asynchronously.

    answer = postprocess(forward(preprocess(input)))

A subclass loads a network and states what the three do; everything else is here. ``dynvision.inference.BaseModel`` is the
same class by the name of the page that it follows; ``dynvision.base.BaseModel`` is the trainable network.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import reprlib
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.errors import InputError, message_of
from dynvision.inference.batching import AsynchronousAnswers, by_shape, complexity, optimal_batch_size
from dynvision.inference.cache import input_hash
from dynvision.inference.config import InferenceConfig
from dynvision.inference.devices import MB, profiled
from dynvision.inference.prediction import ModelInferenceError
from dynvision.inference.tuned_model import TunedModel

logger = logging.getLogger(__name__)
ANSWER_ERRORS = (InputError, ModelInferenceError)


class InferenceModel(TunedModel):
    """A model that answers. Threads may share it: one prediction is computed at a time.

    Args:
        config: where and how to run.
    """

    def __init__(self, config: InferenceConfig) -> None:
        super().__init__(config)
        self._asynchronous: AsynchronousAnswers | None = None
        self._asynchronous_lock = threading.Lock()  # never held for long, since an event loop waits for it
        self._profile: dict[str, float] = {}
        self._frame = frozenset(vars(self)) | {"_frame"}

    # --- what a subclass states ---------------------------------------------------------------------------------------

    @abstractmethod
    def load_model(self, model_path: str | Path) -> None:
        """Set ``self.model`` from a file and ``self._is_loaded`` to True.

        Raises:
            ModelLoadError: it cannot be loaded.
        """

    @abstractmethod
    def preprocess(self, inputs: Any) -> Tensor:
        """Return one input as the network takes it, on the device, with a first axis for the batch; always the same."""

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of a batch, with a row for each of its rows; call ``self.get_model_for_inference()``."""

    @abstractmethod
    def postprocess(self, outputs: Tensor) -> Any:
        """Return the answer of the outputs of one input."""

    def cache_settings(self) -> Any:
        """Return what else `preprocess` and `postprocess` depend on at present; it is part of every key of the caches.

        By default all attributes that a subclass has set. Where one of them is of a kind that cannot be hashed, nothing is
        kept; a subclass that knows better returns less.
        """
        return {name: value for name, value in vars(self).items() if name not in self._frame}

    # --- answers ----------------------------------------------------------------------------------------------------

    def predict(self, inputs: Any) -> Any:
        """Return the answer to one input.

        Raises:
            InputError: the input cannot be used.
            ModelInferenceError: nothing is loaded, or the forward pass fails or gives not-a-number.
        """
        with self._prediction("predict"):
            with self._preprocessing():
                prepared = self._prepare(inputs)
            outputs = self._run([prepared])
            with self._statistics.timed("postprocess_time"):
                return self._answer(outputs)

    def predict_batch(self, inputs: Sequence[Any], keep_going: bool = True) -> list[Any]:
        """Return the answers to several inputs, in their order, computed in batches.

        Inputs that differ in shape do not share a batch. Each answer is that of `predict`, but for the last bits where a
        library adds up in another order for another size of batch.

        Args:
            inputs: a list of inputs, or an array of them.
            keep_going: what happens where an input cannot be answered: its answer is the error, an `InputError` or a
                `ModelInferenceError` with the number of the input, counted from 0, and a warning is logged; False raises
                the first such error, when all others have been answered.

        Raises:
            InputError: the inputs are no list; or, without `keep_going`, one of them cannot be used.
            ModelInferenceError: as in `predict`.
        """
        listed = self._listed(inputs)
        return self._numbered(self._answer_all(listed, range(len(listed))), keep_going)

    def predict_batch_optimized(self, inputs: Sequence[Any], keep_going: bool = True) -> list[Any]:
        """Answer as `predict_batch`, with inputs of similar size side by side; answers are in the order of the inputs."""
        listed = self._listed(inputs)
        order = sorted(range(len(listed)), key=lambda number: complexity(listed[number]))
        return self._numbered(self._answer_all(listed, order), keep_going)

    async def predict_async(self, inputs: Any) -> Any:
        """Answer as `predict`, in a thread; with ``batch.dynamic_batching``, inputs within ``timeout_ms`` share a batch."""
        return await asyncio.wrap_future(self.submit(inputs))

    def submit(self, inputs: Any) -> Future[Any]:
        """Return a future of the answer: `predict_async` for a program without an event loop."""
        self._lock.check_process()
        batch = self.config.batch
        most = batch.max_batch_size if batch.dynamic_batching else 1
        with self._asynchronous_lock:
            if self._asynchronous is None:
                self._asynchronous = AsynchronousAnswers(
                    self.predict, lambda several: self._answer_all(several, range(len(several)))
                )
            return self._asynchronous.ask(inputs, most, batch.timeout_ms / 1000)

    # --- statistics and end -----------------------------------------------------------------------------------------------

    def get_performance_stats(self) -> dict[str, Any]:
        """Return count, mean, min, max and p95 of each time in s (and memory in MB, on a GPU), and ``error_counts``."""
        profile = {"profile_ms": dict(self._profile)} if self._profile else {}
        return {**self._statistics.summary(), **profile}

    def reset_stats(self) -> None:
        """Remove all times and errors from the statistics."""
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

    def _listed(self, inputs: Any) -> list[Any]:
        """Return several inputs as a list.

        Raises:
            InputError: they are a single one.
        """
        if isinstance(inputs, (str, bytes, bytearray, Mapping)) or hasattr(inputs, "read"):
            raise InputError(
                f"predict_batch takes a list of inputs, not the single input {reprlib.repr(inputs)}"
            )
        try:
            return list(inputs)
        except TypeError:
            raise InputError(
                f"predict_batch takes a list of inputs, not a single {type(inputs).__name__}"
            ) from None

    def _numbered(self, answers: list[Any], keep_going: bool) -> list[Any]:
        """Put the number of its input into each error; raise the first one if that is asked for."""
        for number, answer in enumerate(answers):
            if isinstance(answer, ANSWER_ERRORS):
                answers[number] = type(answer)(f"input {number}: {answer}")
                if not keep_going:
                    raise answers[number]
                logger.warning("not answered: %s", answers[number])
        return answers

    def _answer_all(self, inputs: Sequence[Any], order: Sequence[int]) -> list[Any]:
        """Return the answers to several inputs by number, computed in an order; without an answer, its error."""
        answers: list[Any] = [None] * len(inputs)
        if not inputs:
            return answers
        with self._prediction("predict_batch"):
            size = self._batch_size(inputs[order[0]])
            for first in range(0, len(order), size):
                prepared: dict[int, Tensor] = {}
                with self._preprocessing():
                    for number in order[first : first + size]:
                        made = self._or_error(self._prepare, inputs[number])
                        (answers if isinstance(made, ANSWER_ERRORS) else prepared)[number] = made
                for group in by_shape(prepared):
                    outputs = self._run_together([prepared[number] for number in group])
                    with self._statistics.timed("postprocess_time"):
                        for number, output in zip(group, outputs, strict=True):
                            answers[number] = (
                                output
                                if isinstance(output, ANSWER_ERRORS)
                                else self._or_error(self._answer, output)
                            )
        return answers

    def _or_error(self, step: Callable[[Any], Any], given: Any) -> Any:
        """Return a step's result or its error, counted and without the frames that would keep its tensors alive."""
        try:
            return step(given)
        except ANSWER_ERRORS as error:
            self._statistics.count_error(error)
            return type(error)(str(error))

    @contextlib.contextmanager
    def _prediction(self, name: str) -> Iterator[None]:
        """Allow one prediction at a time; time it and count its errors."""
        with self._lock, self._statistics.errors_counted():
            if not self.is_loaded:
                raise ModelInferenceError("no model is loaded; call load_model first")
            if isinstance(self.model, nn.Module) and self.model.training:
                self.model.eval()  # in training mode an answer would depend on the other inputs of its batch
            self._check_weights()
            with self._statistics.timed(f"{name}_time"):
                yield
            if self.device.type == "cuda":
                self._statistics.add(f"{name}_memory", torch.cuda.memory_allocated(self.device) / MB)
            if self.config.performance.log_memory_usage:
                used = self.get_memory_usage()
                logger.info(
                    "%s: %.1f MB, on the GPU %.1f MB", name, used["cpu_memory_mb"], used["gpu_allocated_mb"]
                )

    @contextlib.contextmanager
    def _preprocessing(self) -> Iterator[None]:
        """Time what is preprocessed, and record no gradients of it, which makes it a fifth faster."""
        with self._statistics.timed("preprocess_time"), torch.inference_mode():
            yield

    def _prepare(self, inputs: Any) -> Tensor:
        """Return one preprocessed input, from the cache if it is there."""
        try:
            prepared = self._preprocessed.get_or_make(
                lambda: self._compute_input_hash(inputs), lambda: self.preprocess(inputs)
            )
        except ANSWER_ERRORS:
            raise
        except Exception as error:
            raise InputError(
                f"an input of type {type(inputs).__name__} cannot be preprocessed: {message_of(error)}"
            ) from error
        if not isinstance(prepared, Tensor) or not prepared.dim():
            raise ModelInferenceError(
                f"preprocess must return a tensor with a first axis for the batch, not {_shape_of(prepared)}"
            )
        return prepared

    def _run(self, prepared: Sequence[Tensor]) -> Tensor:
        """Return the outputs of a batch.

        Raises:
            ModelInferenceError: the forward pass fails, or gives something else than a row of numbers for each row.
        """
        shape = (sum(len(each) for each in prepared), *prepared[0].shape[1:])
        try:
            with self._statistics.timed("forward_time"), self._get_inference_context():
                batch = torch.cat(list(prepared)) if len(prepared) > 1 else prepared[0]
                if self.config.performance.enable_profiling:
                    outputs, self._profile = profiled(lambda: self.forward(batch), self.device)
                else:
                    outputs = self.forward(batch)
                if self.device.type == "cuda":
                    torch.cuda.synchronize(self.device)
        except ModelInferenceError:
            raise
        except Exception as error:
            raise ModelInferenceError(
                f"the forward pass of inputs of shape {shape} failed: {message_of(error)}"
            ) from error
        if not isinstance(outputs, Tensor) or not outputs.dim() or len(outputs) != shape[0]:
            raise ModelInferenceError(
                f"forward must return a tensor with {shape[0]} rows, not {_shape_of(outputs)}"
            )
        if bool(outputs.isnan().any()):
            raise ModelInferenceError(
                f"the outputs of inputs of shape {shape} are not-a-number; look for NaN or Inf in the inputs, or for a "
                "training that diverged"
            )
        return outputs

    def _run_together(self, prepared: list[Tensor]) -> list[Tensor | Exception]:
        """Return the output or the error of each of several inputs; where they fail together, halves of them are tried."""
        try:
            return list(self._run(prepared).split([len(each) for each in prepared]))
        except ModelInferenceError as error:
            too_large = isinstance(error.__cause__, torch.OutOfMemoryError)
            if len(prepared) == 1:
                self._statistics.count_error(error)
                return [ModelInferenceError(str(error))]
        half = len(prepared) // 2  # out of the except block, which would hold on to the tensors of the pass
        if too_large:
            torch.cuda.empty_cache()
            logger.warning("no memory for %d inputs at once; continuing with %d", len(prepared), half)
        return [*self._run_together(prepared[:half]), *self._run_together(prepared[half:])]

    def _answer(self, outputs: Tensor) -> Any:
        """Return the answer of outputs, from the cache if it is there."""
        try:
            return self._postprocessed.get_or_make(
                lambda: self._compute_tensor_hash(outputs), lambda: self.postprocess(outputs)
            )
        except ANSWER_ERRORS:
            raise
        except Exception as error:
            raise ModelInferenceError(
                f"outputs of shape {tuple(outputs.shape)} cannot be postprocessed: {message_of(error)}"
            ) from error

    def _batch_size(self, sample: Any) -> int:
        if self.config.batch.dynamic_batching:
            with contextlib.suppress(*ANSWER_ERRORS):  # its answer will be the error
                return self._calculate_optimal_batch_size(sample)
        return self.config.batch.batch_size

    def _calculate_optimal_batch_size(self, sample_input: Any) -> int:
        """Return how many such inputs 30 % of the GPU's memory holds with a margin; on a CPU ``batch.batch_size``."""
        batch = self.config.batch
        if self.device.type == "cpu":
            return batch.batch_size
        memory = torch.cuda.get_device_properties(self.device).total_memory
        return optimal_batch_size(self._prepare(sample_input).nbytes, memory, batch.max_batch_size)

    def _compute_input_hash(self, inputs: Any) -> str:
        """Hash of an input's content and of what its processing depends on; empty, so that nothing is kept, where
        something in them is of a kind that is not known."""
        return input_hash((inputs, self.cache_settings(), self.config.model_dump()))

    def _compute_tensor_hash(self, tensor: Tensor) -> str:
        """Hash of a tensor's device, type, shape and values, and of what its processing depends on."""
        return self._compute_input_hash(tensor)


def _shape_of(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__

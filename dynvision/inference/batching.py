"""Which inputs share a batch, how many, and asynchronous answers.

Asynchronous answers are computed by one thread, in the order of their inputs; inputs that arrive close together share a
batch. One thread, since two are no faster: torch uses all cores for each operation.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

MEMORY_PART = 0.3  # of a GPU's memory, for the activity of a batch
SAFETY = 4  # how many times the memory of its input a sample may take in each layer
ACTIVITY_FACTOR = 16  # maps of activity for each map of the input, a rough figure for convolutional networks


def optimal_batch_size(sample_bytes: int, memory_bytes: int, largest: int) -> int:
    """Return how many samples a part of a memory holds.

    Args:
        sample_bytes: of one preprocessed input.
        memory_bytes: of the GPU.
        largest: most that are allowed.
    """
    each = max(sample_bytes, 1) * ACTIVITY_FACTOR * SAFETY
    return max(1, min(largest, int(memory_bytes * MEMORY_PART / each)))


def by_shape(tensors: Mapping[int, Tensor]) -> list[list[int]]:
    """Group the numbers of tensors that can share a batch: of equal type and shape after the first axis, in order."""
    groups: dict[tuple[torch.dtype, tuple[int, ...]], list[int]] = {}
    for number, tensor in tensors.items():
        groups.setdefault((tensor.dtype, tuple(tensor.shape[1:])), []).append(number)
    return list(groups.values())


def complexity(inputs: Any) -> int:
    """Return the amount of data in an input: its elements, pixels, characters or bytes; 0 where that is not known."""
    if isinstance(inputs, Tensor):
        return inputs.numel()
    if isinstance(inputs, np.ndarray):
        return inputs.size
    if isinstance(inputs, Image.Image):
        return math.prod(inputs.size)
    if isinstance(inputs, (str, Path)):
        try:
            return Path(inputs).stat().st_size
        except (OSError, ValueError):  # a text, or a file that preprocessing will find missing
            return len(str(inputs))
    return len(inputs) if isinstance(inputs, (bytes, Sequence)) else 0


class AsynchronousAnswers:
    """A queue of inputs and the thread that answers them; the thread begins with the first input.

    Args:
        answer: answers one input.
        answer_all: answers several at once; where one cannot be answered, with its error.
    """

    def __init__(
        self, answer: Callable[[Any], Any], answer_all: Callable[[Sequence[Any]], list[Any]]
    ) -> None:
        self._answer, self._answer_all = answer, answer_all
        self._waiting: queue.SimpleQueue[tuple[Any, Future[Any]]] = queue.SimpleQueue()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")

    def ask(self, inputs: Any, most: int, wait_s: float) -> Future[Any]:
        """Queue an input.

        Args:
            inputs: the input.
            most: inputs that may share its batch.
            wait_s: how long it waits for others.
        """
        answered: Future[Any] = Future()
        self._waiting.put((inputs, answered))
        self._executor.submit(self._serve, most, wait_s)
        return answered

    def close(self) -> None:
        """Answer what is queued, then end the thread."""
        self._executor.shutdown(wait=True)

    def _serve(self, most: int, wait_s: float) -> None:
        """Answer the next inputs, if no earlier call has included them in its batch."""
        batch = self._collect(most, wait_s)
        asked = [(inputs, future) for inputs, future in batch if future.set_running_or_notify_cancel()]
        for (_, future), answer in zip(asked, self._answers([i for i, _ in asked]), strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _answers(self, inputs: Sequence[Any]) -> list[Any]:
        """Return the answers, or the error that each input's future receives."""
        try:
            return self._answer_all(inputs) if len(inputs) > 1 else [self._answer(each) for each in inputs]
        except Exception as error:
            return [error] * len(inputs)

    def _collect(self, most: int, wait_s: float) -> list[tuple[Any, Future[Any]]]:
        batch: list[tuple[Any, Future[Any]]] = []
        end = time.monotonic() + wait_s
        try:
            batch.append(self._waiting.get_nowait())
            while len(batch) < most:
                batch.append(self._waiting.get(timeout=max(0.0, end - time.monotonic()) or 1e-6))
        except queue.Empty:
            pass
        return batch

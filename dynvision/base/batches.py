"""Checks of a batch for training: images with labels, and enough of them for batch normalisation.

Axes: B images, T frames, C channels, H height, W width.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sized
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dynvision.base.optimization import Epoch
from dynvision.errors import InputError
from dynvision.losses import Checks

ONE_VALUE = "Expected more than 1 value per channel when training"  # how torch's batch normalisation refuses


def check_pair(batch: Any) -> tuple[Tensor, Tensor]:
    """Images and labels of a batch.

    Raises:
        InputError: it is no pair of tensors.
    """
    if not (
        isinstance(batch, (tuple, list)) and len(batch) == 2 and all(isinstance(x, Tensor) for x in batch)
    ):
        kinds = [type(part).__name__ for part in batch] if isinstance(batch, (tuple, list)) else []
        given = f"a {type(batch).__name__}" + (f" of {', '.join(kinds) or 'nothing'}" if kinds else "")
        raise InputError(
            f"a batch is {given}; give pairs of two tensors, (images, labels), in the data loader"
        )
    return batch[0], batch[1]


def without_labels(batch: Any) -> tuple[Tensor, Tensor]:
    """Images of a batch, which are it or the first of it, and labels of no meaning.

    Raises:
        InputError: there are no images.
    """
    x = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    if not isinstance(x, Tensor):
        raise InputError(
            f"a batch to predict is a {type(batch).__name__}; give images, or tuples that begin with images"
        )
    return x, torch.zeros(len(x), dtype=torch.int64, device=x.device)


def class_indices(x: Tensor, labels: Tensor, n_frames: int) -> Tensor:
    """Labels as int64, after a check of their type and shape.

    Args:
        x: images (B, C, H, W) or videos (B, T, C, H, W).
        labels: class indices of any integer type, (B,) or (B, T).
        n_frames: T.

    Raises:
        InputError: they are no whole numbers, or of another shape.
    """
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        kind = str(labels.dtype).removeprefix("torch.")
        raise InputError(f"labels are {kind}; give class indices, whole numbers from 0 on (int64)")
    if tuple(labels.shape) not in ((len(x),), (len(x), n_frames)):
        raise InputError(
            f"labels of shape {tuple(labels.shape)} for {len(x)} images shown for {n_frames} frames; give class indices of "
            f"shape ({len(x)},), or of every frame, ({len(x)}, {n_frames})"
        )
    return labels.long()


def check_range(labels: Tensor, n_classes: int, ignore_index: int, checks: Checks) -> None:
    """Require that labels are classes that the model has.

    Args:
        labels: class indices of any shape.
        n_classes: K.
        ignore_index: label of steps that do not count.
        checks: receives what is required: that each is one of 0..K-1 or the label of steps that do not count, and that
            not all are that one.
    """

    def none_counts() -> InputError:
        return InputError(
            f"all labels of a batch are {ignore_index}, which does not count, so there is nothing to learn from; "
            "leave such images out, or make larger batches"
        )

    def one_is_wrong() -> InputError:
        return InputError(
            f"label {int(labels[wrong][0])} is none of the model's {n_classes} classes (0 to {n_classes - 1}, or "
            f"{ignore_index} where it does not count); number the classes from 0 on, or build the model with more n_classes"
        )

    counts = labels != ignore_index
    wrong = counts & ((labels < 0) | (labels >= n_classes))
    checks.require(counts.any(), none_counts)
    checks.require(~wrong.any(), one_is_wrong)


def only_known(labels: Tensor, n_classes: int, ignore_index: int) -> Tensor:
    """Labels of which those that are no class do not count: what is computed of them until they have been checked."""
    return labels.where((labels >= 0) & (labels < n_classes), ignore_index)


class LastBatch(NamedTuple):
    """The last batch of an epoch, of one process.

    Attributes:
        n_images: images of the epoch.
        batch_size: images of every batch but the last.
        n_last: images of the last.
    """

    n_images: int
    batch_size: int
    n_last: int


def last_batch(trainer: Any, epoch: Epoch | None) -> LastBatch | None:
    """The last batch of an epoch, or None where it is not known.

    Args:
        trainer: Lightning's, with its data.
        epoch: what is known of the epoch already.
    """
    loader = trainer.train_dataloader
    # Both torch's loader and those of dynvision.data have these; the latter share images out among processes themselves.
    sampler, batch_size = getattr(loader, "sampler", None), getattr(loader, "batch_size", None)
    if epoch is not None:
        n_images, batch_size = epoch.n_images, epoch.batch_size
    elif isinstance(sampler, Sized) and batch_size is not None:
        try:
            n_images = len(sampler)
        except TypeError:  # of a dataset that is a stream
            return None
        if not isinstance(loader, torch.utils.data.DataLoader):
            n_images = -(-n_images // trainer.world_size)
    else:
        return None
    n_before = (int(trainer.num_training_batches) - 1) * batch_size
    return LastBatch(n_images, batch_size, min(batch_size, n_images - n_before))


@torch.no_grad()
def check_batch_of_one(model: Any, last: LastBatch | None) -> None:
    """Try a batch of one image before training, where one will come; the model stays as it is.

    Raises:
        InputError: a batch normalisation would have one value per channel to take statistics of.
    """
    normalises = any(isinstance(module, _BatchNorm) and module.training for module in model.modules())
    if last is None or last.n_last != 1 or not normalises:
        return
    with unchanged(model), explained_normalisation(last):
        model(model.null_input(1))


@contextlib.contextmanager
def explained_normalisation(last: LastBatch | None = None) -> Iterator[None]:
    """State in one sentence that batch normalisation cannot train on a batch of one image.

    Args:
        last: the last batch of an epoch, where it is known to be the one.
    """
    try:
        yield
    except ValueError as error:
        if ONE_VALUE not in str(error):
            raise
        raise InputError(_why_not(last)) from None


def _why_not(last: LastBatch | None) -> str:
    reason = "of which batch normalisation cannot take statistics"
    if last is None or last.n_last > 1:
        return f"a training batch has one image, {reason}; raise batch_size, or leave the last batch out (drop_last)"
    if last.batch_size == 1:
        return f"training batches have one image, {reason}; raise batch_size above 1"
    if last.n_images == 1:
        return f"there is one training image, {reason}; give more images"
    sizes = (last.batch_size + k for k in range(1, last.batch_size + last.n_images))
    other = next(size for size in sizes if last.n_images % size != 1)
    return (
        f"{last.n_images} training images in batches of {last.batch_size} leave a last batch of one image, {reason}; "
        f"change batch_size, e.g. to {other}"
    )


@contextlib.contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Keep buffers, random numbers and stored responses as they are."""
    devices = {tensor.device for tensor in model.parameters() if tensor.is_cuda}
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    stored = getattr(model, "store_responses", None)
    if stored is not None:
        model.store_responses = 0  # type: ignore[assignment]
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            for buffer, before in buffers:
                buffer.copy_(before)
            if stored is not None:
                model.store_responses = stored

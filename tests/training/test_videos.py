"""Videos in a training step: the pattern and the reaction time are of the presentation, whatever is presented."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from dynvision.base import BaseModel
from dynvision.errors import InputError

T, NULL = 8, -5.0
VIDEO = torch.arange(1.0, T + 1).view(1, T, 1, 1, 1)  # frame t is t + 1 everywhere
PATTERN = {"data_presentation_pattern": "1011"}  # two steps a symbol


class Shown(BaseModel):
    """Passes its input on: the first output of every step is the frame that was shown, the second is 0."""

    def _define_architecture(self) -> None:
        self.layer_names = ["conv"]
        self.conv = torch.nn.Conv2d(1, 2, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([1.0, 0.0]).view(2, 1, 1, 1))


def model(**arguments: Any) -> Shown:
    return Shown(input_dims=(3, 1, 1, 1), n_classes=2, non_input_value=NULL, **arguments)


def respond(labels: torch.Tensor, x: torch.Tensor = VIDEO, **arguments: Any) -> tuple[list[float], list[int]]:
    outputs = model(**arguments).respond((x, labels), shuffle=False)
    return outputs.logits[0, :, 0].tolist(), outputs.labels[0].tolist()


def test_by_default_a_video_is_left_alone() -> None:
    """It lasts as long as it has frames, whatever n_timesteps of the model is."""
    shown, scored = respond(torch.tensor([1]))
    assert shown == [1, 2, 3, 4, 5, 6, 7, 8] and scored == [1] * T


def test_the_pattern_is_stretched_over_the_frames() -> None:
    shown, scored = respond(torch.tensor([1]), **PATTERN)
    assert shown == [1, 2, NULL, NULL, 5, 6, 7, 8]
    assert scored == [1, 1, -1, -1, 1, 1, 1, 1]


def test_the_reaction_time_follows_each_onset() -> None:
    _, scored = respond(torch.tensor([1]), **PATTERN, loss_reaction_time=2.0)
    assert scored == [-1, 1, -1, -1, -1, 1, 1, 1]


def test_labels_of_frames_are_masked_alike() -> None:
    of_frames = torch.tensor([[0, 0, 0, 1, 1, 1, -1, 1]])
    assert respond(of_frames)[1] == [0, 0, 0, 1, 1, 1, -1, 1]
    assert respond(of_frames, **PATTERN, loss_reaction_time=2.0)[1] == [-1, 0, -1, -1, -1, 1, -1, 1]


def test_a_delay_shifts_the_labels_with_the_outputs() -> None:
    shown, scored = respond(torch.tensor([1]), t_feedforward=4.0, **PATTERN)
    assert shown == [0, 0, 1, 2, NULL, NULL, 5, 6, 7, 8]
    assert scored == [-1, -1, 1, 1, -1, -1, 1, 1, 1, 1]


def test_one_frame_is_an_image() -> None:
    shown, scored = respond(torch.tensor([1]), VIDEO[:, :1])
    assert shown == [1, 1, 1] and scored == [1, 1, 1]


def test_a_training_step_learns_from_the_scored_frames_alone() -> None:
    """By hand: outputs (frame, 0), label 1: the loss of a frame f is log(1 + e^f)."""
    batch = VIDEO, torch.tensor([1])
    trained = model(**PATTERN, loss_reaction_time=2.0)
    loss = trained.loss(trained.respond(batch, shuffle=True))
    expected = torch.nn.functional.softplus(torch.tensor([2.0, 6, 7, 8])).mean()
    torch.testing.assert_close(loss, expected)


def test_videos_train_validate_and_are_predicted() -> None:
    videos = torch.randn(6, T, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    data = DataLoader(TensorDataset(videos, torch.tensor([0, 1] * 3)), batch_size=2)
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = pl.Trainer(accelerator="cpu", max_epochs=1, **quiet)
    trained = model(**PATTERN, loss_reaction_time=2.0)
    trainer.fit(trained, data, data)
    assert trainer.global_step == 3 and "val_accuracy" in trainer.callback_metrics
    predicted = torch.cat(trainer.predict(trained, data))
    assert predicted.shape == (6, T, 2)
    null = predicted[:, 2:4, 0]
    assert torch.equal(null, null[:1, :1].expand_as(null)), "the null input, where the pattern is 0"


def test_labels_of_another_number_of_frames_are_one_sentence() -> None:
    with pytest.raises(InputError, match=r"labels of shape \(1, 3\) for 1 images shown for 8 frames"):
        respond(torch.tensor([[0, 1, 1]]))

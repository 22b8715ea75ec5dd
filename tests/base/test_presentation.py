"""What is shown and what is scored, worked out by hand, and the losses on it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dynvision.base import BaseModel
from dynvision.config.model import TemporalArgs
from dynvision.config.section import validate
from dynvision.errors import InputError
from dynvision.losses import CrossEntropyLoss, Outputs
from dynvision.trials import IMAGE, Segment, Trial, presentation_trial
from dynvision.trials.presentation import scored_steps, stretch_pattern


def steps(text):
    return [symbol == "1" for symbol in text]


@pytest.mark.parametrize(
    ("pattern", "n", "shown"),
    [
        ("1", 4, "1111"),
        ("1011", 8, "11001111"),
        ("1011", 10, "1110011111"),  # symbols begin at steps 0, 3 (2.5), 5, 8 (7.5)
        ("10", 5, "11100"),
        ("10110", 3, "101"),  # longer than the presentation: symbols 0, 1 (1.67), 3 (3.33)
    ],
)
def test_pattern_is_stretched_by_nearest_index(pattern, n, shown):
    assert stretch_pattern(pattern, n) == steps(shown)


@given(st.text("01", min_size=1, max_size=12), st.integers(1, 30))
def test_the_longest_stimulus_is_counted_as_it_is_shown(pattern, n):
    """Equal to the longest stretch of the steps themselves, for any pattern, longer than the presentation or shorter."""
    shown = "".join("1" if on else "0" for on in stretch_pattern(pattern, n))
    expected = max(len(stretch) for stretch in shown.split("0"))
    unchecked = TemporalArgs.model_construct(data_presentation_pattern=pattern, n_timesteps=n)
    assert unchecked._longest_stimulus_steps() == expected


def test_a_presentation_longer_than_memory_is_checked_at_once():
    args = validate(TemporalArgs, {"n_timesteps": 10**15, "data_presentation_pattern": "0110"}, "")
    assert args._longest_stimulus_steps() == 5 * 10**14


def test_shuffling_permutes_symbols_not_steps():
    seen = {tuple(stretch_pattern("1011", 8, torch.Generator().manual_seed(seed))) for seed in range(40)}
    assert seen == {tuple(steps(text)) for text in ("00111111", "11001111", "11110011", "11111100")}


@pytest.mark.parametrize(
    ("shown", "reaction", "scored"),
    [
        ("11111", 0, "11111"),
        ("11111", 2, "00111"),
        ("1110111", 1, "0110011"),  # each onset counts anew
        ("0011011", 2, "0000000"),
        ("01111", 1, "00111"),
    ],
)
def test_labels_wait_for_the_reaction_time(shown, reaction, scored):
    assert scored_steps(steps(shown), reaction) == steps(scored)


def test_labels_of_a_trial():
    """Pattern 1011 over 8 steps, reaction time of one step, R = 3: written out step by step."""
    trial = presentation_trial("1011", 8, 2.0, reaction_steps=1, residual_steps=3)
    labels = trial.labels(torch.tensor([4, 7]), -1)
    assert labels.tolist() == [
        [-1, -1, -1, -1, 4, -1, -1, -1, 4, 4, 4],
        [-1, -1, -1, -1, 7, -1, -1, -1, 7, 7, 7],
    ]
    segments = [Segment(1, IMAGE, scored=counts) for counts in steps("101")]
    trial = Trial((*segments, Segment(1, phase="residual")))
    of_frames = trial.labels(torch.tensor([[1, 2, 3]]), -9)
    assert of_frames.tolist() == [[-9, 1, -9, 3]]


class Shown(BaseModel):
    """Passes its input on; every output step is the mean of the frame shown t_feedforward before."""

    def _define_architecture(self):
        self.layer_names = ["conv"]
        self.conv = torch.nn.Conv2d(1, 1, 1, bias=False)
        torch.nn.init.ones_(self.conv.weight)


@pytest.mark.parametrize("reaction_time", [0.0, 4.0])
def test_a_model_shows_and_scores_what_its_arguments_say(reaction_time):
    model = Shown(
        input_dims=(8, 1, 1, 1),
        n_classes=1,
        t_feedforward=6.0,
        data_presentation_pattern="1011",
        loss_reaction_time=reaction_time,
        non_input_value=-5.0,
        non_label_index=-2,
    )
    outputs = model.respond((torch.full((2, 1, 1, 1), 3.0), torch.tensor([0, 1])), shuffle=False)
    shown = [3.0, 3, -5, -5, 3, 3, 3, 3]
    assert outputs.logits[0, :, 0].tolist() == [0, 0, 0, *shown]
    masked = [-2] * 3 + {0.0: [1, 1, -2, -2, 1, 1, 1, 1], 4.0: [-2, -2, -2, -2, -2, -2, 1, 1]}[reaction_time]
    assert outputs.labels[1].tolist() == masked
    assert outputs.ignore_index == -2


def test_shuffled_presentation_follows_the_seed_and_only_trains():
    arguments = {
        "input_dims": (8, 1, 1, 1),
        "n_classes": 1,
        "data_presentation_pattern": "1011",
        "shuffle_presentation_pattern": True,
    }
    batch = (torch.ones(1, 1, 1, 1), torch.tensor([0]))
    orders = {tuple(Shown(seed=seed, **arguments).presentation(batch, shuffle=True).on) for seed in range(20)}
    assert len(orders) == 4
    again = [Shown(seed=3, **arguments).presentation(batch, shuffle=True).on for _ in range(2)]
    assert again[0] == again[1]
    assert Shown(seed=3, **arguments).presentation(batch, shuffle=False).on == steps("11001111")


# --- losses ----------------------------------------------------------------------------------------------------------


def test_cross_entropy_with_nothing_to_score_names_the_keys():
    outputs = Outputs(torch.zeros(1, 2, 3), torch.full((1, 2), -1), -1)
    with pytest.raises(InputError, match="loss_reaction_time.*data_presentation_pattern"):
        CrossEntropyLoss()(outputs)


def test_losses_are_weighted_and_unknown_ones_named():
    model = Shown(
        input_dims=(2, 1, 1, 1),
        n_classes=1,
        criterion_params=[("CrossEntropyLoss", {"weight": 2.0}), ("ActivityLoss", {"weight": 3.0})],
    )
    batch = (torch.full((1, 1, 1, 1), -4.0), torch.tensor([0]))
    assert model.loss(model.respond(batch, shuffle=False)).item() == pytest.approx(2 * 0 + 3 * 4)
    with pytest.raises(InputError, match="did you mean 'ActivityLoss'"):
        Shown(criterion_params=[("ActivtyLoss", {})])
    with pytest.raises(InputError, match="no term has a weight above 0"):
        Shown(criterion_params=[("ActivityLoss", {"weight": 0.0})])

"""Every loss by hand, and none that is zero because nobody looked."""

from __future__ import annotations

import math
import typing

import pytest
import torch
from torch.nn.functional import log_softmax, one_hot

from dynvision.base.observers import QUANTITIES
from dynvision.config.optimization import LOSSES, MonitoringTerm, Quantity
from dynvision.config.training import TrainingConfig, loss_arguments
from dynvision.errors import InputError
from dynvision.losses import (
    ActivityLoss,
    CrossEntropyLoss,
    EnergyLoss,
    Outputs,
    TemporalConsistencyLoss,
    find_loss,
)
from dynvision.losses.cross_entropy import TIME_WEIGHTINGS
from tests.base.small import Small, build
from tests.textbook_loop import textbook_loop

# --- names -----------------------------------------------------------------------------------------------------------


def test_the_configuration_knows_the_losses_and_their_arguments():
    for name, schema in LOSSES.items():
        assert schema().name == name
        loss = find_loss(name)(
            **{k: v for k, v in loss_arguments(schema(), TrainingConfig()).items() if k != "weight"}
        )
        for argument in set(schema.model_fields) - {"name", "weight"}:
            assert getattr(loss, argument) == getattr(schema(), argument)
    assert typing.get_args(Quantity) == QUANTITIES
    assert typing.get_args(TrainingConfig.model_fields["loss_time_weighting"].annotation) == TIME_WEIGHTINGS


# --- cross-entropy ---------------------------------------------------------------------------------------------------

LABELS = torch.tensor([[-1, 2, 2, -1, 2], [0, -1, 0, -1, 0]])  # steps that count: 1, 2, 4 and 0, 2, 4
WEIGHTS = {  # of the first, second and third step that counts, the same for both images
    "uniform": (1, 1, 1),
    "last": (0, 0, 1),
    "linear": (1, 2, 3),
    "discounted": (1, 0.5, 0.25),
}


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighting", TIME_WEIGHTINGS)
def test_cross_entropy_by_hand(weighting, smoothing):
    logits = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    loss = CrossEntropyLoss(label_smoothing=smoothing, time_weighting=weighting, discount=0.5)
    total = weights = 0.0
    for image, steps in enumerate([(1, 2, 4), (0, 2, 4)]):
        for step, weight in zip(steps, WEIGHTS[weighting], strict=True):
            target = (1 - smoothing) * one_hot(LABELS[image, step], 4) + smoothing / 4
            total -= weight * float((target * log_softmax(logits[image, step], dim=0)).sum())
            weights += weight
    assert loss(Outputs(logits, LABELS, -1)).item() == pytest.approx(total / weights, rel=1e-6)


def test_images_that_are_not_scored_at_all_do_not_count():
    logits = torch.randn(2, 5, 4)
    labels = torch.stack([LABELS[0], torch.full((5,), -1)])
    for weighting in TIME_WEIGHTINGS:
        loss = CrossEntropyLoss(time_weighting=weighting)
        alone = loss(Outputs(logits[:1], labels[:1], -1))
        torch.testing.assert_close(loss(Outputs(logits, labels, -1)), alone)


def test_cross_entropy_is_exact_in_half_precision():
    """The outputs are half precision, the loss is not: 1,000 equal terms have their own mean."""
    logits = torch.tensor([2.0, 0.0]).bfloat16().expand(10, 100, 2)
    loss = CrossEntropyLoss()(Outputs(logits, torch.ones(10, 100, dtype=torch.int64), -1))
    assert loss.item() == pytest.approx(2 + math.log(1 + math.exp(-2.0)), rel=1e-5)


# --- what layers do --------------------------------------------------------------------------------------------------

COSTS = {
    ("ActivityLoss", False): lambda a: a.abs().mean(),
    ("ActivityLoss", True): lambda a: a.flatten(1).mean(dim=1).abs().mean(),
    ("EnergyLoss", False): lambda a: a.square().mean(),
    ("TemporalConsistencyLoss", False): lambda a: a.square().mean(),
}


SUMMED = [("ActivityLoss", False), ("TemporalConsistencyLoss", False)]  # over steps, and over pairs of them
WAYS = [
    *((*cost, None, 0) for cost in COSTS),
    *((*cost, block_steps, segments) for cost in SUMMED for block_steps, segments in ((2, 0), (None, 3))),
]


@pytest.mark.parametrize(("name", "signed", "block_steps", "segments"), WAYS)
@pytest.mark.parametrize("monitor", QUANTITIES)
def test_a_model_is_charged_for_what_the_textbook_loop_does(name, signed, monitor, block_steps, segments):
    """Value and gradient, from the loop's own list of what each layer did at each step."""
    arguments = {"weight": 0.5, "monitor": monitor} | ({"signed": True} if signed else {})
    model = build(
        Small,
        n_timesteps=6,
        t_feedforward=2.0,
        t_recurrence=4.0,
        t_idle=4.0,
        block_steps=block_steps,
        checkpoint_segments=segments,
    )
    trained = _training(model, name, arguments)
    x = torch.randn(2, 2, 10, 10, dtype=torch.float64)
    loss = trained.loss(trained.respond((x, torch.tensor([0, 1])), shuffle=False))
    seen = {}
    _, activity = textbook_loop(model, x.unsqueeze(1).expand(-1, 6, -1, -1, -1), seen=seen)
    seen |= {("state", layer, t): r for layer, steps in activity.items() for t, r in enumerate(steps)}
    heard = {
        where[1:]: a for where, a in seen.items() if where[0] == monitor and where[2] >= 0 and a is not None
    }
    n_steps = 6 + model.n_residual_timesteps
    layers = {layer for layer, _ in heard}
    assert layers == set(model.layer_names) and n_steps == 10
    if name == "TemporalConsistencyLoss":
        heard = {
            (layer, t): a - heard[layer, t - 1] for (layer, t), a in heard.items() if (layer, t - 1) in heard
        }
    expected = 0.5 * sum(COSTS[name, signed](a) for a in heard.values()) / (len(layers) * n_steps)
    assert loss.item() > 0
    torch.testing.assert_close(loss, expected)
    for weight in (model.V1.conv.weight, model.V2.recurrence.weight):
        ours, theirs = (
            torch.autograd.grad(value, weight, retain_graph=True)[0] for value in (loss, expected)
        )
        torch.testing.assert_close(ours, theirs)
        assert theirs.abs().sum() > 0


def _training(model, name, arguments):
    """The model with a loss of its own."""
    from dynvision.base.scores import weighted_losses

    model.losses = weighted_losses([(name, arguments)])
    return model


def test_signed_activity_is_zero_where_excitation_and_inhibition_balance():
    balanced = torch.tensor([2.0, -2.0, 1.0, -1.0]).expand(3, 2, 4)
    assert ActivityLoss(signed=True).cost(balanced).abs().max() == 0
    assert (ActivityLoss().cost(balanced) == 1.5).all()
    assert (EnergyLoss().cost(balanced) == 2.5).all()


def test_named_layers_alone_are_charged():
    small = build(Small, n_timesteps=3)
    x = torch.randn(1, 2, 10, 10, dtype=torch.float64)
    batch = (x, torch.tensor([0]))
    charged = {
        layers: _training(small, "ActivityLoss", {"layers": layers}).loss(small.respond(batch, shuffle=False))
        for layers in [("V1",), ("IT",), ("V1", "IT"), ()]
    }
    torch.testing.assert_close(charged["V1", "IT"], (charged[("V1",)] + charged[("IT",)]) / 2)
    assert len({value.item() for value in charged.values()}) == 4


@pytest.mark.parametrize("of_half", [torch.bfloat16, torch.float16])
def test_costs_of_half_precision_are_summed_in_full(of_half):
    """65 units of activity 1 and one of 1/256 have a mean that half precision does not have."""
    from dynvision.base.frames import Frames
    from dynvision.base.observers import CostObserver

    a = torch.ones(1, 66, 1, 1)
    a[0, 0] = 1 / 256
    told = CostObserver(ActivityLoss(), ("V1",))
    told("V1", Frames(0, 3, a.to(of_half), constant=True))
    assert told.costs["V1"].item() == pytest.approx(3 * (65 + 1 / 256) / 66, rel=1e-6)


# --- none is silently zero -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "network", "said"),
    [
        (
            {"monitor": "recurrent"},
            {"recurrence_type": "none"},
            "'recurrent', which no layer of this model has",
        ),
        (
            {"monitor": "recurrent"},
            {"feedforward_only": True},
            "'recurrent', which no layer of this model has",
        ),
        ({"monitor": "recurrent"}, {"t_recurrence": 8.0}, "no layer of this model has in a trial of 3 steps"),
        ({"layers": ["V3"]}, {}, "unknown layer 'V3' (key training.loss); did you mean"),
    ],
)
def test_a_quantity_that_is_not_there_is_an_error(arguments, network, said):
    model = _training(build(Small, n_timesteps=3, **network), "ActivityLoss", arguments)
    batch = (torch.zeros(1, 2, 10, 10, dtype=torch.float64), torch.tensor([0]))
    with pytest.raises(InputError) as error:
        model.loss(model.respond(batch, shuffle=False))
    assert said in str(error.value)


def test_a_named_layer_without_the_quantity_is_an_error():
    loss = ActivityLoss("recurrent", ["V1", "V2"])
    outputs = Outputs(torch.zeros(1, 3, 2), torch.zeros(1, 3), -1, {loss: {"V1": torch.ones(1)}})
    with pytest.raises(InputError, match="which layer V2 does not have"):
        loss(outputs)


@pytest.mark.parametrize(
    "name", [name for name, schema in LOSSES.items() if issubclass(schema, MonitoringTerm)]
)
def test_every_monitoring_loss_complains_of_nothing_to_monitor(name):
    with pytest.raises(InputError, match=f"{name} monitors 'state', which no layer of this model has"):
        find_loss(name)(monitor="state")(Outputs(torch.zeros(1, 3, 2), torch.zeros(1, 3), -1))


# --- consistency of the outputs --------------------------------------------------------------------------------------


def test_consistency_of_outputs_by_hand():
    """Two classes: p = (1/2, 1/2), (e, 1) / (e + 1), the same, and one that does not count."""
    logits = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [5.0, 4.0], [9.0, 0.0], [0.0, 0.0]]])
    labels = torch.tensor([[0, 0, 0, -1, 0]])
    change = math.e / (math.e + 1) - 0.5
    loss = TemporalConsistencyLoss()(Outputs(logits, labels, -1))
    assert loss.item() == pytest.approx((change**2 + 0) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([[0]], "raise n_timesteps"),
        ([[0, -1, 0]], "lower loss_reaction_time or change data_presentation_pattern"),
    ],
)
def test_nothing_to_compare_is_an_error(labels, said):
    labels = torch.tensor(labels)
    with pytest.raises(InputError, match=said):
        TemporalConsistencyLoss()(Outputs(torch.zeros(*labels.shape, 2), labels, -1))


def test_outputs_have_no_layers():
    with pytest.raises(InputError, match="looks at no layers"):
        TemporalConsistencyLoss(layers=["V1"])

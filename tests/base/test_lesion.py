"""A lesion scales what one connection conveys, within a window; a gain of 0 throughout is the network without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dynvision.base import CoreModel
from dynvision.config.models import MODELS, connections
from dynvision.config.run import resolve_model_args
from dynvision.errors import InputError
from dynvision.model_components import RecurrentConnectedConv2d
from dynvision.models import create
from tests.base.networks import randomize
from tests.base.registered import assert_refused
from tests.base.small import FULL, Small, SmallTwoStage, build, compare

WINDOWS = [
    {"lesion_gain": 0.3},
    {"lesion_gain": 0.0, "t_lesion_start": 4.0, "t_lesion_end": 10.0},
    {"lesion_gain": 0.7, "t_lesion_end": 8.0},
    {"lesion_gain": 0.0, "t_lesion_start": -2.0},
    {"lesion_gain": 0.0},
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("name", ["V1->V2", "V2->V2", "V1->V4", "IT->V2"])
def test_outputs_and_gradients_are_those_of_the_textbook_loop(name: str, window: dict[str, Any]) -> None:
    model = build(Small, **FULL, lesion=name, t_idle=6.0, n_timesteps=8, **window)
    video = torch.randn(2, 8, 2, 10, 10, dtype=torch.float64)
    for block in (None, 3):
        model.block_steps = block
        compare(model, video, video)


@pytest.mark.parametrize("target", ["output", "middle", "input"])
@pytest.mark.parametrize("merge", ["additive", "multiplicative"])
def test_a_recurrence_is_lesioned_at_each_target(target: str, merge: str) -> None:
    model = build(
        SmallTwoStage, recurrence_target=target, recurrence_merge=merge, lesion="V2->V2", lesion_gain=0.4,
        t_lesion_start=4.0, t_lesion_end=10.0,
    )  # fmt: skip
    image = torch.randn(2, 2, 10, 10, dtype=torch.float64)
    compare(model, image, image.unsqueeze(1).expand(-1, 7, -1, -1, -1))


@pytest.mark.parametrize("name", ["V2->V2", "V1->V4", "IT->V2", "V1->V2"])
def test_a_lesion_throughout_is_the_network_without_the_connection(name: str) -> None:
    lesioned = build(Small, seed=3, **FULL, lesion=name, t_idle=4.0)
    without = build(Small, seed=3, **FULL, t_idle=4.0)
    with torch.no_grad():
        if name == "V1->V2":
            without.V2.conv.weight.zero_()
        elif name == "V2->V2":
            without.V2.recurrence = None
        else:
            delattr(without, "addskip_V4" if name == "V1->V4" else "addfeedback_V2")
    x = torch.randn(3, 2, 10, 10, dtype=torch.float64)
    assert torch.equal(lesioned(x), without(x))
    assert not torch.equal(lesioned(x), build(Small, seed=3, **FULL, t_idle=4.0)(x))


def test_a_gain_of_one_changes_nothing() -> None:
    x = torch.randn(2, 2, 10, 10, dtype=torch.float64)
    intact, other = build(Small, **FULL)(x), build(Small, **FULL, lesion="IT->V2", lesion_gain=1.0)(x)
    torch.testing.assert_close(intact, other, rtol=1e-12, atol=1e-12)


class Relay(CoreModel):
    """Two layers of one unit without memory; the second answers a pulse of the first one after 4 ms."""

    def _define_architecture(self) -> None:
        self.layer_names, self.layer_operations = ["A", "B"], ["layer", "record", "delay"]
        for layer in self.layer_names:
            conv = RecurrentConnectedConv2d(1, 1, 1, bias=False, recurrence_type="none")
            nn.init.ones_(conv.conv.weight)
            self.add_module(layer, conv)
        self.classifier = nn.Linear(1, 1)


def test_the_window_is_in_ms_from_stimulus_onset() -> None:
    arguments = {
        "input_dims": (10, 1, 1, 1),
        "n_classes": 1,
        "dt": 2.0,
        "t_idle": 6.0,
        "t_feedforward": {"A": 4.0},
    }
    model = Relay(**arguments, lesion="A->B", lesion_gain=0.25, t_lesion_start=6.0, t_lesion_end=12.0)
    heard: dict[int, float] = {}

    def observe(layer: str, frames: Any) -> None:
        if layer == "B":
            heard.update({frames.first + k: float(step.detach()) for k, step in enumerate(frames.steps())})

    model(torch.ones(1, 1, 1, 1), observer=observe)
    # A is 1 from step 0 on, and B hears it from step 2 on; steps 3, 4 and 5 are [6, 12) ms.
    assert [heard[step] for step in range(9)] == [0, 0, 1, 0.25, 0.25, 0.25, 1, 1, 1]
    model.onset_steps = 1  # a baseline of one step
    model(torch.ones(1, 1, 1, 1), observer=observe)
    assert [heard[step] for step in range(9)] == [0, 0, 1, 1, 0.25, 0.25, 0.25, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"lesion": "V3->V4"}, r"unknown connection 'V3->V4' \(key .*lesion\)"),
        ({"lesion": "V4->V1"}, r"unknown connection 'V4->V1'.*allowed: .*V1->V1, V1->V2, V1->V4"),
        ({"lesion": "V1->V1", "recurrence_type": "none"}, "unknown connection 'V1->V1'"),
        ({"lesion": "V1->V4", "skip": False}, "unknown connection 'V1->V4'"),
        ({"lesion": "V1->V2", "lesion_gain": 1.5}, "lesion_gain=1.5 is not valid"),
        ({"lesion": "V1->V2", "t_lesion_start": 3.0}, "t_lesion_start=3 ms is not a multiple of dt=2 ms"),
        ({"lesion": "V1->V2", "t_lesion_start": 6.0, "t_lesion_end": 6.0}, "t_lesion_end=6 ms must be after"),
        ({"lesion_gain": 0.5}, "lesion_gain=0.5 is of a lesion, and none is there"),
        ({"t_lesion_end": 8.0}, "name a connection in lesion"),
        ({"t_skip": {"V2->V4": 4.0}}, r"unknown connection 'V2->V4' \(key t_skip.V2->V4\).*V1->V4, V2->IT"),
        ({"t_feedforward": {"V1->V4": 4.0}}, r"unknown connection 'V1->V4'.*V1->V2, V2->V4"),
        ({"t_skip": {"V1->V4": 4.0, "V4": 4.0}}, "t_skip has two numbers for one connection"),
        ({"tau": {"V1->V4": 8.0}}, "tau is a number of a layer"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_one_sentence_in_yaml_and_in_python(
    arguments: dict[str, Any], sentence: str
) -> None:
    assert_refused(arguments, sentence)


def test_a_name_that_two_connections_have_needs_the_kind() -> None:
    with pytest.raises(InputError, match="write feedforward layer1->layer2 or skip layer1->layer2"):
        resolve_model_args("DyRCNNx2", {"lesion": "layer1->layer2"})
    x = torch.randn(2, 1, 12, 12)
    answers = [
        randomize(create("DyRCNNx2", input_dims=(6, 1, 12, 12), n_classes=3, lesion=name))(x)
        for name in ("", "skip layer1->layer2", "feedforward layer1->layer2")
    ]
    assert not any(torch.equal(a, b) for a, b in ((answers[0], answers[1]), (answers[1], answers[2])))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("DyRCNNx2", {"feedback": "additive"}),
        ("DyRCNNx4", {"feedback": "additive", "extra_layers": 2, "width": 0.25, "tau": {"V1_2": 9.0}}),
        ("DyRCNNx8", {"recurrence_type": {"V2": "none"}}),
        ("ResNet20", {"recurrence_type": "full"}),
        *((name, {}) for name in ("CORnetRT", "CordsNetR4", "BLT", "AlexNet")),
    ],
    ids=str,
)
def test_planning_knows_the_connections_that_a_model_has(name: str, args: dict[str, Any]) -> None:
    size = 64 if name == "AlexNet" else 32
    planned = connections(MODELS[name], resolve_model_args(name, args))
    model = create(name, input_dims=(2, 3, size, size), n_classes=4, **args)
    for connection in planned:
        model.lesion = f"{connection.kind} {connection.pair}"
        assert model.plan().layers
    model.lesion = "nothing"
    with pytest.raises(InputError) as error:
        model.plan()
    n_allowed = str(error.value).partition("allowed: ")[2].count("->")
    assert n_allowed == len(set(planned))


def test_delays_by_pair_of_areas_are_those_of_the_layer_that_has_them() -> None:
    x = torch.randn(2, 3, 16, 16)
    pairs = {"t_skip": {"V1->V4": 4.0}, "t_feedback": {"IT->V2": 8.0}, "t_feedforward": {"V2->V4": 6.0}}
    layers = {"t_skip": {"V4": 4.0}, "t_feedback": {"V2": 8.0}, "t_feedforward": {"V2": 6.0}}
    answers = [
        randomize(create("DyRCNNx4", input_dims=(12, 3, 16, 16), n_classes=4, feedback="additive", **given))(
            x
        )
        for given in (pairs, layers, {})
    ]
    assert torch.equal(answers[0], answers[1]) and answers[1].shape != answers[2].shape


def test_hooks_on_a_connection_refuse_what_they_would_not_hear() -> None:
    model = build(Small, **FULL, lesion="IT->V2", lesion_gain=0.5)
    model.addfeedback_V2.register_forward_hook(lambda *_: None)
    with pytest.raises(InputError, match="remove the hooks"):
        model(torch.randn(1, 2, 10, 10, dtype=torch.float64))

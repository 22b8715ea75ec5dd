"""Numbers of the dynamics by layer: one value, a mapping, a rule; the same from YAML and from Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dynvision.config.models import MODELS
from dynvision.config.run import resolve_model_args
from dynvision.config.section import resolve_by_layer
from dynvision.errors import InputError
from dynvision.models import create
from tests.base.networks import randomize
from tests.base.registered import SLOW
from tests.base.small import compare
from tests.textbook_loop import textbook_loop

LAYERS = ("V1", "V2", "V4", "IT")


def build(name: str = "DyRCNNx4", **arguments: Any) -> torch.nn.Module:
    return create(name, input_dims=(11, 3, 16, 16), n_classes=4, **arguments)


def test_the_three_forms_are_resolved() -> None:
    assert resolve_by_layer(8.0, LAYERS, 5.0, "tau") == dict.fromkeys(LAYERS, 8.0)
    assert resolve_by_layer({"V2": 9.0}, LAYERS, 5.0, "tau") == {"V1": 5.0, "V2": 9.0, "V4": 5.0, "IT": 5.0}
    rule = resolve_by_layer({"first": 10.0, "last": 80.0}, LAYERS, 5.0, "tau")
    assert list(rule.values()) == pytest.approx([10, 20, 40, 80])
    arithmetic = resolve_by_layer({"first": 0.0, "last": 30.0}, LAYERS, 5.0, "t_skip")
    assert list(arithmetic.values()) == pytest.approx([0, 10, 20, 30])
    with pytest.raises(InputError, match=r"unknown layer 'V3' \(key tau.V3\).*allowed: IT, V1, V2, V4"):
        resolve_by_layer({"V3": 9.0}, LAYERS, 5.0, "tau")


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_numbers_of_numpy_are_numbers(kind: Any) -> None:
    """As ``for tau in np.arange(4, 20, 4)`` gives them: one for all layers, and by layer."""
    args = build(tau=kind(8), t_recurrence={"V1": kind(6)}, t_feedforward=kind(4)).args
    assert (args.tau, args.t_recurrence, args.t_feedforward) == (8.0, {"V1": 6.0}, 4.0)
    assert type(args.tau) is float  # as a frozen file holds it


@pytest.mark.parametrize(
    "arguments",
    [
        {"tau": {"V1": 8.0, "IT": 30.0}},
        {"tau": {"first": 6.0, "last": 40.0}, "dynamics_solver": "exponential_euler"},
        {"t_recurrence": {"V1": 2.0, "V2": 10.0}},
        {"t_feedforward": {"V1": 4.0, "V4": 2.0}, "t_skip": {"V4": 6.0, "IT": 2.0}},
        {"feedback": "additive", "t_feedback": {"V1": 6.0, "V2": 4.0}},
        {"recurrence_type": {"V1": "none", "V2": "depthwise", "IT": "self"}},
        {"supralinearity": {"V2": 1.5}, "intrinsic_suppression": {"V1": 0.3}},
        {
            "divisive_normalization": True,
            "sigma": {"V1": 0.3},
            "tau_divisive_normalization": {"first": 20.0, "last": 90.0},
        },
        {"divisive_normalization": True, "normalization_pool": "channel", "normalization_size": 3},
        {
            "divisive_normalization": True,
            "normalization_pool": "layer",
            "normalization_exponent": {"V4": 2.0},
        },
        {
            "divisive_normalization": True,
            "train": ["tau", "sigma.channel", "normalization_gain"],
            "t_idle": 6.0,
        },
        {"train": ["tau.channel"]},
        {
            "divisive_normalization": True,
            "nonlinearity_position": "drive",
            "t_skip": 4.0,
            "feedback": "additive",
        },
    ],
    ids=str,
)
def test_outputs_activity_and_gradients_are_those_of_the_textbook_loop(arguments: dict[str, Any]) -> None:
    model = randomize(build(**arguments), gain=0.5).double()
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    compare(model, x, x.unsqueeze(1).expand(-1, 11, -1, -1, -1))


def test_a_value_for_all_layers_and_a_mapping_of_it_are_the_same_network() -> None:
    x = torch.randn(2, 3, 16, 16)
    outputs = [
        randomize(build(tau=tau))(x) for tau in (9.0, dict.fromkeys(LAYERS, 9.0), {"first": 9.0, "last": 9.0})
    ]
    assert torch.equal(outputs[0], outputs[1]) and torch.allclose(outputs[0], outputs[2])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"tau": {"V1": 1.0}}, r"larger than tau\.V1=1 ms"),
        ({"tau": {"V1": -3.0}}, r"tau\.V1=-3 is not valid: it must be above 0"),
        ({"tau": {"V9": 8.0}}, "unknown layer 'V9'"),
        ({"tau": {"first": 8.0}}, "has first and last, and nothing else"),
        ({"tau": True}, "must be a number, or numbers by layer"),
        ({"tau": {}}, "empty mapping"),
        ({"t_recurrence": {"V2": 3.0}}, r"t_recurrence\.V2=3 ms is not a multiple of dt=2 ms"),
        (
            {"t_feedforward": {"first": 2.0, "last": 8.0}},
            r"in equal ratios: t_feedforward\.V2=3\.1748 ms is not a multiple of dt=2 ms.*; give t_feedforward by layer",
        ),
        ({"t_recurrence": {"first": 2.0, "last": 8.0}}, r"t_recurrence\.V2=3\.1748 ms is not a multiple"),
        ({"t_skip": {"first": 2.0, "last": 8.0}}, r"t_skip\.V2=3\.1748 ms is not a multiple"),
        ({"recurrence_type": {"V1": "ful"}}, "did you mean 'full'"),
        ({"recurrence_type": {"first": "full", "last": "none"}}, "types form no series"),
        ({"recurrence_type": {}}, "types form no series"),
        ({"recurrence_type": {"V1": "self"}, "recurrence_target": "input"}, "keeps the number of channels"),
        ({"train": ["sigma"]}, "divisive_normalization: true"),
        ({"train": ["taus"]}, "train"),
        ({"train": ["tau", "tau.channel"]}, r"tau is learned one a layer and one a channel \(tau\.channel\)"),
        ({"train_tau": True, "train": ["tau.channel"]}, "or set train_tau: false"),
        ({"normalization_size": 4}, "must be odd"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_sentence_in_yaml_and_in_python(
    arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        build(**arguments)
    with pytest.raises(InputError, match=sentence):
        resolve_model_args("DyRCNNx4", arguments)


@pytest.mark.parametrize("name", ["ResNet20", "AlexNet", "CORnetRT", "CordsNetR4", "BL"])
def test_every_family_with_named_layers_takes_them(name: str) -> None:
    size = 64 if name == "AlexNet" else 32
    kwargs: dict[str, Any] = {"width": 0.5} if name in ("CordsNetR4", "BL", "CORnetRT") else {}
    if name in ("ResNet20", "AlexNet"):
        kwargs["recurrence_type"] = "depthwise"
    model = create(name, input_dims=(6, 3, size, size), n_classes=4, **kwargs)
    last = model.chain[-1]
    slower = create(name, input_dims=(6, 3, size, size), n_classes=4, **kwargs, t_recurrence={last: 4.0})
    randomize(model, gain=0.5)
    randomize(slower, gain=0.5)
    x = torch.randn(2, 3, size, size)
    a, b = model.eval()(x), slower.eval()(x)
    assert not torch.equal(a, b)
    with pytest.raises(InputError, match="unknown layer 'nowhere'"):
        create(name, input_dims=(6, 3, size, size), n_classes=4, **kwargs, t_recurrence={"nowhere": 4.0})


@pytest.mark.parametrize("name", ["BL", "BLT", "CORnetZ", "CORnetRT", "CORnetS"])
@pytest.mark.parametrize("tau", [9.0, {"V1": 9.0}], ids=["one", "by layer"])
def test_a_time_constant_of_units_that_do_not_leak_is_refused(name: str, tau: Any) -> None:
    with pytest.raises(InputError, match="unknown argument 'tau'"):
        create(name, input_dims=(2, 3, 32, 32), n_classes=4, tau=tau)
    with pytest.raises(InputError, match="unknown key 'tau'"):
        resolve_model_args(name, {"tau": tau})


@pytest.mark.parametrize("name", ["ResNet20", "AlexNet"])
def test_numbers_of_a_recurrent_variant_are_learned(name: str) -> None:
    size = 64 if name == "AlexNet" else 8
    common = {
        "input_dims": (5, 3, size, size),
        "n_classes": 3,
        "recurrence_type": "depthwise",
        "t_feedforward": 2.0,
    }
    model = create(name, **common, train=["tau.channel", "t_recurrence", "t_feedforward"])
    first = model.chain[0]
    learned = {n: p for n, p in model.named_parameters() if n.endswith(("learned_delay", "log_tau"))}
    assert len(learned) == 3 * len(model.chain) and learned[f"tstep_{first}.log_tau"].dim() == 3
    randomize(model, gain=0.5).double()
    with torch.no_grad():
        learned[f"delay_{first}.learned_delay"].fill_(2.7)
        learned[f"addrecurrence_{first}.learned_delay"].fill_(4.6)
    for module in model.modules():  # the same statistics and units in both
        if isinstance(module, (torch.nn.BatchNorm2d, torch.nn.Dropout)):
            module.eval()
    x = torch.randn(2, 3, size, size, dtype=torch.float64)
    outputs, _ = textbook_loop(model, x.unsqueeze(1).expand(-1, 5, -1, -1, -1))
    torch.testing.assert_close(model(x), outputs, rtol=1e-9, atol=1e-11)
    for words in (["tau"], ["t_recurrence"]):
        with pytest.raises(
            InputError, match=f"train: {words[0]} is of a recurrence and its leak; set recurrence_type"
        ):
            create(name, **{**common, "recurrence_type": "none"}, train=words)
    with pytest.raises(InputError, match="unknown value 'sigma'"):
        create(name, **common, train=["sigma"])


@pytest.mark.parametrize("name", ["ResNet20", "AlexNet"])
def test_a_recurrence_of_some_layers_alone_leaves_the_others_as_published(name: str) -> None:
    size = 64 if name == "AlexNet" else 8
    common = {"input_dims": (5, 3, size, size), "n_classes": 3}
    last = MODELS[name].layers[-1]
    own = {"recurrence_type": {last: "depthwise"}, "tau": {last: 9.0}}
    model = create(name, **common, **own, train=["tau"]).double().eval()
    added = {n.split(".")[0] for n, _ in model.named_parameters() if n.startswith(("addrecurrence", "tstep"))}
    assert added == {f"addrecurrence_{last}", f"tstep_{last}"}
    randomize(model, gain=0.5)
    x = torch.randn(2, 3, size, size, dtype=torch.float64)
    outputs, _ = textbook_loop(model, x.unsqueeze(1).expand(-1, 5, -1, -1, -1))
    torch.testing.assert_close(model(x), outputs, rtol=1e-9, atol=1e-11)
    first = MODELS[name].layers[0]
    for make in (
        lambda **args: create(name, **common, **args),
        lambda **args: resolve_model_args(name, args),
    ):
        with pytest.raises(InputError, match=f"unknown connection '{first}->{first}'"):
            make(**own, lesion=f"{first}->{first}")


@pytest.mark.parametrize("name", [name for name in MODELS if name not in SLOW])
def test_the_layers_that_planning_knows_are_those_of_the_model(name: str) -> None:
    size = 64 if name in ("AlexNet", "CordsNetR8") else 32
    model = create(name, input_dims=(2, 3, size, size), n_classes=4)
    assert MODELS[name].layers == model.chain

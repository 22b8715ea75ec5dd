"""Weights of DynVision 0.1: a file in its layout, imported, gives the outputs that the published package gives.

The names below are those of the state dicts of the package DynVision 0.1.0, and the numbers are outputs of its models with
these weights and images, at the first, tenth and twentieth step, rounded to six digits.
"""

from __future__ import annotations

import pytest
import torch

from dynvision.errors import InputError
from dynvision.models.weight_import import import_weights

# Layer: channels in, between the stages and out, and kernel; by network.
LAYERS = {
    "DyRCNNx2": {"layer1": (3, 0, 36, 3), "layer2": (36, 0, 64, 3)},
    "DyRCNNx4": {"V1": (3, 0, 36, 3), "V2": (36, 0, 64, 3), "V4": (64, 0, 121, 3), "IT": (121, 0, 256, 3)},
    "DyRCNNx8": {
        "V1": (3, 64, 64, 5),
        "V2": (64, 144, 144, 3),
        "V4": (144, 256, 256, 3),
        "IT": (256, 529, 529, 3),
    },
}
SKIPS = {
    "DyRCNNx2": [("layer1", "layer2")],
    "DyRCNNx4": [("V1", "V4"), ("V2", "IT")],
    "DyRCNNx8": [("V1", "V4"), ("V2", "IT")],
}
CASES = {
    "two layers": (
        ("DyRCNNx2", "full", "output", True, True, True),
        {"t_feedback": 6},
        [-0.093365, -0.122438, 0.014615, -0.159026, -0.236292, 0.12758, -0.154524, -0.634716, 0.411363],
    ),
    "full": (
        ("DyRCNNx4", "full", "output", True, True, True),
        {"tfb": 6},
        [0.059632, 0.145337, -0.009672, 0.123173, 0.112576, 0.023697, -0.047661, 0.110554, -0.014339],
    ),
    "localdepthwise": (
        ("DyRCNNx4", "localdepthwise", "output", True, False, True),
        {},
        [0.234204, -0.151675, 0.010435, 0.639259, -0.219601, 0.04645, 0.684607, -0.235983, 0.041947],
    ),
    "pointdepthwise": (
        ("DyRCNNx4", "pointdepthwise", "output", True, False, True),
        {},
        [0.234204, -0.151675, 0.010435, 0.44164, -0.107461, 0.059626, 0.447948, -0.072387, 0.02822],
    ),
    "depthpointwise": (
        ("DyRCNNx4", "depthpointwise", "output", True, False, True),
        {},
        [0.234204, -0.151675, 0.010435, 0.602882, -0.15581, 0.099298, 0.529652, -0.10177, 0.248214],
    ),
    "self, supralinear": (
        ("DyRCNNx4", "self", "output", True, False, True),
        {},
        [0.129574, 0.070956, -0.061866, 0.147059, 0.078456, -0.06558, 0.146742, 0.077914, -0.065553],
    ),
    "local, without skip and bias": (
        ("DyRCNNx4", "local", "output", False, False, False),
        {},
        [-0.039192, -0.083168, 0.072779, -0.021, -0.091532, 0.092864, -0.004624, -0.097529, 0.09637],
    ),
    "middle": (
        ("DyRCNNx8", "full", "middle", True, True, True),
        {"tfb": 6, "rctarget": "middle"},
        [0.094189, -0.047974, 0.082182, 0.260359, 0.00404, 0.117456, 0.252185, 0.0054, 0.119777],
    ),
    "input": (
        ("DyRCNNx8", "full", "input", True, False, True),
        {},
        [0.061443, -0.107852, 0.026219, 0.245086, -0.096339, 0.003748, 0.244103, -0.095886, -0.000494],
    ),
}


def conv(name, c_out, c_in, k, bias):
    return {f"{name}.weight": (c_out, c_in, k, k)} | ({f"{name}.bias": (c_out,)} if bias else {})


def recurrence(kind, c, target, k, bias):
    """Names and shapes below ``recurrence``."""
    if kind == "full":
        return conv("conv", target, c, k, bias)
    if kind == "self":
        return {"weight": (1,)} | ({"bias": (1,)} if bias else {})
    if kind == "depthpointwise":
        return conv("depthwise_conv", c, 1, k, bias) | conv("pointwise_conv", target, c, 1, bias)
    if kind == "pointdepthwise":
        return conv("pointwise_conv", target, c, 1, bias) | conv("depthwise_conv", target, 1, k, bias)
    sheet = 5 if c == 256 else 3
    maps = {"flat_plane_mapping": (4,), "flat_layer_mapping": (4,)}
    if kind == "local":
        return maps | conv("conv", 1, 1, sheet, bias)
    local = {f"local_conv.{name}": shape for name, shape in (maps | conv("conv", 1, 1, sheet, bias)).items()}
    return local | conv("patchy_conv", c, 1, k, bias)


def layer(kind, target, c_in, c_mid, c, k, bias):
    """Names and shapes of a layer."""
    found = conv("conv", c_mid or c, c_in, k, bias) | (conv("conv2", c, c_mid, k, bias) if c_mid else {})
    to = {"output": c, "middle": c_mid, "input": c_in}[target]
    return found | {f"recurrence.{name}": shape for name, shape in recurrence(kind, c, to, k, bias).items()}


def write(path, network, kind, target, skip, feedback, bias, taus=5.0, **extra):
    """Write a file as DynVision 0.1 does."""
    layers = LAYERS[network]
    shapes = {}
    for name, channels in layers.items():
        own = layer(kind, target, *channels, bias)
        shapes |= {f"{name}.{inner}": shape for inner, shape in own.items()}
    pairs = [("addskip", *pair) for pair in SKIPS[network]] if skip else []
    pairs += [("addfeedback", later, earlier) for earlier, later in SKIPS[network]] if feedback else []
    for operation, source, to in pairs:
        shapes |= conv(f"{operation}_{to}.conv", layers[to][2], layers[source][2], 1, True)
    last = list(layers.values())[-1][2]
    shapes |= {"classifier.2.weight": (3, last), "classifier.2.bias": (3,)}
    weights = [name for name in shapes if "mapping" not in name]
    state = {
        name: torch.zeros(shape, dtype=torch.int64) for name, shape in shapes.items() if "mapping" in name
    }
    for i, name in enumerate(sorted(weights)):
        shape = shapes[name]
        n = torch.Size(shape).numel()
        fan_in = n // shape[0] if len(shape) > 1 else 100
        k = torch.arange(n)
        values = ((k * k * 7919 + k + 104729 * i) % 1009 / 504.5 - 1) * (2.0 / fan_in) ** 0.5
        state[name] = values.reshape(shape).float()
    for operation, source, to in pairs:
        for name in [name for name in state if name.startswith(f"{source}.")]:
            state[f"{operation}_{to}.source.{name.partition('.')[2]}"] = state[name]
    state["n_residual_timesteps"] = torch.tensor(0)
    for i, name in enumerate(layers):
        tau = torch.tensor(taus if isinstance(taus, float) else taus[i])
        state |= {f"tstep_{name}.tau": tau} | ({f"tau_{name}": tau} if network != "DyRCNNx2" else {})
    state = {name: state[name] for name in shapes} | {n: t for n, t in state.items() if n not in shapes}
    torch.save(state | extra, path)
    return path


def images():
    k = torch.arange(20 * 3 * 32 * 32)
    return ((k * k * 31 + k) % 997 / 498.5 - 1).float().reshape(1, 20, 3, 32, 32)


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_the_published_package(case, tmp_path):
    (network, kind, target, skip, feedback, bias), arguments, expected = CASES[case]
    extra = (
        {"supralin.n": torch.tensor(1.4), "supralin.k": torch.tensor(0.8)} if "supralinear" in case else {}
    )
    path = write(tmp_path / "trained.pt", network, kind, target, skip, feedback, bias, **extra)
    imported = import_weights(path, network, arguments, 32)
    args = imported.model.args
    assert (args.recurrence_type, args.recurrence_target) == (kind, target)
    assert (args.skip, args.feedback != "none", args.bias) == (skip, feedback, bias)
    assert args.supralinearity == pytest.approx(1.4 if extra else 1.0)
    assert (args.tau, args.train_tau, imported.model.n_classes) == (5.0, False, 3)
    with torch.no_grad():
        logits = imported.model.eval()(images())
    torch.testing.assert_close(logits[0, [0, 9, 19]].flatten(), torch.tensor(expected), rtol=1e-4, atol=2e-6)


def test_learned_time_constants_are_those_of_each_layer(tmp_path):
    taus = [5.0, 6.5, 4.25, 11.0]
    path = write(tmp_path / "trained.pt", "DyRCNNx4", "self", "output", True, False, True, taus)
    model = import_weights(path, "DyRCNNx4", {}, 32).model
    found = [getattr(model, f"tstep_{name}").tau.item() for name in LAYERS["DyRCNNx4"]]
    assert found == pytest.approx(taus)
    assert model.args.train_tau
    path = write(
        tmp_path / "trained.pt", "DyRCNNx4", "self", "output", True, False, True, [5.0, 1.0, 4.0, 11.0]
    )
    with pytest.raises(InputError, match="tau=1 ms is not above 2 ms"):
        import_weights(path, "DyRCNNx4", {}, 32)


def test_what_contradicts_itself_is_refused(tmp_path):
    path = write(tmp_path / "trained.pt", "DyRCNNx4", "self", "output", True, False, True)
    state = torch.load(path, weights_only=True)
    torch.save({**state, "addskip_V4.source.conv.weight": state["V1.conv.weight"] + 1}, path)
    with pytest.raises(InputError, match=r"addskip_V4.source.conv.weight is a second name of V1.conv.weight"):
        import_weights(path, "DyRCNNx4", {}, 32)
    torch.save({**state, "tau_V1": torch.tensor(9.0)}, path)
    with pytest.raises(InputError, match=r"tau_V1=9 ms contradicts another time constant of V1"):
        import_weights(path, "DyRCNNx4", {}, 32)


def test_what_it_does_not_know_is_left_over(tmp_path):
    path = write(tmp_path / "trained.pt", "DyRCNNx4", "full", "output", True, False, True)
    state = torch.load(path, weights_only=True)
    torch.save({**state, "retina.conv.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(InputError, match=r"left over +retina.conv.weight +2 x 2"):
        import_weights(path, "DyRCNNx4", {}, 32)
    with pytest.raises(InputError, match=r"left over +V4.conv.weight"):
        import_weights(path, "DyRCNNx2", {}, 32)

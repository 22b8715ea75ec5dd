"""AlexNet and the ResNets against a second implementation, written from the papers on a dictionary of weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dynvision.models import create
from tests.base.networks import watched
from tests.base.small import compare
from tests.textbook_loop import textbook_loop

PHOTOGRAPHS = {
    "ResNet18": ("basic", (2, 2, 2, 2), 11_689_512),
    "ResNet34": ("basic", (3, 4, 6, 3), 21_797_672),
    "ResNet50": ("bottleneck", (3, 4, 6, 3), 25_557_032),
    "ResNet101": ("bottleneck", (3, 4, 23, 3), 44_549_160),
    "ResNet152": ("bottleneck", (3, 8, 36, 3), 60_192_808),
}
CIFAR = {"ResNet20": 3, "ResNet32": 5, "ResNet44": 7, "ResNet56": 9, "ResNet110": 18}
SLOW = {"ResNet34", "ResNet101", "ResNet152", "ResNet44", "ResNet56", "ResNet110"}


def names(*wanted):
    return [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in wanted]


# --- the second implementation ----------------------------------------------------------------------------------------


def conv(w, name, x, stride=1, padding=0):
    return F.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), stride, padding)


def norm(w, name, x):
    mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-5)


def linear(w, name, x):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def alexnet(w, x):
    x = F.max_pool2d(conv(w, "features.0", x, 4, 2).relu(), 3, 2)
    x = F.max_pool2d(conv(w, "features.3", x, 1, 2).relu(), 3, 2)
    x = conv(w, "features.6", x, 1, 1).relu()
    x = conv(w, "features.8", x, 1, 1).relu()
    x = F.max_pool2d(conv(w, "features.10", x, 1, 1).relu(), 3, 2)
    x = F.adaptive_avg_pool2d(x, 6).flatten(1)
    return linear(w, "classifier.6", linear(w, "classifier.4", linear(w, "classifier.1", x).relu()).relu())


def block(w, name, x, kind, stride):
    if kind == "basic":
        y = norm(w, f"{name}.bn1", conv(w, f"{name}.conv1", x, stride, 1)).relu()
        y = norm(w, f"{name}.bn2", conv(w, f"{name}.conv2", y, 1, 1))
    else:
        y = norm(w, f"{name}.bn1", conv(w, f"{name}.conv1", x)).relu()
        y = norm(w, f"{name}.bn2", conv(w, f"{name}.conv2", y, stride, 1)).relu()
        y = norm(w, f"{name}.bn3", conv(w, f"{name}.conv3", y))
    if f"{name}.downsample.0.weight" in w:
        x = norm(w, f"{name}.downsample.1", conv(w, f"{name}.downsample.0", x, stride))
    elif stride == 2:  # option A: sampled, with zeros around the channels that are there
        zeros = torch.zeros_like(x[:, : x.shape[1] // 2, ::2, ::2])
        x = torch.cat([zeros, x[:, :, ::2, ::2], zeros], dim=1)
    return (x + y).relu()


def resnet(w, x, kind, depths):
    if len(depths) == 4:
        x = F.max_pool2d(norm(w, "bn1", conv(w, "conv1", x, 2, 3)).relu(), 3, 2, 1)
    else:
        x = norm(w, "bn1", conv(w, "conv1", x, 1, 1)).relu()
    for stage, depth in enumerate(depths):
        for i in range(depth):
            x = block(w, f"layer{stage + 1}.{i}", x, kind, 2 if stage and not i else 1)
    return linear(w, "fc", x.mean(dim=(2, 3)))


def second(name):
    if name == "AlexNet":
        return alexnet
    kind, depths = PHOTOGRAPHS[name][:2] if name in PHOTOGRAPHS else ("basic", (CIFAR[name],) * 3)
    return lambda w, x: resnet(w, x, kind, depths)


# --- the published networks -------------------------------------------------------------------------------------------


def build(name, size, n_timesteps=4, n_classes=7, n_channels=3, **arguments):
    torch.manual_seed(0)
    model = create(name, input_dims=(n_timesteps, n_channels, size, size), n_classes=n_classes, **arguments)
    with torch.no_grad():
        for key, tensor in model.state_dict().items():  # statistics and scales as after a training
            if key.endswith(("running_mean", "bias")):
                tensor.normal_(0, 0.1)
            elif key.endswith("running_var") or "bn" in key or "downsample.1" in key:
                tensor.copy_(torch.empty_like(tensor, dtype=torch.float32).uniform_(0.5, 1.5))
            elif "addrecurrence" in key:
                tensor.normal_(0, 0.5 / max(1, tensor[0].numel() if tensor.dim() else 1) ** 0.5)
    return model.double()


def small(name):
    return {"classifier_width": 32} if name == "AlexNet" else {}


@pytest.mark.parametrize("name", names("AlexNet", *PHOTOGRAPHS, *CIFAR))
@pytest.mark.parametrize(("size", "n_channels"), [(67, 3), (80, 1)])
def test_outputs_are_those_of_the_papers(name, size, n_channels):
    if name in CIFAR:
        size //= 4
    model = build(name, size, n_channels=n_channels, **small(name)).eval()
    x = torch.randn(2, n_channels, size, size, dtype=torch.float64)
    with torch.no_grad():
        logits = model(x)
        expected = second(name)(model.state_dict(), x)
    assert logits.shape == (2, 4, 7) and expected.abs().max() > 1e-3
    torch.testing.assert_close(
        logits, expected[:, None].expand(-1, 4, -1), rtol=1e-9, atol=1e-9 * expected.abs().max().item()
    )


@pytest.mark.parametrize("name", ["AlexNet", "ResNet18", "ResNet20"])
def test_frames_are_seen_one_by_one(name):
    size = 64 if name == "AlexNet" else 20
    model = build(name, size, **small(name)).eval()
    video = torch.randn(2, 5, 3, size, size, dtype=torch.float64)
    with torch.no_grad():
        logits = model(video)
        for t in range(5):
            torch.testing.assert_close(logits[:, t], second(name)(model.state_dict(), video[:, t]))


@pytest.mark.parametrize("name", names(*PHOTOGRAPHS))
def test_parameter_counts_are_those_of_torchvision(name):
    with torch.device("meta"):
        model = create(name, input_dims=(1, 3, 224, 224), n_classes=1000)
    assert sum(p.numel() for p in model.parameters()) == PHOTOGRAPHS[name][2]


def test_the_parameter_count_of_alexnet():
    with torch.device("meta"):
        model = create("AlexNet", input_dims=(1, 3, 224, 224), n_classes=1000)
    assert sum(p.numel() for p in model.parameters()) == 61_100_840


@pytest.mark.parametrize("name", CIFAR)
def test_parameter_counts_on_small_images(name):
    """By hand: stem, then n blocks of two 3 x 3 convolutions a stage, each with scale and shift, and the read-out."""
    n = CIFAR[name]
    stem = 9 * 3 * 16 + 2 * 16
    stages = sum(
        9 * c_in * c + (2 * n - 1) * 9 * c * c + 2 * n * 2 * c for c_in, c in ((16, 16), (16, 32), (32, 64))
    )
    model = create(name, input_dims=(1, 3, 32, 32), n_classes=10)
    assert sum(p.numel() for p in model.parameters()) == stem + stages + 64 * 10 + 10
    if name == "ResNet20":
        assert stem + stages + 650 == 269_722  # "0.27 M"


@pytest.mark.parametrize("name", names("AlexNet", *PHOTOGRAPHS))
def test_torchvision_agrees(name):
    try:
        from torchvision import models
    except (ImportError, RuntimeError):
        pytest.skip("torchvision does not import here")
    theirs = getattr(models, name.lower())(weights=None).double().eval()
    ours = create(name, input_dims=(1, 3, 96, 96), n_classes=1000).double().eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 96, 96, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(x)[:, 0], theirs(x), rtol=1e-9, atol=1e-9 * float(theirs(x).abs().max())
        )


def test_the_names_of_the_weights_are_those_of_torchvision():
    alexnet_names = [f"{part}.{kind}" for part in (
        "features.0", "features.3", "features.6", "features.8", "features.10",
        "classifier.1", "classifier.4", "classifier.6",
    ) for kind in ("weight", "bias")]  # fmt: skip
    with torch.device("meta"):
        assert list(create("AlexNet", n_classes=1000).state_dict()) == alexnet_names
        found = create("ResNet50", n_classes=1000).state_dict()
    statistics = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert len(found) == 320
    for name in ("bn1", "layer1.0.bn3", "layer4.0.downsample.1", "layer3.5.bn2"):
        assert all(f"{name}.{kind}" in found for kind in statistics)
    assert found["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert found["layer2.0.conv2.weight"].shape == (128, 128, 3, 3)
    assert found["fc.weight"].shape == (1000, 2048)


def test_a_photograph_too_small_for_alexnet():
    with pytest.raises(ValueError, match="AlexNet needs images of at least 63 px, not 32 x 32"):
        create("AlexNet", input_dims=(1, 3, 32, 32))
    build("AlexNet", 63, **small("AlexNet"))(torch.randn(1, 3, 63, 63, dtype=torch.float64))


# --- the recurrent variants -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("AlexNet", {"recurrence_type": "full", "t_feedforward": 2.0}),
        ("AlexNet", {"recurrence_type": "pointwise", "recurrence_target": "input", "train_tau": True}),
        ("ResNet20", {"recurrence_type": "full", "t_recurrence": 4.0, "t_feedforward": 4.0}),
        ("ResNet20", {"recurrence_type": "depthpointwise", "recurrence_target": "middle"}),
        ("ResNet20", {"recurrence_type": "pointdepthwise", "recurrence_target": "input"}),
        ("ResNet20", {"recurrence_type": "self", "nonlinearity_position": "drive"}),
        ("ResNet20", {"recurrence_type": "depthwise", "dynamics_solver": "rk4"}),
        ("ResNet20", {"recurrence_type": "full", "recurrence_merge": "multiplicative", "t_idle": 8.0}),
        ("ResNet20", {"recurrence_type": "full", "feedforward_only": True}),
        ("ResNet18", {"recurrence_type": "full", "recurrence_target": "middle", "t_feedforward": 2.0}),
    ],
)
def test_the_recurrent_variants_are_the_textbook_loop(name, arguments):
    size = {"AlexNet": 64, "ResNet18": 32, "ResNet20": 8}[name]
    model = build(name, size, 5, **{"t_recurrence": 2.0, **small(name), **arguments}).eval()
    video = torch.randn(2, 5, 3, size, size, dtype=torch.float64)
    compare(model, video, video)


@pytest.mark.parametrize("name", ["AlexNet", "ResNet18", "ResNet20"])
def test_a_recurrent_variant_settles_at_the_published_network(name):
    """Without recurrent weights the leaky layers reach, in a constant image, the activity of the stateless network."""
    size = 64 if name == "AlexNet" else 32
    model = build(
        name, size, 1, recurrence_type="full", tau=2.0, dt=2.0, t_recurrence=2.0, **small(name)
    ).eval()
    x = torch.randn(2, 3, size, size, dtype=torch.float64)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "addrecurrence" in key:
                parameter.zero_()
        torch.testing.assert_close(model(x)[:, 0], second(name)(model.state_dict(), x))
    plain = create(name, input_dims=(1, 3, size, size), n_classes=7, **small(name))
    extra = set(model.state_dict()) - set(plain.state_dict())
    assert set(plain.state_dict()) < set(model.state_dict())
    assert all(key.startswith("addrecurrence_") for key in extra) and len(extra) == 2 * len(model.layer_names)


def test_batch_statistics_are_those_of_each_step():
    """In training too the result is that of the textbook loop, whatever the length of a block."""
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    video = torch.randn(4, 6, 3, 8, 8, dtype=torch.float64)
    results = []
    for block_steps in (None, 1, 3, 100):
        model = build("ResNet20", 8, 6, recurrence_type="full", t_recurrence=4.0, block_steps=block_steps)
        expected, _ = textbook_loop(build("ResNet20", 8, 6, recurrence_type="full", t_recurrence=4.0), video)
        torch.testing.assert_close(model(video), expected)
        results.append(model.state_dict()["layer3.2.bn2.running_mean"])
    assert all(torch.equal(result, results[0]) for result in results)
    stateless = build("ResNet20", 8, 6)
    before = stateless.bn1.running_mean.clone()
    once = stateless(x)
    torch.testing.assert_close(
        once, textbook_loop(build("ResNet20", 8, 6), x[:, None].expand(-1, 6, -1, -1, -1))[0]
    )
    moved = (stateless.bn1.running_mean - before) / (stateless.conv1(x).mean(dim=(0, 2, 3)) - before)
    torch.testing.assert_close(
        moved, torch.full_like(moved, 0.1)
    )  # an image that does not change counts once


def test_the_idle_state_uses_the_running_statistics():
    arguments = {"recurrence_type": "full", "t_recurrence": 2.0, "t_idle": 8.0}
    trained, tested = build("ResNet20", 8, 3, **arguments), build("ResNet20", 8, 3, **arguments).eval()
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    ours, theirs = trained.initial_state(2), tested.initial_state(2)
    for layer in trained.layer_names:
        torch.testing.assert_close(ours.traces[layer].last(), theirs.traces[layer].last())
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())
    assert trained.bn1.training


@pytest.mark.parametrize("target", ["output", "middle"])
def test_what_a_recurrent_stage_tells_is_what_the_loop_has(target):
    arguments = {"recurrence_type": "self", "t_recurrence": 4.0, "recurrence_target": target}
    model = build("ResNet20", 8, 5, **arguments).eval()
    video = torch.randn(2, 5, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        _, told = watched(model, video, ("drive", "recurrent", "conv"))
        seen = {}
        textbook_loop(model, video, seen=seen)
    assert told.keys() == seen.keys() and {quantity for quantity, _, _ in seen} == {
        "drive",
        "recurrent",
        "conv",
    }
    for where, value in seen.items():
        torch.testing.assert_close(told[where], value, rtol=1e-12, atol=1e-10)

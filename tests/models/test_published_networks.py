"""Published networks have the numbers of their published update rules, at every step, in float64."""

from __future__ import annotations

import pytest
import torch

from dynvision.models import create
from dynvision.models.weight_import import import_weights
from dynvision.models.weights import load_weights
from tests.models import layouts, published

CLASSES = 5
SIZES = {
    32: (8, 8, 4, 4, 2, 2, 1, 1),
    50: (13, 13, 7, 7, 4, 4, 2, 2),
}  # of CordsNet's areas by size of the image


def build(name, weights, size=32, n_steps=5, **arguments):
    """A model with published weights, loaded strictly through its mapping."""
    model = create(name, input_dims=(n_steps, 3, size, size), n_classes=CLASSES, **arguments).double().eval()
    own = type(model).translate_pretrained_layer_names(weights)
    assert len(own) == len(weights)
    load_weights(model, own, "published")
    return model


def images(n=2, size=32, seed=0):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_equal(ours, theirs):
    assert ours.std() > 1e-3 and ours.abs().max() < 1e3
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_cornet_z():
    weights = layouts.cornet_z(CLASSES)
    y = build("CORnetZ", weights, n_steps=3)(images())
    assert_equal(y, published.cornet_z(weights, images()).expand(-1, 3, -1))


@pytest.mark.parametrize("block_steps", [None, 1, 4])
@pytest.mark.parametrize("name", ["CORnetR", "CORnetRT"])
def test_cornet_r_and_rt(name, block_steps):
    weights = layouts.cornet_rt(CLASSES)
    y = build(name, weights, n_steps=6, block_steps=block_steps)(images())
    expected = published.cornet_rt(weights, images(), 6, same_step=name == "CORnetR")
    assert_equal(y, expected)
    assert (expected[:, 0] != expected[:, 1]).any() or name == "CORnetRT"


def test_at_step_0_areas_above_v1_answer_with_the_bias_of_their_second_normalisation():
    weights = layouts.cornet_rt(CLASSES)
    seen = {}
    model = build("CORnetRT", weights, n_steps=1)
    model(images(), observer=lambda layer, frames: seen.setdefault(layer, frames.folded()))
    for area in ("V2", "V4", "IT"):
        bias = weights[f"{area}.norm1.bias"].relu()
        torch.testing.assert_close(seen[area], bias[:, None, None].expand_as(seen[area]))


def test_cornet_rt_has_another_name():
    from dynvision.models import CORnetRT, CorNetRT

    assert CorNetRT is CORnetRT is type(create("CorNetRT", input_dims=(3, 32, 32), n_classes=2))


@pytest.mark.parametrize("training", [False, True])
def test_cornet_s(training):
    weights = layouts.cornet_s(CLASSES, (16, 32, 64, 128))
    model = build("CORnetS", weights, n_steps=2, width=0.25).train(training)
    assert_equal(model(images(4)), published.cornet_s(weights, images(4), training).expand(-1, 2, -1))


def test_cornet_s_sees_every_frame_for_itself_also_in_training():
    weights = layouts.cornet_s(CLASSES, (16, 32, 64, 128))
    video = torch.stack([images(4), images(4, seed=1)], dim=1)
    y = build("CORnetS", weights, n_steps=2, width=0.25).train()(video)
    for t in range(2):
        assert_equal(y[:, t], published.cornet_s(weights, video[:, t], training=True)[:, 0])


@pytest.mark.parametrize("size", [32, 50])
@pytest.mark.parametrize("depth", [2, 4, 6, 8])
def test_cordsnet(depth, size):
    channels = [c // 8 for c in (64, 64, 128, 128, 256, 256, 512, 512)]
    weights = layouts.cordsnet(depth, CLASSES, [(s, s) for s in SIZES[size]], channels)
    model = build(f"CordsNetR{depth}", weights, size, 12, t_idle=30.0, width=0.125)
    assert_equal(model(images(size=size)), published.cordsnet(weights, images(size=size), 12, idle_steps=15))


def test_cordsnet_r8_as_it_is_by_default():
    """All channels, 100 idle steps and 100 steps."""
    weights = layouts.cordsnet(8, CLASSES, [(s, s) for s in SIZES[32]])
    model = build("CordsNet", weights, n_steps=100)
    assert model.idle_steps == model.n_timesteps == 100 and model.tau == 10.0 and model.dt == 2.0
    with torch.no_grad():
        assert_equal(model(images(1)), published.cordsnet(weights, images(1), 100, idle_steps=100))


@pytest.mark.parametrize("block_steps", [None, 1, 5])
@pytest.mark.parametrize("name", ["CORnetRT", "CordsNetR4"])
def test_gradients(name, block_steps):
    """With respect to the published parameters, the idle steps without gradient."""
    if name == "CORnetRT":
        weights = layouts.cornet_rt(CLASSES)
        arguments = {}
    else:
        weights = layouts.cordsnet(4, CLASSES, [(s, s) for s in SIZES[32]], (8, 8, 16, 16))
        arguments = {"t_idle": 10.0, "width": 0.125}
    model = build(name, weights, n_steps=7, block_steps=block_steps, **arguments)
    for tensor in weights.values():
        tensor.requires_grad_()
    if name == "CORnetRT":
        expected = published.cornet_rt(weights, images(), 7)
    else:
        expected = published.cordsnet(weights, images(), 7, idle_steps=5)
    factors = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (expected * factors).sum().backward()
    (model(images()) * factors).sum().backward()
    wanted = type(model).translate_pretrained_layer_names({n: w.grad for n, w in weights.items()})
    parameters = dict(model.named_parameters())
    assert parameters.keys() == wanted.keys()
    for own, parameter in parameters.items():
        torch.testing.assert_close(parameter.grad, wanted[own], rtol=1e-10, atol=1e-10, msg=own)


def bl_weights(model):
    """The weights of a BL or BLT by the names of the plain loop."""
    found = {"readout.weight": model.classifier.weight, "readout.bias": model.classifier.bias}
    for k, layer in enumerate(model.layer_names):
        area = getattr(model, layer)
        found |= {f"B.{k}": area.conv.weight, f"L.{k}": area.recurrence.weight}
        top_down = model._modules.get(f"addfeedback_{layer}")
        if top_down is not None:
            found[f"T.{k}"] = top_down.path[1].weight
        for t, norm in enumerate(getattr(model, f"norm_{layer}").norms):
            found |= {f"norm.{k}.{t}.{name}": tensor for name, tensor in norm.state_dict().items()}
    assert len(found) == len(model.state_dict())
    return found


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("biological", [False, True])
@pytest.mark.parametrize("name", ["BL", "BLT"])
def test_bl_and_blt(name, biological, training):
    model = create(
        name,
        input_dims=(10, 3, 64, 64),
        n_classes=CLASSES,
        width=0.05,
        norm_steps=6,
        t_feedforward=2.0 if biological else 0.0,
    ).double()
    layout = layouts.Layout()
    with torch.no_grad():
        for own, tensor in model.state_dict().items():
            if "num_batches" not in own:
                fan_in = tensor[0].numel() if tensor.dim() > 1 else 1
                tensor.copy_(layout.random(*tensor.shape) * 0.6 / fan_in**0.5)
                if "running_var" in own or (".norms." in own and own.endswith("weight")):
                    tensor.abs_().add_(0.5)
    model.train(training)
    weights = {key: tensor.clone() for key, tensor in bl_weights(model).items()}
    assert model.n_residual_timesteps == (7 if biological else 0)
    video = images(4, 64)[:, None].expand(-1, 10 + model.n_residual_timesteps, -1, -1, -1)
    model.set_residual_timesteps(0)
    y = model(video)
    assert_equal(y, published.blt(weights, images(4, 64), video.shape[1], biological, training))
    assert_equal(model(images(4, 64)), y[:, :10])


def test_published_files_are_imported(tmp_path):
    """As the command does; an old file without the counts of batch normalisation included."""
    old = {k: w for k, w in layouts.cornet_s(CLASSES, (16, 32, 64, 128)).items() if "num_batches" not in k}
    cordsnet = layouts.cordsnet(2, CLASSES, [(s, s) for s in SIZES[32]])
    for name, weights, arguments in (
        ("CorNetRT", {f"module.{k}": w for k, w in layouts.cornet_rt(CLASSES).items()}, {}),
        ("CORnetS", {f"module.{k}": w for k, w in old.items()}, {"width": 0.25}),
        ("CordsNetR2", cordsnet, {}),
    ):
        torch.save({"state_dict": weights}, tmp_path / "published.pth")
        imported = import_weights(tmp_path / "published.pth", name, arguments, resolution=32)
        assert imported.left_out == [] and imported.model.n_classes == CLASSES
        wanted = {k.removeprefix("module."): w for k, w in weights.items()}
        for ours, theirs, shape in imported.mapped:
            assert (
                shape == wanted[ours.removeprefix("module.")].shape and theirs in imported.model.state_dict()
            )
        assert len(imported.mapped) == len(weights)

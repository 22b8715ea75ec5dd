"""Second derivatives equal finite differences of the first; transforms of torch equal ordinary gradients."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, grad, jvp, vmap

from dynvision.config.model import RECURRENCE_TYPES
from dynvision.models import create
from tests.base.networks import randomize

CASES = [
    *({"recurrence_type": kind} for kind in RECURRENCE_TYPES),
    {"nonlinearity_position": "drive"},
    {"train_tau": True},
    {"recurrence_merge": "multiplicative"},
    {"recurrence_target": "input"},
    {"feedback": "additive", "t_feedforward": 2.0, "t_skip": 4.0},
    {"dynamics_solver": "exponential_euler", "t_recurrence": 2.0},
    {"dynamics_solver": "rk4"},
    {"dynamics_solver": "liquid"},
    {"dynamics_solver": "organics"},
    {"supralinearity": 1.4},
    {"divisive_normalization": True},
    {"divisive_normalization": True, "train": ["sigma"]},
    {"intrinsic_suppression": 0.4},
    {"input_adaptation": 0.4},
]
OTHER_PATHS = [*CASES[-4:], {}, {"train_tau": True}, {"feedback": "additive"}, {"recurrence_type": "none"}]


def small(**arguments):
    """A network whose every path matters; the idle state, which has no gradient by definition, is left out."""
    torch.manual_seed(0)
    model = create("DyRCNNx2", input_dims=(6, 1, 6, 6), n_classes=3, **arguments).double()
    return randomize(model)


def loss_of(model):
    x = torch.randn(2, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    names = [name for name, p in model.named_parameters() if p.requires_grad]

    def loss(*values):
        y = functional_call(model, dict(zip(names, values, strict=True)), (x,))
        return y.square().mean() + y.sin().mean()

    return loss, tuple(p.detach().clone() for p in model.parameters() if p.requires_grad)


def first_gradient(loss, values):
    values = [v.clone().requires_grad_() for v in values]
    return torch.autograd.grad(loss(*values), values, allow_unused=True, materialize_grads=True)


def finite_difference_hvp(loss, values, direction, eps=1e-5):
    up = first_gradient(loss, [v + eps * d for v, d in zip(values, direction, strict=True)])
    down = first_gradient(loss, [v - eps * d for v, d in zip(values, direction, strict=True)])
    return [(a - b) / (2 * eps) for a, b in zip(up, down, strict=True)]


@pytest.mark.parametrize("arguments", CASES, ids=lambda a: "-".join(map(str, [*a.keys(), *a.values()])))
def test_hessian_vector_product_equals_finite_differences(arguments):
    model = small(**arguments)
    loss, values = loss_of(model)
    generator = torch.Generator().manual_seed(2)
    # Directions of the size of the weights, so that few rectifications change sign between the two sides.
    direction = [
        torch.randn(v.shape, dtype=v.dtype, generator=generator) * 0.1 * v.abs().mean() for v in values
    ]
    _, product = torch.autograd.functional.hvp(loss, values, tuple(direction))
    expected = finite_difference_hvp(loss, values, direction)
    scale = max(float(e.abs().max()) for e in expected)
    assert scale > 1e-4  # the second derivative is not 0
    for found, wanted in zip(product, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5 * scale)


def test_hessian_is_symmetric():
    model = small(recurrence_type="depthwise", train_tau=True)
    loss, values = loss_of(model)
    part = [i for i, v in enumerate(values) if v.numel() <= 36][:4]

    def of_part(*chosen):
        every = list(values)
        for i, value in zip(part, chosen, strict=True):
            every[i] = value
        return loss(*every)

    blocks = torch.autograd.functional.hessian(of_part, tuple(values[i] for i in part))
    sizes = [values[i].numel() for i in part]
    rows = [
        torch.cat([block.reshape(n, m) for block, m in zip(row, sizes, strict=True)], dim=1)
        for row, n in zip(blocks, sizes, strict=True)
    ]
    whole = torch.cat(rows)
    torch.testing.assert_close(whole, whole.T, rtol=1e-8, atol=1e-12)
    assert float(whole.abs().max()) > 1e-3


@pytest.mark.parametrize("arguments", OTHER_PATHS, ids=str)
def test_torch_func_equals_autograd(arguments):
    model = small(**arguments)
    loss, values = loss_of(model)
    expected = first_gradient(loss, values)
    found = grad(loss, argnums=tuple(range(len(values))))(*values)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    direction = tuple(torch.randn_like(v) for v in values)
    _, along = jvp(loss, values, direction)
    wanted = sum((g * d).sum() for g, d in zip(expected, direction, strict=True))
    torch.testing.assert_close(along, wanted, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("arguments", OTHER_PATHS, ids=str)
def test_each_image_by_itself(arguments):
    model = small(**arguments).eval()
    x = torch.randn(3, 1, 6, 6, dtype=torch.float64)
    each = vmap(lambda image: model(image[None])[0])(x)
    torch.testing.assert_close(each, model(x), rtol=1e-10, atol=1e-12)


def test_gradient_of_each_image():
    model = small()
    x = torch.randn(3, 1, 6, 6, dtype=torch.float64)
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(parameters, image):
        return functional_call(model, parameters, (image[None],)).square().sum()

    each = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
    for i in range(3):
        alone = grad(loss)(parameters, x[i])
        for name, value in alone.items():
            torch.testing.assert_close(each[name][i], value, rtol=1e-8, atol=1e-12)


def test_forward_mode_of_images():
    model = small()
    x, direction = torch.randn(2, 2, 1, 6, 6, dtype=torch.float64)
    _, along = jvp(model, (x,), (direction,))
    eps = 1e-6
    with torch.no_grad():
        wanted = (model(x + eps * direction) - model(x - eps * direction)) / (2 * eps)
    torch.testing.assert_close(along, wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ["DyRCNNx2", "CORnetRT"])
def test_export_with_a_batch_of_any_size(name):
    torch.manual_seed(0)
    model = create(name, input_dims=(3, 1, 32, 32), n_classes=3).eval()
    batch = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(model, (torch.randn(4, 1, 32, 32),), dynamic_shapes=({0: batch},))
    for n in (2, 7):
        x = torch.randn(n, 1, 32, 32)
        torch.testing.assert_close(exported.module()(x), model(x), rtol=1e-4, atol=1e-5)

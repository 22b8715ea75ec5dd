"""Closed forms of components: supralinearity, the topographic sheet, connections, parameter counts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dynvision.functional.maps import from_sheet, supralinear, to_sheet
from dynvision.model_components import LocalLateralConnection, RecurrentConnectedConv2d, Skip, SupraLinearity
from dynvision.models import create


def test_supralinear_values_and_finite_gradients():
    x = torch.tensor([0.5, 1.0, 2.0, -1.0, 0.0], dtype=torch.float64)
    expected = torch.tensor([0.2297, 0.8, 2.7858, -0.8, 0.0], dtype=torch.float64)
    torch.testing.assert_close(SupraLinearity(n=1.8, k=0.8)(x), expected, rtol=0, atol=5e-5)
    for n in (0.5, 1.8):
        extreme = torch.tensor([0.0, 1e30, -1e30], requires_grad=True)
        y = supralinear(extreme, n, 0.8)
        y.sum().backward()
        assert y.isfinite().all() and extreme.grad.isfinite().all()


@pytest.mark.parametrize(("f", "height", "width"), [(2, 3, 4), (3, 1, 5), (4, 2, 2)])
def test_sheet_round_trip(f, height, width):
    x = torch.randn(2, f * f, height, width)
    assert torch.equal(from_sheet(to_sheet(x), f * f), x)


def test_equal_features_of_neighbours_touch_on_the_sheet():
    x = torch.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 2, 2)  # feature k everywhere k, f = 2
    expected = [[0, 1, 1, 0], [2, 3, 3, 2], [2, 3, 3, 2], [0, 1, 1, 0]]
    assert to_sheet(x)[0, 0].tolist() == expected


def test_local_operator_by_brute_force():
    """2 x 2 locations, each a tile of 4 x 4 features: the convolution written out feature by feature."""
    torch.manual_seed(0)
    f, side = 4, 2
    operator = LocalLateralConnection(f * f).double()
    x = torch.randn(1, f * f, side, side, dtype=torch.float64)
    n = f * side

    def place(row, column, feature):  # where a feature of a location lies on the sheet
        a, b = divmod(feature, f)
        a = f - 1 - a if row % 2 else a
        b = f - 1 - b if column % 2 else b
        return row * f + a, column * f + b

    sheet = {
        place(row, column, k): x[0, k, row, column]
        for k in range(f * f)
        for row in range(side)
        for column in range(side)
    }
    mirrored = lambda i: -i if i < 0 else 2 * (n - 1) - i if i >= n else i  # noqa: E731
    weight, expected = operator.conv.weight[0, 0], torch.empty_like(x)
    for k in range(f * f):
        for row in range(side):
            for column in range(side):
                y, z = place(row, column, k)
                around = [
                    weight[i + 1, j + 1] * sheet[mirrored(y + i), mirrored(z + j)]
                    for i in (-1, 0, 1)
                    for j in (-1, 0, 1)
                ]
                expected[0, k, row, column] = sum(around) + operator.conv.bias[0]
    torch.testing.assert_close(operator(x), expected)


@pytest.mark.parametrize("size", [(3, 5), (8, 8), (20, 13)])
def test_resizing_commutes_with_the_convolution_of_a_connection(size):
    connection = Skip("V1", 4, 7, size).double()
    torch.nn.init.normal_(connection.conv.weight)
    r = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    convolved_first = F.interpolate(connection.conv(r), size=size, mode="nearest")
    resized_first = connection.conv(F.interpolate(r, size=size, mode="nearest"))
    torch.testing.assert_close(convolved_first, resized_first)
    torch.testing.assert_close(connection.transform(r), convolved_first)
    x = torch.randn(2, 7, *size, dtype=torch.float64)
    torch.testing.assert_close(connection(x, r), x + convolved_first)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_convolution_of_one_pixel_has_a_defined_gradient_in_bfloat16(kernel, stride):
    """oneDNN leaves entries of this gradient undefined, those of the kernel that see padding alone."""
    conv = RecurrentConnectedConv2d(64, 144, kernel, stride, recurrence_type="none")
    x = torch.randn(2, 64, 1, 1)
    expected = conv.conv(x)
    torch.testing.assert_close(conv(x), expected)
    (exact,) = torch.autograd.grad(expected.sum(), conv.conv.weight)
    for _ in range(20):
        torch.full_like(exact, 1e20, dtype=torch.bfloat16)  # leaves something behind in memory
        with torch.autocast("cpu", torch.bfloat16):
            (gradient,) = torch.autograd.grad(conv(x).sum(), conv.conv.weight)
        torch.testing.assert_close(gradient, exact, rtol=0.02, atol=0.02)


COUNTS = [
    ("DyRCNNx8", {}, 8_534_794),
    ("DyRCNNx8", {"recurrence_type": "none"}, 5_136_384),
    ("DyRCNNx8", {"recurrence_type": "depthpointwise"}, 5_518_540),
    ("DyRCNNx8", {"recurrence_type": "pointdepthwise"}, 5_518_540),
    ("DyRCNNx8", {"recurrence_type": "local"}, 5_136_456),
    ("DyRCNNx8", {"recurrence_type": "localdepthwise"}, 5_147_410),
    ("DyRCNNx8", {"recurrence_target": "input"}, 6_775_187),
    ("DyRCNNx8", {"skip": False}, 8_534_794 - 93_345),
    ("DyRCNNx8", {"feedback": "additive"}, 8_534_794 + 92_768),
    ("DyRCNNx8", {"recurrence_type": "self"}, 5_136_384 + 4 + 4),
    ("DyRCNNx4", {}, 1_164_950),
    ("DyRCNNx4", {"recurrence_type": "none"}, 394_352),
    ("DyRCNNx4", {"recurrence_type": "depthpointwise"}, 485_168),
    ("DyRCNNx4", {"recurrence_type": "local"}, 394_408),
    ("DyRCNNx4", {"recurrence_type": "localdepthwise"}, 399_178),
    ("DyRCNNx4", {"recurrence_type": "self"}, 394_352 + 4 + 4),
    ("DyRCNNx2", {}, 72_806),
    ("DyRCNNx2", {"recurrence_type": "none"}, 24_178),
]


@pytest.mark.parametrize(("name", "arguments", "count"), COUNTS)
def test_number_of_parameters(name, arguments, count):
    channels, size = (1, 28) if name == "DyRCNNx2" else (3, 32)
    model = create(name, input_dims=(20, channels, size, size), n_classes=10, **arguments)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count

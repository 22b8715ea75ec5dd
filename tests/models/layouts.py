"""Random weights in the published layouts: every name and shape that a published checkpoint holds."""

from __future__ import annotations

import torch


class Layout:
    """Collects random float64 weights by name."""

    def __init__(self, seed=0):
        self.weights = {}
        self.generator = torch.Generator().manual_seed(seed)

    def random(self, *shape):
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def conv(self, name, c_out, c_in, kernel, bias=True):
        self.weights[f"{name}.weight"] = self.random(c_out, c_in, kernel, kernel) * (
            1.4 / (c_in * kernel**2) ** 0.5
        )
        if bias:
            self.weights[f"{name}.bias"] = 0.1 * self.random(c_out)

    def norm(self, name, channels, batch=False):
        self.weights[f"{name}.weight"] = 1.0 + 0.1 * self.random(channels)
        self.weights[f"{name}.bias"] = 0.3 * self.random(channels)
        if batch:
            self.weights[f"{name}.running_mean"] = 0.1 * self.random(channels)
            self.weights[f"{name}.running_var"] = 1.0 + 0.1 * self.random(channels).abs()
            self.weights[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def linear(self, name, c_out, c_in):
        self.weights[f"{name}.weight"] = self.random(c_out, c_in) / c_in**0.5
        self.weights[f"{name}.bias"] = 0.1 * self.random(c_out)

    def normalised(self, name, c_out, c_in, kernel=None):
        shape = (c_in,) if kernel is None else (c_in, kernel, kernel)
        fan_in = torch.Size(shape).numel()
        g = (0.5 + self.random(c_out, *[1] * len(shape)).abs()) / fan_in**0.5
        self.weights[f"{name}.parametrizations.weight.original0"] = g
        self.weights[f"{name}.parametrizations.weight.original1"] = self.random(c_out, *shape)


CORNET_AREAS = (  # name, channels in and out, size of the kernel
    ("V1", 3, 64, 7),
    ("V2", 64, 128, 3),
    ("V4", 128, 256, 3),
    ("IT", 256, 512, 3),
)


def cornet_z(classes):
    layout = Layout()
    for area, c_in, c_out, kernel in CORNET_AREAS:
        layout.conv(f"{area}.conv", c_out, c_in, kernel)
    layout.linear("decoder.linear", classes, 512)
    return layout.weights


def cornet_rt(classes):
    layout = Layout()
    for area, c_in, c_out, kernel in CORNET_AREAS:
        layout.conv(f"{area}.conv_input", c_out, c_in, kernel)
        layout.norm(f"{area}.norm_input", c_out)
        layout.conv(f"{area}.conv1", c_out, c_out, 3, bias=False)
        layout.norm(f"{area}.norm1", c_out)
    layout.linear("decoder.linear", classes, 512)
    return layout.weights


def cornet_s(classes, channels=(64, 128, 256, 512)):
    layout = Layout()
    layout.conv("V1.conv1", channels[0], 3, 7, bias=False)
    layout.norm("V1.norm1", channels[0], batch=True)
    layout.conv("V1.conv2", channels[0], channels[0], 3, bias=False)
    layout.norm("V1.norm2", channels[0], batch=True)
    for k, (area, times) in enumerate((("V2", 2), ("V4", 4), ("IT", 2))):
        c_in, c = channels[k], channels[k + 1]
        layout.conv(f"{area}.conv_input", c, c_in, 1, bias=False)
        layout.conv(f"{area}.skip", c, c, 1, bias=False)
        layout.norm(f"{area}.norm_skip", c, batch=True)
        layout.conv(f"{area}.conv1", 4 * c, c, 1, bias=False)
        layout.conv(f"{area}.conv2", 4 * c, 4 * c, 3, bias=False)
        layout.conv(f"{area}.conv3", c, 4 * c, 1, bias=False)
        for t in range(times):
            layout.norm(f"{area}.norm1_{t}", 4 * c, batch=True)
            layout.norm(f"{area}.norm2_{t}", 4 * c, batch=True)
            layout.norm(f"{area}.norm3_{t}", c, batch=True)
    layout.linear("decoder.linear", classes, channels[3])
    return layout.weights


def cordsnet(depth, classes, sizes, channels=(64, 64, 128, 128, 256, 256, 512, 512)):
    """``sizes``: height and width of the maps of each area."""
    layout = Layout()
    layout.normalised("inp_conv", channels[0], 3, 7)
    layout.normalised("inp_skip", channels[0], channels[0], 3)
    for k in range(depth):
        c_in, c = channels[max(k - 1, 0)], channels[k]
        layout.normalised(f"area_conv.{k}", c, c, 3)
        layout.weights[f"conv_bias.{k}"] = 0.3 * layout.random(c, *sizes[k])
        layout.normalised(f"area_area.{k}", c, c_in, 3)
    for k in range(depth // 2 - 1):
        layout.normalised(f"skip_area.{k}", channels[2 * k + 2], channels[2 * k], 1)
    layout.normalised("out_fc", classes, channels[depth - 1])
    layout.weights["out_fc.bias"] = 0.1 * layout.random(classes)
    return layout.weights

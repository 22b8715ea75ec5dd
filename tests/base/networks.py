"""Small networks for the tests, and what they do."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dynvision.base import CoreModel
from dynvision.model_components import Feedback, RecurrentConnectedConv2d, Skip


class Chain(CoreModel):
    """Three layers A, B, C of one unit each, without leak or nonlinearity; every weight is 1 unless it is cut.

    Args:
        cut: names of layers whose feedforward weight is 0.
        bias: of every layer.
        t_recurrence, t_skip, t_feedback: delays in ms of the recurrence of A, the skip A to C and the feedback C to A;
            None leaves the connection out.
    """

    def __init__(self, cut=(), bias=0.0, t_recurrence=None, t_skip=None, t_feedback=None, **kwargs):
        self.cut, self.bias = cut, bias
        self.delays = (t_recurrence, t_skip, t_feedback)
        super().__init__(n_classes=1, **kwargs)
        self.double()

    def _define_architecture(self):
        t_recurrence, t_skip, t_feedback = self.delays
        self.layer_names = ["A", "B", "C"]
        self.layer_operations = ["layer", "addskip", "addfeedback", "record", "delay"]
        for layer in self.layer_names:
            recurrence = "self" if layer == "A" and t_recurrence is not None else "none"
            conv = RecurrentConnectedConv2d(
                1, 1, 1, recurrence_type=recurrence, t_recurrence=t_recurrence or self.dt, dt=self.dt
            )
            self.add_module(layer, conv)
        if t_skip is not None:
            self.addskip_C = Skip("A", 1, 1, (1, 1), t_skip, self.dt)
        if t_feedback is not None:
            self.addfeedback_A = Feedback("C", 1, 1, (1, 1), t_feedback, self.dt)
        self.classifier = nn.Linear(1, 1)

    optional_operations = ("addskip", "addfeedback")

    @torch.no_grad()
    def _init_parameters(self):
        for name, parameter in self.named_parameters():
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        for layer in self.layer_names:
            getattr(self, layer).conv.bias.fill_(self.bias)
            if layer in self.cut:
                getattr(self, layer).conv.weight.zero_()
        self.classifier.bias.fill_(self.bias)


@torch.no_grad()
def randomize(model: nn.Module, seed: int = 0, gain: float = 1.0) -> nn.Module:
    """Random weights of sd ``gain / sqrt(fan in)`` and biases of sd 0.1, so that every path matters."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if "log_tau" in name or "learned_delay" in name:
            continue
        sd = gain / (p[0].numel() ** 0.5) if p.dim() > 1 else 0.1
        p.copy_(sd * torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return model


def recorded(model, x, **kwargs) -> tuple[Tensor, dict[str, dict[int, Tensor]]]:
    """Outputs, and by layer the activity (B, C, H, W) of each step at which the layer was active."""
    activity: dict[str, dict[int, Tensor]] = {layer: {} for layer in model.chain}

    def observe(layer, frames):
        for k, step in enumerate(frames.steps()):
            activity[layer][frames.first + k] = step.detach()

    return model(x, observer=observe, **kwargs), activity


def watched(model, x, quantities):
    """Outputs, and everything that was told by quantity, layer and step."""
    told = {}

    def listener(quantity):
        def listen(layer, frames):
            for k, step in enumerate(frames.steps()):
                assert (quantity, layer, frames.first + k) not in told
                told[quantity, layer, frames.first + k] = step

        return listen

    return model(x, watch={quantity: listener(quantity) for quantity in quantities}), told

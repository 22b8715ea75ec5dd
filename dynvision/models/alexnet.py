"""AlexNet: five convolutions and three linear layers, stateless or with a recurrence in each convolutional layer.

    conv1   64 channels, 11 x 11, stride 4    max-pool 3/2        conv4   256 channels, 3 x 3
    conv2  192 channels,  5 x 5               max-pool 3/2        conv5   256 channels, 3 x 3    max-pool 3/2
    conv3  384 channels,  3 x 3               then average pool to 6 x 6, 4096, 4096, classes

Source: Krizhevsky (2014), arXiv:1404.5997 (the one-column network, "One weird trick"), with the layout, the names of the
weights and the initialisation of torchvision's ``alexnet``: its state dict loads as it is. What differs: images of any size
from 63 px, any number of channels and classes; the recurrent variants (``dynvision.base.configured_model``) are ours.
"""

from __future__ import annotations

from torch import Tensor, nn

from dynvision.base.configured_model import OptionallyRecurrent
from dynvision.config.published_models import AlexNetArgs
from dynvision.errors import InputError

SMALLEST = 63  # px that leave something to the last pooling


class AlexNet(OptionallyRecurrent):
    """AlexNet in time. The arguments are those of :class:`dynvision.config.AlexNetArgs` and of the base classes."""

    schema = AlexNetArgs

    def _define_architecture(self) -> None:
        if min(self.height, self.width) < SMALLEST:
            raise InputError(
                f"AlexNet needs images of at least {SMALLEST} px, not {self.height} x {self.width}; "
                "raise data.resolution"
            )
        self.features = nn.Sequential(
            nn.Conv2d(self.n_channels, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        width = self.args.classifier_width
        self.classifier = nn.Sequential(
            nn.Dropout(self.args.dropout), nn.Linear(256 * 6 * 6, width), nn.ReLU(),
            nn.Dropout(self.args.dropout), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, self.n_classes),
        )  # fmt: skip
        self.layer_names = [f"conv{number}" for number in range(1, 6)]
        self.layer_operations = self.operations(["layer"])
        self.module_paths = {}
        for layer, index in zip(self.layer_names, (0, 3, 6, 8, 10), strict=True):
            self.module_paths[layer] = [f"features.{index}"]
            self.module_paths[f"nonlin_{layer}"] = [f"features.{index + 1}"]
            conv = self.features[index]
            assert isinstance(conv, nn.Conv2d)
            self.add_dynamics(layer, conv.in_channels, conv.out_channels)
        for layer, index in {"conv1": 2, "conv2": 5, "conv5": 12}.items():
            self.module_paths[f"pool_{layer}"] = [f"features.{index}"]

    def read_out(self, signal: Tensor) -> Tensor:
        """Outputs from the last layer's signal: (n B, 256, H, W) to (n B, n_classes)."""
        return self.classifier(self.avgpool(signal).flatten(1))

"""CORnet-Z: four areas of one convolution each, the smallest network of its family, without recurrence.

    r_l(t) = maxpool( Phi( W_l * r_{l-1}(t) + b_l ) ),   Phi = max(., 0)          r_0(t) the image frame at t

Source: Kubilius et al. (2018), bioRxiv 10.1101/408385; public weights ``cornet_z``. The numbers are those of the
published network. What differs: every frame of a video is seen for itself, and the logits come for each step.
"""

from __future__ import annotations

from torch import nn

from dynvision.base.configured_model import ConfiguredModel
from dynvision.config.published_models import CORnetArgs

# area, channels, kernel, stride
AREAS = (("V1", 64, 7, 2), ("V2", 128, 3, 1), ("V4", 256, 3, 1), ("IT", 512, 3, 1))


class CORnetZ(ConfiguredModel):
    """CORnet-Z (Kubilius et al. 2018): V1, V2, V4 and IT, each a convolution, rectification and pooling.

    Args:
        input_dims: (T, C, H, W) or (C, H, W); published at (3, 224, 224).
        n_classes: number of classes; published with 1000.
        **kwargs: the keys of :class:`dynvision.config.CORnetArgs` and of the base classes.
    """

    schema = CORnetArgs
    published_names = (
        (r"(V1|V2|V4|IT)\.conv\.(.+)", r"\1.\2"),
        (r"decoder\.linear\.(.+)", r"classifier.\1"),
    )

    def _define_architecture(self) -> None:
        self.layer_names = [name for name, *_ in AREAS]
        self.layer_operations = ("layer", "nonlin", "pool", "record", "delay")
        in_channels = self.n_channels
        for name, published, kernel, stride in AREAS:
            channels = self._scaled(published)
            self.add_module(name, nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2))
            in_channels = channels
        self.nonlin = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.classifier = nn.Linear(in_channels, self.n_classes)

    def _init_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

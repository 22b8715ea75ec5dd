"""The retinal bottleneck: two convolutions with few output channels before the cortex.

    9 x 9 convolution to 36 channels, rectification, 9 x 9 convolution to 18 channels (linear), same size

Source: Lindsey, Ocko, Ganguli & Deny (2019), ICLR, section 2.1.
"""

from __future__ import annotations

from torch import Tensor, nn

from dynvision.model_components.conv import check_kernel


class Retina(nn.Module):
    """Args: in_channels of the image; mid_channels, out_channels of the two convolutions; kernel_size, odd."""

    def __init__(
        self, in_channels: int = 3, mid_channels: int = 36, out_channels: int = 18, kernel_size: int = 9
    ) -> None:
        super().__init__()
        check_kernel(kernel_size, odd=True)
        self.out_channels = out_channels
        self.conv = nn.Conv2d(in_channels, mid_channels, kernel_size, padding=kernel_size // 2)
        self.nonlin = nn.ReLU()
        self.conv2 = nn.Conv2d(mid_channels, out_channels, kernel_size, padding=kernel_size // 2)
        for conv in (self.conv, self.conv2):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (B, in_channels, H, W). Returns: (B, out_channels, H, W)."""
        return self.conv2(self.nonlin(self.conv(x)))

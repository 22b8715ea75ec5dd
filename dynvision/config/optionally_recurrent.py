"""Arguments of published feedforward networks, which are stateless until they are given a recurrence."""

from __future__ import annotations

from typing import Literal

from dynvision.config.model import RecurrentArgs
from dynvision.config.section import key

# All but those on the topographic sheet, which need square numbers of channels.
RecurrenceWithoutSheet = Literal[
    "none", "self", "depthwise", "pointwise", "full", "depthpointwise", "pointdepthwise"
]


class OptionallyRecurrentArgs(RecurrentArgs):
    """Leak and recurrence, both there only with a ``recurrence_type`` other than none."""

    recurrence_type: RecurrenceWithoutSheet = key(  # type: ignore[assignment]
        "none",
        "operator from a layer's delayed activity to its own target; none is the published, stateless network",
    )

    @property
    def leaks(self) -> bool:
        """Whether the layers integrate in time."""
        return self.recurrence_type != "none"


class AlexNetArgs(OptionallyRecurrentArgs):
    """AlexNet: five layers of one convolution."""

    recurrence_target: Literal["output", "input"] = key(  # type: ignore[assignment]
        "output", "where the recurrent signal enters the layer"
    )
    classifier_width: int = key(4096, "units of each of the two hidden layers of the classifier", ge=1)
    dropout: float = key(0.5, "dropout before the first two linear layers of the classifier", ge=0, lt=1)


class ResNetArgs(OptionallyRecurrentArgs):
    """ResNet for photographs: four stages of residual blocks, each a layer; `middle` is before a stage's last block."""


class CifarResNetArgs(OptionallyRecurrentArgs):
    """ResNet for images of 32 px: three stages of residual blocks, each a layer; `middle` is before the last block."""

"""The floating-point precision of a run, as its own test had it: Lightning's, by the name in ``training.precision``."""

from __future__ import annotations

import logging

import torch
from pytorch_lightning.plugins.precision import DoublePrecision, MixedPrecision, Precision

logger = logging.getLogger(__name__)


def precision_of(name: str, device: torch.device, use_fp16: bool) -> tuple[str, Precision]:
    """What is computed with, and its name.

    Args:
        name: the run's ``training.precision``.
        device: where it is computed.
        use_fp16: half precision is asked for, which replaces it.
    """
    if use_fp16:
        return "16", Precision()  # autocast is in the context of every inference
    if name == "16-mixed" and device.type == "cpu":
        logger.warning("training.precision=16-mixed needs a GPU; the network computes in 32 bits")
        return "32, since 16-mixed needs a GPU", Precision()
    if name in ("bf16-mixed", "16-mixed"):
        return name, MixedPrecision(name, device.type)  # type: ignore[arg-type]
    return name, DoublePrecision() if name == "64" else Precision()

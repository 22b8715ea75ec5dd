"""What outputs of a network come to, image by image and step by step: guess, confidence, rank of the label, evidence.

The columns are defined in :mod:`dynvision.experiments.tables`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_COLUMN_KINDS = {
    torch.int64: np.int64,
    torch.bool: np.bool_,
    torch.float32: np.float32,
    torch.float64: np.float64,
}
FEW = 16  # classes, fewer than a CPU's vectors have places
NO_GUESS = -1  # of outputs that are not finite: not-a-number is never a class


def outcomes(logits: Tensor, label: Tensor, times_ms: Sequence[float]) -> dict[str, np.ndarray]:
    """Return columns of the table of performance.

    Args:
        logits: outputs, (B, T, K).
        label: class of each image, (B,).
        times_ms: of the samples, evenly spaced, from stimulus onset, (T,).

    Returns:
        (B, T) by column name. Among equally probable classes the first is the more probable one, as in a guess.
    """
    logits = logits.float()
    log_p = _log_softmax(logits)
    p = log_p.exp()
    of_label = label.to(logits.device)[:, None, None].expand(*logits.shape[:2], 1)
    own = p.gather(-1, of_label)
    before = torch.arange(logits.shape[-1], device=logits.device) < of_label[:, :1]
    rank = 1 + ((p > own) | ((p == own) & before)).sum(dim=-1)
    confidence, guess = p.max(dim=-1)
    known = logits.abs().amax(dim=-1) < torch.inf
    guess = guess.where(known, torch.full_like(guess, NO_GUESS))
    rank = rank.where(known, torch.full_like(rank, logits.shape[-1] + 1))
    own, confidence = (values.where(known, torch.nan) for values in (own[..., 0], confidence))
    columns = {
        "guess": guess,
        "correct": guess == of_label[..., 0],
        "confidence": confidence,
        "label_confidence": own,
        "label_rank": rank,
        "entropy_bits": (-(p * log_p).sum(dim=-1) / np.log(2)).where(known, torch.nan),
        "uncertainty": (logits.shape[-1] / (1 + logits.clamp(min=0)).sum(dim=-1)).where(known, torch.nan),
        **_race(p.where(known[..., None], 0.0), times_ms),
        "n_classes": torch.full_like(guess, logits.shape[-1]),
    }
    if logits.device.type == "cpu":
        return {name: values.numpy() for name, values in columns.items()}
    # Whole numbers are below 2^24, so that one copy to the host takes all columns together, exactly.
    copied = torch.stack([values.to(_precise(p)) for values in columns.values()]).cpu().numpy()
    kinds = [_COLUMN_KINDS[values.dtype] for values in columns.values()]
    return {name: own.astype(kind) for name, own, kind in zip(columns, copied, kinds, strict=True)}


def _log_softmax(logits: Tensor) -> Tensor:
    """Return ``logits.log_softmax(dim=-1)``; few classes are many times faster on a CPU along the first axis."""
    if logits.shape[-1] >= FEW:
        return logits.log_softmax(dim=-1)
    return logits.movedim(-1, 0).contiguous().log_softmax(dim=0).movedim(0, -1).contiguous()


def _precise(like: Tensor) -> torch.dtype:
    """Return the type of highest precision that a tensor's device has."""
    return torch.float32 if like.device.type == "mps" else torch.float64


def _race(p: Tensor, times_ms: Sequence[float]) -> dict[str, Tensor]:
    """Return what accumulators of the probabilities hold, one a class, (B, T) by column name.

    Args:
        p: probabilities, (B, T, K); zeros where there are none.
        times_ms: of the samples, (T,).
    """
    dt = times_ms[1] - times_ms[0] if len(times_ms) > 1 else times_ms[0]
    after = torch.tensor([time > 1e-6 for time in times_ms], device=p.device)
    evidence = (p.to(_precise(p)) * (after[:, None] * dt)).cumsum(dim=1)
    first, leader = evidence.max(dim=-1)  # the first of equal ones, as in a guess
    second = evidence.scatter(-1, leader[..., None], 0.0).amax(dim=-1)
    leader = leader.where(first > 0, torch.full_like(leader, NO_GUESS))
    return {"evidence_ms": first, "evidence_lead_ms": first - second, "evidence_guess": leader}

"""What the outputs of a network say about a class, step by step.

p = softmax(z)        guess: argmax p        entropy: H = - sum_k p_k log2 p_k        z: outputs, K classes
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def outcomes(logits: Tensor, label: Tensor) -> dict[str, np.ndarray]:
    """Columns of the table of performance.

    Args:
        logits: outputs, (B, T, K).
        label: class of each image, (B,).

    Returns:
        (B, T) by column name. Among equally probable classes the first is the more probable one, as in a guess.
    """
    logits = logits.float()
    log_p = logits.log_softmax(dim=-1)
    p = log_p.exp()
    of_label = label.to(logits.device)[:, None, None].expand(*logits.shape[:2], 1)
    own = p.gather(-1, of_label)
    before = torch.arange(logits.shape[-1], device=logits.device) < of_label
    rank = 1 + ((p > own) | ((p == own) & before)).sum(dim=-1)
    confidence, guess = p.max(dim=-1)
    columns = {
        "guess": guess,
        "correct": guess == of_label[..., 0],
        "confidence": confidence,
        "label_confidence": own[..., 0],
        "label_rank": rank,
        "entropy_bits": -(p * log_p).sum(dim=-1) / np.log(2),
    }
    return {name: values.cpu().numpy() for name, values in columns.items()}

"""Computing parts of a trial again in the backward pass changes memory, not results."""

from __future__ import annotations

import pytest
import torch

from tests.base.small import SmallTwoStage, build


@pytest.mark.parametrize("segments", [1, 3, 11])
def test_recomputing_segments_changes_no_gradient(segments):
    arguments = {
        "n_timesteps": 11,
        "t_feedforward": 2.0,
        "t_recurrence": 4.0,
        "t_idle": 4.0,
        "feedback": "additive",
    }
    images = torch.randn(2, 2, 10, 10, dtype=torch.float64)
    results = []
    for checkpoint_segments in (0, segments):
        model = build(SmallTwoStage, checkpoint_segments=checkpoint_segments, **arguments)
        outputs = model(images)
        outputs.square().sum().backward()
        results.append((outputs, [p.grad for p in model.parameters()]))
    (plain, plain_grads), (again, again_grads) = results
    torch.testing.assert_close(again, plain, rtol=0, atol=1e-12)
    for ours, theirs in zip(again_grads, plain_grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_fewer_tensors_are_kept(monkeypatch):
    kept = {}
    for segments in (0, 5):
        model = build(SmallTwoStage, n_timesteps=25, checkpoint_segments=segments)
        images = torch.randn(2, 2, 10, 10, dtype=torch.float64)
        sizes: dict[int, int] = {}

        def pack(tensor, sizes=sizes):
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            outputs = model(images)
        kept[segments] = sum(sizes.values())
        del outputs
    assert kept[5] < 0.5 * kept[0]

"""Activity of a model for an array of images: every value, at its time and unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dynvision.analysis import extract_responses
from dynvision.errors import InputError
from dynvision.models import create

IMAGES = torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(1)
    return create("DyRCNNx2", input_dims=(6, 1, 16, 16), n_classes=3)


def test_every_value_is_what_the_model_stores(model: Any) -> None:
    model.train()
    found = extract_responses(model, IMAGES, labels=[2, 1, 0, 1, 2], batch_size=2)
    assert model.training
    model.eval()
    with torch.no_grad():
        outputs = model(IMAGES, store_responses=True)
    stored = model.get_responses()
    assert found["time_ms"].values.tolist() == [2.0 * (k + 1) for k in range(outputs.shape[1])]
    assert found["label"].values.tolist() == [2, 1, 0, 1, 2]
    assert set(found["layer"].values) == {*model.chain, model.classifier_name}
    for layer in model.chain:
        part = found["response"].isel(unit=np.flatnonzero(found["layer"].values == layer))
        places = (part["channel"].values, part["row"].values, part["column"].values)
        expected = stored[layer].numpy()[:, :, *places].transpose(0, 2, 1)
        np.testing.assert_allclose(part.values, expected, rtol=0, atol=1e-6)
    classes = found["response"].isel(unit=np.flatnonzero(found["layer"].values == model.classifier_name))
    np.testing.assert_allclose(classes.values, outputs.numpy().transpose(0, 2, 1), rtol=0, atol=1e-6)


def test_times_layers_and_units_are_chosen(model: Any) -> None:
    whole = extract_responses(model, IMAGES)
    part = extract_responses(
        model, IMAGES.numpy(), ["layer2"], times_ms=[4, 10], n_units=7, seed=5, names=list("abcde")
    )
    assert dict(part.sizes) == {"presentation": 5, "unit": 7, "time_ms": 2}
    assert part["time_ms"].values.tolist() == [4.0, 10.0] and part["image"].values.tolist() == list("abcde")
    for i in range(7):
        unit = part.isel(unit=i)
        same = [whole[name].values == unit[name].item() for name in ("layer", "channel", "row", "column")]
        (at,) = np.flatnonzero(np.logical_and.reduce(same))
        expected = whole["response"].isel(unit=at).sel(time_ms=[4.0, 10.0]).values
        np.testing.assert_allclose(unit["response"].values, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"layers": ["V5"]}, "unknown layer 'V5'"),
        ({"times_ms": [3.0]}, "times_ms holds 3"),
        ({"times_ms": [0.0]}, "times_ms holds 0"),
        ({"times_ms": [float("nan")]}, "times_ms holds nan"),
        ({"times_ms": [4000.0]}, "times_ms holds 4000"),
        ({"labels": [1]}, "labels has 1 entries for 5 images"),
        ({"names": ["a"]}, "names has 1 entries for 5 images"),
        ({"n_units": 0, "layers": ["layer1"]}, "n_units=0 units of layer1 must be at least 1"),
        ({"batch_size": 0}, "batches of 0"),
    ],
)
def test_what_cannot_be_extracted_is_one_sentence(model: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        extract_responses(model, IMAGES, **given)

"""Published names become a model's own; what is not known keeps its name."""

from __future__ import annotations

import torch

from dynvision.base.architecture import Architecture


class Published(Architecture):
    published_names = ((r"area(\d)\.conv\.(.*)", r"layer\1.\2"), (r"decoder\.(.*)", r"classifier.\1"))


def test_names_are_replaced_and_values_kept():
    published = {
        "area1.conv.weight": torch.ones(1),
        "decoder.bias": torch.zeros(2),
        "other.decoder.bias": torch.ones(3),
    }
    own = Published.translate_pretrained_layer_names(published)
    assert list(own) == ["layer1.weight", "classifier.bias", "other.decoder.bias"]
    assert all(ours is theirs for ours, theirs in zip(own.values(), published.values(), strict=True))


def test_a_class_without_a_published_layout_keeps_all_names():
    published = {"anything.weight": torch.ones(1)}
    assert Architecture.translate_pretrained_layer_names(published) == published

"""The page on neurons: its examples run and print what they say, and everything that there is is on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dynvision.neurons

PAGE = (Path(__file__).parents[2] / "docs" / "neurons.md").read_text(encoding="utf-8")


def test_examples_print_what_they_say(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec("\n".join(blocks), names)
    said = re.findall(r"^print\(.*\) +# (\[.*?\]|[\w.]+(?:\(\[\d+\]\))?)", "\n".join(blocks), re.MULTILINE)
    assert len(said) == 7 and capsys.readouterr().out.split("\n")[:-1] == said
    assert names["state"].shape == (8, 16) and len(names["half"]) == 4
    assert names["neuron"].state == pytest.approx(0.0025)


def test_every_name_is_on_the_page():
    assert [name for name in dynvision.neurons.__all__ if f"`{name}`" not in PAGE] == []
    assert all(getattr(dynvision.neurons, name).__doc__ for name in dynvision.neurons.__all__)

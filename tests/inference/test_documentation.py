"""The page runs as it stands, and its table has every key."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dynvision.inference import InferenceConfig, get_model_manager

PAGE = (Path(__file__).parents[2] / "docs" / "inference.md").read_text()


def test_the_code_of_the_page(digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(digits_run.parents[1], tmp_path / "results")
    (tmp_path / "results" / "runs" / digits_run.name).rename(tmp_path / "results" / "runs" / "RUN")
    for name in ("cat.png", "dog.jpg"):
        Image.fromarray(np.eye(20, dtype=np.uint8) * 200).save(name)
    torch.save({"weight": torch.ones(1, 3), "bias": torch.zeros(1)}, "regression.pt")
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    model = names["Regression"](InferenceConfig(device={"device_type": "cpu"}))  # type: ignore[operator]
    model.load_model("regression.pt")
    assert model.predict([1.0, 2.0, 3.0]) == 6.0
    assert get_model_manager().list_models() == []


def test_every_key_is_explained_with_its_default() -> None:
    config = InferenceConfig()
    for section in type(config).model_fields:
        for name, field in type(getattr(config, section)).model_fields.items():
            row = f"| `{section}.{name}` | {field.default} | {field.description}"
            assert row in PAGE

"""What a workflow has written, read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

# How to read a file of each kind; a file that is half cannot be read. What differs between equal calls is left out.
READERS: dict[str, Callable[[Path], Any]] = {
    ".yaml": lambda path: yaml.safe_load(path.read_text()),
    ".json": lambda path: {
        name: value for name, value in json.loads(path.read_text()).items() if name not in ("seconds", "date")
    },
    ".csv": lambda path: pd.read_csv(path).drop(columns="seconds", errors="ignore").to_csv(),
    ".parquet": lambda path: pd.read_parquet(path).to_csv(),
    ".safetensors": lambda path: {name: tensor.tolist() for name, tensor in load_file(path).items()},
    ".ckpt": lambda path: torch.load(path, weights_only=True)["epoch"],
    ".png": lambda path: Image.open(path).convert("RGB").tobytes(),
    ".svg": lambda path: len(list(ElementTree.parse(path).iter())),
    ".html": lambda path: path.read_text().rstrip().endswith("</html>"),
}


def contents(folder: Path) -> dict[str, Any]:
    """Everything below a folder, or the file itself, that has a final name, read."""
    paths = [folder] if folder.is_file() else folder.rglob("[!.]*.*")
    return {
        path.relative_to(folder).as_posix(): READERS[path.suffix](path)
        for path in paths
        if path.suffix in READERS
    }

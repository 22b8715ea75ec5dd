"""Equal hashes, equal inputs: whatever differs in content differs in its hash, and objects of equal content agree."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dynvision.inference.cache import input_hash

STRUCTURES = [  # two bytes each, whose fields lie in order, in reverse, or one in the other
    np.array([1, 2], np.uint8).view(np.dtype({"names": names, "formats": formats, "offsets": offsets}))
    for names, formats, offsets in (
        (["a", "b"], ["u1", "u1"], [0, 1]),
        (["a", "b"], ["u1", "u1"], [1, 0]),
        (["b", "a"], ["u1", "u1"], [0, 1]),
        (["a", "b"], ["u2", "u1"], [0, 1]),
        (["a", "b"], ["u2", "u1"], [0, 0]),
        (["a", "b"], [">u2", "u1"], [0, 0]),
    )
]


def test_different_inputs_have_different_hashes(tmp_path: Path) -> None:
    grey = np.arange(4, dtype=np.uint8).reshape(2, 2)
    turned, palette = Image.fromarray(grey), Image.fromarray(grey).convert("P")
    turned.getexif()[0x0112] = 6
    other_palette = palette.copy()
    other_palette.putpalette([9, 9, 9] * 4)
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    inputs = [
        grey, grey.reshape(4), grey.reshape(1, 4), grey.astype(np.int8), grey + 1, torch.from_numpy(grey),
        Image.fromarray(grey), Image.fromarray(grey).convert("RGB"), turned, palette, other_palette,
        tmp_path / "a", tmp_path / "b", "a", b"a", ["a"], ("a",), [["a"]], ["a", "b"], ["ab"], {"a": 1}, {"a": 1.0},
        None, 0, 0.0, False, "None", [], {}, *STRUCTURES,
    ]  # fmt: skip
    hashes = [input_hash(each) for each in inputs]
    assert all(hashes)
    for (one, a), (other, b) in itertools.combinations(zip(inputs, hashes, strict=True), 2):
        assert a != b, (one, other)


def test_equal_inputs_have_equal_hashes() -> None:
    values = np.arange(6.0).reshape(2, 3)
    assert input_hash(values) == input_hash(values.T.copy().T)
    assert input_hash(torch.from_numpy(values)) == input_hash(torch.from_numpy(values.T.copy()).T)
    assert input_hash({"a": [1, values]}) == input_hash({"a": [1, values.copy()]})
    assert input_hash(Image.fromarray(values.astype(np.uint8))) == input_hash(
        Image.fromarray(values.astype(np.uint8))
    )


def test_a_file_is_what_it_holds_now(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(b"1")
    before = input_hash(path)
    path.write_bytes(b"2")
    assert input_hash(path) != before


def test_what_is_not_known_is_not_hashed() -> None:
    assert input_hash(object()) == input_hash([1, object()]) == input_hash({"a": object()}) == ""
    assert input_hash(np.array([object()])) == ""


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    assert input_hash(tmp_path) == input_hash(str(tmp_path)) == input_hash(tmp_path / "nothing") == ""
    assert input_hash("word" * 5000) == ""  # too long for the file system to say whether it is a path
    assert input_hash("null\0") != ""


def test_odd_types_of_tensors() -> None:
    for dtype in (torch.bool, torch.bfloat16, torch.float16, torch.complex64, torch.int64):
        assert input_hash(torch.zeros(3, dtype=dtype)) != input_hash(torch.ones(3, dtype=dtype))
    assert input_hash(torch.zeros(())) != input_hash(torch.zeros(1))
    assert input_hash(torch.zeros(0, 2)) != input_hash(torch.zeros(0, 3))

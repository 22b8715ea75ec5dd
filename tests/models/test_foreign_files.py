"""A file that is no checkpoint is called what it is, by its first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dynvision.cli import main
from dynvision.errors import InputError, unknown_name
from dynvision.models import create
from dynvision.models.weights import read_checkpoint, read_weights
from dynvision.training.checkpoints import last_checkpoint

FILES = {
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "git-lfs pointer"),
    "html": (b"\n<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
    "json": (b'{"message": "Not Found"}', 'a text that begins with \'{"message": "Not Found"}\''),
    "empty": (b"", "an empty file"),
    "zeros": (bytes(4096), "a file of zeros"),
    "image": (b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_checkpoint(
    name: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, kind = FILES[name]
    path = tmp_path / f"cornet{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path} cannot be read.* is .*{kind}"):
        read_checkpoint(path)
    arguments = [
        "weights",
        "import",
        str(path),
        "--model",
        "CORnetRT",
        "--output",
        str(tmp_path / "o.safetensors"),
    ]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert kind in said and said.count("\n") == 1 and "trust" not in said
    assert not (tmp_path / "o.safetensors").exists()


@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_of_ones_own_that_was_replaced(name: str, tmp_path: Path) -> None:
    content, kind = FILES[name]
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(InputError, match=f"last.ckpt cannot be read .it is .*{kind}"):
        last_checkpoint(tmp_path, "run", "images")


def test_a_damaged_file_of_the_right_kind_is_called_damaged(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.zeros(100)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes((tmp_path / "a.pth").read_bytes()[:200])
    (tmp_path / "d.pth").write_bytes(b"PK\x03\x04 and then something else")
    for name in ("b.pth", "d.pth"):  # the first sentence of torch's alone, and whole
        with pytest.raises(
            InputError, match=rf"{name} cannot be read \([^.()]+\); download or save it again"
        ):
            read_checkpoint(tmp_path / name)
    assert list(read_checkpoint(tmp_path / "a.pth")) == ["a.weight"]
    (tmp_path / "c.safetensors").write_bytes(b"\x40" + bytes(7) + b'{"a": \x00')
    with pytest.raises(InputError, match="c.safetensors cannot be read as safetensors"):
        read_weights(tmp_path / "c.safetensors")


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("16", "16-mixed"), ("bf16", "bf16-mixed"), ("BF16", "bf16-mixed"), ("31", "32"), ("64", "64")],
)
def test_the_nearest_name_goes_on_as_it_was_begun(given: str, nearest: str) -> None:
    allowed = ("32", "bf16-mixed", "16-mixed", "64")
    assert f"did you mean {nearest!r}?" in str(unknown_name("value", given, allowed))


@pytest.mark.parametrize("name", ["torch.nn:Linear", "os:getcwd", "torch.nn:functional"])
def test_what_is_no_model_is_not_built(name: str) -> None:
    with pytest.raises(
        InputError, match=f"model_name '{name}': .* is no model; derive a class from dynvision.base"
    ):
        create(name, input_dims=(3, 1, 8, 8), n_classes=3)


def test_a_folder_is_no_checkpoint(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for given in (tmp_path, "."):
        assert main(["weights", "import", str(given), "--model", "DyRCNNx2"]) == 2
        assert (
            capsys.readouterr().err == f"dynvision weights: checkpoint {given} is a folder; give the file\n"
        )


def test_a_run_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["predict", "nowhere", "missing.png", "--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"dynvision predict: no run has been trained in {tmp_path}") and "()" not in said

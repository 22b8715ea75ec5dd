"""What models cost, against counts by hand and published numbers; the table in the documentation is true."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from dynvision.cli import main
from dynvision.config.models import MODELS
from dynvision.errors import InputError
from dynvision.models import create
from dynvision.models.footprint import COUNTS, counts_row, footprint, read_block, replace_block, timing

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
FAST = {
    "DyRCNNx2",
    "DyRCNNx4",
    "DyRCNNx8",
    "AlexNet",
    "ResNet18",
    "ResNet20",
    "CORnetZ",
    "CORnetRT",
    "CORnetS",
    "BL",
}


@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in sorted(MODELS)]
)
def test_the_table_in_the_documentation_is_true(name):
    assert counts_row(footprint(name)) in read_block(PAGE, COUNTS).splitlines()


def test_the_table_has_every_model_once():
    named = [row.split("`")[1] for row in read_block(PAGE, COUNTS).splitlines()[2:]]
    assert named == sorted(MODELS)


def test_counts_by_hand():
    """DyRCNNx2 at 28 px: two convolutions, their recurrences and a skip a step; the image is convolved once a trial."""
    counted = footprint("DyRCNNx2")
    first, second = 28 * 28, 14 * 14
    image, readout = first * 36 * 9, 64 * 10
    recurrent = first * 36 * 36 * 9, second * 64 * 64 * 9
    rest = second * 64 * 36 * 9 + second * 36 * 64
    assert counted.macs_per_step == image + sum(recurrent) + rest + readout
    assert counted.macs_per_image == image + 17 * sum(recurrent) + 20 * (
        rest + readout
    )  # recurrence is heard from 6 ms on
    assert counted.state_values == 3 * (first * 36 + second * 64)  # the last 6 ms
    assert counted.n_parameters == sum(
        p.numel() for p in create("DyRCNNx2", input_dims=(20, 1, 28, 28), n_classes=10).parameters()
    )


@pytest.mark.parametrize(
    ("name", "gmac"), [("AlexNet", 0.71), ("ResNet18", 1.81), ("CORnetZ", 0.81), ("CORnetS", 16.4)]
)
def test_counts_are_the_published_ones(name, gmac):
    counted = footprint(name)
    assert counted.macs_per_image / 1e9 == pytest.approx(gmac, abs=0.006 * gmac + 0.005)
    assert counted.macs_per_image == counted.macs_per_step
    assert counted.state_values == 0


def test_a_measurement_is_positive_and_of_the_model_alone():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(n_threads + 1)
    try:
        measured = timing("DyRCNNx2")
        assert torch.get_num_threads() == n_threads + 1  # nothing has changed here
    finally:
        torch.set_num_threads(n_threads)
    assert measured.milliseconds > 0
    assert 0 < measured.megabytes < 100


def test_an_error_in_a_measurement_is_its_own(monkeypatch):
    def fail(name):
        raise RuntimeError("a layer of another size")

    monkeypatch.setattr("dynvision.models.footprint._typical", fail)
    with pytest.raises(RuntimeError, match="a layer of another size"):
        timing("DyRCNNx2")


def test_a_measurement_that_is_killed_is_one_sentence(monkeypatch):
    monkeypatch.setattr(
        "dynvision.models.footprint._typical", lambda name: os.kill(os.getpid(), signal.SIGKILL)
    )
    with pytest.raises(InputError, match="DyRCNNx2 ended without a result"):
        timing("DyRCNNx2")


def test_the_command_prints_writes_and_checks(tmp_path, capsys):
    assert main(["models", "DyRCNNx2"]) == 0
    printed = capsys.readouterr().out
    assert counts_row(footprint("DyRCNNx2")) in printed
    page = tmp_path / "models.md"
    page.write_text(PAGE.read_text())
    assert main(["models", "DyRCNNx2", "--check", str(page)]) == 0
    replace_block(page, COUNTS, read_block(page, COUNTS).replace("72,806", "72,807"))
    assert page.read_text().replace("72,807", "72,806") == PAGE.read_text()
    assert main(["models", "DyRCNNx2", "CORnetZ", "--check", str(page)]) == 2
    assert capsys.readouterr().err == (
        f"dynvision models: {page} is not true of DyRCNNx2; run 'dynvision models --update {page}'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ResNet19"], "did you mean"),
        (["DyRCNNx2", "--update", "page.md"], "leave out the names"),
        (["DyRCNNx2", "--times", "--check", "page.md"], "leave out --times"),
        (["DyRCNNx2", "--check", "page.md"], "there is no page page.md"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments, message, capsys):
    assert main(["models", *arguments]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1

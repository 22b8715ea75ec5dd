"""Every command explains itself, with units."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from dynvision.cli import COMMANDS, find_command, main
from tests.processes import Outcome, run_forked, run_program

UNITS = {
    "convert": ("px",),
    "train": ("ms", "px"),
    "search": ("ms",),
    "show-trial": ("ms",),
    "experiment": ("ms", "a.u."),
    "analyse": ("ms", "a.u."),
    "compare": ("ms",),
    "predict": ("ms", "px"),
    "serve": ("ms", "s"),
    "export": ("ms",),
    "share": ("ms",),
    "crate": ("ms",),
    "brainscore": ("ms",),
    "neuron": ("ms",),
    "dynamics": ("ms",),
    "scorecard": ("ms",),
    "plot": ("ms", "a.u."),
    "report": ("ms", "a.u."),
    "runs": ("ms", "px"),
    "models": ("px", "ms"),
    "weights": ("ms", "px", "a.u."),
    "config": ("ms", "px"),
    "doctor": ("s",),
    "completion": (),
}


def call(log: Path, *arguments: str) -> Outcome:
    """Run ``dynvision <arguments>`` in a fork."""
    return run_forked(lambda: main([*arguments]), log)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_units(command: str, tmp_path: Path) -> None:
    outcome = call(tmp_path / "log", command, "--help")
    assert outcome.status == 0
    said = " ".join(outcome.said.split())
    for unit in UNITS[command]:
        assert re.search(rf"(?<!\w){re.escape(unit)}(?!\w)", said), unit
    assert f"usage: dynvision {command}" in said


def test_help_lists_the_commands() -> None:
    outcome = run_program("dynvision", "--help")
    assert outcome.status == 0
    for name, summary in COMMANDS.items():
        assert re.search(rf"^    {name} +{re.escape(summary)}$", outcome.said, re.MULTILINE)
    assert "Durations and time constants are in ms." in " ".join(outcome.said.split())


def test_every_option_is_explained() -> None:
    """An option without a sentence beside or below it is one that a user has to guess."""
    for name in COMMANDS:
        parser = argparse.ArgumentParser()
        find_command(name).add_arguments(parser)
        parsers = [parser]
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
        for inner in parsers:
            for action in inner._actions:
                assert action.help or isinstance(action, argparse._SubParsersAction), (
                    name,
                    action.option_strings,
                )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "required: command"),
        (("trian",), "error: unknown command 'trian'; did you mean 'train'?\n"),
        (
            ("weights", "imprt"),
            "error: unknown action 'imprt'; did you mean 'import'? allowed: distributions, import",
        ),
        (
            ("predict", "r", "x.png", "--format", "jsonn"),
            "error: argument --format: unknown value 'jsonn'; did you mean 'json'?",
        ),
        (("train",), "required: --config, --data, --output"),
        (
            ("runs", "--resuls", "x"),
            "dynvision runs: error: unknown option '--resuls'; did you mean '--results'?",
        ),
        (
            ("dynamics", "r", "--device", "cpu"),
            "dynvision dynamics: error: unknown option '--device'; did you mean '--devices'?",
        ),
    ],
)
def test_a_call_that_cannot_be_understood_shows_the_usage(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    outcome = call(tmp_path / "log", *arguments)
    assert outcome.status == 2
    assert outcome.said.startswith("usage: dynvision") and said in outcome.said
    assert "Traceback" not in outcome.said


@pytest.mark.parametrize(
    ("command", "listed", "hidden"),
    [
        (
            "experiment",
            {"--loader", "--test-batch-size", "--checkpoint-every"},
            {"--checkpoint-minutes", "--wandb-mode"},
        ),
        (
            "scorecard",
            {"--accelerator", "--num-workers"},
            {"--num-nodes", "--logger", "--strategy", "--devices"},
        ),
        (
            "dynamics",
            {"--accelerator", "--loader"},
            {"--test-batch-size", "--checkpoint-segments", "--num-workers"},
        ),
        ("train", {"--devices", "--logger", "--checkpoint-minutes"}, {"--test-batch-size"}),
    ],
)
def test_help_lists_what_a_command_uses(command: str, listed: set[str], hidden: set[str]) -> None:
    """What a command does not use is accepted, since the workflow gives all, and not listed."""
    parser = argparse.ArgumentParser()
    find_command(command).add_arguments(parser)
    shown = {*re.findall(r"--[a-z-]+", parser.format_help())}
    assert listed <= shown and not hidden & shown
    assert hidden <= {option for action in parser._actions for option in action.option_strings}

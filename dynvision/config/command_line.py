"""What is given on the command line: ``--config key=value ...``, each value read as it would be in a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from dynvision.config.yaml_text import parse
from dynvision.errors import InputError

COMMAND_LINE = "--config"


def given_values(texts: Iterable[str]) -> dict[str, Any]:
    """Return keys and values of texts like ``seed=2`` or ``model_args={tau: 8}``.

    Raises:
        InputError: a text is not ``key=value``, a value is not YAML, or a key is given twice.
    """
    given: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"{text!r} is not key=value, e.g. mode=debug")
        if name in given:
            raise InputError(
                f"{COMMAND_LINE} has the key {name!r} twice; remove one of them, or give it a list"
            )
        given[name] = parse(value, f"the value of {text!r}")
    return given


def check_given_once(arguments: Sequence[str]) -> None:
    """Check that Snakemake was given one ``--config``, since of several it takes the last one alone.

    Args:
        arguments: those of the process, as in ``sys.argv``.

    Raises:
        InputError: there are several.
    """
    options = [text for text in arguments if re.match(r"--config(=|$)|-[npFRqckj]*C", text)]
    if len(options) > 1:
        raise InputError(
            f"{COMMAND_LINE} is given {len(options)} times, and Snakemake takes the last one alone; "
            f"write all values behind one {COMMAND_LINE}: {COMMAND_LINE} model_name=DyRCNNx4 seed=2"
        )

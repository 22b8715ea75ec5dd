"""Every number of the paper stands where it says that it is from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAPER = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
NUMBER = r"\d*(?:[,.]?\d+)+"
# Numbers of the paper, and the line of the page that they are from.
MEASURED = [
    ("benchmarks/README.md", r"\| ours, float32 \| 0\.340 \| 1\.93 \|", ("0.340", "1.93")),
    ("benchmarks/README.md", r"\| DynVision 0\.1\.0, float32 \| 0\.654 \|", ("0.654",)),
    (
        "benchmarks/README.md",
        r"\| DyRCNNx8 \| 32 \| 2\.7 \| 12\.67 \| 6\.8 \| 13\.68 \|",
        ("6.8", "13.68"),
    ),
    (
        "benchmarks/README.md",
        r"\| DyRCNNx4 \| 32 \| 3\.8 \| 13\.09 \| 9\.2 \| 10\.71 \|",
        ("9.2", "10.71"),
    ),
    (
        "benchmarks/README.md",
        r"The targets, 2\.5 times in float32 and 4 times .* are missed",
        ("2.5 times", "4 times"),
    ),
    (
        "docs/training.md",
        r"\| shipped defaults, seed 1 \| 97\.5 % \| 97\.8 % \|",
        ("97.5 %", "97.8 %", "359"),
    ),
    ("docs/cortical.md", r"\| sign tests of responses .*, of 50 \| 49 \| 49 \| 49 \|", ("49, 49, 49", "50")),
    ("docs/cortical.md", r"\| median distance of times .* \| \.40 \| \.46 \| \.40 \|", (".40, .46, .40",)),
    ("docs/cortical.md", r"\| test accuracy \| \.967 \| \.978 \| \.975 \|", (".967, .978, .975",)),
    ("docs/models.md", r"\| `DyRCNNx4` \| 3 x 64 px, 10 \| 20 \| 1,164,950 \|", ("1,164,950",)),
]


@pytest.mark.parametrize(("source", "line", "numbers"), MEASURED)
def test_a_number_is_that_of_its_source(source: str, line: str, numbers: tuple[str, ...]) -> None:
    assert re.search(line, (ROOT / source).read_text(encoding="utf-8")), f"{source} has another number now"
    for number in numbers:
        assert number in PAPER


def test_no_number_of_the_table_is_without_a_source() -> None:
    [table] = re.findall(r"^\| what \| value .*?\n\n", PAPER, re.MULTILINE | re.DOTALL)
    values = [row.split("|")[2] for row in table.splitlines()[2:] if row]
    text = re.sub(r"DyRCNNx\d|(DynVision )?0\.1\.0", "", " ".join(values))
    known = {number for *_, numbers in MEASURED for given in numbers for number in re.findall(NUMBER, given)}
    claimed = set(re.findall(NUMBER, text))
    assert claimed <= known, claimed - known


def test_what_is_cited_is_in_the_references() -> None:
    text, _, references = PAPER.partition("## References")
    for author, year in re.findall(r"(\w+)(?: & \w+| et al\.)? \((\d{4})\)|", text):
        assert not author or re.search(rf"{author}.*\({year}\)", references), author
    for author, years in re.findall(r"[(;] ?(\w+)(?: & \w+| et al\.) ((?:\d{4}(?:, )?)+)", text):
        for year in years.split(", "):
            assert re.search(rf"- {author}.*\({year}\)", references), f"{author} {year}"

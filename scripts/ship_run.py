"""Make a network that ships with the package from the folder of a finished run.

    python scripts/ship_run.py FOLDER NAME "how it was trained, in one command" [SCORECARD.csv]

FOLDER holds config.yaml, model.safetensors and test.json; the network then is NAME for every command that takes a run. The
scorecard and the figure beside it ship as well; `dynvision scorecard NAME --images 20` makes them.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pandas as pd

from dynvision.config.run import RunConfig, read_run_config
from dynvision.config.yaml_text import given_values
from dynvision.errors import InputError
from dynvision.runs import plan_workflow

TRAINED = Path(__file__).parent.parent / "dynvision" / "trained"


def run_of_command(command: str) -> RunConfig:
    """Return the run that a command trains, ``snakemake --config key=value ...``.

    Raises:
        InputError: it is another command, or trains several runs.
    """
    words = shlex.split(command)
    if words[:2] != ["snakemake", "--config"]:
        raise InputError(f"{command!r} must be snakemake --config key=value ..., so that it can be checked")
    runs = list(plan_workflow("config", given_values(words[2:])).runs.values())
    if len(runs) != 1:
        raise InputError(f"{command} trains {len(runs)} runs; one ships in a folder")
    return runs[0]


def scorecard_line(path: Path) -> str:
    """Signs and times of a scorecard, in a sentence."""
    card = pd.read_csv(path)
    signs = card[card["kind"] == "sign"]
    times = card[(card["unit"] == "ms") & card["area"].isin(["V1-V3", "VOTC", "LOTC"])]["distance"].dropna()
    return (
        f"Scorecard on test images: {(signs['verdict'] == 'yes').sum()} of {len(signs)} signs as in cortex and people; "
        f"times of V1-V3, VOTC and LOTC differ by {times.median():.2f} octaves in the median ({len(times)} times)."
    )


def main(folder: str, name: str, command: str, scorecard: str = "") -> None:
    """Copy the files and write the card.

    Raises:
        InputError: the command would train another run.
    """
    source, target = Path(folder), TRAINED / name
    run = read_run_config(source / "config.yaml")
    trained = run_of_command(command)
    if trained.run_id != run.run_id:
        raise InputError(f"{command} trains {trained.run_id}, not {run.run_id}")
    target.mkdir(exist_ok=True)
    copies = {name: source / name for name in ("config.yaml", "test.json", "model.safetensors")}
    if scorecard:
        copies |= {f"scorecard{suffix}": Path(scorecard).with_suffix(suffix) for suffix in (".csv", ".svg")}
    for name_there, path in copies.items():
        if path.resolve() != (target / name_there).resolve():
            shutil.copyfile(path, target / name_there)
    test = json.loads((source / "test.json").read_text())
    lines = [
        f"# {name}",
        "",
        f"{run.model.name}, trained on {run.data.name} for {run.training.epochs} epochs with seed {run.seed}; the "
        f"weights are of epoch {test['epoch']}, the best by {run.training.best_by}. It is the run `{run.run_id}`.",
        "",
        f"- Test accuracy: {100 * test['test_accuracy']:.1f} % of {test['n_images']} images.",
        *([f"- {scorecard_line(Path(scorecard))}"] if scorecard else []),
        f"- Trained by `{command}`; its configuration is in `config.yaml`.",
        f"- Use: images like those of {run.data.name}, {run.data.resolution} px. It says nothing about other images.",
        "- License and citation: those of DynVision, see `LICENSE` and `CITATION.cff`.",
    ]
    (target / "README.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

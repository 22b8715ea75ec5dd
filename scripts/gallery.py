"""Draw the gallery of the documentation from finished results: ``make gallery``, after ``make demo``.

Each figure is drawn by the command that stands below it on the page. What the results do not have is listed at the end
of the page, with the command that computes it. The pictures of the network that ships are drawn from its table.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image

from dynvision.analysis.scorecard import SCORECARD_COLUMNS
from dynvision.cli import main as dynvision
from dynvision.config.visualization import DYNAMICS_FIGURES, EXPERIMENT_FIGURES, RUN_FIGURES, SWEEP_FIGURES
from dynvision.files import atomic_path, write_text
from dynvision.trained import shipped_runs
from dynvision.visualization.save import Drawn, save_figure
from dynvision.visualization.scorecard import scorecard_caption, scorecard_figure
from dynvision.visualization.style import Style

FOLDER = Path("figures") / "gallery"
COMPUTED_BY = {
    "robustness": 'snakemake --config experiment=\'["gaussiannoise", "gaussiannoiseffonly"]\'',
    **dict.fromkeys(SWEEP_FIGURES, "snakemake --config category=rctype"),
    **dict.fromkeys(DYNAMICS_FIGURES, "snakemake dynamics"),
}


def commands(experiment: str) -> dict[str, str]:
    """Return the command of each figure by its name."""
    of_experiment = {
        name: f"dynvision plot --experiment {experiment} --figures {name}"
        for name in (*EXPERIMENT_FIGURES, *SWEEP_FIGURES)
    }
    of_runs = {name: f"dynvision plot --training --figures {name}" for name in RUN_FIGURES}
    of_dynamics = {name: f"dynvision plot --dynamics --figures {name}" for name in DYNAMICS_FIGURES}
    return of_experiment | of_runs | of_dynamics


def draw(command: str, name: str, results: Path, docs: Path) -> str | None:
    """Draw one figure into the documentation; return its caption, or None where the results do not have it."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*shlex.split(command)[1:], "--results", str(results), "--output-dir", folder]
        if dynvision(arguments) != 0:
            return None
        drawn = Path(folder) / f"{name}.png"
        with Image.open(drawn) as image:
            caption = str(image.info["Description"])
        with atomic_path(docs / FOLDER / drawn.name) as temporary:
            temporary.write_bytes(drawn.read_bytes())
    return caption


def shipped_scorecard() -> pd.DataFrame:
    """Return the scorecard of the network that ships; columns that came after it was made are empty."""
    card = pd.read_csv(shipped_runs()["cortical"] / "scorecard.csv")
    return card.reindex(columns=list(dict.fromkeys([*card, *SCORECARD_COLUMNS])))


def draw_shipped(docs: Path) -> None:
    """Draw the scorecard of the network that ships, and its curves beside cortex alone, from the table that ships."""
    card, style = shipped_scorecard(), Style()
    numbers = card[card["kind"] == "number"]
    is_curve = numbers.groupby(["protocol", "name"])["value"].transform("nunique") > 1
    for name, drawn in {"cortical": card, "beside-cortex": numbers[is_curve]}.items():
        with tempfile.TemporaryDirectory() as folder, style.context():
            figure = Drawn(name, scorecard_figure(drawn, style), drawn, scorecard_caption(card))
            picture = save_figure(figure, folder, style)[0].read_bytes()
        with atomic_path(docs / "figures" / f"{name}.png") as temporary:
            temporary.write_bytes(picture)


def page(experiment: str, captions: dict[str, str | None]) -> str:
    """Return the text of the gallery."""
    about = {**EXPERIMENT_FIGURES, **SWEEP_FIGURES, **RUN_FIGURES, **DYNAMICS_FIGURES}
    command = commands(experiment)
    lines = [
        "# Gallery",
        "",
        "What is drawn, with the command that draws it. Written by `make gallery` from finished results, not by",
        "hand. The network is small and was trained for minutes, to show the figures and not a result.",
        "",
    ]
    for name, caption in captions.items():
        if caption is not None:
            image = f"![{about[name].capitalize()}]({(FOLDER / name).as_posix()}.png)"
            lines += [f"## {name}", "", f"    {command[name]}", "", image, "", caption, ""]
    missing = [name for name, caption in captions.items() if caption is None]
    if missing:
        lines += ["## Not in these results", "", "| figure | shows | computed by |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {about[name]} | `{COMPUTED_BY.get(name, command[name])}` |" for name in missing
        ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="finished results")
    parser.add_argument("--experiment", default="contrast", help="the experiment whose figures are drawn")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the documentation")
    given = parser.parse_args()
    if not (given.results / "experiments" / given.experiment).is_dir():
        parser.error(f"{given.results} has no experiment {given.experiment!r}; run 'make demo' first")
    captions = {
        name: draw(command, name, given.results, given.docs)
        for name, command in commands(given.experiment).items()
    }
    write_text(given.docs / "gallery.md", page(given.experiment, captions))
    draw_shipped(given.docs)
    print(
        f"gallery: {sum(caption is not None for caption in captions.values())} figures in {given.docs / FOLDER}"
    )


if __name__ == "__main__":
    main()

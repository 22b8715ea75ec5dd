"""Compare a network's responses in time with a recording in time."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Compare a network's responses with a recording at every pair of times. The network's are the units of an "
        "experiment with save_responses: unit; the recording is a file with the same images. Times are in ms from "
        "stimulus onset. Written: scores.csv (layer, area, model_ms, brain_ms, score, noise ceiling, significance), "
        "lags.csv (by how much the brain follows each layer), and a map of each layer and area."
    )
    parser.add_argument("run", help="a run's id, or a file units.parquet")
    parser.add_argument("--experiment", default="", help="experiment whose units are compared")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="FILE",
        help="*.nc, *.zarr, *.npz, *.csv, or BIDS derivatives",
    )
    parser.add_argument("--method", default="rsa", help="rsa, encoding or cka (default: rsa)")
    parser.add_argument(
        "--distance",
        default="correlation",
        help="RSA: correlation, euclidean or crossnobis (default: correlation)",
    )
    parser.add_argument(
        "--score", default="spearman", help="RSA: spearman, correlation or cosine (default: spearman)"
    )
    parser.add_argument("--layers", nargs="+", metavar="LAYER", help="layers to compare (default: all)")
    parser.add_argument("--areas", nargs="+", metavar="AREA", help="areas to compare (default: all)")
    parser.add_argument(
        "--units", type=int, metavar="N", help="units of each layer, drawn at random (default: all)"
    )
    parser.add_argument(
        "--permutations",
        type=int,
        default=200,
        metavar="N",
        help="shuffles of the images; 0 for none (default: 200)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the units, folds and shuffles (default: 0)")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of results (default: results)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where to write (default: RESULTS/comparisons/RUN/DATA)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Read both sides, compare, write tables and maps.

    Raises:
        InputError: a file or a name cannot be used.
    """
    from dynvision.files import write_text
    from dynvision.recordings import compare, open_responses, read_recording
    from dynvision.visualization.time_maps import save_time_maps

    brain = read_recording(arguments.data)
    model = open_responses(
        arguments.run,
        arguments.experiment,
        arguments.layers,
        arguments.units,
        arguments.seed,
        arguments.results,
    )
    found = compare(
        model,
        brain,
        method=arguments.method,
        distance=arguments.distance,
        score=arguments.score,
        layers=arguments.layers,
        areas=arguments.areas,
        n_permutations=arguments.permutations,
        seed=arguments.seed,
    )
    name = Path(arguments.run).parent.name if arguments.run.endswith(".parquet") else arguments.run
    folder = arguments.output or arguments.results / "comparisons" / name / arguments.data.stem
    write_text(folder / "scores.csv", found.scores.to_csv(index=False))
    write_text(folder / "lags.csv", found.lags.to_csv(index=False))
    save_time_maps(found.scores, found.lags, folder, arguments.method)
    print(found.lags.to_string(index=False, float_format=lambda x: f"{x:.3g}"))
    print(f"tables and maps are in {folder}")

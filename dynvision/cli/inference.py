"""Trained runs that answer images: ``dynvision predict`` for files, ``dynvision serve`` over HTTP."""

from __future__ import annotations

import argparse
import csv
import json
import logging
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynvision.cli import EXIT_PARTLY
from dynvision.cli.arguments import add_answering_arguments
from dynvision.errors import InputError
from dynvision.inference.limits import Limits
from dynvision.text import print_table

if TYPE_CHECKING:
    from dynvision.inference import Prediction


FORMATS = ("table", "csv", "json")


def add_predict_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Images are shown as the run's test images are: resized to its resolution in px, normalised, for as long as its "
        "presentation lasts. Printed are for each image the most probable class at the end, its probability, and the "
        "time of decision: ms from stimulus onset until one class has half the probability; - if that never is so."
    )
    add_answering_arguments(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help="image files")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default=FORMATS[0],
        help="how the answers are printed (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="file, .csv or .json, for the probability of every class at every time",
    )
    parser.add_argument(
        "--keep-going",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="answer the other images where one cannot be answered, and end with status 3 (default); otherwise stop there",
    )


def run_predict(arguments: argparse.Namespace) -> int:
    """Print the answers, and write the probabilities over time if there is a place for them.

    Returns:
        0, or 3 where an image could not be answered; each such image is named on standard error.

    Raises:
        InputError: the run has not been trained, or, without ``--keep-going``, an image cannot be answered.
    """
    from dynvision.inference import InferenceConfig, RunModel
    from dynvision.inference.finished_run import run_path

    folder = run_path(arguments.run, arguments.results)
    output = arguments.output
    if output is not None and output.suffix not in (".csv", ".json"):
        raise InputError(f"--output {output} must end in .csv or .json")
    model = RunModel(InferenceConfig(device={"device_type": arguments.device}), arguments.data)
    model.load_model(folder)
    logging.getLogger("dynvision.inference").setLevel(logging.ERROR)  # what is not answered is stated here
    answers = model.predict_batch(arguments.images, keep_going=arguments.keep_going)
    if output is not None:
        _write(arguments.images, answers, output)
    rows = [_row(path, answer) for path, answer in zip(arguments.images, answers, strict=True)]
    _print(rows, arguments.format)
    errors = [row["error"] for row in rows if row["error"]]
    for error in errors:
        print(f"dynvision predict: {error}", file=sys.stderr)
    return EXIT_PARTLY if errors else 0


def _row(path: Path, answer: Prediction | Exception) -> dict[str, Any]:
    """What is printed of an image."""
    if isinstance(answer, Exception):
        return {
            "image": str(path),
            "class": None,
            "probability": None,
            "decision_ms": None,
            "error": str(answer),
        }
    decision = None if math.isnan(answer.decision_ms) else answer.decision_ms
    about = {"class": answer.class_name, "probability": answer.probability, "decision_ms": decision}
    return {"image": str(path), **about, "error": None}


def _print(rows: list[dict[str, Any]], form: str) -> None:
    if form == "json":
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if form == "csv":
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return
    table = [("image", "class", "probability", "decision (ms)")]
    for row in rows:
        probability = "-" if row["error"] else f"{row['probability']:.3f}"
        decision = "-" if row["decision_ms"] is None else f"{row['decision_ms']:g}"
        table.append((row["image"], row["class"] or "-", probability, decision))
    print_table(table, right=(2, 3))


def _write(images: list[Path], answers: list[Any], output: Path) -> None:
    """One row, or in JSON one object, for each image, time and class."""
    import pandas as pd

    from dynvision.files import atomic_path

    answered = [
        (p, answer) for p, answer in zip(images, answers, strict=True) if not isinstance(answer, Exception)
    ]
    with atomic_path(output) as temporary:
        if output.suffix == ".json":
            made = [{"image": str(path), **answer.to_dict()} for path, answer in answered]
            Path(temporary).write_text(json.dumps(made, ensure_ascii=False) + "\n", encoding="utf-8")
            return
        columns = ["image", "time_ms", "class_name", "probability"]
        tables = [answer.table().assign(image=str(path)) for path, answer in answered]
        table = pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)
        table.to_csv(temporary, index=False)


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "POST the bytes of an image to /predict and get the answer as JSON, with probabilities over time in ms; /health, "
        "/info and /metrics describe the server, / is a page to drop an image on. Ctrl-C or SIGTERM ends it, when all "
        "requests that have come are answered."
    )
    add_answering_arguments(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; 0.0.0.0 is every one (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="port; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--batch-ms",
        type=float,
        default=2.0,
        help="wait this long for other requests to fill a batch (default: %(default)s ms)",
    )
    parser.add_argument(
        "--max-batch", type=int, default=16, help="requests in a batch (default: %(default)s)"
    )
    parser.add_argument(
        "--max-bytes",
        type=int,
        default=Limits.max_bytes,
        help="size of a request in bytes (default: %(default)s)",
    )
    parser.add_argument(
        "--answer-s",
        type=float,
        default=Limits.answer_s,
        help="a request is abandoned after this time (default: %(default)s s)",
    )


def run_serve(arguments: argparse.Namespace) -> None:
    """Answer until it is stopped.

    Raises:
        InputError: the run cannot be loaded, a limit is not possible, or nothing can listen there.
    """
    from dynvision.inference import InferenceConfig
    from dynvision.inference.predictor import load_run
    from dynvision.inference.server import Server

    limits = Limits(max_bytes=arguments.max_bytes, answer_s=arguments.answer_s)
    batch = {
        "dynamic_batching": True,
        "timeout_ms": arguments.batch_ms,
        "batch_size": arguments.max_batch,
        "max_batch_size": arguments.max_batch,
    }
    config = InferenceConfig(device={"device_type": arguments.device}, batch=batch)
    predictor = load_run(arguments.run, config, arguments.data, results=arguments.results)
    predictor.warmup()
    server = Server(predictor, arguments.host, arguments.port, limits)
    print(f"serving {predictor.run.run_id} at {server.url}", flush=True)
    server.run()
    print("stopped", flush=True)

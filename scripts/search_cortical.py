"""Search for a DyRCNN whose areas respond in time as human visual cortex does.

    python scripts/search_cortical.py --output search --minutes 8 --workers 8
    python scripts/search_cortical.py --output search --arguments '{"tau": 20.0}' --seeds 1 2 3
    python scripts/search_cortical.py --output ablations --ablations --seeds 1 2 3 --splits test --workers 8

A trial draws numbers of the dynamics, trains the network on the digits, shows *validation* images in the protocols of the
scorecard, and is scored: signs as in cortex, minus six times what the median distance of times exceeds .4 octaves by, minus
what accuracy lacks to the goal. Most trials vary the best networks so far. Each trial is one line of `trials.jsonl`, so
that workers and later calls share what was found. The test images are not looked at. With --start the search begins at the
network that was found (``config/modes/cortical.yaml``). With --ablations that network is trained with one thing changed at
a time, and a table is printed; a network that has its line is not trained again.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import io
import json
import math
import multiprocessing
import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

GOAL = 0.975  # accuracy on validation images
TRAINING = {"epochs": 6, "batch_size": 32}
FOUND = Path(__file__).parent.parent / "config" / "modes" / "cortical.yaml"
NORMALIZATION = ("sigma", "normalization_pool", "normalization_exponent", "tau_divisive_normalization")
# What is changed, the arguments that it gets, and the model.
ABLATIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("none", {}, "DyRCNNx4"),
    ("recurrence `self`", {"recurrence_type": "self"}, "DyRCNNx4"),
    ("recurrence `full`", {"recurrence_type": "full"}, "DyRCNNx4"),
    ("no normalization", {"divisive_normalization": False}, "DyRCNNx4"),
    ("one time constant in all areas", {"tau": 64.0}, "DyRCNNx4"),
    ("no delay from area to area", {"t_feedforward": 0.0}, "DyRCNNx4"),
    ("40 ms of presentation in training", {"n_timesteps": 20}, "DyRCNNx4"),
    ("DyRCNNx8", {}, "DyRCNNx8"),
)


def draw(rng: random.Random) -> dict[str, Any]:
    """A network, anywhere in the space of the search; durations in ms."""

    def log_uniform(low: float, high: float) -> float:
        return round(math.exp(rng.uniform(math.log(low), math.log(high))), 4)

    first, last = log_uniform(10, 70), log_uniform(15, 90)
    return {
        "tau": {"first": first, "last": max(first, last)},
        "tau_divisive_normalization": {"first": log_uniform(40, 250), "last": log_uniform(60, 500)},
        "sigma": {"first": log_uniform(0.05, 2), "last": log_uniform(0.05, 4)},
        "normalization_exponent": {
            "first": rng.choice([1.0, 1.25, 1.5, 2.0]),
            "last": rng.choice([1.0, 1.25, 1.5, 2.0]),
        },
        "normalization_pool": rng.choice(["unit", "unit", "channel"]),
        "t_feedforward": rng.choice([4.0, 8.0, 12.0, 16.0, 20.0]),
        "t_recurrence": rng.choice([4.0, 6.0, 10.0, 20.0]),
        "recurrence_type": rng.choice(["full", "full", "depthwise", "self", "none"]),
        "n_timesteps": rng.choice([80, 100, 120, 140]),
        "loss_reaction_time": rng.choice([0.0, 20.0, 60.0]),
        "max_weight_init": rng.choice([0.001, 0.01]),
    }


def vary(arguments: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A network near another one: a few numbers a little different, or drawn again."""
    varied, again = json.loads(json.dumps(arguments)), draw(rng)
    for name in rng.sample(sorted(again), rng.randint(1, 4)):
        value = varied.get(name)
        if isinstance(value, dict) and rng.random() < 0.8:
            for end in value:
                if name != "normalization_exponent":
                    value[end] = round(value[end] * math.exp(rng.gauss(0, 0.25)), 4)
                elif rng.random() < 0.5:
                    value[end] = max(1.0, round(value[end] + rng.choice([-0.25, 0.25]), 2))
        else:
            varied[name] = again[name]
    tau = varied["tau"]
    tau["last"] = max(tau.values())
    return varied


def evaluate(
    arguments: dict[str, Any],
    seed: int,
    folder: Path,
    training: dict[str, Any],
    splits: tuple[str, ...] = ("val",),
    images: int = 100,
    model: str = "DyRCNNx4",
) -> dict[str, Any]:
    """Train one network, and score it on the images of each of `splits`; the first decides."""
    from dynvision.config.run import RunConfig
    from dynvision.config.section import validate
    from dynvision.config.training import ExecutionConfig
    from dynvision.data import DataModule
    from dynvision.data.conversion import convert_dataset
    from dynvision.training.fit import train_run

    values = {
        "model": {"name": model, "args": {"divisive_normalization": True, **arguments}},
        "training": training,
        "data": {"split_seed": 1},
        "seed": seed,
    }
    run = validate(RunConfig, values, "")
    execution = validate(
        ExecutionConfig, {"loader": "memory", "logger": "none", "test_batch_size": 100}, "execution"
    )
    data = folder / "data"
    if not (data / "manifest.json").exists():
        convert_dataset(run.data.images, data, "memory")
    run_folder = folder / run.run_id
    started = time.time()
    test_images = DataModule.test_dataloader
    found: dict[str, Any] = {}
    for split in splits:
        if split == "val":

            def shown(self: DataModule, classes: Any = ()) -> Any:
                return self._split_loader("val")

            DataModule.test_dataloader = shown  # type: ignore[method-assign, assignment]
        try:
            if not found:
                train_run(run, execution, data, run_folder)
                trained = time.time() - started
                accuracy = float(json.loads((run_folder / "test.json").read_text())["test_accuracy"])
                found = {
                    **score(run, execution, data, run_folder, split, images),
                    "accuracy": round(accuracy, 4),
                }
                found["score"] -= 100 * max(0.0, GOAL - accuracy)
                found["train_s"] = round(trained, 1)
            else:
                found[split] = score(run, execution, data, run_folder, split, images)
        finally:
            DataModule.test_dataloader = test_images  # type: ignore[method-assign]
    return {
        **found,
        "total_s": round(time.time() - started, 1),
        "seed": seed,
        "model": model,
        "arguments": arguments,
        "run": run.run_id,
    }


def score(run: Any, execution: Any, data: Path, run_folder: Path, split: str, images: int) -> dict[str, Any]:
    """Show images in the protocols of the scorecard; signs, times and accuracy in them."""
    import pandas as pd

    from dynvision.analysis.scorecard import score_run
    from dynvision.config.experiment import ExperimentConfig
    from dynvision.config.section import validate
    from dynvision.config.workflow import load_workflow_config
    from dynvision.experiments.run import ExperimentFiles, run_experiment

    workflow = load_workflow_config(Path(__file__).parent.parent / "config")
    tables = {}
    for protocol in ("contrast", "duration", "interval"):
        name = workflow.scorecard.experiments[protocol]
        experiment = validate(
            ExperimentConfig, {**workflow.scorecard_experiments()[name].model_dump(), "n_images": images}, ""
        )
        files = ExperimentFiles(
            run_folder / "model.safetensors",
            data,
            run_folder / f"{name}.parquet",
            run_folder / f"{name}_p.parquet",
        )
        run_experiment(name, experiment, run, execution, files)
        tables[protocol] = pd.read_parquet(files.responses)
        files.performance.unlink()
        files.responses.unlink()
    card = score_run(tables, workflow.scorecard.areas_of(run.model.name), natural_images=False)
    card.to_csv(run_folder / f"scorecard_{split}.csv", index=False)
    signs = card[card["kind"] == "sign"]
    ms = card[
        (card["unit"] == "ms") & card["area"].isin(["V1-V3", "VOTC", "LOTC"]) & card["distance"].notna()
    ]
    n_signs, octaves = int((signs["verdict"] == "yes").sum()), float(ms["distance"].median())
    failed = signs[signs["verdict"] != "yes"]
    return {
        "score": n_signs - 6 * max(0.0, octaves - 0.4),
        "signs": n_signs,
        "of": len(signs),
        "octaves": round(octaves, 3),
        "failed": [f"{name}:{layer}" for name, layer in zip(failed["name"], failed["layer"], strict=True)],
        "times": [
            [
                row["name"],
                row["area"],
                row["layer"],
                *(round(float(row[key]), 2) for key in ("value", "model", "cortex")),
            ]
            for _, row in ms.iterrows()
        ],
    }


def known(path: Path) -> list[dict[str, Any]]:
    """The trials so far, best first."""
    if not path.exists():
        return []
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        found = [json.loads(line) for line in file if line.strip()]
    return sorted((trial for trial in found if "score" in trial), key=lambda trial: -trial["score"])


def work(worker: int, options: argparse.Namespace) -> None:
    """One worker: trials until the time is over."""
    use_gpu(worker, options.gpus)
    rng = random.Random(1000 * options.seed + worker)
    trials = options.output / "trials.jsonl"
    end, errors = time.time() + 60 * options.minutes, 0
    for trial in range(options.trials):
        if time.time() > end or errors == 3:  # a device without memory fails at once, again and again
            return
        best = known(trials)[: options.keep]
        if options.start and worker == trial == 0:
            arguments = found_arguments()
        elif options.start and not best:
            arguments = vary(found_arguments(), rng)
        elif best and rng.random() < options.exploit:
            arguments = vary(rng.choice(best)["arguments"], rng)
        else:
            arguments = draw(rng)
        folder = options.output / f"worker{worker}"
        found = record(trials, arguments, 1, folder, TRAINING, ("val",), options.images, options.model)
        errors = 0 if "score" in found else errors + 1


def use_gpu(worker: int, gpus: int) -> None:
    """Show a worker the one GPU that is its own, before it asks for any."""
    if gpus > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(worker % gpus)


def found_arguments() -> dict[str, Any]:
    """The network that was found."""
    from dynvision.config.yaml_text import read_yaml

    return dict(read_yaml(FOUND)["model_defaults"]["DyRCNN"])


def record(
    trials: Path,
    arguments: dict[str, Any],
    seed: int,
    folder: Path,
    training: dict[str, Any],
    splits: tuple[str, ...] = ("val",),
    images: int = 100,
    model: str = "DyRCNNx4",
) -> dict[str, Any]:
    """Evaluate, append one line, and return what it holds: a score, or an error."""
    folder.mkdir(parents=True, exist_ok=True)
    log = io.StringIO()
    try:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            found = evaluate(arguments, seed, folder, training, splits, images, model)
    except (ValueError, RuntimeError):  # a network that cannot be built or trained is a trial, too
        found = {"error": traceback.format_exc(limit=3)[-400:], "arguments": arguments, "seed": seed}
    with open(trials, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(found) + "\n")
    return found


def ablate(options: argparse.Namespace) -> None:
    """Train the network that was found with one thing changed at a time, in workers, and print a table."""
    changes = [
        (label, without_unused({**found_arguments(), **changed}), model)
        for label, changed, model in ABLATIONS
    ]
    done = known(options.output / "trials.jsonl")

    def of(arguments: dict[str, Any], model: str, seed: int) -> dict[str, Any] | None:
        same = (t for t in done if (t["arguments"], t["model"], t["seed"]) == (arguments, model, seed))
        return next(same, None)

    missing = [
        (arguments, seed, model)
        for _, arguments, model in changes
        for seed in options.seeds
        if of(arguments, model, seed) is None
    ]
    run_workers(ablate_some, [(k, options, missing[k :: options.workers]) for k in range(options.workers)])
    done = known(options.output / "trials.jsonl")
    print("| change | signs, by seed | octaves | accuracy |\n|---|---|---|---|")
    for label, arguments, model in changes:
        found = [of(arguments, model, seed) or {} for seed in options.seeds]
        cells = (
            ", ".join(str(trial.get(name, "failed")) for trial in found)
            for name in ("signs", "octaves", "accuracy")
        )
        print(f"| {label} | {' | '.join(cells)} |")


def without_unused(arguments: dict[str, Any]) -> dict[str, Any]:
    """Without the numbers of a normalization that is off, which a model refuses."""
    unused = () if arguments["divisive_normalization"] else NORMALIZATION
    return {name: value for name, value in arguments.items() if name not in unused}


def ablate_some(
    worker: int, options: argparse.Namespace, networks: list[tuple[dict[str, Any], int, str]]
) -> None:
    """One worker: its part of the networks."""
    from dynvision.config.yaml_text import read_yaml

    use_gpu(worker, options.gpus)
    training = {**read_yaml(FOUND)["training"], "epochs": options.epochs}
    for arguments, seed, model in networks:
        record(
            options.output / "trials.jsonl", arguments, seed, options.output / f"worker{worker}", training,
            tuple(options.splits), options.images, model,
        )  # fmt: skip


def run_workers(target: Callable[..., None], arguments: list[tuple[Any, ...]]) -> None:
    """Call a function in as many processes as there are arguments; in this one if there is one."""
    if len(arguments) == 1:
        target(*arguments[0])
        return
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=target, args=given) for given in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def main() -> None:
    """Start workers, or evaluate given arguments over seeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("results/search"))
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--trials", type=int, default=10**6, help="of each worker")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--keep", type=int, default=12, help="best networks that are varied")
    parser.add_argument(
        "--exploit", type=float, default=0.6, help="part of the trials that vary a good network"
    )
    parser.add_argument("--arguments", help="JSON: evaluate this network instead of searching")
    parser.add_argument(
        "--ablations", action="store_true", help="change one thing at a time instead of searching"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="with --arguments or --ablations")
    parser.add_argument("--epochs", type=int, default=TRAINING["epochs"])
    parser.add_argument(
        "--splits",
        choices=("val", "test"),
        nargs="+",
        default=["val"],
        help="with --arguments or --ablations: images that are shown; the first decides",
    )
    parser.add_argument("--model", default="DyRCNNx4", help="of the search, and of --arguments")
    parser.add_argument("--start", action="store_true", help="search from the network that was found")
    parser.add_argument("--gpus", type=int, default=1, help="GPUs that workers share by turns")
    parser.add_argument("--images", type=int, default=100, help="images that are shown in each protocol")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    TRAINING["epochs"] = options.epochs
    if options.ablations:
        ablate(options)
        return
    if options.arguments:
        for seed in options.seeds:
            record(
                options.output / "trials.jsonl", json.loads(options.arguments), seed, options.output / "given",
                TRAINING, tuple(options.splits), options.images, options.model,
            )  # fmt: skip
    else:
        run_workers(work, [(worker, options) for worker in range(options.workers)])
    for trial in known(options.output / "trials.jsonl")[:10]:
        print(json.dumps(trial), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main()

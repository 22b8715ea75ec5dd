"""Trainings that share a GPU: each ends as it would alone, however the others end. The GPU is pretended."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

import pytest

from dynvision.base import BaseModel
from dynvision.cli import main
from dynvision.config.section import validate
from dynvision.config.training import ExecutionConfig
from dynvision.errors import InputError
from tests.lab import Lab
from tests.pretended_gpus import pretend_gpus
from tests.processes import Outcome, run_forked
from tests.training.moments import Moment
from tests.training.runs import same_result

NOISY = {"args": {"drive_noise": 0.5, "n_timesteps": 3, "t_recurrence": 2}}
SEEDS, FAILING, STOPPED = ("seed-1", "seed-2", "seed-3"), "failing", "seed-2"


def configure(lab: Lab, name: str) -> Path:
    if name == FAILING:
        return lab.config(name, training={"optimizer": "SGD", "learning_rate": 1e30})
    return lab.config(name, model=NOISY, data={"split_seed": 1}, seed=int(name[-1]), training={"epochs": 2})


def at_once(lab: Lab, names: Iterable[str], moment: Moment) -> dict[str, Outcome]:
    """Train runs on one GPU, each of which begins only when all of them have come so far; the moment is that of one."""
    waiting = list(names)
    meeting = multiprocessing.get_context("fork").Barrier(len(waiting))
    outcomes: dict[str, Outcome] = {}

    def start(name: str) -> Callable[[], int]:
        arguments = [
            "--config",
            configure(lab, name),
            "--data",
            lab.root / "data",
            "--output",
            lab.root / name,
        ]
        arguments += ["--loader", "torch", "--pack", meeting.parties]

        def action() -> int:
            begun = BaseModel.on_train_start

            def meet(model: BaseModel) -> None:
                meeting.wait()
                begun(model)

            BaseModel.on_train_start = meet  # type: ignore[method-assign]
            with moment.awaited() if name == STOPPED else nullcontext():
                return main(["train", *map(str, arguments)])

        return action

    def run_from(number: int) -> None:
        others = (lambda _: run_from(number + 1)) if number + 1 < len(waiting) else None
        name = waiting[number]
        outcomes[name] = run_forked(start(name), lab.root / f"log-{name}", meanwhile=others)

    run_from(0)
    return outcomes


def test_each_ends_as_alone_however_the_others_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """With noise, one of them stopped and resumed, and one with a loss that is not finite."""
    pretend_gpus(1, lab.root, monkeypatch)
    for name in SEEDS:
        assert lab.train(configure(lab, name), f"{name}-alone").status == 0
    outcomes = at_once(lab, (*SEEDS, FAILING), Moment(1, 1, signal.SIGTERM))
    assert not any("waiting for a free GPU" in outcome.said for outcome in outcomes.values())
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        **dict.fromkeys(SEEDS, 0),
        STOPPED: 128 + signal.SIGTERM,
        FAILING: 2,
    }
    assert (
        "is not finite" in outcomes[FAILING].said or "lower training.learning_rate" in outcomes[FAILING].said
    )
    assert "asked to stop; saved after 2 of 4 batches of epoch 2" in outcomes[STOPPED].said
    outcome = lab.train(configure(lab, STOPPED), STOPPED, ("--pack", 2))
    assert outcome.status == 0 and "resuming from" in outcome.said
    for name in SEEDS:
        same_result(lab, lab.root / f"{name}-alone", name)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"devices": 2}, "pack=4 jobs share one GPU, and this training has 2 processes"),
        ({"num_nodes": 3}, "pack=4 jobs share one GPU, and this training has 3 processes"),
        ({"accelerator": "cpu"}, "pack=4 jobs share a GPU, and accelerator=cpu uses none"),
    ],
)
def test_where_it_is_not_possible(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        validate(ExecutionConfig, {"pack": 4, **values}, "execution")

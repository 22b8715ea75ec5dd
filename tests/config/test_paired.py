"""``paired``: parameters that vary together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynvision.config.workflow import load_workflow_config
from dynvision.errors import InputError
from dynvision.runs import expand_runs


def values(config_dir: str, *names: str, **overrides: Any) -> list[tuple[Any, ...]]:
    """The values of model arguments, or dotted keys, in each run."""
    made = expand_runs(load_workflow_config(config_dir, overrides)).values()
    found = []
    for run in made:
        flat = {**run.model.args, "lr": run.training.learning_rate, "resolution": run.data.resolution}
        found.append(tuple(flat.get(name, run.seed) for name in names))
    return found


def test_values_of_equal_position_belong_together(config_dir: str) -> None:
    paired = {"trc": [2, 6, 10], "training.lr": [0.1, 0.2, 0.3], "data.resolution": [8, 16, 24]}
    assert values(config_dir, "t_recurrence", "lr", "resolution", paired=paired) == [
        (2, 0.1, 8),
        (6, 0.2, 16),
        (10, 0.3, 24),
    ]


def test_a_product_with_other_groups_lists_and_seeds(config_dir: str) -> None:
    found = values(
        config_dir,
        "seed",
        "skip",
        "t_recurrence",
        "tau",
        "t_skip",
        seed=[1, 2],
        model_args={"skip": [True, False], "tau": 7},
        paired=[{"trc": [2, 6], "tau": [3, 9]}, {"tsk": [0, 4]}],
    )
    wanted = [
        (seed, skip, *pair, tsk)
        for seed in (1, 2)
        for skip in (True, False)
        for pair in ((2, 3), (6, 9))
        for tsk in (0, 4)
    ]
    assert found == wanted


def test_a_category_around_each_pair(config_dir: str) -> None:
    found = values(
        config_dir,
        "t_recurrence",
        "tau",
        "skip",
        paired={"trc": [2, 6], "tau": [3, 9]},
        category={"skip": False},
    )
    assert found == [(2, 3, True), (2, 3, False), (6, 9, True), (6, 9, False)]


def test_values_that_are_lists_or_by_layer(config_dir: str) -> None:
    paired = {"tau": [{"V1": 6, "V2": 9}, 5], "data.group": [[0, 1], [2, 3]]}
    made = list(expand_runs(load_workflow_config(config_dir, {"paired": paired})).values())
    assert [run.data.group for run in made] == [(0, 1), (2, 3)]
    assert made[0].model.args["tau"] == {"V1": 6.0, "V2": 9.0}
    assert made[1].model.args["tau"] == 5.0


def test_nothing_is_no_pair_and_the_command_line_replaces_the_file(tmp_path: Path) -> None:
    (tmp_path / "config_workflow.yaml").write_text("paired: {trc: [2, 6], tau: [3, 9]}\n")
    assert len(values(str(tmp_path))) == 2
    for nothing in (None, "none", [], {}):
        assert len(values(str(tmp_path), paired=nothing)) == 1
    assert values(str(tmp_path), "tau", "t_recurrence", paired={"tau": [4]}) == [(4, 6)]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            {"paired": {"trc": [2, 6], "tau": [3]}},
            "must be equally long, but have lengths model_args.t_recurrence: 2",
        ),
        ({"paired": {"trc": 2, "tau": [3]}}, "trc must be a list of values"),
        ({"paired": {"trc": []}}, "trc must be a list of values"),
        ({"paired": "trc"}, "paired must map parameters"),
        ({"paired": [{"trc": [2]}, {"t_recurrence": [4]}]}, "paired has 't_recurrence' twice"),
        ({"paired": {"epochs": [1, 2]}}, "paired: epochs is no model argument; write training.epochs"),
        ({"paired": {"trc": [2]}, "model_args": {"trc": [4]}}, "paired varies it as well"),
        ({"paired": {"trc": [2]}, "category": {"trc": [4]}}, "paired and category both vary"),
        ({"paired": {"trcc": [2]}}, "trcc"),
    ],
    ids=str,
)
def test_what_is_refused(config_dir: str, overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        expand_runs(load_workflow_config(config_dir, overrides))
    assert said in str(error.value)

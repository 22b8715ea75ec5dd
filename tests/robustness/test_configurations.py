"""1,000 configurations with something wrong: a valid plan, or one sentence that names what to change."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from dynvision.config.run import thaw
from dynvision.errors import InputError
from dynvision.runs import WorkflowPlan, plan_workflow
from tests.robustness.mutations import mutated_configuration

AT_ONCE, FAST, ALL = 50, 250, 1000
CHUNKS = [
    pytest.param(first, marks=() if first < FAST else pytest.mark.slow) for first in range(0, ALL, AT_ONCE)
]


def outcome(text: str, folder: Path) -> WorkflowPlan | str:
    """The plan of a configuration, or what is said about it."""
    (folder / "config_workflow.yaml").write_text(text, encoding="utf-8", newline="")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return plan_workflow(folder, {})
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("first", CHUNKS)
def test_a_valid_plan_or_one_sentence(first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong: list[str] = []
    plans = 0
    for seed in range(first, first + AT_ONCE):
        text = mutated_configuration(seed)
        try:
            result = outcome(text, tmp_path)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is the fault that is looked for
            wrong.append(f"seed {seed}: {type(error).__name__}: {str(error)[:200]}")
            continue
        if isinstance(result, str):
            if "\n" in result or not result or len(result) > 5000:
                wrong.append(f"seed {seed}: said {result[:300]!r}")
            continue
        plans += 1
        for run_id, run in result.runs.items():
            if thaw(run.frozen()) != run or thaw(run.frozen()).run_id != run_id:
                wrong.append(f"seed {seed}: {run_id} is not what is frozen of it")
    assert not wrong, "\n".join(wrong)
    assert plans < AT_ONCE, "mutations should break many configurations"
    assert (tmp_path / "config_workflow.yaml").exists() and len(list(tmp_path.iterdir())) == 1


def test_the_generator_is_seeded_and_its_base_is_valid(tmp_path: Path) -> None:
    import yaml

    from tests.robustness.mutations import BASE

    assert [mutated_configuration(3), mutated_configuration(4)] == [
        mutated_configuration(3),
        mutated_configuration(4),
    ]
    result = outcome(yaml.safe_dump(BASE), tmp_path)
    assert isinstance(result, WorkflowPlan), result

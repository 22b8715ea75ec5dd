"""What a change repeats: as little as possible, and nothing that it does not touch."""

from __future__ import annotations

import pytest

from tests.workflow.conftest import Workflow

FIGURES = {"plot_contrast": 1, "plot_duration": 1, "plot_training": 1, "report": 1, "runs_table": 1, "all": 1}

DRAWN = {name: count for name, count in FIGURES.items() if name != "runs_table"}


def test_how_it_is_computed_repeats_nothing(again: Workflow) -> None:
    for execution in (
        "{loader: auto, num_workers: 0, test_batch_size: 3, accelerator: cpu, logger: wandb}",
        "{}",
    ):
        assert again.planned(execution=execution) == {}


@pytest.mark.slow
def test_the_shell_and_the_order_repeat_nothing(again: Workflow) -> None:
    path = again.root / "workflow" / "rules" / "train.smk"
    path.write_text(path.read_text().replace("dynvision train", "dynvision  train"))
    assert again.planned() == {}


def test_another_training_is_a_new_run(again: Workflow) -> None:
    assert again.planned(training="{epochs: 3, batch_size: 8}") == {
        "freeze_run": 2,
        "train": 2,
        "weights": 2,
        "experiment": 4,
        "analyse": 4,
        **FIGURES,
    }


def test_one_more_value_of_a_sweep_trains_one_more_run(again: Workflow) -> None:
    more = again.planned(model_args="{rctype: [full, self, depthwise], n_timesteps: 3, trc: 2}")
    assert more == {"freeze_run": 1, "train": 1, "weights": 1, "experiment": 2, "analyse": 2, **FIGURES}


def test_a_part_of_a_sweep_draws_only(again: Workflow) -> None:
    """Whichever run comes first, the images are not converted again, and so nothing is trained again."""
    for kind in ("full", "self"):
        assert again.planned(model_args=f"{{rctype: {kind}, n_timesteps: 3, trc: 2}}") == DRAWN


@pytest.mark.slow
def test_one_experiment_reports_only(again: Workflow) -> None:
    assert again.planned(experiment="contrast") == {"report": 1, "all": 1}


def test_an_edited_experiment_repeats_that_experiment(again: Workflow) -> None:
    again.edit("config_experiments.yaml", "[0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0]", "[0.5, 1.0]")
    assert again.planned() == {
        "freeze_experiment": 1,
        "experiment": 2,
        "analyse": 2,
        "plot_contrast": 1,
        "report": 1,
        "all": 1,
    }


def test_another_look_draws_only(again: Workflow) -> None:
    drawn = {"freeze_visualization": 1, **DRAWN}
    assert again.planned(visualization="{dpi: 100}") == drawn
    again.edit("config_visualization.yaml", "dpi: 150", "dpi: 100")
    assert again.planned() == drawn


@pytest.mark.slow
def test_a_new_default_of_the_same_value_repeats_nothing(again: Workflow) -> None:
    (again.root / "config" / "config_defaults.yaml").unlink()
    assert again.planned() == {}


@pytest.mark.slow
def test_a_lost_report_is_written_again(again: Workflow) -> None:
    (again.results / "report.html").unlink()
    assert again.planned() == {"report": 1, "all": 1}


def test_touched_files_of_the_same_content_repeat_nothing(again: Workflow) -> None:
    for path in [*again.results.glob("runs/*/config.yaml"), *again.results.glob("data/*/manifest.json")]:
        path.touch()
    assert again.planned() == {}


def test_lists_of_models_are_a_sweep(again: Workflow) -> None:
    planned = again.planned(model_name='["DyRCNNx2","DyRCNNx4"]')
    assert planned == {"freeze_run": 2, "train": 2, "weights": 2, "experiment": 4, "analyse": 4, **FIGURES}


def test_results_may_lie_anywhere(workflow: Workflow) -> None:
    folder = 'Ergebnisse/für Käthe\'s "Netz" & mehr'
    outcome = workflow.snakemake("runs_table", results_dir=folder, model_args="{n_timesteps: 3}")
    assert outcome.status == 0, outcome.said
    runs = workflow.root / folder / "runs"
    assert [path.name for path in runs.glob("*/config.yaml")] == ["config.yaml"]
    assert (workflow.root / folder / "runs.csv").read_text().count("\n") == 2
    assert not (workflow.root / "results").exists()


def test_a_lost_file_is_made_again_with_what_follows_from_it(again: Workflow) -> None:
    """A call asks for records alone: what is missing beside one is found by planning."""
    run_id = again.runs[0]
    run, shown = again.results / "runs" / run_id, again.results / "experiments" / "contrast" / run_id
    wanted = {
        run / "weights.parquet": {"weights"},
        shown / "performance.parquet": {"experiment", "analyse", "plot_contrast", "report"},
        run / "test.json": {"train", "weights", "experiment", "analyse", "plot_training", "report"},
    }
    for path, rules in wanted.items():
        kept = path.read_bytes()
        path.unlink()
        assert rules <= set(again.planned()), path.name
        path.write_bytes(kept)

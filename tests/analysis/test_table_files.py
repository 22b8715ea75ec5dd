"""Reading and writing: what is read is what was written, and what cannot be used is named in one sentence."""

import numpy as np
import pandas as pd
import pytest

from dynvision.analysis import (
    NamedExperiment,
    measure_responses,
    read_experiment,
    read_metrics,
    read_performance,
    read_responses,
    read_summary,
    read_training,
    summarize_responses,
    write_table,
)
from dynvision.analysis.tables import RESPONSE_COLUMNS
from dynvision.config import ExperimentConfig
from dynvision.config.training import TRAINING_COLUMNS
from dynvision.errors import InputError
from tests.analysis.example_tables import LAYERS, SOAS, example_tables

CONTRAST = NamedExperiment("contrast", ExperimentConfig(parameter="contrast"))


@pytest.fixture
def tables(tmp_path):
    responses, performance = example_tables("a", n_images=3)
    write_table(responses, tmp_path / "responses.parquet")
    write_table(performance, tmp_path / "performance.parquet")
    return responses, performance, tmp_path


def test_round_trip_keeps_values_and_the_models_order_of_layers(tables):
    responses, performance, folder = tables
    read = read_responses(folder / "responses.parquet", CONTRAST)
    assert list(read) == list(RESPONSE_COLUMNS) and "sd" not in read
    assert tuple(read["layer"].cat.categories) == LAYERS
    np.testing.assert_array_equal(read["mean"], responses["mean"])
    again = read_performance(folder / "performance.parquet")
    np.testing.assert_array_equal(again["correct"], performance["correct"])
    metrics = measure_responses(read, again, ["peak"])
    write_table(metrics, folder / "metrics.parquet")
    pd.testing.assert_frame_equal(
        read_metrics(folder / "metrics.parquet"), metrics, check_dtype=False, check_categorical=False
    )


def test_what_was_shown_is_read_where_it_is_there(tables):
    _, _, folder = tables
    assert "shown" not in read_performance(folder / "performance.parquet")
    for name, table in zip(
        ("responses", "performance"), example_tables("a", parameter="soa_ms", values=SOAS), strict=True
    ):
        write_table(table, folder / f"{name}.parquet")
        read = {"responses": read_responses, "performance": read_performance}[name](
            folder / f"{name}.parquet"
        )
        assert list(read["shown"]) == list(table["shown"]) and set(read["shown"]) == {
            "blank",
            "image",
            "mask",
        }
        assert read["shown"].dtype == "category"


def test_a_summary_without_rows_can_be_read(tables):
    """That of an experiment whose measures are all of single values."""
    responses, _, folder = tables
    write_table(summarize_responses(responses, ["peak"]), folder / "summary.parquet")
    assert len(read_summary(folder / "summary.parquet", CONTRAST)) == 0


def test_a_measure_that_is_not_known_is_refused(tables):
    responses, performance, folder = tables
    metrics = measure_responses(responses, performance, ["peak"]).astype({"measure": str})
    write_table(metrics.replace({"measure": {"peak": "peek"}}), folder / "metrics.parquet")
    with pytest.raises(InputError, match="metrics.parquet: unknown measure 'peek'; did you mean 'peak'"):
        read_metrics(folder / "metrics.parquet")


def test_layers_that_are_plain_text_keep_the_order_of_their_rows(tables):
    responses, _, folder = tables
    write_table(responses.assign(layer=responses["layer"].astype(str)), folder / "text.parquet")
    assert tuple(read_responses(folder / "text.parquet")["layer"].cat.categories) == LAYERS


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda table: table.drop(columns="image"), "lacks the columns image"),
        (lambda table: table.drop(columns=["layer", "mean"]), "lacks the columns layer, mean"),
        (lambda table: table.iloc[:0], "has no rows"),
        (lambda table: table.assign(mean="high"), "column mean must hold a number"),
        (lambda table: table.assign(stimulus_on=1.0), "column stimulus_on must hold a truth"),
        (lambda table: table.assign(value=np.nan), "column value has rows without a value"),
        (lambda table: table.assign(experiment="duration"), "is of experiment duration, not of contrast"),
        (lambda table: table.assign(parameter="duration_ms"), "is of parameter duration_ms, not of contrast"),
    ],
)
def test_tables_of_something_else_are_refused_by_name(tables, change, sentence):
    responses, _, folder = tables
    path = folder / "other.parquet"
    change(responses).to_parquet(path)
    with pytest.raises(InputError, match=sentence) as error:
        read_responses(path, CONTRAST)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a table", b"PAR1 cut off"])
def test_broken_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "responses.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as Parquet") as error:
        read_responses(path)
    assert str(path) in str(error.value)
    with pytest.raises(InputError, match="does not exist"):
        read_performance(tmp_path / "absent.parquet")


def test_training_tables(tmp_path):
    path = tmp_path / "training.csv"
    with pytest.raises(InputError, match="does not exist"):
        read_training(path)
    for text, sentence in {
        "": "cannot be read as CSV",
        "a,b\n1,2\n": "lacks the columns epoch",
        ",".join(TRAINING_COLUMNS) + "\n": "has no rows|must hold numbers",
        ",".join(TRAINING_COLUMNS) + "\n0,x,0,0,0,0,0\n": "column train_loss must hold numbers",
    }.items():
        path.write_text(text)
        with pytest.raises(InputError, match=sentence):
            read_training(path)
    path.write_text(",".join(TRAINING_COLUMNS) + "\n0,2.3,0.1,2.2,0.2,0.01,1.5\n")
    assert read_training(path)["val_accuracy"].tolist() == [0.2]


def test_experiment_files(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("name: contrast\nparameter: contrast\nvalues: [0.5, 1]\n")
    experiment = read_experiment(path)
    assert experiment.name == "contrast" and experiment.config.values == (0.5, 1.0)
    path.write_text("parameter: contrast\n")
    with pytest.raises(InputError, match="no key 'name'"):
        read_experiment(path)
    path.write_text("name: contrast\nparameters: contrast\n")
    with pytest.raises(InputError, match="config.yaml: unknown key 'parameters'"):
        read_experiment(path)

"""Experiments that vary the network, keep units, show some images only, or run out of memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from dynvision.config.experiment import ExperimentConfig
from dynvision.config.run import RunConfig, read_run_config
from dynvision.config.section import validate
from dynvision.config.training import ExecutionConfig
from dynvision.data import read_manifest
from dynvision.errors import InputError
from dynvision.experiments import batches as room_module
from dynvision.experiments import run as run_module
from dynvision.experiments.run import ExperimentFiles, run_experiment
from dynvision.experiments.tables import images_within
from dynvision.models.build import build_model
from dynvision.models.weights import load_weights, read_weights, save_weights
from dynvision.recordings import open_responses
from tests.lab import CONTRAST, Lab

Run = Callable[..., Path]


@pytest.fixture
def show(trained_lab: Lab, tmp_path: Path) -> Run:
    """Runs an experiment in this process; returns the folder with its tables."""

    def run(name: str = "tables", weights: Path | None = None, batch: int = 64, **changes: Any) -> Path:
        experiment = validate(ExperimentConfig, {**CONTRAST, **changes}, "")
        files = ExperimentFiles(
            weights or trained_lab.root / "run" / "model.safetensors",
            trained_lab.root / "data",
            tmp_path / name / "responses.parquet",
            tmp_path / name / "performance.parquet",
        )
        execution = ExecutionConfig(loader="torch", accelerator="cpu", test_batch_size=batch)
        run_experiment(name, experiment, configuration(trained_lab), execution, files)
        return tmp_path / name

    return run


def configuration(lab: Lab) -> RunConfig:
    return read_run_config(lab.root / "config.yaml")


def read(folder: Path, name: str = "responses") -> pd.DataFrame:
    return pq.read_table(folder / f"{name}.parquet").to_pandas()


def column(table: pd.DataFrame, name: str = "mean", **where: Any) -> np.ndarray:
    for key, value in where.items():
        table = table[table[key] == value]
    keys = [key for key in ("layer", "image", "time_ms") if key in table]
    return table.sort_values(keys)[name].to_numpy()


def test_a_model_argument_varies(show: Run) -> None:
    """Each value equals an experiment of its own with that argument; true and false are 1 and 0."""
    varied = read(show(parameter="t_idle", values=[0, 20], stimulus={"duration_ms": 6}))
    for idle in (0, 20):
        alone = read(show(f"idle{idle}", values=[1.0], model_args={"t_idle": idle}))
        assert np.array_equal(column(varied, value=float(idle)), column(alone))
    only = read(show("only", parameter="feedforward_only", values=[False, True]))
    twin = read(show("twin", values=[1.0], model_args={"t_idle": 8, "feedforward_only": True}))
    assert set(only["value"]) == {0.0, 1.0}
    assert np.array_equal(column(only, value=1.0), column(twin))
    assert not np.array_equal(column(only, value=0.0), column(twin))


def test_a_lesion_varies_in_depth_and_in_time(show: Run) -> None:
    """From stimulus onset on, behind a baseline and an idle time: nothing differs before the window."""
    lesion = {"t_idle": 8, "lesion": "feedforward layer1->layer2", "t_lesion_start": 4.0}
    stimulus = {"duration_ms": 16}
    varied = read(
        show("gains", parameter="lesion_gain", values=[0, 0.5, 1], stimulus=stimulus, model_args=lesion)
    )
    intact = read(show("intact", values=[1.0], stimulus=stimulus, model_args={"t_idle": 8}))
    assert np.array_equal(column(varied, value=1.0), column(intact))
    for gain in (0.0, 0.5):
        cooled = varied[(varied["value"] == gain) & (varied["layer"] == "layer2")]
        whole = intact[intact["layer"] == "layer2"]
        differs = (
            cooled.set_index(["image", "time_ms"])["mean"] != whole.set_index(["image", "time_ms"])["mean"]
        )
        times = differs[differs].index.get_level_values("time_ms")
        # A sample is labelled by the end of its step: the first that can differ is that at 4 ms + dt.
        assert times.min() == 6.0
    starts = read(
        show("starts", parameter="t_lesion_start", values=[4, 10], stimulus=stimulus, model_args=lesion)
    )
    assert np.array_equal(column(starts, value=4.0), column(varied, value=0.0))
    assert not np.array_equal(column(starts, value=10.0), column(varied, value=0.0))


def test_the_checkpoint_varies(show: Run, trained_lab: Lab, tmp_path: Path) -> None:
    """Weights of other epochs, from files that name the epoch as Lightning does, counted from 0."""
    run = configuration(trained_lab)
    manifest = read_manifest(trained_lab.root / "data")
    model = build_model(run, manifest.input_shape, manifest.n_classes)
    tensors, header = read_weights(trained_lab.root / "run" / "model.safetensors")
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    expected = {}
    for epoch, gain in {2: 1.0, 4: 0.5}.items():
        load_weights(model, {name: gain * tensor for name, tensor in tensors.items()}, "")
        content = {"epoch": epoch - 1, "state_dict": model.state_dict(), "dynvision": {"run_id": run.run_id}}
        torch.save(content, folder / f"epoch-{epoch:04d}.ckpt")
        save_weights(model, tmp_path / f"{epoch}" / "model.safetensors", header)
        weights = tmp_path / f"{epoch}" / "model.safetensors"
        expected[epoch] = column(read(show(f"of{epoch}", weights=weights, values=[1.0])))
    # Of the middle of the third epoch, of a training that goes on.
    torch.save({**content, "epoch": 2}, folder / "last.ckpt")
    best = tmp_path / "run" / "model.safetensors"
    during = read(show("during", weights=best, parameter="checkpoint", values=[4, 2]))
    for epoch, responses in expected.items():
        assert np.array_equal(column(during, value=float(epoch)), responses)
    with pytest.raises(InputError) as error:
        show("none", weights=best, parameter="checkpoint", values=[3])
    assert "kept no checkpoint of epoch 3" in str(error.value) and "epochs kept: 2, 4" in str(error.value)
    content = torch.load(folder / "epoch-0002.ckpt", weights_only=True)
    torch.save({**content, "dynvision": {"run_id": "another"}}, folder / "epoch-0002.ckpt")
    with pytest.raises(InputError, match="is of another, not of"):
        show("other", weights=best, parameter="checkpoint", values=[2])
    (folder / "epoch-0002.ckpt").write_bytes(b"broken")
    with pytest.raises(InputError, match="cannot be read"):
        show("broken", weights=best, parameter="checkpoint", values=[2])
    assert not (tmp_path / "broken").exists() or not any((tmp_path / "broken").iterdir())


def test_a_training_keeps_the_checkpoints_that_are_asked_for(lab: Lab) -> None:
    """The two ends of the thread: what training writes is what an experiment reads."""
    assert lab.command(
        *("train", "--config", lab.root / "config.yaml", "--data", lab.root / "data", "--output", lab.root / "run"),
        *("--loader", "torch", "--checkpoint-every", 1),
    ).status == 0  # fmt: skip
    experiment = lab.experiment("during", parameter="checkpoint", values=[1, 2, 3])
    outcome = lab.show(experiment, tables="during")
    assert outcome.status == 0, outcome.said
    responses = read(lab.root / "during")
    by_epoch = [column(responses, value=epoch) for epoch in (1.0, 2.0, 3.0)]
    assert not np.array_equal(by_epoch[0], by_epoch[1]) and not np.array_equal(by_epoch[1], by_epoch[2])
    missing = lab.show(lab.experiment("late", parameter="checkpoint", values=[9]), tables="late")
    assert missing.status == 2 and "execution.checkpoint_every" in missing.said
    assert not (lab.root / "late").exists() or not any((lab.root / "late").iterdir())


def test_the_first_images_are_balanced(show: Run, trained_lab: Lab) -> None:
    some = read(show(n_images=3), "performance")
    test = read_manifest(trained_lab.root / "data").test
    assert sorted(some["label"].unique()) == [0, 1, 2]
    assert some.groupby("image")["label"].nunique().eq(1).all() and some["image"].nunique() == 3
    everything = read(show("all", n_images=99), "performance")
    assert set(everything["image"]) == set(test.indices)
    assert np.array_equal(
        column(some, "confidence"), column(everything[everything["image"].isin(some["image"])], "confidence")
    )


def test_units_are_kept_within_their_bound(show: Run) -> None:
    """Two of six images; their mean and sd over units are those of the table."""
    quantities = {"save_responses": "unit", "save_responses_mb": 1000}
    folder = show(**quantities)
    per_image = pq.read_table(folder / "units.parquet", columns=["units", "image"]).to_pandas()
    one = per_image[per_image["image"] == per_image["image"].iloc[0]]
    bytes_per_image = 4 * one["units"].map(len).sum()
    bounded = show("bounded", save_responses="unit", save_responses_mb=2.5 * bytes_per_image / 1e6, batch=2)
    for where, n_images in ((folder, 6), (bounded, 2)):
        responses = read(where)
        kept = pq.read_table(where / "units.parquet").to_pandas()
        assert kept["image"].nunique() == n_images
        opened = open_responses(where / "units.parquet")
        times = opened["time_ms"].values
        assert dict(opened["response"].sizes) | {"unit": 0} == {
            "presentation": n_images * 2, "unit": 0, "time_ms": 12
        }  # fmt: skip
        for layer in ("layer1", "layer2"):
            units = np.abs(opened["response"].values[:, opened["layer"].values == layer])
            index = {"value": "condition", "image": "image", "label": "label"}
            shown = {name: np.repeat(opened[of].values, len(times)) for name, of in index.items()}
            frame = pd.DataFrame({**shown, "layer": layer, "time_ms": np.tile(times, n_images * 2)})
            frame["unit_mean"], frame["unit_sd"] = units.mean(axis=1).ravel(), units.std(axis=1).ravel()
            keys = ["value", "image", "layer", "time_ms", "label"]
            both = frame.merge(responses.astype({"layer": str}), on=keys)
            assert len(both) == len(frame)
            assert both["unit_mean"].to_numpy() == pytest.approx(both["mean"].to_numpy(), rel=1e-4, abs=1e-6)
            assert both["unit_sd"].to_numpy() == pytest.approx(both["sd"].to_numpy(), rel=1e-4, abs=1e-6)
    assert not (show("tables") / "units.parquet").exists()  # the same folder, and this time not asked for


def test_the_bound_on_units() -> None:
    shapes = {
        "a": (2, 3, 4),
        "b": (5, 1, 1),
    }  # 29 units of 4 bytes, 10 steps, 3 conditions: 3480 bytes an image
    assert images_within(0.01, shapes, 10, 3, 100) == 2
    assert images_within(0.01, shapes, 10, 3, 1) == 1
    with pytest.raises(InputError, match="save_responses_mb=0.003 MB is less than"):
        images_within(0.003, shapes, 10, 3, 100)


def test_out_of_memory_halves_the_batch_and_says_so(
    show: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The memory suffices for two images; the tables are whole, and each image is in them once."""
    expected = read(show())
    capsys.readouterr()
    real = run_module.show_trials

    def small_memory(runs: Any, screen: Any, shown: Any, n_kept: int, at_once: int) -> Any:
        for number, result in enumerate(real(runs, screen, shown, n_kept, at_once)):
            if len(screen.images) > 2 and number == 1:
                raise torch.OutOfMemoryError("no more memory")
            yield result

    monkeypatch.setattr(run_module, "show_trials", small_memory)
    monkeypatch.setattr(room_module.torch.cuda, "empty_cache", lambda: None)
    halved = read(show("halved"))
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(
        "the memory of the GPU does not suffice for 6 images at once; continuing with 3"
    )
    assert said[1].startswith(
        "the memory of the GPU does not suffice for 3 images at once; continuing with 1"
    )
    assert len(halved) == len(expected)
    for value in (0.25, 1.0):
        assert column(halved, value=value) == pytest.approx(column(expected, value=value), rel=1e-4, abs=1e-6)

    def no_memory(*_: Any) -> Any:
        raise torch.OutOfMemoryError("no more memory")

    monkeypatch.setattr(run_module, "show_trials", no_memory)
    with pytest.raises(InputError, match="does not suffice for a single image"):
        show("failed")
    assert not list(tmp_path.glob("failed/*"))


def test_graphs_give_their_memory_back_before_less_is_shown_at_once(
    show: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What fits without them is shown as if there were none."""
    expected = read(show())
    capsys.readouterr()
    real, tried = run_module.show_trials, []

    def no_memory_beside_graphs(runs: Any, screen: Any, shown: Any, n_kept: int, at_once: int) -> Any:
        tried.append(len(screen.images))
        if len(tried) == 1:
            runs.model._graphs._graphs["captured"] = None
        if len(runs.model._graphs):
            raise torch.OutOfMemoryError("no more memory")
        assert not runs.model.cuda_graphs
        yield from real(runs, screen, shown, n_kept, at_once)

    monkeypatch.setattr(run_module, "show_trials", no_memory_beside_graphs)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    found = read(show("without"))
    assert tried == [6, 6] and "continuing without them" in capsys.readouterr().out
    for value in (0.25, 1.0):
        assert column(found, value=value) == pytest.approx(column(expected, value=value))


def test_noise_does_not_depend_on_the_batch_size(show: Run) -> None:
    noise = {"parameter": "ssnr", "values": [0, 0.5, 1], "noise": {"type": "gaussian", "refresh_ms": 2}}
    one, many = read(show("one", batch=1, **noise)), read(show("many", batch=4, **noise))
    for value in (0.0, 0.5, 1.0):
        assert column(one, value=value) == pytest.approx(column(many, value=value), rel=1e-4, abs=1e-6)
    without = read(show("without", values=[1.0]))
    assert column(one, value=1.0) == pytest.approx(column(without), rel=1e-5, abs=1e-7)
    assert set(one["shown"]) == {"blank", "image"}

"""Storage: what is kept, that nothing else changes, the bounds, the table, and the stages of a trainer."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from dynvision.base import BaseModel, CoreModel, StorageBuffer, TemporalBase
from dynvision.errors import InputError
from tests.base.networks import Chain, randomize, recorded
from tests.base.three_areas import Small, images


class StoringChain(Chain, StorageBuffer):
    """The chain of three single units with storage alone, no Lightning."""


def build(**arguments):
    return randomize(Small(input_dims=(5, 2, 8, 8), n_classes=3, t_feedforward=4.0, **arguments).double())


N_STEPS = 5 + 3 * 2


@torch.no_grad()
@pytest.mark.parametrize("block_steps", [None, 1, 4])
def test_full_responses_are_what_the_layers_did_on_the_time_axis_of_the_outputs(block_steps):
    model, x = build(store_responses=10, block_steps=block_steps), images(3, 2, 8, 8)
    outputs, activity = recorded(model, x)
    responses = model.get_responses()
    assert set(responses) == {"V1", "V2", "IT", "classifier"}
    assert torch.equal(responses["classifier"], outputs)
    for layer, start in {"V1": 0, "V2": 2, "IT": 0}.items():  # IT hears the skip from V1 in the same step
        stored = responses[layer]
        assert stored.shape[:2] == (3, N_STEPS) and stored.device.type == "cpu"
        assert not stored[:, :start].any()
        assert min(activity[layer]) == start
        for t, r in activity[layer].items():
            assert torch.equal(stored[:, t], r)


@torch.no_grad()
@pytest.mark.parametrize("block_steps", [None, 1, 4])
def test_measures_are_mean_and_sd_over_units(block_steps):
    x = images(3, 2, 8, 8)
    full, measured = (
        build(store_responses=10),
        build(store_responses=10, response_resolution="layer", block_steps=block_steps),
    )
    full(x), measured(x)
    units, measures = full.get_responses(), measured.get_responses()
    assert set(measures) == {f"{layer}_{m}" for layer in ("V1", "V2", "IT") for m in ("mean", "sd")} | {
        "classifier"
    }
    for layer in ("V1", "V2", "IT"):
        strength = units[layer].abs().flatten(2).numpy()
        np.testing.assert_allclose(
            measures[f"{layer}_mean"].numpy(), strength.mean(axis=2), rtol=1e-5, atol=1e-7
        )
        np.testing.assert_allclose(
            measures[f"{layer}_sd"].numpy(), strength.std(axis=2), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("segments", [0, 3])
@pytest.mark.parametrize("resolution", ["unit", "layer"])
def test_what_is_computed_stays_the_same_bit_for_bit(resolution, segments):
    x, results = images(2, 2, 8, 8), []
    for arguments in ({}, {"store_responses": 1, "response_resolution": resolution}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one image is kept of two
            model = build(feedback="additive", t_feedback=4.0, checkpoint_segments=segments, **arguments)
            y = model(x)
        y.square().sum().backward()
        results.append([y, *[p.grad for p in model.parameters()]])
    assert len(model.get_responses()["classifier"]) == 1  # also where parts were computed twice
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@torch.no_grad()
def test_chosen_layers_and_a_call_that_asks():
    model, x = build(store_layers=["V2"]), images(2, 2, 8, 8)
    model(x)
    assert model.get_responses() == {}  # store_responses is 0
    model(x, store_responses=True)
    assert set(model.get_responses()) == {"V2", "classifier"}
    model(x, store_responses=True)
    assert len(model.get_responses()["V2"]) == 4  # calls add up
    model.clear_responses()
    assert model.get_responses() == {}
    with pytest.raises(InputError, match="unknown layer 'V3'.*did you mean 'V2'"):
        build(store_layers=["V3"], store_responses=4)(x)
    with pytest.raises(InputError, match="unknown response_resolution 'pixel'.*layer, unit"):
        build(response_resolution="pixel")


def test_responses_carry_no_gradient():
    model = build(store_responses=4)
    model(images(2, 2, 8, 8))
    assert not any(values.requires_grad for values in model.get_responses().values())


# --- bounds ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_it_stops_at_the_number_of_images_and_says_so_once():
    model, first, second = build(store_responses=5), images(3, 2, 8, 8), images(3, 2, 8, 8, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a = model(first)
    with pytest.warns(UserWarning, match=r"responses of 5 images are kept.*store_responses=5"):
        b = model(second)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(first)
    responses = model.get_responses()
    assert torch.equal(responses["classifier"], torch.cat([a, b[:2]]))
    assert all(len(values) == 5 for values in responses.values())


@torch.no_grad()
@pytest.mark.parametrize("max_bytes", [0, 100_000, 150_000, 400_000])
def test_it_stops_at_the_number_of_bytes(max_bytes):
    per_image = (
        N_STEPS * 8 * (4 * 64 + 9 * 16 + 4 * 4 + 3)
    )  # V1 8 px, V2 4 px, IT 2 px, outputs; 8 bytes each
    model = build(store_responses=100, max_stored_bytes=max_bytes)
    with pytest.warns(UserWarning, match=f"max_stored_bytes={max_bytes}"):
        for seed in range(4):
            model(images(3, 2, 8, 8, seed=seed))
    recording, kept = model.recording(), model.get_responses()
    assert recording.n_bytes <= max_bytes
    assert recording.n_images <= max_bytes // per_image
    assert recording.n_images >= min(max_bytes // per_image - 3, 9)  # the last batch may not fit as a whole
    assert {len(values) for values in kept.values()} <= {recording.n_images}


def test_true_keeps_a_bounded_number():
    assert build(store_responses=True).store_responses == 64
    assert build(store_responses=1000).store_responses == 1000
    with pytest.raises(InputError, match="must not be negative"):
        build(store_responses=-1)


@torch.no_grad()
def test_trials_of_different_length_do_not_mix():
    model = build(store_responses=10)
    model(images(2, 2, 8, 8))
    with pytest.raises(InputError, match="11 steps are kept and this trial has 13; call clear_responses"):
        model(images(2, 7, 2, 8, 8))
    model.clear_responses()
    model(images(2, 7, 2, 8, 8))
    assert model.get_responses()["V1"].shape[:2] == (2, 13)


# --- the table -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_table_of_the_outputs_row_by_row():
    model = build(store_responses=10)
    labels = torch.full((2, N_STEPS), -1)
    labels[0, 7:], labels[1, 8:] = 2, 0
    model.expect_labels(labels)
    logits = model(images(2, 2, 8, 8))
    table = model.get_dataframe()
    assert list(table) == [
        "sample",
        "time_ms",
        "label",
        "guess",
        "confidence",
        "logit_0",
        "logit_1",
        "logit_2",
    ]
    assert len(table) == 2 * N_STEPS
    assert table["sample"].tolist() == [0] * N_STEPS + [1] * N_STEPS
    assert table["time_ms"].tolist() == [2.0 * (t + 1) for t in range(N_STEPS)] * 2
    assert table["label"].tolist() == labels.flatten().tolist()
    for row in (0, 7, N_STEPS + 3):
        values = logits[row // N_STEPS, row % N_STEPS].numpy()
        np.testing.assert_allclose(
            table.loc[row, ["logit_0", "logit_1", "logit_2"]].astype(float), values, rtol=1e-6
        )
        assert table.loc[row, "guess"] == values.argmax()
        assert table.loc[row, "confidence"] == pytest.approx(
            np.exp(values).max() / np.exp(values).sum(), rel=1e-5
        )
    assert model.get_classifier_dataframe().equals(table)


@torch.no_grad()
@pytest.mark.parametrize("resolution", ["unit", "layer"])
def test_rows_of_a_layer_line_up_with_those_of_the_outputs(resolution):
    model = build(store_responses=10, response_resolution=resolution)
    model(images(2, 2, 8, 8))
    outputs, layer = model.get_dataframe(), model.get_dataframe("V2")
    assert list(layer) == ["sample", "time_ms", "label", "guess", "confidence", "mean", "sd"]
    shared = ["sample", "time_ms", "label", "guess", "confidence"]
    assert layer[shared].equals(outputs[shared])
    assert (layer.loc[layer["time_ms"] <= 4.0, "mean"] == 0).all()
    assert (layer.loc[layer["time_ms"] > 4.0, "mean"] > 0).all()
    with pytest.raises(InputError, match="unknown stored layer 'V4'.*allowed: IT, V1, V2, classifier"):
        model.get_dataframe("V4")


def test_table_of_nothing_says_what_to_do():
    with pytest.raises(InputError, match="no responses are stored; set store_responses"):
        build().get_dataframe()


@torch.no_grad()
def test_labels_that_do_not_fit_are_unknown():
    model = build(store_responses=10)
    model.expect_labels(torch.tensor([1, 2]))
    model(images(3, 2, 8, 8))
    assert (model.get_dataframe()["label"] == -1).all()
    model.clear_responses()
    model.expect_labels(torch.tensor([1, 2]))
    model(images(2, 2, 8, 8))
    model(images(2, 2, 8, 8))  # labels are told for one trial
    assert model.get_dataframe()["label"].tolist() == [1] * N_STEPS + [2] * N_STEPS + [-1] * 2 * N_STEPS


# --- without Lightning, and with it ----------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("bases", [(TemporalBase, StorageBuffer), (StorageBuffer, TemporalBase)])
def test_storage_without_lightning(bases):
    model = StoringChain(input_dims=(3, 1, 1, 1), store_responses=2, t_feedforward=2.0)
    model(torch.full((1, 1, 1, 1), 5.0, dtype=torch.float64))
    assert model.get_responses()["B"].flatten().tolist() == [0, 5, 5, 5, 0, 0]
    assert not isinstance(model, pl.LightningModule)
    either = type("Either", bases, {"_define_architecture": lambda self: None})
    assert either(store_responses=3).store_responses == 3


def test_a_model_without_storage_refuses_to_store():
    model = Chain(input_dims=(3, 1, 1, 1))
    with pytest.raises(
        InputError, match="Chain keeps no responses; derive it from StorageBuffer too, or from BaseModel"
    ):
        model(torch.zeros(1, 1, 1, 1, dtype=torch.float64), store_responses=True)
    with pytest.raises(InputError, match="unknown argument 'store_responses'"):
        CoreModel(store_responses=3)


def loader(n):
    x, y = images(n, 2, 8, 8).float(), torch.arange(n) % 3
    return DataLoader(TensorDataset(x, y), batch_size=4)


def quiet_trainer(**arguments):
    return pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **arguments,
    )


def fit(model, n_train=12, n_val=8, **arguments):
    trainer = quiet_trainer(**arguments)
    trainer.fit(model, loader(n_train), loader(n_val))
    trainer.test(model, loader(6), verbose=False)


class Watching(Small):
    """Remembers what is stored at the end of the training epochs."""

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        self.train_outputs = []

    def training_step(self, batch, batch_idx):
        self.train_outputs.append(self(batch[0], shown=[True] * 5).detach())
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize("store_responses", [0, 100])
@pytest.mark.parametrize("ended", ["as planned", "by an error", "by validate", "by test", "by predict"])
def test_a_call_after_a_trainer_is_kept_by_itself(ended, store_responses):
    model = Small(input_dims=(5, 2, 8, 8), n_classes=3, store_responses=store_responses)
    before, x = images(3, 2, 8, 8).float(), images(2, 2, 8, 8).float()
    model(before, store_responses=True)
    trainer, data = quiet_trainer(), loader(8)
    if ended == "by an error":
        model.on_train_batch_end = lambda *_: 1 / 0
        with pytest.raises(ZeroDivisionError):
            trainer.fit(model, data, data)
    elif ended == "as planned":
        trainer.fit(model, data, data)
    elif ended == "by predict":
        trainer.fit(model, data, data)
        trainer.predict(model, data)
    else:
        getattr(trainer, ended.removeprefix("by "))(model, data, verbose=False)
    if store_responses and ended == "as planned":
        assert (
            len(model.get_responses()["V1"]) == len(model.get_responses("val")["V1"]) > 2
        )  # the last until it is called
    y = model.eval()(x, store_responses=True)
    responses = model.get_responses()
    assert torch.equal(responses["classifier"], y.detach())
    assert responses["V1"].shape[0] == 2


def test_stages_of_a_trainer_are_kept_apart():
    torch.manual_seed(0)
    model = Watching(
        input_dims=(5, 2, 8, 8), n_classes=3, store_responses=100, t_feedforward=4.0, loss_reaction_time=4.0
    )
    fit(model)
    # Each training batch runs twice, in the test and in the step itself.
    train = model.get_responses("train")["classifier"]
    assert torch.equal(train.view(3, 2, 4, N_STEPS, 3)[:, 0], torch.stack(model.train_outputs))
    assert [len(model.get_responses(stage)["V1"]) for stage in ("train", "val", "test")] == [24, 8, 6]
    assert model.get_responses("call") == {}
    assert model.get_responses()["V1"].equal(model.get_responses("test")["V1"])  # the last
    table = model.get_dataframe(stage="val")
    scored = [-1] * (6 + 2)  # R steps, and the reaction time
    assert table["label"].tolist() == [label for n in range(8) for label in [*scored, *[n % 3] * 3]]
    with pytest.raises(InputError, match="unknown stage 'valid'.*did you mean 'val'"):
        model.get_responses("valid")


def test_storage_changes_no_training():
    weights = []
    for arguments in ({}, {"store_responses": 6}):
        torch.manual_seed(0)
        model = Small(input_dims=(5, 2, 8, 8), n_classes=3, **arguments)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit(model)
        weights.append(model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_storage_is_not_in_a_checkpoint():
    model = build(store_responses=4)
    assert isinstance(model, BaseModel)
    names = set(model.state_dict())
    model(images(2, 2, 8, 8))
    assert set(model.state_dict()) == names == {name for name, _ in model.named_parameters()}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@torch.no_grad()
def test_responses_of_a_gpu_are_kept_on_the_cpu():
    model, x = build(store_responses=4).cuda(), images(2, 2, 8, 8).cuda()
    model.expect_labels(torch.tensor([1, 2], device="cuda"))
    y = model(x)
    responses = model.get_responses()
    assert {values.device.type for values in responses.values()} == {"cpu"}
    assert torch.equal(responses["classifier"], y.cpu())
    on_cpu = build(store_responses=4)
    on_cpu(x.cpu())
    torch.testing.assert_close(responses, on_cpu.get_responses(), rtol=1e-9, atol=1e-9)
    assert model.get_dataframe("V1")["label"].tolist() == [1] * N_STEPS + [2] * N_STEPS

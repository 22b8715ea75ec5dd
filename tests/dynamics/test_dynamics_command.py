"""``dynvision dynamics RUN`` on a trained run."""

import shutil

import numpy as np
import pandas as pd

import dynvision.dynamics
from dynvision.dynamics import DYNAMICS
from dynvision.inference.finished_run import find_run
from tests.lab import forked_command


def command(results, *arguments):
    root, _ = results
    return forked_command(
        "dynamics", *arguments, "--results", root, "--loader", "torch", log=root.parent / "log"
    )


def test_every_table_has_the_columns_that_are_promised(results):
    root, run_id = results
    outcome = command(results, run_id[:12], "--n-images", "3")
    assert outcome.status == 0, outcome.said
    assert "spectral_radius" in outcome.said
    promised = dict(
        line.split(maxsplit=1)
        for line in dynvision.dynamics.__doc__.splitlines()
        if line.split() and line.split()[0] in (*DYNAMICS, "timescales")
    )
    assert set(promised) == {*DYNAMICS, "timescales"}
    for name, columns in promised.items():
        table = pd.read_parquet(root / "dynamics" / run_id / f"{name}.parquet")
        assert list(table) == columns.split(), name
        assert set(table["run_id"]) == {run_id} and set(table["layer"]) <= {"layer1", "layer2"}
        assert len(table) > 1
    spectrum = pd.read_parquet(root / "dynamics" / run_id / "spectrum.parquet")
    np.testing.assert_allclose(spectrum["modulus"], np.hypot(spectrum["real"], spectrum["imag"]))
    trajectories = pd.read_parquet(root / "dynamics" / run_id / "trajectories.parquet")
    assert trajectories["image"].nunique() == 3 and set(trajectories["component"]) == {1, 2, 3}
    scales = pd.read_parquet(root / "dynamics" / run_id / "timescales.parquet")
    assert scales["stable"].all() and (scales["leading_ms"] > 0).all()


def test_it_is_repeatable(results):
    root, run_id = results
    outcomes = [command(results, run_id, "--output", root.parent / name) for name in ("one", "two")]
    assert all(outcome.status == 0 for outcome in outcomes)
    for name in (*DYNAMICS, "timescales"):
        tables = [pd.read_parquet(root.parent / folder / f"{name}.parquet") for folder in ("one", "two")]
        pd.testing.assert_frame_equal(*tables)


def test_a_run_is_found_by_every_name(results):
    root, run_id = results
    folder = root / "runs" / run_id
    names = (run_id, run_id[:-1], str(folder), folder, folder / "model.safetensors")
    found = [find_run(name, root) for name in names]
    assert all(one == found[0] for one in found) and found[0].weights == names[-1]


def test_what_cannot_be_analysed_is_one_sentence(results, tmp_path):
    root, run_id = results
    unknown = command(results, "DyRCNNx9")
    assert (
        unknown.status == 2 and "unknown run 'DyRCNNx9'" in unknown.said and "Traceback" not in unknown.said
    )
    none = forked_command("dynamics", run_id, "--results", tmp_path, log=tmp_path / "log")
    assert none.status == 2 and "no run has been trained in" in none.said
    few = command(results, run_id, "--n-images", "0")
    assert few.status == 2 and "--n-images=0 is too few" in few.said
    copied = shutil.copytree(root, tmp_path / "copied")
    (copied / "runs" / run_id / "model.safetensors").unlink()
    untrained = forked_command("dynamics", run_id, "--results", copied, log=tmp_path / "log")
    assert untrained.status == 2 and "has no" in untrained.said and "train it again" in untrained.said

"""The main job: the whole workflow through `sbatch cluster/snakejob.sh`, with the results of a local call."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from safetensors.torch import load_file

from tests.cluster.slurm_cluster import Clone
from tests.workflow.conftest import Workflow

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def numbers_in(results: Path) -> dict[str, object]:
    """Everything that is computed, without times and without the places of images."""
    weights = {
        str(path.relative_to(results)): {name: tensor.tolist() for name, tensor in load_file(path).items()}
        for path in results.glob("runs/*/model.safetensors")
    }
    tables = {
        str(path.relative_to(results)): pd.read_parquet(path).to_csv()
        for path in results.glob("experiments/**/*.parquet")
    }
    tests = {
        str(path.relative_to(results)): {
            name: value for name, value in json.loads(path.read_text()).items() if name != "seconds"
        }
        for path in results.glob("runs/*/test.json")
    }
    return {**weights, **tables, **tests}


def test_the_workflow_gives_what_a_local_call_gives(clone: Callable[..., Clone], workflow: Workflow) -> None:
    here = clone(cpus="1")  # as the local call: sums are rounded otherwise with another number of threads
    head = here.submit(experiment='["contrast", "duration"]')
    said = here.wait(head)
    assert said.rstrip().endswith("snakejob: finished"), said + here.job_logs()
    for stage in (
        ("--until", "train"),
        ("--until", "experiment"),
        (),
    ):  # each within the time that a program has
        local = workflow.snakemake(*stage)
        assert local.status == 0, local.said
    computed = numbers_in(here.results)
    assert len(computed) >= 2 * (
        2 + 2 * 3
    )  # weights and test of two runs, and their tables in two experiments
    assert computed == numbers_in(workflow.results)
    assert (here.results / "report.html").exists() and (here.results / "runs.csv").exists()
    # one job for the data, one for each training, one for the experiments of each run, three figures, one report
    assert said.count("has been submitted with SLURM jobid") == 1 + 2 + 2 + 3 + 1
    assert not (here.root / ".snakemake" / "head-job").exists()
    assert list(here.results.rglob(".*")) == []

    again = here.wait(here.submit(experiment='["contrast", "duration"]'))
    assert "Nothing to be done" in again and again.rstrip().endswith("snakejob: finished")


def test_arguments_pass_through(clone: Callable[..., Clone]) -> None:
    here = clone()
    said = here.wait(here.submit("--dry-run", "--until", "convert_dataset"))
    assert "This was a dry-run" in said and "convert_dataset" in said and "report" not in said
    assert not here.results.exists()


def test_what_is_misspelt_is_one_sentence(clone: Callable[..., Clone]) -> None:
    here = clone()
    said = here.wait(here.submit(experiment="contrst"))
    assert "dynvision: unknown experiment 'contrst' (key experiment); did you mean 'contrast'?" in said
    assert "Traceback" not in said
    here.write_site(partiton="debug")
    said = here.wait(here.submit())
    expected = "cluster/site.yaml: unknown key 'partiton' (key partiton); did you mean 'partition'?"
    assert expected in said and "Traceback" not in said


def test_what_each_job_asked_for(clone: Callable[..., Clone]) -> None:
    """The profile's numbers, as SLURM has got them; a GPU where the site has them."""
    here = clone(gpus="true", max_runtime="7", max_memory="1500")
    head = here.submit("--until", "train", training="{epochs: 3000, batch_size: 8}")
    here.until(lambda: len(here.training_jobs()) == 2)
    asked = here.cluster.show(here.training_jobs()[0])
    wanted = {"Partition": "debug", "TimeLimit": "00:12:00", "MinMemoryNode": "1500M", "NumCPUs": "2"}
    assert {name: asked[name] for name in wanted} == wanted  # 5 min for freezing and 7 for training
    assert "gpu:1" in asked["TresPerJob"] or "gres:gpu:1" in asked["TresPerJob"]
    profile = yaml.safe_load((here.root / ".snakemake" / "slurm-profile" / "config.yaml").read_text())
    assert asked["JobName"].startswith(profile["slurm-jobname-prefix"])
    here.cluster.run("scancel", head)
    here.wait(head)
    assert here.training_jobs() == []

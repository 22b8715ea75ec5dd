"""What a call of Snakemake cannot do it says in one sentence: before anything is planned where it can be known then."""

from __future__ import annotations

import subprocess

import pytest

from tests.processes import BIN, wait_for
from tests.workflow.conftest import Workflow, forked_snakemake

PROFILE = "Using workflow specific profile profiles/default for setting default command line arguments.\n"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"model_name": "DyRCNx4"},
            "unknown model 'DyRCNx4' (key model_name); did you mean 'DyRCNNx4'?",
        ),
        (
            {"model_args": "{trc: 5}"},
            "model_args: t_recurrence=5 ms is not a multiple of dt=2 ms; nearest valid values: 4 ms and 6 ms",
        ),
        (
            {"model_args": "{rctype:full}"},
            "'rctype:full' is read as one key without a value; put a space after the colon: rctype: full",
        ),
    ],
)
def test_a_mistake_in_the_configuration(workflow: Workflow, config: dict[str, str], sentence: str) -> None:
    outcome = workflow.plan(**config)
    assert (outcome.status, outcome.said) == (1, f"{PROFILE}dynvision: {sentence}\n")
    assert not workflow.results.exists()


def test_a_mistake_in_a_file(workflow: Workflow) -> None:
    workflow.edit(
        "config_experiments.yaml", "values: [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0]", "values: [0.1, 2.0]"
    )
    outcome = workflow.plan()
    assert outcome.said == (
        f"{PROFILE}dynvision: experiments.contrast: values.contrast=2.0 is not valid: "
        "input should be less than or equal to 1\n"
    )
    (workflow.root / "config" / "config_workflow.yaml").write_text("model_name: [DyRCNNx2")
    outcome = workflow.plan()
    assert outcome.status == 1 and outcome.said.count("\n") == 2
    assert "dynvision: configuration file config/config_workflow.yaml is not valid YAML" in outcome.said


def test_what_is_given_twice_is_refused(workflow: Workflow) -> None:
    """Snakemake itself takes the last of two ``--config``, and the last of two values of one key."""
    arguments = workflow.arguments("-n")
    outcome = forked_snakemake(workflow.root, [*arguments, "--config", "seed=2"])
    assert outcome.status == 1
    assert "dynvision: --config is given 2 times, and Snakemake takes the last one alone" in outcome.said
    outcome = forked_snakemake(workflow.root, [*arguments, "seed=1", "seed=2"])
    assert outcome.said == (
        f"{PROFILE}dynvision: --config has the key 'seed' twice; remove one of them, or give it a list\n"
    )
    (workflow.root / "mine.yaml").write_text("seed: 1\nmodel_args:\n  trc: 4\n  trc: 6\n")
    outcome = forked_snakemake(workflow.root, [*arguments, "--configfile", "mine.yaml"])
    assert "mine.yaml has the key 'model_args.trc' twice, in lines 3 and 4" in outcome.said
    assert outcome.status == 1 and "Traceback" not in outcome.said


def test_a_job_that_fails_says_so_at_the_end(
    workflow: Workflow, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The sentence stands where it happened and again below what Snakemake says about it."""
    outcome = workflow.snakemake("--until", "convert_dataset", data_name=f"folder:{workflow.root}/none")
    assert outcome.status == 1
    sentence = f"dynvision convert: data folder {workflow.root}/none does not exist\n"
    assert outcome.said.count(sentence) == 2
    assert outcome.said.index("Exiting because a job execution failed") < outcome.said.rindex(sentence)
    assert "Traceback" not in outcome.said and "Cannot restore" not in outcome.said
    assert not list(workflow.results.rglob("manifest.json"))


def test_no_permission_to_write(workflow: Workflow) -> None:
    """Root is asked to obey permissions, too."""
    give_up = ["setpriv", "--bounding-set", "-dac_override"]
    prefix = give_up if subprocess.run([*give_up, "true"], capture_output=True).returncode == 0 else []
    command = [*prefix, str(BIN / "snakemake"), *workflow.arguments()]
    workflow.root.chmod(0o555)
    try:
        done = subprocess.run(command, cwd=workflow.root, text=True, capture_output=True)
        if not prefix and done.returncode == 0:
            pytest.skip("this user may write everywhere, and setpriv is not there to change that")
    finally:
        workflow.root.chmod(0o755)
    assert done.returncode == 1
    *snakemakes, ours = done.stderr.splitlines()
    assert ours == f"dynvision: no permission to write into the folder {workflow.root}"
    assert len(snakemakes) == 2  # the profile, and that it cannot write a log


def test_two_calls_at_once(again: Workflow) -> None:
    """The second is told that there is a first, which waits in a job for as long as the test wants."""
    again.results.joinpath("report.html").unlink()
    rules = again.root / "workflow" / "rules" / "report.smk"
    waiting = '"touch started; until [ -e go ]; do sleep 0.1; done; dynvision report'
    rules.write_text(rules.read_text().replace('"dynvision report', waiting))
    command = [str(BIN / "snakemake"), *again.arguments()]
    with subprocess.Popen(
        command, cwd=again.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as first:
        try:
            wait_for((again.root / "started").exists, first.pid)
            second = again.snakemake()
        finally:
            (again.root / "go").touch()
    assert second.status == 1
    assert "Directory cannot be locked. Please make sure that no other Snakemake process" in second.said
    assert f"another call is at work in this folder: process {first.pid}, since " in second.said
    assert "Traceback" not in second.said
    assert first.returncode == 0
    assert again.results.joinpath("report.html").exists()


def test_planning_the_default_writes_nothing(workflow: Workflow) -> None:
    outcome = forked_snakemake(workflow.root, ["-n"])
    assert outcome.status == 0
    assert "This was a dry-run" in outcome.said
    assert not workflow.results.exists()

"""The site file and the profile that is made from it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynvision.cluster.settings import BASE, ON_GPU, SiteConfig, read_site, site_profile, write_profile
from dynvision.config.section import validate
from dynvision.errors import InputError
from tests.workflow.conftest import REPOSITORY, Workflow

CLUSTER = REPOSITORY / "cluster"


def profile(**site: Any) -> dict[str, Any]:
    base = yaml.safe_load((REPOSITORY / BASE).read_text())
    return site_profile(base, validate(SiteConfig, site, ""), "dv-1", "squeue")


def test_the_example_is_valid_and_has_every_key_with_its_default() -> None:
    example = CLUSTER / "site.example.yaml"
    assert read_site(example) == SiteConfig()
    assert yaml.safe_load(example.read_text()).keys() == SiteConfig.model_fields.keys()
    for name in SiteConfig.model_fields:  # cluster/snakejob.sh reads some of them line by line
        assert re.search(rf"^{name}: \S", example.read_text(), re.MULTILINE), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partiton: debug", "unknown key 'partiton' (key partiton); did you mean 'partition'?"),
        ("max_jobs: many", "max_jobs='many' is not valid"),
        ("retries: -1", "retries=-1 is not valid"),
        ("- partition", "must hold keys and values, not a list"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        read_site(path)
    assert str(raised.value).startswith(("configuration file ", f"{path}: ")) and message in str(raised.value)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_no_site_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist; copy cluster/site.example.yaml to it"):
        read_site(tmp_path / "site.yaml")


def test_what_a_site_sets_is_in_the_profile() -> None:
    plain = profile()
    assert plain["default-resources"] == {"tmpdir": "system_tmpdir"} and "set-resources" not in plain
    assert plain["slurm-status-command"] == "squeue" and plain["slurm-jobname-prefix"] == "dv-1"
    filled = profile(
        partition="long", gpu_partition="fast", account="42", qos="high", constraint="a|b", gpu_type="a100"
    )
    assert filled["default-resources"] == {
        "tmpdir": "system_tmpdir",
        "slurm_partition": "'long'",
        "slurm_account": "'42'",
        "qos": "'high'",
        "constraint": "'a|b'",
    }
    on_gpu = {"slurm_partition": "'fast'", "gpu_model": "'a100'"}
    assert filled["set-resources"] == dict.fromkeys(ON_GPU, on_gpu)
    assert profile(gpus=False)["set-resources"] == dict.fromkeys(ON_GPU, {"gpu": 0})
    limits = profile(max_jobs=7, cpus=3, retries=5, max_runtime=60, max_memory=900, poll_s=9)
    assert (limits["jobs"], limits["cores"], limits["retries"]) == (7, 3, 5)
    assert limits["resources"] == {"runtime": 60, "mem_mb": 900}
    assert limits["set-threads"] == dict.fromkeys(ON_GPU, 3)
    assert limits["slurm-init-seconds-before-status-checks"] == 9


def test_what_the_profile_must_say() -> None:
    """Lessons that cost a hang or a wrong result each; docs/cluster.md says which."""
    base = yaml.safe_load((REPOSITORY / BASE).read_text())
    assert base["slurm-status-attempts"] >= 100 and base["max-status-checks-per-second"] <= 0.5
    assert base["rerun-incomplete"] and base["keep-going"] and base["retries"] >= 1
    assert "slurm-array-jobs" not in base
    assert not re.search(r"/home|/scratch|@|\.(edu|org|com)\b", (REPOSITORY / BASE).read_text())


def test_snakemake_takes_the_profile_and_groups_by_run(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planned with the local executor, so that no SLURM is needed: all experiments of a run are one group."""
    monkeypatch.chdir(workflow.root)
    shutil.copytree(CLUSTER, workflow.root / "cluster")
    site = SiteConfig(partition="debug", account="none", gpu_type="a100")
    folder = write_profile(workflow.root / ".snakemake" / "slurm-profile", site, "dv-1", "squeue")
    outcome = workflow.plan("-n", "--workflow-profile", folder, "--executor", "dryrun")
    assert outcome.status == 0, outcome.said
    groups = re.findall(r"Group job (\w+?)(?:_DyRCNN\S+)? \(jobs", outcome.said)
    assert sorted(groups) == ["data", "experiments", "experiments", "train", "train"]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", ["snakejob.sh", "bin/dynvision"])
def test_shell_scripts(script: str) -> None:
    done = subprocess.run(["shellcheck", CLUSTER / script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

"""A study as an RO-Crate: valid by the public validator, and true of the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynvision.cli import main
from dynvision.errors import InputError
from dynvision.runs import ResultPaths
from dynvision.sharing.crate import METADATA, About, write_crate

pytest.importorskip("rocrate")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two trained runs, one experiment on one of them, a run that is not finished, a figure and a report."""
    root = tmp_path / "results"
    files: dict[str, Any] = {
        "data/digits_1/converted.json": {"made_from": {}, "identity": "d1"},
        "data/digits_1/manifest.json": {},
        "experiments/contrast/a/responses.json": {"made_from": {}},
        "figures/contrast/responses.png": "",
        "report.html": "<html></html>",
        "runs.csv": "run_id\na\n",
        "experiments/contrast/config.yaml": "name: contrast\n",
        "runs/waiting/config.yaml": "seed: 1\n",
    }
    for name in ("responses", "performance"):
        files[f"experiments/contrast/a/{name}.parquet"] = ""
    for run in "ab":
        files[f"runs/{run}/config.yaml"] = f"seed: {run}\n"
        files[f"runs/{run}/model.safetensors"] = "weights"
        files[f"runs/{run}/training.csv"] = "epoch\n1\n"
        files[f"runs/{run}/test.json"] = {"test_accuracy": 0.5}
        files[f"runs/{run}/trained.json"] = {"made_from": {"data": "d1"}, "date": "2026-01-02 03:04"}
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


def graph(root: Path) -> dict[str, dict[str, Any]]:
    return {entity["@id"]: entity for entity in json.loads((root / METADATA).read_text())["@graph"]}


def ids(value: Any) -> set[str]:
    return {each["@id"] for each in (value if isinstance(value, list) else [value])}


def test_actions_say_what_was_made_from_what(results: Path) -> None:
    write_crate(ResultPaths(results), About("A study", author="A. Scientist"))
    found = graph(results)
    training = found["#train-a"]
    assert ids(training["object"]) == {"runs/a/config.yaml", "data/digits_1/manifest.json"}
    assert {"runs/a/model.safetensors", "runs/a/training.csv", "runs/a/test.json"} <= ids(training["result"])
    assert training["endTime"].startswith("2026-01-02T03:04:00")
    experiment = found["#experiment-contrast-a"]
    assert ids(experiment["object"]) == {"runs/a/model.safetensors", "experiments/contrast/config.yaml"}
    assert "experiments/contrast/a/responses.parquet" in ids(experiment["result"])
    assert ids(experiment["agent"]) == {"#author"}
    assert "#train-b" in found and "#train-waiting" not in found
    assert not any("waiting" in name for name in found)


def test_every_file_of_the_crate_is_there_and_says_its_size(results: Path) -> None:
    write_crate(ResultPaths(results), About("A study"))
    files = [entity for entity in graph(results).values() if entity["@type"] == "File"]
    assert {"report.html", "runs.csv", "figures/contrast/responses.png"} <= {file["@id"] for file in files}
    for file in files:
        assert int(file["contentSize"]) == (results / file["@id"]).stat().st_size


def test_the_public_validator_finds_nothing(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = pytest.importorskip("rocrate_validator.services")
    models = pytest.importorskip("rocrate_validator.models")
    http = pytest.importorskip("rocrate_validator.utils.http")
    import rocrate

    class Answer:
        """The JSON-LD context that comes with `rocrate`, as w3id.org would send it."""

        status_code, headers = 200, {"Content-Type": "application/ld+json"}
        content = (Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_bytes()
        text = content.decode()

        def json(self) -> Any:
            return json.loads(self.content)

        def raise_for_status(self) -> None:
            """It is there."""

    monkeypatch.setattr(http.HttpRequester, "get", lambda *_, **__: Answer(), raising=False)
    write_crate(ResultPaths(results), About("A study", "https://spdx.org/licenses/CC-BY-4.0", "A. Scientist"))

    def issues(profile: str) -> list[str]:
        settings = models.ValidationSettings(
            rocrate_uri=str(results),
            profile_identifier=profile,
            requirement_severity="REQUIRED",
            offline=True,
        )
        return [f"{issue.severity}: {issue.message}" for issue in services.validate(settings).get_issues()]

    assert issues("process-run-crate-0.5") == []
    whole = json.loads((results / METADATA).read_text())
    for entity in whole["@graph"]:  # and it would find something
        if entity["@id"] == "#train-a":
            del entity["instrument"]
    (results / METADATA).write_text(json.dumps(whole))
    assert issues("process-run-crate-0.5") != []


def test_nothing_finished_is_no_crate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="no run in .* is trained"):
        write_crate(ResultPaths(tmp_path), About("A study"))
    assert main(["crate", "--results", str(tmp_path)]) == 2
    assert "a crate is of finished runs" in capsys.readouterr().err

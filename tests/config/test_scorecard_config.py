"""Which layer stands beside which area: every model that ships, and what cannot be."""

from __future__ import annotations

import pytest

from dynvision.config.measures import PROTOCOLS, ScorecardConfig
from dynvision.config.section import validate
from dynvision.config.workflow import load_workflow_config
from dynvision.errors import InputError


def test_the_longest_name_that_fits_counts() -> None:
    areas = {"layer1": "V1"}
    models = {"Res*": {"layer1": "V2"}, "ResNet18": {"layer1": ["V4", "VOTC"]}}
    settings = validate(ScorecardConfig, {"areas": areas, "models": models}, "scorecard")
    assert settings.areas_of("DyRCNNx2") == {"layer1": ("V1",)}
    assert settings.areas_of("ResNet50") == {"layer1": ("V2",)}
    assert settings.areas_of("ResNet18") == {"layer1": ("V4", "VOTC")}


def test_shipped_experiments_exist(config_dir: str) -> None:
    workflow = load_workflow_config(config_dir)
    assert (
        set(workflow.scorecard_experiments())
        == set(workflow.scorecard.experiments.values())
        <= set(workflow.experiments)
    )
    assert set(workflow.scorecard.experiments) == set(PROTOCOLS)


def test_a_protocol_is_left_out_by_null(config_dir: str) -> None:
    workflow = load_workflow_config(
        config_dir, {"scorecard": {"experiments": {"rsvp": None, "contrast": "contrast"}}}
    )
    assert set(workflow.scorecard.experiments) == set(PROTOCOLS) - {"rsvp"}
    assert workflow.scorecard.experiments["contrast"] == "contrast"


def test_an_experiment_varies_what_its_protocol_varies(config_dir: str) -> None:
    workflow = load_workflow_config(config_dir, {"scorecard": {"experiments": {"duration": "contrast"}}})
    with pytest.raises(InputError, match="the protocol varies duration_ms, and this experiment contrast"):
        workflow.scorecard_experiments()


def test_unknown_protocols_and_experiments_are_named(config_dir: str) -> None:
    with pytest.raises(InputError, match="unknown protocol 'contrats'.*did you mean 'contrast'"):
        validate(ScorecardConfig, {"experiments": {"contrats": "contrast_ecog"}}, "scorecard")
    given = {"scorecard": {"experiments": {"contrast": "contrast_ecg"}}}
    with pytest.raises(InputError, match="unknown experiment 'contrast_ecg'.*did you mean 'contrast_ecog'"):
        load_workflow_config(config_dir, given).scorecard_experiments()

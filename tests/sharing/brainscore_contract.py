"""The interface of Brain-Score that a plugin meets, recorded from brainscore_vision 2.4.2 and brainscore_core 2.5.0.

Their packages need numpy below 2 and xarray of 2022, so that they cannot be installed beside this one.
`METHODS` are the names and arguments of ``model_interface.BrainModel``; assemblies are arrays of xarray, a stimulus set is
a table with ``get_stimulus``.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import xarray as xr

METHODS = {
    "visual_degrees": ["self"],
    "start_task": ["self", "task", "fitting_stimuli"],
    "start_recording": ["self", "recording_target", "time_bins"],
    "look_at": ["self", "stimuli", "number_of_trials"],
}


class Assembly(xr.DataArray):
    """Stands for NeuroidAssembly and BehavioralAssembly."""

    __slots__ = ()


class StimulusSet(pd.DataFrame):
    """Stands for StimulusSet."""

    _metadata = ["stimulus_paths"]

    def get_stimulus(self, stimulus_id: str) -> str:
        return self.stimulus_paths[stimulus_id]


class BrainModel:
    """Stands for BrainModel."""


def install(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Put the stand-ins where the packages would be; the registry of models."""
    registry: dict[str, Any] = {}
    contents: dict[str, dict[str, Any]] = {
        "brainscore_core": {},
        "brainscore_core.supported_data_standards": {},
        "brainscore_core.supported_data_standards.brainio": {},
        "brainscore_core.supported_data_standards.brainio.assemblies": {
            "NeuroidAssembly": Assembly,
            "BehavioralAssembly": Assembly,
        },
        "brainscore_vision": {"model_registry": registry, "load_model": lambda name: registry[name]()},
        "brainscore_vision.model_interface": {"BrainModel": BrainModel},
    }
    for name, values in contents.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    return registry

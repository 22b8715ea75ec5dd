"""A network's responses beside recordings of brains and the behaviour of observers. Arrays in, tables out."""

from __future__ import annotations

from dynvision.recordings.behaviour import compare_behaviour, network_decisions, read_trials
from dynvision.recordings.compare import compare
from dynvision.recordings.data import read_recording
from dynvision.recordings.exports import (
    to_evoked,
    to_netcdf,
    to_nwb,
    to_rdms,
    to_temporal_dataset,
    to_zarr,
)
from dynvision.recordings.responses import extract_responses, labelled_responses, open_responses
from dynvision.recordings.standards import read_bids_derivatives, read_nwb

__all__ = [
    "compare",
    "compare_behaviour",
    "extract_responses",
    "labelled_responses",
    "network_decisions",
    "open_responses",
    "read_bids_derivatives",
    "read_nwb",
    "read_recording",
    "read_trials",
    "to_evoked",
    "to_netcdf",
    "to_nwb",
    "to_rdms",
    "to_temporal_dataset",
    "to_zarr",
]

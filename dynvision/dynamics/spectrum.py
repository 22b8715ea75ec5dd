"""Leading eigenvalues of each layer's step, and their time constants in ms.

    lambda = |lambda| exp(i omega dt)
    time_constant_ms = -dt / ln |lambda|            how fast a disturbance decays; negative where it grows
    frequency_hz     = 1000 omega / (2 pi)          at which it oscillates, dt in ms
    stable           : spectral radius max |lambda| < 1

By Arnoldi iteration on J^T (:mod:`dynvision.dynamics.linearization`), so that nothing larger than a few states is kept.
Where many eigenvalues lie together (slow pools of a normalisation, one a unit), they cannot be resolved to eight digits
in reasonable time; the tolerance is then relaxed and stands beside them. A layer whose past reaches back D steps has
Jordan blocks of size D at 0, whose computed eigenvalues scatter as rounding^(1/D): what is below that is 0.

Source: Lehoucq, Sorensen & Yang (1998), ARPACK Users' Guide.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse.linalg import ArpackNoConvergence, eigs
from torch import Tensor

from dynvision.base import TemporalBase
from dynvision.dynamics.linearization import LayerMap, linearize

N_EIGENVALUES = 6
DENSE_STATES = 64  # below, the matrix is written out
TOLERANCES = (1e-8, 1e-4, 1e-2, 1e-1)  # relative, tried in this order
N_RESTARTS = 12
ROUNDING = 1e-13
SEED = 20220
POINTS = {"stimulus": False, "all_active": True}


def leading_eigenvalues(layer_map: LayerMap, k: int = N_EIGENVALUES) -> tuple[np.ndarray, float]:
    """Return the eigenvalues of largest modulus, the largest first.

    Args:
        layer_map: a layer's linearised step.
        k: how many; at most as many as there are states.

    Returns:
        (k,), complex, and their relative tolerance; fewer than k if the iteration does not settle on all of them.
    """
    n = layer_map.n_states
    if n <= max(DENSE_STATES, 4 * k):
        return _ordered(_without_rounding(np.linalg.eigvals(layer_map.dense()), layer_map))[:k], 0.0
    start = np.random.default_rng(SEED).standard_normal(n)
    vector = start
    for _ in range(len(layer_map.inputs[0]) + 1):
        vector = layer_map.adjoint(vector)
        if not vector.any():  # nothing is remembered for longer than the past is kept: all eigenvalues are 0
            return np.zeros(k, complex), 0.0
    settings = {"which": "LM", "v0": start, "ncv": min(n, max(4 * k, 40)), "maxiter": N_RESTARTS}
    found = np.zeros(0, complex)
    for tolerance in TOLERANCES:
        try:
            found = eigs(layer_map.operator(), k, tol=tolerance, return_eigenvectors=False, **settings)
            break
        except ArpackNoConvergence as error:
            found = error.eigenvalues
    return _ordered(_without_rounding(found, layer_map)), tolerance


def _without_rounding(values: np.ndarray, layer_map: LayerMap) -> np.ndarray:
    """Return eigenvalues with 0 for what rounding makes of Jordan blocks at 0."""
    depth = len(layer_map.inputs[0])
    return np.where(np.abs(values) > ROUNDING ** (1 / depth), values, 0)


def _ordered(values: np.ndarray) -> np.ndarray:
    return values[np.lexsort((-values.imag, -values.real, -np.abs(values).round(12)))]


def time_constant_ms(eigenvalue: complex, dt: float) -> float:
    """Return the e-folding time in ms: positive for decay, negative for growth, infinite between them, 0 for no memory."""
    modulus = abs(eigenvalue)
    if modulus == 0:
        return 0.0
    rate = math.log(modulus)
    return math.inf if rate == 0 else -dt / rate


def layer_spectra(
    model: TemporalBase, image: Tensor, n_steps: int, image_index: int = 0, k: int = N_EIGENVALUES
) -> pd.DataFrame:
    """Return the spectrum of every layer, with an image shown and with all units active.

    Args:
        model: in eval mode; double precision is best.
        image: normalised image, (1, C, H, W).
        n_steps: how long the image is shown before.
        image_index: its index in the source, for the table.
        k: how many eigenvalues.

    Returns:
        Columns `layer point image rank real imag modulus time_constant_ms frequency_hz n_states tolerance`.
    """
    rows: list[dict[str, Any]] = []
    for point, all_active in POINTS.items():
        for layer_map in linearize(model, image, n_steps, all_active):
            values, tolerance = leading_eigenvalues(layer_map, k)
            for rank, value in enumerate(values, start=1):
                rows.append(
                    {
                        "layer": layer_map.layer,
                        "point": point,
                        "image": image_index,
                        "rank": rank,
                        "real": value.real,
                        "imag": value.imag,
                        "modulus": abs(value),
                        "time_constant_ms": time_constant_ms(complex(value), model.dt),
                        "frequency_hz": 1000 * abs(np.angle(value)) / (2 * math.pi * model.dt),
                        "n_states": layer_map.n_states,
                        "tolerance": tolerance,
                    }
                )
    table = pd.DataFrame(rows)
    table["layer"] = pd.Categorical(table["layer"], list(model.chain))
    return table.sort_values(["layer", "point", "rank"], ignore_index=True)

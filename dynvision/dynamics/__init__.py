"""Dynamics of a trained network: what needs the network itself and not only what it did in an experiment.

``dynvision dynamics RUN`` writes one table for each question, all of them in long form with times in ms:

spectrum         run_id layer point image rank real imag modulus time_constant_ms frequency_hz n_states tolerance
                 leading eigenvalues of a layer's own step (leak and recurrent delay included), highest modulus first;
                 point is ``stimulus`` (linearised where the image holds it) or ``all_active`` (every unit above threshold)
timescales       run_id layer spectral_radius stable leading_ms stimulus_radius stimulus_ms autocorrelation_ms
                 one row a layer: modulus and time constant of the first eigenvalue at both points, and the lag at which the
                 autocorrelation falls to 1/e
autocorrelation  run_id layer lag_ms mean sd n_units
                 of the units' responses to noise that is new at every step, mean and sd over units
trajectories     run_id layer image label time_ms stimulus_on component score explained
                 principal components 1, 2, 3 of a layer's activity over images and time; explained: part of the variance
unrolling        run_id layer time_ms biological engineering largest_difference shift_ms
                 mean |r| with delays as they are, and without feedforward delays, later by shift_ms; and the largest
                 difference of any unit and image
"""

from dynvision.dynamics.run import DYNAMICS, analyse_dynamics
from dynvision.dynamics.spectrum import (
    LayerMap,
    layer_spectra,
    leading_eigenvalues,
    linearize,
    time_constant_ms,
)
from dynvision.dynamics.timescales import noise_autocorrelation
from dynvision.dynamics.trajectories import compare_unrollings, engineering_twin, layer_trajectories

__all__ = [
    "DYNAMICS",
    "LayerMap",
    "analyse_dynamics",
    "compare_unrollings",
    "engineering_twin",
    "layer_spectra",
    "layer_trajectories",
    "leading_eigenvalues",
    "linearize",
    "noise_autocorrelation",
    "time_constant_ms",
]

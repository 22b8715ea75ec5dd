"""The fused step of a liquid unit: implicit in the unit, explicit in what drives it.

    C dv/dt = pull - G v      =>      v(t) = (v(t - dt) + a pull) / (1 + a G),      a = dt / C

v state, C capacitance (a time constant where G is relative to the leak, then in ms), G >= 0 the sum of the conductances of
the unit, pull the sum of conductances times their reversal potentials. The unit goes to pull / G with the time constant
C / G: what opens conductances makes it faster. Stable for every dt; v(t) lies between v(t - dt) and pull / G.

Source: Hasani, Lechner, Amini, Rus & Grosu (2021), AAAI 35:7657, eqs. 1 to 3 (the liquid time-constant network, its time
constant and its fused solver).
"""

from __future__ import annotations

from torch import Tensor


def fused_step(v: Tensor | None, pull: Tensor, conductance: Tensor, a: float | Tensor) -> Tensor:
    """One fused step.

    Args:
        v: state one step ago; None for zero.
        pull: conductances times reversal potentials, summed, of the shape of `v`.
        conductance: conductances, summed, >= 0, of the shape of `v`.
        a: dt / C, a scalar or broadcastable to `v`; 0 leaves `v` as it is.

    Returns:
        The state dt later, of the shape of `v`.
    """
    pulled = a * pull
    return (pulled if v is None else v + pulled) / (1.0 + a * conductance)

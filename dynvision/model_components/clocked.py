"""Components that count time in steps of dt. Inside a model there is one dt, the model's; a component follows it.

steps = duration / dt,    rate = dt / tau          durations and tau in ms, as they were given
"""

from __future__ import annotations

from torch import nn

from dynvision.errors import InputError

ALONE_DT = 2.0  # ms, of a component that is part of no model and was given no dt


class Clocked(nn.Module):
    """A component that knows dt.

    Args:
        dt: integration step in ms; by default that of the model that the component is part of, and 2 ms outside of one.

    Raises:
        InputError: the component is not possible with this dt.
    """

    def __init__(self, dt: float | None = None) -> None:
        super().__init__()
        self._dt = None if dt is None else float(dt)

    @property
    def dt(self) -> float:
        """Integration step in ms."""
        return ALONE_DT if self._dt is None else self._dt

    @dt.setter
    def dt(self, dt: float) -> None:
        self._dt = float(dt)

    def follow(self, dt: float, name: str) -> None:
        """Take the dt of the model that the component is part of.

        Args:
            dt: the model's integration step in ms.
            name: of the component in the model.

        Raises:
            InputError: the component was given, or has taken, another one; or it is not possible with this one.
        """
        if self._dt is None:
            self.check_dt(dt)
            self._dt = float(dt)
        elif self._dt != dt:
            raise InputError(
                f"{name} ({type(self).__name__}) has dt={self._dt:g} ms and its model has dt={dt:g} ms; leave out the dt "
                "of the component, which then follows the model"
            )

    def check_dt(self, dt: float) -> None:
        """Check that the component is possible with a dt, in ms.

        Raises:
            InputError: it is not.
        """


def check_time_constant(tau: float, dt: float, name: str) -> None:
    """Check a time constant that is integrated with explicit Euler steps.

    Raises:
        InputError: it is shorter than a step.
    """
    if not tau >= dt:
        raise InputError(f"{name}={tau:g} ms must not be smaller than dt={dt:g} ms; raise {name} or lower dt")

"""Recurrence: the operators, and the convolution that carries one."""

from dynvision.model_components.recurrence.operators import (
    OPERATORS,
    LocalLateralConnection,
    SelfConnection,
    build_operator,
    initialize_operator,
)

__all__ = ["OPERATORS", "LocalLateralConnection", "SelfConnection", "build_operator", "initialize_operator"]

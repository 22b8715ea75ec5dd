"""Names to show, and the order to show them in. Loads no plotting library."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dynvision.config.measures import ScorecardConfig
from dynvision.config.visualization import VisualizationConfig


class Names:
    """Names and order of what figures and tables show.

    Args:
        config: names, order and palette; None takes the defaults.
        scorecard: which experiment and which layer may stand beside cortex; None lets none.
    """

    def __init__(
        self, config: VisualizationConfig | None = None, scorecard: ScorecardConfig | None = None
    ) -> None:
        self.config = config or VisualizationConfig()
        self.scorecard = scorecard or ScorecardConfig()

    def name(self, key: object) -> str:
        """What to show for a name: the configured label, or the name with blanks for underscores."""
        return self.config.names.get(str(key), str(key).replace("_", " "))

    def ordered(self, names: Iterable[Any]) -> list[Any]:
        """Names in the configured order; others follow, alphabetically and by the numbers in them."""
        return sorted(dict.fromkeys(names), key=self.rank)

    def rank(self, name: object) -> tuple:
        """Sorting key of one name or number."""
        order = self.config.order
        text = str(name)
        if isinstance(name, (int, float)):
            return (1, float(name), ())
        if text in order:
            return (0, float(order.index(text)), ())
        return (2, 0.0, tuple((part.isdigit(), part.zfill(12)) for part in re.split(r"(\d+)", text)))

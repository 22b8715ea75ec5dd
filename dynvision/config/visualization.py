"""Names, order and colours of what figures show."""

from __future__ import annotations

from dynvision.config.section import Section, key


class VisualizationConfig(Section):
    """How figures look. Changing it redraws figures and repeats nothing else."""

    palette: dict[str, str] = key({}, "colour of a layer, a recurrence type or a model, as a hex code")
    names: dict[str, str] = key({}, "label to show instead of a name")
    order: tuple[str, ...] = key((), "names in the order in which they appear; others follow alphabetically")
    dpi: int = key(150, "resolution of PNG files", "dots per inch", ge=50, le=1200)

"""One colour a condition: by rank where conditions differ in one number, else that of a value in the palette."""

from __future__ import annotations

from dynvision.visualization.comparison import Comparison, Row
from dynvision.visualization.style import Style


def condition_colours(comparison: Comparison, style: Style, row: Row | None = None) -> dict[str, str]:
    """Colours of the conditions of a row, or of all of them, by label."""
    labels = list(comparison.labels if row is None else row.titles)
    of_label = dict(zip(comparison.labels, comparison.conditions, strict=True))
    differing = [of_label[label].differing for label in labels]
    varied = [name for name in differing[0] if len({repr(values[name]) for values in differing}) > 1]
    values = [[one[name] for name in varied] for one in differing]
    if all(len(value) == 1 and _is_number(value[0]) for value in values):
        ranks = style.graded(float(value[0]) for value in values)
        return {label: ranks[float(value[0])] for label, value in zip(labels, values, strict=True)}
    keys = [
        next((str(part) for part in value if str(part) in style.config.palette), label)
        for label, value in zip(labels, values, strict=True)
    ]
    keys = [key if keys.count(key) == 1 else label for key, label in zip(keys, labels, strict=True)]
    chosen = style.colours(keys)
    return {label: chosen[key] for label, key in zip(labels, keys, strict=True)}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

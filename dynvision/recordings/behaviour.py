"""A network's decisions beside those of human observers, image by image.

A file of trials has the columns image, condition, response, rt_ms and observer, and label where the right answer is known.

| measure            | of network and observers                                                                     |
|--------------------|----------------------------------------------------------------------------------------------|
| accuracy           | fraction correct, by condition                                                                |
| image_accuracy     | Spearman correlation over images: fraction of observers correct, confidence in the label       |
| image_rt           | Spearman correlation over images of mean reaction times, of correct trials                    |
| confusion          | Pearson correlation of off-diagonal confusion rates                                            |
| ceiling            | the same between each observer and the mean of the others                                     |

Source: Rajalingham et al. (2018), J Neurosci 38:7255 (image-level consistency); Spoerer et al. (2020), PLoS Comput Biol
16:e1008215 (reaction times).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from dynvision.errors import InputError

TRIAL_COLUMNS = ("image", "condition", "response", "rt_ms", "observer")
DECISION_COLUMNS = ("image", "condition", "label", "response", "rt_ms", "confidence")


def read_trials(path: str | Path) -> pd.DataFrame:
    """Read human trials from CSV.

    Raises:
        InputError: the file is missing or damaged, lacks a column, or has times that are not positive numbers.
    """
    try:
        table = pd.read_csv(
            path, dtype={"image": str, "response": str, "observer": str, "condition": str, "label": str}
        )
    except FileNotFoundError:
        raise InputError(f"there is no file of trials {path}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as CSV: {' '.join(str(error).split())}") from None
    if "condition" not in table:
        table["condition"] = "all"
    missing = [name for name in TRIAL_COLUMNS if name not in table]
    if missing:
        raise InputError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(map(str, table.columns))}"
        )
    times = pd.to_numeric(table["rt_ms"], errors="coerce")
    wrong = table["rt_ms"].notna() & ~(times > 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(f"{path}: rt_ms={table['rt_ms'].iloc[row]} in row {row + 2} is no positive time")
    return table.assign(rt_ms=times)


def compare_behaviour(decisions: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Compare a network's decisions with human trials.

    Args:
        decisions: one row for each image and condition: image, condition, label, response, rt_ms (not-a-number where it
            never decided) and confidence, the probability of the label.
        trials: as :func:`read_trials` gives them; without a column ``label`` that of the network's images is used.

    Returns:
        A row for each condition and measure: condition, measure, network, observers, ceiling, n_images.

    Raises:
        InputError: no image in common.
    """
    decisions = decisions.astype({"image": str, "condition": str, "label": str, "response": str})
    if "label" not in trials:
        labels = decisions[["image", "label"]].drop_duplicates("image")
        trials = trials.merge(labels, on="image", how="inner")
    joined = trials.merge(decisions[["image", "condition"]], on=["image", "condition"], how="inner")
    if joined.empty:
        raise InputError(
            "the trials and the network have no image and condition in common; the network has "
            f"{', '.join(decisions['image'].unique()[:3])} in {', '.join(decisions['condition'].unique()[:3])}"
        )
    joined = joined.assign(correct=joined["response"] == joined["label"])
    rows = []
    for condition, human in joined.groupby("condition"):
        keys = human["image"].unique()
        network = decisions[(decisions["condition"] == condition) & decisions["image"].isin(keys)]
        network = network.assign(correct=network["response"] == network["label"]).set_index("image")
        for measure, values in _measures(network, human).items():
            rows.append({"condition": condition, "measure": measure, **values, "n_images": len(keys)})
    return pd.DataFrame(rows)


def speed_accuracy(trials: pd.DataFrame, n_bins: int = 5) -> pd.DataFrame:
    """Return accuracy by quantiles of reaction time: condition, rt_ms (mean of the bin), accuracy, n.

    Args:
        trials: rows with condition, rt_ms, response and label; rows without a time are left out.
        n_bins: bins of equal size.
    """
    timed = trials.dropna(subset=["rt_ms"]).assign(
        correct=lambda t: t["response"].astype(str) == t["label"].astype(str)
    )
    rows = []
    for condition, part in timed.groupby("condition"):
        bins = pd.qcut(part["rt_ms"].rank(method="first"), min(n_bins, len(part)), labels=False)
        for _, one in part.groupby(bins):
            values = {"rt_ms": one["rt_ms"].mean(), "accuracy": one["correct"].mean(), "n": len(one)}
            rows.append({"condition": condition, **values})
    return pd.DataFrame(rows)


def _measures(network: pd.DataFrame, human: pd.DataFrame) -> dict[str, dict[str, float]]:
    by_image = human.groupby("image")["correct"].mean()
    right = human[human["correct"]].groupby("image")["rt_ms"].mean()
    network_right = network[network["correct"]]["rt_ms"]
    classes = sorted({*network["label"], *human["label"]})
    return {
        "accuracy": {
            "network": float(network["correct"].mean()),
            "observers": float(human["correct"].mean()),
            "ceiling": np.nan,
        },
        "image_accuracy": {
            "network": _spearman(network["confidence"], by_image),
            "observers": np.nan,
            "ceiling": _ceiling(human, lambda t: t.groupby("image")["correct"].mean(), _spearman),
        },
        "image_rt": {
            "network": _spearman(network_right, right),
            "observers": np.nan,
            "ceiling": _ceiling(human, lambda t: t[t["correct"]].groupby("image")["rt_ms"].mean(), _spearman),
        },
        "confusion": {
            "network": _pearson(_confusion(network, classes), _confusion(human, classes)),
            "observers": np.nan,
            "ceiling": _ceiling(human, lambda t: _confusion(t, classes), _pearson),
        },
    }


def _ceiling(
    human: pd.DataFrame,
    summary: Callable[[pd.DataFrame], pd.Series],
    score: Callable[[pd.Series, pd.Series], float],
) -> float:
    """Mean score of each observer with the others; not-a-number for one observer."""
    observers = human["observer"].unique()
    if len(observers) < 2:
        return float("nan")
    scores = [
        score(summary(human[human["observer"] == one]), summary(human[human["observer"] != one]))
        for one in observers
    ]
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")


def _confusion(trials: pd.DataFrame, classes: list[str]) -> pd.Series:
    """Rates of wrong responses by label and response, off the diagonal."""
    counts = pd.crosstab(trials["label"], trials["response"]).reindex(
        index=classes, columns=classes, fill_value=0
    )
    rates = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    off = ~np.eye(len(classes), dtype=bool)
    return pd.Series(rates.to_numpy()[off])


def _paired(a: pd.Series, b: pd.Series) -> pd.DataFrame:
    return pd.concat([a.rename("a"), b.rename("b")], axis=1, join="inner").dropna()


def _spearman(a: pd.Series, b: pd.Series) -> float:
    both = _paired(a, b)
    return _pearson(both["a"].rank(), both["b"].rank())


def _pearson(a: pd.Series, b: pd.Series) -> float:
    both = _paired(a, b)
    if len(both) < 3 or both["a"].nunique() < 2 or both["b"].nunique() < 2:
        return float("nan")
    return float(np.corrcoef(both["a"], both["b"])[0, 1])

"""A network's decisions beside those of human observers, image by image.

A file of trials has the columns image, condition, response, rt_ms and observer, and label where the right answer is known.

| measure         | of network and observers                                                                            |
|-----------------|-----------------------------------------------------------------------------------------------------|
| accuracy        | fraction correct; its ceiling is the range over observers                                           |
| image_accuracy  | Spearman correlation over images: probability of the label, fraction of observers who are correct   |
| image_rt        | Spearman correlation over images of reaction times, of correct trials, standardized by observer     |
| confusion       | Pearson correlation of confusion rates off the diagonal                                             |
| speed_accuracy  | Spearman correlation over trials of reaction time and being correct; range over observers           |

The three correlations are means over random halves of the observers, so that their ceiling is that of the score: the lower
bound is the correlation of the two halves, the upper one that of a half with all observers.

**Decisions** of a network: the first time at which a bound is reached, and the guess at that time; where it never is, the
last guess, without a time.

| rule         | reached when                                                                     | bound by default |
|--------------|----------------------------------------------------------------------------------|------------------|
| confidence   | the most probable class has this probability                                     | .5               |
| entropy      | the entropy of the class probabilities is no larger, in bits                     | 1                |
| accumulation | the accumulated probability of one class is this, in ms (Rafiei et al. 2024)     | 20               |

Source: Rajalingham et al. (2018), J Neurosci 38:7255 (image-level consistency, halves); Spoerer et al. (2020), PLoS Comput
Biol 16:e1008215 (reaction times); Geirhos et al. (2018), NeurIPS (confusions).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from dynvision.config.comparison import DECISIONS, ROUNDING_MS
from dynvision.errors import InputError, unknown_name
from dynvision.recordings.data import condition_name, shared_condition
from dynvision.recordings.tables import read_rows

TRIAL_COLUMNS = ("image", "condition", "response", "rt_ms", "observer")
DECISION_COLUMNS = ("image", "condition", "label", "response", "rt_ms", "confidence")
N_SPLITS = 20
FEWEST_IMAGES = 3  # of a correlation
FASTEST_MS = 20.0  # nobody answers so fast: such times are in seconds


def read_trials(path: str | Path) -> pd.DataFrame:
    """Read human trials from CSV.

    Raises:
        InputError: the file is missing or damaged, lacks a column, or has times that are not positive numbers.
    """
    names = ("image", "response", "observer", "condition", "label")
    table = read_rows(path, TRIAL_COLUMNS[:1] + TRIAL_COLUMNS[2:], names, ("rt_ms",))
    if "condition" not in table:
        table["condition"] = "all"
    times = table["rt_ms"]
    wrong = times.notna() & ~((times > 0) & np.isfinite(times))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(f"{path}: rt_ms={times.iloc[row]:g} in row {row + 2} is no positive time")
    if times.median() < FASTEST_MS:
        raise InputError(
            f"{path}: half of the trials have an rt_ms below {FASTEST_MS:g}; times are in ms, so multiply seconds by 1000"
        )
    return table


def network_decisions(
    performance: pd.DataFrame, rule: str = "confidence", bound: float | None = None
) -> pd.DataFrame:
    """Return a network's decisions from its guesses over time.

    Args:
        performance: the table ``performance.parquet`` of one run and experiment.
        rule: ``confidence``, ``entropy`` or ``accumulation``.
        bound: of the rule; None takes its default.

    Returns:
        A row for each image and value of the parameter, with the columns `DECISION_COLUMNS`; ``condition`` is the value,
        and ``rt_ms`` not-a-number where the bound is never reached.

    Raises:
        InputError: an unknown rule, or a table without its column.
    """
    if rule not in DECISIONS:
        raise unknown_name("decision", rule, DECISIONS, key="decision")
    default, column, guess = DECISIONS[rule]
    for name in (column, guess):
        if name not in performance:
            raise InputError(f"the table of guesses has no column {name!r}; run the experiment again")
    after = performance[performance["time_ms"] > 0].sort_values("time_ms", kind="stable")
    limit = default if bound is None else bound
    if rule == "entropy":
        reached = after[column] <= limit
    else:
        reached = after[column] >= limit - (ROUNDING_MS if rule == "accumulation" else 0.0)
    keys = ["value", "image"]
    first = after[reached].drop_duplicates(keys, keep="first")
    last = after.drop_duplicates(keys, keep="last").assign(time_ms=np.nan)
    decided = pd.concat([first, last]).drop_duplicates(keys, keep="first").sort_values(keys)
    return pd.DataFrame(
        {
            "image": decided["image"].astype(str),
            "condition": decided["value"].astype(float),
            "label": decided["label"],
            "response": decided[guess],
            "rt_ms": decided["time_ms"],
            "confidence": decided["label_confidence"].astype(float),
        }
    ).reset_index(drop=True)


def compare_behaviour(
    decisions: pd.DataFrame,
    trials: pd.DataFrame,
    value: float | None = None,
    n_splits: int = N_SPLITS,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare a network's decisions with human trials.

    Args:
        decisions: as :func:`network_decisions` gives them.
        trials: as :func:`read_trials` gives them; without a column ``label`` that of the network's images is used.
        value: the condition that is compared, where the network or the observers have several and the other has not.
        n_splits: random halves of the observers.
        seed: of the halves.

    Returns:
        A row for each condition and measure: condition, measure, network, observers (the mean of their accuracies, or of
        their speed-accuracy correlations), ceiling_low, ceiling_high, n_images, n_observers.

    Raises:
        InputError: no image in common, or several conditions on one side alone.
    """
    network, human = join_decisions(decisions, trials, value)
    rows = []
    for condition, of_humans in human.groupby("condition", sort=False):
        own = network[network["condition"] == condition].set_index("image")
        n = {"n_images": own.index.nunique(), "n_observers": of_humans["observer"].nunique()}
        for measure, found in _measures(own, of_humans, n_splits, seed).items():
            named = dict(zip(("network", "observers", "ceiling_low", "ceiling_high"), found, strict=True))
            rows.append({"condition": condition, "measure": measure, **named, **n})
    return pd.DataFrame(rows)


def join_decisions(
    decisions: pd.DataFrame, trials: pd.DataFrame, value: float | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return decisions and trials of the images and conditions that both have, with a column ``correct``.

    Raises:
        InputError: no image in common, or several conditions on one side alone.
    """
    network = decisions.astype({"image": str, "label": str, "response": str})
    human = trials.astype({"image": str, "response": str})
    network, human = _one_condition(network, human, value)
    if "label" not in human:
        human = human.merge(network[["image", "label"]].drop_duplicates("image"), on="image", how="inner")
    keys = ["image", "condition"]
    joined = human.merge(network[keys].drop_duplicates(), on=keys, how="inner")
    if joined.empty:
        raise InputError(
            "the trials and the network have no image and condition in common; the network has "
            f"{', '.join(network['image'].unique()[:3])} in {', '.join(network['condition'].unique()[:3])}, the trials "
            f"{', '.join(human['image'].unique()[:3])} in {', '.join(human['condition'].unique()[:3])}"
        )
    unknown = (
        set(joined["response"]) - set(joined["label"]) - set(network["label"]) - set(network["response"])
    )
    if unknown == set(joined["response"]):
        raise InputError(
            f"no response of the observers is a class of the network: they gave {', '.join(sorted(unknown)[:3])}, and the "
            f"network's labels are {', '.join(sorted(set(network['label']))[:3])}"
        )
    shown = network.merge(joined[keys].drop_duplicates(), on=keys, how="inner")
    sides = [side.assign(correct=side["response"] == side["label"].astype(str)) for side in (shown, joined)]
    return sides[0], sides[1]


def speed_accuracy(trials: pd.DataFrame, n_bins: int = 5) -> pd.DataFrame:
    """Return the accuracy by quantiles of reaction time: condition, rt_ms (mean of the bin), accuracy, n.

    Args:
        trials: rows with condition, rt_ms, response and label; rows without a time are left out.
        n_bins: bins of equal size.
    """
    timed = trials.dropna(subset=["rt_ms"]).assign(
        correct=lambda t: t["response"].astype(str) == t["label"].astype(str)
    )
    rows = []
    for condition, part in timed.groupby("condition", sort=False):
        bins = pd.qcut(part["rt_ms"].rank(method="first"), min(n_bins, len(part)), labels=False)
        for _, one in part.groupby(bins):
            values = {"rt_ms": one["rt_ms"].mean(), "accuracy": one["correct"].mean(), "n": len(one)}
            rows.append({"condition": condition, **values})
    return pd.DataFrame(rows, columns=["condition", "rt_ms", "accuracy", "n"])


def _one_condition(network: pd.DataFrame, human: pd.DataFrame, value: float | None) -> list[pd.DataFrame]:
    """Return both sides with conditions as text: the same ones, or a single one."""
    sides = [side.assign(condition=side["condition"].map(condition_name)) for side in (network, human)]
    labels = [side["condition"].to_numpy() for side in sides]
    rows = shared_condition(labels, ("network", "file of trials"), value)
    if rows is None:
        return sides
    name = "all" if value is None else condition_name(value)
    return [side[of_side].assign(condition=name) for side, of_side in zip(sides, rows, strict=True)]


def _measures(
    network: pd.DataFrame, human: pd.DataFrame, n_splits: int, seed: int
) -> dict[str, tuple[float, float, float, float]]:
    """Network, observers, and the ceiling, by measure."""
    by_observer = human.groupby("observer")
    spread = human["rt_ms"] - by_observer["rt_ms"].transform("mean")
    deviation = by_observer["rt_ms"].transform("std")
    human = human.assign(speed=spread / deviation.where(deviation > 0, 1.0))
    classes = sorted({*network["label"], *human["label"].astype(str)})
    accuracies = by_observer["correct"].mean()
    own_speed = _spearman(network["rt_ms"], network["correct"])
    speeds = pd.Series([_spearman(one["rt_ms"], one["correct"]) for _, one in by_observer]).dropna()
    none = float("nan")

    def spread_of(found: pd.Series) -> tuple[float, float]:
        return (found.min(), found.max()) if len(accuracies) > 1 and len(found) else (none, none)

    right = network[network["correct"]]
    consistencies: dict[str, tuple[pd.Series, Callable[[pd.DataFrame], pd.Series], Score]] = {
        "image_accuracy": (network["confidence"], lambda t: t.groupby("image")["correct"].mean(), _spearman),
        "image_rt": (
            right["rt_ms"],
            lambda t: t[t["correct"]].groupby("image")["speed"].mean(),
            _spearman,
        ),
        "confusion": (_confusion(network, classes), lambda t: _confusion(t, classes), _pearson),
    }
    return {
        "accuracy": (float(network["correct"].mean()), float(accuracies.mean()), *spread_of(accuracies)),
        **{
            name: _consistency(own, human, summary, score, n_splits, seed)
            for name, (own, summary, score) in consistencies.items()
        },
        "speed_accuracy": (own_speed, float(speeds.mean()), *spread_of(speeds)),
    }


Score = Callable[[pd.Series, pd.Series], float]


def _consistency(
    own: pd.Series,
    human: pd.DataFrame,
    summary: Callable[[pd.DataFrame], pd.Series],
    score: Score,
    n_splits: int,
    seed: int,
) -> tuple[float, float, float, float]:
    """Return the mean score of the network with halves of the observers, and the ceiling of the halves."""
    observers = human["observer"].unique()
    whole = summary(human)
    if len(observers) < 2:
        return score(own, whole), float("nan"), float("nan"), float("nan")
    random = np.random.default_rng(seed)
    found = []
    for _ in range(n_splits):
        first = random.permutation(observers)[: len(observers) // 2]
        inside = human["observer"].isin(first)
        halves = [summary(human[inside]), summary(human[~inside])]
        found.append(
            (
                np.mean([score(own, half) for half in halves]),
                score(*halves),
                np.mean([score(whole, half) for half in halves]),
            )
        )
    network, low, high = _means(np.array(found))
    return network, float("nan"), low, high


def _means(found: np.ndarray) -> list[float]:
    """Return the means over splits, of those that have a score."""
    return [float(np.nanmean(column)) if np.isfinite(column).any() else float("nan") for column in found.T]


def _confusion(trials: pd.DataFrame, classes: list[str]) -> pd.Series:
    """Return the rates of wrong responses by label and response, off the diagonal."""
    counts = pd.crosstab(trials["label"].astype(str), trials["response"]).reindex(
        index=classes, columns=classes, fill_value=0
    )
    rates = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    off = ~np.eye(len(classes), dtype=bool)
    return pd.Series(rates.to_numpy()[off])


def _paired(a: pd.Series, b: pd.Series) -> pd.DataFrame:
    return pd.concat([a.rename("a"), b.rename("b")], axis=1, join="inner").dropna().astype(float)


def _spearman(a: pd.Series, b: pd.Series) -> float:
    both = _paired(a, b)
    return _pearson(both["a"].rank(), both["b"].rank())


def _pearson(a: pd.Series, b: pd.Series) -> float:
    both = _paired(a, b)
    if len(both) < FEWEST_IMAGES or both["a"].nunique() < 2 or both["b"].nunique() < 2:
        return float("nan")
    return float(np.corrcoef(both["a"], both["b"])[0, 1])

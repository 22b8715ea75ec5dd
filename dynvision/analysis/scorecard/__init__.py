"""The scorecard: what a network does in the protocols of physiologists, beside what cortex does.

One table, one row for each sign test of a layer (or of the hierarchy of layers) and for each number of cortex:

    run_id       the run
    kind         sign or number
    protocol     contrast, duration, interval, ...: `dynvision.config.measures.PROTOCOLS`
    experiment   the experiment that was shown
    name         of the sign test, or of the measure
    layer        the layer; of a test of the hierarchy, all its layers, joined by " < "; of behaviour, classifier
    area         the area that the layer is compared with, or human observers; empty where only a sign is compared
    value        of the parameter, as physiologists chose it; NaN for measures of all values together
    shown        the value that the network was shown
    unit         of model and cortex
    model        the network's value; of a sign test, its statistic: above 0 is as in cortex
    ci_low, ci_high   95 % bootstrap over images
    cortex       the value of cortex or of people; NaN where only a sign is compared
    cortex_low, cortex_high  the band within which it is known
    distance     see ``distance_in``; NaN where only a sign is compared
    distance_in  ``fraction`` (absolute difference) or ``log2`` (absolute binary logarithm of the ratio)
    verdict      of sign tests: yes, no, unclear (the right sign, but the interval reaches 0) or not measured; else empty
    p, q         of sign tests: probability of a statistic that is not above 0, and corrected for their number; else NaN
    provenance   published, R (read off a figure), D (derived from such), M (quoted from memory: approximate)
    source, note where cortex's value comes from
    reason       why the network has no value, of a sign test that cannot be asked or a fit that ends on a bound; else empty

Everything is measured on the mean response over images.
"""

from dynvision.analysis.metrics import Protocol
from dynvision.analysis.scorecard.behaviour import Guesses
from dynvision.analysis.scorecard.card import SCORECARD_COLUMNS, score_run
from dynvision.analysis.scorecard.phenomena import PHENOMENA, Phenomenon, Target, agreement, phenomenon
from dynvision.analysis.scorecard.targets import read_targets
from dynvision.analysis.scorecard.text import controls_text, scorecard_text, seed_scorecard, seeds_text

__all__ = [
    "PHENOMENA",
    "SCORECARD_COLUMNS",
    "Guesses",
    "Phenomenon",
    "Protocol",
    "Target",
    "agreement",
    "controls_text",
    "phenomenon",
    "read_targets",
    "score_run",
    "scorecard_text",
    "seed_scorecard",
    "seeds_text",
]

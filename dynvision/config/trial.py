"""A trial in ms: a blank, the stimulus from time 0 on, and a blank until the record ends.

[baseline_ms: blank] [the stimulus, from time 0] [blank until recorded_ms]
"""

from __future__ import annotations

from dataclasses import replace

from dynvision.errors import InputError
from dynvision.stimuli.stimulus import Span, Stimulus

NEGLIGIBLE_MS = 1e-9  # what is left over when decimal fractions are added


def trial_spans(stimulus: Stimulus, baseline_ms: float, recorded_ms: float) -> tuple[Span, ...]:
    """Everything that is on the screen while a trial is recorded.

    Args:
        stimulus: what is shown from time 0 on.
        baseline_ms: blank before that.
        recorded_ms: when the record ends; blanks are cut there, and so is what may be late and begins only then.

    Raises:
        InputError: the record ends before the stimulus does.
    """
    spans = [Span(baseline_ms, key="baseline_ms")] if baseline_ms > NEGLIGIBLE_MS else []
    passed = 0.0
    for span in stimulus.spans():
        left = recorded_ms - passed
        if left <= NEGLIGIBLE_MS and (span.show == "blank" or span.may_be_late):
            continue
        if span.show == "blank" and span.duration_ms > left:
            span = replace(
                span, duration_ms=left, key="recorded_ms"
            )  # the record is on the grid or it is not
        passed += span.duration_ms
        if passed > recorded_ms + NEGLIGIBLE_MS:
            raise InputError(
                f"recorded_ms={recorded_ms:g} ms ends before the stimulus does, which needs at least {passed:g} ms; "
                "raise recorded_ms"
            )
        if span.duration_ms > NEGLIGIBLE_MS:
            spans.append(span)
    if recorded_ms - passed > NEGLIGIBLE_MS:
        spans.append(Span(recorded_ms - passed, key="recorded_ms"))
    return tuple(spans)

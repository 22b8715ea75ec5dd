"""The base of stimuli: a configuration section that states what is on the screen, in ms from its onset.

    spans()    [image 10 ms] [blank 4 ms] [image 10 ms]
    a trial    [baseline_ms: blank] [the spans, from time 0] [blank until recorded_ms]

Times are durations in ms, contrasts are about the mean grey of the pixels. Nothing here knows pixels or steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, GetJsonSchemaHandler

from dynvision.config.section import Section, key, validate
from dynvision.errors import InputError, unknown_name
from dynvision.registry import Registry
from dynvision.trials.content import NAMED, NULL, Content

Show = Literal["blank", "image", "mask"]


def _mask_kinds() -> list[str]:
    """Return the kinds of noise that masks can be made of: those that need no image to act on."""
    from dynvision.noise.kind import NOISES

    return [name for name, kind in NOISES.items() if not kind.signal_dependent]


def _known_mask(value: str) -> str:
    if value not in _mask_kinds():
        raise unknown_name("noise of a mask", value, _mask_kinds())
    return value


class _MaskSchema:
    """The JSON schema of a kind of mask: the registered kinds of noise."""

    def __get_pydantic_json_schema__(self, _: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": _mask_kinds(), "type": "string"}


MaskKind = Annotated[str, AfterValidator(_known_mask), _MaskSchema()]
NEGLIGIBLE_MS = 1e-9  # what is left over when decimal fractions are added


class Modulation(Protocol):
    """A change of contrast in the course of a span."""

    def at(self, time_ms: float) -> float:
        """Return the factor of the contrast at a time from the beginning of the span."""
        ...

    def check(self, dt: float, where: str) -> None:
        """Check that steps of dt ms can hold it; `where` is the prefix of the keys in an error."""
        ...


@dataclass(frozen=True)
class Span:
    """Something that is on the screen for a while, in ms.

    Attributes:
        duration_ms: how long.
        content: what is on, or a word for it: ``blank``, ``image`` or ``mask``.
        contrast: amplitude about the mean grey; of no meaning for a blank.
        key: the configuration key that the duration comes from, for errors.
        may_be_late: it may begin when the record has ended, and is then not shown.
        modulation: of the contrast in time; None keeps it.
    """

    duration_ms: float
    content: Content = NULL
    contrast: float = 1.0
    key: str = "recorded_ms"
    may_be_late: bool = False
    modulation: Modulation | None = None

    def __post_init__(self) -> None:
        if isinstance(self.content, str):
            if self.content not in NAMED:
                raise unknown_name("content", self.content, NAMED, key=self.key)
            object.__setattr__(self, "content", NAMED[self.content])

    @property
    def show(self) -> str:
        """The word for what is on: ``blank``, ``image``, ``other``, ``mask``, ``film``."""
        return self.content.shown


class Stimulus(Section):
    """The base of every stimulus. A further one is a further file in this folder."""

    type: str
    contrast: float = key(
        1.0, "amplitude about the mean grey of the pixels; 1 is the image itself", ge=0, le=1
    )

    def spans(self) -> tuple[Span, ...]:
        """Return what is shown from time 0 on.

        Raises:
            InputError: keys that contradict each other.
        """
        raise NotImplementedError

    def describe(self, said: Mapping[str, str]) -> str:
        """Return the stimulus in words, to follow "the image came on at 0 ms, ".

        The words here are made of the keys; a stimulus may have better ones.

        Args:
            said: each key's value as text with its unit, or the values that it takes.
        """
        keys = [
            f"{name.removesuffix('_ms')} {said[name]}" for name in type(self).model_fields if name in said
        ]
        keys = [text for text in keys if not text.startswith("type ")]
        return f"in a stimulus of type {self.type} with {', '.join(keys)}"


STIMULI: Registry[type[Stimulus]] = Registry("stimulus", key="stimulus.type", package="dynvision.stimuli")
register = STIMULI.register  # @register("name"); the name is the stimulus.type of configurations


def read_stimulus(values: object, where: str = "stimulus") -> Stimulus:
    """Return a stimulus from keys and values; without a type it is a pulse.

    Raises:
        InputError: an unknown type, an unknown key, or a value that is not possible.
    """
    if isinstance(values, Stimulus):
        return values
    if not isinstance(values, Mapping):
        raise InputError(f"{where} must hold keys and values, not {values!r}")
    name = str(values.get("type", "pulse"))
    if name not in STIMULI:
        raise unknown_name("stimulus", name, STIMULI, key=f"{where}.type")
    return validate(STIMULI[name], {**values, "type": name}, where)


def trial_spans(stimulus: Stimulus, baseline_ms: float, recorded_ms: float) -> tuple[Span, ...]:
    """Return everything that is on the screen while a trial is recorded.

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
            span = replace(span, duration_ms=left, key="recorded_ms")
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

"""What a stimulus is: a configuration section that says, in ms from its onset, what is on the screen.

    spans()    [image 10 ms] [blank 4 ms] [image 10 ms]        then blank, until the record ends

Times are durations in ms, contrasts are about the mean grey of the pixels. Nothing here knows pixels or steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dynvision.config.section import Section, key, validate
from dynvision.errors import InputError, unknown_name
from dynvision.registry import Registry

Show = Literal["blank", "image", "mask"]
MaskKind = Literal["phasescrambled", "gaussian", "gaussiancorr", "uniform"]


@dataclass(frozen=True)
class Span:
    """Something that is on the screen for a while.

    Attributes:
        duration_ms: how long.
        show: the null input, the image, or a mask made of noise.
        contrast: amplitude about the mean grey; of no meaning for a blank.
        key: the configuration key that the duration comes from, for errors.
        mask: kind of noise of a mask.
        may_be_late: it may begin when the record has ended, and is then not shown.
    """

    duration_ms: float
    show: Show = "blank"
    contrast: float = 1.0
    key: str = "recorded_ms"
    mask: str = ""
    may_be_late: bool = False


class Stimulus(Section):
    """The base of every stimulus. A further one is a further file in this folder."""

    type: str
    contrast: float = key(
        1.0, "amplitude about the mean grey of the pixels; 1 is the image itself", ge=0, le=1
    )

    def spans(self) -> tuple[Span, ...]:
        """What is shown from time 0 on.

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
    """A stimulus from keys and values; without a type it is a pulse.

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

"""The one timeline: a trial as segments, for training, experiments, inference, dynamics and figures."""

from dynvision.trials.content import IMAGE, NULL, Content, Image, Mask, Null, Other, View
from dynvision.trials.presentation import presentation_trial
from dynvision.trials.segment import Segment, TimedNoise, Trial, TrialPicture, TrialStep, parts_of

__all__ = [
    "IMAGE",
    "NULL",
    "Content",
    "Image",
    "Mask",
    "Null",
    "Other",
    "Segment",
    "TimedNoise",
    "Trial",
    "TrialPicture",
    "TrialStep",
    "View",
    "parts_of",
    "presentation_trial",
]

"""How many outputs a network has: one number, which the read-out and ``n_classes`` must agree on."""

from __future__ import annotations

from torch import nn

from dynvision.errors import InputError


def check_classes(n_classes: int) -> int:
    """A number of classes.

    Raises:
        InputError: it is below 1.
    """
    if int(n_classes) < 1:
        raise InputError(f"n_classes={n_classes} must be at least 1")
    return int(n_classes)


def linear_outputs(classifier: nn.Module | None) -> int | None:
    """Outputs of a linear classifier; None where the classifier does not tell."""
    return classifier.out_features if isinstance(classifier, nn.Linear) else None


def unknown_classes(model: str) -> InputError:
    """The error for an architecture that needs a number of classes which nobody gave."""
    return InputError(
        f"{model} needs n_classes, the number of classes of the data: {model}(n_classes=10, ...); a run of the workflow "
        "takes it from its data"
    )


def check_width(outputs: int | None, n_classes: int | None) -> None:
    """Compare the outputs of a read-out with the number of classes; None is a number that is not known.

    Raises:
        InputError: they differ.
    """
    if outputs is not None and n_classes is not None and outputs != n_classes:
        raise InputError(
            f"the read-out has {outputs} outputs and n_classes={n_classes}; end the network in a classifier of "
            f"{n_classes}, e.g. nn.Linear(..., self.n_classes), or set n_classes={outputs}"
        )

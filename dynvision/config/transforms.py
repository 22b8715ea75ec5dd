"""What a data set's images can be narrowed and changed to, by name: groups of classes, and transforms.

    group: invertebrates                                           classes by index or name, of this file or of `groups`
    train_transform: cifar10_train                                 a preset, of this file or of `transforms` in YAML
    train_transform: [flip, {translate: 4}, {cutout: {size: 8}}]   operations in their order

A class name is that of its folder (the WordNet id in ImageNet and its relatives). A label is an index into the data set's
list of classes, however the folders are named or sorted. `dynvision.data.transform` computes the operations.

Sources: the groups of DynVision 0.1 (its Tiny ImageNet group catdogs mixed indices of two data sets; here its classes are
named). CIFAR with 4 px of border: He et al. (2016), Deep Residual Learning for Image Recognition, sec. 4.2; random area
and aspect: Szegedy et al. (2015), Going Deeper with Convolutions, sec. 6; cutout: DeVries and Taylor (2017),
Improved Regularization of Convolutional Neural Networks with Cutout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from dynvision.config.section import Section, key, validate
from dynvision.errors import InputError, unknown_name

Classes = tuple[int | str, ...]
ALL = "all"

GROUPS: dict[str, dict[str, Classes]] = {
    "mnist": {"01": (0, 1), "38": (3, 8), "89": (8, 9)},
    "cifar100": {
        # bee beetle butterfly caterpillar cockroach crab lobster snail spider worm
        "invertebrates": (6, 7, 14, 18, 24, 26, 45, 77, 79, 99),
        # apple bicycle caterpillar dinosaur elephant forest girl house kangaroo lizard mushroom orange porcupine
        # rocket sunflower
        "alphabet": (0, 8, 18, 29, 31, 33, 35, 37, 38, 44, 51, 53, 63, 69, 82),
    },
    "tinyimagenet": {
        # jellyfish, brain coral, snail, slug, sea slug, American lobster, spiny lobster, sea cucumber
        "mollusks": (
            "n01910747", "n01917289", "n01944390", "n01945685", "n01950731", "n01983481", "n01984695", "n02321529",
        ),
        # Yorkshire terrier, golden retriever, Labrador, German shepherd, standard poodle, tabby, Persian cat,
        # Egyptian cat, cougar, lion
        "catdogs": (
            "n02094433", "n02099601", "n02099712", "n02106662", "n02113799",
            "n02123045", "n02123394", "n02124075", "n02125311", "n02129165",
        ),
    },
    "imagenette": {"one": (0,)},
    "imagenet": {
        "imagenette": (0, 217, 482, 491, 497, 566, 569, 571, 574, 701),
        # hognose snake, night snake, rock python, horned viper, diamondback, sidewinder
        "snakes": (54, 60, 62, 66, 67, 68),
        # leaf beetle, ant, grasshopper, cricket, walking stick, cockroach, mantis, cicada, leafhopper, lacewing,
        # dragonfly
        "insects": (304, 310, 311, 312, 313, 314, 315, 316, 317, 318, 319),
        "one": (0,),
    },
}  # fmt: skip


N_CLASSES = {
    "digits": 10, "mnist": 10, "fashionmnist": 10, "cifar10": 10, "cifar100": 100, "imagenette": 10, "tinyimagenet": 200,
    "imagenet": 1000,
}  # fmt: skip


def resolve_group(
    data_name: str, given: Any, where: str, own: Mapping[str, Mapping[str, Any]] | None = None
) -> Classes:
    """The classes of a group; none stands for all of them.

    Args:
        data_name: the data set.
        given: name of a group, ``all``, or a list of classes.
        where: the configuration key, for messages.
        own: groups of the user, by data set and name; they come before those of this file.

    Raises:
        InputError: the data set has no group of that name, or its list is not one of classes.
    """
    if given is None or given == ALL or given == [] or given == ():
        return ()
    if isinstance(given, (list, tuple)):
        return _of_data(data_name, class_list(given, where), where)
    known = {**GROUPS.get(data_name, {}), **((own or {}).get(data_name) or {})}
    if str(given) not in known:
        raise unknown_name(f"group of {data_name}", given, [ALL, *known], key=where)
    where = f"groups.{data_name}.{given}"
    return _of_data(data_name, class_list(known[str(given)], where), where)


def _of_data(data_name: str, classes: Classes, where: str) -> Classes:
    """Return classes after checking that the data set, where its size is known, has those given by index."""
    n_classes = N_CLASSES.get(data_name)
    for index in classes:
        if n_classes is not None and isinstance(index, int) and index >= n_classes:
            raise InputError(
                f"{where}: {data_name} has no class {index}; its {n_classes} classes are 0 to {n_classes - 1}"
            )
    return classes


def class_list(given: Any, where: str) -> Classes:
    """Classes as written in YAML: a list of indices and names, each once.

    Raises:
        InputError: it is not.
    """
    classes = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for name in classes:
        if isinstance(name, bool) or not isinstance(name, (int, str)) or (isinstance(name, int) and name < 0):
            raise InputError(f"{where}: {name!r} is not a class; write its index (0, 1, ...) or its name")
    if not classes:
        raise InputError(f"{where} is an empty list; give it at least one class")
    if len(set(classes)) < len(classes):
        twice = next(name for name in classes if classes.count(name) > 1)
        raise InputError(f"{where}: class {twice!r} is given twice")
    return classes


NO_TRANSFORM = "none"
AUTO = "auto"  # the preset of the data set for the context, or none


class OperationArgs(Section):
    """What an operation can be given. ``main`` is the key that a bare value sets: ``translate: 4``."""

    main: ClassVar[str | None] = None
    random: ClassVar[bool] = True  # differs from epoch to epoch, and is therefore for training only


class FlipArgs(OperationArgs):
    """Mirror left and right."""

    main = "probability"
    probability: float = key(0.5, "part of the images that are mirrored", ge=0, le=1)


class TranslateArgs(OperationArgs):
    """Shift over a black border."""

    main = "pixels"
    pixels: int = key(4, "largest shift in each direction", "px", ge=0)


class CropArgs(OperationArgs):
    """A window of the shown size at a random place of a larger stored image."""


class ResizedCropArgs(OperationArgs):
    """A window of random area and aspect, resized to the shown size."""

    main = "area"
    area: tuple[float, float] = key((0.08, 1.0), "range of the part of the image that is covered")
    aspect: tuple[float, float] = key((0.75, 4 / 3), "range of width / height, log-uniform")

    @model_validator(mode="after")
    def _ranges_are_possible(self) -> ResizedCropArgs:
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise InputError(f"area={list(self.area)} must be two ascending numbers above 0, up to 1")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise InputError(f"aspect={list(self.aspect)} must be two ascending numbers above 0")
        return self


class RotationArgs(OperationArgs):
    """Rotate about the centre, bilinear, black outside."""

    main = "degrees"
    degrees: float = key(10.0, "largest angle in each direction", "degrees", ge=0, le=180)


class CutoutArgs(OperationArgs):
    """A square of the data set's mean colour around a random place."""

    main = "size"
    size: int = key(8, "side of the square", "px", ge=1)


class ColourJitterArgs(OperationArgs):
    """Factors 1 +- strength on brightness, contrast (about the data set's mean) and saturation (about the luma)."""

    brightness: float = key(0.2, "strength", ge=0, le=1)
    contrast: float = key(0.2, "strength", ge=0, le=1)
    saturation: float = key(0.2, "strength", ge=0, le=1)


class GreyArgs(OperationArgs):
    """The luma of ITU-R 601 in all channels."""

    random = False


class InvertArgs(OperationArgs):
    """White becomes black."""

    random = False


OPERATIONS: dict[str, type[OperationArgs]] = {
    "flip": FlipArgs,
    "translate": TranslateArgs,
    "crop": CropArgs,
    "resized_crop": ResizedCropArgs,
    "rotation": RotationArgs,
    "cutout": CutoutArgs,
    "colour_jitter": ColourJitterArgs,
    "grey": GreyArgs,
    "invert": InvertArgs,
}

# `{data set}_{context}` is what `auto` takes. Test presets show the central square.
PRESETS: dict[str, list[Any]] = {
    NO_TRANSFORM: [],
    "natural_train": [{"translate": 4}, "flip"],
    "digits_train": [],
    "digits_test": [],
    "mnist_train": [{"rotation": 10}, {"translate": 2}],
    "mnist_test": [],
    "fashionmnist_train": [{"translate": 2}, "flip"],
    "fashionmnist_test": [],
    "cifar10_train": [{"translate": 4}, "flip"],
    "cifar10_test": [],
    "cifar100_train": [{"translate": 4}, "flip"],
    "cifar100_test": [],
    "tinyimagenet_train": [{"translate": 8}, "flip"],
    "tinyimagenet_test": [],
    "imagenette_train": [{"resized_crop": [0.35, 1.0]}, "flip"],
    "imagenette_test": [],
    "imagenet_train": [{"resized_crop": [0.08, 1.0]}, "flip"],
    "imagenet_test": [],
}


def resolve_transform(
    given: Any, where: str, own: Mapping[str, Any] | None = None, auto: str = NO_TRANSFORM
) -> tuple[dict[str, dict[str, Any]], ...]:
    """The operations that a transform names, with all of their settings.

    Args:
        given: the name of a preset, ``auto``, or a list of operations: ``flip``, ``{translate: 4}``,
            ``{colour_jitter: {contrast: 0.4}}``.
        where: the configuration key, for messages.
        own: presets of the user, by name; one may be named like a preset here and is then taken instead.
        auto: the preset that ``auto`` stands for, if there is one of that name.

    Raises:
        InputError: a name is not known, or a setting is not possible.
    """
    presets = {**PRESETS, **(own or {})}
    if given in (None, AUTO):
        given = presets.get(auto, [])
    if isinstance(given, str):
        if given not in presets:
            raise unknown_name("transform", given, [*presets, AUTO], key=where)
        given = presets[given]
    if not isinstance(given, (list, tuple)):
        raise InputError(
            f"{where}={given!r} is not valid; write the name of a preset or a list of operations"
        )
    return tuple(_operation(item, where) for item in given)


def _operation(item: Any, where: str) -> dict[str, dict[str, Any]]:
    if isinstance(item, Mapping) and len(item) == 1:
        name, settings = next(iter(item.items()))
    else:
        name, settings = item, {}
    if not isinstance(name, str) or name not in OPERATIONS:
        raise unknown_name("transform operation", name, OPERATIONS, key=where)
    args = OPERATIONS[name]
    if settings is None:
        settings = {}
    if not isinstance(settings, Mapping):
        if args.main is None:
            raise InputError(f"{where}.{name}={settings!r} is not valid; write {name}: {{key: value}}")
        settings = {args.main: settings}
    return {name: validate(args, settings, f"{where}.{name}").model_dump(mode="json")}


def check_not_random(operations: Iterable[Mapping[str, Any]], where: str) -> None:
    """Check that a transform shows an image the same way each time.

    Raises:
        InputError: naming the operation that does not.
    """
    for operation in operations:
        name = next(iter(operation))
        if OPERATIONS[name].random:
            still = [other for other, args in OPERATIONS.items() if not args.random]
            raise InputError(
                f"{where}: {name} is random, and validation and test images are never augmented; "
                f"allowed: {', '.join(still)}"
            )

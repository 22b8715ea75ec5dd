"""Groups: named subsets of a data set's classes, to train on, or to test on with the labels of the training.

Classes are given by index or by name, where a name is that of the class folder (the WordNet id in ImageNet and its
relatives). A label is an index into the data set's list of classes, however the folders are named or sorted.

Source: the groups of DynVision 0.1. Its Tiny ImageNet group catdogs mixed indices of two data sets; here its
classes are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

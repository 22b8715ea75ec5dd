"""Random numbers that are a function of where they are used: of a seed, an epoch, an image and the number's place.

    h_0 = 0,    h_k = mix(h_{k-1} + w_k + g)        w: the words (seed, epoch, ...), modulo 2^64; g = floor(2^64 / phi)
    u = floor(h / 2^11) / 2^53                        uniform in [0, 1)

So a loader may draw them in any order, for any part of a batch, in any process. ``mix`` is the output function of
SplitMix64: G. L. Steele, D. Lea and C. H. Flood (2014), Fast Splittable Pseudorandom Number Generators, fig. 17.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit words: a change of any bit changes each bit of the result in half of the cases."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(*words: ArrayLike) -> NDArray[np.float64]:
    """Numbers in [0, 1), one for each combination of words.

    Args:
        words: whole numbers or arrays of them, >= 0, of shapes that broadcast.

    Returns:
        Of the broadcast shape.
    """
    with np.errstate(over="ignore"):
        hashed = np.zeros(np.broadcast_shapes(*(np.shape(word) for word in words)), dtype=np.uint64)
        for word in words:
            hashed = mix(hashed + np.asarray(word).astype(np.uint64) + GOLDEN)
    return (hashed >> np.uint64(11)).astype(np.float64) * 2.0**-53

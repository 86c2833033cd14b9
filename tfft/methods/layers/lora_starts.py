"""Initial values of A and B: strategies for LoRA."""

from __future__ import annotations

import abc
import math
from typing import Any

import keras
import numpy as np


class Start(abc.ABC):
    """A way to initialize A and B.

    Attributes:
        subtracts: Whether the initial A·B is not zero. The layer then subtracts it, so
            that training starts from the pretrained function.
    """

    subtracts: bool

    @abc.abstractmethod
    def values(self, layer: Any, seed: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns A of shape (in, rank) and B of shape (rank, out)."""


class Uniform(Start):
    """A is uniform in ±1/sqrt(in), as in PEFT; B is zero."""

    subtracts = False

    def values(self, layer: Any, seed: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns a random A and a B of zeros."""
        inputs, outputs = layer.matrix.shape
        bound = 1 / math.sqrt(inputs)
        uniform = keras.initializers.RandomUniform(-bound, bound, seed=seed)
        A = uniform((inputs, layer.rank), dtype="float32")
        return np.array(A), np.zeros((layer.rank, outputs), "float32")


class PiSSA(Start):
    """The principal singular directions of W (Meng et al., 2024, arXiv:2404.02948).

    The paper subtracts s·A·B from W. Here W stays unchanged and the product of the
    initial A and B is subtracted from the update instead: the function and its
    gradients are the same.
    """

    subtracts = True

    def values(self, layer: Any, seed: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns U·sqrt(S/s) and sqrt(S/s)·V of the largest singular values."""
        return principal(layer.matrix.kernel(), layer.rank, layer.scale)


def principal(W: Any, rank: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns A and B such that s·A·B is the best approximation of W of that rank.

    Args:
        W: Shape (in, out).
        rank: Their rank. Above the rank of W, A and B stay zero.
        scale: The factor s.

    >>> A, B = principal(np.diag([3.0, 2.0, 1.0]), rank=2, scale=0.5)
    >>> np.abs(0.5 * A @ B).round(6).tolist()
    [[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    """
    W = np.array(W, "float32")
    U, S, V = np.linalg.svd(W, full_matrices=False)
    root = np.sqrt(S[:rank] / scale)
    A = np.zeros((W.shape[0], rank), "float32")
    B = np.zeros((rank, W.shape[1]), "float32")
    A[:, : len(root)], B[: len(root)] = U[:, :rank] * root, root[:, None] * V[:rank]
    return A, B


STARTS: dict[str, Start] = {"uniform": Uniform(), "pissa": PiSSA()}

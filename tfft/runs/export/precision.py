"""The type in which an export stores its matrices."""

from __future__ import annotations

from dataclasses import dataclass

from tfft.core.errors import ConfigError, nearest, one_of


@dataclass(frozen=True)
class Precision:
    """The type in which an export stores its matrices, and what it may cost.

    Attributes:
        dtype: One of `allowed`.
        min_agreement: The least share of rows whose answer must be the run's.
        allowed: The types of the format, the exact one first.

    Raises:
        ConfigError: For an unknown type, or a share outside 0 to 1.

    >>> Precision("float32").exact, Precision("int8").exact
    (True, False)
    """

    dtype: str = "float32"
    min_agreement: float = 0.95
    allowed: tuple[str, ...] = ("float32", "bfloat16", "int8")

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.dtype not in self.allowed:
            raise ConfigError(
                f"dtype={self.dtype!r}",
                where="export",
                expected=one_of(self.allowed),
                fix=nearest(self.dtype, self.allowed) or "choose one of them",
            )
        if not 0 <= self.min_agreement <= 1:
            raise ConfigError(
                f"min_agreement={self.min_agreement!r}",
                where="export",
                expected="from 0 to 1",
                fix="0.95 lets one row in twenty differ",
            )

    @property
    def exact(self) -> bool:
        """Whether only the order of sums may make answers differ from the run's."""
        return self.dtype == self.allowed[0]

"""In what numbers an export keeps its matrices."""

from __future__ import annotations

from dataclasses import dataclass

from tfft.core.errors import ConfigError, nearest, one_of


@dataclass(frozen=True)
class Precision:
    """In what numbers an export keeps its matrices, and what that may cost.

    Attributes:
        dtype: One of those allowed.
        min_agreement: The least share of rows with the words of the run.
        allowed: What there is, the exact one first.

    Raises:
        ConfigError: For values that make no sense.

    >>> Precision("float32").exact, Precision("int8").exact
    (True, False)
    """

    dtype: str = "float32"
    min_agreement: float = 0.95
    allowed: tuple[str, ...] = ("float32", "bfloat16", "int8")

    def __post_init__(self) -> None:
        """Refuses values that make no sense."""
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
                fix="0.95 lets one row in twenty have other words",
            )

    @property
    def exact(self) -> bool:
        """Whether the export answers as the run, but for the order of sums."""
        return self.dtype == self.allowed[0]

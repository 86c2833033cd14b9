"""Method and settings from the size of data, model and machine."""

from __future__ import annotations

from typing import Any

from tfft.core.config import accepts
from tfft.core.environment import check_environment
from tfft.fitting.auto import recommended
from tfft.fitting.rules import Recommendation
from tfft.fitting.verb_options import EstimateOptions


@accepts(EstimateOptions)
def recommend(**options: Any) -> Recommendation:
    """Returns the method and the settings that suit, with the reason in a sentence.

    `finetune(method="auto")` takes them for what is not said otherwise. The rules are
    those of the page on searching.

    Args:
        **options: Those of `finetune`; `output_dir` may be left out.

    Raises:
        ConfigError: For options that cannot be meant.
        MissingInputError: For data or a model that is not there.
        DataError: For data or model files that cannot be used.
        OutOfMemoryError: When the model does not fit into memory.
    """
    check_environment()
    return recommended(options)

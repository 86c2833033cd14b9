"""Recommends method and settings from the size of data, model and machine."""

from __future__ import annotations

from typing import Any

from tfft.core.config import accepts
from tfft.core.environment import check_environment
from tfft.fitting.auto import recommended
from tfft.fitting.auto_rules import Recommendation
from tfft.fitting.verb_options import EstimateOptions


@accepts(EstimateOptions)
def recommend(**options: Any) -> Recommendation:
    """Recommends a method and settings, with the reason in a sentence.

    `finetune(method="auto")` uses them for every option that you do not set. The docs
    list the rules on the page about searching.

    Args:
        **options: The options of `finetune`; `output_dir` may be left out.

    Raises:
        ConfigError: For invalid options.
        MissingInputError: For missing data or a missing model.
        DataError: For unusable data or model files.
        OutOfMemoryError: When the model does not fit into memory.
    """
    check_environment()
    return recommended(options)

"""All options of each verb that trains: those of `finetune` and its own.

These classes give the verbs the parameters that editors and `help` show.
"""

from __future__ import annotations

from typing import Any

from tfft.core.config import configuration
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.series_config import (
    CrossValidateConfig,
    LearningCurveConfig,
    RepeatConfig,
)
from tfft.tuning.config import TuneConfig


@configuration()
class TuneOptions(TuneConfig, FinetuneConfig):
    """The options of `tune`."""


@configuration()
class RepeatOptions(RepeatConfig, FinetuneConfig):
    """The options of `repeat`."""


@configuration()
class LearningCurveOptions(LearningCurveConfig, FinetuneConfig):
    """The options of `learning_curve`."""


@configuration()
class CrossValidateOptions(CrossValidateConfig, FinetuneConfig):
    """The options of `cross_validate`.

    Args:
        test: Share of the rows to leave out of all folds, or data. Used when `data`
            has no test split. Defaults to 0.
    """

    test: Any = 0


@configuration()
class EstimateOptions(FinetuneConfig):
    """The options of `estimate` and `recommend`, which write nothing.

    Args:
        output_dir: The run folder of the training. May be left out.
    """

    output_dir: Any = None

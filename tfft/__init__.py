"""Fine-tunes BERT- and GPT-2-class language models in Keras on TensorFlow.

Importing tfft imports no TensorFlow; the first use of a name does.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tfft.core.processor import choose_processor_code
from tfft.version import __version__

if TYPE_CHECKING:
    from tfft import client, layers
    from tfft.adapters.bitfit import BitFit
    from tfft.adapters.bottleneck import Bottleneck
    from tfft.adapters.full import Full
    from tfft.adapters.head import Head
    from tfft.adapters.ia3 import IA3
    from tfft.adapters.last_layers import LastLayers
    from tfft.adapters.lora import LoRA
    from tfft.adapters.prefix import Prefix
    from tfft.adapters.prompt import Prompt
    from tfft.adapters.sparse import Sparse
    from tfft.core.errors import TfftError
    from tfft.models.pretrained import load_pretrained
    from tfft.models.tokenizer_files import read_tokenizer
    from tfft.recipes.apply import apply, load_adapter
    from tfft.recipes.cross_validate import cross_validate
    from tfft.recipes.ensemble import ensemble
    from tfft.recipes.estimate import Estimate, estimate
    from tfft.recipes.evaluate import evaluate
    from tfft.recipes.export_many import export_many
    from tfft.recipes.finetune import finetune
    from tfft.recipes.generate import generate
    from tfft.recipes.huggingface import export_huggingface
    from tfft.recipes.inspect import inspect_data
    from tfft.recipes.learning_curve import learning_curve
    from tfft.recipes.load import load
    from tfft.recipes.recommend import recommend
    from tfft.recipes.repeat import repeat
    from tfft.recipes.rules import Recommendation
    from tfft.recipes.run import Run
    from tfft.recipes.search_result import Search
    from tfft.recipes.tune import tune
    from tfft.tasks.causal_lm import CausalLanguageModelling
    from tfft.tasks.multi_label import MultiLabel
    from tfft.tasks.networks.causal_lm import CausalLM
    from tfft.tasks.networks.text_classifier import TextClassifier
    from tfft.tasks.networks.token_classifier import TokenClassifier
    from tfft.tasks.question_answering import QuestionAnswering
    from tfft.tasks.regression import Regression
    from tfft.tasks.text_classification import TextClassification
    from tfft.tasks.token_classification import TokenClassification
    from tfft.tuning.distributions import choice, int_range, log_uniform, uniform

choose_processor_code()

_MODULES = ("client", "layers")
_HOMES = {
    "BitFit": "tfft.adapters.bitfit",
    "Bottleneck": "tfft.adapters.bottleneck",
    "Estimate": "tfft.recipes.estimate",
    "CausalLM": "tfft.tasks.networks.causal_lm",
    "CausalLanguageModelling": "tfft.tasks.causal_lm",
    "Full": "tfft.adapters.full",
    "Head": "tfft.adapters.head",
    "IA3": "tfft.adapters.ia3",
    "LastLayers": "tfft.adapters.last_layers",
    "LoRA": "tfft.adapters.lora",
    "Prefix": "tfft.adapters.prefix",
    "Prompt": "tfft.adapters.prompt",
    "MultiLabel": "tfft.tasks.multi_label",
    "QuestionAnswering": "tfft.tasks.question_answering",
    "Recommendation": "tfft.recipes.rules",
    "Regression": "tfft.tasks.regression",
    "Run": "tfft.recipes.run",
    "Search": "tfft.recipes.search_result",
    "Sparse": "tfft.adapters.sparse",
    "TextClassification": "tfft.tasks.text_classification",
    "TextClassifier": "tfft.tasks.networks.text_classifier",
    "TfftError": "tfft.core.errors",
    "TokenClassification": "tfft.tasks.token_classification",
    "TokenClassifier": "tfft.tasks.networks.token_classifier",
    "apply": "tfft.recipes.apply",
    "choice": "tfft.tuning.distributions",
    "cross_validate": "tfft.recipes.cross_validate",
    "ensemble": "tfft.recipes.ensemble",
    "estimate": "tfft.recipes.estimate",
    "evaluate": "tfft.recipes.evaluate",
    "export_huggingface": "tfft.recipes.huggingface",
    "export_many": "tfft.recipes.export_many",
    "finetune": "tfft.recipes.finetune",
    "generate": "tfft.recipes.generate",
    "inspect_data": "tfft.recipes.inspect",
    "int_range": "tfft.tuning.distributions",
    "learning_curve": "tfft.recipes.learning_curve",
    "load": "tfft.recipes.load",
    "load_adapter": "tfft.recipes.apply",
    "load_pretrained": "tfft.models.pretrained",
    "log_uniform": "tfft.tuning.distributions",
    "read_tokenizer": "tfft.models.tokenizer_files",
    "recommend": "tfft.recipes.recommend",
    "repeat": "tfft.recipes.repeat",
    "tune": "tfft.recipes.tune",
    "uniform": "tfft.tuning.distributions",
}

__all__ = [
    "IA3",
    "BitFit",
    "Bottleneck",
    "CausalLM",
    "CausalLanguageModelling",
    "Estimate",
    "Full",
    "Head",
    "LastLayers",
    "LoRA",
    "MultiLabel",
    "Prefix",
    "Prompt",
    "QuestionAnswering",
    "Recommendation",
    "Regression",
    "Run",
    "Search",
    "Sparse",
    "TextClassification",
    "TextClassifier",
    "TfftError",
    "TokenClassification",
    "TokenClassifier",
    "__version__",
    "apply",
    "choice",
    "client",
    "cross_validate",
    "ensemble",
    "estimate",
    "evaluate",
    "export_huggingface",
    "export_many",
    "finetune",
    "generate",
    "inspect_data",
    "int_range",
    "layers",
    "learning_curve",
    "load",
    "load_adapter",
    "load_pretrained",
    "log_uniform",
    "read_tokenizer",
    "recommend",
    "repeat",
    "tune",
    "uniform",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tfft.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tfft' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""Fine-tunes BERT- and GPT-2-class language models in Keras on TensorFlow.

`import tfft` does not import TensorFlow; the first use of a name does.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tfft.compute.processor import choose_processor_code
from tfft.core.start import start_tensorflow
from tfft.version import __version__

if TYPE_CHECKING:
    from tfft import client, layers
    from tfft.core.errors import TfftError
    from tfft.fitting.auto_rules import Recommendation
    from tfft.methods.bitfit import BitFit
    from tfft.methods.bottleneck import Bottleneck
    from tfft.methods.full import Full
    from tfft.methods.head import Head
    from tfft.methods.ia3 import IA3
    from tfft.methods.last_layers import LastLayers
    from tfft.methods.lora import LoRA
    from tfft.methods.prefix import Prefix
    from tfft.methods.prompt import Prompt
    from tfft.methods.sparse import Sparse
    from tfft.models.pretrained import load_pretrained
    from tfft.models.tokenizer_files import read_tokenizer
    from tfft.recipes.apply import apply, load_adapter
    from tfft.recipes.cross_validate import cross_validate
    from tfft.recipes.ensemble import ensemble
    from tfft.recipes.estimate import Estimate, estimate
    from tfft.recipes.evaluate import evaluate
    from tfft.recipes.finetune import finetune
    from tfft.recipes.generate import generate
    from tfft.recipes.inspect import inspect_data
    from tfft.recipes.learning_curve import learning_curve
    from tfft.recipes.recommend import recommend
    from tfft.recipes.repeat import repeat
    from tfft.recipes.tune import tune
    from tfft.runs.export.huggingface import export_huggingface
    from tfft.runs.export.many import export_many
    from tfft.runs.load import load
    from tfft.runs.run import Run
    from tfft.runs.search_result import Search
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
_ON_KERAS = ("CausalLM", "TextClassifier", "TokenClassifier", "layers")
_HOMES = {
    "BitFit": "tfft.methods.bitfit",
    "Bottleneck": "tfft.methods.bottleneck",
    "Estimate": "tfft.recipes.estimate",
    "CausalLM": "tfft.tasks.networks.causal_lm",
    "CausalLanguageModelling": "tfft.tasks.causal_lm",
    "Full": "tfft.methods.full",
    "Head": "tfft.methods.head",
    "IA3": "tfft.methods.ia3",
    "LastLayers": "tfft.methods.last_layers",
    "LoRA": "tfft.methods.lora",
    "Prefix": "tfft.methods.prefix",
    "Prompt": "tfft.methods.prompt",
    "MultiLabel": "tfft.tasks.multi_label",
    "QuestionAnswering": "tfft.tasks.question_answering",
    "Recommendation": "tfft.fitting.auto_rules",
    "Regression": "tfft.tasks.regression",
    "Run": "tfft.runs.run",
    "Search": "tfft.runs.search_result",
    "Sparse": "tfft.methods.sparse",
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
    "export_huggingface": "tfft.runs.export.huggingface",
    "export_many": "tfft.runs.export.many",
    "finetune": "tfft.recipes.finetune",
    "generate": "tfft.recipes.generate",
    "inspect_data": "tfft.recipes.inspect",
    "int_range": "tfft.tuning.distributions",
    "learning_curve": "tfft.recipes.learning_curve",
    "load": "tfft.runs.load",
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
    if name in _ON_KERAS:
        start_tensorflow()
    if name in _MODULES:
        return importlib.import_module(f"tfft.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tfft' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

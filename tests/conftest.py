"""Settings for all tests; the fixtures themselves are in `tests/fixtures`."""

import gc
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Before any test imports TensorFlow, so that all of them compute with the same code.
import pytest

import tfft  # noqa: F401

pytest_plugins = [
    "tests.fixtures.bert",
    "tests.fixtures.exports",
    "tests.fixtures.files",
    "tests.fixtures.language",
    "tests.fixtures.reports",
    "tests.fixtures.rows",
    "tests.fixtures.trainings",
]

TRAININGS = {"full_training", "head_training", "search_options", "tiny_run"} | {
    "train", "tune",
}  # fmt: skip
# Files whose tests train, export or start processes without the fixtures above.
HEAVY = """
checkpoints/test_peft_refusals checkpoints/test_peft_rules checkpoints/test_peft_starts
checkpoints/test_progress cli/test_bad_inputs core/test_signatures
generation/test_greedy models/test_untrusted recipes/test_options_of_verbs
serving/server/test_batching serving/server/test_client text/test_chat_template
cli/test_commands cli/test_launch cli/test_output cli/test_series
compute/test_attention compute/test_first_token compute/test_processor
conformance/test_contracts conformance/test_family_contracts conformance/test_fields
conformance/test_files conformance/test_task_contracts
fitting/test_interrupt fitting/test_shared generation/test_decoding_step
methods/test_keras_files methods/test_lora_strategies methods/test_low_rank
compute/test_frozen models/test_sentence_transformers models/test_wiring
recipes/test_cross_validate recipes/test_estimate recipes/test_families
recipes/test_methods_end_to_end recipes/test_same_text recipes/test_series
runs/export/test_export_formats
runs/export/test_export_many runs/export/test_huggingface_heads runs/test_asked
runs/test_ends_of_answers serving/server/test_versions serving/test_publishing
tasks/test_answer_places tasks/test_labels_and_numbers test_examples
text/graph/test_byte_level text/graph/test_word_piece training/test_distribution
training/test_keras_gaps training/test_loss_scale training/test_optimizer
training/test_step
""".split()

# Half a minute and more each: first, so that none of them is left running alone.
LONGEST = """
runs/export/test_cpp test_examples recipes/test_finetune runs/export/test_export
recipes/test_ensemble runs/export/test_export_dtypes methods/test_lora_strategies
fitting/test_shared runs/export/test_export_many recipes/test_tasks cli/test_serve
fitting/test_interrupt tasks/test_answer_places tasks/test_labels_and_numbers
training/test_distribution generation/test_decoding_step text/graph/test_word_piece
fitting/test_frozen runs/export/test_export_formats recipes/test_causal_lm
recipes/test_same_text
""".split()

# Tracing makes so many objects that collecting after each 700 takes 14 % of all tests.
gc.set_threshold(50_000, 20, 50)


def pytest_collection_finish():
    """Leaves what the imports made out of later collections."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(items):
    """Marks the tests that `tools/test --fast` leaves out; puts long files first."""
    root = Path(__file__).parent
    heavy, longest = (
        [root / f"{name}.py" for name in names] for names in (HEAVY, LONGEST)
    )
    for item in items:
        if item.path in heavy or TRAININGS & set(getattr(item, "fixturenames", ())):
            item.add_marker("heavy")
    first = [*longest, *dict.fromkeys(i.path for i in items if "heavy" in i.keywords)]
    place = {path: rank for rank, path in reversed(list(enumerate(first)))}
    items.sort(key=lambda item: place.get(item.path, len(first)))

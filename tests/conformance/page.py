"""The page of all contracts for the docs."""

from __future__ import annotations

from tests.conformance.family_table import family_markdown
from tests.conformance.table import markdown
from tests.conformance.task_table import task_markdown


def contracts_page() -> str:
    """Returns the tables of methods, tasks and architectures."""
    return "\n".join([markdown(), task_markdown(), family_markdown()])

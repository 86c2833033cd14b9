"""Reading rows of one form as conversations, for training and for generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tfft.data.conversations import (
    Conversation,
    Problem,
    detect,
    parse,
    parse_table,
    parse_template,
    parse_templated,
)
from tfft.data.table import Table
from tfft.tasks.language.prompts import asked_form

TEMPLATE = "template"


class RowReader(NamedTuple):
    """How rows are read.

    Attributes:
        form: The name of a form, `auto` to detect it from the columns, or `template`.
        template: The prompt of the form `template`, column names in braces.
        target: The column with its answer.
    """

    form: str
    template: str | None
    target: str

    def form_of(self, table: Table) -> str:
        """Returns the form of a table.

        Raises:
            ConfigError: When the columns are of no form, or of several.
        """
        return detect(table) if self.form == "auto" else self.form

    def table(self, table: Table, *, answered: bool) -> list[Conversation | Problem]:
        """Returns each row as a conversation, or what is wrong with it.

        Raises:
            ConfigError: When the columns are of no form, or of several.
        """
        if self.template is None:
            return parse_table(table, self.form_of(table), answered=answered)
        return parse_templated(table, self.template, self.target, answered=answered)

    def asked(self, row: Mapping[str, Any]) -> Conversation | Problem:
        """Returns a row without an answer as a conversation.

        Raises:
            DataError: For a row that asks nothing.
        """
        if self.form == TEMPLATE:
            return parse_template(row, self.template, self.target, answered=False)
        form = asked_form(row) if self.form == "auto" else self.form
        return parse(row, form, answered=False)

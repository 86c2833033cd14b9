"""Reads rows as conversations, for training and generation."""

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
    """How to read rows.

    Attributes:
        form: The name of a format, `auto` to detect it from the columns, or `template`.
        template: The prompt of the format `template`, with column names in braces.
        target: Column with its answer.
    """

    form: str
    template: str | None
    target: str

    def form_of(self, table: Table) -> str:
        """Returns the format of a table.

        Raises:
            ConfigError: When the columns fit no format, or several.
        """
        return detect(table) if self.form == "auto" else self.form

    def table(self, table: Table, *, answered: bool) -> list[Conversation | Problem]:
        """Returns each row as a conversation, or the reason why it is not one.

        Raises:
            ConfigError: When the columns fit no format, or several.
        """
        if self.template is None:
            return parse_table(table, self.form_of(table), answered=answered)
        return parse_templated(table, self.template, self.target, answered=answered)

    def asked(self, row: Mapping[str, Any]) -> Conversation | Problem:
        """Returns a row without an answer as a conversation.

        Raises:
            DataError: For a row without a prompt.
        """
        if self.form == TEMPLATE:
            return parse_template(row, self.template, self.target, answered=False)
        form = asked_form(row) if self.form == "auto" else self.form
        return parse(row, form, answered=False)

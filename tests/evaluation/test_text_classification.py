"""Scores are those worked out by hand, and labels are shown as text alone."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from tfft.evaluation.report import REPORTS
from tfft.evaluation.tables import ReportTable
from tfft.evaluation.text_classification import TextClassificationReport

# Rows are the right classes, columns the answers.
CONFUSION = [[3, 1, 0], [1, 2, 0], [1, 0, 0]]
LABELS = ("ham", "spam", "rare")
# Precision, recall and F1 = 2pr / (p + r) of each class, from the table above.
SCORES = {
    "ham": (3 / 5, 3 / 4, 2 / 3, 4),
    "spam": (2 / 3, 2 / 3, 2 / 3, 3),
    "rare": (0.0, 0.0, 0.0, 1),
}


def outputs(confusion, sure=0.8):
    gold, rows = [], []
    rest = (1 - sure) / (len(confusion) - 1)
    for right, counts in enumerate(confusion):
        for answer, count in enumerate(counts):
            gold += [right] * count
            row = [sure if i == answer else rest for i in range(len(counts))]
            rows += [row] * count
    return np.array(rows, "float32"), np.array(gold)


@pytest.fixture
def report():
    return TextClassificationReport.make(*outputs(CONFUSION), LABELS)


def on_terminal(report):
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    for table in report.tables():
        console.print(table.to_rich())
    return console.file.getvalue()


def test_scores_of_each_class(report):
    np.testing.assert_array_equal(report.confusion, CONFUSION)
    assert list(report.classes) == list(LABELS)
    for label, expected in SCORES.items():
        found = report.classes[label]
        assert list(found) == ["precision", "recall", "f1", "rows"]
        # float64 arithmetic on counts: rounding alone.
        assert tuple(found.values()) == pytest.approx(expected, abs=1e-12)


def test_scores_of_all_rows(report):
    # 5 of 8 right with 0.8 on the answer, the 3 others with 0.1 on the right class.
    loss = -(5 * math.log(0.8) + 3 * math.log(0.1)) / 8
    assert report.summary["accuracy"] == 5 / 8
    assert report.summary["macro_f1"] == pytest.approx(4 / 9, abs=1e-12)
    assert report.summary["weighted_f1"] == pytest.approx(7 / 12, abs=1e-12)
    assert report.summary["loss"] == pytest.approx(loss, abs=1e-6)  # float32
    assert report.summary["rows"] == 8
    assert list(report.metrics) == ["accuracy", "macro_f1", "weighted_f1", "loss"]


def test_a_probability_of_zero_gives_a_large_but_finite_loss():
    certain = np.array([[0.0, 1.0]], "float32")
    report = TextClassificationReport.make(certain, np.array([0]), ["a", "b"])
    assert report.summary["loss"] == pytest.approx(126 * math.log(2), rel=1e-6)


def test_a_class_that_no_row_has_is_listed():
    report = TextClassificationReport.make(*outputs([[2, 0], [0, 0]]), ["a", "b"])
    assert report.classes["b"] == {"precision": 0, "recall": 0, "f1": 0, "rows": 0}
    assert report.summary["accuracy"] == 1


def test_the_report_is_found_by_its_name_and_watches_the_loss():
    assert REPORTS.get("text_classification") is TextClassificationReport
    assert TextClassificationReport.monitor == ("loss", False)


def test_the_report_as_json(report):
    content = json.loads(json.dumps(report.to_dict()))
    assert content["labels"] == list(LABELS)
    assert content["confusion"] == CONFUSION
    assert content["summary"] == report.summary
    assert content["classes"] == report.classes


def test_markdown_to_the_letter():
    report = TextClassificationReport.make(*outputs([[1500, 0], [500, 0]]), ["a", "b"])
    assert str(report) == (
        "**Classification report**\n\n"
        "| class | precision | recall | F1 | rows |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
        "| a | 0.7500 | 1.0000 | 0.8571 | 1,500 |\n"
        "| b | 0.0000 | 0.0000 | 0.0000 | 500 |\n"
        "| macro F1 |  |  | 0.4286 | 2,000 |\n"
        "| accuracy |  |  | 0.7500 | 2,000 |\n\n"
        "**Confusion matrix: rows are the right classes, columns the answers**\n\n"
        "|  | a | b |\n"
        "| --- | ---: | ---: |\n"
        "| a | 1,500 | 0 |\n"
        "| b | 500 | 0 |\n"
    )


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("a|b", r"a\|b"),
        ("&lt;b", r"\&lt;b"),
        ("*_`~[x](y)", r"\*\_\`\~\[x\](y)"),
        ("back\\slash", r"back\\slash"),
        ("two\nlines", r"two\nlines"),
        ("\x1b[31mred", r"\x1b\[31mred"),
        ("größe 中 🙂", "größe 中 🙂"),
    ],
)
def test_labels_are_text_in_markdown(label, shown):
    report = TextClassificationReport.make(*outputs([[1, 0], [0, 1]]), [label, "b"])
    lines = report.to_markdown().splitlines()
    assert f"| {shown} | 1.0000 | 1.0000 | 1.0000 | 1 |" in lines
    assert f"|  | {shown} | b |" in lines
    assert f"| {shown} | 1 | 0 |" in lines


@pytest.mark.parametrize("control", ["\x1b]0;title\x07", "\x1b[2J", "\r", "\x9b2J"])
def test_control_characters_do_not_reach_the_terminal(control):
    labels = [f"a{control}", "b"]
    report = TextClassificationReport.make(*outputs([[1, 0], [0, 1]]), labels)
    shown = on_terminal(report)
    assert control not in shown
    # Once as a class, twice in the matrix: as a row and as a column.
    assert shown.count("a" + repr(control)[1:-1]) == 3


def test_a_title_is_text_on_the_terminal():
    table = ReportTable("a\x1b[2J [red]b", ("x",), (("1",),))
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    console.print(table.to_rich())
    assert "a\\x1b[2J [red]b" in console.file.getvalue()


def test_markup_in_labels_is_shown_as_it_is():
    report = TextClassificationReport.make(
        *outputs([[1, 0], [0, 1]]), ["[red]a[/]", "b"]
    )
    assert on_terminal(report).count("[red]a[/]") == 3


@pytest.mark.parametrize(("classes", "tables"), [(20, 2), (21, 1)])
def test_the_matrix_is_left_out_beyond_20_classes(classes, tables):
    labels = list(range(classes))
    report = TextClassificationReport.make(*outputs(np.eye(classes, dtype=int)), labels)
    assert len(report.tables()) == tables
    assert report.labels[-1] == str(classes - 1)

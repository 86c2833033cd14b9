"""Intervals, slices, calibration, curves, worst errors, and the page with them."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from sklearn import metrics as sklearn

from tfft.evaluation.calibration import calibrate
from tfft.evaluation.details import Details
from tfft.evaluation.evidence import Evidence, intervals
from tfft.evaluation.page import draw_all, to_html
from tfft.evaluation.pictures import pictures
from tfft.evaluation.tensorboard_reports import write_to_board
from tfft.evaluation.text_classification import TextClassificationReport

pytestmark = pytest.mark.usefixtures("real_pictures")
LABELS = ("ham", "<b>spam</b>")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def case():
    random = np.random.default_rng(0)
    gold = random.integers(0, 2, 200)
    right = np.clip(random.normal(0.7, 0.25, 200), 0.01, 0.99)
    p = np.where(gold == 1, right, 1 - right)
    return np.stack([1 - p, p], axis=1).astype("float32"), gold, LABELS


@pytest.fixture(scope="module")
def details(case):
    texts = [(f"text {i} <script>alert(1)</script>",) for i in range(200)]
    return Details.of(
        TextClassificationReport.evidence(*case),
        texts,
        [f"mails.csv:{i + 2}" for i in range(200)],
        {"topic": ["news" if i % 3 else "sport" for i in range(200)]},
    )


@pytest.fixture(scope="module")
def report(case, details):
    return dataclasses.replace(TextClassificationReport.make(*case), details=details)


def test_intervals_hold_the_score_and_shrink_with_rows():
    random = np.random.default_rng(0)

    def width(rows):
        hits = (random.random(rows) < 0.8).astype("float64")
        statistics = np.stack([hits, np.ones(rows)], axis=1)
        evidence = Evidence(
            statistics, lambda s: {"accuracy": s[..., 0] / s[..., 1]}, hits, [], []
        )
        low, high = intervals(evidence)["accuracy"]
        assert low <= hits.mean() <= high
        assert intervals(evidence)["accuracy"] == (low, high)
        assert intervals(evidence, seed=1)["accuracy"] != (low, high)
        return high - low

    # 95 % of a share of 0.8: 2 * 1.96 * sqrt(0.16 / n), within a tenth.
    assert width(100) == pytest.approx(2 * 1.96 * 0.4 / 10, rel=0.2)
    assert width(10_000) == pytest.approx(2 * 1.96 * 0.4 / 100, rel=0.1)


def test_slices_are_the_scores_of_their_rows(case, details):
    p, gold, _ = case
    is_sport = np.arange(200) % 3 == 0
    for name, rows in (("news", ~is_sport), ("sport", is_sport)):
        found = details.slices["topic"][name]
        alone = TextClassificationReport.make(p[rows], gold[rows], LABELS)
        assert found["rows"] == rows.sum()
        for score in ("accuracy", "macro_f1", "weighted_f1", "loss"):
            assert found[score] == pytest.approx(alone.metrics[score], abs=1e-6)


def test_calibration_by_hand():
    confidences = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55, 1.0])
    hits = np.array([1, 1, 1, 0, 1, 1, 1])
    found = calibrate(confidences, hits)
    # 1.0 is in the last part with 0.95.
    assert found.answers == (2, 5)
    assert found.confidence == pytest.approx((0.55, 0.96))
    assert found.accuracy == pytest.approx((1.0, 0.8))
    assert found.error == pytest.approx((2 * 0.45 + 5 * 0.16) / 7)


def test_curves_are_scikit_learns(case, details):
    p, gold, _ = case
    one = details.curves[LABELS[1]]
    assert one.auc == sklearn.roc_auc_score(gold == 1, p[:, 1])
    wanted = sklearn.average_precision_score(gold == 1, p[:, 1])
    assert one.average_precision == wanted
    assert (one.roc[0][0], one.roc[1][-1]) == (0.0, 1.0)


def test_the_worst_errors_are_the_surest_wrong_answers(case, details):
    p, gold, _ = case
    wrong = np.flatnonzero(p.argmax(axis=1) != gold)
    order = wrong[np.argsort(p[wrong, gold[wrong]], kind="stable")][:10]
    assert [one.where for one in details.worst] == [f"mails.csv:{i + 2}" for i in order]
    first = details.worst[0]
    assert first.right == LABELS[gold[order[0]]] != first.answer
    assert first.text.startswith(f"text {order[0]} ")
    loss = -np.log(p[order[0], gold[order[0]]])
    assert first.badness == pytest.approx(loss, rel=1e-5)


def test_a_model_without_errors_has_no_worst():
    p = np.array([[0.9, 0.1], [0.2, 0.8]], "float32")
    evidence = TextClassificationReport.evidence(p, np.array([0, 1]), LABELS)
    found = Details.of(evidence, [("a",), ("b",)], ["1", "2"], {})
    assert found.worst == ()
    assert found.tables()[0].title.startswith("95 %")


def test_the_page_stands_alone_and_shows_text_as_text(report):
    page = to_html({"test": report}, "a <b>", draw_all({"test": report}))
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<b>" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/png;base64,") == 4
    assert {"By topic", "Worst errors", "Confusion matrix"} <= set(
        re.findall(r"<(?:caption|figcaption)>([^<:]*)", page)
    )


def test_pictures_are_png_files_and_come_out_alike(report):
    found, again = pictures(report), pictures(report)
    assert list(found) == [
        "Confusion matrix", "Reliability", "ROC", "Precision and recall",
    ]  # fmt: skip
    assert all(content.startswith(PNG) for content in found.values())
    assert found == again


def test_labels_that_matplotlib_would_read_are_drawn(case):
    p, gold, _ = case
    odd = TextClassificationReport.make(p, gold, ("$\\frac$", "a\x00b"))
    assert pictures(odd)["Confusion matrix"].startswith(PNG)


def test_the_report_is_in_tensorboard(report, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_to_board(tmp_path, {"test": report}, draw_all({"test": report}), step=3)
    found = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()
    tags = found.Tags()["tensors"]
    assert "test/report" in tags
    assert "test/Reliability" in tags
    assert found.Tensors("test/report")[0].step == 3


def test_markdown_and_json_have_the_details(report):
    text = report.to_markdown()
    for title in ("95 % intervals", "By topic", "Calibration", "Worst errors"):
        assert f"**{title}" in text
    values = report.to_dict()["details"]
    assert set(values["slices"]["topic"]) == {"news", "sport"}
    assert values["calibration"]["error"] == report.details.calibration.error

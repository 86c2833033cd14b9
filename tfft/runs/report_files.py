"""Writes reports as JSON, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tfft.core.files import write_json, write_text
from tfft.evaluation.page import to_html
from tfft.evaluation.pictures import pictures
from tfft.evaluation.report import Report
from tfft.evaluation.tables import escaped
from tfft.evaluation.tensorboard_reports import write_to_board

REPORT_FILES = ("report.json", "report.md", "report.html")
LOGS = "logs"


def write_reports(
    folder: Path, task: str, reports: Mapping[str, Report], epoch: int
) -> None:
    """Writes the reports of a training into its run folder and into TensorBoard.

    Only the last split gets pictures: the test split, or validation without one.

    Args:
        folder: The run folder.
        task: The name of the task, for the heading.
        reports: By split.
        epoch: The epoch whose weights were scored.
    """
    drawn = {split: {} for split in reports}
    for split in list(reports)[-1:]:
        drawn[split] = pictures(reports[split])
    write_report_files(folder, reports, f"{task} · {folder.name}", drawn)
    if reports:
        write_to_board(folder / LOGS / "report", reports, drawn, epoch)


def write_report_files(
    folder: Path,
    reports: Mapping[str, Report],
    title: str,
    drawn: Mapping[str, Mapping[str, bytes]],
) -> None:
    """Writes `report.json`, `report.md` and `report.html`.

    Args:
        folder: An existing folder.
        reports: The reports by split.
        title: The heading.
        drawn: The pictures of each report, by split.
    """
    json_name, markdown_name, html_name = REPORT_FILES
    write_json(
        folder / json_name, {split: one.to_dict() for split, one in reports.items()}
    )
    parts = [
        f"## {split.capitalize()}\n\n{one.to_markdown()}{_notes(one)}"
        for split, one in reports.items()
    ]
    write_text(folder / markdown_name, f"# {title}\n\n" + "\n".join(parts))
    write_text(folder / html_name, to_html(reports, title, drawn))


def _notes(report: Report) -> str:
    """Returns a report's notes as a Markdown list."""
    lines = "".join(f"- {escaped(note)}\n" for note in report.notes)
    return f"\n{lines}" if lines else ""

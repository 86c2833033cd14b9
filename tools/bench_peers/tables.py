"""Formats the results as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench_peers.compare import Figure, median
from bench_peers.job import Job

Runs = Mapping[str, Sequence[Mapping[str, Any]]]


def page(document: Mapping[str, Any], jobs: Mapping[str, Job]) -> str:
    """Returns all results.

    Args:
        document: The JSON document that the command writes.
        jobs: The jobs by name.
    """
    machine = document["machine"]
    parts = [
        f"Measured {document['date']} by `{document['command']}`: "
        f"{document['rounds']} rounds in turn. The figures are medians, in brackets "
        "the minimum and maximum; × says how many times better tfft is.",
        f"{machine['processor']}, {machine['cores']} cores "
        f"({', '.join(machine['flags'])}), {machine['memory_gb']} GB, "
        f"GPU: {machine['gpu']}, {machine['system']}.",
    ]
    for name, cases in document["jobs"].items():
        parts.append(f"## {name}\n\n{jobs[name].about}.")
        for case, result in cases.items():
            title = [f"### {case}"] if case else []
            parts += [*title, *_case(jobs[name], result)]
    return "\n\n".join(parts) + "\n"


def _case(job: Job, result: Mapping[str, Any]) -> list[str]:
    runs = {peer: of for peer, of in result["runs"].items() if of}
    if result["fault"]:
        return [f"Not compared.\n\n```\n{result['fault']}\n```"]
    commands = "\n".join(result["commands"].values())
    return [figures_table(job, runs), facts_table(runs), f"```\n{commands}\n```"]


def figures_table(job: Job, runs: Runs) -> str:
    """Returns the measured figures, with how many times better tfft is."""
    rows = [["", *runs]]
    for figure in job.figures:
        rows.append([figure.title, *(_cell(figure, runs, peer) for peer in runs)])
    return table(rows)


def facts_table(runs: Runs) -> str:
    """Returns the quality reached, the work done, the settings and versions."""
    rows = [["", *runs]]
    for part in ("quality", "work", "settings"):
        names = dict.fromkeys(name for of in runs.values() for name in of[0][part])
        rows += [
            [name, *(_fact(of, part, name) for of in runs.values())] for name in names
        ]
    versions = [
        ", ".join(f"{name} {one}" for name, one in of[0]["versions"].items())
        for of in runs.values()
    ]
    return table([*rows, ["versions", *versions]])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table; the first row is the header.

    >>> print(table([["peer", "s"], ["tfft", "1"]]))
    | peer | s |
    | --- | --- |
    | tfft | 1 |
    """
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """Returns a number with three significant digits.

    >>> [number(n) for n in (0.01234, 5.6789, 1234.5, 30)]
    ['0.0123', '5.68', '1,234', '30']
    """
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cell(figure: Figure, runs: Runs, peer: str) -> str:
    if figure.key not in runs[peer][0]["figures"]:
        return ""
    values = [run["figures"][figure.key] for run in runs[peer]]
    middle = median(runs[peer], "figures", figure.key)
    text = number(middle)
    if len(values) > 1:
        text += f" ({number(min(values))} to {number(max(values))})"
    if peer != "tfft" and "tfft" in runs:
        ours = median(runs["tfft"], "figures", figure.key)
        text += f" · **{figure.ratio(ours, middle):.2f}×**"
    return text


def _fact(of: Sequence[Mapping[str, Any]], part: str, name: str) -> str:
    values = [run[part].get(name, "") for run in of]
    if any(isinstance(one, str) for one in values):
        return ", ".join(dict.fromkeys(map(str, values)))
    middle = median(of, part, name)
    return f"{middle:,}" if isinstance(middle, int) else f"{middle:.4g}"

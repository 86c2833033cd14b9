"""Reports as one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from tfft.evaluation.pictures import pictures
from tfft.evaluation.report import Report
from tfft.evaluation.tables import printable

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em;
  padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto; }
caption { text-align: left; font-weight: 600; padding: .3em 0; }
th, td { border: 1px solid #ddd; padding: .25em .6em; text-align: right;
  overflow-wrap: anywhere; }
th:first-child, td:first-child { text-align: left; }
figure { display: inline-block; margin: .5em; }
</style>
<h1>{{ title }}</h1>
{% for name, report in reports.items() %}
<h2>{{ name }}</h2>
{% for note in report.notes %}<p>{{ note }}</p>{% endfor %}
{% for table in report.tables %}
<table>
<caption>{{ table.title }}</caption>
<tr>{% for cell in table.header %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for row in table.rows -%}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% endfor %}
{% for caption, picture in report.pictures.items() -%}
<figure><img alt="{{ caption }}" src="data:image/png;base64,{{ picture }}">
<figcaption>{{ caption }}</figcaption></figure>
{% endfor %}
{% endfor %}
</html>
"""


def to_html(
    reports: Mapping[str, Report], title: str, drawn: Mapping[str, Mapping[str, bytes]]
) -> str:
    """Returns an HTML page with reports; labels and texts are escaped.

    Args:
        reports: The reports by name, such as the split.
        title: The heading.
        drawn: The pictures of each report.
    """
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["printable"] = printable
    parts = {
        name: {
            "notes": report.notes,
            "tables": report.all_tables(),
            "pictures": {
                caption: base64.b64encode(content).decode("ascii")
                for caption, content in drawn[name].items()
            },
        }
        for name, report in reports.items()
    }
    page = _PAGE.replace("{{ cell }}", "{{ cell|printable }}")
    return environment.from_string(page).render(title=title, reports=parts)


def draw_all(reports: Mapping[str, Report]) -> dict[str, dict[str, bytes]]:
    """Returns the pictures of each report, by name and title."""
    return {name: pictures(report) for name, report in reports.items()}

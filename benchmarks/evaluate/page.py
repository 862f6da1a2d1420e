"""An evaluation or a comparison as one HTML page that needs nothing beside it, and as tables."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.evaluate.draw import part, parts
from edge.types import CLASSES
from train.report import STYLE

HEAD = (
    "model", "data", "pictures", "mesh", "told", "accuracy", "balanced", "macro-F1", "ECE", "Brier",
    "NLL", "accuracy, 70 % surest",
)  # fmt: skip
HOW = (
    "In brackets: 95 % intervals, by bootstrap over groups (copies, near copies and pictures of "
    "one person are one group). Accuracy, balanced accuracy, macro-F1 and the accuracy of the 70 % "
    "most confident are of every picture: one without a mesh counts as read wrongly, and one whose "
    "label is unknown with its likeliest expression. ECE (15 bins), Brier score and NLL are of "
    "pictures with a mesh. Mesh: share in which a face was found; told: share whose label was not "
    "unknown."
)


def rows(models: Mapping[str, Any]) -> list[list[str]]:
    """A row for each model and source, under HEAD."""
    found = []
    for model, figures in models.items():
        names = parts(models)
        for name in [*names, *(["all"] if len(names) > 1 else [])]:
            of = part(figures, name)
            one = of["figures"]
            found.append(
                [
                    model,
                    name,
                    f"{of['pictures']:,}",
                    share(one["mesh"]),
                    share(one["told"]),
                    interval(one["accuracy"]),
                    interval(one["balanced_accuracy"]),
                    interval(one["macro_f1"]),
                    interval(one["ece"]),
                    number(one["brier"]["value"]),
                    number(one["nll"]["value"]),
                    interval(one["accuracy_at_70"]),
                ]
            )
    return found


def per_class(models: Mapping[str, Any]) -> list[list[str]]:
    """A row for each model, source and expression."""
    found = []
    for model, figures in models.items():
        for name in parts(models):
            of = part(figures, name)
            for i, label in enumerate(CLASSES):
                found.append(
                    [
                        model,
                        name,
                        label,
                        f"{sum(of['confusion'][i]):,}",
                        *(interval(of["figures"][f"{key}/{label}"]) for key in _PER_CLASS),
                    ]
                )
    return found


_PER_CLASS = ("precision", "recall", "f1")


def flip_rows(models: Mapping[str, Any]) -> list[list[str]]:
    """A row for each model and clip."""
    return [
        [
            model,
            clip["clip"],
            f"{clip['seconds']:g}",
            *(
                f"{clip[key]['changes']} ({number(clip[key]['per_minute'])})"
                for key in ("single frames", "smoothed")
            ),
        ]
        for model, figures in models.items()
        for clip in figures.get("clips", ())
    ]


FLIPS = ("model", "clip", "seconds", "changes, single frames (a minute)", "smoothed (a minute)")


def interval(entry: Mapping[str, Any]) -> str:
    """A value with the ends of its interval."""
    if entry["low"] is None:
        return number(entry["value"])
    return f"{number(entry['value'])} ({number(entry['low'])} to {number(entry['high'])})"


def number(value: float | None) -> str:
    """Three digits, or a dash for what cannot be told."""
    return "–" if value is None else f"{value:.3f}"


def share(entry: Mapping[str, Any]) -> str:
    """A value in percent."""
    return "–" if entry["value"] is None else f"{100 * entry['value']:.1f} %"


def evaluation(result: Mapping[str, Any], folder: Path, pictures: Mapping[str, str]) -> str:
    """The page of an evaluation; `pictures`: what each shows → its file in `folder`."""
    models = result["models"]
    body = [table(HEAD, rows(models)), f"<p class=how>{escape(HOW)}</p>"]
    body += shown(folder, pictures)
    if flip_rows(models):
        body += ["<h2>How steady is the label on a clip?</h2>", table(FLIPS, flip_rows(models))]
    head = ("model", "data", "expression", "pictures", *_PER_CLASS)
    body += ["<h2>Each expression</h2>", table(head, per_class(models))]
    return page("Evaluation", result, body)


def page(title: str, result: Mapping[str, Any], body: Sequence[str]) -> str:
    """A whole page: title, warnings, body, notes, and what it was made with."""
    told = result["about"]
    warnings = "".join(f"<p class=warning>{escape(line)}</p>" for line in result["warnings"])
    notes = "".join(f"<li>{escape(line)}</li>" for line in result["notes"])
    made = escape(json.dumps(told, indent=1, ensure_ascii=False))
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>
<style>{STYLE}body {{ max-width: 76rem }} table {{ font-size: .85rem; display: block;
overflow-x: auto }} .how {{ color: #555; font-size: .9rem }} .warning {{ border-left: .4rem solid
#c33; background: #fee; padding: .5rem 1rem }} pre {{ font-size: .8rem; overflow-x: auto }}</style>
</head><body><h1>{escape(title)}</h1><p>{escape(result["subject"])}</p>{warnings}
{"".join(body)}<h2>Notes</h2><ul>{notes}</ul><details><summary>Made with</summary><pre>{made}</pre>
</details></body></html>
"""


def shown(folder: Path, pictures: Mapping[str, str]) -> list[str]:
    """Headed pictures, the files themselves in the page."""
    found = []
    for what, name in pictures.items():
        data = base64.b64encode((folder / name).read_bytes()).decode()
        image = f'<img alt="{escape(what)}" src="data:image/png;base64,{data}">'
        found.append(f"<h2>{escape(what)}</h2><p>{image}</p>")
    return found


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """An HTML table."""
    cells = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    cells += [
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines
    ]
    return f"<table>{''.join(cells)}</table>"

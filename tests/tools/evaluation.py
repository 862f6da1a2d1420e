"""What an evaluation leaves."""

from __future__ import annotations

import html.parser
import json
from pathlib import Path
from typing import Any


def result(out: Path, kind: str = "evaluation") -> tuple[Path, dict[str, Any]]:
    """The folder and the JSON of the only result."""
    (path,) = out.glob(f"*/{kind}.json")
    return path.parent, json.loads(path.read_text(encoding="utf-8"))


class Markup(html.parser.HTMLParser):
    """Tags that are open, addresses that are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.asked += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

"""The page on which a person corrects readings: one file, its pictures and its script within."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from crnn.files import storage
from pipelines.recognition.page import where
from pipelines.report.document import document, many, table
from pipelines.report.figures import number
from pipelines.report.markup import Markup, tag, together
from pipelines.report.readings import LEGEND
from pipelines.review.selection import Row, Selection
from pipelines.review.style import STYLE

LABELS_NAME = "labels.tsv"
_SCRIPT = "review.js"
_FILTERS = {"all": "all", "left": "left", "accepted": "accepted", "corrected": "corrected",
            "unreadable": "unreadable"}  # fmt: skip
_KEYS = (
    ("Enter", "accept the text as it stands, go to the next picture"),
    ("Shift Enter", "the picture is unreadable: leave it out, go to the next"),
    ("↑ ↓", "go to the picture before or after without deciding"),
    ("Esc", "back to the text as it was read, undecided"),
    ("Tab", "to the buttons of the picture, then to the next one"),
)


@dataclass(frozen=True, kw_only=True)
class ReviewItem:
    """A picture to review."""

    row: Row
    name: str
    """Name of the file in ``images``."""
    small: bytes
    """JPEG."""
    size: tuple[int, int]
    """Size of the whole picture, px."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A row whose picture can't be shown."""

    row: Row
    code: str
    message: str


def page(
    items: Sequence[ReviewItem],
    lost: Sequence[Lost],
    selection: Selection,
    *,
    out_uri: str,
    digest: str,
) -> str:
    """The whole HTML document; ``digest`` tells the progress on these results from any other."""
    return document(
        f"Review of {number(len(items))} readings",
        _top(),
        _heading(items, selection),
        _how(out_uri),
        _list(),
        _lost(lost),
        _card(),
        style=STYLE,
        script=resources.files(__package__).joinpath(_SCRIPT).read_text(encoding="utf-8"),
        data={"digest": digest, "items": [_data(item) for item in items]},
    )


def _top() -> Markup:
    names = ("accepted", "corrected", "unreadable", "left")
    counts = [
        tag("span", tag("b", "0", id=f"count-{name}"), f" {name}", class_="count") for name in names
    ]
    return tag(
        "div",
        tag("div", *counts, class_="counts"),
        tag("progress", id="progress", value="0", max="1", aria_label="decided"),
        tag(
            "button",
            f"Save {LABELS_NAME}",
            id="save",
            type="button",
            class_="main",
            data_name=LABELS_NAME,
        ),
        tag("p", id="status", role="status"),
        class_="top",
    )


def _heading(items: Sequence[ReviewItem], selection: Selection) -> Markup:
    models = sorted({str(item.row["model"])[:12] for item in items})
    note = f"of {many(selection.found, 'row')} that fit, from {number(selection.total)} in all, in "
    return together(
        tag("h1", f"Review of {many(len(items), 'reading')}"),
        tag("p", note, tag("code", selection.results_uri), " · model ",
            tag("code", ", ".join(models) or "–"), class_="soft"),
    )  # fmt: skip


def _how(out_uri: str) -> Markup:
    target = shlex.quote(out_uri)
    keys = [part for key, what in _KEYS for part in (tag("dt", _keys(key)), tag("dd", what))]
    return tag(
        "section",
        tag("details", tag("summary", "How to do it"),
            tag("dl", *keys, class_="keys"),
            tag("p", f"{LEGEND} A text that you changed counts as corrected when you leave its "
                "field. What you do is kept in this browser: a closed tab loses nothing."),
            tag("p", f"Save {LABELS_NAME} as often as you like; it has the accepted and the "
                "corrected texts. Put it beside the folder images, under exactly this name: ",
                tag("code", storage.join(out_uri, LABELS_NAME))),
            tag("p", "Then: ", tag("code", f"python jobs/prepare.py {target} SHARDS")),
            open="", id="how"),
        class_="how",
    )  # fmt: skip


def _keys(keys: str) -> Markup:
    return together(*(tag("kbd", key) for key in keys.split()))


def _list() -> Markup:
    options = [tag("option", text, value=value) for value, text in _FILTERS.items()]
    show = tag("label", "Show ", tag("select", *options, id="filter"))
    return tag(
        "section",
        tag("div", show, _pager(), class_="line"),
        tag("div", id="list"),
        tag("p", "None.", id="none", class_="soft", hidden=""),
        tag("div", _pager(), class_="line"),
        tag(
            "noscript", "This page needs JavaScript; it contains all of it and loads nothing else."
        ),
    )


def _pager() -> Markup:
    return tag(
        "nav",
        tag("button", "‹", type="button", class_="before", aria_label="page before"),
        tag("span", class_="where"),
        tag("button", "›", type="button", class_="after", aria_label="next page"),
        class_="pager", aria_label="pages",
    )  # fmt: skip


def _lost(lost: Sequence[Lost]) -> Markup:
    if not lost:
        return together()
    rows = [
        tag("tr", tag("td", tag("bdi", where(entry.row)), class_="name"),
            tag("td", tag("code", entry.code)), tag("td", entry.message, class_="name"))
        for entry in lost
    ]  # fmt: skip
    heads = [tag("th", "picture"), tag("th", "code"), tag("th", "why")]
    return tag(
        "section",
        tag("h2", f"{many(len(lost), 'picture')} can't be shown"),
        tag("p", f"They are not in {LABELS_NAME}.", class_="soft"),
        table(heads, rows),
    )


def _card() -> Markup:
    """What the script fills for every picture."""
    field = tag(
        "input", type="text", autocomplete="off", autocorrect="off",
        autocapitalize="off", spellcheck="false", translate="no", enterkeyhint="next",
        class_="text",
    )  # fmt: skip
    return tag(
        "template",
        tag(
            "article",
            tag("div", tag("img"), class_="frame", tabindex="-1"),
            tag("p", tag("b", class_="state"), tag("span", class_="about"),
                tag("bdi", class_="address"), class_="soft"),
            tag("p", tag("span", "read ", class_="soft"), tag("bdi", class_="text reading"),
                class_="was"),
            tag("p", tag("span", "beside ", class_="soft"), tag("bdi", class_="text"),
                tag("span", class_="soft sure"), class_="other", hidden=""),
            tag("div", field, tag("button", "Accept", type="button", class_="accept"),
                tag("button", "Unreadable", type="button", class_="skip"), class_="edit"),
            tag("p", class_="hint", hidden=""),
            class_="item",
        ),
        id="card",
    )  # fmt: skip


def _data(item: ReviewItem) -> dict[str, Any]:
    """A picture as the script takes it."""
    row, other = item.row, item.row.get("other")
    text = row["text"] or ""
    chars = [[c["char"], round(c["probability"], 3)] for c in row["chars"] or ()]
    return {
        "id": hashlib.sha256(json.dumps([item.name, text]).encode()).hexdigest()[:16],
        "file": item.name,
        "image": base64.b64encode(item.small).decode(),
        "aspect": round(item.size[0] / item.size[1], 3),
        "text": text,
        "confidence": row["confidence"],
        "chars": chars if "".join(c for c, _ in chars) == text else [[c, 1] for c in text],
        "where": where(row),
        "note": row["error_message"] or "",
        **({"other": vars(other)} if other else {}),
    }

"""A review as tasks of Label Studio: pictures by their addresses, readings as predictions.

The form is that of labelstud.io/guide/predictions and its template for optical character
recognition: a text of the whole picture, or a shape and a text that share an id. Places are in
percent of the picture, a rectangle is turned about its top left corner.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from pipelines.recognition.summary import plain
from pipelines.review.selection import Row, Selection

if TYPE_CHECKING:
    from pipelines.review.page import ReviewItem

TASKS_NAME, SETUP_NAME = "tasks.json", "labeling.xml"
LINES = "lines"
"""In the row of a whole picture: those of its regions."""
_TEXT, _BOX, _OUTLINE, _IMAGE, _LABEL = "transcription", "box", "outline", "image", "Text"
_FIELD = (
    f'<TextArea name="{_TEXT}" toName="{_IMAGE}" editable="true" maxSubmissions="1" '
    'required="true" rows="1"'
)
_SLACK_PX, _SLACK = 1.0, 0.02
"""By how much four corners may differ from a rectangle's: the fourth one, and the right angle's
cosine."""

Corners = NDArray[np.float64]


def by_picture(selection: Selection) -> Selection:
    """The same rows, those of a picture or page together in one row of the whole, in ``LINES``."""
    found: dict[tuple[str, int], Row] = {}
    for row in selection.rows:
        key = (row["uri"], row.get("page") or 1)
        bare: Row = {"region": None, "text": None, "confidence": None, LINES: []}
        whole = found.setdefault(key, {**row, **bare})
        whole[LINES].append(row)
    return replace(selection, rows=list(found.values()))


def local_files(path: str) -> str:
    """The address of a file below ``LOCAL_FILES_DOCUMENT_ROOT`` in a task."""
    return f"/data/local-files/?d={quote(path)}"


def setup_of(*, whole_pages: bool) -> str:
    """The labelling setup that goes with the tasks, as XML."""
    picture = f'<Image name="{_IMAGE}" value="$image" zoom="true"/>'
    if not whole_pages:
        return f"<View>\n  {picture}\n  {_FIELD}/>\n</View>\n"
    shapes = "\n".join(
        f'  <{kind} name="{name}" toName="{_IMAGE}"><Label value="{_LABEL}"/></{kind}>'
        for kind, name in (("RectangleLabels", _BOX), ("PolygonLabels", _OUTLINE))
    )
    return (
        f'<View>\n  {picture}\n{shapes}\n  {_FIELD} perRegion="true" '
        'displayMode="region-list"/>\n</View>\n'
    )


def tasks_of(items: Sequence[ReviewItem], pictures_at: str) -> str:
    """The tasks as JSON.

    Args:
        items: pictures; rows of whole ones have ``LINES``.
        pictures_at: what stands before the names of their files.
    """
    tasks = [_task(item, pictures_at) for item in items]
    return json.dumps(tasks, indent=1, ensure_ascii=False, allow_nan=False)


def _task(item: ReviewItem, pictures_at: str) -> dict[str, Any]:
    row = item.row
    data = {_IMAGE: f"{pictures_at}{quote(item.name)}", "uri": row["uri"]}
    data |= {"page": row["page"]} if row.get("page") else {}
    if LINES not in row:
        data |= {"region": plain(row["region"])} if row["region"] else {}
        predicted = [_of_picture(row)]
        confidences = [row["confidence"]]
    else:
        lines = list(enumerate(row[LINES], start=1))
        predicted = [one for number, line in lines for one in _of_line(line, number, item.size)]
        confidences = [line["confidence"] for _, line in lines]
    found = [one for one in predicted if one]
    known = [float(one) for one in confidences if one is not None]
    task: dict[str, Any] = {"data": data}
    if found:
        score = {"score": round(sum(known) / len(known), 4)} if known else {}
        task["predictions"] = [
            {"model_version": str(row["model"] or "")[:12], **score, "result": found}
        ]
    return task


def _of_picture(row: Mapping[str, Any]) -> dict[str, Any]:
    return _result("text", _TEXT, "textarea", {"text": [row["text"]]}) if row["text"] else {}


def _of_line(row: Mapping[str, Any], number: int, size: tuple[int, int]) -> list[dict[str, Any]]:
    """A region and its text; of a row without a region the text of the picture."""
    if not row["region"] or len(row["region"]) != 8:
        return [_of_picture(row)]
    kind, name, shape = _shape(np.array(row["region"], dtype=np.float64).reshape(4, 2), size)
    places = {
        "original_width": size[0],
        "original_height": size[1],
        "image_rotation": 0,
    }
    id = f"line{number}"
    found = [_result(id, name, kind, {**shape, kind: [_LABEL]}) | places]
    if row["text"]:
        found.append(_result(id, _TEXT, "textarea", {**shape, "text": [row["text"]]}) | places)
    return found


def _result(id: str, name: str, kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": id, "from_name": name, "to_name": _IMAGE, "type": kind, "value": dict(value)}


def _shape(corners: Corners, size: tuple[int, int]) -> tuple[str, str, dict[str, Any]]:
    """Type, field and value of four corners, px: a rectangle where they are one."""
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    width, height = float(np.linalg.norm(across)), float(np.linalg.norm(down))
    apart = float(np.linalg.norm(corners[2] - (corners[1] + down)))
    turns_right = across[0] * down[1] - across[1] * down[0] > 0
    is_square = abs(float(across @ down)) <= _SLACK * width * height
    percent = np.array([100 / size[0], 100 / size[1]])
    if apart > _SLACK_PX or not is_square or not turns_right:
        points = np.round(corners * percent, 4).tolist()
        return "polygonlabels", _OUTLINE, {"points": points, "closed": True}
    x, y = np.round(corners[0] * percent, 4).tolist()
    value = {
        "x": x,
        "y": y,
        "width": round(width * 100 / size[0], 4),
        "height": round(height * 100 / size[1], 4),
        "rotation": round(math.degrees(math.atan2(across[1], across[0])) % 360, 4),
    }
    return "rectanglelabels", _BOX, value

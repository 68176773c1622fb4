"""``label-studio``: annotations exported from Label Studio as JSON or JSON-MIN.

Each task names a picture below the source. A text of the whole picture makes it a sample; texts of
rectangles and polygons, cut out of it, make one each. Places are in percent of the picture, a
rectangle is turned about its top left corner. Predictions and drafts are no labels.

The forms are those of Label Studio 1.0 to 1.2x (labelstud.io/guide/task_format and guide/export).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from crnn.errors import DataError
from crnn.files import storage
from crnn.images.contract import StatedSize
from crnn.images.region import Region
from pipelines.sources.files import closed_among, whole_files
from pipelines.sources.format import Folder, Format, Lacks, Opened, SourceOptions
from pipelines.sources.item import Item, Place, unusable
from pipelines.sources.json_lists import whole_json
from pipelines.sources.polygons import corners_along
from pipelines.sources.task_pictures import BadTaskError, TaskPictures, path_in
from pipelines.sources.values import NotTextError, text_of
from pipelines.stores import is_picture_name

NAMES = ("label-studio*.json", "project-*-at-*.json", "annotations.json", "result.json")
"""What exports are called, by hand and by Label Studio; others are named with --lists."""
EXPECTED = "export it from Label Studio 1.0 or later as JSON or JSON-MIN"
_HEAD_BYTES = 1 << 16
_MARKS = (b'"annotations"', b'"annotation_id"', b'"completions"')
_ANSWERS = (
    *("annotation_id", "annotator", "lead_time", "created_at", "updated_at", "id", "agreement"),
)
"""Fields of JSON-MIN that nobody was asked for."""
_SHAPES = ("x", "y", "width", "height")
_OF_PICTURES = ("textarea", "choices", "taxonomy", "rating", "number", "datetime", "pairwise")
"""Types of results that may be of the whole picture."""
_ROUNDING = 0.02


class _Marked(NamedTuple):
    """What one annotation says of one region, or of the whole picture."""

    id: str
    """Empty for the whole picture."""
    shape: Mapping[str, Any]
    """Its ``value``; empty for the whole picture."""
    texts: list[Any]
    size: tuple[Any, Any] = (None, None)
    """Width and height of the picture as it was labelled, px."""
    turned: float = 0
    """Degrees by which the picture was turned when it was labelled."""
    page: int = 0
    """Of a task with several pictures; from 0."""


def is_export(address: str) -> bool:
    """Whether a file of JSON begins as an export does."""
    head = storage.read_bytes(address, most=_HEAD_BYTES)
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"[") and any(m in head for m in _MARKS)


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    if folder.is_file:
        raise Lacks("a folder; for an export, give its folder and --lists with its name")
    names = folder.selected(wanted, NAMES)
    closed = closed_among(folder.uri, names)
    found = [n for n in names if wanted or n in closed or is_export(storage.join(folder.uri, n))]
    if len(found) == len(closed):
        raise Lacks(f"annotations of Label Studio in {', '.join(names)}")
    return found


def _items(source: Opened) -> Iterator[Item]:
    for name in source.names:
        tasks = whole_json(source.address(name))
        if not isinstance(tasks, list):
            raise DataError(
                f"{name} is no list of tasks but {str(tasks)[:60]!r}; {EXPECTED} (not the files of "
                "a target storage, which have one annotation each)"
            )
        pictures = TaskPictures(source)
        for number, task in enumerate(tasks, start=1):
            yield from _task_items(f"{name}:{number}", task, source.options, pictures)


def _task_items(
    where: str, task: Any, options: SourceOptions, pictures: TaskPictures
) -> Iterator[Item]:
    try:
        data, marked = _marked_in(task, options)
        path = pictures.of(_picture_in(data, options))
        size = pictures.size(path)
    except BadTaskError as error:
        yield unusable(where, error.reason, str(error))
        return
    bare = [one for one in marked if not one.id]
    if len(bare) < len(marked):
        for one in bare:
            message = f"the text {str(one.texts)[:60]} is of no region, though others are"
            yield unusable(where, "no_region", message)
        marked = [one for one in marked if one.id]
    for one in marked:
        id = f"{path}#{one.id}" if one.id else path
        try:
            text = _text_in(one)
            region = _region(one, size) if one.id else None
        except BadTaskError as error:
            yield unusable(id, error.reason, str(error), Place(path))
        else:
            group = path if one.id else ""
            yield Item(id, text, group=group, picture=Place(path), region=region)


def _marked_in(task: Any, options: SourceOptions) -> tuple[Mapping[str, Any], list[_Marked]]:
    """A task's data, and what its last annotation marks."""
    if not isinstance(task, dict):
        raise BadTaskError("bad_line", f"a task is no object: {str(task)[:80]!r}; {EXPECTED}")
    if "completions" in task:
        raise BadTaskError("unknown_format", f"completions, as before Label Studio 1.0; {EXPECTED}")
    if "annotations" in task:
        data = task.get("data")
        if not isinstance(data, dict) or not isinstance(task["annotations"], list):
            raise BadTaskError("unknown_format", f"a task without data or annotations; {EXPECTED}")
        return data, _of_annotation(_last(task["annotations"]), options)
    if "annotation_id" in task:
        return task, _of_min(task, options)
    names = ", ".join(map(str, list(task)[:8]))
    message = f"no annotations or annotation_id, but {names}; {EXPECTED}"
    raise BadTaskError("unknown_format", message)


def _last(annotations: Sequence[Any]) -> Mapping[str, Any]:
    """The annotation that was submitted or changed last, of those that weren't skipped."""
    sound = [one for one in annotations if isinstance(one, dict)]
    if not sound:
        raise BadTaskError("no_label", "nobody has annotated the task")
    kept = [one for one in sound if not one.get("was_cancelled") and not one.get("skipped")]
    if not kept:
        raise BadTaskError("skipped", "the task was skipped, or its annotation cancelled")
    return max(kept, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))


def _of_annotation(annotation: Mapping[str, Any], options: SourceOptions) -> list[_Marked]:
    """Results of one id are of one region: its shape, its label, its text."""
    results = annotation.get("result")
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
        raise BadTaskError("unknown_format", f"an annotation without a list of results; {EXPECTED}")
    sound = [one for one in results if isinstance(one.get("value"), dict)]
    regions: dict[str, list[dict[str, Any]]] = {
        str(one.get("id")): [] for one in sound if _is_of_region(one)
    }
    whole: list[dict[str, Any]] = []
    for one in sound:
        if str(one.get("id")) in regions:
            regions[str(one.get("id"))].append(one)
        elif "text" in one["value"] and _is_wanted(one, options):
            whole.append(one)
    marked = [_of_region(id, some, options) for id, some in regions.items()]
    if whole:
        _one_field(whole)
        marked.append(_Marked("", {}, _texts([one["value"] for one in whole])))
    if not marked:
        raise BadTaskError("no_label", "the annotation has neither a text nor a region")
    return marked


def _is_shape(value: Mapping[str, Any]) -> bool:
    return "points" in value or all(name in value for name in _SHAPES)


def _is_of_region(one: Mapping[str, Any]) -> bool:
    """Whether a result is a region or says something of one, rather than of the whole picture."""
    return _is_shape(one["value"]) or str(one.get("type", "")).lower() not in _OF_PICTURES


def _is_wanted(one: Mapping[str, Any], options: SourceOptions) -> bool:
    return not options.text_column or one.get("from_name") == options.text_column


def _of_region(id: str, some: Sequence[dict[str, Any]], options: SourceOptions) -> _Marked:
    first = next((one for one in some if _is_shape(one["value"])), some[0])
    texts = [one for one in some if "text" in one["value"] and _is_wanted(one, options)]
    _one_field(texts)
    return _Marked(
        id=id,
        shape={"type": str(first.get("type", "")), **first["value"]},
        texts=_texts([one["value"] for one in texts]),
        size=(first.get("original_width"), first.get("original_height")),
        turned=_number(first.get("image_rotation")),
        page=int(_number(first.get("item_index"))),
    )


def _number(value: Any) -> float:
    """JSON's numbers come in their written form; what is none counts as 0."""
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return 0.0


def _one_field(texts: Sequence[Mapping[str, Any]]) -> None:
    fields = sorted({str(one.get("from_name")) for one in texts})
    if len(fields) > 1:
        message = f"texts in {' and '.join(fields)}; say which are the labels with --text-column"
        raise BadTaskError("several_labels", message)


def _texts(values: Sequence[Mapping[str, Any]]) -> list[Any]:
    texts = (value["text"] for value in values)
    return [one for text in texts for one in (text if isinstance(text, list) else [text])]


def _of_min(task: Mapping[str, Any], options: SourceOptions) -> list[_Marked]:
    """JSON-MIN: a list for each field, which says of no text to which region it belongs."""
    shapes: list[Mapping[str, Any]] = []
    fields: dict[str, list[Any]] = {}
    picture = _picture_key(task, options)
    for name, value in task.items():
        if name in (*_ANSWERS, picture):
            continue
        entries = value if isinstance(value, list) else [value]
        with_shape = [one for one in entries if isinstance(one, dict) and _is_shape(one)]
        shapes += [one for one in with_shape if "text" not in one and "labels" not in one]
        texts = [one["text"] if isinstance(one, dict) and "text" in one else one for one in entries]
        if not with_shape and all(isinstance(one, str) for one in texts):
            fields[name] = texts
    wanted = options.text_column
    if wanted:
        fields = {name: texts for name, texts in fields.items() if name == wanted}
    elif len(fields) > 1:
        usual = [n for n in fields if n.lower() in ("transcription", "text", "label")]
        fields = {usual[0]: fields[usual[0]]} if len(usual) == 1 else fields
    if len(fields) > 1:
        names = " and ".join(fields)
        message = f"texts in {names}; say which are the labels with --text-column"
        raise BadTaskError("several_labels", message)
    texts = next(iter(fields.values()), [])
    if not shapes and not texts:
        raise BadTaskError("no_label", "the annotation has no text")
    if not shapes:
        return [_Marked("", {}, texts)]
    if len(shapes) > 1:
        message = (
            f"{len(shapes)} regions and {len(texts)} texts, and JSON-MIN doesn't say which belong "
            "together; export it as JSON"
        )
        raise BadTaskError("no_region", message)
    size = (shapes[0].get("original_width"), shapes[0].get("original_height"))
    return [_Marked("1", shapes[0], texts, size=size)]


def _text_in(marked: _Marked) -> str:
    if not marked.texts:
        raise BadTaskError("no_label", "the region has no text")
    if len(marked.texts) > 1:
        message = f"{len(marked.texts)} texts, {str(marked.texts)[:80]}; expected one"
        raise BadTaskError("several_labels", message)
    try:
        text = text_of(marked.texts[0])
    except NotTextError as error:
        raise BadTaskError("bad_line", str(error)) from None
    if not text:
        raise BadTaskError("no_label", "the text is empty")
    return text


def _region(marked: _Marked, size: StatedSize | None) -> Region:
    """Corners in px of the upright picture, clockwise from the text's top left."""
    if marked.turned:
        message = f"the picture was turned by {marked.turned:g}° there; turn the file, label again"
        raise BadTaskError("turned", message)
    if marked.page:
        raise BadTaskError("later_page", f"picture {marked.page + 1} of a task with several")
    if size is None:
        raise BadTaskError("undecodable", "the size of its picture can't be told by its header")
    width, height = size.width, size.height
    _check_size(marked.size, width, height)
    shape = marked.shape
    try:
        if "points" in shape:
            points = [float(value) for point in shape["points"] for value in point]
            if len(points) < 6 or not all(map(math.isfinite, points)):
                raise ValueError("too few points")
            scaled = (v * (height if n % 2 else width) / 100 for n, v in enumerate(points))
            return corners_along(tuple(scaled))
        x, y, across, down = (float(shape[name]) for name in _SHAPES)
        turned = float(shape.get("rotation") or 0)
        if not all(map(math.isfinite, (x, y, across, down, turned))):
            raise ValueError("not finite")
    except (LookupError, TypeError, ValueError):
        kind = shape.get("type") or "a region"
        message = f"{kind} isn't a rectangle or a polygon: {str(dict(shape))[:80]}"
        raise BadTaskError("bad_region", message) from None
    corner = np.array([x * width, y * height]) / 100
    angle = math.radians(turned)
    along = np.array([math.cos(angle), math.sin(angle)]) * across * width / 100
    below = np.array([-math.sin(angle), math.cos(angle)]) * down * height / 100
    corners = (corner, corner + along, corner + along + below, corner + below)
    return tuple(float(v) for one in corners for v in one)  # type: ignore[return-value]


def _check_size(labelled: tuple[Any, Any], width: int, height: int) -> None:
    """Raises BadTaskError where another picture was labelled than the one that is there."""
    was_width, was_height = map(_number, labelled)
    if not (was_width > 0 and was_height > 0):
        return
    if abs((width / was_width) / (height / was_height) - 1) > _ROUNDING:
        raise BadTaskError(
            "other_size",
            f"a picture of {was_width:g}x{was_height:g} px was labelled, the one here has "
            f"{width}x{height}, which isn't the same in another size; give the picture that was "
            "labelled",
        )


def _picture_key(data: Mapping[str, Any], options: SourceOptions) -> str:
    """Which of a task's fields names its picture; empty where none does."""
    if options.image_column:
        return options.image_column if options.image_column in data else ""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    named = [key for key, value in texts.items() if is_picture_name(path_in(value))]
    return next((key for key in ("image", "ocr") if key in named), named[0] if named else "")


def _picture_in(data: Mapping[str, Any], options: SourceOptions) -> str:
    key = _picture_key(data, options)
    if not key or not isinstance(data[key], str):
        if isinstance(data.get(options.image_column or "image"), list):
            raise BadTaskError("later_page", "a task of several pictures; expected one a task")
        names = ", ".join(map(str, list(data)[:8]))
        wanted = options.image_column or "image"
        message = f"no picture is named in {wanted}, nor in {names}; --image-column says where"
        raise BadTaskError("not_found", message)
    return str(data[key])


LABEL_STUDIO = Format(find=_find, items=_items, reader=whole_files, in_order=True, of_files=True)

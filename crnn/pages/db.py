"""A detector of the DB family (Liao et al. 2020, "Real-time Scene Text Detection with
Differentiable Binarization", AAAI) as an ONNX graph in ONNX Runtime.

The graph gives a map of how probable it is that a pixel belongs to the shrunk middle of a text.
Where that is above a threshold, each connected piece becomes the smallest rectangle around it, in
any direction, and is widened again by what training had shrunk it ("unclip").

Shape suffixes: H and W of the page, h and w of the shrunk page and its map, C channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from crnn.errors import DataError, PictureError
from crnn.images.contract import Pixels
from crnn.images.region import Region, from_box
from crnn.pages.detector import Found
from crnn.pages.page import LONGEST_PX

Map = NDArray[np.float32]
_MULTIPLE = 32
"""The graph halves its input five times."""
_ERRORS_ONLY = 3
DETECTOR_FAILED = "detector_failed"
"""Reason of a page that the graph can't take."""
_SAID = 200
"""Characters of the graph's own message."""
_BLANK_HW = (64, 96)
"""Size of the blank page on which the graph is tried, px."""
_LEVEL = 0.08
"""Rise of a line, as a share of its height, up to which its region is a box on whole pixels, which
is copied, not warped."""


@dataclass(frozen=True, kw_only=True)
class DbDetector:
    """Finds text by a graph of the DB family; see ``crnn.pages.detector``.

    The defaults are RapidOCR's for its own graph. The session is made when the first page comes,
    so that a detector can be sent to another process.
    """

    graph: bytes
    """ONNX: float32 ``NChw`` in, probabilities ``N1hw`` out."""
    longest_px: int = LONGEST_PX
    """Longest side to which a larger page is shrunk, px."""
    threads: int = 1
    """Threads of ONNX Runtime."""
    threshold: float = 0.3
    """Probability from which a pixel is text."""
    least_score: float = 0.5
    """Mean probability within a region under which it is none."""
    unclip: float = 1.6
    """Area over perimeter of a rectangle, times this, is what it grows by on every side."""
    mean: float = 0.5
    """Taken from the channels, 0 to 1."""
    std: float = 0.5
    """The channels are divided by it then."""
    least_side_px: float = 3.0
    """Shorter side, on the map, of the smallest piece that counts."""
    most: int = 3_000
    """Regions of a page, the largest first; of noise there is no end."""

    def __post_init__(self) -> None:
        if not 64 <= self.longest_px <= 8192:
            raise ValueError(f"longest_px is {self.longest_px}; expected 64 to 8192 px")

    @property
    def name(self) -> str:
        """Digest of the graph, and the numbers."""
        digest = hashlib.sha256(self.graph).hexdigest()[:16]
        numbers = (self.threshold, self.least_score, self.unclip, self.mean, self.std)
        return f"db {digest} {self.longest_px} px, {', '.join(map('{:g}'.format, numbers))}"

    def __call__(self, page_HWC: Pixels) -> list[Found]:
        """The regions of a page, RGB.

        Raises:
            PictureError: ``detector_failed`` where the graph can't take this page.
            DataError: as ``load``, when it is the first page.
        """
        height, width = page_HWC.shape[:2]
        if not height or not width:
            return []
        map_hw = self._run(self._input(page_HWC))
        scale_xy = np.array([width / map_hw.shape[1], height / map_hw.shape[0]])
        return list(self._found(map_hw, scale_xy, width, height))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_run"}

    def load(self) -> None:
        """Make the session now; DataError for a graph that doesn't run here, even on a page without
        anything on it."""
        try:
            self(np.full((*_BLANK_HW, 3), 255, dtype=np.uint8))
        except PictureError as error:
            raise DataError(f"{error}; give a graph of the DB family") from error

    def at(self, longest_px: int) -> DbDetector:
        """The same detector at another ``longest_px``; both use one session."""
        if longest_px == self.longest_px:
            return self
        other = replace(self, longest_px=longest_px)
        vars(other)["_run"] = self._run
        return other

    @cached_property
    def _run(self) -> Callable[[NDArray[np.float32]], Map]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # it keeps a plan for every shape, and shapes change
        options.log_severity_level = _ERRORS_ONLY
        try:
            session = onnxruntime.InferenceSession(
                self.graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # of ONNX Runtime's own kinds
            raise DataError(f"the detector is no ONNX graph that runs here: {error}") from error
        name = session.get_inputs()[0].name

        def run(input_NChw: NDArray[np.float32]) -> Map:
            try:
                map_hw = np.asarray(session.run(None, {name: input_NChw})[0]).squeeze()
            except Exception as error:  # as above
                said = " ".join(str(error).split())[:_SAID]
                raise PictureError(DETECTOR_FAILED, f"the detector failed: {said}") from error
            if map_hw.ndim != 2:
                raise PictureError(
                    DETECTOR_FAILED,
                    f"the detector gives a map of shape {map_hw.shape} for one page; expected "
                    "height and width",
                )
            return map_hw

        return run

    def _input(self, page_HWC: Pixels) -> NDArray[np.float32]:
        """The page shrunk to multiples of 32 px, BGR as OpenCV has it, normalised."""
        height, width = page_HWC.shape[:2]
        scale = min(1.0, self.longest_px / max(height, width))
        size = [max(1, round(side * scale / _MULTIPLE)) * _MULTIPLE for side in (width, height)]
        shrunk_hwC = cv2.resize(page_HWC, size, interpolation=cv2.INTER_LINEAR)
        values_Chw = shrunk_hwC[:, :, ::-1].transpose(2, 0, 1).astype(np.float32)
        values_Chw *= np.float32(1 / (255 * self.std))
        values_Chw -= np.float32(self.mean / self.std)
        return values_Chw[None]

    def _found(
        self, map_hw: Map, scale_xy: NDArray[np.float64], width: int, height: int
    ) -> Iterator[Found]:
        mask = (map_hw > self.threshold).astype(np.uint8)
        mask = np.asarray(cv2.dilate(mask, np.ones((2, 2), np.uint8)), dtype=np.uint8)
        contours, nested = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        above = nested[0, :, 3] if len(contours) else np.zeros(0)
        outer = [
            contours[place] for place in np.flatnonzero(above < 0).tolist()
        ]  # others are holes
        for contour in sorted(outer, key=len, reverse=True)[: self.most]:
            rectangle = cv2.minAreaRect(contour)
            if min(rectangle[1]) < self.least_side_px:
                continue
            score = _mean_within(map_hw, cv2.boxPoints(rectangle))
            if score >= self.least_score:
                corners = (self._grown(rectangle) + 0.5) * scale_xy  # counted from pixels' middles
                yield Found(_region(corners, width, height), score)

    def _grown(self, rectangle: Any) -> NDArray[np.float64]:
        """Corners of a rectangle widened by what training had shrunk it."""
        centre, (across, down), angle = rectangle
        by = across * down * self.unclip / (2 * (across + down))
        return np.asarray(
            cv2.boxPoints((centre, (across + 2 * by, down + 2 * by), angle)), dtype=np.float64
        )


def _mean_within(map_hw: Map, corners: NDArray[Any]) -> float:
    """Mean of the map within four corners."""
    low = np.floor(corners.min(axis=0)).astype(int).clip(0)
    high = np.ceil(corners.max(axis=0)).astype(int) + 1
    part = map_hw[low[1] : high[1], low[0] : high[0]]
    mask = np.zeros(part.shape, dtype=np.uint8)
    cv2.fillConvexPoly(mask, np.rint(corners - low).astype(np.int32), 1)
    return float(cv2.mean(part, mask)[0])


def _region(corners: NDArray[np.float64], width: int, height: int) -> Region:
    """Corners clockwise from that where the side begins that runs most nearly to the right."""
    middle = corners.mean(axis=0)
    around = np.argsort(np.arctan2(*(corners - middle).T[::-1]))  # y points down: clockwise
    corners = corners[around]
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.maximum(np.linalg.norm(sides, axis=1), 1e-9)
    start = int(np.argmax(sides[:, 0] / lengths))
    corners = np.roll(corners, -start, axis=0)
    along, down = np.roll(sides, -start, axis=0)[:2]
    if abs(along[1]) <= _LEVEL * np.linalg.norm(down):
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        return from_box(
            max(0, round(x0)), max(0, round(y0)), min(width, round(x1)), min(height, round(y1))
        )
    flat: Any = tuple(round(float(value), 2) for value in corners.flat)
    region: Region = flat
    return region

"""Every kind of finding: how bad it is, what it means, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]
Side = Literal["training", "measuring"]
"""Side of a leak: the set named first is for training, the later one for measuring."""
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


class FindingKind(NamedTuple):
    """One kind of finding."""

    severity: Severity
    title: str
    meaning: str
    remedy: str
    unit: Literal["sample", "character"] = "sample"
    """What is counted."""


KINDS: dict[str, FindingKind] = {
    # no sample at all
    "undecodable": FindingKind(
        "error", "Pictures that can't be decoded",
        "The bytes aren't a picture, are damaged, or are more than is accepted.",
        "Fetch or export them again, or drop them; preparation sets them aside.",
    ),
    "missing_picture": FindingKind(
        "error", "Pictures that aren't there",
        "The list names files that are missing or can't be read.",
        "Correct the paths in the list, or copy the files.",
    ),
    "unusable_entry": FindingKind(
        "error", "Lines without a sample",
        "The source has an entry here that gives no sample: a malformed line, an id listed twice.",
        "Correct the lines; preparation sets them aside.",
    ),
    "constant_picture": FindingKind(
        "error", "Pictures of a single value",
        "There is nothing to read, but the label says there is.",
        "Look for a crop outside the page, or a failed export; drop them.",
    ),
    "empty_label": FindingKind(
        "error", "Empty labels",
        "A sample without a text teaches the network that a picture says nothing.",
        "Label or drop them.",
    ),
    "whitespace_label": FindingKind(
        "error", "Labels of nothing but spaces",
        "All characters of the label are spaces or invisible.",
        "Label or drop them.",
    ),
    # labels
    "control_character": FindingKind(
        "error", "Control characters in labels",
        "A tab, a line break or another control character, which no picture shows.",
        "Remove them; a tab is often the rest of a list's line.",
    ),
    "path_label": FindingKind(
        "warning", "Labels that hold the path of a picture",
        "Swapped columns, lines that ran together, or a label that really is a path.",
        "Look at the list: its columns, line ends and quotes.",
    ),
    "invisible_character": FindingKind(
        "error", "Invisible characters in labels",
        "A zero-width space, a byte-order mark, a mark of writing direction or the like: a class "
        "that the network can't see.",
        "Remove them.",
    ),
    "replacement_character": FindingKind(
        "error", "Lost or undefined characters",
        "U+FFFD, unassigned or private code points: a text was decoded with the wrong encoding, "
        "or written for a special font.",
        "Read the labels again with their true encoding.",
    ),
    "look_alike": FindingKind(
        "error", "Look-alike letters of another script",
        "A word has a letter of another script that looks like one of its own, such as a Cyrillic "
        "а among Latin letters. The network can't tell them apart.",
        "Replace them by the letter of the word's script.",
    ),
    "visual_order": FindingKind(
        "error", "Right-to-left labels in visual order",
        "A word begins with a letter, or a form of one, that words of Hebrew or Arabic only end "
        "with: the label was written as it stands in the picture, from the left. Others of its "
        "source are probably so too, and don't show it.",
        "Write all labels of that source in the order in which they are read; or train with "
        "--text-order logical, which turns neither labels nor readings.",
    ),
    "unknown_character": FindingKind(
        "error", "Characters that the charset lacks",
        "Such labels can't be encoded; training sets them aside.",
        "Extend the charset, fold the characters, or leave the samples out.",
    ),
    "too_long_for_width": FindingKind(
        "error", "Labels longer than the picture's time steps",
        "The network gives too few time steps for the picture's width to hold the label; training "
        "sets them aside.",
        "Look for labels of other pictures and for crops that are too narrow; else choose larger "
        "buckets or a network with more time steps.",
    ),
    "same_picture_other_text": FindingKind(
        "error", "The same picture with different labels",
        "Pictures equal in every pixel have different texts: at least one of them is wrong.",
        "Look at the picture, keep the right label.",
    ),
    "near_picture_other_text": FindingKind(
        "error", "Nearly the same picture with different labels",
        "Pictures that look almost the same have different texts.",
        "Look at both; keep the right label.",
    ),
    "contradicted": FindingKind(
        "warning", "Labels that a trained model contradicts",
        "The bundle reads the picture with confidence, and as something else. Either the label is "
        "wrong, or the bundle is.",
        "Look at them, the most confident first, and correct the labels; review lets you.",
    ),
    "leak": FindingKind(
        "error", "The same picture in two sets",
        "A validation or test set has pictures of the training set: accuracies come out too high.",
        "Remove them from one of the sets; split by a group key.",
    ),
    "near_leak": FindingKind(
        "warning", "Nearly the same picture in two sets",
        "A picture of an earlier set in another encoding, size or brightness.",
        "Look at them; split by a group key.",
    ),
    "copy": FindingKind(
        "warning", "Copies of a picture",
        "Equal in every pixel, with the same label, in the same set: it counts twice.",
        "Drop them, unless they are repeated on purpose.",
    ),
    "near_copy": FindingKind(
        "info", "Near copies of a picture",
        "The same picture in another encoding, size or brightness, with the same label, in the "
        "same set; or another print that looks the same.",
        "Fine, unless there are many.",
    ),
    # pictures
    "tiny_picture": FindingKind(
        "warning", "Tiny pictures",
        "Too small to be read by a person.",
        "Drop them, or crop from a larger original.",
    ),
    "low_contrast": FindingKind(
        "warning", "Pictures of little contrast",
        "Nearly of one value.",
        "Check whether a person can read them.",
    ),
    "vertical_picture": FindingKind(
        "warning", "Vertical or rotated pictures",
        "Much higher than wide, with several characters: text from top to bottom, or a picture "
        "that was turned.",
        "Turn them, or leave them out: the network reads from left to right.",
    ),
    "squeezed_picture": FindingKind(
        "warning", "Pictures longer than the largest bucket",
        "They are squeezed to its width, which makes their characters narrower.",
        "Choose a larger last width, or cut the lines.",
    ),
    "label_too_long": FindingKind(
        "warning", "Labels long for their pictures",
        "Far fewer pixels a character than in other labels of such length.",
        "Look for crops that are too narrow, and for labels of other pictures.",
    ),
    "label_too_short": FindingKind(
        "warning", "Labels short for their pictures",
        "Far more pixels a character than in other labels of such length.",
        "Look for unlabelled words beside the labelled one, and for labels of other pictures.",
    ),
    # forms of labels
    "edge_space": FindingKind(
        "warning", "Spaces at the ends of labels",
        "A space before the first or behind the last character shows in no picture.",
        "Trim the labels; preparation does.",
    ),
    "double_space": FindingKind(
        "warning", "Two spaces in a row",
        "How many spaces there are can't be seen.",
        "Make them one.",
    ),
    "odd_space": FindingKind(
        "warning", "Unusual spaces",
        "A no-break or thin space looks like a space, and is another class.",
        "Make them plain spaces.",
    ),
    "not_nfc": FindingKind(
        "warning", "Labels not in NFC",
        "A character is written as several code points that have one of their own.",
        "Nothing: preparation and training bring them to NFC.",
    ),
    "mojibake": FindingKind(
        "warning", "Labels read with the wrong encoding",
        "They are UTF-8 read as Latin-1, such as Ã© for é.",
        "Read them again as UTF-8.",
    ),
    "mixed_scripts": FindingKind(
        "warning", "Words of several scripts",
        "Letters of different scripts in one word, without looking alike: units such as kΩ, or "
        "typing errors.",
        "Look at them.",
    ),
    "ambiguous_order": FindingKind(
        "info", "Lines that look the same as another text",
        "Letters and numbers of both directions stand so that the line could say another text, "
        "which is what is read: 12 abc behind a Hebrew word looks like abc 12.",
        "Nothing: evaluation counts both as right. Where lines begin with Latin letters on pages "
        "that run from the right, train with --text-order rtl.",
    ),
    "variant_character": FindingKind(
        "info", "Typographic and compatibility forms",
        "Curly quotes, long dashes, full-width forms, ligatures, fractions: is the plain form "
        "meant?",
        "Decide on one form; see the look-alikes among the characters.",
    ),
    # characters
    "twin_characters": FindingKind(
        "warning", "Characters that look like another of the data",
        "Both occur, and the model can only guess which one is meant.",
        "Use one of the two, except where the other is really meant.",
        "character",
    ),
    "rare_character": FindingKind(
        "warning", "Rare characters",
        "Too few examples to be learnt.",
        "Add or render samples with them, or leave them out of the charset.",
        "character",
    ),
    "unseen_character": FindingKind(
        "warning", "Characters that the first set lacks",
        "They occur in later sets only: never trained on, always wrong.",
        "Add samples with them to the training set.",
        "character",
    ),
    "set_aside": FindingKind(
        "warning", "Set aside when the data was prepared",
        "Inputs that gave no sample; they are not among the samples looked at.",
        "See rejects/*.parquet of the set.",
    ),
}  # fmt: skip
"""In the order in which they are listed among those of the same severity."""
DROPPABLE = tuple(kind for kind in KINDS if kind != "set_aside")
"""Kinds of findings that are about samples, so that preparation can leave these out."""


def check_kinds(kinds: Sequence[str]) -> None:
    """Whether samples with findings of these kinds can be left out.

    Raises:
        ValueError: when one can't, listing those that can.
    """
    unknown = [kind for kind in kinds if kind not in DROPPABLE]
    if unknown:
        raise ValueError(
            f"--kinds has {', '.join(map(repr, unknown))}; expected some of {', '.join(DROPPABLE)}"
        )

"""The most frequent characters of a language's words, as a charset file for ``--charset``.

    python recipes/languages/frequent_characters.py zh 3500 hanzi.txt

Characters of scripts that make up less than a hundredth of the texts are left out: the list of
Chinese has Arabic names too. Printable ASCII is added, for numbers and marks. Words and their
frequencies are wordfreq's; needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import unicodedata
from collections import Counter
from pathlib import Path

from wordfreq import get_frequency_dict

ASCII = "".join(map(chr, range(33, 127)))
LEAST_OF_A_SCRIPT = 0.01
WORDS = 1_000_000_000
"""Frequencies are counted as in a text of so many."""


def main() -> None:
    """Writes the file; says what share of the characters in texts it covers."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("language", help="code of the language, e.g. zh")
    arguments.add_argument("count", type=int, help="how many of its characters")
    arguments.add_argument("out", type=Path, help=".txt file to write")
    given = arguments.parse_args()
    frequencies: Counter[str] = Counter()
    for word, frequency in get_frequency_dict(given.language).items():
        for character in word:
            if character.isalpha() and not character.isascii():
                frequencies[character] += round(frequency * WORDS)
    scripts: Counter[str] = Counter()
    for character, frequency in frequencies.items():
        scripts[script_of(character)] += frequency
    least = LEAST_OF_A_SCRIPT * scripts.total()
    wanted = [(c, f) for c, f in frequencies.most_common() if scripts[script_of(c)] >= least]
    chosen = dict(wanted[: given.count])
    given.out.write_text("".join([*ASCII, *sorted(chosen)]) + "\n", encoding="utf-8")
    share = sum(chosen.values()) / frequencies.total()
    print(f"{given.out}: {len(chosen)} of {len(frequencies)} characters, {share:.2%} of texts")


def script_of(character: str) -> str:
    """Its script as the Unicode name has it: CJK, HIRAGANA, GREEK …"""
    return unicodedata.name(character, "").partition(" ")[0]


if __name__ == "__main__":
    main()

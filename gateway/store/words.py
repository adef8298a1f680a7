"""What counts as a word: one rule for what is searched and for what is searched for.

Case, accents and other forms of the same letter make no difference (``Café`` is ``cafe``, full-width and
ligatures are plain letters). Scripts that put no space between words are cut into pairs of characters, as
search engines do without a dictionary; each pair begins a word, so that any part of a sentence is found.

Words are made of letters, digits and the marks that belong to them, and of nothing that any database's query
language could mean something by.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import Final

import msgspec

# Longer ones are no words that anybody types; their beginnings are.
WORD_CHARACTERS: Final = 48
# Of one text, the first. A million characters may be sent, and the writer waits for the index.
MOST_WORDS: Final = 1_000


class _Said(msgspec.Struct, frozen=True):
    text: str | None = None
    filename: str | None = None


_PARTS: Final = msgspec.json.Decoder(list[_Said])

_ASCII: Final = re.compile(rf"([a-z0-9]{{1,{WORD_CHARACTERS}}})[a-z0-9]*")
# Accents, and the vowel signs that Hebrew and Arabic are mostly written without.
_ACCENTS: Final = re.compile(
    "[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc]"
)
# Marks of other scripts are part of the letter before them, although Python takes them for no part of a word.
_MARKS: Final = "".join(
    chr(code)
    for block in (range(0x0483, 0x1D00), range(0x3099, 0x309B), range(0xA802, 0xAC00))
    for code in block
    if unicodedata.category(chr(code)).startswith("M")
)
_WORD: Final = re.compile(f"(?:[^\\W_]|[{_MARKS}])+")
# Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED: Final = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN: Final = re.compile(f"([{_UNSPACED}]+)|[^{_UNSPACED}]+")


def words_of(text: str) -> set[str]:
    """The words in a text."""
    if len(text) < 2 * MOST_WORDS and text.isascii():  # most of what is said: in a third of the time
        return set(_ASCII.findall(text.lower()))
    found: set[str] = set()
    for word, unspaced in _runs(text):
        if unspaced:
            # The last character begins a word too, which no pair does for it.
            found.update([word[at : at + 2] for at in range(len(word))])
        else:
            found.add(word[:WORD_CHARACTERS])
        if len(found) >= MOST_WORDS:
            break
    return found


def words_of_parts(parts: str) -> set[str]:
    """The words that a message says: its texts, and the names of its files."""
    try:
        said = _PARTS.decode(parts)
    except msgspec.MsgspecError:  # stored by an older or newer version; nothing to be found in it
        return set()
    return words_of("\n".join([text for part in said for text in (part.text, part.filename) if text]))


def words_wanted(text: str) -> list[str]:
    """What somebody looks for, each word once."""
    wanted: list[str] = []
    for word, unspaced in _runs(text):
        if unspaced and len(word) > 1:
            wanted += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            wanted.append(word[:WORD_CHARACTERS])
    return list(dict.fromkeys(wanted))


def has_all(words: Collection[str], wanted: Collection[str]) -> bool:
    """Whether each of the wanted words begins one of these."""
    return all(one in words or any(word.startswith(one) for word in words) for one in wanted)


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """Words as they stand between spaces and signs, and whether they may be several without a space."""
    if text.isascii():
        for word in _ASCII.finditer(text.lower()):
            yield word[1], False
        return
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold())
    for word in _WORD.finditer(unicodedata.normalize("NFC", plain)):
        for run in _RUN.finditer(word[0]):
            yield run[0], run[1] is not None

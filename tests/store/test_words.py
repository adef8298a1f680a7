"""One rule for the words that are searched and those that are searched for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.words import MOST_WORDS, WORD_CHARACTERS, has_all, words_of, words_of_parts, words_wanted


def finds(text: str, wanted: str) -> bool:
    return has_all(words_of(text), words_wanted(wanted))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Hello World", "hello"),
        ("Hello World", "world hello"),
        ("Hello World", "wor"),
        ("see you at the Café", "cafe"),
        ("see you at the cafe", "CAFÉ"),
        ("die Straße", "STRASSE"),
        ("ΟΔΟΣ", "οδος"),
        ("İstanbul", "istanbul"),
        ("Cafe\u0301", "Café"),
        ("\ufb01le \uff46\uff55\uff4c\uff4c", "file full"),  # a ligature, and full-width
        ("Ёлка", "елка"),
        ("مُحَمَّد", "محمد"),
        ("हिन्दी में लिखा", "हिन्दी"),
        ("invoice-2024_final.pdf", "2024 final pdf"),
        ("mail ann@example.org", "ann@example.org"),
        ("今日は天気がいいですね", "天気"),
        ("今日は天気がいいですね", "天"),
        ("今日は天気がいいですね", "ね"),
        ("今日はGoodですね", "good です"),
        ("ภาษาไทยง่าย", "ไทย"),
        ("안녕하세요 여러분", "여러"),
    ],
)
def test_what_is_found(text: str, wanted: str) -> None:
    assert finds(text, wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Hello World", "hello moon"),
        ("Hello World", "orld"),
        ("Hello", "hellos"),
        ("今日は天気がいい", "明日"),
        ("हिन्दी", "हन"),
    ],
)
def test_what_is_not_found(text: str, wanted: str) -> None:
    assert not finds(text, wanted)


def test_a_long_word_is_found_by_all_of_it_and_by_its_beginning() -> None:
    long = "x" * WORD_CHARACTERS + "yz"
    assert words_of(long) == {"x" * WORD_CHARACTERS}
    assert finds(long, long)
    assert finds(long, "xxx")


@given(st.text(st.characters(max_codepoint=127), max_size=300))
def test_plain_text_has_the_same_words_beside_a_letter_that_is_not(text: str) -> None:
    assert words_of(text) | {"ж"} == words_of(f"{text} ж")


def test_a_text_has_a_bounded_number_of_words() -> None:
    assert len(words_of(" ".join(map(str, range(10 * MOST_WORDS))))) == MOST_WORDS


def test_the_words_of_a_message_are_those_of_its_texts_and_the_names_of_its_files() -> None:
    parts = '[{"type":"text","text":"look at"},{"type":"file","filename":"Report.pdf","url":"https://x"},{"type":"n"}]'
    assert words_of_parts(parts) == {"look", "at", "report", "pdf"}


@pytest.mark.parametrize(
    "parts", ["[]", "{}", "[1]", '[{"type":"text","text":null}]', '[{"text":1}]', "nonsense"]
)
def test_parts_without_words_have_none(parts: str) -> None:
    assert words_of_parts(parts) == set()


@given(st.text())
def test_every_text_finds_itself_with_words_of_letters_and_digits_alone(text: str) -> None:
    wanted = words_wanted(text)
    assert finds(text, text)
    assert all(word and not set(word) & set("\"'*:^()-+{} \0\t\n\\%&|!<>") for word in wanted)

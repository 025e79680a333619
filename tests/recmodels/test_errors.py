"""What a user reads is one line, whatever the message quotes."""

import pickle

import pytest

from recmodels.errors import LONGEST, DataError, UserError, did_you_mean, nearest


@pytest.mark.parametrize("kind", [UserError, DataError])
def test_a_message_is_one_line_of_printable_characters(kind: type[UserError]) -> None:
    error = kind("a.csv:3: found '\x1b[31m\x00\n\u2028\udcff', expected é")
    assert str(error) == "a.csv:3: found '\\x1b[31m\\x00\\n\\u2028\\udcff', expected é"


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    text = str(UserError(f"a.csv:3: found '{'9' * 10_000}', expected a number"))
    assert len(text) < LONGEST
    assert text.startswith("a.csv:3: found '999")
    assert text.endswith("999', expected a number")
    assert str(UserError("x" * LONGEST)) == "x" * LONGEST


def test_it_survives_the_way_to_another_process() -> None:
    error = DataError("a.csv: line\nend")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (DataError, str(error))


def test_the_nearest_name_does_not_depend_on_case() -> None:
    assert nearest("CLOTHNG", ["baby", "Clothing"]) == "Clothing"
    assert nearest("zzz", ["baby", "Clothing"]) is None
    assert did_you_mean("zzz", ["baby", "Clothing"]) == "; known: Clothing, baby"
    assert did_you_mean("zzz", []) == "; it has none"


def test_what_is_meant_may_have_another_name() -> None:
    names, instead = ["baby", "synthetic:tiktok"], {"tiktok": "synthetic:tiktok"}
    assert did_you_mean("tikotk", names, instead) == "; did you mean 'synthetic:tiktok'?"
    assert did_you_mean("zzz", names, instead) == "; known: baby, synthetic:tiktok"

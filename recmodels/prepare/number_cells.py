"""Read the numbers that are written in one cell of a table: `3.5`, `0.1 0.2`, `[1, 2]`, what pandas makes of a list."""

import math
import re

MISSING = {"", "nan", "-nan", "na", "<na>", "n/a", "#n/a", "null", "none", "nat", "-", "\\n"}
"""Marks of a missing number, in lower case."""

SEPARATORS = ",;|"
BRACKETS = {"[": "]", "(": ")", "{": "}"}
PLAIN = re.compile(r"[\d\s.+eE-]+", re.ASCII)
NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity)", re.ASCII | re.IGNORECASE)
WRITTEN_NUMBER = re.compile(r"(?:np|numpy)\.\w+\(([^()]*)\)")  # np.float64(0.1)
WRITTEN_ARRAY = re.compile(r"[A-Za-z][\w.]*\((\[.*?\])(?:,\s*\w+=[^=]+)*\)", re.DOTALL)  # array([0.1], dtype=float32)
TRUTH = {"true": 1.0, "false": 0.0}
TOKEN = re.compile(r"[^\s,;|\[\](){}]+")
LEFT_OUT = ("...", "…")
POWER = re.compile(r"(?<=\d)e(?=[+-]?\d)", re.IGNORECASE)
BEGINNING = 200  # characters that tell whether a text is words
TWO_WHOLE = re.compile(r"[+-]?\d+,\d+", re.ASCII)

EXPECTED = "expected numbers between blanks, commas, semicolons or bars, such as [0.1, 0.2]"


def numbers_in(cell: str) -> list[float] | None:
    """Return the numbers in a cell, NaN for each that is missing; [] if the cell is missing; None if it holds words.

    The numbers are separated by blanks and line ends, or by one of `, ; |`; brackets may enclose them. true and false
    are 1 and 0. Raises ValueError, whose text says why, for a sequence of numbers that can be read in two ways or is
    not complete.
    """
    text = cell.strip()
    if text.lower() in MISSING:
        return []
    if text[-1] == ")" and "(" in text:
        text = WRITTEN_NUMBER.sub(r"\1", text)
        written = WRITTEN_ARRAY.fullmatch(text)
        text = written[1].strip() if written else text
    elif "np." in text or "numpy." in text:
        text = WRITTEN_NUMBER.sub(r"\1", text)
    body = text
    while body and BRACKETS.get(body[0]) == body[-1]:
        body = body[1:-1].strip()
    if not body:
        return []
    used = [separator for separator in SEPARATORS if separator in body]
    found = _parsed(body, used[0] if used else None) if len(used) < 2 else None
    if found is None:
        if not _are_numbers(body):
            return None
        if any(mark in body for mark in LEFT_OUT):
            raise ValueError("expected all numbers: numpy writes ... for those that it leaves out")
        raise ValueError(EXPECTED)
    if body is text and TWO_WHOLE.fullmatch(body):
        raise ValueError("expected brackets round two numbers, or a point in one")
    return found


def looks_like_a_vector(cell: str, n_numbers: int) -> bool:
    """Return whether a cell of `n_numbers` is hardly a title such as `4 5 6`: brackets, a point, five numbers."""
    return n_numbers > 4 or (n_numbers > 1 and any(mark in cell for mark in "[({."))


def reads_as_words(cell: str) -> bool:
    """Return whether a text is words with at most three numbers for each, such as `Rocky 2 (1979)`, and with at most
    one if none has two letters, as in `A 1`.

    A date, a telephone number and `1:0.5 7:0.2` are neither numbers nor words."""
    tokens = TOKEN.findall(cell[:BEGINNING])
    words = [token for token in tokens if not NUMBER.fullmatch(token)]
    n_letters = max((sum(map(str.isalpha, POWER.sub("", word))) for word in words), default=0)
    return n_letters > 0 and len(tokens) <= (4 if n_letters > 1 else 2) * len(words)


def _parsed(body: str, separator: str | None) -> list[float] | None:
    """Return the numbers between separators (None: blanks), of which one may follow the last; None for any other."""
    tokens = body.split(separator)
    if len(tokens) > 1 and not tokens[-1].strip():
        tokens.pop()
    if PLAIN.fullmatch(body.replace(separator, " ") if separator else body):
        try:
            return list(map(float, tokens))
        except ValueError:  # one is missing, or the text is 2024-01-31
            pass
    found = []
    for token in tokens:
        value = _value(token.strip())
        if value is None:
            return None
        found.append(value)
    return found


def _value(token: str) -> float | None:
    if NUMBER.fullmatch(token):
        return float(token)
    name = token.lower()
    return TRUTH.get(name, math.nan if name in MISSING else None)


def _are_numbers(body: str) -> bool:
    """Return whether the text is several numbers after all, between mixed separators and brackets, or with `...`."""
    n_numbers = 0
    for token in TOKEN.finditer(body):
        if _value(token[0]) is None and token[0] not in LEFT_OUT:
            return False
        n_numbers += NUMBER.fullmatch(token[0]) is not None
    return n_numbers > 1

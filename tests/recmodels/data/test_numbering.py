"""Values of any kind get numbers by first appearance."""

import numpy as np

from recmodels.data.numbering import factorize, first_rows


def test_numbers_count_by_first_appearance() -> None:
    codes, distinct = factorize(["b", "a", "b", "c", "a"])
    assert (codes.tolist(), codes.dtype, distinct.tolist()) == ([0, 1, 0, 2, 1], np.int64, ["b", "a", "c"])
    assert factorize(np.array([7, 7, 3]))[0].tolist() == [0, 0, 1]
    assert factorize(["a", None])[0].tolist() == [0, -1]


def test_the_first_of_equal_rows() -> None:
    users, items = np.array([1, 0, 1, 1, 0]), np.array([5, 5, 5, 4, 5])
    assert first_rows(users, items).tolist() == [True, True, False, True, False]
    assert first_rows(items).tolist() == [True, False, False, True, False]
    assert first_rows(users[:0], items[:0]).tolist() == []

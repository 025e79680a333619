import math
from typing import Literal

import pytest

from recmodels.signatures import Count, Positive, check_value


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 10**400, True, "1", None])
def test_a_number_must_fit_a_float(value):
    with pytest.raises(ValueError, match=f"^rho must be a finite number, but got {value!r}$"):
        check_value("rho", value, Positive)


@pytest.mark.parametrize("value", [1, 0.5, 1e-300, 10**300])
def test_finite_numbers_pass(value):
    check_value("rho", value, Positive)


EPOCHS = Count | Literal["never", "later"]


@pytest.mark.parametrize("value", [0, 7, "never", "later"])
def test_a_number_or_a_word(value):
    check_value("start", value, EPOCHS)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1, "start >= 0 must hold, but got start=-1"),
        (1.5, "start must be a whole number, but got 1.5"),
        ("soon", "start must be a whole number or never or later, but got 'soon'"),
        ("7", "start must be a whole number or never or later, but got '7'"),
        (True, "start must be a whole number or never or later, but got True"),
        (None, "start must be a whole number or never or later, but got None"),
    ],
)
def test_neither_a_number_nor_one_of_the_words(value, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
        check_value("start", value, EPOCHS)
    assert str(error.value) == message

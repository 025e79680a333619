import math

import pytest

from recmodels.signatures import Positive, check_value


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 10**400, True, "1", None])
def test_a_number_must_fit_a_float(value):
    with pytest.raises(ValueError, match=f"^rho must be a finite number, but got {value!r}$"):
        check_value("rho", value, Positive)


@pytest.mark.parametrize("value", [1, 0.5, 1e-300, 10**300])
def test_finite_numbers_pass(value):
    check_value("rho", value, Positive)

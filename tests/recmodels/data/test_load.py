"""The entry points of recmodels.data, and their examples."""

import doctest
from pathlib import Path

import pytest

from recmodels.data import NotPrepared, load, load_dataset


def test_the_example_of_load_dataset() -> None:
    result = doctest.testmod(load)
    assert (result.failed, result.attempted) == (0, 1)


def test_a_public_set_that_is_not_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotPrepared) as caught:
        load_dataset("clothing@noise=0.1")
    assert str(caught.value) == (
        "data: no data set 'clothing'; make it with recmodels.prepare.prepare_amazon('clothing', ...), or take "
        "generated data of its size: synthetic:clothing"
    )

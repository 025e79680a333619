"""The entry points of recmodels.data, and their examples."""

import doctest
from pathlib import Path

import pytest

from recmodels.data import NotPrepared, is_prepared, load, load_dataset
from recmodels.errors import DataError


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


def test_a_name_is_known_without_reading_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder is enough; its content is looked at when it is loaded."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "own").mkdir(parents=True)
    for name in ("demo", "demo@noise=0.1", "synthetic:tiktok"):
        assert is_prepared(name)
    assert not is_prepared("clothing@noise=0.1")
    assert is_prepared("own", tmp_path / "mine")
    for name, fault in (("domo", "did you mean 'demo'"), ("demo@noize=0.1", "no corruption 'noize'")):
        with pytest.raises(DataError, match=fault):
            is_prepared(name)

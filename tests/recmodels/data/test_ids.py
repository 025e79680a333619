"""Original ids travel with a data set and are read when they are asked for."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from recmodels.data import RecDataset, load_dataset
from recmodels.errors import DataError


@pytest.fixture
def data(tmp_path: Path) -> RecDataset:
    """Three users and two items with ids of their own."""
    folder = tmp_path / "toy"
    folder.mkdir()
    lines = ["0\t0\t0", "0\t1\t1", "1\t0\t2", "1\t1\t0", "2\t0\t0"]
    (folder / "toy.inter").write_text("\n".join(["userID\titemID\tx_label", *lines]))
    (folder / "user_ids.tsv").write_text("userID\toriginal_id\n0\tAnn\n1\tZoë 2\r\n2\t007\n")
    return load_dataset("toy", tmp_path, tmp_path / "cache")


def test_ids_are_those_of_the_tables(data: RecDataset) -> None:
    assert (data.ids.users, data.ids.items) == (["Ann", "Zoë 2", "007"], ["0", "1"])
    assert pickle.loads(pickle.dumps(data)).ids == data.ids
    assert replace(data, name="variant").ids == data.ids


def test_nothing_is_read_until_it_is_asked_for(data: RecDataset) -> None:
    (data.id_source.folder / "user_ids.tsv").write_text("userID\toriginal_id\n0\tnew\n1\tb\n2\tc\n")
    assert data.ids.users == ["new", "b", "c"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("userID\toriginal_id\n0\ta\n2\tb\n", ":3: found '2\\tb', expected 1, a tab and the original id"),
        ("userID\toriginal_id\n0\ta\n1\n", ":3: found '1', expected 1, a tab"),
        ("userID\toriginal_id\n0\ta\n", "ids of 1 users and 2 items, expected 3 and 2 as in toy"),
    ],
)
def test_a_map_that_does_not_fit(data: RecDataset, table: str, message: str) -> None:
    (data.id_source.folder / "user_ids.tsv").write_text(table)
    with pytest.raises(DataError) as caught:
        assert data.ids
    assert message in str(caught.value)
    assert str(data.id_source.folder) in str(caught.value)


@pytest.mark.parametrize("name", ["demo", "demo@noise=0.1"])
def test_numbers_are_ids_where_there_is_no_map(name: str) -> None:
    ids = load_dataset(name).ids
    assert (ids.users[7], ids.items[699], len(ids.users)) == ("7", "699", 1000)

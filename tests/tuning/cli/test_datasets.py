"""What the command line adds to the library's messages about data sets."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest

import recmodels
from recmodels.errors import UserError
from tuning.cli.arguments import OPTIONS, name_options
from tuning.cli.datasets import load_data
from tuning.cli.options import parser
from tuning.cli.prepare import parser as prepare_parser


def test_a_set_without_features_says_how_to_add_them(tmp_path: Path, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "mirrortune.data")
    rows = [f"u{user}\ti{item}\n" for user in range(3) for item in range(4)]
    (tmp_path / "ml").mkdir()
    inter = tmp_path / "ml" / "ml.inter"
    inter.write_text("user_id:token\titem_id:token\n" + "".join(rows))
    load_data("ml", {"data_dir": tmp_path, "cache_dir": tmp_path / "cache"})
    command = f"run_search.py prepare --from {inter} --name NEW --features text=ITEMS.csv:COLUMN"
    assert f"no item features; a set that has them: {command}" in caplog.text
    caplog.clear()
    load_data("demo", {})
    assert not caplog.text


def test_a_public_set_that_is_not_prepared(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_data("baby@noise=0.1", {"data_dir": str(tmp_path)})
    assert str(caught.value) == (
        f"{tmp_path}: no data set 'baby'; make it with: python run_search.py prepare baby --data-dir {tmp_path} "
        "(or --download), or take made data of its size: --dataset synthetic:baby"
    )


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("clothng", "clothing"),
        ("Clothing ", "clothing"),
        ("electroncs@noise=0.1", "electronics"),
        ("elec", "electronics"),
        ("synthetic:clothng", "synthetic:clothing"),
        ("syntetic:baby", "synthetic:baby"),
        ("tikotk", "synthetic:tiktok"),
        ("mysongs", "my-songs"),
    ],
)
def test_the_nearest_data_set_is_named_whether_it_is_prepared_or_not(tmp_path: Path, name: str, near: str) -> None:
    (tmp_path / "my-songs").mkdir()
    (tmp_path / "my-songs" / "my-songs.inter").touch()
    with pytest.raises(UserError, match=rf"; did you mean '{near}'\?$"):
        load_data(name, {"data_dir": tmp_path})


def test_a_prepared_folder_stands_before_generated_data_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "tiktok").mkdir()
    (tmp_path / "tiktok" / "tiktok.inter").touch()
    with pytest.raises(UserError, match=r"did you mean 'tiktok'\?$"):
        load_data("tikotk", {"data_dir": tmp_path})


def test_parameters_become_options() -> None:
    assert name_options("`rule` tiem: expected another `data_dir` than `x`") == (
        "--split tiem: expected another --data-dir than `x`"
    )


def test_every_parameter_of_a_message_has_an_option() -> None:
    """A backquoted name in an error of recmodels.data or recmodels.prepare is one that the command line knows."""
    sources = [
        path.read_text() for room in ("data", "prepare") for path in Path(*recmodels.__path__).glob(f"{room}/*.py")
    ]
    messages = [found[1] for text in sources for found in re.finditer(r"Error\(((?:[^()]|\([^()]*\))*)\)", text)]
    named = {name for message in messages for name in re.findall("`([a-z_]+)`", message)}
    assert {"data_dir", "rule", "encoder", "overwrite", "features"} <= named <= OPTIONS.keys()
    known = {
        name for each in (parser(), prepare_parser()) for action in each._actions for name in action.option_strings
    }
    assert set(OPTIONS.values()) <= known

"""YAML texts: numbers, lines, faults, and data that come back exactly."""

import math
from pathlib import Path

import pytest

from recmodels.errors import UserError
from tuning.yaml_document import comment, parse_yaml, read_yaml, to_yaml


@pytest.mark.parametrize("text", ["1e-4", "1.0e-4", "1E-4", "+1e-4", "0.1e-3", ".1e-3"])
def test_an_exponent_makes_a_number(text):
    assert parse_yaml(text, "t").data == 1e-4


@pytest.mark.parametrize("text", ["1e", "e4", "1e-4x", "v1e4", "'1e-4'"])
def test_text_stays_text(text):
    assert isinstance(parse_yaml(text, "t").data, str)


def test_keys_know_their_lines():
    document = parse_yaml("# paper\nmodel:\n  size: 64\n\n  reg: {type: int}\n", "m.yaml")
    assert document.data == {"model": {"size": 64, "reg": {"type": "int"}}}
    assert document.where("model", "reg") == document.where("model", "reg", "type") == "m.yaml:5"
    assert document.where("model", "absent") == "m.yaml"


def test_items_of_a_list_know_their_lines():
    document = parse_yaml("# points\n- a: 1\n\n- a: 2\n  b: [3,\n    4]\n", "p.yaml")
    assert [document.where("0"), document.where("1"), document.where("1", "b", "1")] == [
        "p.yaml:2",
        "p.yaml:4",
        "p.yaml:6",
    ]
    assert document.where("1", "b") == "p.yaml:5"


def test_empty_is_none():
    assert parse_yaml("# nothing\n", "t").data is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 't:3: not valid YAML: while constructing a mapping, found duplicate key "a"'),
        ("m:\n  a: 1\n  'a': 2\n", 't:3: not valid YAML: while constructing a mapping, found duplicate key "a"'),
        ("a: &x [1]\nb: *x\n", "t:2: not valid YAML: an alias is not allowed, write the value out"),
        ("b: {<<: {a: 1}}\n", "t:1: not valid YAML: a key must be text (quote it)"),
        ("a: 2001-99-99\n", "t: not valid YAML: month must be in 1..12"),
        ("a: 1\n---\nb: 2\n", "t:2: not valid YAML: expected a single document in the stream, "),
        ("a: 1\n3: 2\n", "t:2: not valid YAML: a key must be text (quote it)"),
        ("a: 1\n[b]: 2\n", "t:2: not valid YAML: a key must be text (quote it)"),
        ("a: 1\n b: 2\n", "t:2: not valid YAML: mapping values are not allowed here"),
        ("a: 1\nb: !!python/name:os.system\n", "t:2: not valid YAML: could not determine a constructor for the tag"),
        ("a: \x01\n", "t: not valid YAML: unacceptable character"),
        ("[" * 500, "t: nested too deeply"),
    ],
)
def test_fault_is_one_line(text, message):
    with pytest.raises(UserError) as error:
        parse_yaml(text, "t")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_unreadable_files(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(UserError, match=r"^latin: not UTF-8 text$"):
        read_yaml(tmp_path / "latin.yaml", "latin")
    with pytest.raises(UserError, match=r"^gone: No such file or directory$"):
        read_yaml(tmp_path / "gone.yaml", "gone")
    with pytest.raises(UserError, match=r"^gone: No such file or directory, expected a comparison$"):
        read_yaml(Path("gone"), expected="a comparison")


@pytest.mark.parametrize("text", ["on", "off", "yes", "No", "y", "1:20", "0o8", "e", "."])
def test_words_are_text(text):
    assert parse_yaml(text, "t").data == text


@pytest.mark.parametrize("flow", [False, None])
def test_data_come_back_exactly(flow):
    floats = [1e-5, 1e22, 5e-324, math.nextafter(0.1, 1), -0.0, 1 / 3, 2.0]
    texts = ["", "no", "1e-4", "~", "2001-01-01", "größer: #1", "a\nb\n", "- x", "0o17", "x " * 300]
    data = {"z": floats, "a": {"texts": texts, "none": None, "yes": True, "n": -3, "empty": [{}, []]}}
    back = parse_yaml(to_yaml(data, flow=flow), "t").data
    assert repr(back) == repr(data)  # the order of keys and the types of numbers too


def test_small_floats_have_a_dot_for_readers_of_yaml_1_1():
    assert to_yaml({"a": 1e-5, "b": -1e22, "c": 1.5e-7}) == "a: 1.0e-05\nb: -1.0e+22\nc: 1.5e-07\n"


def test_a_list_on_one_line_under_a_comment():
    assert comment(["one", "two"]) + to_yaml({"a": [1.0, 2]}, flow=None) == "# one\n# two\na: [1.0, 2]\n"

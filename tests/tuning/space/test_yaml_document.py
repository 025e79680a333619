"""YAML texts: numbers, lines and faults."""

import pytest

from tuning.space.yaml_document import YamlError, parse_yaml, read_yaml


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


def test_empty_is_none():
    assert parse_yaml("# nothing\n", "t").data is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "t:3: not valid YAML: key 'a' stands twice, first on line 1"),
        ("m:\n  a: 1\n  'a': 2\n", "t:3: not valid YAML: key 'a' stands twice, first on line 2"),
        ("a: 1\n3: 2\n", "t:2: not valid YAML: a key must be text (quote it)"),
        ("a: 1\n[b]: 2\n", "t:2: not valid YAML: a key must be text (quote it)"),
        ("a: 1\n b: 2\n", "t:2: not valid YAML: mapping values are not allowed here"),
        ("a: 1\nb: !!python/name:os.system\n", "t:2: not valid YAML: could not determine a constructor for the tag"),
        ("a: \x01\n", "t: not valid YAML: unacceptable character"),
        ("[" * 500, "t: nested too deeply"),
    ],
)
def test_fault_is_one_line(text, message):
    with pytest.raises(YamlError) as error:
        parse_yaml(text, "t")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_unreadable_files(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(YamlError, match=r"^latin: not UTF-8 text$"):
        read_yaml(tmp_path / "latin.yaml", "latin")
    with pytest.raises(YamlError, match=r"^gone: No such file or directory$"):
        read_yaml(tmp_path / "gone.yaml", "gone")

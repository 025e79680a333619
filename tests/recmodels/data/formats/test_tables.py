"""Text tables in their dialects, JSON lines and Parquet: the rows that were written, or one line with the way out."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from recmodels.data.formats.dialect import Dialect
from recmodels.data.formats.tables import as_ids, as_numbers, as_text, column_names, read_columns
from recmodels.errors import DataError, UserError

N = 480


def searches(separator: str, torn: dict[int, str], end: str = "\n") -> str:
    """480 rows of user, item and search, in which some cells of the third column are replaced: row -> cell."""
    rows = [[f"u{row % 60}", f"i{row % 47}", torn.get(row, f"word{row}")] for row in range(1, N + 1)]
    return end.join(separator.join(row) for row in [["user", "item", "search"], *rows]) + end


def read(path: Path, content: str | bytes, *names: str, **dialect: Any) -> list[tuple[Any, ...]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    given = Dialect(**dialect)
    columns = read_columns(path, names or column_names(path, given), given)
    return list(zip(*(column.to_pylist() for column in columns.values()), strict=True))


def refused(path: Path, content: str | bytes, *names: str, **dialect: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(path, content, *names, **dialect)
    message = str(caught.value)
    assert message.startswith(f"{path}:")
    assert "\n" not in message
    return message.removeprefix(f"{path}")


@pytest.mark.parametrize(("name", "separator"), [("t.csv", ","), ("t.tsv", "\t"), ("t.CSV", ","), ("t.csv.gz", ",")])
@pytest.mark.parametrize(
    "torn",
    [
        {157: '"best shoes'},
        {157: '"best shoes', 235: '"red hat'},
        {157: '"best shoes', 235: 'red hat"'},
        {157: '"best shoes', 235: '"'},
        {157: '"', 235: '"'},
        {157: '"best shoes', 235: '"red, hat"'},
        {157: '"best shoes', 235: '""', 300: '"'},
        {157: 'the "best" shoes', 235: '"red hat"'},
        {157: '"best" shoes', 235: "red hat"},
        {157: ' "best shoes"', 235: "red hat"},
        {N: '"best shoes'},
    ],
)
def test_a_torn_quotation_is_refused_with_its_row(
    tmp_path: Path, name: str, separator: str, torn: dict[int, str]
) -> None:
    text = searches(separator, torn)
    content = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    message = refused(tmp_path / name, content, "user", "item")
    assert message.startswith(f": row {min(torn)}: torn quotation at ")
    assert "`quote` none if quotation marks are part of the text" in message


@pytest.mark.parametrize("name", ["t.tsv", "t.txt", "t.item", "t.inter"])
def test_marks_that_mean_nothing_stay_in_the_text(tmp_path: Path, name: str) -> None:
    torn = {157: '"best shoes', 200: '"Heroes" of', 235: 'red hat"', 300: '24" screen'}
    given = {"quote": "none"} if name == "t.tsv" else {}
    rows = read(tmp_path / name, searches("\t", torn), "search", **given)
    assert len(rows) == N
    assert {row: rows[row - 1][0] for row in torn} == torn


def test_marks_that_may_enclose_a_cell_or_not_are_a_question(tmp_path: Path) -> None:
    text = searches("\t", {157: '"Heroes"'})
    message = refused(tmp_path / "t.txt", text)
    assert message.startswith(""": row 157: search is '"Heroes"', expected `quote` double if""")
    for quote, cell in (("double", "Heroes"), ("none", '"Heroes"')):
        assert read(tmp_path / "t.txt", text, "search", quote=quote)[156] == (cell,)
    assert len(read(tmp_path / "t.txt", text, "user", "item")) == N
    text = searches("\t", {3: '"', 157: '"Heroes"', 200: '"'})
    assert read(tmp_path / "t.txt", text, "search")[156] == ('"Heroes"',)  # as the others enclose nothing
    assert """found '"a"' in the first row, expected `quote` double""" in refused(tmp_path / "t.txt", '"a"\tb\n1\t2\n')


CELLS = ["two\nlines", 'say ""hi"", ok', "\r\n\r\n", "nice\nred,green,blue", ",", '"', "a,b\n,\nc"]


def test_enclosed_line_ends_separators_and_marks_are_text(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"user": [f"u{row % 40}" for row in range(400)], "item": [f"i{row % 30}" for row in range(400)]}
    )
    frame["text"] = [CELLS[row % len(CELLS)] for row in range(400)]
    text = frame.to_csv(index=False)
    assert read(tmp_path / "t.csv", text) == list(frame.itertuples(index=False, name=None))


def test_texts_of_items_may_have_as_many_separators_a_line_as_the_table(tmp_path: Path) -> None:
    """The lines could be rows, but `warm` looks like no id, and two marks that stand for one are in no torn cell."""
    frame = pd.DataFrame({"item": [f"B{row:04}" for row in range(120)], "text": "red\nwarm,soft\n"})
    assert read(tmp_path / "t.csv", frame.to_csv(index=False)) == list(frame.itertuples(index=False, name=None))
    few = [("1", 'red\nwarm, "soft"'), ("2", "blue")]
    text = pd.DataFrame(few, columns=["item", "text"]).to_csv(index=False)
    assert read(tmp_path / "t.csv", text) == few


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user,item\na,b\nc\n", ": row 2: found 1 cell, expected 2 as in the header ('c')"),
        ("user,item\na,b,\n", ": row 1: found 3 cells, expected 2 as in the header ('a,b,')"),
        ("user,item\na,b\n# end\n", ": row 2: found 1 cell, expected 2 as in the header ('# end')"),
        ("user,item\na,b\nuser,item\nc,d\n", ": row 2: repeats the header, expected one header"),
        ("user,item\na,b\n\ufeffuser,item\nc,d\n", ":3: begins with a byte-order mark, expected one file"),
        ("user,item\na,\0\n", ":2: found a NUL byte, expected utf-8 text"),
        ("\n\n", ": the file is empty, expected a table"),
        ('"user,item\na,b\n', ":1: torn quotation or too long a cell (unexpected end of data)"),
        ('user,"item\na,b"\nc,d\n', ": header: torn quotation at '\"item'"),
        ("user;item\na;b\n", ": found one column, 'user;item', with ',' between cells, expected several (`sep` ';'?)"),
        ('"user";"item"\n"a";"b"\n', "with ',' between cells, expected several (`sep` ';'?)"),
        ("1,2,2024-01-31\n3,4,2024-02-01\n", "the names in its first row are numbers ('1', '2', '2024-01-31')"),
        ('"1","1"\n"3","4"\n', "expected `header=False` if it has none, `header=True` if they are names"),
        (b"PK\x03\x04\x14", ": is a zip or Excel file, expected a text table"),
        (gzip.compress(b"user,item\n", mtime=0), ": is a gzip file, expected a name that ends in .gz"),
        (
            "user,item\nZo\xeb,b\n".encode("latin-1"),
            r": row 1: user is b'Zo\xeb', expected text in UTF-8 (`encoding`?)",
        ),
        ("user,item\na,b\n".encode("utf-16-be"), ":1: found a NUL byte, expected utf-8 text (`encoding` utf-16?)"),
    ],
)
def test_a_text_table_that_would_be_misread(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert message in refused(tmp_path / "t.csv", content)


def test_a_compressed_table_that_is_cut_off(tmp_path: Path) -> None:
    content = gzip.compress(searches(",", {}).encode())
    assert ": the compressed file is cut off or damaged" in refused(tmp_path / "t.csv.gz", content[:900])
    assert "cannot be read (Not a gzipped file" in refused(tmp_path / "t.csv.gz", searches(",", {}))


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        ("user;item\nZoë;1,5\n", {"sep": ";"}),
        ("user::item\nZoë::1,5\n", {"sep": "::"}),
        ("user§item\nZoë§1,5\n", {"sep": "§"}),
        ("user\titem\nZoë\t1,5\n", {"sep": "tab"}),
        ("user\titem\nZoë\t1,5\n", {"sep": r"\t"}),
        ("user;item\rZoë;1,5\r", {"sep": ";"}),
        ("user;item\r\n\r\nZoë;1,5", {"sep": ";"}),
        ('"user"::"item"\n"Zoë"::"1,5"\n', {"sep": "::"}),
        ('"user";"item"\n"Zoë";"1,5"\n', {"sep": ";", "quote": "backslash"}),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32"])
def test_a_dialect_that_is_named_is_read(tmp_path: Path, content: str, dialect: dict[str, str], encoding: str) -> None:
    given = dialect if encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32") else dialect | {"encoding": encoding}
    assert read(tmp_path / "t.csv", content.encode(encoding), "user", "item", **given) == [("Zoë", "1,5")]


def test_without_a_header_columns_are_called_by_their_position(tmp_path: Path) -> None:
    rows = read(tmp_path / "t.dat", "196::242::3\n1::::2\n", sep="::", header=False)
    assert rows == [("196", "242", "3"), ("1", "", "2")]
    text = "196,242,3\n1,5,2\n"
    assert read(tmp_path / "t.csv", text, "196", "3", header=True) == [("1", "2")]
    assert "no column '0', found 'a', 'b'; `header=False` names columns by position" in refused(
        tmp_path / "t.csv", "a,b\n1,2\n", "0", "1"
    )
    assert ": row 2: found 1 cell, expected 2 as in row 1" in refused(tmp_path / "t.csv", "a,b\n1\n", header=False)


def test_a_backslash_may_make_marks_and_backslashes_text(tmp_path: Path) -> None:
    text = '"User-ID";"ISBN";"Book-Rating"\n"276725";"0\\"34;545";"0"\n"2";"\\\\";\\N\n'
    message = refused(tmp_path / "t.csv", text, sep=";")
    assert "row 1: torn quotation at '\"0\\\\\"34'" in message
    assert '`quote` backslash if \\" stands for one' in message
    assert read(tmp_path / "t.csv", text, sep=";", quote="backslash") == [("276725", '0"34;545', "0"), ("2", "\\", "")]


def test_bytes_of_another_encoding_do_no_harm_in_a_column_that_is_not_read(tmp_path: Path) -> None:
    content = "user,item,nom,é\na,b,Zoë,1\n".encode("latin-1")
    assert read(tmp_path / "t.csv", content, "user", "item") == [("a", "b")]
    assert column_names(tmp_path / "t.csv") == ["user", "item", "nom", r"\xe9"]


def test_a_separator_that_separates_in_more_than_one_way(tmp_path: Path) -> None:
    assert ":3: '::' separates its cells in more than one way" in refused(
        tmp_path / "t.dat", "a::b\n1::2\n3:::4\n", sep="::"
    )
    assert read(tmp_path / "t.dat", "a::b::c\n1::::2\n", sep="::") == [("1", "", "2")]
    text = '"a::b"::c\n"1::2"::3\n'
    assert read(tmp_path / "t.dat", text, "a::b", "c", sep="::", quote="double") == [("1::2", "3")]


def test_a_last_row_without_a_line_end_is_mentioned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(tmp_path / "t.csv", "user,item\na,b\nc,d\n")[1] == ("c", "d")
    assert not caplog.text
    assert read(tmp_path / "t.csv", "user,item\na,b\nc,d")[1] == ("c", "d")
    assert "t.csv: the last row has no line end; if the file was cut off, so may be this row" in caplog.text


@pytest.mark.parametrize(
    ("dialect", "message"),
    [
        ({"sep": "a"}, "`sep` 'a': expected a text without letters, digits, quotation marks and line ends, or tab"),
        ({"sep": ""}, "`sep` '': expected"),
        ({"sep": "\\", "quote": "backslash"}, "expected no backslash, as `quote` backslash gives it a meaning"),
        ({"encoding": "latin-9x"}, "`encoding` latin-9x: no known encoding of text; did you mean 'latin-1'?"),
        ({"encoding": "hex"}, "`encoding` hex: no known encoding of text"),
        ({"quote": "single"}, "`quote` single: expected one of double, backslash, none"),
    ],
)
def test_a_dialect_that_is_none(dialect: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        Dialect(**dialect)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_another_encoding_is_told_with_its_byte(tmp_path: Path) -> None:
    message = refused(tmp_path / "t.csv", b"user,item\na,\x81\n", encoding="cp1252")
    assert message.startswith(": not cp1252 text (byte 12: ")


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson", "t.json", "t.json.gz", "t.JSONL"])
def test_json_lines_are_a_table(tmp_path: Path, name: str) -> None:
    objects = [{"user": "007", "item": 12, "emb": [1, 2.5]}, {"item": 10**30, "user": "\u2028é"}, {"more": None}]
    text = "\ufeff" + "\r\n\n".join(json.dumps(each, ensure_ascii=False) for each in objects)
    content = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    path = tmp_path / name
    assert read(path, content, "user", "emb") == [("007", [1.0, 2.5]), ("\u2028é", None), (None, None)]
    assert column_names(path) == ["user", "item", "emb", "more"]
    items = read_columns(path, ["item"])["item"]
    assert as_text(path, "item", items) == ["12", str(10**30), ""]
    with pytest.raises(DataError, match=r"row 3: item is missing, expected an id in each row \(1 have none\)"):
        as_ids(path, "item", items)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n{"a": "1"}\n', ': row 2: a is "1", expected a number as in the rows before'),
        ('{"a": 1}\n{"a": true}\n', ": row 2: a is true, expected a number as in the rows before"),
        ('{"a": 1}\n{"a": 2', ":2: not JSON lines (Expecting ',' delimiter), expected a JSON object on each line"),
        ('{"a": 1} {"a": 2}\n', ":1: not JSON lines (Extra data)"),
        ('[{"a": 1}]', ":1: not JSON lines (no object)"),
        ('{"a": 1, "a": 2}', ":1: not JSON lines (the key 'a' is there twice)"),
        ('{"a": "\\ud83d"}', ": row 1: a holds half a character"),
        ('{"\\ud83d": 1}', ": the key '\\ud83d' holds half a character"),
        (b'{"a": "\xff"}', ":1: not UTF-8 text (byte 7 of the line)"),
        ("", ": found no columns, expected a table"),
        ("a,b\n1,2\n", ":1: not JSON lines (Expecting value)"),
    ],
)
def test_json_lines_with_a_fault(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert refused(tmp_path / "t.jsonl", content).startswith(message)


IDS: list[tuple[Any, list[str]]] = [
    (pa.array([Decimal(12), Decimal(10**37)], pa.decimal128(38, 0)), ["12", str(10**37)]),
    (pa.array([Decimal("12.00"), Decimal("-3.00")], pa.decimal128(10, 2)), ["12", "-3"]),
    (pa.array([Decimal(10**40), Decimal(3)], pa.decimal256(50, 0)), [str(10**40), "3"]),
    (pa.array(["é", "007"], pa.string_view()), ["é", "007"]),
    (pa.array(["é", "007"], pa.large_string()), ["é", "007"]),
    (pa.array(["é".encode(), b"007"], pa.binary()), ["é", "007"]),
    (pa.array([b"a", b"007"], pa.large_binary()), ["a", "007"]),
    (pa.array([b"a", b"007"], pa.binary_view()), ["a", "007"]),
    (pa.array([b"ab", b"07"], pa.binary(2)), ["ab", "07"]),
    (pa.array([b"a", b"007"], pa.binary()).dictionary_encode(), ["a", "007"]),
    (pa.array([Decimal(1), Decimal(2)], pa.decimal128(5, 0)).dictionary_encode(), ["1", "2"]),
    (pa.array([1.0, 2.0], pa.float32()), ["1", "2"]),
    (pa.array([2**64 - 1, 2], pa.uint64()), [str(2**64 - 1), "2"]),
]


def stored(path: Path, column: pa.Array) -> pa.ChunkedArray:
    """Write a column to Parquet and read it as tables are read."""
    try:
        parquet.write_table(pa.table({"id": column}), path)
    except pa.ArrowNotImplementedError:
        pytest.skip(f"pyarrow {pa.__version__} writes no {column.type}")
    return read_columns(path, ["id"])["id"]


@pytest.mark.parametrize(("column", "expected"), IDS, ids=[str(column.type) for column, _ in IDS])
def test_ids_of_any_writer_of_parquet(tmp_path: Path, column: pa.Array, expected: list[str]) -> None:
    path = tmp_path / "t.parquet"
    assert as_ids(path, "id", stored(path, column)).tolist() == expected
    assert [text.removesuffix(".00") for text in as_text(path, "id", stored(path, column))] == expected


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([Decimal("12.00"), Decimal("1.50")]), "row 2: id is 1.50, expected text or a whole number"),
        (pa.array([Decimal(1), None]), "row 2: id is missing, expected an id in each row (1 have none)"),
        (pa.array([b"a", None], pa.binary()), "row 2: id is missing"),
        (pa.array(["a", None], pa.string_view()), "row 2: id is missing"),
        (pa.array([b"a", b"\xff"]), r"row 2: id is b'\xff', expected text in UTF-8"),
        (pa.array([1e17]), "row 1: id is 1e+17, expected text or a whole number (below 2**53"),
        (pa.array([2.0**24], pa.float32()), "row 1: id is 16777216.0, expected text or a whole number (below 2**24"),
        (pa.array([np.float16(2048)]), "row 1: id is 2048.0, expected text or a whole number (below 2**11"),
        (pa.array([True]), "'id' is a column of bool, expected ids that are text or whole numbers"),
        (pa.array([1], pa.date32()), "'id' is a column of date32[day], expected ids that are text or whole numbers"),
        (pa.array([[1]]), "'id' is a column of list<element: int64>, expected ids that are text or whole numbers"),
        (pa.nulls(1), "row 1: id is missing"),
    ],
)
def test_ids_of_parquet_that_are_none(tmp_path: Path, column: pa.Array, message: str) -> None:
    path = tmp_path / "t.parquet"
    found = stored(path, column)
    with pytest.raises(DataError) as caught:
        as_ids(path, "id", found)
    assert f"{path}: {message}" in str(caught.value)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([Decimal("1.50"), Decimal("2.00")]),
        pa.array([b"1.5", b"2"]),
        pa.array(["1.5", "2"], pa.string_view()),
        pa.array([1.5, 2.0], pa.float32()).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_numbers_of_any_writer_of_parquet(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "t.parquet"
    np.testing.assert_array_equal(as_numbers(path, "id", stored(path, column)), [1.5, 2.0])


@pytest.mark.parametrize("cell", ["4,5", "1 000", "5%", "inf", "nan", "", "0x10", "1_000", "five", "--5"])
def test_a_cell_that_is_no_number_is_told(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(f"user\trating\na\t4.5\nb\t{cell}\n")
    with pytest.raises(DataError) as caught:
        as_numbers(path, "rating", read_columns(path, ["rating"])["rating"])
    assert str(caught.value) == f"{path}: row 2: rating is {cell!r}, expected a number"

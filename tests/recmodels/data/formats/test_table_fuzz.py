"""Random tables in random dialects, then damaged: read exactly as they were written, or refused in one line.

MIRRORTUNE_FUZZ sets the number of tables. A failure names the number, which makes the same table and damage again.
"""

import csv
import gzip
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from recmodels.data.formats.dialect import Dialect
from recmodels.data.formats.tables import as_ids, as_text, column_names, read_columns
from recmodels.data.formats.text_file import MARKS
from recmodels.errors import UserError
from recmodels.prepare import prepare_own

VIEWS = int(pa.__version__.split(".")[0]) >= 22  # older ones cannot write them
TABLES = int(os.environ.get("MIRRORTUNE_FUZZ", "250"))
PLAIN = [
    "007",
    "7",
    "u1",
    "x-9",
    "NA",
    "1.0",
    "é",
    "Zoë",
    "a b",
    "item 3",
    "nan",
    "None",
    "-1",
    "1e5",
    "#1",
    "a'b",
    "\\N",
]
ODD = ['a"b', '"q', 'q"', '"quoted"', '""', " padded ", "x;y", "x,y", "x|y", "a::b", "tab\there", "ナ", "\u2028", "a:"]
WORDS = ["best shoes", "red, hat", '5" nails', "two\nlines", "a\r\nb, c", '"Heroes"', "", " ", "ok", "3", "x,y,z\n1,2"]
NAMES = ["user", "item", "search", "note", "weight"]
DIALECTS = (",", ";", "\t", "|", "::", "§", " ; ")
ENCODINGS = (None, None, None, "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "gbk")

Rows = list[list[str]]


@dataclass
class Case:
    """A table, the file it is in, and how it is to be read."""

    names: list[str]
    rows: Rows
    ending: str
    content: bytes
    dialect: Dialect = field(default_factory=Dialect)
    text: str = ""  # of a text table
    sep: str = ","
    quoted: bool = False  # by the csv module, pandas or pyarrow

    @property
    def wanted(self) -> list[str]:
        return ["0", "1"] if self.dialect.header is False else self.names[:2]


def table(random: Random) -> tuple[list[str], Rows]:
    n_columns = random.randint(2, 5)
    ids = [PLAIN, [*PLAIN, *ODD], [f"u{number}" for number in range(15)], [str(number) for number in range(9)]]
    pools = [random.choice(ids), random.choice(ids), *([WORDS, [*WORDS, *ODD]][number % 2] for number in range(3))]
    rows = [[random.choice(pool) for pool in pools[:n_columns]] for _ in range(random.choice([3, 12, 60]))]
    if random.random() < 0.1:
        random.choice(rows)[random.randrange(2)] = random.choice(["", " "])
    return NAMES[:n_columns], rows


def written(number: int) -> Case:
    random = Random(number)
    names, rows = table(random)
    case = random.choice([by_csv, by_csv, by_csv, by_pandas, by_arrow, plain_text, plain_text, in_parquet, in_lines])(
        random, names, rows
    )
    if case.ending != ".parquet" and random.random() < 0.2:
        case.ending, case.content = f"{case.ending}.gz", gzip.compress(case.content)
    return case


def text_case(random: Random, names: list[str], rows: Rows, text: str, sep: str, quoted: bool, header: bool) -> Case:
    ending = random.choice([".csv", ".CSV"] if sep == "," and quoted else [".csv", ".tsv", ".txt", ".dat", ".inter"])
    usual = "," if ending.lower() == ".csv" else "\t"
    quote = "double" if quoted else "none"
    if random.random() < 0.5 and (ending.lower() in (".csv", ".tsv")) == quoted:
        quote = ""  # what the ending means
    encoding = random.choice(ENCODINGS)
    try:
        content = text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        encoding, content = None, text.encode()
    given = None if encoding in ("utf-8-sig", "utf-16") else encoding  # which the first bytes tell
    dialect = Dialect(None if sep == usual else sep, given, None if header else False, quote or None)
    return Case(names, rows, ending, content, dialect, text, sep, quoted)


def by_csv(random: Random, names: list[str], rows: Rows) -> Case:
    sep, header = random.choice([*",,;\t|"]), random.random() < 0.8
    file = io.StringIO(newline="")
    rule = random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    end = random.choice(["\n", "\r\n", "\n", "\r"])
    if end == "\r":  # the csv module encloses a line feed only if it ends lines
        rows = [[cell.replace("\n", "\r") for cell in row] for row in rows]
    writer = csv.writer(file, delimiter=sep, quoting=rule, lineterminator=end)
    writer.writerows([names] * header + rows)
    return text_case(random, names, rows, file.getvalue(), sep, True, header)


def by_pandas(random: Random, names: list[str], rows: Rows) -> Case:
    text = pd.DataFrame(rows, columns=names).to_csv(index=False, lineterminator=random.choice(["\n", "\r\n"]))
    if "::" not in text and random.random() < 0.3:  # as if it had written this separator, also inside of marks
        longer = [[cell.replace(",", "::") for cell in row] for row in rows]
        return text_case(random, names, longer, text.replace(",", "::"), "::", True, True)
    return text_case(random, names, rows, text, ",", True, True)


def by_arrow(random: Random, names: list[str], rows: Rows) -> Case:
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(pa.table(list(map(list, zip(*rows, strict=True))), names=names), sink)
    return text_case(random, names, rows, sink.getvalue().to_pybytes().decode(), ",", True, True)


def plain_text(random: Random, names: list[str], rows: Rows) -> Case:
    """Cells joined by a separator, in which marks mean nothing; cells that this cannot hold are changed."""
    sep, header = random.choice(DIALECTS), random.random() < 0.6
    rows = [[" ".join(cell.split("\n")).replace("\r", "").replace(sep, "+") for cell in row] for row in rows]
    rows = [[cell.strip(sep[0]) if len(sep) > 1 else cell for cell in row] for row in rows]
    end = random.choice(["\n", "\r\n"])
    text = "".join(sep.join(row) + end for row in [names] * header + rows)
    return text_case(random, names, rows, text, sep, False, header)


def in_parquet(random: Random, names: list[str], rows: Rows) -> Case:
    kinds = [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()]
    kinds += [pa.string_view()] if VIEWS else []
    columns = [pa.array(column).cast(random.choice(kinds)) for column in zip(*rows, strict=True)]
    if random.random() < 0.3:
        columns[0] = pa.array([row[0] for row in rows]).dictionary_encode()
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns, names=names), sink)
    return Case(names, rows, ".parquet", sink.getvalue().to_pybytes())


def in_lines(random: Random, names: list[str], rows: Rows) -> Case:
    escaped = random.random() < 0.5
    lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=escaped) for row in rows]
    content = "".join(line + random.choice(["\n", "\r\n", "\n\n"]) for line in lines).encode()
    return Case(names, rows, random.choice([".jsonl", ".ndjson", ".json"]), content)


def read(folder: Path, case: Case) -> Rows | str:
    """The rows of the first two columns, or the line of the refusal."""
    path = folder / f"table{case.ending}"
    path.write_bytes(case.content)
    try:
        column_names(path, case.dialect)
        first, second = case.wanted
        columns = read_columns(path, case.wanted, case.dialect)
        ids = as_ids(path, first, columns[first]).tolist()
        return list(map(list, zip(ids, as_text(path, second, columns[second]), strict=True)))
    except UserError as error:
        line = str(error)
        assert line.startswith(str(path))
        assert "\n" not in line
        return line


@pytest.mark.parametrize("start", range(0, TABLES, 50))
def test_a_sound_table_is_read_as_it_was_written(tmp_path: Path, start: int) -> None:
    refused = []
    for number in range(start, start + 50):
        case = written(number)
        found = read(tmp_path, case)
        expected = [row[:2] for row in case.rows]
        n_missing = sum(not row[0].strip() for row in case.rows)
        # Marks that may enclose cells, lines that may be rows, colons that may be a cell's: these are questions.
        is_question = any(part in found for part in ("`quote`", "more than one way"))
        if n_missing:
            assert f"({n_missing} have none)" in found or is_question, (number, found)
        elif isinstance(found, str):
            refused.append((number, found))
            assert is_question, (number, found)
        else:
            assert found == expected, number
    assert len(refused) < 10, refused


def torn(case: Case, random: Random) -> tuple[bytes, str]:
    """Put one to three marks at the begin or the end of cells that had none; the rows stay the same but for them."""
    lines = case.text.splitlines(keepends=True)
    for _ in range(random.choice([1, 1, 2, 3])):
        at = random.randrange(1, len(lines))
        cells = lines[at].rstrip("\r\n").split(case.sep)
        place = random.randrange(len(cells))
        if '"' not in lines[at]:
            end = lines[at][len(lines[at].rstrip("\r\n")) :]
            cells[place] = random.choice([f'"{cells[place]}', f'{cells[place]}"', '"'])
            lines[at] = case.sep.join(cells) + end
    return "".join(lines).encode(), "".join(lines)


@pytest.mark.parametrize("start", range(0, TABLES, 50))
def test_two_torn_quotations_in_a_larger_table_are_refused(tmp_path: Path, start: int) -> None:
    """The second closes the first; all that lies between would be lost, of users in order or not, or of items."""
    for number in range(start, start + 50):
        random = Random(number)
        n, n_users = random.choice([60, 480, 1000]), random.choice([20, 60])
        users = [f"u{row * n_users // n}" if number % 2 else f"u{random.randrange(n_users)}" for row in range(n)]
        items = [f"i{random.randrange(50)}" for _ in range(n)]
        if random.random() < 0.4:
            users, items = [str(row) for row in range(n)], [f"red shoe {row}" for row in range(n)]
        more = [[random.choice([str(row % 5), f"w{row}", "good shoe"]) for row in range(n)] for _ in range(number % 3)]
        rows = list(map(list, zip(users, items, *more, strict=True)))
        (first, second), column = sorted(random.sample(range(n), 2)), random.randrange(len(rows[0]))
        rows[first][column] = f'"{rows[first][column]}'
        rows[second][column] = random.choice(['"', f'{rows[second][column]}"'])
        names = NAMES[: len(rows[0])]
        content = "".join(",".join(row) + "\n" for row in [names, *rows]).encode()
        found = read(tmp_path, Case(names, rows, ".csv", content))
        assert isinstance(found, str), number
        assert f": row {first + 1}: torn quotation at " in found, (number, found)


def unquoted(rows: Rows) -> Rows:
    return [[cell.replace('"', "") for cell in row] for row in rows]


@pytest.mark.parametrize("start", range(0, TABLES, 50))
def test_torn_quotations_lose_no_row(tmp_path: Path, start: int) -> None:
    """Tables of which no cell had a mark: whatever is read has as many rows, and the same text but for the marks."""
    n_refused = 0
    for number in range(start, start + 50):
        random = Random(number)
        names, rows = table(random)
        rows = [[" ".join(cell.replace('"', "").split()).replace(",", "") or "x" for cell in row] for row in rows]
        case = by_csv(random, names, rows)
        case.content, _ = torn(case, random)
        case.dialect = Dialect(case.dialect.sep, None, case.dialect.header, random.choice([None, None, "double"]))
        if '"' in case.text:
            continue
        found = read(tmp_path, case)
        n_refused += isinstance(found, str)
        if not isinstance(found, str):
            assert len(found) == len(rows), number
            changed = sum(new != old[:2] for new, old in zip(unquoted(found), rows, strict=True))
            assert changed <= 3, (number, found)
    assert n_refused


def strict_rows(case: Case) -> Rows | None:
    """All rows as Python's csv and json modules read them without tolerance, None if they cannot."""
    content = gzip.decompress(case.content) if case.ending.endswith(".gz") else case.content
    marked = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    text = content.decode(case.dialect.encoding or marked, "replace").removeprefix("\ufeff")
    if "json" in case.ending:
        objects = [json.loads(line) for line in text.split("\n") if line.strip()]
        return [[found.get(name, "") for name in case.names] for found in objects]  # an absent key is a missing cell
    quoting = csv.QUOTE_MINIMAL if case.quoted else csv.QUOTE_NONE
    sep = case.sep if len(case.sep) == 1 else "\x1f"
    lines = io.StringIO(text.replace(case.sep, sep), newline="")
    try:
        found = [row for row in csv.reader(lines, delimiter=sep, strict=True, quoting=quoting) if row]
        rows = [[cell.replace(sep, case.sep) for cell in row] for row in found]
    except csv.Error:
        return None
    return rows if case.dialect.header is False else rows[1:]


def flipped(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    changed[random.randrange(len(changed))] = random.choice([*b'",;\t\n\r\0 a1', random.randrange(256)])
    return bytes(changed)


def removed(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content))
    return content[:at] + content[at + random.choice([1, 1, 5]) :]


def inserted(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content))
    return (
        content[:at]
        + random.choice([b'"', b'"', b",", b"\t", b"\n", b"\0", b"\xff", b"\xef\xbb\xbf", b'""'])
        + content[at:]
    )


def without_a_mark(content: bytes, random: Random) -> bytes:
    places = [at for at, code in enumerate(content) if code == ord('"')]
    at = random.choice(places or [0])
    return content[:at] + content[at + 1 :]


def cut_off(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content))]


def twice(content: bytes, random: Random) -> bytes:
    return content + content


DAMAGES: list[Callable[[bytes, Random], bytes]] = [flipped, removed, inserted, without_a_mark, cut_off, twice]


@pytest.mark.parametrize("start", range(0, TABLES, 50))
def test_a_damaged_table_is_read_as_strictly_as_can_be_or_refused(tmp_path: Path, start: int) -> None:
    """What is read of a damaged text table has the rows of Python's csv module in its strict mode, cell by cell."""
    n_refused = 0
    for number in range(start, start + 50):
        random, case = Random(-number - 1), written(number)
        for _ in range(random.choice([1, 1, 2])):
            case.content = random.choice(DAMAGES)(case.content or b"x", random)
        found = read(tmp_path, case)
        if isinstance(found, str):
            n_refused += 1
        elif case.ending == ".parquet":
            assert len(found) == len(case.rows), number
        else:
            rows = strict_rows(case)
            assert rows is not None, number
            assert found == [row[:2] for row in rows], number
            assert len({len(row) for row in rows}) == 1, number
    assert n_refused > 5


@pytest.mark.parametrize("start", range(0, TABLES, 250))
def test_a_prepared_set_has_the_rows_that_were_written(tmp_path: Path, start: int) -> None:
    """The same through `prepare_own`: all distinct pairs are there, and every row is counted."""
    for number in range(start, min(start + 250, TABLES), 10):
        random, case = Random(number), written(number)
        if random.random() < 0.3:
            case.content = random.choice([flipped, removed, without_a_mark, cut_off])(case.content, random)
            case.rows = []
        path = tmp_path / f"table{case.ending}"
        path.write_bytes(case.content)
        user, item = case.wanted
        options = {"user_col": user, "item_col": item, "dialect": case.dialect, "overwrite": True}
        folder = tmp_path / "data" / "own"
        try:
            prepare_own(path, name="own", data_dir=tmp_path / "data", **options)  # type: ignore[arg-type]
        except UserError as error:
            line = str(error)
            assert "\n" not in line
            continue
        counts = json.loads((folder / "manifest.json").read_text())["counts"]
        assert counts["rows"] == counts["repeated"] + counts["interactions"]
        if case.rows:
            lines = [line.split("\t") for line in (folder / "own.inter").read_text().splitlines()[1:]]
            users, items = (
                [line.split("\t")[1] for line in (folder / f"{kind}_ids.tsv").read_text().split("\n")[1:-1]]
                for kind in ("user", "item")
            )
            pairs = {(users[int(line[0])], items[int(line[1])]) for line in lines}
            assert pairs == {(row[0], row[1]) for row in case.rows}, number
            assert counts["rows"] == len(case.rows)

"""Features in tables and matrices at random, whole or damaged: exactly the rows that are in the file, or one line.

MIRRORTUNE_FUZZ=N makes N cases, of which each is the same again for the same number. What is in a damaged file is read
by a slow twin: csv, pyarrow's Python lists or numpy.load, and a loop over the cells.
"""

import csv
import gzip
import io
import json
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from recmodels.data.formats.parquet_file import read_parquet
from recmodels.errors import UserError
from recmodels.prepare.folder import Note
from recmodels.prepare.user_features import load, parse
from tests.recmodels.data.test_fuzz import repacked

CASES = int(os.environ.get("MIRRORTUNE_FUZZ", "200"))
FORMATS = ("csv", "tsv", "csv.gz", "item", "parquet", "jsonl", "npy")
MISSING = {"", "nan", "-nan", "na", "<na>", "n/a", "#n/a", "null", "none", "nat", "-", "\\n"}

# Cells that are damaged, missing, infinite, or numbers to some readers.
JUNK = ["red", "1,5", "[1", "1]", "0.1 x", "1e999", "...", "[]", "nan", "nan nan", "-", "--", "1_0", "\uff11", "True"]
JUNK += ["1 2", "1;2,3", "0x1f", "1.2.3", "inf", "-inf", "1e39", "None", "", " ", '"', "'1'", "1d", "1e", "(1)", "|"]
NUMBER = re.compile(rb"(?<![\w.])-?\d+\.\d+(e[+-]?\d+)?")

Cells = list[list[float]]  # of a row; [] or NaN: missing


@dataclass(frozen=True)
class Case:
    """`columns`: the cells of each column, a row each; `ids`: the item of each row. `wanted`: the items to load."""

    format: str
    modality: str
    ids: list[str]
    wanted: list[str]
    columns: dict[str, Cells]
    vectors: bool


def made(random: Random) -> Case:
    format, n_rows, vectors = random.choice(FORMATS), random.randint(8, 30), random.random() < 0.6
    ids = [f"{random.choice(['B', 'ü', '0', 'x y', 'q'])}{number}" for number in range(n_rows)]
    width, holes = random.randint(2, 6), random.choice([0, 0, 0.1, 0.3])
    value = random.choice(
        [lambda: random.gauss(0, 1), lambda: random.randint(-3, 9), lambda: 10.0 ** random.randint(-30, 30)]
    )
    whole = [[[float(np.float32(value())) for _ in range(width)] for _ in ids]]
    columns = (
        {"emb": whole[0]}
        if vectors or format == "npy"
        else {f"c{k}": [[row[k]] for row in whole[0]] for k in range(width)}
    )
    for cells in columns.values():
        for row in range(n_rows):
            if random.random() < holes:
                one_of_several = random.random() < 0.5 and vectors
                cells[row] = [np.nan, *cells[row][1:]] if one_of_several else []
    if random.random() < 0.3:
        ids[-1] = ids[0]
    wanted = random.sample(sorted(set(ids)), random.randint(4, 7)) + ["nowhere"] * random.randint(0, 1)
    return Case(format, random.choice(["image", "text"]), ids, wanted, columns, vectors)


def written(path: Path, case: Case, random: Random) -> str:
    """Write the case and return what `parse` takes."""
    if case.format == "npy":
        width = max(map(len, case.columns["emb"]))
        matrix = np.array([row or [np.nan] * width for row in case.columns["emb"]])
        kind = random.choice(["<f4", "<f8", ">f4", ">f8"])
        np.save(path, np.asarray(matrix.astype(kind), order=random.choice(["C", "F"])))
        path.with_suffix(".txt").write_text("\n".join(case.ids))
        return f"{case.modality}={path}:{path.with_suffix('.txt')}"
    if case.format == "parquet":
        parquet.write_table(
            pa.table({"item": case.ids, **{n: typed(c, case, random) for n, c in case.columns.items()}}), path
        )
        return f"{case.modality}={path}:{','.join(case.columns)}"
    if case.format == "jsonl":
        rows = [{"item": name} for name in case.ids]
        for name, cells in case.columns.items():
            for row, cell in zip(rows, typed(cells, case, random).to_pylist(), strict=True):
                if cell is not None or random.random() < 0.5:  # an absent key is a missing value too
                    row[name] = cell
        path.write_text("\n".join(map(json.dumps, rows)))
        return f"{case.modality}={path}:{','.join(case.columns)}"
    mark = random.choice(["", "NA", "nan", "null"])
    join, brackets = random.choice([" ", ", ", ";", "|", "\n "]), random.choice(["", "[]", "()"])
    if case.format == "item":
        join, brackets = " ", ""
    texts = {}
    for name, cells in case.columns.items():
        suffix = random.choice(["", ":float_seq" if case.vectors else ":float"]) if case.format == "item" else ""
        texts[name + suffix] = [text(row, join, brackets, mark) for row in cells]
    frame = pd.DataFrame({"item": case.ids, **texts})
    frame.to_csv(
        path,
        index=False,
        sep="," if case.format.startswith("csv") else "\t",
        quoting=random.choice([0, 0, 1]) if case.format != "item" else 0,
    )
    return f"{case.modality}={path}:{','.join(case.columns)}"


def text(row: list[float], join: str, brackets: str, mark: str) -> str:
    if not row:
        return mark
    body = join.join("nan" if np.isnan(value) else repr(value) for value in row)
    return brackets[:1] + body + brackets[1:] if len(row) > 1 else body


def typed(cells: Cells, case: Case, random: Random) -> pa.Array:
    kind = random.choice([pa.float32(), pa.float64()])
    if not case.vectors:
        return pa.array([row[0] if row else None for row in cells], kind)
    null = random.choice([None, np.nan])
    rows = [[null if np.isnan(value) else value for value in row] or None for row in cells]
    width = max(map(len, cells))
    return pa.array(rows, random.choice([pa.list_(kind), pa.large_list(kind), pa.list_(kind, width)]))


def expected(case: Case) -> tuple[np.ndarray, Note] | None:
    """The matrix of the wanted items, slowly, and the counts; None if the file is to be refused."""
    width: dict[str, int] = {}
    rows: dict[str, list[float]] = {}
    n_missing = n_not_used = 0
    for row, name in enumerate(case.ids):
        values: list[float] = []
        is_missing = False
        for column, cells in case.columns.items():
            cell = cells[row]
            if cell and not all(map(np.isnan, cell)) and width.setdefault(column, len(cell)) != len(cell):
                return None
            is_missing |= not cell or any(map(np.isnan, cell))
            values += cell
        with np.errstate(over="ignore"):
            if np.isinf(np.array(values, dtype=np.float32)).any():
                return None
        n_missing += is_missing
        if is_missing:
            continue
        if name in rows or name not in case.wanted:
            n_not_used += 1
        else:
            rows[name] = values
    if not rows or not all(width.get(name) for name in case.columns):
        return None
    mean = np.mean(np.array(list(rows.values()), dtype=np.float32), axis=0, dtype=np.float64)
    matrix = np.array([rows.get(name, mean) for name in case.wanted], dtype=np.float32)
    note = {"items_without": sum(name not in rows for name in case.wanted), "rows_not_used": n_not_used}
    return matrix, note | {"rows_with_missing_values": n_missing}


def reread(path: Path, case: Case) -> Case | None:
    """The case as it stands in a damaged file, None if the twin cannot read it."""
    try:
        if case.format == "npy":
            matrix = np.load(path, allow_pickle=False).astype(np.float64)
            ids = path.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\r\n").split("\n")
            return replace(case, ids=[name.rstrip("\r") for name in ids], columns={"emb": matrix.tolist()})
        if case.format == "parquet":
            try:
                with pa.OSFile(str(path)) as file:
                    table = parquet.ParquetFile(file).read().to_pydict()
            except pa.ArrowInvalid:  # pyarrow alone does not read nulls in lists of a fixed size
                table = read_parquet(path, ["item", *case.columns]).to_pydict()
            columns = {name: [cell_of(cell) for cell in table[name]] for name in case.columns}
            return replace(case, ids=list(map(str, table["item"])), columns=columns)
        if case.format == "jsonl":
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
            columns = {name: [cell_of(row.get(name)) for row in rows] for name in case.columns}
            return replace(case, ids=[str(row["item"]) for row in rows], columns=columns)
        content = gzip.decompress(path.read_bytes()) if case.format.endswith("gz") else path.read_bytes()
        quoting = csv.QUOTE_NONE if case.format == "item" else csv.QUOTE_MINIMAL
        delimiter = "," if case.format.startswith("csv") else "\t"
        stream = io.StringIO(content.decode("utf-8-sig", "backslashreplace"), newline="")
        header, *lines = [row for row in csv.reader(stream, delimiter=delimiter, quoting=quoting) if row]
        places = {name.partition(":")[0]: place for place, name in reversed(list(enumerate(header)))}
        columns = {name: [numbers(line[places[name]]) for line in lines] for name in case.columns}
        return replace(case, ids=[line[places["item"]] for line in lines], columns=columns)
    except Exception:  # whatever the twin stumbles over, the product may refuse
        return None


def cell_of(cell: Any) -> list[float]:
    cells = cell if isinstance(cell, list) else [] if cell is None else [cell]
    return [np.nan if value is None else float(value) for value in cells]


def numbers(cell: str) -> list[float]:
    """Return the numbers in a cell; ValueError for anything else."""
    body = cell.strip().strip("[](){}").strip()
    if body.lower() in MISSING:
        return []
    separator = next((mark for mark in ",;|" if mark in body), None)
    tokens = [token.strip() for token in body.split(separator)]
    tokens = tokens[:-1] if len(tokens) > 1 and not tokens[-1] else tokens
    truth = {"true": 1.0, "false": 0.0}
    return [np.nan if token.lower() in MISSING else truth.get(token.lower()) or float(token) for token in tokens]


def damaged_cell(content: bytes, random: Random) -> bytes | None:
    """Half of the time, if it is a text, put JUNK in the place of a number somewhere in it; else None."""
    places = [match.span() for match in NUMBER.finditer(content)] if b"\0" not in content else []
    if not places or random.random() < 0.5:
        return None
    start, stop = random.choice(places)
    return content[:start] + random.choice(JUNK).encode() + content[stop:]


def loaded(case: Case, features: str) -> tuple[np.ndarray, Note] | str:
    """What the product makes of the case, or the line of its refusal."""
    try:
        return load(parse(features), case.wanted, "item", "tfidf", 0)
    except UserError as error:
        return str(error)


def check(case: Case, found: tuple[np.ndarray, Note], right: tuple[np.ndarray, Note] | None) -> None:
    assert right is not None, "was to be refused"
    matrix, note = found
    assert "encoder" not in note
    np.testing.assert_allclose(matrix, right[0], rtol=1e-5, atol=1e-30)
    assert {"rows_with_missing_values": 0, **note}.items() >= right[1].items()


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.mark.parametrize("part", range(4))
def test_features_are_read_exactly_or_refused_in_one_line(tmp_path: Path, part: int) -> None:
    refused = kept = 0
    for number in range(part, CASES, 4):
        random = Random(number)
        case = made(random)
        path = tmp_path / f"f{number}.{case.format}"
        features = written(path, case, random)
        try:
            found, right = loaded(case, features), expected(case)
            if right is None:
                assert isinstance(found, str)
            else:
                assert not isinstance(found, str), found
                check(case, found, right)
            target = random.choice([path, path, path.with_suffix(".txt")]) if case.format == "npy" else path
            target.write_bytes(damaged_cell(target.read_bytes(), random) or repacked(target.read_bytes(), number))
            found = loaded(case, features)
            if isinstance(found, str):
                refused += 1
                assert str(tmp_path) in found
                assert found.isprintable()
                assert len(found) <= 1_000
            else:
                kept += 1
                there = reread(path, case)
                assert there is not None, "the twin cannot read it"
                check(there, found, expected(there))
        except BaseException as error:
            error.add_note(f"case {number}: {features}")
            raise
    assert refused > CASES / 16
    assert kept > CASES / 50

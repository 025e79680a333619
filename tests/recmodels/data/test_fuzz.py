"""Every kind of input, damaged a few hundred times: it loads, or it is refused in one line that names it.

A failure prints the kind and the number of the damage, which make it again: `damaged(sound, number)`.
"""

import gzip
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recmodels.data import load_dataset
from recmodels.data.corruptions import corrupted, parse_variant
from recmodels.data.formats.amr import load_amr
from recmodels.data.formats.feature_file import load_features
from recmodels.data.formats.mmrec import load_mmrec
from recmodels.data.formats.recbole import load_recbole
from recmodels.data.synthetic import synthetic
from recmodels.errors import UserError
from recmodels.prepare.amazon import Sources, prepare_amazon
from recmodels.prepare.amazon_files import read_ratings, read_reviews
from recmodels.prepare.amazon_texts import read_texts
from recmodels.prepare.image_features import read_image_features
from recmodels.prepare.interactions import collect
from recmodels.prepare.user_table import prepare_own
from tests.recmodels.data.formats import amr_folders
from tests.tuning.export.test_winner import a_spec, exported
from tuning.cli.experiment import new_experiment
from tuning.experiments.experiment import Experiment
from tuning.export import read_trainable
from tuning.space import Space, load_space
from tuning.space.catalogue import known_parameters
from tuning.spec import SearchSpec

DAMAGES = 200  # of each kind

JUNK = """nan|-1|1.5|1e999|inf|0x10|99999999999999999999|ü|'|"|[]|{}|null|true|=|:|,|#|@|*x|&a [*a]|<<: 1|? {}|{[}]
!!int x|!!python/object:os.system|!!timestamp x|2001-99-99|1:99|0b|[[[[[|\\ud800|\\x00|('<f4')|<f2|<f8
>f4|<i8||O|S4|(4, 2)|()|(-1, 2)
(1000000000000, 5)|(0, 0)|True|noise|seed|../..|/|~|%s|{0}|\u0661|\u2028|a b|1e-3""".replace("\n", "|").split("|")
JUNK += ["", "9" * 5_000, "[" * 1_200, "x" * 5_000, "\0", "\r", "\n", "\t", "\x1b[31m"]


def damaged(sound: bytes, number: int) -> bytes:
    """One to three damages of the kinds below; the same for the same number."""
    random = Random(number)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        sound = random.choice(DAMAGE)(sound, random)
    return sound


def flipped(sound: bytes, random: Random) -> bytes:
    changed = bytearray(sound or b"\0")
    for _ in range(random.choice([1, 1, 4, 40])):
        # Headers are short and matter most.
        place = random.randrange(len(changed) if random.random() < 0.5 else min(len(changed), 128))
        changed[place] = random.randrange(256)
    return bytes(changed)


def truncated(sound: bytes, random: Random) -> bytes:
    return sound[: random.randrange(len(sound) + 1)]


def grown(sound: bytes, random: Random) -> bytes:
    place = random.randrange(len(sound) + 1)
    return sound[:place] + random.randbytes(random.choice([1, 7, 100])) + sound[place:]


def by_line(change: Callable[[list[bytes], int, int], list[bytes]]) -> Callable[[bytes, Random], bytes]:
    def damage(sound: bytes, random: Random) -> bytes:
        lines = sound.split(b"\n")
        one, other = (random.randrange(len(lines)) for _ in range(2))
        return b"\n".join(change(lines, one, other))

    return damage


def field_replaced(sound: bytes, random: Random) -> bytes:
    separator = random.choice([b"\t", b",", b" ", b": ", b"=", b"'", b'"', b"\n"])
    fields = sound.split(separator)
    fields[random.randrange(len(fields))] = random.choice(JUNK).encode(errors="surrogatepass")
    return separator.join(fields)


DAMAGE: list[Callable[[bytes, Random], bytes]] = [
    flipped,
    truncated,
    grown,
    field_replaced,
    field_replaced,
    field_replaced,
    by_line(lambda lines, one, other: lines[:one] + lines[one + 1 :]),
    by_line(lambda lines, one, other: [*lines[:one], lines[other], *lines[one:]]),
    by_line(lambda lines, one, other: [*lines[:one], lines[other], *lines[one + 1 :]]),
]


@dataclass(frozen=True)
class Kind:
    """`files`: those that are damaged, one at a time; `load` reads them all. `names`: what a refusal must name one of
    (default: the paths of the files and of their folder). `out`: where `load` writes one whole folder or nothing.
    """

    files: list[Path]
    load: Callable[[], Any]
    names: tuple[str, ...] = ()
    out: Path | None = None


def refusals(kind: Kind, damages: int = DAMAGES) -> int:
    """How many of the damages were refused; AssertionError for what neither loads nor is refused in one line."""
    names = kind.names or tuple(str(place) for path in kind.files for place in (path, path.parent))
    sound = {path: path.read_bytes() for path in kind.files}
    kind.load()
    check_written(kind.out, 1)
    refused = 0
    for number in range(damages):
        path = kind.files[number % len(kind.files)]
        path.write_bytes(repacked(sound[path], number))
        try:
            kind.load()
            check_written(kind.out, 1)
        except UserError as error:
            refused += 1
            check_written(kind.out, 0)
            message = str(error)
            assert any(name in message for name in names), f"{path.name}, damage {number}: names no file: {message}"
            assert message.isprintable(), f"{path.name}, damage {number}: {message!r}"
            assert len(message) <= 1_000, f"{path.name}, damage {number}: {message!r}"
        except BaseException as error:
            error.add_note(f"{path.name}, damage {number}")
            raise
        finally:
            path.write_bytes(sound[path])
    return refused


def check_written(out: Path | None, expected: int) -> None:
    """So many folders and nothing else are in `out`, which is emptied."""
    found = sorted(out.iterdir()) if out and out.exists() else []
    assert out is None or (len(found) == expected and all(path.is_dir() and path.name[0] != "." for path in found))
    for path in found:
        shutil.rmtree(path)


def repacked(sound: bytes, number: int) -> bytes:
    """Damage to the bytes of the file or, of a gzip file, half of the time to what is in it."""
    if sound[:2] == b"\x1f\x8b" and number % 2:
        return gzip.compress(damaged(gzip.decompress(sound), number), compresslevel=1)
    return damaged(sound, number)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Warnings of what is loaded all the same; Python's own, as of a lossy cast, would be a fault."""
    caplog.set_level(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound data set in the benchmark's format."""
    data = synthetic("toy", n_users=20, n_items=25, n_interactions=160, dims={"image": 3, "text": 4})
    path = tmp_path / "toy"
    path.mkdir()
    splits = (data.train, data.valid, data.test)
    rows = [
        f"{u}\t{i}\t5.0\t{label}"
        for label, part in enumerate(splits)
        for u, i in zip(part.users, part.items, strict=True)
    ]
    (path / "toy.inter").write_text("\n".join(["userID\titemID\trating\tx_label", *rows, ""]))
    for name, matrix in data.features.items():
        np.save(path / f"{name}_feat.npy", matrix)
    return path


def test_benchmark_interactions(folder: Path) -> None:
    kind = Kind([folder / "toy.inter"], lambda: load_mmrec(folder, folder.parent / "cache"))
    assert 50 < refusals(kind) < DAMAGES


def test_features(folder: Path) -> None:
    path = folder / "image_feat.npy"
    assert refusals(Kind([path], lambda: load_features(path, 25))) > 50


def test_mmrec_folder(folder: Path) -> None:
    files = sorted(folder.iterdir())
    assert refusals(Kind(files, lambda: load_dataset("toy", folder.parent, folder.parent / "cache"))) > 50


def test_amr_folder(tmp_path: Path) -> None:
    made = synthetic("pins", n_users=15, n_items=40, n_interactions=80, dims={"image": 3})
    path = tmp_path / "pins"
    amr_folders.write(path, made, 6)
    kind = Kind([path / name for name in ("pos.txt", "neg.txt", "f_resnet.npy")], lambda: load_amr(path))
    assert 50 < refusals(kind) < DAMAGES


def test_recbole_folder(tmp_path: Path) -> None:
    path = tmp_path / "toy"
    path.mkdir()
    rows = [f"u{u}\ti{i}\t{u + i}.0" for u in range(12) for i in range(0, 20, 1 + u % 3)]
    (path / "toy.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows, ""]))
    np.save(path / "image_feat.npy", np.random.default_rng(0).random((20, 3)))
    (path / "image_feat.ids.txt").write_text("".join(f"i{item}\n" for item in range(20)))
    assert 50 < refusals(Kind(sorted(path.iterdir()), lambda: load_recbole(path))) < DAMAGES


TITLES = ["red shoe", "blue shoe", "red hat", "green sock", "blue hat", "wool sock", "old hat", "new shoe"]


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Interactions as CSV and Parquet, titles as CSV, features as .npy with the list of their items."""
    path = tmp_path / "mine"
    path.mkdir()
    rows = [(f"user {u}", f"B{i:03}", 1 + (u + i) % 5, 1_400_000_000 + 97 * i + u) for u in range(9) for i in range(8)]
    lines = [",".join(map(str, row)) for row in rows]
    (path / "clicks.csv").write_text("\n".join(["user,item,rating,timestamp", *lines, ""]))
    pd.DataFrame(rows, columns=["user", "item", "rating", "timestamp"]).to_parquet(path / "clicks.parquet")
    titles = [f'B{item:03},"{title}, {item}"' for item, title in enumerate(TITLES)]
    (path / "items.csv").write_text("\n".join(["item,title", *titles, ""]))
    np.save(path / "image.npy", np.random.default_rng(0).random((8, 3)))
    (path / "image.txt").write_text("".join(f"B{item:03}\n" for item in range(8)))
    return path


@pytest.mark.parametrize("table", ["clicks.csv", "clicks.parquet"])
def test_tables_of_ones_own(tables: Path, table: str) -> None:
    out = tables.parent / "out"
    features = [f"image={tables / 'image.npy'}:{tables / 'image.txt'}", f"text={tables / 'items.csv'}:title"]

    def load() -> None:
        made = prepare_own(
            tables / table, name="toy", data_dir=out, features=features, min_rating=2, rule="time", encoder="tfidf"
        )
        assert load_mmrec(made, tables.parent / "cache").ids

    files = [tables / name for name in (table, table, "items.csv", "image.npy", "image.txt")]
    assert refusals(Kind(files, load, (str(tables), "`features`"), out), damages=150) > 20


def test_id_tables(tables: Path) -> None:
    made = prepare_own(tables / "clicks.csv", name="toy", data_dir=tables.parent / "out")
    files = [made / "user_ids.tsv", made / "item_ids.tsv"]
    assert 50 < refusals(Kind(files, lambda: load_mmrec(made, tables.parent / "cache").ids)) < DAMAGES


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Amazon's four raw files, small, with image features of width 4."""
    path = tmp_path / "raw"
    path.mkdir()
    asins = [f"B{item:09}" for item in range(8)]
    rows = [(f"A{u}", asin, 1 + u % 5, 1_400_000_000 + u) for u in range(9) for asin in asins[u % 2 :]]
    keys = ("reviewerID", "asin", "overall", "unixReviewTime")
    reviews = [json.dumps(dict(zip(keys, row, strict=True)) | {"reviewText": '\u00e9, "so"'}) for row in rows]
    (path / "reviews.json.gz").write_bytes(gzip.compress("\n".join(reviews).encode()))
    (path / "ratings.csv").write_text("".join(f"{u},{i},{rating}.0,{time}\n" for u, i, rating, time in rows))
    items = [
        {"asin": asin, "title": title, "brand": "Ex's", "categories": [["Toys", "Hats"]], "description": "1\n2"}
        for asin, title in zip(asins, TITLES, strict=True)
    ]
    (path / "meta.json.gz").write_bytes(gzip.compress("\n".join(map(repr, items)).encode()))
    values = np.random.default_rng(0).random((7, 4), dtype=np.float32)
    (path / "image.b").write_bytes(
        b"".join(asin.encode() + row.tobytes() for asin, row in zip(asins[1:], values, strict=True))
    )
    return path


def test_amazon_reviews(raw: Path) -> None:
    path = raw / "reviews.json.gz"
    assert 50 < refusals(Kind([path], lambda: collect(read_reviews(path), 3, path))) < DAMAGES


def test_amazon_ratings(raw: Path) -> None:
    path = raw / "ratings.csv"
    assert 50 < refusals(Kind([path], lambda: collect(read_ratings(path), 3, path))) < DAMAGES


def test_amazon_metadata(raw: Path) -> None:
    path = raw / "meta.json.gz"
    rows = {f"B{item:09}": item for item in range(8)}
    assert 50 < refusals(Kind([path], lambda: read_texts(path, rows))) < DAMAGES


def test_amazon_image_features(raw: Path) -> None:
    path = raw / "image.b"
    rows = {f"B{item:09}": item for item in range(8)}
    assert 50 < refusals(Kind([path], lambda: read_image_features(path, rows, raw / "scratch", 4))) < DAMAGES


def test_amazon_files_to_a_folder(raw: Path) -> None:
    files = {"reviews": "reviews.json.gz", "metadata": "meta.json.gz", "image-features": "image.b"}
    sources = Sources({kind: raw / name for kind, name in files.items()})
    out = raw.parent / "out"

    def load() -> None:
        made = prepare_amazon("baby", data_dir=out, sources=sources, k_core=3, encoder="tfidf", width=4)
        load_mmrec(made, raw.parent / "cache")

    assert 20 < refusals(Kind([raw / name for name in files.values()], load, (str(raw),), out), damages=90) < 90


SPACE = """# what a user may write
strategy:
  alpha: {type: uniform, low: 0.6, high: 2.0, default: 1.0}
  beta: {type: fraction, of: alpha, low: 0.02, high: 0.8}
  interval: {type: categorical, values: [1, 3, 5, 7], default: 3}
train:
  learning_rate: {type: loguniform, low: 1.0e-4, high: 1e-1}
  batch_size: 2048
  optimizer: adam
model:
  embedding_size: {type: int, low: 8, high: 64, step: 8}
  reg_weight: 1e-3
"""


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """The least that a space is built on, as it is read anew for each damage."""
    for name, text in {"models/GRCN": "model: {n_layers: 2}", "strategies/mg": "{alpha: 1.0, beta: 0.2}"}.items():
        (tmp_path / "layers" / name).parent.mkdir(parents=True)
        (tmp_path / "layers" / f"{name}.yaml").write_text(text)
    return tmp_path / "layers"


def test_space_file(tmp_path: Path, layers: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SPACE)
    known = known_parameters("GRCN", "mg")

    def load() -> None:
        space = load_space("GRCN", "mg", "demo", space=str(path), known=known, root=layers)
        Space.from_data(space.to_data())
        space.describe()

    assert 50 < refusals(Kind([path], load, names=(str(path),))) < DAMAGES


def test_set(layers: Path) -> None:
    known = known_parameters("GRCN", "mg")
    sound = [b"reg_weight=1e-3", b"alpha={type: uniform, low: 0.6, high: 2.0}", b"train.optimizer=[adam, sgd]"]
    sound += [b"beta={type: fraction, of: alpha, low: 0.1, high: 0.5}", b"interval=3"]
    refused = 0
    for number in range(DAMAGES):
        text = damaged(sound[number % len(sound)], number).decode(errors="surrogateescape")
        load = partial(load_space, "GRCN", "mg", "demo", overrides=[text], known=known, root=layers)
        refused += refused_in_one_line(load, "--set")
    assert 50 < refused < DAMAGES


def refused_in_one_line(load: Callable[[], Any], *names: str) -> bool:
    try:
        load()
    except UserError as error:
        message = str(error)
        assert len(message) <= 1_000
        assert message.isprintable()
        assert any(name in message for name in names), message
        return True
    return False


def test_names_of_data_sets_and_variants() -> None:
    demo = load_dataset("demo")
    small = replace(demo, features={name: matrix[:, :2] for name, matrix in demo.features.items()})
    sound = b"demo@noise=0.1,missing.image=0.2,fake=0.1,shift=1,seed=3"
    refused = 0
    for number in range(DAMAGES):
        name = damaged(sound, number).decode(errors="surrogateescape")

        def load(name: str = name) -> None:
            if name.startswith("demo@"):
                corrupted(small, parse_variant(name))
            else:
                load_dataset(name, Path("/nowhere") if len(name) % 2 else None)

        refused += refused_in_one_line(load, "data set", "`data_dir`", "/nowhere")
    assert 50 < refused < DAMAGES


def test_exported_configuration(tmp_path: Path) -> None:
    path = exported(tmp_path, a_spec())
    assert 50 < refusals(Kind([path], lambda: read_trainable(path))) < DAMAGES


def test_spec_of_a_search(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(a_spec(space={"model": {"n_layers": 2}}).to_yaml())
    assert 50 < refusals(Kind([path], lambda: SearchSpec.read(path))) < DAMAGES


@pytest.mark.parametrize("name", ["experiment.yaml", "comparison.yaml"])
def test_experiment(tmp_path: Path, name: str) -> None:
    options = {"model": "LightGCN", "dataset": "demo", "compare": "mg", "output_dir": str(tmp_path)}
    experiment = new_experiment(options | {"name": "c"})
    assert experiment is not None
    experiment.write()
    path = (experiment.folder / "experiment.yaml").rename(experiment.folder / name)
    if name == "comparison.yaml":  # as it was before there were experiments
        text = path.read_text().replace("confirm:\n  top: 3\n  seeds: 5\non_base: true\n", "seeds: 5\n")
        assert "\nseeds: 5\n" in text
        path.write_text(text)
    assert 50 < refusals(Kind([path], lambda: Experiment.in_folder(experiment.folder))) < DAMAGES

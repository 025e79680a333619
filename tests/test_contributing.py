"""Each addition that CONTRIBUTING.md describes, made in a copy of the sources as it says, and then searched with."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.tuning.cli.helpers import BARE

ROOT = Path(__file__).parents[1]

MODEL = '''
"""Matrix factorisation with a bias of each item."""

import torch

from recmodels.data.dataset import RecDataset
from recmodels.losses import bpr
from recmodels.models.base import Recommender
from recmodels.models.parts.tables import ItemTable, UserTable


class Toy(Recommender):
    """Inner products and a bias of each item."""

    reads_features = False

    def __init__(self, data: RecDataset, *, embedding_size: int = 8):
        super().__init__(data)
        self.user_emb = UserTable(torch.randn(data.n_users, embedding_size) / 10)
        self.item_emb = ItemTable(torch.randn(data.n_items, embedding_size) / 10)
        self.bias = ItemTable(torch.zeros(data.n_items, 1))

    def embed(self):
        users = torch.cat([self.user_emb, torch.ones(self.n_users, 1)], dim=1)
        return users, torch.cat([self.item_emb, self.bias], dim=1)

    def loss(self, batch):
        users, items = self.embed()
        margin = (users[batch[0]] * (items[batch[1]] - items[batch[2]])).sum(1)
        return {"bpr": bpr(margin, floor=1e-10)}
'''
MODEL_SPACE = """
model:
  embedding_size: {type: int, low: 4, high: 8, default: 8}
train: {optimizer: adam, learning_rate: 1.0e-2, batch_size: 2048, weight_decay: 0.0}
"""
STRATEGY = '''
"""A step of another length."""

from dataclasses import dataclass
from typing import ClassVar

from recmodels.signatures import Positive
from recmodels.training.strategies.base import Rule


@dataclass(kw_only=True, eq=False)
class Toy(Rule):
    """A step with `factor` times the gradient."""

    off: ClassVar = {"factor": 1.0}
    shown: ClassVar = ("factor",)
    factor: Positive = 1.0

    def step(self, gradient, update, loss):
        gradient()
        update(self.factor)
'''
TRACKER = '''
"""A store that notes what it is told in a file of JSON lines."""

import json
from pathlib import Path

from tuning.tracking.store import Store, StoredRun


class ToyStore(Store):
    title = "Toy"

    def __init__(self, uri, experiment):
        self.path, self.experiment, self.runs = Path(uri.partition(":")[2]), experiment, {}

    @staticmethod
    def resolve(uri):
        return uri

    def note(self, **what):
        with self.path.open("a") as file:
            file.write(json.dumps(what) + "\\n")

    def find(self, search_id, known):
        return {}

    def create(self, title, start, tags, parent):
        self.note(created=title, parent=parent)
        return StoredRun(title, "RUNNING", tags, {})

    def reopen(self, run_id): ...

    def epochs(self, run_id):
        return set()

    def log(self, run_id, points, tags, params):
        self.note(run=run_id, points=[point.name for point in points], params=params)

    def describe(self, run_id, markdown): ...

    def end(self, run_id, state, seconds):
        self.note(ended=run_id, state=state)

    def upload(self, run_id, path): ...

    def refused(self, error):
        return False
'''


class Edit(NamedTuple):
    """In the file `path`, `text` comes right after the one place that has `anchor`."""

    path: str
    anchor: str
    text: str


class Addition(NamedTuple):
    """`most`: the number of files, tests aside, that may be touched."""

    files: dict[str, str]
    edits: list[Edit]
    most: int


MODELS, SPEC = "recmodels/models/__init__.py", "tuning/spec.py"
ADDITIONS = {
    "model": Addition(
        {"recmodels/models/toy.py": MODEL, "search_spaces/models/Toy.yaml": MODEL_SPACE},
        [
            Edit(MODELS, "from recmodels.models.slmrec import SLMRec\n", "from recmodels.models.toy import Toy\n"),
            Edit(MODELS, "SLMRec,", "Toy,"),
        ],
        most=3,
    ),
    "strategy": Addition(
        {"recmodels/training/strategies/toy.py": STRATEGY, "search_spaces/strategies/toy.yaml": "factor: 0.5\n"},
        [
            Edit(
                "recmodels/training/strategies/names.py",
                "from recmodels.training.strategies.ssam import DynamicSAM, FisherSAM\n",
                "from recmodels.training.strategies.toy import Toy\n",
            ),
            Edit("recmodels/training/strategies/names.py", '    "mg": MirrorGradient,\n', '    "toy": Toy,\n'),
        ],
        most=3,
    ),
    "sampler": Addition(
        {},
        [
            Edit(
                "tuning/proposals/study.py",
                "SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {\n",
                '    "toy": lambda seed, done: samplers.RandomSampler(seed=seed + done),\n',
            ),
            Edit(SPEC, 'sampler: Literal["auto", ', '"toy", '),
        ],
        most=2,
    ),
    "column": Addition(
        {},
        [
            Edit(
                "tuning/reports/columns.py",
                'Column("trial", lambda row: row.name, justify="left"),\n',
                '        Column("letters", lambda row: len(row.name)),\n',
            )
        ],
        most=1,
    ),
    "tracker": Addition(
        {"tuning/tracking/toy_store.py": TRACKER},
        [
            Edit(
                "tuning/tracking/stores.py",
                "from tuning.tracking.store import Store\n",
                "from tuning.tracking.toy_store import ToyStore\n",
            ),
            Edit("tuning/tracking/stores.py", "STORES: dict[str, type[Store]] = {", '"toy": ToyStore, '),
        ],
        most=2,
    ),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with all additions."""
    root = tmp_path_factory.mktemp("sources")
    for package in ("recmodels", "tuning", "search_spaces"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "run_search.py", root)
    for addition in ADDITIONS.values():
        for path, text in addition.files.items():
            (root / path).write_text(text)
        for edit in addition.edits:
            before = (root / edit.path).read_text()
            assert before.count(edit.anchor) == 1, edit
            (root / edit.path).write_text(before.replace(edit.anchor, edit.anchor + edit.text))
    return root


def run(root: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(root), "XDG_CACHE_HOME": str(root / "cache")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_touches_few_files(name: str) -> None:
    addition = ADDITIONS[name]
    assert len({*addition.files, *(edit.path for edit in addition.edits)}) <= addition.most


def test_a_search_uses_all_additions(sources: Path) -> None:
    names = ("--model", "Toy", "--strategy", "toy", "--sampler", "toy", "--tracking-uri", "toy:told.jsonl", *BARE)
    output = run(
        sources, "run_search.py", *names, "--tune", "all", "--dataset", "demo", "--trials", "2", "--max-epochs", "2"
    )
    header = next(line.split() for line in output.splitlines() if "status" in line and "letters" in line)
    assert header[:3] == ["trial", "letters", "status"]
    assert {"embedding_size", "factor"} <= set(header)
    row = next(line.split() for line in output.splitlines() if line.startswith("0000 ") and "after" not in line)
    assert row[:3] == ["0000", "4", "finished"]
    told = [json.loads(line) for line in (sources / "told.jsonl").read_text().splitlines()]
    search = next(line["created"] for line in told if "created" in line)
    assert [line["parent"] for line in told if line.get("created", "").endswith((" 0000", " 0001"))] == [search, search]
    assert {line["ended"]: line["state"] for line in told if "ended" in line} == dict.fromkeys(
        (search, "Toy-demo-toy 0000", "Toy-demo-toy 0001"), "FINISHED"
    )
    assert "valid/recall_at_20" in {point for line in told for point in line.get("points", ())}


def test_the_contracts_hold_for_the_toys(sources: Path) -> None:
    code = "from recmodels.models import MODELS; from recmodels.testing import check_model, check_strategy\n"
    assert run(sources, "-c", code + "check_model(MODELS['Toy']); check_strategy('toy', factor=0.5); print('kept')")

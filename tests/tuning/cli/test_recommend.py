"""From an exported configuration to the best items of each user, in the ids that the data came with."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import run_search
from recmodels.data import load_dataset
from recmodels.evaluation.recommend import best_items, known_items, top_items, write_table
from recmodels.prepare.user_table import prepare_own
from recmodels.training.checkpoint import save_weights
from tests.recmodels.pretended_gpu import Pretended
from tests.tuning.test_end_to_end import finish, started
from tuning.export import Export
from tuning.export.replay import replay
from tuning.yaml_document import to_yaml

N = 12
USERS, ITEMS = [f"user {number}" for number in range(N)], [f"{number:03}" for number in range(N)]
EXPORT: dict[str, Any] = {
    "model": "BPR",
    "dataset": "own",
    "strategy": "plain",
    "parameters": {
        "strategy": {},
        "train": {"learning_rate": 0.05, "batch_size": 8, "optimizer": "adam", "weight_decay": 0.0},
        "model": {"embedding_size": 4},
    },
    "seed": 3,
    "training": {
        "epochs": 6,
        "best_epoch": 1,
        "metric": "recall@5",
        "ks": [5],
        "max_epochs": 6,
        "patience": 6,
    },
    "metrics": {"valid": {"recall@5": -1.0}, "test": {}},
    "data_fingerprint": "",
    "versions": {},
    "threads": 1,
    "device": "cpu",
    "search": {"name": "s", "trials": {}, "sampler": "auto", "scheduler": "none"},
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of string ids, users liking items of their own parity, and x.yaml, which a replay confirms."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairs = [(USERS[u], ITEMS[i]) for u in range(N) for i in range(N) if (u + i) % 2 == 0 and i != u]
    pd.DataFrame(pairs, columns=["user", "item"]).to_csv("plays.csv", index=False)
    prepare_own(Path("plays.csv"), name="own", data_dir=Path("data"))
    data = load_dataset("own", Path("data"))
    export = Export.model_validate(EXPORT | {"data_fingerprint": data.fingerprint})
    trained = replay(export, data)
    save_weights(tmp_path / "best.safetensors", trained.weights)
    Path("x.yaml").write_text(to_yaml(export.model_dump(mode="json") | {"metrics": trained.scores}))
    return tmp_path


def recommended(*arguments: str) -> pd.DataFrame:
    assert run_search.main(["recommend", "x.yaml", "--output", "r.csv", *arguments]) == 0
    return pd.read_csv("r.csv", dtype={"user": str, "item": str})


def known(*splits: str) -> set[tuple[str, str]]:
    table = pd.read_csv("data/own/own.inter", sep="\t")
    parts = {"train": 0, "valid": 1, "test": 2}
    rows = table[table["x_label"].isin([parts[split] for split in splits])]
    users, items = (
        pd.read_csv(f"data/own/{kind}_ids.tsv", sep="\t", dtype=str)["original_id"] for kind in ("user", "item")
    )
    return {(users[user], items[item]) for user, item in zip(rows["userID"], rows["itemID"], strict=True)}


@pytest.mark.usefixtures("here")
def test_all_users_get_what_the_evaluator_ranks_in_their_own_ids(caplog: Any) -> None:
    table = recommended("--top", "5")
    assert "warning" not in caplog.text  # validation metrics of the model at hand are the exported ones
    assert table.columns.tolist() == ["user", "rank", "item", "score"]
    assert table["user"].unique().tolist() == USERS
    assert (table.groupby("user")["rank"].agg(list).map(tuple) == (1, 2, 3, 4, 5)).all()
    assert (table.groupby("user")["score"].diff().dropna() <= 0).all()
    held = known("valid")
    hits = {pair for pair in zip(table["user"], table["item"], strict=True) if pair in held}
    assert len(hits) / N == pytest.approx(Export.read(Path("x.yaml")).metrics.valid["recall@5"])
    assert not hits & known("train")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("leave_out", "splits"), [("train", ("train",)), ("all", ("train", "valid", "test")), ("none", ())]
)
def test_what_a_user_knows_is_left_out(leave_out: str, splits: tuple[str, ...]) -> None:
    table = recommended("--top", "99", "--leave-out", leave_out)
    everything = {(user, item) for user in USERS for item in ITEMS}
    assert set(zip(table["user"], table["item"], strict=True)) == everything - known(*splits)


@pytest.mark.usefixtures("here")
def test_stored_weights_rank_as_trained_ones_do() -> None:
    expected = recommended()
    pd.testing.assert_frame_equal(recommended("--weights", "best.safetensors"), expected)


@pytest.mark.usefixtures("here")
def test_some_users_in_parquet() -> None:
    Path("users.txt").write_text("user 7\nuser 2\nuser 7\n")
    arguments = ["--users", "users.txt", "--top", "2", "--output", "new/r.parquet", "--weights", "best.safetensors"]
    assert run_search.main(["recommend", "x.yaml", *arguments]) == 0
    table = pd.read_parquet("new/r.parquet")
    assert table["user"].tolist() == ["user 7", "user 7", "user 2", "user 2"]
    expected = recommended("--top", "2").set_index("user")["item"]
    assert table["item"].tolist() == [*expected["user 7"], *expected["user 2"]]
    assert [path.name for path in Path("new").iterdir()] == ["r.parquet"]


@pytest.mark.usefixtures("here")
def test_other_weights_or_data_are_said(caplog: Any) -> None:
    data = load_dataset("own", Path("data"))
    export = Export.read(Path("x.yaml"))
    other = export.model_copy(update={"seed": 4, "training": export.training.model_copy(update={"epochs": 1})})
    save_weights(Path("other.safetensors"), replay(other, data).weights)
    Path("x.yaml").write_text(Path("x.yaml").read_text().replace(export.data_fingerprint, "f00d"))
    recommended("--weights", "other.safetensors")
    assert "own is not the data of the export" in caplog.text
    assert "warning: recall@5 on validation is" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("none.yaml", "none.yaml: No such file or directory, expected an exported configuration"),
        ("x.yaml --top 0", "--top: expected at least 1, but got 0"),
        ("x.yaml --top many", "--top: invalid int value: 'many'"),
        ("x.yaml --tpo 3", "--tpo: no such option; did you mean '--top'?"),
        ("x.yaml --output r.xls", "--output r.xls: expected the name of a file that ends in .csv or .parquet"),
        ("x.yaml --output plays.csv/r.csv", "--output plays.csv/r.csv: {here}/plays.csv is not a folder to write to"),
        ("x.yaml --users users.txt", "users.txt:2: no user 'nobody' in own, expected ids such as 'user 0'"),
        ("x.yaml --users none.txt", "none.txt: cannot be read (No such file or directory)"),
        ("x.yaml --weights none.safetensors", "none.safetensors: no such file, expected weights such as best-0012"),
        ("x.yaml --weights plays.csv", "plays.csv: not weights of BPR for own ("),
        ("x.yaml --weights small.safetensors", "small.safetensors: not weights of BPR for own (Error(s) in loading"),
        ("x.yaml --data-dir elsewhere", "--data-dir elsewhere: no such folder, expected the one that holds 'own'"),
    ],
)
def test_a_fault_is_one_line(capsys: Any, here: Path, arguments: str, message: str) -> None:
    Path("users.txt").write_text("user 1\nnobody\n")
    save_weights(Path("small.safetensors"), {"user_emb": torch.ones(2, 2)})
    assert run_search.main(["recommend", *shlex.split(arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"run_search.py: {message.format(here=here)}")
    assert error.count("\n") == 1
    assert not list(Path().glob("*r.csv*"))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("device", "share", "warns"), [("cuda", 0.004, False), ("cuda", 0.04, True), ("cpu", 0.004, True)]
)
@pytest.mark.parametrize("how", ["trained again", "weights"])
def test_a_gpu_s_export_is_recommended_from_on_a_machine_without_one(
    caplog: Any, device: str, share: float, warns: bool, how: str
) -> None:
    content = Export.read(Path("x.yaml")).model_dump(mode="json") | {"device": device}
    content["metrics"]["valid"]["recall@5"] *= 1 + share
    expected = recommended(*(["--weights", "best.safetensors"] if how == "weights" else []))
    caplog.clear()
    Path("x.yaml").write_text(to_yaml(content))
    found = recommended(*(["--weights", "best.safetensors"] if how == "weights" else []))
    pd.testing.assert_frame_equal(found, expected)
    assert ("recall@5 on validation is" in caplog.text) == warns
    assert caplog.text.count("warning: trained on a GPU") == (device == "cuda")


@pytest.mark.usefixtures("here")
def test_recommendations_are_computed_on_the_gpu_where_there_is_one() -> None:
    expected = recommended("--weights", "best.safetensors", "--top", "4")
    content = Export.read(Path("x.yaml")).model_dump(mode="json")
    Path("x.yaml").write_text(to_yaml(content | {"device": "cuda"}))
    with Pretended() as gpu:
        found = recommended("--weights", "best.safetensors", "--top", "4")
        assert gpu.kernels > 0
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_weights_that_do_not_fit_the_gpu_are_not_called_those_of_another_model(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def full(*_: Any) -> None:
        raise error("CUDA error: out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    assert run_search.main(["recommend", "x.yaml", "--weights", "best.safetensors"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("run_search.py: out of memory of the GPU (2.00 GiB more did not fit)")


def test_a_table_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def frames() -> Any:
        yield pd.DataFrame({"user": ["a"], "rank": [1], "item": ["b"], "score": [np.float32(1)]})
        raise KeyboardInterrupt

    for name in ("r.csv", "r.parquet"):
        with pytest.raises(KeyboardInterrupt):
            write_table(tmp_path / name, frames())
    assert not list(tmp_path.iterdir())


def test_ranks_in_blocks_as_the_evaluator_does(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_dataset("demo")
    torch.manual_seed(0)
    final = torch.randn(data.n_users, 8), torch.randn(data.n_items, 8)
    monkeypatch.setattr("recmodels.evaluation.counting.BLOCK_SCORES", 70 * data.n_items)
    blocks = list(best_items(final, np.arange(data.n_users), 7, known_items(data.splits, "train"), data.ids))
    assert len(blocks) == 15
    items = pd.concat(blocks)["item"].astype(int).to_numpy().reshape(-1, 7)
    _, expected = top_items(*final, np.arange(data.n_users), 7, data.train)
    np.testing.assert_array_equal(items, expected)


def test_the_digits_of_a_score_do_not_depend_on_how_many_users_are_asked_for() -> None:
    """A product of two matrices in float32 does not give a row the digits that it gives the row alone."""
    data = load_dataset("demo")
    torch.manual_seed(0)
    final = torch.randn(data.n_users, 64), torch.randn(data.n_items, 64)
    together = pd.concat(best_items(final, np.arange(50), 20, None, data.ids), ignore_index=True)
    alone = [frame for user in range(50) for frame in best_items(final, np.array([user]), 20, None, data.ids)]
    pd.testing.assert_frame_equal(pd.concat(alone, ignore_index=True), together, check_exact=True)


def test_from_a_table_of_string_ids_to_recommendations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, caplog: Any
) -> None:
    """The whole way on the command line: prepare, search, replay, recommend."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    plays = [(f"u-{u}", f"{i:03}") for u in range(40) for i in rng.choice(30, 8, replace=False)]
    pd.DataFrame(plays, columns=["listener", "item_id"]).to_csv("plays.csv", index=False)
    songs = pd.DataFrame({"item_id": [f"{number:03}" for number in range(30)]})
    songs["title"] = [f"{('quiet', 'loud')[row % 2]} song of the {row % 7}th kind" for row in songs.index]
    songs.to_csv("songs.csv", index=False)
    np.save("clips.npy", rng.standard_normal((30, 5)))
    Path("clips.txt").write_text("\n".join(reversed(songs["item_id"].tolist())))

    features = ("--features", "text=songs.csv:title", "--features", "audio=clips.npy:clips.txt", "--encoder", "tfidf")
    assert (
        run_search.main(["prepare", "--from", "plays.csv", "--name", "songs", "--user-col", "listener", *features]) == 0
    )
    small = ("--set", "embedding_size=4", "--trials", "2", "--max-epochs", "2", "--tracking-uri", "none")
    finish(started(tmp_path, "--model", "VBPR", "--dataset", "songs", "--name", "s", *small))
    export = "best_configs/VBPR-songs-mg.yaml"
    assert run_search.main(["--replay", export]) == 0
    assert "digit by digit" in capsys.readouterr().out
    assert run_search.main(["recommend", export, "--top", "3"]) == 0
    assert "120 rows for 40 users: VBPR-songs-mg-top3.csv" in capsys.readouterr().out
    assert "warning: recall" not in caplog.text
    table = pd.read_csv("VBPR-songs-mg-top3.csv", dtype=str)
    assert set(table["user"]) == {user for user, _ in plays}
    assert set(table["item"]) <= set(songs["item_id"])

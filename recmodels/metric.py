"""Names of ranking metrics. Loads no torch, so that a command line can check them at once."""

import re

from recmodels.errors import nearest

NAMES = ("recall", "precision", "map", "ndcg", "hit")


class Metric(str):
    """A ranking metric of the best `k` items as text, such as `recall@20`. Raises ValueError for any other text."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Metric":
        name, _, k = text.partition("@")
        is_cutoff = bool(re.fullmatch(r"[1-9][0-9]{0,8}", k))
        if name not in NAMES or not is_cutoff:
            near = nearest(name, NAMES)
            hint = f"; did you mean '{near}@{k}'?" if near and is_cutoff else ""
            expected = f"expected one of {', '.join(NAMES)} and a cut-off, like recall@20"
            raise ValueError(f"{expected}, but got {text!r}{hint}")
        return super().__new__(cls, text)

    @property
    def name(self) -> str:
        return self.partition("@")[0]

    @property
    def k(self) -> int:
        return int(self.partition("@")[2])

"""Names of ranking metrics. Loads no torch, so that a command line can check them at once."""

import re

NAMES = ("recall", "precision", "map", "ndcg", "hit")


class Metric(str):
    """A ranking metric of the best `k` items as text, such as `recall@20`. Raises ValueError for any other text."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Metric":
        if not re.fullmatch(rf"({'|'.join(NAMES)})@[1-9]\d{{0,8}}", text):
            raise ValueError(f"expected one of {', '.join(NAMES)} and a cut-off, like recall@20, but got {text!r}")
        return super().__new__(cls, text)

    @property
    def name(self) -> str:
        return self.partition("@")[0]

    @property
    def k(self) -> int:
        return int(self.partition("@")[2])

"""The order in which Ray gets plans, and when it gets no more."""

from collections import deque
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from tests.tuning.factories import made_plan
from tuning.execution.ray_tune.placement import TrialResources
from tuning.execution.ray_tune.searcher import PlanSearcher
from tuning.records import SearchFolder, TrialPlan


def test_a_lost_trial_comes_next_also_after_the_last_plan(tmp_path: Path) -> None:
    folder, again = SearchFolder(tmp_path), deque[TrialPlan]()
    plans = [made_plan(trial=name) for name in ("0000", "0001")]
    searcher = PlanSearcher(iter(plans), folder, TrialResources(2, 0.0, 2), again)

    def suggested(ray_id: str) -> Any:
        answer = searcher.suggest(ray_id)
        return answer["trial"] if isinstance(answer, dict) else answer

    assert suggested("a") == "0000"
    searcher.on_trial_complete("a", error=True)
    again.append(plans[0])
    assert [suggested("b"), suggested("c")] == ["0000", "0001"]
    searcher.on_trial_complete("c")
    assert suggested("d") is None  # 0000 runs, and may lose its worker again
    searcher.on_trial_complete("b", error=True)
    again.append(plans[0])
    assert suggested("e") == "0000"
    searcher.on_trial_complete("e")
    assert suggested("f") == Searcher.FINISHED
    assert folder.trial("0000").plan().threads == 2

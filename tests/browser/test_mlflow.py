"""MLflow's own pages of a made search, as a person finds them.

They are opened by `browser` and not by `page`: a server without a login answers MLflow's own question who the user is
with 404, which the console calls an error.
"""

import getpass
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PATIENCE
from tests.tuning.factories import made_confirmation, made_folder
from tests.tuning.tracking.mlflow_server import Server
from tuning.commandlines import look_commands
from tuning.records import Confirmation, SearchFolder, Tests, TrialRecord
from tuning.reports.search_report import summary_markdown
from tuning.tracking.tracker import Tracker

VIEW = "workflowType=machine_learning"
TRIALS = 6


def made_search(root: Path, uri: str) -> SearchFolder:
    """A search of six trials with six alphas, of which 0004 was chosen on fresh seeds."""
    folder = made_folder(root, trials=TRIALS, uri=uri, name="GRCN-tiktok-mg", model="GRCN", dataset="tiktok")
    for number, plan in enumerate(folder.plans()):
        strategy = {"alpha": 1 + number / 4, "beta": 0.25 + number / 8, "interval": 1 + number % 3}
        folder.trial(plan.trial).write_plan(replace(plan, params={**plan.params, "strategy": strategy}))
    folder.confirmation.write_text(made_confirmation("0004").to_yaml())
    folder.report.write_text("<h1>The report</h1><script>document.body.append('and its scripts')</script>")
    return folder


@pytest.fixture
def pages(tmp_path: Path, browser: Any, screenshots: Path) -> Iterator["Pages"]:
    folder = made_search(tmp_path, f"sqlite:///{tmp_path}/mlflow.db")

    def summary(records: list[TrialRecord], tests: Tests) -> str:
        told = Confirmation.in_file(folder.confirmation)
        return summary_markdown(folder.spec(), records, folder.environment(), None, tests, None, told)

    tracker = Tracker(folder, folder.spec(), lambda text: None, summary)
    tracker.start()
    assert tracker.close(interrupted=False, timeout=900) == 0
    server = Server(tmp_path)
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(PATIENCE)
    try:
        server.start()
        yield Pages(page, server.uri, folder, tracker, screenshots)
    finally:
        page.close()
        server.kill()


class Pages:
    """MLflow's pages in the browser."""

    def __init__(self, page: Any, uri: str, folder: SearchFolder, tracker: Tracker, screenshots: Path) -> None:
        self.page, self.uri, self.folder, self.runs, self.screenshots = page, uri, folder, tracker.run_ids, screenshots

    def open(self, place: str) -> None:
        self.page.goto(f"{self.uri}/#/{place}")

    def run(self, name: str, tab: str = "") -> str:
        return f"experiments/{self.runs.experiment}/runs/{self.runs.ids[name]}{tab}?{VIEW}"

    def finds(self, *texts: str) -> None:
        for text in texts:
            self.page.get_by_text(text).first.wait_for()

    def keep(self, name: str) -> None:
        self.page.screenshot(path=self.screenshots / f"mlflow-{name}.png")


def test_mlflow_shows_what_a_search_is(pages: Pages) -> None:
    page = pages.page
    pages.open("experiments")
    pages.finds("mirrortune")
    pages.keep("experiments")

    pages.open(f"experiments/{pages.runs.experiment}?{VIEW}")
    page.wait_for_url("**/runs?**")  # the view of trained models begins with its runs
    pages.finds("GRCN-tiktok-mg", "demo (f1n9e2)", "Train, Valid, Test", "run_search.py")
    page.locator(".ag-row button, .ag-row [role=button]").first.click()
    pages.finds(*(f"GRCN-tiktok-mg {number:04}" for number in range(TRIALS)))
    pages.keep("runs")

    pages.open(pages.run("0004"))
    pages.finds("GRCN-tiktok-mg 0004", "run_search.py", getpass.getuser(), "demo (f1n9e2)")
    names = page.get_by_role("link", name="_at_").all_inner_texts()
    assert names[:2] == ["best/valid/recall_at_20", "valid/recall_at_20"]
    pages.keep("trial")

    pages.open(pages.run("0004", "/model-metrics"))
    pages.finds("Model metrics", "best/valid", "recall_at_20")
    pages.keep("curves")

    pages.open(pages.run("search"))
    pages.finds("GRCN on tiktok, strategy mg", "Winner: trial 0004", "best/alpha", "best/beta", "best/interval")
    pages.finds("confirmed/valid/recall_at_20/mean")
    pages.keep("search")

    pages.open(pages.run("search", "/artifacts/report.html"))
    pages.finds("report.html")
    shown = page.frame_locator("iframe").get_by_text("and its scripts")
    shown.wait_for()
    pages.keep("report")


def test_mlflow_compares_the_best_trials_by_the_metric_that_decides(pages: Pages) -> None:
    _, opens = look_commands(pages.folder.spec(), pages.runs, pages.folder.ledger().values())
    address = shlex.split(opens)[-1]
    pages.page.goto(address.replace("http://127.0.0.1:5000", pages.uri))
    pages.finds(f"Comparing {TRIALS} Runs from 1 Experiment", "GRCN-tiktok-mg 0005")
    chosen = pages.page.locator(".ant-select-selection-item, .du-bois-light-select-selection-item")
    chosen.first.wait_for()
    assert chosen.all_inner_texts() == ["alpha", "beta", "interval", "best/valid/recall_at_20"]
    pages.keep("compare")

"""Which Ray is meant by --ray-address and RAY_ADDRESS."""

import os

import pytest

from recmodels.errors import UserError
from tuning.execution.ray_tune.address import Address
from tuning.execution.ray_tune.settings import prepare


@pytest.mark.parametrize(
    ("option", "variable", "cluster", "source"),
    [
        (None, None, None, "--ray-address"),
        (None, "", None, "--ray-address"),
        ("", "", None, "--ray-address"),
        (None, "10.0.0.5:6379", "10.0.0.5:6379", "RAY_ADDRESS"),
        ("", " 10.0.0.5:6379\n", "10.0.0.5:6379", "RAY_ADDRESS"),
        ("auto", None, "auto", "--ray-address"),
        ("auto", "10.0.0.5:6379", "10.0.0.5:6379", "RAY_ADDRESS"),
        (None, "auto", "auto", "RAY_ADDRESS"),
        (None, "local", None, "RAY_ADDRESS"),
        ("local", "10.0.0.5:6379", None, "--ray-address"),
        ("head:6379", "10.0.0.5:6379", "head:6379", "--ray-address"),
    ],
)
def test_the_option_comes_first_then_the_variable_then_this_machine(
    monkeypatch: pytest.MonkeyPatch, option: str | None, variable: str | None, cluster: str | None, source: str
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    assert Address.of(option) == Address(cluster, source)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.5:6379", "10.0.0.5", 6379),
        ("[::1]:6379", "::1", 6379),
        ("head.cluster.local:1", "head.cluster.local", 1),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert Address.of(text).host_and_port() == (host, port)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("head", ""),
        ("head:", ""),
        (":6379", ""),
        ("head:0", ""),
        ("head:65536", ""),
        ("head:6379x", ""),
        ("::1:6379", ""),
        ("two heads:6379", ""),
        ("Auto", ""),
        ("ray://head:10001", " (a search cannot be run through Ray Client: "),
        ("http://127.0.0.1:8265", " (that is a dashboard's address, "),
        ("https://head/ray", " (that is a dashboard's address, "),
    ],
)
def test_another_form_is_refused_in_one_line_that_names_its_source(
    monkeypatch: pytest.MonkeyPatch, text: str, hint: str
) -> None:
    forms = "expected HOST:PORT of a Ray cluster's head such as 10.0.0.5:6379, auto, or local"
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(UserError) as option:
        Address.of(text)
    assert str(option.value).startswith(f"--ray-address {text}: {forms}{hint}")
    monkeypatch.setenv("RAY_ADDRESS", text)
    with pytest.raises(UserError) as variable:
        Address.of(None)
    assert str(variable.value).startswith(f"RAY_ADDRESS {text} (--ray-address local does without): {forms}{hint}")


def test_a_cluster_is_met_with_the_users_own_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ray start` wants a token by default, which Ray finds unless authentication is switched off."""
    monkeypatch.setattr(os, "environ", {"TUNE_GLOBAL_CHECKPOINT_S": "9"})
    assert prepare("10.0.0.5:6379").cluster == "10.0.0.5:6379"
    assert "RAY_AUTH_MODE" not in os.environ
    assert prepare(None).cluster is None
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
    assert os.environ["TUNE_GLOBAL_CHECKPOINT_S"] == "9"  # what the user has set stays

"""Clusters that cannot be joined: one line each, within seconds."""

import socket
import time
from collections.abc import Iterator

import pytest

from recmodels.errors import UserError
from tuning.execution.ray_tune import joining
from tuning.execution.ray_tune.address import Address
from tuning.execution.ray_tune.joining import check_joining


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def refusal(text: str) -> str:
    with pytest.raises(UserError) as error:
        check_joining(Address.of(text))
    return str(error.value)


def test_nothing_at_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = f"127.0.0.1:{server.getsockname()[1]}"
    assert refusal(free) == f"--ray-address {free}: nothing answers there (Connection refused)"


def test_a_host_without_an_address() -> None:
    assert refusal("head.invalid:6379").startswith("--ray-address head.invalid:6379: nothing answers there (")


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    """In earnest Ray gives up after 15 s instead of half an hour."""
    assert joining.PATIENCE["RAY_py_gcs_connect_timeout_s"] == "5"
    monkeypatch.setitem(joining.PATIENCE, "RAY_py_gcs_connect_timeout_s", "1")
    assert refusal(silent).startswith(f"--ray-address {silent}: no head of a Ray cluster answers there")


def test_a_ray_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    monkeypatch.setattr(joining, "PROGRAM", "import time; time.sleep(3600)")
    monkeypatch.setattr(joining, "GUARD", 1)
    start = time.monotonic()
    assert refusal(silent) == f"--ray-address {silent}: Ray has not joined it within 1 s"
    assert time.monotonic() - start < 900


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "RpcError: Unauthenticated: RPC error\nConnectionError: Failed to connect to Ray cluster at 10.0.0.5:6379",
            "it wants a token: set RAY_AUTH_MODE=token, the token in RAY_AUTH_TOKEN or ~/.ray/auth_token",
        ),
        (
            "RuntimeError: No node info found matching attributes: ''\nConnectionError: Failed to connect to Ray",
            "this machine is not a node of it: `ray start --address=HOST:PORT` makes it one",
        ),
        (
            "ConnectionError: Could not find any running Ray instance. Please",
            "no Ray runs on this machine: `ray start` makes it a node of a cluster",
        ),
        (
            "Traceback ...\nRuntimeError: Version mismatch: The cluster was started with:\n  Ray: 2.50.0\n Python: 3",
            "Version mismatch: The cluster was started with: Ray: 2.50.0 Python: 3",
        ),
        ("Traceback ...\n  File ...\nOSError: Too many open files\n", "OSError: Too many open files"),
        ("", "Ray gives no reason"),
    ],
)
def test_rays_reasons_are_one_line(monkeypatch: pytest.MonkeyPatch, silent: str, said: str, reason: str) -> None:
    monkeypatch.setattr(joining, "PROGRAM", f"import sys; sys.stderr.write({said!r}); sys.exit(1)")
    assert refusal(silent) == f"--ray-address {silent}: {reason}"


def test_a_cluster_that_lets_this_process_in(monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    """A job's own settings are not for the process that tries."""
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.setattr(joining, "PROGRAM", "import os; assert 'RAY_JOB_CONFIG_JSON_ENV_VAR' not in os.environ")
    check_joining(Address.of(silent))

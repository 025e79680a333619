"""Whether this machine can join a Ray cluster, found out within seconds. Does not import Ray."""

import os
import socket
import subprocess
import sys

from recmodels.errors import UserError
from tuning.execution.ray_tune.address import Address

PROGRAM = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"
PATIENCE = {
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # 20 times
    "RAY_py_gcs_connect_timeout_s": "5",  # thrice 30 s
    "RAY_gcs_server_request_timeout_seconds": "10",  # 60 s
}
"""By default Ray tries for up to half an hour."""
GUARD = 120
"""Seconds after which Ray hangs for a reason that nobody knows of; on a busy machine it needs a while."""
REASONS = {
    "Unauthenticated": "it wants a token: set RAY_AUTH_MODE=token, the token in RAY_AUTH_TOKEN or ~/.ray/auth_token",
    "No node info found": "this machine is not a node of it: `ray start --address=HOST:PORT` makes it one",
    "Could not find any running Ray instance": "no Ray runs on this machine: `ray start` makes it a node of a cluster",
    "Version mismatch": "",
}
"""What Ray says -> what to say instead; "" for what Ray says from there on."""


def check_joining(address: Address) -> None:
    """Raise UserError, one line, within some 30 s, unless this process could join the cluster at the address.

    Another process tries first: Ray's own code prints, hangs for minutes or ends the process where it cannot connect.
    """
    if address.cluster != "auto":
        _knock(address)
    environment = {name: value for name, value in os.environ.items() if name != "RAY_JOB_CONFIG_JSON_ENV_VAR"}
    command = [sys.executable, "-c", PROGRAM, str(address.cluster)]
    try:
        tried = subprocess.run(
            command,
            env=environment | PATIENCE,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GUARD,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{address}: Ray has not joined it within {GUARD} s") from None
    if tried.returncode:
        raise UserError(f"{address}: {_reason(tried.stderr)}")


def _knock(address: Address) -> None:
    host, port = address.host_and_port()
    try:
        socket.create_connection((host, port), timeout=10).close()
    except OSError as error:
        raise UserError(f"{address}: nothing answers there ({error.strerror or error})") from None


def _reason(said: str) -> str:
    """Return why Ray could not join, in one line."""
    for phrase, reason in REASONS.items():
        if phrase in said:
            return reason or " ".join(said[said.rindex(phrase) :].split())
    if "Failed to connect to Ray cluster" in said:
        return "no head of a Ray cluster answers there (its port is 6379 unless it was given another)"
    return next(reversed(said.split("\n")[:-1]), "Ray gives no reason")

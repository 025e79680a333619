"""An S3 of this machine: moto's server."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem

from tests.tuning.tracking.mlflow_server import free_port

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What the environment of its users must have."""


class Bucket:
    """The bucket of a server at `endpoint`, http://127.0.0.1:PORT."""

    def __init__(self, endpoint: str):
        self.query = f"endpoint_override={quote(endpoint, safe='')}"
        self.files = S3FileSystem(
            endpoint_override=endpoint, access_key="key", secret_key="secret", allow_bucket_creation=True
        )
        self.files.create_dir("bucket")

    def uri(self, path: str) -> str:
        """Return the URI of a path that begins with a bucket, such as `bucket/some/prefix`."""
        return f"s3://{path}?{self.query}"


@contextmanager
def s3_server() -> Iterator[Bucket]:
    """Yield the bucket called `bucket` of a new server."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    try:
        yield Bucket("http://{}:{}".format(*server.get_host_and_port()))
    finally:
        server.stop()

"""A real S3 server on a free port, with a proxy before it that can fail."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
from moto.server import ThreadedMotoServer
from pyarrow import fs

from tests.s3.proxy import Proxy

_KEY, _SECRET = "AKIATESTTESTTESTTEST", "a-secret-of-the-tests"


@dataclass(frozen=True)
class S3:
    """The server; jobs come by the proxy, the tests themselves straight."""

    proxy: Proxy
    direct: fs.S3FileSystem

    @property
    def environment(self) -> dict[str, str]:
        """Where a job finds the server and its credentials."""
        return {
            "AWS_ENDPOINT_URL": self.proxy.url,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self, name: str) -> str:
        """Returns its URL."""
        self.direct.create_dir(name)
        return f"s3://{name}"

    def upload(self, folder: Path, url: str) -> None:
        """Copy a folder's files."""
        for file in folder.rglob("*"):
            if file.is_file():
                path = f"{url.removeprefix('s3://')}/{file.relative_to(folder)}"
                with self.direct.open_output_stream(path) as stream:
                    stream.write(file.read_bytes())

    def names(self, url: str) -> list[str]:
        """Files below, by their paths there."""
        root = url.removeprefix("s3://")
        infos = self.direct.get_file_info(fs.FileSelector(root, recursive=True))
        return sorted(info.path.removeprefix(f"{root}/") for info in infos if info.is_file)

    def table(self, url: str) -> pa.Table:
        """The rows of a job's output."""
        dataset = ds.dataset(url.removeprefix("s3://"), filesystem=self.direct, format="parquet")
        return dataset.to_table()


@contextmanager
def s3_server(*, seed: int = 0) -> Iterator[S3]:
    """Start server and proxy; both end with the block."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        direct = fs.S3FileSystem(
            access_key=_KEY,
            secret_key=_SECRET,
            region="us-east-1",
            endpoint_override=f"http://127.0.0.1:{port}",
            allow_bucket_creation=True,
        )
        with Proxy(port, seed=seed) as proxy:
            yield S3(proxy, direct)
    finally:
        server.stop()

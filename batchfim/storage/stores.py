"""Open the file system behind a URL.

A path in a URL is the name itself, as in the stores' own tools: `#` and `%` are characters like any
other, so that what was listed can be opened by its URL. Only a `file://` URL is decoded, since
programs write those encoded; it has no options. Other URLs have them after a `?`, which is part of
the name if no `option=` follows.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import pyarrow as pa
from pyarrow import fs

from batchfim.errors import ConfigError, StorageBusy
from batchfim.storage.failures import scrub
from batchfim.storage.retries import retried

# The SDK's own retries cover the odd lost packet; `retried` covers outages.
_S3_ATTEMPTS = 3
_CONNECT_S, _REQUEST_S = 10.0, 30.0
_GCS_RETRY_S = 30
_CLOUDS = ("gs", "gcs", "abfs", "abfss")
_S3_QUERY = {"region", "endpoint_override", "scheme"}
# Matches the query of a URL, but not the wildcard `?` of a glob.
_QUERY = re.compile(r"\?(?=\w+=)")


def split_query(url: str) -> tuple[str, str]:
    """Split a URL into the part before its query, and the query including its `?`."""
    has_options = "://" in url and not url.startswith("file://")
    found = _QUERY.search(url) if has_options else None
    return (url[: found.start()], url[found.start() :]) if found else (url, "")


def extended(url: str, more: str) -> str:
    """Append `more` to the path of a URL, keeping its query."""
    base, query = split_query(url)
    return f"{base.rstrip('/')}{more}{query}"


def open_store(url: str) -> tuple[fs.FileSystem, str]:
    """The file system and path of a local path or URL.

    Raises:
        ConfigError: no file system supports the URL.
        StorageError: a bucket's region cannot be determined.
    """
    if "://" not in url:
        return fs.LocalFileSystem(), str(Path(url).expanduser().resolve())
    base, query = split_query(url)
    scheme, _, place = base.partition("://")
    host, slash, path = place.partition("/")
    if scheme in ("s3", "s3a"):
        return _open_s3(base, host, path, query)
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in query:
        query += f"{'&' if query else '?'}retry_limit_seconds={_GCS_RETRY_S}"
    try:
        if scheme in _CLOUDS:
            store, root = _of_uri(f"{scheme}://{host}{query}")
            return store, f"{root.rstrip('/')}/{path}".strip("/")
        name = quote(unquote(path) if scheme == "file" else path)  # Arrow decodes it
        return fs.FileSystem.from_uri(  # type: ignore[no-any-return]
            f"{scheme}://{host}{slash}{name}{query}"
        )
    except pa.ArrowInvalid:
        return _open_fsspec(url)
    except OSError as error:
        raise ConfigError(f"{base}: {scrub(str(error))}") from None


@lru_cache(maxsize=16)
def _of_uri(url: str) -> tuple[fs.FileSystem, str]:
    """Open a URL, with one client for all files of a bucket, as for S3."""
    return fs.FileSystem.from_uri(url)  # type: ignore[no-any-return]


def _open_s3(base: str, host: str, path: str, query: str) -> tuple[fs.FileSystem, str]:
    options = dict(parse_qsl(query[1:], keep_blank_values=True))
    if unknown := sorted(options.keys() - _S3_QUERY):
        raise ConfigError(
            f"{base}: unknown option {unknown[0]!r}; known: {sorted(_S3_QUERY)}; what looks like "
            f"an option, as `?{unknown[0]}=` does, cannot be part of a name"
        )
    user, _, bucket = host.rpartition("@")
    if not bucket:
        raise ConfigError(f"{base}: expected s3://bucket/path")
    endpoint = (
        options.get("endpoint_override")
        or os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
    )
    region = (
        options.get("region")
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or ("us-east-1" if endpoint else _region(bucket))
    )
    more = {"scheme": options["scheme"]} if options.get("scheme") else {}
    store = _s3(endpoint, region, user == "anonymous", **more)
    return store, f"{bucket}/{path}".rstrip("/")


@lru_cache(maxsize=16)
def _s3(endpoint: str | None, region: str, anonymous: bool, **more: str) -> fs.FileSystem:
    """Open S3, with one client for all files, as it holds the connections and the credentials."""
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        region=region,
        anonymous=anonymous,
        connect_timeout=_CONNECT_S,
        request_timeout=_REQUEST_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_S3_ATTEMPTS),
        allow_delayed_open=True,  # a small file is one request instead of three
        **more,
    )


@lru_cache(maxsize=64)
def _region(bucket: str) -> str:
    """The region of a bucket."""
    try:
        return str(retried(lambda: fs.resolve_s3_region(bucket), f"s3://{bucket}", "s3"))
    except StorageBusy as error:
        raise StorageBusy(f"{error}; or set AWS_REGION or AWS_ENDPOINT_URL_S3") from None


def _open_fsspec(url: str) -> tuple[fs.FileSystem, str]:
    import fsspec

    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise ConfigError(f"{split_query(url)[0]}: {scrub(str(error))}") from None
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


def name_of(filesystem: fs.FileSystem, path: str) -> str:
    """A file's URL for display, without anything that might be a secret."""
    kind = str(filesystem.type_name)
    if kind in ("local", "subtree", "mock"):
        return path
    scheme: Any = {"gcs": "gs", "abfs": "abfss"}.get(kind) or kind.rpartition("+")[2]
    return scrub(path) if "://" in path else f"{scheme}://{path}"

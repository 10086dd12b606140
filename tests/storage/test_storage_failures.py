"""The table of foreign errors: what may pass, what is said, and no secrets in it."""

from __future__ import annotations

import errno
import os

import pytest

from batchfim.errors import StorageBusy, StorageError
from batchfim.storage.failures import is_missing, scrub, translate

AWS = "When reading information for key 'k' in bucket 'b': AWS Error "


@pytest.mark.parametrize(
    "error",
    [
        OSError(f"{AWS}SLOW_DOWN during PutObject operation: Please reduce your request rate."),
        OSError(f"{AWS}UNKNOWN (HTTP status 503) during HeadObject operation: No response body."),
        OSError(f"{AWS}NETWORK_CONNECTION during GetObject operation: curlCode: 28, Timeout"),
        OSError("google::cloud::Status(UNAVAILABLE: try again)"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        OSError(errno.ESTALE, "stale"),
        TimeoutError(),
        RuntimeError("whatever fsspec's stores raise"),
        OSError(
            "When delete key 'it's forbidden/not_found.json' in bucket 'no-such-bucket': AWS Error "
            "NETWORK_CONNECTION during DeleteObject operation: curlCode: 28, Timeout"
        ),
        OSError("503, Service Unavailable: http://host/b/not_found/forbidden"),
    ],
    ids=str,
)
def test_what_may_pass(error: Exception) -> None:
    assert isinstance(translate("s3://b/k", error), StorageBusy)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "x"), "the disk is full"),
        (OSError(errno.EDQUOT, "x"), "the disk quota is used up"),
        (OSError(errno.EROFS, "x"), "the file system is read-only"),
        (PermissionError(errno.EACCES, "x"), "Permission denied"),
        (FileNotFoundError(errno.ENOENT, "x"), "No such file or directory"),
        (OSError(f"{AWS}NO_SUCH_BUCKET during PutObject operation"), "no such bucket"),
        (OSError("Bucket 'b' not found. To create buckets, enable"), "no such bucket"),
        (OSError(f"{AWS}NO_SUCH_KEY during CopyObject operation"), "no such file"),
        (OSError(f"{AWS}ACCESS_DENIED during HeadObject operation"), "access denied"),
        (OSError(f"{AWS}UNKNOWN (HTTP status 403) during HeadObject"), "access denied"),
        (OSError(f"{AWS}ACCESS_DENIED during HeadObject: User 'u' may not"), "access denied"),
        (OSError(f"{AWS}INVALID_ACCESS_KEY_ID during HeadObject"), "access denied"),
        (Exception("Unable to locate credentials"), "access denied"),
        (OSError(f"{AWS}UNKNOWN (HTTP status 301) during HeadObject"), "set AWS_REGION"),
        (NotImplementedError("append"), "append"),
    ],
    ids=str,
)
def test_what_never_works(error: Exception, said: str) -> None:
    failure = translate("s3://b/k", error)
    assert str(failure).startswith(f"s3://b/k: {said}") or said in str(failure)
    assert isinstance(failure, StorageError)
    assert not isinstance(failure, StorageBusy)


def test_a_missing_file_is_not_a_missing_bucket() -> None:
    assert is_missing(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    assert is_missing(OSError(f"{AWS}NO_SUCH_KEY during CopyObject: The key does not exist"))
    assert not is_missing(OSError(f"{AWS}NO_SUCH_BUCKET: The specified bucket does not exist"))
    assert not is_missing(OSError(errno.ENOSPC, "not found"))
    slow = AWS.replace("'k'", "'not_found/k'") + "SLOW_DOWN during DeleteObject operation"
    assert not is_missing(OSError(slow))


@pytest.mark.parametrize(
    "text",
    [
        "GET https://host/file?X-Amz-Signature=hush&X-Amz-Date=1 failed",
        "https://user:hush@host/file failed",
        "bad header Authorization: Bearer hush",
        "AccountKey=x; sig=hush",
        "key AKIAHUSHHUSHHUSH",
        "my store said: the value of an environment variable, hush-hush-hush",
        "first line\nhush",
    ],
)
def test_secrets_are_not_passed_on(text: str) -> None:
    assert "hush" not in scrub(text, {"MY_SECRET": "hush-hush-hush"}).lower()

"""Classify file system errors as transient or final, and word them for people.

Error texts of other libraries may quote signed URLs and keys, so they are always scrubbed first.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping

from batchfim.errors import StorageBusy, StorageError

# Network file systems return these while their server is away; every other errno is final.
_PASSING_ERRNOS = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENOLCK,
        errno.EPIPE,
        errno.EREMOTEIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
_SAID = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EROFS: "the file system is read-only",
}
# Object stores report errors as text. Sources: aws-sdk-cpp's S3Errors as Arrow prints them, the S3
# API's error codes, and the HTTP status that Arrow, gcsfs and adlfs print.
_DENIED = (
    "access denied; set credentials in the environment (AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or your cloud's own), or grant them this access"
)
_DENIALS = (
    r"access_?denied|invalid_?(access_?key_?id|client_?token_?id|token)|token_?expired"
    r"|expired_?token|signature_?does_?not_?match|unrecognized_?client|status:? 40[13]"
    r"|forbidden|unauthorized|(no|locate|find|default) ?credentials"
)
_FINAL = (
    (r"no_?such_?bucket|bucket '[^']*' not found|bucket does not exist", "no such bucket"),
    (r"no_?such_?key|not_?found|does not exist|status:? 404", "no such file"),
    (_DENIALS, _DENIED),
    (
        r"permanent_?redirect|moved_?permanently|status:? 30[17]|authorization_?header_?malformed",
        "the bucket is in another region; set AWS_REGION to it",
    ),
)
# Keys, buckets and addresses may themselves be called `forbidden` or `not_found`. Arrow does not
# escape quotes in keys.
_NAMES = re.compile(r"key '.*' in bucket '[^']*'|'[^']*'|\w+://[^\s'\"]+", re.DOTALL)
_NO_STORAGE_FAILS_SO = (ImportError, LookupError, NotImplementedError, TypeError, ValueError)
_SECRET_NAME = re.compile("token|secret|password|key", re.IGNORECASE)
_QUERY = re.compile(r"(\w+://[^\s?'\"]*)\?[^\s'\"]*")
_USERINFO = re.compile(r"(\w+://)[^\s/@]+:[^\s/@]+@")
_LOOKS_SECRET = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"
    r"|(?<=bearer )\S+"
    r"|\b[\w-]*(?:signature|sig|token|secret|password|credential|access_?key(?:_?id)?)\s*[=:]\s*\S+",
    re.IGNORECASE,
)
_LONGEST = 300


def translate(where: str, error: Exception) -> StorageError:
    """Translate a file system's error: `StorageBusy` if transient, `StorageError` otherwise."""
    number = getattr(error, "errno", None)
    if number in _PASSING_ERRNOS or (number is None and isinstance(error, TimeoutError)):
        return StorageBusy(f"{where}: {scrub(str(error))}")
    if isinstance(number, int):
        return StorageError(f"{where}: {_SAID.get(number) or os.strerror(number)}")
    for pattern, said in _FINAL:
        if _says(error, pattern):
            return StorageError(f"{where}: {said}")
    final = isinstance(error, _NO_STORAGE_FAILS_SO)
    return (StorageError if final else StorageBusy)(f"{where}: {scrub(str(error) or repr(error))}")


def is_denied(error: Exception) -> bool:
    """Whether an object store's error says that it denied access."""
    return getattr(error, "errno", None) is None and _says(error, _DENIALS)


def is_missing(error: Exception) -> bool:
    """Whether the error says that the file does not exist."""
    if isinstance(error, FileNotFoundError):
        return True
    if not isinstance(error, OSError) or error.errno is not None:
        return False
    bucket, file = (_says(error, pattern) for pattern, _ in _FINAL[:2])
    return file and not bucket


def _says(error: Exception, pattern: str) -> bool:
    return re.search(pattern, _NAMES.sub("''", str(error)), re.IGNORECASE) is not None


def scrub(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The first line of an error text, without URL queries and anything that looks secret."""
    for name, value in environment.items():
        if _SECRET_NAME.search(name) and len(value) >= 8:
            text = text.replace(value, "(hidden)")
    line = text.strip().splitlines()[0] if text.strip() else ""
    line = _USERINFO.sub(r"\1", _QUERY.sub(r"\1", line))
    return _LOOKS_SECRET.sub("(hidden)", line)[:_LONGEST]

"""The ledger's small JSON files."""

from __future__ import annotations

import json
from typing import Any

from batchfim.errors import OutputError
from batchfim.storage.location import Location

_FORMAT_VERSION = 3


class JobFile:
    """`job.json`: a job's fingerprint, the settings it is made from, and facts about the job."""

    def __init__(self, location: Location) -> None:
        self._location = location

    def exists(self) -> bool:
        return self._location.exists()

    def read(self) -> dict[str, Any]:
        """The content.

        Raises:
            OutputError: the file is damaged or of another version.
        """
        try:
            content = json.loads(self._location.read())
            known = content["version"] == _FORMAT_VERSION and "fingerprint" in content
            if not known or not isinstance(content["fields"], dict):
                raise KeyError("version")
        except (ValueError, KeyError, TypeError):
            raise OutputError(
                f"{self._location.path}: not a job of this batchfim version; choose another "
                "output.path"
            ) from None
        return dict(content)

    def write(self, content: dict[str, Any]) -> None:
        """Write the content, with the version of its format."""
        self._location.write(as_json({"version": _FORMAT_VERSION} | content))


def read_if_whole(location: Location) -> dict[str, Any] | None:
    """A JSON file that is rewritten anyway, so that a damaged one counts as missing."""
    try:
        return dict(json.loads(location.read())) if location.exists() else None
    except (ValueError, TypeError):
        return None


def plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Values as they are once they are written and read again."""
    return dict(json.loads(as_json(fields)))


def as_json(content: Any) -> bytes:
    """The bytes of a file with this content."""
    return json.dumps(content, indent=1, default=str).encode()

"""Every error of a user's first hour: one line that says what, where and what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.conftest import LOCAL, Cli
from tests.s3.conftest import bucket, s3, s3_session  # noqa: F401 - fixtures
from tests.s3.proxy import Fault
from tests.s3.server import S3

DENIED = (
    "access denied; set credentials in the environment (AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or your cloud's own), or grant them this access"
)


@dataclass
class Place:
    """Where a case happens: a folder with `records/`, and an S3 server with an empty bucket."""

    folder: Path
    s3: S3
    bucket: str
    environment: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """What is asked for and what is said; `{tmp}` and `{bucket}` stand for the place's."""

    name: str
    said: str
    input: str = "{tmp}/records"
    output: str = "{tmp}/out"
    model: str = "demo"
    code: int = 2
    prepare: Callable[[Place], object] = lambda place: None


def _deny(place: Place) -> None:
    place.s3.proxy.fail(Fault.DENIED)


def _deny_without_credentials(place: Place) -> None:
    place.environment |= {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    place.s3.proxy.fail(Fault.DENIED)


def _no_server(place: Place) -> None:
    place.environment |= {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "BATCHFIM_STORAGE_RETRY_S": "0",
    }


def _thesis(place: Place) -> None:
    (place.folder / "out").mkdir()
    (place.folder / "out" / "chapter1.tex").touch()


def _a_file_there(place: Place) -> None:
    (place.folder / "out").touch()


CASES = [
    Case("input-nowhere", "{tmp}/nowhere: no such file or folder", input="{tmp}/nowhere"),
    Case(
        "input-without-parquet",
        "{tmp}/empty: no Parquet files found (looked for *.parquet)",
        input="{tmp}/empty",
        prepare=lambda place: (place.folder / "empty").mkdir(),
    ),
    Case(
        "input-bucket",
        "s3://no-such-bucket/records: no such bucket: no-such-bucket",
        input="s3://no-such-bucket/records",
    ),
    Case("input-key", "{bucket}/records: no such file or folder", input="{bucket}/records"),
    Case(
        "input-denied",
        f"the input cannot be read: {{bucket}}/records: {DENIED}",
        input="{bucket}/records",
        prepare=_deny,
    ),
    Case(
        "input-without-credentials",
        f"the input cannot be read: {{bucket}}/records: {DENIED}",
        input="{bucket}/records",
        prepare=_deny_without_credentials,
    ),
    Case("input-scheme", "nope://x: Protocol not known: nope", input="nope://x"),
    Case("input-no-bucket", "s3:///x: expected s3://bucket/path", input="s3:///x"),
    Case(
        "storage-away",
        "{bucket}/records: When getting information for key 'records' in bucket '{name}': AWS "
        "Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7, Could not connect to "
        "server; Details: Failed to connect to 127.0.0.1:1 after 0 ms: Could not connect to "
        "server (tried for 0 s); once the storage answers, run the same command again to continue",
        input="{bucket}/records",
        code=1,
        prepare=_no_server,
    ),
    Case(
        "output-bucket",
        "output.path cannot be written: s3://no-such-bucket/out/_batchfim/staging/probe: "
        "no such bucket",
        output="s3://no-such-bucket/out",
    ),
    Case(
        "output-denied",
        f"output.path cannot be written: {{bucket}}/out: {DENIED}",
        output="{bucket}/out",
        prepare=_deny,
    ),
    Case(
        "output-no-folder",
        "output.path cannot be written: /proc/nowhere/_batchfim/plan: No such file or directory",
        output="/proc/nowhere",
    ),
    Case(
        "output-is-a-file",
        "output.path cannot be written: {tmp}/out: Not a directory",
        prepare=_a_file_there,
    ),
    Case(
        "output-of-somebody-else",
        "{tmp}/out holds files not written by batchfim (chapter1.tex); choose another output.path",
        prepare=_thesis,
    ),
    Case(
        "output-is-input",
        "output.path {tmp}/records is inside the input {tmp}/records, so the next run would read "
        "its parts as records; choose a folder outside the input",
        output="{tmp}/records",
    ),
    Case(
        "model-bucket",
        "model s3://no-such-bucket/m: no such bucket: no-such-bucket, or it is empty",
        model="s3://no-such-bucket/m",
    ),
    Case(
        "model-denied",
        f"the model cannot be read: {{bucket}}/m: {DENIED}",
        model="{bucket}/m",
        prepare=_deny,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_line_says_it(
    records: Path,
    s3: S3,  # noqa: F811
    bucket: str,  # noqa: F811
    cli: Cli,
    case: Case,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place(records.parent, s3, bucket)
    case.prepare(place)
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)

    def fill(text: str) -> str:
        for name, value in (("tmp", place.folder), ("bucket", bucket), ("name", bucket[5:])):
            text = text.replace(f"{{{name}}}", str(value))
        return text

    args = ("--input", case.input, "--output", case.output, "--model", case.model)
    done = cli("run", *map(fill, args), *LOCAL, code=case.code)
    said = re.sub(r"tried for \d+ s", "tried for 0 s", done.stderr)
    assert said == f"error: {fill(case.said)}\n"
    assert not list(place.folder.glob("out/*.parquet"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everywhere")
@pytest.mark.parametrize("mode", ["input", "output"])
def test_a_folder_closed_to_this_user(records: Path, tmp_path: Path, cli: Cli, mode: str) -> None:
    closed = records if mode == "input" else tmp_path / "closed"
    closed.mkdir(exist_ok=True)
    closed.chmod(0)
    output = tmp_path / "out" if mode == "input" else closed / "out"
    args = ("run", "--input", records, "--output", output, "--model", "demo", *LOCAL)
    assert "Permission denied" in cli(*args, code=2).stderr
    closed.chmod(0o700)

"""Paths, URLs, and writes that are whole or not there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pyarrow import fs

from batchfim.errors import ConfigError, StorageError
from batchfim.storage.location import Location


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_path_and_its_url_are_one_place(tmp_path: Path, scheme: str) -> None:
    location = Location.of(f"{scheme}{tmp_path}/a.bin")
    location.write(b"one")
    assert location.is_local
    assert (tmp_path / "a.bin").read_bytes() == b"one"
    assert location.read() == b"one"
    assert location.info().size == 3


def test_relative_paths_are_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (Location.of("below") / "a.bin").path == str(tmp_path / "below" / "a.bin")
    assert Location.of("below/../a.bin").path == str(tmp_path / "a.bin")
    assert Location.of("~").path == str(Path.home())


def test_a_scheme_nobody_knows_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="nowhere://bucket/a"):
        Location.of("nowhere://bucket/a")


def test_a_write_replaces_the_whole_file_and_leaves_nothing_aside(tmp_path: Path) -> None:
    location = Location.of(str(tmp_path)) / "a.json"
    location.write(b"a long first version")
    location.write(b"short")
    assert location.read() == b"short"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_reader_sees_one_version_or_the_other(tmp_path: Path) -> None:
    location = Location.of(str(tmp_path / "a.bin"))
    versions = [bytes([letter]) * (200_000 + letter) for letter in range(8)]
    location.write(versions[0])
    done = threading.Event()

    def keep_writing() -> None:
        for _ in range(8):
            for version in versions:
                location.write(version)
        done.set()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(location.read())
    writer.join()
    assert seen <= set(versions)


def test_a_folder_that_is_not_there_lists_as_empty(tmp_path: Path) -> None:
    assert Location.of(str(tmp_path / "none")).list() == []
    assert not Location.of(str(tmp_path / "none")).exists()


def test_listing_is_sorted_and_recursive_when_asked(tmp_path: Path) -> None:
    folder = Location.of(str(tmp_path))
    (folder / "sub").make_folder()
    for name in ("b", "sub/c", "a"):
        (folder / name).write(b"")
    assert [info.base_name for info in folder.list()] == ["a", "b", "sub"]
    assert [info.base_name for info in folder.list(recursive=True)] == ["a", "b", "sub", "c"]


def test_deleting_twice_is_harmless(tmp_path: Path) -> None:
    location = Location.of(str(tmp_path / "a"))
    location.write(b"")
    location.delete()
    location.delete()
    assert not location.exists()


def test_moving_replaces_the_target(tmp_path: Path) -> None:
    folder = Location.of(str(tmp_path))
    (folder / "new").write(b"new")
    (folder / "old").write(b"old")
    (folder / "new").move_to(folder / "old")
    assert (folder / "old").read() == b"new"
    assert not (folder / "new").exists()


def test_errors_of_the_file_system_name_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = Location.of(str(tmp_path))
    for act in (
        (folder / "none").read,
        lambda: (folder / "file" / "below").write(b""),
        (folder / "file" / "below").make_folder,
        lambda: (folder / "none").move_to(folder / "b"),
    ):
        with pytest.raises(StorageError, match=str(tmp_path)):
            act()


def test_what_fsspec_knows_works_too() -> None:
    folder = Location.of("memory://batchfim-test-location/sub")
    folder.make_folder()
    (folder / "a").write(b"one")
    (folder / "a").write(b"two")
    assert not folder.is_local
    assert folder.info().type is fs.FileType.Directory
    assert [info.base_name for info in folder.list()] == ["a"]
    assert (folder / "a").read() == b"two"


def test_a_url_that_cannot_be_opened_is_a_config_error() -> None:
    """A store that answers with an error of its own: here, one whose library or host is missing."""
    with pytest.raises(ConfigError, match=r"hdfs://nowhere\.invalid/records: "):
        Location.of("hdfs://nowhere.invalid/records")


@pytest.mark.parametrize(
    "bucket",
    [
        "gs://anonymous@bucket",
        "abfss://box@me.dfs.core.windows.net",
        "abfss://me.blob.core.windows.net/box",
    ],
)
def test_a_bucket_has_one_client_for_all_its_files(bucket: str) -> None:
    one, other = Location.of(f"{bucket}/a/c.parquet"), Location.of(f"{bucket}/d/")
    assert one.filesystem is other.filesystem
    name = fs.FileSystem.from_uri(f"{bucket}/a/c.parquet")[1]
    assert (one.path, other.path) == (name, f"{name.partition('/')[0]}/d")


@pytest.mark.parametrize(
    "bucket", ["s3://bucket", "gs://anonymous@bucket", "abfss://bucket@me.dfs.core.windows.net"]
)
@pytest.mark.parametrize("name", ["exp#1", "a%41b%20c", "what?", "100%", "a b+c&d=e", "é;f", "#?%"])
def test_a_name_in_a_url_is_taken_as_it_is(
    bucket: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two outputs become one, or what was listed is not what is opened."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert Location.of(f"{bucket}/in/{name}/x.parquet").path == f"bucket/in/{name}/x.parquet"
    assert Location.of(f"{bucket}/in/{name}").path == f"bucket/in/{name}"


@pytest.mark.parametrize("name", ["exp#1", "a%41", "what?", "a b"])
def test_so_it_is_with_other_stores_of_arrow_and_of_fsspec(name: str) -> None:
    assert Location.of(f"mock:///in/{name}").path == f"in/{name}"
    assert Location.of(f"memory://in/{name}").path == f"/in/{name}"


def test_options_are_told_from_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    place = Location.of("s3://bucket/in#1/what?/?endpoint_override=127.0.0.1:9&scheme=http")
    assert place.path == "bucket/in#1/what?"
    with pytest.raises(ConfigError, match=r"/a: unknown option 'x'; .* as `\?x=` does, cannot be"):
        Location.of("s3://bucket/in/a?x=")


def test_a_url_of_a_local_file_may_be_encoded(tmp_path: Path) -> None:
    path = tmp_path / "a b#1?x=1%41é"
    assert Location.of(path.as_uri()).path == str(path)
    assert Location.of(f"file://{tmp_path}/a b#1?x=1").path == f"{tmp_path}/a b#1?x=1"

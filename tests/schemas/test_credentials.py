import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spanlore.schemas.credentials import (
    EVERY_TENANT,
    FILE_NAME,
    CredentialsError,
    load_or_create,
)


def made_by_an_earlier_version(data_dir: Path) -> dict[str, object]:
    load_or_create(data_dir)
    path = data_dir / FILE_NAME
    known: dict[str, object] = json.loads(path.read_text())
    del known["review_token"], known["reader"]
    path.write_text(json.dumps(known))
    return known


def test_secrets_of_an_earlier_version_are_kept_and_what_it_lacks_is_added(tmp_path: Path) -> None:
    known = made_by_an_earlier_version(tmp_path)
    found = load_or_create(tmp_path)
    assert len(found.review_token) > 40
    assert (len(found.reader.password) > 40, found.reader.tenant) == (True, EVERY_TENANT)
    assert found.collector_token == known["collector_token"]
    assert load_or_create(tmp_path) == found
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert [
        path.name for path in tmp_path.iterdir() if path.name.startswith(f".{FILE_NAME}.")
    ] == []


def test_processes_that_complete_a_file_at_once_agree_on_it(tmp_path: Path) -> None:
    made_by_an_earlier_version(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(load_or_create, [tmp_path] * 32))
    assert found == {load_or_create(tmp_path)}


def test_secrets_that_are_none_are_named_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"admin": {}}')
    with pytest.raises(CredentialsError, match="restore it, or delete it"):
        load_or_create(tmp_path)


def test_a_reader_may_be_bound_to_one_tenant(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    path = tmp_path / FILE_NAME
    known = json.loads(path.read_text())
    known["reader"]["tenant"] = "acme"
    path.write_text(json.dumps(known))
    assert load_or_create(tmp_path).reader.tenant == "acme"


@pytest.mark.parametrize("tenant", ["", None, 7, ["acme"], "a\x00b"])
def test_a_reader_of_no_proper_tenant_is_not_a_reader_of_all(
    tmp_path: Path, tenant: object
) -> None:
    load_or_create(tmp_path)
    path = tmp_path / FILE_NAME
    known = json.loads(path.read_text())
    known["reader"]["tenant"] = tenant
    path.write_text(json.dumps(known))
    with pytest.raises(CredentialsError, match="tenant"):
        load_or_create(tmp_path)

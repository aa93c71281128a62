from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from spanlore.review.desk import Desk
from spanlore.schemas.store import Store
from tests.review.door_process import DoorProcess


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    """A desk on the emptied store."""
    opened = Desk(partial(Store.connect, store_url))
    opened.open()
    with closing(opened):
        yield opened


@pytest.fixture
def door(store_url: str, tmp_path: Path) -> Iterator[DoorProcess]:
    """A door on the emptied store."""
    with DoorProcess(tmp_path, store_url) as process:
        yield process

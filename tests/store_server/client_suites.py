"""Suites of tests in other languages: where the store is goes in, each test's result comes out."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from tests.store_server.store_process import StoreProcess


@dataclass(frozen=True, slots=True)
class Result:
    """How one test of a suite ended, and what it said."""

    passed: bool
    said: str


Results = Mapping[str, Result]


def environment(store: StoreProcess) -> dict[str, str]:
    """Tell a suite the store's address and its logins."""
    logins = {"ADMIN": store.admin, "INGEST": store.ingest, "READER": store.reader}
    return {
        **os.environ,
        "STORE_ADDRESS": f"127.0.0.1:{store.port}",
        **{f"{role}_USER": login.user for role, login in logins.items()},
        **{f"{role}_PASSWORD": login.password for role, login in logins.items()},
    }

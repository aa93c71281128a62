"""The model that the user configured, ready to be asked; its answers are cached."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spanlore.cli.connection import Running
from spanlore.cli.datadir import make_data_dir
from spanlore.cli.errors import CannotReach

if TYPE_CHECKING:
    from spanlore.analyzers.models.question import ModelClient
    from spanlore.analyzers.models.settings import ModelSettings

__all__ = ["asked_model", "configured_model"]


def configured_model() -> "ModelSettings | None":
    """Return what the environment says of a model. Raises CannotReach for half of one."""
    from spanlore.analyzers.models.settings import BadModelSettings, model_settings

    try:
        return model_settings(os.environ)
    except BadModelSettings as error:
        raise CannotReach(str(error)) from error


@contextmanager
def asked_model(running: Running, *, questions_max: int | None = None) -> Iterator["ModelClient"]:
    """Give the configured model. Raises CannotReach, with what to set, where there is none."""
    from spanlore.analyzers.models.answer_cache import FILE_NAME, AnswerCache
    from spanlore.analyzers.models.client import Model

    settings = configured_model()
    if settings is None:
        raise CannotReach(
            "no model is configured: set SPANLORE_MODEL_PROVIDER, SPANLORE_MODEL and "
            "SPANLORE_MODEL_API_KEY"
        )
    with AnswerCache(make_data_dir(running.data_dir) / FILE_NAME) as cache:
        yield Model(settings, cache, questions_max=questions_max)

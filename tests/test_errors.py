"""Errors come whole out of worker processes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from metaxy_core import errors

ERRORS = (
    errors.CycleError(["a", "b", "a"]),
    errors.EngineUnavailableError("duckdb://x", "no."),
    errors.FeatureNotFoundError("a", ["one", "other"]),
    errors.MetadataSchemaError("a", "no id."),
    errors.MissingExtraError("Store", "package", "extra"),
    errors.NotStoredError(["a"], "store", "Error: no", Path("rows.arrow")),
    errors.StoreUnavailableError("duckdb://x", "locked", "wait."),
    errors.UnknownFeatureError("a"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_pickles_with_its_facts(error):
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)

"""A wait is told after two seconds, once."""

from __future__ import annotations

import logging
from types import SimpleNamespace

from metaxy_core.backends.waiting import telling


def test_a_long_wait_is_told_once_and_a_short_one_is_not(caplog):
    caplog.set_level(logging.WARNING, "metaxy_core")
    tell = telling("duckdb://meta.duckdb")
    for seconds in (0.1, 1.9, 2.1, 3.0):
        tell(SimpleNamespace(seconds_since_start=seconds))
        assert len(caplog.messages) == (seconds > 2)
    assert caplog.messages == [
        "metaxy: waiting for duckdb://meta.duckdb, which somebody else has open ..."
    ]

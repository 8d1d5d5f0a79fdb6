"""The SQL of a comparison, per engine, as text: a change of it is seen in review.

`METAXY_GOLDEN=write pytest tests/golden/test_sql.py` writes the files anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import ibis
import pytest

from metaxy_core.backends.connection import FUNCTIONS
from metaxy_core.columns import STORED, data_version_of, provenance_of
from metaxy_core.frames.dialect import lazy
from metaxy_core.frames.ibis import IbisDialect
from metaxy_core.hashing import HashScheme
from metaxy_core.store.reading import stored, stored_with_marks
from metaxy_core.versioning import Comparison, compare, expected_units, stored_units
from tests.builders import aggregation, edge, expansion, feature, graph

FOLDER = Path(__file__).parent / "sql"
KINDS = {"text": "string", "time": "timestamp('UTC', 6)", "number": "int64", "flag": "boolean"}
FEATURES = graph(
    feature("video", ids="id", fields=["audio", "frames"]),
    feature("note", ids="id", fields=["text"]),
    feature("crop", edge("video"), edge("note", optional=True), fields=["audio", "frames"]),
    feature("voice", edge("video", lineage=aggregation("speaker")), ids="speaker"),
    feature("chunk", edge("video", lineage=expansion("id")), ids=["id", "number"]),
)


def table(key: str) -> ibis.Table:
    """The stored table of a feature, not bound to any database."""
    plan = FEATURES.plan(key)
    columns = dict.fromkeys(plan.spec.id_columns, "string")
    columns |= {"speaker": "string"} if key == "video" else {}
    for field in plan.fields:
        columns |= {provenance_of(field.key): "string", data_version_of(field.key): "string"}
    columns |= {name: KINDS[kind] for name, kind in STORED.items()}
    return ibis.table(columns, name=plan.key.to_table())


def comparison(key: str, dialect: IbisDialect) -> ibis.Table:
    """Everything that a resolve labels, as one expression."""
    plan, scheme = FEATURES.plan(key), HashScheme()
    version = FEATURES.versions[plan.key].feature
    parents = {
        edge.parent.key: stored(
            FEATURES.plan(edge.parent.key),
            lazy(table(str(edge.parent.key))),
            FEATURES.versions[edge.parent.key].feature,
        )
        for edge in plan.edges
    }
    expected = expected_units(plan, parents, lazy(table(key)), scheme, dialect)
    own = stored_with_marks(plan, lazy(table(key)), version)
    asked = Comparison()
    labels = compare(plan, expected, stored_units(plan, own, asked), asked, parents, dialect)
    made: ibis.Table = labels.to_native()
    return made


def normalised(sql: str) -> str:
    """Names that Narwhals draws at random, numbered as they come."""
    names = dict.fromkeys(re.findall(r"row_index_\w+|[a-z_]*[0-9a-f]{8,}[a-z_]*_?tmp\w*", sql))
    for number, name in enumerate(names):
        sql = sql.replace(name, f"drawn_{number}")
    return sql


@pytest.mark.parametrize("key", ["crop", "voice", "chunk"])
@pytest.mark.parametrize("engine", sorted(FUNCTIONS))
def test_the_sql_of_a_comparison_is_as_it_was(engine: str, key: str) -> None:
    dialect = IbisDialect(engine, FUNCTIONS[engine])
    sql = normalised(str(ibis.to_sql(comparison(key, dialect), dialect=engine))) + "\n"
    path = FOLDER / engine / f"{key}.sql"
    if os.environ.get("METAXY_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(sql)
    assert sql == path.read_text()

"""What `dg scaffold defs metaxy_dagster.FeatureGraphComponent` writes.

Dagster reads the annotations of the parameters itself, so this module has no postponed ones.
"""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field

from metaxy_core import MetaxyConfig

_FEATURES = '''"""The features: their names, their fields and what they are made from."""

from metaxy_core import Feature, FeatureSpec


class Document(
    Feature,
    spec=FeatureSpec(
        "document",
        id_columns=["document_id"],
        fields=["text"],
        provenance_from={"text": ["etag"]},
    ),
):
    """A document as it came in. Put what you have in its place."""

    document_id: str
    etag: str


class Length(
    Feature,
    spec=FeatureSpec("length", id_columns=["document_id"], fields=["words"], deps=[Document]),
):
    """How many words a document has."""
'''

_COMPUTE = '''"""The functions: one for each feature, and nothing else about Dagster."""

import polars as pl
from metaxy_dagster import Increment, computes

from .features import Document, Length


@computes(Document)
def documents() -> pl.DataFrame:
    """List the samples; what is new or changed of them is recorded."""
    return pl.DataFrame({"document_id": ["a", "b"], "etag": ["1", "1"], "text": ["to be", "hi"]})


@computes(Length)
def lengths(increment: Increment):
    """Count the words of new and changed documents; each frame is stored at once."""
    for batch in increment.iter_batches(100):
        yield batch.to_native().with_columns(words=pl.col("text").str.split(" ").list.len())
'''


class ScaffoldParams(BaseModel):
    """What `dg scaffold defs` may be told."""

    module: str | None = Field(
        default=None, description="The module of the features; without it one is written."
    )
    compute: str | None = Field(default=None, description="The module of the functions.")
    store: str | None = Field(default=None, description="The name of a store in metaxy.toml.")


class FeatureGraphScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes `defs.yaml` and, where no module of features is named, two modules to begin with."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """The parameters of the command."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write the files; those that exist stay as they are."""
        said = request.params
        attributes: dict[str, Any] = {"features": said.module or ".features"}
        if said.module is None:
            folder = request.target_path.parent if request.append else request.target_path
            _write(folder / "features.py", _FEATURES)
            if said.compute is None:
                _write(folder / "compute.py", _COMPUTE)
        if said.compute or said.module is None:
            attributes["compute"] = said.compute or ".compute"
        if said.store:
            attributes["store"] = {"name": said.store}
        elif not MetaxyConfig.load(start=request.project_root).stores:
            attributes["store"] = {"type": "duckdb", "path": "metaxy.duckdb"}
        dg.scaffold_component(request, attributes)


def _write(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text, encoding="utf-8")

"""The peer, in its own environment; what it offers was learned from its documentation alone."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import metaxy
from metaxy.ext.duckdb import DuckDBMetadataStore

from benchmarks.data import samples as samples_of
from benchmarks.graphs import SHAPES, Feature, Shape
from benchmarks.peer.protocol import Counts, frames, serve


class Theirs:
    """Shapes of features one to one; a process declares one shape."""

    def __init__(self) -> None:
        metaxy.MetaxyConfig.set(metaxy.MetaxyConfig(project="benchmark"))
        self._features: dict[str, Any] = {}
        self._opened = ExitStack()

    def fill(self, path: str, shape: str, samples: int, changed: int) -> None:
        self._declare(SHAPES[shape])
        with _store(path).open("w") as store:
            for root in SHAPES[shape].roots:
                store.write(self._features[root.key], samples_of(root, samples))
            for feature in SHAPES[shape].derived:
                declared = self._features[feature.key]
                store.write(declared, store.resolve_update(declared).new)
            if changed:
                root = SHAPES[shape].roots[0]
                store.write(self._features[root.key], samples_of(root, changed, version=1))

    def open(self, path: str, shape: str) -> None:
        self._store = self._opened.enter_context(_store(path).open("r"))

    def resolve(self, key: str, **options: Any) -> tuple[float, Counts]:
        start = time.perf_counter()
        counts = frames(self._store.resolve_update(self._features[key], **options))
        return time.perf_counter() - start, counts

    def write(self, path: str, shape: str, samples: int) -> float:
        self._declare(SHAPES[shape])
        root = SHAPES[shape].roots[0]
        rows = samples_of(root, samples)
        start = time.perf_counter()
        with _store(path).open("w") as store:
            store.write(self._features[root.key], rows)
        return time.perf_counter() - start

    def close(self) -> None:
        self._opened.close()

    def _declare(self, shape: Shape) -> None:
        if self._features:
            return
        for feature in shape.features:
            spec = _spec(feature)
            columns = {"id": str} | ({} if feature.parents else {feature.column: str})
            members = {"__annotations__": columns, "__module__": __name__}
            made = type(metaxy.BaseFeature)(
                feature.key.title(), (metaxy.BaseFeature,), members, spec=spec
            )
            self._features[feature.key] = made


def _spec(feature: Feature) -> metaxy.FeatureSpec:
    fields = []
    for name, refs in feature.fields.items():
        above: dict[str, list[str]] = {}
        for key, field in (ref.split("/") for ref in refs):
            above.setdefault(key, []).append(field)
        deps = [metaxy.FieldDep(feature=key, fields=found) for key, found in above.items()]
        fields.append(metaxy.FieldSpec(key=name, code_version="1", deps=deps))
    return metaxy.FeatureSpec(
        key=feature.key,
        id_columns=list(feature.ids),
        fields=fields,
        deps=[metaxy.FeatureDep(feature=key) for key in feature.parents],
    )


def _store(path: str) -> DuckDBMetadataStore:
    store = DuckDBMetadataStore(
        path, hash_algorithm=metaxy.HashAlgorithm.MD5, auto_create_tables=True
    )
    # It would download one when it is opened; MD5 needs none.
    store.extensions = []
    return store


if __name__ == "__main__":
    serve(Theirs())

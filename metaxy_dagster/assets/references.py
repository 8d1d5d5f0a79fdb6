"""Links from an asset to its code: the function and the feature's declaration."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg


def with_references(spec: dg.AssetSpec, *sources: Any) -> dg.AssetSpec:
    """A spec that says where functions and classes are written, for the UI's editor links.

    What has no source file (a key, a spec, a built-in) is left out.
    """
    found = [place for source in sources for place in _place(source)]
    if not found or "dagster/code_references" in spec.metadata:
        return spec
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        references = [
            dg.LocalFileCodeReference(file_path=path, line_number=line, label=label)
            for path, line, label in found
        ]
        value = dg.CodeReferencesMetadataValue(code_references=references)
    return spec.merge_attributes(metadata={"dagster/code_references": value})


def _place(source: Any) -> Iterator[tuple[str, int, str]]:
    if not (inspect.isclass(source) or inspect.isfunction(source)):
        return
    written = inspect.unwrap(source)
    try:
        path = inspect.getsourcefile(written)
        _, line = inspect.getsourcelines(written)
    except (OSError, TypeError):
        return
    if path is not None:
        yield path, line, f"{'class' if inspect.isclass(source) else 'function'} {source.__name__}"

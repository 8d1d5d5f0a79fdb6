"""The attribute `translation`: what the YAML says of a feature's asset, on top of its spec.

Dagster reads the annotations here itself, so this module has no postponed ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import dagster as dg

# Where Dagster's own integrations have them from.
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver

from metaxy_dagster.translator import FeatureTranslatorData


@dataclass(frozen=True)
class FeatureVariables:
    """A feature as templates see it: `{{ feature.key }}`.

    Attributes:
        key: such as `example/crop`.
        name: the last part of the key.
        table: the key as a name without slashes.
        version: the feature version.
    """

    key: str
    name: str
    table: str
    project: str | None
    description: str | None
    id_columns: Sequence[str]
    fields: Sequence[str]
    metadata: Mapping[str, Any]
    is_root: bool
    version: str

    @classmethod
    def of(cls, data: FeatureTranslatorData) -> "FeatureVariables":
        """The variables of one feature."""
        spec = data.feature
        return cls(
            str(spec.key),
            spec.key.parts[-1],
            spec.key.to_table(),
            spec.project,
            spec.description,
            list(spec.id_columns),
            [str(field.key) for field in spec.fields],
            dict(spec.metadata),
            spec.is_root,
            data.graph.versions[spec.key].feature,
        )


def with_parents(translated: dg.AssetSpec, spec: dg.AssetSpec) -> dg.AssetSpec:
    """The translated spec, with the feature's parents among its deps whatever it says of them.

    Without them its step would not wait for theirs.
    """
    deps = {dep.asset_key: dep for dep in (*spec.deps, *translated.deps)}
    return translated.replace_attributes(deps=list(deps.values()))


TranslationAttribute = Annotated[
    TranslationFn[FeatureTranslatorData] | None,
    TranslationFnResolver[FeatureTranslatorData](
        lambda data: {"feature": FeatureVariables.of(data), "data": data}
    ),
]

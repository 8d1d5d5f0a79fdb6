"""What follows from a diff downstream, and what is spared."""

from __future__ import annotations

from dataclasses import dataclass

from metaxy_core.diff.diff import Change, FieldDiff, GraphDiff
from metaxy_core.keys import FeatureKey, FieldKey, FieldRef


@dataclass(frozen=True)
class Affected:
    """A feature whose own declaration is unchanged but whose version follows its parents'.

    Attributes:
        fields: its fields whose version changed, sorted.
        causes: the fields, anywhere upstream, whose change or removal they follow, sorted.
    """

    key: FeatureKey
    fields: tuple[FieldKey, ...]
    causes: tuple[FieldRef, ...]


@dataclass(frozen=True)
class Impact:
    """The consequences of a diff, parents first.

    Attributes:
        affected: features that have to be computed again though nobody touched them.
        pruned: features that were not declared otherwise, lie downstream of one whose version
            changed, and use none of what changed: nothing to do.
    """

    affected: tuple[Affected, ...]
    pruned: tuple[FeatureKey, ...]


def impact(diff: GraphDiff) -> Impact:
    """Follow a diff through the edges of the later graph.

    >>> from metaxy_core.diff import diff
    >>> from metaxy_core.graph import Graph
    >>> from metaxy_core.spec import FeatureSpec, FieldDep, FieldSpec
    >>> def graph(version):
    ...     audio = FieldSpec("audio", code_version=version)
    ...     video = FeatureSpec("video", fields=[audio, "frames"])
    ...     stt = FieldSpec("text", deps=[FieldDep(feature="video", fields=["audio"])])
    ...     faces = FieldSpec("faces", deps=[FieldDep(feature="video", fields=["frames"])])
    ...     return Graph([video, FeatureSpec("stt", deps=["video"], fields=[stt]),
    ...                   FeatureSpec("faces", deps=["video"], fields=[faces])])
    >>> found = impact(diff(graph(1), graph(2)))
    >>> [str(one.key) for one in found.affected], [str(key) for key in found.pruned]
    (['stt'], ['faces'])
    >>> [str(cause) for cause in found.affected[0].causes]
    ['video.audio']
    """
    causes: dict[FieldRef, frozenset[FieldRef]] = {}
    affected, pruned, below = [], [], set[FeatureKey]()
    for key in diff.after:
        feature = diff.features[key]
        unchanged = feature.change is Change.UNCHANGED
        fields = {
            FieldRef(key, field.key): field
            for field in feature.fields
            if field.after and field.version_changed
        }
        for ref, field in fields.items():
            causes[ref] = _causes(ref, field, causes, own=not unchanged)
        is_below = any(parent in below for parent in diff.after.parents(key))
        if is_below or feature.version_changed:
            below.add(key)
        if unchanged and feature.version_changed:
            found = sorted({cause for ref in fields for cause in causes[ref]})
            affected.append(Affected(key, tuple(ref.field for ref in fields), tuple(found)))
        elif unchanged and is_below:
            pruned.append(key)
    return Impact(tuple(affected), tuple(pruned))


def _causes(
    ref: FieldRef, field: FieldDiff, known: dict[FieldRef, frozenset[FieldRef]], *, own: bool
) -> frozenset[FieldRef]:
    parents = field.after.parents if field.after else ()
    # An automatic mapping may lose a parent field that was removed: the removal is the cause.
    gone = set(field.before.parents if field.before else ()) - set(parents)
    itself = {ref} if own and field.change is not Change.UNCHANGED else gone
    return frozenset(itself).union(*(known[parent] for parent in parents if parent in known))

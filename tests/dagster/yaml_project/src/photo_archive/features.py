"""photo -> label, photo -> size; notes come from elsewhere."""

from metaxy_core import Feature, FeatureSpec


class Photo(
    Feature,
    spec=FeatureSpec(
        "archive/photo",
        id_columns=["photo_id"],
        fields=["pixels"],
        provenance_from={"pixels": ["etag"]},
        project="archive",
    ),
):
    """A photograph in the archive."""

    photo_id: str
    etag: str


class Size(
    Feature,
    spec=FeatureSpec(
        "archive/size",
        id_columns=["photo_id"],
        fields=["area"],
        deps=[Photo],
        project="archive",
    ),
):
    """How large it is."""


class Note(
    Feature,
    spec=FeatureSpec("archive/note", id_columns=["photo_id"], fields=["text"], project="archive"),
):
    """What somebody wrote about it, by other means than these."""


class Label(
    Feature,
    spec=FeatureSpec(
        "archive/label",
        id_columns=["photo_id"],
        fields=["label"],
        deps=[Photo, Size],
        project="archive",
    ),
):
    """What is on it."""

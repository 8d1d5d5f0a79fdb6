"""Graphs to draw."""

from __future__ import annotations

from random import Random

from metaxy_core import FeatureDep, FeatureSpec, FieldDep, FieldSpec, Graph
from metaxy_core.diff import GraphView, diff
from tests.builders import expansion, feature

HOSTILE = (
    '</text><script>alert(1)</script> "] `x` | a\n\n# b ]]> --> & \x1b[31m \u202egnp <img src=x>'
)


def example(audio: object = 1) -> Graph:
    """video -> crop -> face_detection, video -> stt."""

    def field(key: str, parent: str, of: str) -> FieldSpec:
        return FieldSpec(key, deps=[FieldDep(feature=parent, fields=[of])])

    return Graph(
        [
            feature("example/video", fields=[("audio", audio), "frames"]),
            feature(
                "example/crop",
                "example/video",
                fields=[
                    field("audio", "example/video", "audio"),
                    field("frames", "example/video", "frames"),
                ],
            ),
            feature(
                "example/face_detection",
                "example/crop",
                fields=[field("faces", "example/crop", "frames")],
            ),
            feature(
                "example/stt",
                "example/video",
                fields=[field("transcription", "example/video", "audio")],
            ),
        ]
    )


def example_diff() -> GraphView:
    """The sound track's code version goes from 1 to 2."""
    return GraphView.of(diff(example(1), example(2)))


def everything_diff() -> GraphView:
    """One feature of every status, and every kind of change."""
    before = Graph(
        [
            feature("raw/video", fields=["audio", "frames"]),
            feature("raw/labels", ids=["id"]),
            feature("scenes", FeatureDep("raw/video", lineage=expansion()), ids=["id", "scene"]),
            feature("speech", "raw/video", "raw/labels", fields=["audio"]),
            feature("faces", "raw/video", fields=["frames"], description="Boxes."),
            feature("words", "speech", fields=["audio"]),
            feature("poses", "raw/video", fields=["frames"]),
            feature("alone"),
        ]
    )
    after = Graph(
        [
            feature("raw/video", fields=[("audio", "v2"), "frames"]),
            feature("scenes", FeatureDep("raw/video", lineage=expansion()), ids=["id", "shot"]),
            feature("speech", "raw/video", fields=["audio"]),
            feature("faces", "raw/video", fields=["frames"], description="Boxes, one per face."),
            feature("words", "speech", fields=["audio"]),
            feature("poses", "raw/video", fields=["frames"]),
            feature("summary", "words", FeatureDep("faces", optional=True), fields=["text"]),
            feature("alone"),
        ]
    )
    return GraphView.of(diff(before, after))


def hostile_diff() -> GraphView:
    """Texts that would be markup wherever they are not escaped."""

    def graph(code: str, description: str) -> Graph:
        return Graph(
            [
                feature(
                    "video",
                    fields=[("audio", code)],
                    ids=['id"]<b>'],
                    description=description,
                    metadata={HOSTILE: description},
                ),
                feature(
                    "crop",
                    FeatureDep(
                        "video", lineage=expansion(), optional=True, filters=["id > '<script>'"]
                    ),
                    ids=['id"]<b>', "k"],
                ),
            ]
        )

    return GraphView.of(diff(graph("1", "plain"), graph(HOSTILE, HOSTILE)))


def layered(count: int, seed: int, long_names: bool = False) -> Graph:
    """A random graph of about six features a layer, with edges across layers."""
    random = Random(seed)
    specs: list[FeatureSpec] = []
    for index in range(count):
        near = specs[-9:]
        parents = random.sample(near, min(len(near), random.randint(0, 2)))
        if specs and random.random() < 0.3:
            parents.append(random.choice(specs))
        name = f"team_{index % 4}/feature_{index}" + ("_of_a_long_name" * 4 if long_names else "")
        fields = [f"field-{at}" for at in range(random.randint(1, 14 if long_names else 4))]
        specs.append(feature(name, *dict.fromkeys(spec.key for spec in parents), fields=fields))
    return Graph(specs)

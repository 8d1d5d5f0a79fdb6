"""Known answers of the static versions, to the digit."""

from metaxy_core.graph import Graph
from metaxy_core.spec import FeatureSpec, FieldDep, FieldSpec


def _graph(audio: int) -> Graph:
    def field(key: str, feature: str, parent: str) -> FieldSpec:
        return FieldSpec(key, deps=[FieldDep(feature=feature, fields=[parent])])

    video = FeatureSpec("example/video", fields=[FieldSpec("audio", code_version=audio), "frames"])
    crop = FeatureSpec(
        "example/crop",
        deps=["example/video"],
        fields=[
            field("audio", "example/video", "audio"),
            field("frames", "example/video", "frames"),
        ],
    )
    faces = FeatureSpec(
        "example/face_detection",
        deps=["example/crop"],
        fields=[field("faces", "example/crop", "frames")],
    )
    stt = FeatureSpec(
        "example/stt",
        deps=["example/video"],
        fields=[field("transcription", "example/video", "audio")],
    )
    return Graph([stt, faces, crop, video])


def _short(graph: Graph) -> dict[str, str]:
    shown = {"snapshot": graph.snapshot_version[:8]}
    for key, versions in graph.versions.items():
        shown[str(key)] = versions.feature[:8]
        shown |= {f"{key}.{field}": version[:8] for field, version in versions.fields.items()}
    return shown


BEFORE = {
    "snapshot": "8468950d",
    "example/video": "bc9ca835",
    "example/video.audio": "22742381",
    "example/video.frames": "794116a9",
    "example/crop": "3ac04df8",
    "example/crop.audio": "76c8bdc9",
    "example/crop.frames": "abc79017",
    "example/face_detection": "1ac83b07",
    "example/face_detection.faces": "2d75f0bd",
    "example/stt": "c83a754a",
    "example/stt.transcription": "ac412b3c",
}

AFTER = BEFORE | {
    "snapshot": "980943fb",
    "example/video": "6db302e5",
    "example/video.audio": "09c8398b",
    "example/crop": "54dc7f8a",
    "example/crop.audio": "f3130c0f",
    "example/stt": "066d34fc",
    "example/stt.transcription": "05841013",
}


def test_the_example_graph_has_the_known_versions():
    assert _short(_graph(audio=1)) == BEFORE


def test_a_code_version_bump_moves_exactly_the_known_versions():
    assert _short(_graph(audio=2)) == AFTER


def test_a_graph_without_features_is_empty():
    assert Graph().snapshot_version == "empty"

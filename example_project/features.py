"""The graph: video -> crop -> face_detection, and video -> stt.

Each field names exactly what it is made from, so a new sound track never finds faces again.
"""

import os

from metaxy_core import Feature, FeatureDep, FeatureSpec, FieldDep, FieldSpec

AUDIO_CODE_VERSION = os.environ.get("EXAMPLE_AUDIO_CODE_VERSION", "1")
"""Stands for an edit of the code that reads sound; the demo bumps it from 1 to 2."""


class Video(
    Feature,
    spec=FeatureSpec(
        "example/video",
        id_columns=["video_id"],
        fields=[FieldSpec("audio", code_version=AUDIO_CODE_VERSION), FieldSpec("frames")],
        provenance_from={"audio": ["audio_digest"], "frames": ["frames_digest"]},
    ),
):
    """A video file as it arrived: its sound track and its pictures."""

    video_id: str
    path: str
    duration_s: float
    audio_digest: str
    frames_digest: str


class Crop(
    Feature,
    spec=FeatureSpec(
        "example/crop",
        id_columns=["video_id"],
        deps=[FeatureDep(Video, select=["path"])],
        fields=[
            FieldSpec("audio", deps=[FieldDep(feature=Video, fields=["audio"])]),
            FieldSpec("frames", deps=[FieldDep(feature=Video, fields=["frames"])]),
        ],
    ),
):
    """The central square of a video, 240 by 240 pixels, with its sound."""

    video_id: str
    crop_path: str


class FaceDetection(
    Feature,
    spec=FeatureSpec(
        "example/face_detection",
        id_columns=["video_id"],
        deps=[FeatureDep(Crop, select=["crop_path"])],
        fields=[FieldSpec("faces", deps=[FieldDep(feature=Crop, fields=["frames"])])],
    ),
):
    """The faces in the pictures of a crop; their boxes are in the table `faces`."""

    video_id: str
    n_faces: int


class SpeechToText(
    Feature,
    spec=FeatureSpec(
        "example/stt",
        id_columns=["video_id"],
        deps=[FeatureDep(Video, select=["path"])],
        fields=[FieldSpec("transcription", deps=[FieldDep(feature=Video, fields=["audio"])])],
    ),
):
    """What is said in a video; the words are in the table `transcripts`."""

    video_id: str
    n_words: int

"""Owns finding faces in a video's picture, with the detector inside OpenCV's wheel."""

from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import cv2.data

from example_project.processing.container import open_video

_CASCADE = Path(cv2.data.haarcascades, "haarcascade_frontalface_default.xml")
_SMALLEST = 32
"""Side of the smallest face looked for, in pixels: below it patterns in clothes look like one."""


@dataclass(frozen=True)
class Face:
    """A box around a face in one frame, in pixels; x and y are its left and top edge, from 0."""

    frame: int
    """Number of the frame in the video, from 0."""
    time_s: float
    """When the frame is shown, in seconds."""
    x: int
    y: int
    width: int
    height: int


def detect_faces(path: str | Path, every: int = 15) -> list[Face]:
    """Find the faces that look at the camera in each `every`-th frame, the first included.

    Sorted by frame, then from left to right. A face seen in several of these frames is in the
    list once for each: nothing is tracked.

    The detector is a Haar cascade (Viola and Jones, Rapid object detection using a boosted cascade
    of simple features, CVPR 2001): faces turned or tilted far are not found, and faces narrower
    than 32 pixels are not looked for.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an MP4 file with a picture, or `every` is below 1.

    >>> from importlib.resources import files
    >>> detect_faces(files("example_project") / "media/raw/coffee.mp4")
    []
    """
    if every < 1:
        raise ValueError(f"every must be 1 or more frames, not {every}.")
    cascade = cv2.CascadeClassifier(str(_CASCADE))  # per call: one may not be shared by threads
    faces: list[Face] = []
    with open_video(path) as video:
        picture = video.streams.video[0]
        picture.thread_type = "AUTO"
        for number, frame in enumerate(video.decode(picture)):
            if number % every == 0:
                faces += _faces_in(frame, number, cascade)
    return faces


def _faces_in(frame: av.VideoFrame, number: int, cascade: cv2.CascadeClassifier) -> list[Face]:
    boxes = cascade.detectMultiScale(
        frame.to_ndarray(format="gray"),
        scaleFactor=1.1,
        minNeighbors=5,
        minSize=(_SMALLEST, _SMALLEST),
    )
    return [
        Face(number, float(frame.time or 0.0), *box)
        for box in sorted((int(x), int(y), int(w), int(h)) for x, y, w, h in boxes)
    ]

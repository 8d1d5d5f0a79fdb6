"""Owns turning a video's sound into words, with the English model inside pocketsphinx's wheel."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

import av
from pocketsphinx import Decoder  # type: ignore[attr-defined]  # the wheel has no types

from example_project.processing.container import open_video

_RATE = 16_000
"""Samples per second the model was trained on."""
_STEPS = 100
"""Steps per second in which the recogniser counts time."""
_turn = Lock()


@dataclass(frozen=True)
class Word:
    """A word as it was heard, in lower case."""

    text: str
    start_s: float
    """Seconds from the start of the sound."""
    end_s: float
    """Seconds from the start of the sound."""


@dataclass(frozen=True)
class Transcript:
    """What was said; `text` is the words with a space between, without punctuation."""

    text: str
    words: tuple[Word, ...]


def transcribe(path: str | Path) -> Transcript:
    """Write down what is said in a video, in American English.

    The whole sound is heard as one utterance, so it suits sentences, not hours. Empty if the file
    is silent or nothing was understood. The model is loaded on the first call in a process
    (about 0.3 s) and kept; calls in several threads take turns. Nothing heard before changes a
    result.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an MP4 file with a picture.

    >>> from importlib.resources import files
    >>> transcribe(files("example_project") / "media/raw/coffee.mp4").text
    'would you like another cup of coffee'
    """
    sound = _samples(path)
    if not sound:
        return Transcript("", ())
    with _turn:
        decoder = _decoder()
        decoder.reinit_feat()  # forget the loudness of what was heard before
        decoder.start_utt()
        decoder.process_raw(sound, full_utt=True)
        decoder.end_utt()
        heard = [] if decoder.hyp() is None else list(decoder.seg())
    words = tuple(
        # "the(2)" is the second way to pronounce "the"
        Word(s.word.partition("(")[0], s.start_frame / _STEPS, (s.end_frame + 1) / _STEPS)
        for s in heard
        if s.word[0] not in "<["  # silence and noise
    )
    return Transcript(" ".join(word.text for word in words), words)


@cache
def _decoder() -> Decoder:
    return Decoder(samprate=_RATE, frate=_STEPS, loglevel="FATAL")


def _samples(path: str | Path) -> bytes:
    """Decode the sound to 16 kHz, mono, signed 16 bits."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    with open_video(path) as video:
        if not video.streams.audio:
            return b""
        decoded = [f for frame in video.decode(audio=0) for f in resampler.resample(frame)]
        return b"".join(f.to_ndarray().tobytes() for f in (*decoded, *resampler.resample(None)))

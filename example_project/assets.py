"""One function per feature; each sees only the samples that have to be done.

The metadata and the results (boxes, transcripts) live in one DuckDB file: the results go there
through dagster-duckdb, the metadata through the feature's IO manager.
"""

from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl
from dagster_duckdb import DuckDBResource

from example_project import paths
from example_project.features import Crop, FaceDetection, SpeechToText, Video
from example_project.processing.crop import crop as cut
from example_project.processing.faces import detect_faces
from example_project.processing.probe import probe
from example_project.processing.speech import transcribe
from example_project.resources import store, translator
from metaxy_dagster import Increment, feature_asset, on_increment

BATCH = 2
when_there_is_work = on_increment(store)


@feature_asset(Video, translator=translator)
def video() -> pl.DataFrame:
    """Look at every file in the raw folder; only new and changed ones are recorded."""
    paths.prepare()
    infos = [probe(path) for path in sorted(paths.RAW.glob("*.mp4"))]
    return pl.DataFrame(
        {
            "video_id": [info.path.stem for info in infos],
            "path": [str(info.path) for info in infos],
            "duration_s": [info.duration_s for info in infos],
            "audio_digest": [info.audio_digest for info in infos],
            "frames_digest": [info.frames_digest for info in infos],
        }
    )


@feature_asset(Crop, automation_condition=when_there_is_work, translator=translator)
def crop(context: dg.AssetExecutionContext, increment: Increment) -> Iterator[pl.DataFrame]:
    """Cut the central square out of every new or changed video."""
    for batch in increment.iter_batches(BATCH):
        todo = batch.to_native()
        targets = [str(paths.CROPS / f"{name}.mp4") for name in todo["video_id"]]
        for source, target in zip(todo["path"], targets, strict=True):
            cut(source, target)
        context.log.info(f"cropped {', '.join(todo['video_id'])}")
        yield todo.with_columns(pl.Series("crop_path", targets))


@feature_asset(FaceDetection, automation_condition=when_there_is_work, translator=translator)
def face_detection(increment: Increment, results: DuckDBResource) -> Iterator[pl.DataFrame]:
    """Find the faces in every crop whose pictures changed."""
    for batch in increment.iter_batches(BATCH):
        todo = batch.to_native()
        found = {
            name: detect_faces(path)
            for name, path in zip(todo["video_id"], todo["crop_path"], strict=True)
        }
        boxes = [
            (name, face.frame, face.x, face.y, face.width, face.height)
            for name, faces in found.items()
            for face in faces
        ]
        columns = ["video_id", "frame", "x", "y", "width", "height"]
        _replace(results, "faces", todo["video_id"], pl.DataFrame(boxes, columns, orient="row"))
        counts = [len(found[name]) for name in todo["video_id"]]
        yield todo.with_columns(pl.Series("n_faces", counts))


@feature_asset(SpeechToText, automation_condition=when_there_is_work, translator=translator)
def stt(increment: Increment, results: DuckDBResource) -> Iterator[pl.DataFrame]:
    """Write down what is said in every video whose sound changed."""
    for batch in increment.iter_batches(BATCH):
        todo = batch.to_native()
        texts = [transcribe(path).text for path in todo["path"]]
        table = pl.DataFrame({"video_id": todo["video_id"], "text": texts})
        _replace(results, "transcripts", todo["video_id"], table)
        yield todo.with_columns(pl.Series("n_words", [len(text.split()) for text in texts]))


def _replace(
    results: DuckDBResource, table: str, samples: Sequence[str], rows: pl.DataFrame
) -> None:
    """Put a batch's results in place of what these samples had before."""
    schemas = {
        "faces": "video_id VARCHAR, frame INT, x INT, y INT, width INT, height INT",
        "transcripts": "video_id VARCHAR, text VARCHAR",
    }
    with results.get_connection() as connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({schemas[table]})")
        connection.begin()
        gone = f"DELETE FROM {table} WHERE list_contains(?, video_id)"  # noqa: S608  # a fixed name
        connection.execute(gone, [list(samples)])
        if rows.height:
            connection.register("rows", rows.to_arrow())
            connection.execute(f"INSERT INTO {table} BY NAME FROM rows")
        connection.commit()

"""A conversion on Apache Beam: many machines, the same bytes as on one.

Each shard is an element, which `shard_writer` writes: neither the runner nor its
parallelism leave a trace, and a bundle that is tried again writes the same files again.
Index, metadata and manifest are written by the program that starts the pipeline.

Workers need this package, the source under the same path, and `--out` where all can
write: a shared folder, or a file system of TensorFlow's such as `gs://`.
"""

from collections.abc import Callable, Sequence

from pipelines import files, shards
from pipelines.converting import conversion, shard_writer
from pipelines.converting import plan as plan_lib
from pipelines.converting import source as source_lib

try:
    import apache_beam as beam
    from apache_beam.options import pipeline_options
except ImportError as error:
    raise files.UserError(
        "Expected Apache Beam for --runner=beam, it isn't installed; pip install "
        "'vae_prod[beam]', in an environment of its own."
    ) from error


class _Write(beam.DoFn):
    """Writes shards."""

    def __init__(self, writer: shard_writer.ShardWriter):
        self._writer = writer

    def setup(self) -> None:
        self._writer.open()

    def process(self, shard: tuple[str, int]) -> None:
        self._writer.write(shard)


def convert(
    plan: plan_lib.Plan,
    open_source: Callable[[], source_lib.Source],
    out: str,
    options: Sequence[str],
) -> shards.Manifest:
    """Convert by a Beam pipeline.

    Args:
        plan: What to write.
        open_source: Opens the plan's source again; picklable.
        out: As of `conversion.convert`; the same for all workers.
        options: Beam's options, as flags.

    Raises:
        UserError: As of `conversion.convert`, or the pipeline failed.
    """

    def run(writer, lacking):
        try:
            _run(writer, lacking, options)
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise files.UserError(
                f"Expected the pipeline to succeed, it failed ({lines[-1][:400]}); "
                "mend what the runner says and run the same command to continue."
            ) from error

    writer = shard_writer.ShardWriter(plan, open_source, out)
    return conversion.convert_by(shard_writer.write_all(writer, plan, run), plan, out)


def _run(
    writer: shard_writer.ShardWriter,
    lacking: Sequence[tuple[str, int]],
    options: Sequence[str],
) -> None:
    with beam.Pipeline(options=pipeline_options.PipelineOptions(options)) as pipeline:
        listed = pipeline | "shards" >> beam.Create(lacking)
        one_by_one = listed | "one by one" >> beam.Reshuffle()
        _ = one_by_one | "write" >> beam.ParDo(_Write(writer))

"""Programs, a file each, and what several of them share."""

# All programs, in the order in which the documents show them.
PROGRAMS = (
    *("make_faces", "convert_celeba", "verify_shards"),
    *("train", "launch", "tune", "generate"),
    *("encode", "fit_sampler", "fit_attributes"),
    *("evaluate", "study", "reproduce"),
    *("export", "verify_export", "serve_client", "build_ops"),
    *("benchmark_input", "benchmark_convert", "benchmark_step", "benchmark_export"),
    "doctor",
    "write_docs",
)

"""Evaluate a trained model on a split, with a verdict, and compare evaluations.

    python -m tools.evaluate --run_dir=RUN --split=test
    python -m tools.evaluate --compare=RUN/evaluation/test.json,OTHER.json

The first prints reconstruction, likelihood, latent space and sample quality over the
whole split, with a verdict and what to do, and writes RUN/evaluation/SPLIT.json, where
each figure has its protocol: which images, how many, the seed. The second puts such
files beside each other, and refuses those that were not taken alike.
"""

import os
import sys
import textwrap

from pipelines import files
from tools import flags, program, progress
from vae_prod import config


def define(values):
    """Define this program's flags."""
    flags.add_trained(values)
    flags.add(values, "split", "test", "Split to evaluate on.")
    flags.add(
        values,
        "out",
        "",
        "File to write; default: evaluation/SPLIT.json in the run directory (of an "
        "export: in the working directory).",
    )
    flags.add_seed(values, "Seed of latent noise, samples, patches and directions.")
    text = (
        "Images behind the sliced Wasserstein distances, at most (0.7 MB of memory "
        "each, of 96x96x3)."
    )
    flags.add(values, "distance_images", 1000, text, least=7)
    text = "K of the importance-weighted bound of the log-likelihood; 0: no bound."
    flags.add(values, "importance_samples", 10, text)
    flags.add(values, "judge", "auto", config.JUDGE_HELP)
    text = (
        "What says whether an image shows its subject: faces (a face detector, the "
        "extra faces), a SavedModel's folder (from images to a probability each), "
        "none; auto: faces where --judge=auto would be faces, else none."
    )
    flags.add(values, "recognise", "auto", text)
    text = (
        "More feature extractors, with commas, each as --judge takes them: FID, KID, "
        "precision, recall, density and coverage by each."
    )
    flags.add(values, "features", "", text)
    text = (
        "Images whose features are compared, at most (24 KB of memory each, of "
        "InceptionV3)."
    )
    flags.add(values, "feature_images", 10_000, text, least=7)
    text = (
        "Training images to look for copies among, at most, evenly spread over the "
        "split; 0: don't look."
    )
    flags.add(values, "copies_images", 20_000, text)
    text = "Evaluations to put beside each other, files with commas; takes no model."
    flags.add(values, "compare", "", text)


def main(values):
    """Evaluate or compare what the flags say."""
    if values.compare:
        _compare(values.compare.split(","))
    else:
        _evaluate(values)


def _compare(paths: list[str]) -> None:
    if len(set(paths)) < max(2, len(paths)):
        raise flags.UsageError(
            f"--compare takes two or more different files, received {','.join(paths)}."
        )
    program.import_tensorflow()
    from vae_prod.evaluation import comparability, evaluation_file, table

    evaluations = {path: evaluation_file.load(path) for path in paths}
    comparability.check_alike(evaluations)
    print(table.comparison(evaluations))


def _evaluate(values) -> None:
    program.import_tensorflow()
    import attrs

    from pipelines.reading import data_set
    from tools import evaluating, runs
    from vae_prod.evaluation import evaluating as evaluating_lib
    from vae_prod.evaluation import evaluation_file, measurements, sections
    from vae_prod.evaluation import table as table_lib
    from vae_prod.evaluation.features import extractors as extractors_lib

    source, run, subject = _open(values)
    data_dir, manifest = runs.open_data(run, values.data_dir)
    count = _count(manifest, values.split, data_dir)
    judge, others, recogniser = _judges(values, run, data_dir)
    out = _out(values)
    settings = measurements.EvaluationSettings(
        values.seed,
        values.distance_images,
        values.importance_samples,
        values.feature_images,
    )
    beside = evaluating.Beside(
        run,
        data_dir,
        manifest,
        values.split,
        values.distance_images,
        values.copies_images,
    )
    with data_set.reading(data_dir), progress.Progress() as show:
        evaluation = evaluating_lib.evaluate(
            subject,
            beside.batches(),
            data_set.DataSet(data_dir, manifest, run.data).protocol(values.split),
            source,
            settings,
            judge=judge,
            extractors=others,
            recogniser=recogniser,
            on_progress=lambda done: show(done, count),
            beside=beside.parts,
        )
        copies = beside.copies()
    gaps = beside.gaps()
    evaluation = attrs.evolve(
        evaluation,
        copies=copies and sections.copies(copies),
        attribute_gaps=None if gaps is None else sections.gaps(gaps),
    )
    files.write(out, evaluation_file.to_text(evaluation))
    print(_head(evaluation, data_dir))
    print(table_lib.text(evaluation))
    if not others:
        sentence = extractors_lib.WHERE_TO_GET_ONE
        print("", *textwrap.wrap(sentence, 88, break_long_words=False), sep="\n")
    if beside.note:
        print("", *textwrap.wrap(beside.note, 88), sep="\n")
    print(f"\nwritten: {out}")


def _open(values):
    """Return which model it is, for the file, its run and the model to evaluate."""
    from tools import models
    from vae_prod.evaluation import subject as subject_lib

    if values.run_dir and not values.export_dir:
        which, batches = values.weights, values.recompute_batch_norm
        run, model = models.load_model(values.run_dir, which, batches)
        source = {
            "run_dir": values.run_dir,
            "weights": which,
            "recompute_batch_norm": batches,
        }
        subject = subject_lib.Subject.from_model(model)
    else:
        trained = models.open_trained(values)
        run, source = trained.run, {"export_dir": values.export_dir}
        subject = subject_lib.Subject(trained.codec, run.model)
    source["trained_on"] = run.data_digest
    return source, run, subject


def _judges(values, run, data_dir: str):
    """Return the judge, the other feature extractors, and the recogniser or None."""
    from tools import models
    from vae_prod.evaluation import judge, recognition
    from vae_prod.evaluation.features import extractors

    choice = models.choose_judge(
        run, data_dir, values.split, values.judge, values.recognise
    )
    shape = run.model.image_shape
    listed = [item for item in values.features.split(",") if item]
    best, *others = extractors.load_all([choice.judge, *listed], shape)
    recogniser = None
    if choice.recogniser != judge.NONE:
        recogniser = recognition.load(choice.recogniser, shape)
    return best, others, recogniser


def _count(manifest, split: str, data_dir: str) -> int:
    from pipelines import files as files_lib

    count = manifest.split(split).num_examples
    if not count:
        raise files_lib.UserError(
            f"Expected images in the split {split} of {data_dir}, found none. Choose "
            "another --split."
        )
    return count


def _out(values) -> str:
    """Return the file to write, after making its folder."""
    from tools.benchmarks import results

    name = os.path.join("evaluation", f"{values.split}.json")
    path = values.out or os.path.join(values.run_dir, name)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    results.check_writable(path)
    return path


def _head(evaluation, data_dir: str) -> str:
    from vae_prod.evaluation import table as table_lib

    images, model = evaluation.protocols["images"], evaluation.model
    height, width, channels = images["size"]
    named = images["protocol"]
    protocol = "" if named == "none" else f"protocol {named}, "
    return (
        f"{model.get('run_dir') or model['export_dir']}: "
        f"{table_lib.described(evaluation)}\n"
        f"{images['num_images']:,} images of {height}x{width}x{channels}, split "
        f"{images['split']} of {data_dir} ({protocol}crop {images['crop']}, filter "
        f"{images['resample']}, {images['stored']})"
    )


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

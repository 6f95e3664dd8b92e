"""Try an export out as a stranger would, and compare it with the model it came from.

    python -m tools.verify_export --export_dir=RUN/export/1

In a process where neither this package nor Keras can be imported: loads the SavedModel,
plays its recorded requests, tries every signature with batches of 1, 7 and 64, with
what must be refused, and again after that; prints how long answers take. Compares every
file with what was exported. With the run it was made from, compares encoding, decoding
and generation of held-out images too. Any difference beyond the tolerance ends with
exit code 1.
"""

import json
import os
import subprocess
import sys
import tempfile

from tools import flags, program, progress

# Bytes of the recorded requests and answers, unpacked.
_MOST_RECORDED = 1 << 30
# The process tries an export out with these out of reach.
_ALONE = """
import runpy, sys
for package in ("keras", "vae_prod", "pipelines", "tools"):
    sys.modules[package] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def define(values):
    """Define this program's flags."""
    flags.add(values, "export_dir", "", "An export's version folder.")
    text = "Run it was made from, to compare with; empty: the one that it lies in."
    flags.add(values, "run_dir", "", text)
    flags.add(values, "weights", "best", "Which weights it has.", ("best", "last"))
    text = "Batches over which its batch-norm statistics were recomputed."
    flags.add(values, "recompute_batch_norm", 0, text)
    flags.add(values, "data_dir", "", "Converted data set; default: the run's own.")
    text = "Held-out images to compare with the run on."
    flags.add(values, "images", 16, text, least=1)
    text = (
        "Largest difference allowed: of numbers, absolute or, above 1, in parts of "
        "them. Files may differ by one level of 255."
    )
    flags.add(values, "tolerance", 1e-4, text)
    flags.add(values, "seconds", 1.0, "Time to measure each signature for, each way.")
    flags.add(values, "out", "", "JSON file for all findings; empty: none.")


def main(values):
    """Try out what the flags say."""
    flags.require(values, "export_dir")
    program.import_tensorflow()
    from pipelines import files
    from tools.benchmarks import results
    from tools.exporting import verify_report
    from vae_prod.serving import description

    if values.out:
        results.check_writable(values.out)
    described = description.load(values.export_dir)
    findings = {"damage": description.damage(values.export_dir, described)}
    # What isn't what was exported is no model to load.
    if not description.model_damage(findings["damage"]):
        findings |= _tried(values, described)
    print(verify_report.text(described, findings, values.tolerance))
    if values.out:
        verify_report.save(values.out, described, findings)
    if wrong := verify_report.wrong(findings, values.tolerance):
        raise files.UserError(
            f"Expected {values.export_dir} to serve as it was exported, found "
            f"{len(wrong)} differences; the first: {wrong[0]}. Don't serve it; export "
            "again."
        )


def _tried(values, described) -> dict:
    """Try out an export whose SavedModel is whole; return what that has shown."""
    golden = os.path.join(values.export_dir, "assets.extra/golden.npz")
    _check_record(golden)
    with tempfile.TemporaryDirectory() as folder:
        records = {"golden": golden}
        if run_dir := _run_dir(values):
            records["run"] = os.path.join(folder, "run.npz")
            _record(values, run_dir, described, records["run"])
        job = {
            "export": values.export_dir,
            "records": records,
            "max_batch": described.max_batch,
            "seconds": values.seconds,
        }
        return _play(job, folder)


def _run_dir(values) -> str:
    """Return the run to compare with; empty where there is none."""
    if values.run_dir:
        return values.run_dir
    holder = os.path.dirname(os.path.dirname(os.path.abspath(values.export_dir)))
    is_run = os.path.isdir(os.path.join(holder, "weights"))
    return holder if is_run else ""


def _check_record(path: str) -> None:
    """Refuse recorded requests that aren't what an export writes, or too large."""
    from pipelines import files, npy

    try:
        for name in npy.read_archive(path, _MOST_RECORDED):
            if len(name.split("/")) != 3:
                raise ValueError(f"an array named {name!r}")
    except (OSError, ValueError) as error:
        raise files.UserError(
            f"Expected the recorded requests of an export in {path}, they can't be "
            f"read ({error}). Don't serve it; export again."
        ) from error


def _record(values, run_dir: str, described, path: str) -> None:
    """Record what the run's model answers, on held-out images."""
    from pipelines import files
    from tools import models
    from tools.exporting import expected_answers
    from vae_prod.model import codec

    run, model = models.load_model(run_dir, values.weights, values.recompute_batch_norm)
    digest = codec.from_model(model).weights_digest()
    if digest != described.weights_digest:
        raise files.UserError(
            f"Expected the weights of {values.export_dir} in {run_dir}, found others. "
            "Give the same --weights and --recompute_batch_norm as for tools.export, "
            "or another --run_dir."
        )
    expected_answers.record(path, run, model, described, values.data_dir, values.images)


def _play(job: dict, folder: str) -> dict:
    from pipelines import files
    from vae_prod.serving import replay

    path = os.path.join(folder, "job.json")
    with open(path, "w") as file:
        json.dump(job, file)
    said = os.path.join(folder, "stderr")
    # -P: modules that lie in the current folder are none of TensorFlow's.
    command = [sys.executable, "-P", "-c", _ALONE, replay.__file__, path]
    with progress.Progress("trials") as show, open(said, "wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr)
        for line in process.stdout:
            message = json.loads(line)  # Progress, and at last the findings.
            if isinstance(message, list):
                show(*message)
    if process.wait():
        with open(said, errors="replace") as stderr:
            lines = stderr.read().strip().splitlines() or ["no word"]
        raise files.UserError(
            f"Expected {job['export']} to load and answer in a process of its own, it "
            f"ended with exit code {process.returncode}: {lines[-1][:300]}"
        )
    return message


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

"""Measure how fast images become shards, against a plain Pillow loop.

    python -m tools.benchmark_convert --source=DIR --out=results.json

The loop opens, crops, resizes and saves one image after another, each to a file of
its own. Every case is a fresh process pinned to as many cores as it has workers; the
cases take turns, so that what else the machine does disturbs all alike. Imports and
the start of workers are shown apart. Without --source, the built-in faces are drawn
first.

The columns: "x plain" compares with the loop in as many processes, "x one" with the
same case in one process, "CPU x plain" images per second of processor time with those
of the loop in one process: on a busy machine, the figure to trust. "MB" is the
largest memory of the first process, "worker MB" that of the largest worker.
"""

import contextlib
import os
import sys
import tempfile
import time

import attrs

from pipelines import config as config_lib
from pipelines import crops, files
from tools import flags, program, progress
from tools.benchmarks import measuring, this_machine
from tools.benchmarks import results as results_lib

_PLAIN, _OURS = "plain loop", "conversion"
_PACKAGES = ("numpy", "pillow", "tensorflow")
_HEADER = (
    *("case", "processes", "images/s", "x plain", "x one"),
    *("CPU s/1,000", "CPU x plain", "start s", "MB", "worker MB"),
)


def define(values):
    """Define this program's flags."""
    flags.define(values, config_lib.ConvertConfig)
    flags.add(
        values, "source", "", "CelebA tree or folder of images; empty: drawn faces."
    )
    flags.add(values, "num_images", 2000, "How many images at most.", least=1)
    text = "Numbers of worker processes to measure."
    flags.add(values, "workers", (1, 2), text, least=1, most=4096)
    flags.add(values, "repetitions", 3, "How often each case runs.", least=1)
    flags.add(values, "out", "", "JSON file for the results; empty: none.")


def main(values):
    """Measure what the flags say, and print and save it."""
    config = flags.build(values, config_lib.ConvertConfig)
    _check(values, config)
    with tempfile.TemporaryDirectory() as folder:
        root = values.source or _draw_faces(folder, values.num_images, values.seed)
        source = _open(root, config, values.num_images)  # Refuses what can't be read.
        num_images = sum(len(positions) for positions in source.splits.values())
        common = {"root": root, "config": config, "num_images": num_images}
        cases = [
            measuring.Case(
                _name(kind, number),
                prepare,
                {**common, "folder": folder, "num_workers": number},
                cores=number,
            )
            for number in sorted({1, *values.workers})
            for kind, prepare in ((_PLAIN, loop), (_OURS, conversion))
        ]
        facts = this_machine.facts(*_PACKAGES)
        with progress.Progress("runs") as show:
            runs = measuring.interleave(cases, values.repetitions, show)
    results = {case.name: _sum_up(case, runs[case.name], runs) for case in cases}
    print(_table(results))
    if values.out:
        settings = {
            "source": values.source or "faces",
            "num_images": num_images,
            "repetitions": values.repetitions,
            "convert": attrs.asdict(config),
        }
        content = {"machine": facts, "settings": settings, "cases": results}
        results_lib.save(values.out, content | {"runs": runs})


def _check(values, config):
    """Refuse what can't be measured, before any work."""
    if config.pad:
        raise flags.UsageError("--pad has no plain loop to compare with; leave it off.")
    if crops.parse(config.crop).needs:
        raise flags.UsageError(
            f"--crop={config.crop} has no plain loop to compare with; choose one "
            "without annotations."
        )
    if values.source and not os.path.isdir(values.source):
        raise files.UserError(
            "Expected --source to be a folder of images, received "
            f"{values.source}; unpack it, or leave --source off for drawn faces."
        )
    if values.out:
        results_lib.check_writable(values.out)


def _draw_faces(folder, num_images, seed):
    """Write the built-in faces as JPEG files and return where they are."""
    from pipelines import faces

    root = os.path.join(folder, "faces")
    with progress.Progress("faces drawn") as show:
        faces.write_tree(root, num_images, seed, 0, show)
    return root


def _open(root, config, num_images):
    """Open a source with at most so many images over all splits."""
    from pipelines import sources

    source = sources.open_source(root, config)
    splits = {}
    for name, positions in source.splits.items():
        chosen = positions[:num_images]
        num_images -= len(chosen)
        if len(chosen):
            splits[name] = chosen
    return attrs.evolve(source, splits=splits)


def _name(kind, number):
    return f"{kind}, {number} process{'es' * (number > 1)}"


def _save_all(shares):
    """Convert images as anyone would with Pillow; return how many of each share."""
    for paths, config, folder in shares:
        for path in paths:
            _save_one(path, config, folder)
    return [len(paths) for paths, _, _ in shares]


def _save_one(path, config, folder):
    from PIL import Image

    with Image.open(path) as image:
        if config.crop != "none":
            image = image.crop(crops.parse(config.crop).region(image.size, None).box)
        if config.image_size:
            resample = Image.Resampling[config.resample.upper()]
            image = image.resize((config.image_size, config.image_size), resample)
        stem = os.path.join(folder, os.path.basename(path))
        if config.encoding == "raw":
            with open(f"{stem}.raw", "wb") as file:
                file.write(image.tobytes())
        elif config.encoding == "png":
            image.save(f"{stem}.png")
        else:
            image.save(f"{stem}.jpg", quality=config.quality)


def loop(root, config, num_images, folder, num_workers):
    """Prepare the plain loop, in processes side by side where there are several."""
    source = _open(root, config, num_images)
    chosen = source.splits.items()
    items = [item for split, where in chosen for item in source.read(split, where)]
    paths, out = [item.load()[0] for item in items], tempfile.mkdtemp(dir=folder)
    shares = [(paths[n::num_workers], config, out) for n in range(num_workers)]
    return _timed(num_workers, lambda run: {"images": sum(run(_save_all, shares, 1))})


def conversion(root, config, num_images, folder, num_workers):
    """Prepare this package's conversion."""
    program.import_tensorflow()
    from pipelines.converting import conversion as conversion_lib
    from pipelines.converting import plan

    planned = plan.make_plan(_open(root, config, num_images), config)
    _ = planned.estimated_bytes  # Kept: converts some images to judge from.
    out = tempfile.mkdtemp(dir=folder)

    def convert_all(run):
        manifest = conversion_lib.convert_in(run, planned, out)
        num_images = sum(split.num_examples for split in manifest.splits.values())
        return {"images": num_images, "digest": manifest.digest()}

    return _timed(num_workers, convert_all)


def _timed(num_workers, function):
    """Start workers; return what times the function with them, start-up left out."""
    from pipelines.converting import workers

    stack = contextlib.ExitStack()
    run = stack.enter_context(workers.start(num_workers))
    begun = _cpu_seconds(run, num_workers)

    def work():
        start = time.perf_counter()
        result = function(run)
        seconds = time.perf_counter() - start
        cpu = _cpu_seconds(run, num_workers) - begun
        stack.close()
        return {**result, "seconds": seconds, "cpu_seconds": cpu}

    return work


def _cpu_seconds(run, num_workers):
    """Return the processor time of this process and of every worker so far."""
    clocks = {}
    while len(clocks) < num_workers:
        clocks |= dict(run(_clocks, range(2 * num_workers), 1))
    return sum((clocks | {os.getpid(): time.process_time()}).values())


def _clocks(chunk):
    time.sleep(0.02)  # So that one worker doesn't answer for all.
    return [(os.getpid(), time.process_time())] * len(chunk)


def _sum_up(case, runs, all_runs):
    """Return a case's figures; ratios are those of medians."""
    number = case.arguments["num_workers"]
    kind = _OURS if case.prepare is conversion else _PLAIN
    rate = _rate(runs)
    images = runs[0].result["images"]
    cpu, plain_cpu = _cpu(runs), _cpu(all_runs[_name(_PLAIN, 1)])
    plain = _rate(all_runs[_name(_PLAIN, number)]).median
    plain_per_core = _rate(all_runs[_name(_PLAIN, 1)]).median
    one = _rate(all_runs[_name(kind, 1)]).median
    return {
        "processes": number,
        "images": images,
        "images_per_second": rate,
        "ratio_to_plain": rate.median / plain,
        "ratio_to_plain_per_core": rate.median / number / plain_per_core,
        "ratio_to_one": rate.median / one,
        "cpu_seconds_per_1000": cpu,
        "cpu_ratio_to_plain": plain_cpu.median / cpu.median,
        "start_seconds": results_lib.spread([run.start_seconds for run in runs]),
        "peak_mb": max(run.peak_mb for run in runs),
        "worker_peak_mb": max(run.worker_peak_mb for run in runs),
    }


def _rate(runs):
    rates = [run.result["images"] / run.result["seconds"] for run in runs]
    return results_lib.spread(rates)


def _cpu(runs):
    return results_lib.spread(
        [run.result["cpu_seconds"] / run.result["images"] * 1000 for run in runs]
    )


def _table(results):
    """Return the figures for people."""
    rows = [
        (
            name.split(",")[0],
            str(figures["processes"]),
            figures["images_per_second"].text(),
            f"{figures['ratio_to_plain']:.2f}",
            f"{figures['ratio_to_one']:.2f}",
            figures["cpu_seconds_per_1000"].text(".2f"),
            f"{figures['cpu_ratio_to_plain']:.2f}",
            f"{figures['start_seconds'].median:.1f}",
            f"{figures['peak_mb']:,.0f}",
            f"{figures['worker_peak_mb']:,.0f}" if figures["worker_peak_mb"] else "-",
        )
        for name, figures in results.items()
    ]
    return results_lib.table(_HEADER, rows)


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

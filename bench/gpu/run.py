"""Everything that needs a GPU, in one go: tests, sanitizers, benchmarks; tables, and one JSON at the end.

    ./x gpu [--pack FILE] [--only tests,sanitizers,bench,steps] [--quick] [--kernels PATTERN,…] [--json FILE]

The pack is what `./x gpu pack` made. Needed here: a GPU of compute capability 8.0 or more with its driver, Python with
NumPy and pytest; for benchmarks and steps PyTorch, for sanitizers NVIDIA's compute-sanitizer. The time is divided among
the parts, and what does not begin in time is named.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time
import xml.etree.ElementTree as ElementTree

from . import driver, folding, report, sanitize

SOURCE = pathlib.Path(__file__).resolve().parents[2]
#: Parts of the time that is left when a part begins.
SHARES = {"tests": 0.35, "sanitizers": 0.45, "bench": 0.7, "steps": 1.0}
LEAST_CAPABILITY = 8.0


def unpack(pack, folder):
    """The folder of a pack, which may be one already."""
    if pack.is_dir():
        return pack
    if not pack.exists():
        sys.exit(f"error: there is no pack at {pack}; ./x gpu pack makes one where the compiler is built")
    with tarfile.open(pack) as archive:
        archive.extractall(folder, filter="data")
    return folder


def environment_of(pack):
    """What modules of this folder and the tests need."""
    paths = [str(SOURCE / "bench"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": ":".join(paths), "QOPT_GPU_PACK": str(pack)}


def call(command, seconds, environment):
    """(status, what was printed); status None where the time was over."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env={**os.environ, **environment}
        )
    except subprocess.TimeoutExpired:
        return None, f"not ended within {seconds:.0f} s"
    return done.returncode, done.stdout + done.stderr


def run_tests(pack, options, seconds, environment):
    """Counts, and a line for each test that failed."""
    results = pack / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "cuda"]
    command += ["--junitxml", results, SOURCE / "test/e2e/test_gpu.py"]
    status, output = call(command, seconds, environment)
    if not results.exists():
        return {"passed": 0, "failed": 1, "skipped": 0, "failures": [output[-2000:]]}
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    failures = []
    for case in cases:
        for wrong in [*case.findall("failure"), *case.findall("error")]:
            failures.append(f"{case.get('name')}: {wrong.get('message', '')[:500]}")
    skipped = sum(case.find("skipped") is not None for case in cases)
    passed = len(cases) - len(failures) - skipped
    return {"passed": passed, "failed": len(failures), "skipped": skipped, "failures": failures}


def run_sanitizers(pack, options, seconds, environment):
    return sanitize.run(pack, seconds, environment)


def run_bench(pack, options, seconds, environment):
    """Rows of kernels; a process that a fault or a hang ends is followed by another, which leaves that entry out."""
    rows, end = pack / "rows.jsonl", time.monotonic() + seconds
    for _ in range(8):
        left = end - time.monotonic()
        if left < 5:
            break
        command = [sys.executable, "-m", "gpu.measure", pack / "kernels", "--rows", rows, "--seconds", left - 5]
        command += ["--quick"] if options.quick else []
        command += ["--only", options.kernels] if options.kernels else []
        known = len(report.read_rows(rows))
        status, output = call(command, left + 20, environment)
        found = report.read_rows(rows)
        if status == 0:
            return found
        if len(found) == known:  # it did not even begin
            return [*found, {"name": "measure", "error": output[-500:]}]
    return report.read_rows(rows)


def run_steps(pack, options, seconds, environment):
    """Tokens a second of whole steps: models of the pack, and PyTorch's int4 loop."""
    steps, end = [], time.monotonic() + seconds
    batches = (1,) if options.quick else (1, 16)
    for model in measured_models(pack):
        command = [pack / "bin/qopt-run", model, "--trust", "--tokens", "1", "--max-tokens", 1, "--json"]
        steps.append(step(f"{model.stem}, first token", command, end, environment))
        for batch in batches:
            command = [pack / "bin/qopt-bench", model, "--trust", "--prompt", 0, "--batch", batch, "--json"]
            steps.append(step(f"{model.stem}, batch {batch}", command, end, environment))
        command = [pack / "bin/qopt-bench", model, "--trust", "--prompt", 512, "--tokens", 0, "--json"]
        steps.append(step(f"{model.stem}, prompt of 512", command, end, environment))
    for batch in batches:
        head = ["--head", "int8" if batch == 1 else "bf16"]
        command = [sys.executable, "-m", "gpu.llama", "--batch", batch, *head]
        steps.append(step(f"torch.compile int4 8B, batch {batch}", command, end, environment))
    return steps


def measured_models(pack):
    """Models whose speed is measured: those that were packed for it, and the real one of the tests."""
    for folded in sorted((pack / "measured").glob("*.npz")):
        model = folded.with_suffix(".qopt")
        if not model.exists():
            folding.unfold(folded, model)
        yield model
    yield from sorted((pack / "models").glob("books*.qopt"))


def step(name, command, end, environment):
    """A row: what a program prints as JSON, its tokens a second, and how long all of it took."""
    begin = time.monotonic()
    if end - begin < 10:
        return {"name": name, "error": "not started: the time was over"}
    status, output = call(command, end - begin, environment)
    lines = [line for line in output.splitlines() if line.startswith("{")]
    row = {"name": name, "process_seconds": round(time.monotonic() - begin, 3)}
    if status != 0 or not lines:
        return {**row, "error": output.strip()[-500:]}
    found = json.loads(lines[0])
    part = found.get("decode") or found.get("prefill") or {}
    return {
        **row,
        "tokens_per_second": found.get("tokens_per_second") or part.get("tokens_per_second"),
        "figures": found,
    }


def show(results):
    """Short tables of every part."""
    if "tests" in results:
        tests = results["tests"]
        print("tests: {passed} passed, {failed} failed, {skipped} skipped".format(**tests))
        print("".join(f"  {failure}\n" for failure in tests["failures"]))
    if "sanitizers" in results:
        rows = [[r["tool"], r["target"], r["outcome"], r.get("errors", "")] for r in results["sanitizers"]]
        print(report.table(["sanitizer", "over", "outcome", "errors"], rows))
        for row in results["sanitizers"]:
            if row["outcome"] not in ("clean", "skipped"):
                print(f"{row['tool']} over {row['target']}: {row.get('detail', '')[-1500:]}\n")
    if "bench" in results:
        report.print_rows(results["bench"])
    if "steps" in results:
        rows = []
        for row in results["steps"]:
            speed = row.get("tokens_per_second")
            rows.append([row["name"], f"{speed:,.0f}" if speed else "—", row.get("process_seconds", "")])
            rows[-1].append(row.get("error", ""))
        print(report.table(["whole step", "tokens/s", "process s", "error"], rows))
        print(report.figure_table(report.step_figures(results["steps"])))


def failed(results):
    tests, sanitizers = results.get("tests", {}), results.get("sanitizers", [])
    return bool(tests.get("failed")) or any(row["outcome"] in ("errors", "failed", "timeout") for row in sanitizers)


RUN = {"tests": run_tests, "sanitizers": run_sanitizers, "bench": run_bench, "steps": run_steps}


def names(text):
    unknown = [part for part in text.split(",") if part not in RUN]
    if unknown:
        raise argparse.ArgumentTypeError(f'no part "{unknown[0]}"; expected some of {", ".join(RUN)}')
    return text.split(",")


def seconds(text):
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f'expected more than 0, got "{text}"')
    return number


def parse():
    parser = argparse.ArgumentParser(
        prog="./x gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = SOURCE / "build/gpu.tar.xz"
    parser.add_argument("--pack", type=pathlib.Path, default=default, help="file or folder [build/gpu.tar.xz]")
    parser.add_argument("--only", type=names, default=list(RUN), help="parts with commas between [all]")
    parser.add_argument("--quick", action="store_true", help="the most telling kernels alone, fewer replays")
    parser.add_argument("--kernels", help="names or patterns of measured kernels, with commas between [all]")
    parser.add_argument("--seconds", type=seconds, default=560, help="for everything [560]")
    parser.add_argument("--json", type=pathlib.Path, help="file for all results")
    return parser.parse_args()


def main():
    options, begin = parse(), time.monotonic()
    try:
        gpu = driver.Driver().describe()
    except driver.NoGpuError as error:
        sys.exit(f"error: {error}")
    if float(gpu["capability"]) < LEAST_CAPABILITY:
        sys.exit(f"error: {gpu['name']} has compute capability {gpu['capability']}; at least 8.0 is needed")
    results = {"gpu": gpu}
    with tempfile.TemporaryDirectory() as folder:
        pack = unpack(options.pack, pathlib.Path(folder)).resolve()
        environment = environment_of(pack)
        parts = [part for part in RUN if part in options.only]
        for part in parts:
            left = options.seconds - (time.monotonic() - begin)
            share = SHARES[part] if part != parts[-1] else 1.0
            results[part] = RUN[part](pack, options, left * share, environment)
            show({part: results[part]})
            sys.stdout.flush()
            if options.json:
                options.json.write_text(json.dumps(results, indent=1) + "\n")
    results["figures"] = report.figures(results.get("bench", [])) + report.step_figures(results.get("steps", []))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    else:
        print(json.dumps({key: value for key, value in results.items() if key in ("gpu", "figures")}))
    sys.exit(1 if failed(results) else 0)


if __name__ == "__main__":
    main()

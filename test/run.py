"""Runs every test (lit, GoogleTest, pytest) and prints the sum as the last line: `N passed, N failed, N skipped`."""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor

SOURCE = pathlib.Path(__file__).resolve().parent.parent


def run_lit(build, results, jobs, name_filter):
    command = [build / "venv/bin/lit", "-q", f"-j{jobs}", "--xunit-xml-output", results / "lit.xml"]
    if name_filter:
        command += ["--filter", name_filter, "--allow-empty-runs"]
    if not any(p.suffix in (".mlir", ".test") for p in (SOURCE / "test").rglob("*")):
        return 0
    return subprocess.run([*command, build / "test"]).returncode


def run_gtest(program, results, name_filter):
    """One GoogleTest program; its output is shown only when it fails."""
    if name_filter and name_filter.lower() not in program.name.lower():
        return 0
    report = results / f"{program.name}.xml"
    done = subprocess.run(
        [program, f"--gtest_output=xml:{report}", "--gtest_brief=1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=SOURCE,
    )
    if done.returncode:
        sys.stdout.buffer.write(done.stdout)
        print(f"{program.name}: exit status {done.returncode}", flush=True)
        if not report.exists():  # it died before it could report: one failure
            report.write_text('<testsuites tests="1" failures="1"/>')
    return done.returncode


def run_pytest(build, results, jobs, name_filter):
    command = [build / "venv/bin/python", "-m", "pytest", "-q", "-n", str(jobs), "-p", "no:cacheprovider"]
    command += ["--dist", "worksteal"]  # most of a module's tests in one process, which makes what they share once
    command += ["--junitxml", results / "pytest.xml", "-rs"]
    if name_filter:
        command += ["-k", name_filter]
    paths = os.pathsep.join([str(build / "python"), str(SOURCE / "test")])
    environment = dict(os.environ, QOPT_BUILD=str(build), PYTHONPATH=paths)
    status = subprocess.run([*command, SOURCE / "test"], env=environment, cwd=SOURCE).returncode
    return 0 if status == 5 else status  # 5: nothing was collected


def count(report):
    """(passed, failed, skipped) of one JUnit XML file."""
    root = ElementTree.parse(report).getroot()
    suites = [root] if root.get("tests") is not None else root.findall("testsuite")
    total = failed = skipped = 0
    for suite in suites:
        total += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0)) + int(suite.get("disabled", 0))
    return total - failed - skipped, failed, skipped


#: Tests of kernels, emulator and CUDA device: GoogleTest programs and pytest's modules.
GPU = re.compile(
    r"Attention|Gemm|SkinnyLinear|RowKernels|KernelPlans|Cuda|Emulator|cuda|emulat|gpu|kernel|lib\.Kernels|key_groups|sum_order"
)


def seconds(report):
    """(of tests that need a GPU or the emulator, of all) of one JUnit XML file, summed over the tests."""
    program = "" if report.stem in ("lit", "pytest") else report.stem
    cases = [
        (program or case.get("classname", ""), float(case.get("time", 0)))
        for case in ElementTree.parse(report).getroot().iter("testcase")
    ]
    return sum(time for name, time in cases if GPU.search(name)), sum(time for _, time in cases)


def remove_results(results):
    """Removes the reports of the last run; returns how long each of its programs took."""
    last = {}
    for old in results.glob("*.xml"):
        with contextlib.suppress(ElementTree.ParseError):  # that run was ended
            last[old.stem] = seconds(old)[1]
        old.unlink()
    return last


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="build folder")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--filter", help="run only tests whose name matches")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    # Many tests generate the same kernels: once a run, and never from an earlier one.
    os.environ["QOPT_CODE_CACHE"] = str(build / "test/code-cache")
    shutil.rmtree(os.environ["QOPT_CODE_CACHE"], ignore_errors=True)
    results = build / "test/results"
    results.mkdir(parents=True, exist_ok=True)
    last = remove_results(results)

    statuses = [run_lit(build, results, arguments.jobs, arguments.filter)]
    # The longest first, so that none is left alone at the end.
    programs = sorted((build / "test/bin").glob("*Tests"), key=lambda program: (-last.get(program.name, 0), program))
    with ThreadPoolExecutor(arguments.jobs) as pool:
        statuses += pool.map(lambda program: run_gtest(program, results, arguments.filter), programs)
    statuses.append(run_pytest(build, results, arguments.jobs, arguments.filter))

    of_gpu, of_all = map(sum, zip(*map(seconds, results.glob("*.xml")), strict=True))
    print(f"{of_all:.0f} s of tests, {of_gpu:.0f} s of them about GPUs, {arguments.jobs} at once")
    passed, failed, skipped = map(sum, zip(*map(count, results.glob("*.xml")), strict=True))
    if failed == 0 and any(statuses):
        print("a test runner failed without naming a test; see above")
        failed = 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

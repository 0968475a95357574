"""Runs the harnesses under libFuzzer and the sanitizers; a line for each says what was done and found.

Inputs that reached something new are kept in BUILD/fuzz/TARGET/corpus and continued from; what is found, in
BUILD/fuzz/TARGET/findings. The exit status is 1 where there is a finding.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from fuzz import seeds

#: Of an input, in megabytes: SECURITY.md's bound for one allocation, while sanitizers keep what was freed; and seconds
#: of the clock, for the harnesses are the last that a busy machine serves (test_fuzz.py counts the processor's).
LONGEST, MEMORY, ALLOCATION, SECONDS = 1 << 16, 2048, 66, 60


def run(target, arguments):
    """One harness, until its time is over or something is found; True where nothing was."""
    folder = arguments.build / "fuzz" / target
    for name in ("corpus", "findings"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    more = seeds.node_tests() if target == "OnnxImport" else ()
    count = seeds.write(target, folder / "seeds", more)
    before = set((folder / "findings").iterdir())
    command = [
        *("nice", "-n", "19", arguments.build / "test/bin" / f"fuzz-{target}"),
        *(folder / "corpus", folder / "seeds", f"-dict={folder}/seeds.dict", f"-artifact_prefix={folder}/findings/"),
        *(f"-max_total_time={arguments.seconds}", f"-max_len={LONGEST}", f"-timeout={SECONDS}"),
        *(f"-rss_limit_mb={MEMORY}", f"-malloc_limit_mb={ALLOCATION}", "-print_final_stats=1"),
    ]
    # libFuzzer ends without destructors, so what a harness puts into the temporary folder is removed here.
    with open(folder / "log", "w", errors="replace") as log, tempfile.TemporaryDirectory() as temporary:
        environment = {**os.environ, "TMPDIR": temporary}
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        status = process.returncode = os.waitstatus_to_exitcode(status)
    said = (folder / "log").read_text(errors="replace")
    executed = re.findall(r"stat::number_of_executed_units: (\d+)", said) or re.findall(r"^#(\d+)", said, re.MULTILINE)
    edges = re.findall(r"cov: (\d+)", said)
    print(
        f"{target}: {count} seeds, {executed[-1] if executed else 0} inputs, {edges[-1] if edges else 0} edges, "
        f"{usage.ru_utime + usage.ru_stime:.0f} s of the processor",
        *(f"\n  finding: {path}" for path in sorted(set((folder / "findings").iterdir()) - before)),
        f"\n  exit status {status}, see {folder}/log" if status else "",
        flush=True,
    )
    return status == 0


def main():
    parser = argparse.ArgumentParser(prog="./x fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(seeds.TARGETS)} [all]")
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=60, help="of each harness [60]")
    parser.add_argument("--jobs", type=int, default=2, help="harnesses that run at once [2]")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(seeds.TARGETS):
        parser.error(f'unknown target "{min(unknown)}"; expected {", ".join(seeds.TARGETS)}')
    arguments.build = arguments.build.resolve()
    with ThreadPoolExecutor(arguments.jobs) as pool:
        held = list(pool.map(lambda target: run(target, arguments), arguments.targets or seeds.TARGETS))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())

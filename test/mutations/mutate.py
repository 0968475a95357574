"""Makes the defects of mutations.toml, one after the other, and says which of them the tests report.

Mutation testing (DeMillo, Lipton, Sayward: Hints on Test Data Selection, 1978) measures a test suite: a defect that no
test reports is one that could be made. Each defect is built and tested in the source folder itself; afterwards that is
put back, and built.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
#: Seconds after which a program or a part of pytest counts as one that hangs, which is a report, too.
PATIENCE = 900


def read_mutations():
    """(mutations, lists of tests by name) of mutations.toml."""
    content = tomllib.loads((HERE / "mutations.toml").read_text())
    return content["mutation"], content["tests"]


@contextlib.contextmanager
def made(mutation):
    """The defect is in its file."""
    path = SOURCE / mutation["file"]
    text = path.read_text()
    assert text.count(mutation["old"]) == 1, f"{mutation['name']}: not once in {path}: {mutation['old']}"
    try:
        path.write_text(text.replace(mutation["old"], mutation["new"]))
        yield
    finally:
        path.write_text(text)


class Runner:
    """Builds and runs tests; `log` gets what they print."""

    def __init__(self, build, jobs, log):
        self.build, self.jobs, self.log = build, jobs, log

    def passes(self, *command, **environment):
        """Whether a program ends well, and in time."""
        try:
            return not subprocess.run(
                list(map(str, command)),
                cwd=SOURCE,
                stdout=self.log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                timeout=PATIENCE,
            ).returncode
        except subprocess.TimeoutExpired:
            return False

    def builds(self, test):
        """Whether what `test` needs can be built."""
        targets = ["all", "qopt-tests"] if ":" in test else [test]
        return self.passes("ninja", "-C", self.build, f"-j{self.jobs}", *targets)

    def reports(self, test):
        """Whether `test` fails."""
        kind, _, what = test.rpartition(":")
        if kind == "pytest":
            paths = os.pathsep.join([str(self.build / "python"), str(SOURCE / "test")])
            options = ["-x", "-q", "-n", self.jobs, "-p", "no:cacheprovider"]
            python = self.build / "venv/bin/python"
            command = [python, "-m", "pytest", SOURCE / "test" / what, *options]
            return not self.passes(*command, QOPT_BUILD=str(self.build), PYTHONPATH=paths)
        if kind == "lit":
            return not self.passes(self.build / "venv/bin/lit", "-q", self.build / "test", "--filter", what)
        return not self.passes(self.build / "test/bin" / what, "--gtest_brief=1", "--gtest_fail_fast")

    def outcome(self, tests):
        """The first of `tests` that fails, "survived", or "does not build"."""
        for test in tests:
            if not self.builds(test):
                return "does not build"
            if self.reports(test):
                return test
        return "survived"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="build folder")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="defects whose name or file matches this regular expression")
    parser.add_argument("--log", type=pathlib.Path, default=os.devnull, help="what builds and tests print")
    parser.add_argument("--json", type=pathlib.Path, help="the outcomes by name")
    arguments = parser.parse_args()
    mutations, lists = read_mutations()
    chosen = [m for m in mutations if re.search(arguments.only, m["name"] + " " + m["file"])]
    if not chosen:
        parser.error(f'--only "{arguments.only}" matches no defect')
    outcomes = {}
    with arguments.log.open("w") as log:
        runner = Runner(arguments.build.resolve(), arguments.jobs, log)
        for mutation in chosen:
            print("\n==", mutation["name"], file=log, flush=True)
            tests = [test for name in mutation["tests"] for test in lists[name]]
            with made(mutation):
                outcomes[mutation["name"]] = runner.outcome(tests)
            print(f"{mutation['name']}: {outcomes[mutation['name']]}", flush=True)
        print("\n== none", file=log, flush=True)
        restored = runner.builds("all:")
    if arguments.json:
        arguments.json.write_text(json.dumps(outcomes, indent=1) + "\n")
    caught = sum(outcome not in ("survived", "does not build") for outcome in outcomes.values())
    print(f"{caught} of {len(outcomes)} defects reported")
    if not restored:
        print("the files are as they were, but do not build")
    return 0 if restored and "does not build" not in outcomes.values() else 1


if __name__ == "__main__":
    sys.exit(main())

"""Measures records beside their peers on a GPU; prints tables, and one JSON object a line as soon as it is known.

    python3 -m gpu.measure FOLDER --rows rows.jsonl [--only PATTERN,…] [--quick] [--seconds N]

FOLDER has the records. What is in the rows already is not measured again, so that a process that a failed launch has
ended can be followed by another. An entry that fails is a row with its error.
"""

import argparse
import fnmatch
import json
import pathlib
import time

import torch

from . import catalog, driver, launcher, peers, report, roofs, timing


class Bench:
    def __init__(self, options):
        self.options, self.gpu = options, driver.Driver()
        self.end = time.monotonic() + options.seconds
        self.replays = 5 if options.quick else 15
        self.cache_bytes = self.gpu.attribute(driver.CACHE_BYTES)
        self.rows = report.read_rows(options.rows)
        self.peer_seconds = {}

    def copies(self, nbytes):
        return timing.copies_of(nbytes, self.cache_bytes)

    def add(self, name, measure):
        """Measures an entry unless it is there; nothing that goes wrong ends the others, except a broken context."""
        if any(row["name"] == name for row in self.rows):
            return
        row, begin = {"name": name}, time.monotonic()
        self.write({**row, "error": "the process ended while this ran: a fault or a hang"})
        if begin > self.end:
            row["error"] = f"not started within {self.options.seconds} s"
        else:
            try:
                row |= measure()
            except Exception as error:
                row["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        row["took_seconds"] = round(time.monotonic() - begin, 2)
        self.rows.append(row)
        self.write(row)
        torch.cuda.empty_cache()
        torch.cuda.synchronize()  # ends this process after a launch that broke the context

    def write(self, row):
        """What is written last of an entry counts."""
        with self.options.rows.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def roofs(self):
        return {
            "what": "roofs",
            "gpu": self.gpu.describe(),
            "stream_bandwidth": roofs.stream_bandwidth(self.gpu, self.replays),
            "copy_bandwidth": roofs.copy_bandwidth(self.replays),
            "matrix_rate": roofs.matrix_rate(self.replays),
        }

    def kernel(self, path):
        launches = launcher.Launches(path, self.gpu, self.copies)
        found = launches.record
        row = {"what": found.family, "problem": found.problem, "schedule": found.schedule, "bytes": found.cost["bytes"]}
        row |= {"flops": found.cost["flops"], "predicted": found.cost["seconds"], "copies": len(launches.sets)}
        row["error_of_bound"] = launches.check()
        row["alone"] = timing.seconds_of(launches.calls(False), self.replays)
        settle = timing.settle_seconds(row["flops"])
        row["seconds"] = timing.seconds_of(launches.calls(True), self.replays, settle=settle)
        del launches
        torch.cuda.empty_cache()
        row["peers"] = {}
        for name, make in peers.peers_of(found).items():
            row["peers"][name] = self.peer(name, make, found.problem, row["flops"])
        return row

    def peer(self, name, make, problem, flops):
        """Seconds of a peer, measured once for all records that ask the same of it; a failure is its error."""
        ours = ("weights", "activation", "output", "key", "value", "norm", "makes_codes", "bias", "residual", "gate")
        same = {key: value for key, value in problem.items() if key not in ours}
        key = name, json.dumps(same, sort_keys=True)
        if key not in self.peer_seconds:
            try:
                self.peer_seconds[key] = peers.seconds_of(make, problem, flops, self.copies, self.replays)
            except Exception as error:
                self.peer_seconds[key] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                torch.cuda.synchronize()
        return self.peer_seconds[key]


def chosen(folder, only, quick):
    """The records of the catalog that are there, in its order, then those of others."""
    patterns = only.split(",") if only else ["*"]
    listed = {entry.name: entry.quick for entry in catalog.entries()}
    others = sorted(path.stem for path in folder.glob("*.json") if path.stem not in listed)
    for name in [*listed, *others]:
        matches = any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
        if matches and (listed.get(name, True) or not quick) and (folder / f"{name}.json").exists():
            yield folder / f"{name}.json"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=pathlib.Path, required=True)
    parser.add_argument("--only", help="names or patterns with commas between")
    parser.add_argument("--quick", action="store_true", help="fewer replays of the most telling records")
    parser.add_argument("--seconds", type=float, default=300, help="no entry is started later [300]")
    options = parser.parse_args()
    bench = Bench(options)
    bench.add("roofs", bench.roofs)
    for path in chosen(options.folder, options.only, options.quick):
        bench.add(path.stem, lambda path=path: bench.kernel(path))
    report.print_rows(bench.rows)


if __name__ == "__main__":
    main()

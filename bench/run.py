"""`./x bench`: measures qopt beside onnxruntime-genai and onnxruntime in one run and writes the ratios as Markdown.

Every case compiles a model, then measures qopt and its peer in turns, each in a process of its own with the same
threads, prompt and context; a figure is the median over all turns. The models are made here with seeded random weights
(bench/synthetic.py): a Llama of 28 million and one of 1.1 billion parameters. --books and --books-int4 name exports of
the real 28M model, which are then measured in their place. Models stay in the work folder for the next run.

Beside the ratios stand figures with limits of their own: loading with digests checked and with --trust, compiling, and
the memory of both. The status is 6 where a ratio or figure that is asked for is missed.

examples:
  ./x bench                                     every case
  ./x bench --cases tiny-f32,tiny-int8          the small model of the repository, a minute
  ./x bench --cases 'decode-*' --rounds 3 --output results.md
"""

import argparse
import fnmatch
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

SOURCE = pathlib.Path(__file__).resolve().parents[1]
MISSED = 6  # a tool's status where a limit that was asked for is not met
SHAPES = {
    "28m": ["--layers=8", "--hidden=512", "--heads=8", "--kv-heads=4", "--ffn=1408", "--vocabulary=8192"],
    "1b": [],  # synthetic.py's default, TinyLlama's shapes
}


@dataclass
class Case:
    """One row of the table: a speed of qopt, the peer's, and the ratio that is asked for."""

    name: str
    model: str  #: "tiny", "28m" or "1b"
    what: str  #: "decode" or "prefill"
    options: list[str]  #: of qopt-compile
    source: str  #: precision of the model that qopt compiles
    peer: str  #: "genai" or "onnxruntime"
    peer_source: str  #: precision of the peer's model
    asked: float  #: least ratio
    fraction: float | None = None  #: least fraction of the read bandwidth


@dataclass
class Load:
    """How long opening an artifact takes: a median, with its digests checked and with --trust."""

    name: str
    model: str
    options: list[str]
    source: str
    gigabyte_seconds: float | None  #: at most, with digests; None: the file is too small for that to mean anything
    trusted_seconds: float = 0.050  #: at most, with --trust


#: Seconds of compiling and bytes at its peak, by model and format; bytes of a session beyond file and cache, by model.
COMPILE_LIMITS = {("1b", "int4_g32"): (60, 1e9)}
SESSION_LIMITS = {"28m": 64e6, "1b": 200e6}
INT4 = ["--weights", "int4_g32"]
INT8 = ["--weights", "int8"]
CASES = [
    Case("decode-28m-int4", "28m", "decode", INT4, "f16", "genai", "int4", 1.2),
    Case("decode-1b-int4", "1b", "decode", INT4, "f16", "genai", "int4", 1.3, 0.75),
    Case("tiny-f32", "tiny", "decode", [], "f32", "onnxruntime", "f32", 2.5),
    Case("tiny-int8", "tiny", "decode", INT8, "f32", "onnxruntime", "f32", 2.5),
    Case("prefill-28m-int4", "28m", "prefill", INT4, "f16", "genai", "int4", 1.5),
    Case("prefill-28m-int8", "28m", "prefill", INT8, "f16", "genai", "int4", 1.5),
    Case("prefill-28m-f32", "28m", "prefill", [], "f32", "genai", "f32", 1.0),
    Case("prefill-1b-int4", "1b", "prefill", INT4, "f16", "genai", "int4", 1.5),
    Case("prefill-1b-int8", "1b", "prefill", INT8, "f16", "genai", "int4", 1.5),
    Case("prefill-1b-f32", "1b", "prefill", [], "f32", "genai", "f32", 1.0),
    Load("load-tiny", "tiny", [], "f32", None),
    Load("load-28m-int4", "28m", INT4, "f16", None),
    Load("load-1b-int4", "1b", INT4, "f16", 1.5),
]


@dataclass
class Compiled:
    """An artifact, and what making it took."""

    path: pathlib.Path
    model: str
    format: str  #: of the weights; "": the file's own
    seconds: float
    peak_bytes: int
    bench: dict = field(default_factory=dict)  #: the last output of qopt-bench
    used: bool = False  #: by a session of a case's size, not only to load it


class Bench:
    def __init__(self, options):
        self.options = options
        self.tools = options.build / "bin"
        self.work = options.work or options.build / "bench"
        self.artifacts = {}

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def run(self, *command):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"error: {' '.join(map(str, command))} ended with status {done.returncode}:\n{done.stderr}")
        return done.stdout

    def source(self, model, precision):
        """The folder of a model, made when it is not there."""
        given = {("28m", "f16"): self.options.books, ("28m", "int4"): self.options.books_int4}.get((model, precision))
        if model == "tiny":
            return SOURCE / "test/data/stories260k"
        if given:
            return given
        folder = self.work / f"{model}-{precision}"
        if not (folder / "model.onnx").exists():
            self.say(f"making {folder}")
            self.run(sys.executable, SOURCE / "bench/synthetic.py", folder, "--precision", precision, *SHAPES[model])
        return folder

    def artifact(self, case):
        """Compiles once for all cases that need the same."""
        key = (case.model, case.source, *case.options)
        if key not in self.artifacts:
            path = self.work / ("-".join(part.strip("-") for part in key) + ".qopt")
            command = [self.tools / "qopt-compile", self.source(case.model, case.source), *case.options, "-o", path]
            command += ["--threads", self.options.threads]
            self.say(f"compiling {path.name}")
            start = time.perf_counter()
            process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                sys.exit(f"error: qopt-compile ended with status {process.returncode}")
            self.artifacts[key] = Compiled(
                path, case.model, (case.options or [""])[-1], time.perf_counter() - start, usage.ru_maxrss * 1024
            )
        return self.artifacts[key]

    def sizes(self, case):
        repeats = ["--threads", self.options.threads, "--repeats", self.options.repeats]
        if case.what == "prefill":
            return [*repeats, "--prompt", 512, "--tokens", 0]
        return [*repeats, "--prompt", 0, "--context", 128, "--tokens", 64]

    def measure_qopt(self, case):
        compiled = self.artifact(case)
        compiled.bench = json.loads(self.run(self.tools / "qopt-bench", compiled.path, *self.sizes(case), "--json"))
        compiled.used = True
        return compiled.bench[case.what]

    def measure_peer(self, case):
        model = self.source(case.model, case.peer_source)
        if case.peer == "onnxruntime":
            model = model / "model.onnx"
        script = SOURCE / "bench/peers.py"
        return json.loads(self.run(sys.executable, script, case.peer, model, *self.sizes(case)))[case.what]

    def compare(self, case):
        """A row of the result, of the medians over all turns."""
        ours, theirs, fractions = [], [], []
        self.artifact(case)
        self.source(case.model, case.peer_source)
        for turn in range(self.options.rounds):
            self.say(f"{case.name}, turn {turn + 1} of {self.options.rounds}")
            found = self.measure_qopt(case)
            ours += found["repeats"]
            fractions.append(found.get("read_bandwidth_fraction", 0))
            theirs += self.measure_peer(case)["repeats"]
        row = {"case": case.name, "qopt": statistics.median(ours), "peer": statistics.median(theirs)}
        row |= {"peer_name": f"{case.peer} {case.peer_source}", "ratio": row["qopt"] / row["peer"]}
        row |= {"asked": case.asked, "fraction": statistics.median(fractions), "fraction_asked": case.fraction}
        row["met"] = row["ratio"] >= case.asked and row["fraction"] >= (case.fraction or 0)
        return row

    def load(self, case):
        """The figures of one artifact."""
        compiled = self.artifact(case)
        words = [self.tools / "qopt-bench", compiled.path, "--prompt", 1, "--tokens", 0, "--repeats", 1, "--json"]
        words += ["--threads", self.options.threads]
        seconds = {}
        for trust in ([], ["--trust"]):
            self.say(" ".join([case.name, *trust]))
            found = [json.loads(self.run(*words, *trust)) for _ in range(max(3, self.options.repeats))]
            compiled.bench = compiled.bench or found[-1]
            seconds[bool(trust)] = statistics.median(run["load_seconds"] for run in found)
        checked = seconds[False] / (compiled.path.stat().st_size / 1e9)
        return [
            limit(f"{case.name}: digests checked, s per GB", checked, case.gigabyte_seconds),
            limit(f"{case.name}: --trust, ms", 1e3 * seconds[True], 1e3 * case.trusted_seconds),
        ]

    def limits(self):
        """What making and using the artifacts of this run took, where something is asked of it."""
        rows = []
        for compiled in self.artifacts.values():
            if most := COMPILE_LIMITS.get((compiled.model, compiled.format)):
                rows.append(limit(f"{compiled.path.name}: compiled in s", compiled.seconds, most[0]))
                rows.append(limit(f"{compiled.path.name}: peak memory, MB", compiled.peak_bytes / 1e6, most[1] / 1e6))
            if (most := SESSION_LIMITS.get(compiled.model)) and compiled.used:
                memory = compiled.bench["session_bytes"] / 1e6
                rows.append(limit(f"{compiled.path.name}: working memory, MB", memory, most / 1e6))
        return rows


def limit(name, measured, most):
    """A figure that must not be larger than `most`, if that is asked at all."""
    return {"figure": name, "measured": measured, "most": most, "met": most is None or measured <= most}


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def markdown(rows, limits, artifacts, threads):
    lines = [f"Measured on {processor()} with {threads} threads; tokens/s, medians."]
    if rows:
        lines += [
            "",
            "| case | qopt | peer | tokens/s of the peer | ratio | asked | met |",
            "|---|---|---|---|---|---|---|",
        ]
    for row in rows:
        met = "yes" if row["met"] else "no"
        lines.append(
            f"| {row['case']} | {row['qopt']:,.0f} | {row['peer_name']} | {row['peer']:,.0f} | {row['ratio']:.2f} "
            f"| {row['asked']:.1f} | {met} |"
        )
    for row in rows:
        if row["fraction_asked"]:
            lines += ["", f"{row['case']} uses {100 * row['fraction']:.0f} % of the read bandwidth measured beside it"]
            lines[-1] += f" ({100 * row['fraction_asked']:.0f} % asked)."
    if limits:
        lines += ["", "| figure | measured | at most | met |", "|---|---|---|---|"]
    for row in limits:
        most = "" if row["most"] is None else f"{row['most']:,.4g}"
        met = "" if row["most"] is None else "yes" if row["met"] else "no"
        lines.append(f"| {row['figure']} | {row['measured']:,.3g} | {most} | {met} |")
    lines += ["", "| artifact | MB | compiled in s | peak memory MB | loaded in ms | working memory MB |"]
    lines.append("|---|---|---|---|---|---|")
    for compiled in artifacts.values():
        bench = compiled.bench
        lines.append(
            f"| {compiled.path.name} | {compiled.path.stat().st_size / 1e6:.1f} | {compiled.seconds:.1f} "
            f"| {compiled.peak_bytes / 1e6:.0f} | {1e3 * bench['load_seconds']:.1f} "
            f"| {bench['session_bytes'] / 1e6:.1f} |"
        )
    return "\n".join(lines) + "\n"


def folder(text):
    """A folder with a model in it."""
    path = pathlib.Path(text)
    if not (path / "model.onnx").is_file():
        raise argparse.ArgumentTypeError(f"{text} is no folder with a model.onnx in it")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build", help="build folder")
    parser.add_argument(
        "--work", type=pathlib.Path, help="folder for models and artifacts; default: bench below --build"
    )
    names = ", ".join(case.name for case in CASES)
    parser.add_argument("--cases", default="*", help=f"names or patterns with commas between: {names}")
    parser.add_argument("--books", type=folder, help="folder of a 28M model in f16")
    parser.add_argument("--books-int4", type=folder, help="folder of the same from onnxruntime-genai's builder")
    parser.add_argument("--threads", type=int, default=2, help="default 2")
    parser.add_argument("--rounds", type=int, default=2, help="turns of qopt and peer; default 2")
    parser.add_argument("--repeats", type=int, default=3, help="measurements in a turn; default 3")
    parser.add_argument("--output", type=pathlib.Path, help="file for the Markdown")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures as JSON")
    options = parser.parse_args()
    patterns = options.cases.split(",")
    cases = [case for case in CASES if any(fnmatch.fnmatch(case.name, pattern) for pattern in patterns)]
    if not cases:
        parser.error(f'no case matches "{options.cases}"; the cases are {names}')
    bench = Bench(options)
    bench.work.mkdir(parents=True, exist_ok=True)
    rows = [bench.compare(case) for case in cases if isinstance(case, Case)]
    limits = [row for case in cases if isinstance(case, Load) for row in bench.load(case)] + bench.limits()
    text = markdown(rows, limits, bench.artifacts, options.threads)
    print(text, end="")
    if options.output:
        options.output.write_text(text)
    if options.json:
        options.json.write_text(json.dumps(rows + limits, indent=1) + "\n")
    missed = [row.get("case") or row["figure"] for row in rows + limits if not row["met"]]
    if missed:
        bench.say(f"error: missed what is asked: {'; '.join(missed)}")
    return MISSED if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""qopt-compile --target cuda --emit=kernels|ptx|sass and --report: what is said of kernels is what the artifact has."""

import json
import re
import resource
import subprocess
import sys

import conftest
import pytest

NOTFOUND = 9
NO_ASSEMBLER = {"QOPT_PTXAS": "/nonexistent/ptxas"}
FAMILIES = {"skinny_linear", "attention_decode", "attention_prefill", "rotary_append", "norm", "gather_rows"}


def kernels_of(tool, model, *options, **keywords):
    done = tool("qopt-compile", model, "--target", "cuda", "--emit", "kernels", "--json", *options, **keywords)
    return json.loads(done.stdout)


def synthetic(folder, *options):
    command = [sys.executable, conftest.SOURCE / "bench/synthetic.py", folder, "--sparse", *options]
    subprocess.run([str(word) for word in command], check=True)
    return folder


@pytest.fixture(scope="module")
def stories_kernels(tool, stories):
    return kernels_of(tool, stories, "--arch", "sm_90a,sm_80")


def test_kernels(stories_kernels):
    for architecture in ("sm_90a", "sm_80"):
        kernels = [k for k in stories_kernels["kernels"] if k["architecture"] == architecture]
        assert {k["family"] for k in kernels} >= FAMILIES
        assert all(architecture in k["symbol"] and k["launches"] > 0 and k["threads"] >= 32 for k in kernels)
        buckets = {k["most_tokens"] for k in kernels if k["family"] == "skinny_linear"}
        assert buckets == {1, 8, 16, 32, 64}


def test_a_step_is_of_the_context_that_is_asked_for(tool, stories, tmp_path):
    """Without one of at most 1024 positions; nothing but the file says the longest sequence here."""
    (tmp_path / "model.onnx").write_bytes((stories / "model.onnx").read_bytes())
    steps = [kernels_of(tool, tmp_path, *asked)["steps"][0] for asked in ((), ("--context", 2048))]
    assert [step["context"] for step in steps] == [1024, 2048]
    assert steps[0]["predicted"]["bytes"] < steps[1]["predicted"]["bytes"]


def test_predictions_add_up(stories_kernels):
    """A time is the sum of its terms, of a kernel and of a step for one token."""
    for kernel in stories_kernels["kernels"]:
        predicted = kernel["predicted"]
        assert predicted["seconds"] == pytest.approx(sum(term["seconds"] for term in predicted["terms"]))
        assert all(term["why"] for term in predicted["terms"]) and kernel["why"]
        assert predicted["bytes"] > 0 and 0 <= predicted["roof_part"] <= 1
    ways = [dict(step, **step["sampling"]) for step in stories_kernels["steps"]]
    for step in [*stories_kernels["steps"], *ways]:
        seconds = step["predicted"]["seconds"]
        kernels = [k for k in stories_kernels["kernels"] if k["architecture"] == step["architecture"]]
        slowest = max(k["predicted"]["seconds"] for k in kernels if k["most_tokens"] == 1)
        assert slowest < seconds < sum(k["launches"] * k["predicted"]["seconds"] for k in kernels)
        terms = {term["name"]: term for term in step["predicted"]["terms"]}
        assert sum(term["seconds"] for term in terms.values()) == pytest.approx(seconds)
        assert step["tokens_per_second"] == pytest.approx(1 / seconds)
        for term in terms.values():
            assert sum(p["launches"] * p["seconds"] for p in term["parts"]) == pytest.approx(term["seconds"])
        assert sum(p["launches"] for p in terms["dependency"]["parts"]) == step["launches"]
    h200 = next(step for step in stories_kernels["steps"] if step["architecture"] == "sm_90a")
    gaps = next(term for term in h200["predicted"]["terms"] if term["name"] == "dependency")
    # Launches of few bytes lose less.
    assert h200["launches"] * 0.75e-6 < gaps["seconds"] < h200["launches"] * 1.45e-6 and "measured" in gaps["why"]


def test_the_artifact_has_what_was_shown(tool, stories, stories_kernels, tmp_path):
    """Registers, shared memory and code size of each kernel are stored; a step launches what was said."""
    path = tmp_path / "m.qopt"
    tool("qopt-compile", stories, "--target", "cuda", "--arch", "sm_90a,sm_80", "-o", path)
    found = json.loads(tool("qopt-inspect", path, "--json", "--tokens", 1).stdout)
    keys = ("symbol", "family", "schedule", "threads", "registers", "shared_bytes", "code_bytes")
    shown = [{key: kernel[key] for key in keys} for kernel in stories_kernels["kernels"]]
    assert [{key: kernel[key] for key in keys} for kernel in found["kernels"]] == shown
    names = [found["segments"][kernel["segment"]]["name"] for kernel in found["kernels"]]
    assert names == [kernel["architecture"] for kernel in stories_kernels["kernels"]]
    (function,) = found["functions"]
    # A step chooses the likeliest token or samples one, in as many launches.
    for way, counts in ((function, "greedy"), (function["sampling"], "sampling")):
        told = {step.get(counts, step)["launches"] for step in stories_kernels["steps"]}
        assert told == {way["kernels"]["launch"]}
        assert f" {way['kernels']['launch']} launch, {counts}\n" in tool("qopt-inspect", path, "--tokens", 1).stdout
    chosen = [step["use"] for step in function["steps"] if "use" in step]
    assert chosen == ["greedy", "sampling"]
    assert len(function["steps"]) - 1 == function["kernels"]["launch"]
    text = tool("qopt-inspect", path, "--kernels").stdout
    for kernel in shown:
        assert f"{kernel['symbol']} for " in text and f" {kernel['schedule']}, {kernel['threads']} threads" in text


def test_names_are_those_of_the_command_line(tool, stories_kernels):
    """A family and a schedule can be given to qopt-kernel as they are written; other kernels are spelt like them."""
    words = tool("qopt-kernel", "list").stdout.splitlines()
    families = {words[i]: set(re.findall(r"(\w+)=", words[i + 2])) for i in range(0, len(words), 3)}
    seen = set()
    for kernel in stories_kernels["kernels"]:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kernel["family"]) and kernel["symbol"].startswith(kernel["family"])
        assert re.fullmatch(r"(\w+=[\d:]+(,\w+=[\d:]+)*)?", kernel["schedule"])
        if kernel["family"] in families:
            seen.add(kernel["family"])
            assert set(re.findall(r"(\w+)=", kernel["schedule"])) <= families[kernel["family"]]
    assert seen == {kernel["family"] for kernel in stories_kernels["kernels"]} - {"generic"}
    assert seen >= {"skinny_linear", "gemm", "attention_decode", "attention_prefill", "argmax", "sampling"}
    words = ("tokens=8", "rows=128", "columns=64", "weights=f16", "norm=1")
    schedule = next(
        k["schedule"] for k in stories_kernels["kernels"] if "m8_norm_128x64" in k["symbol"] and k["architecture"]
    )
    record = json.loads(tool("qopt-kernel", "skinny_linear", *words, "--ptx-only", "--schedule", schedule).stdout)
    assert f"stages={record['schedule']['stages']}," in schedule and record["schedule"]["stages"] > 1


def test_an_assembler_tells_resources(tool, stories, stories_kernels):
    """What ptxas says where there is one; without any the numbers are 0."""
    for kernel in kernels_of(tool, stories, environment=NO_ASSEMBLER)["kernels"]:
        assert kernel["registers"] == kernel["code_bytes"] == 0
    if not any("PTX only" in warning for warning in stories_kernels["warnings"]):
        for kernel in stories_kernels["kernels"]:
            assert 8 <= kernel["registers"] <= 255 and kernel["code_bytes"] > 128


def test_without_an_assembler_a_warning_says_so(tool, stories, tmp_path):
    """Nobody has to ask for remarks to learn that the driver will have to assemble the artifact's PTX."""
    options = ("--target", "cuda", "--arch", "sm_90a,sm_80", "--json", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *options, environment=NO_ASSEMBLER)
    says = 'no machine code for sm_90a, sm_80, PTX only: QOPT_PTXAS is "/nonexistent/ptxas", which cannot be run'
    assert done.stderr == f"warning: {says}\n"
    summary = json.loads(done.stdout)
    assert summary["warnings"] == [says] and not any("PTX only" in remark for remark in summary["remarks"])
    assert kernels_of(tool, stories, environment=NO_ASSEMBLER)["warnings"][0].startswith("no machine code for")
    kernels = re.findall(
        r"^  \w+ for sm_.* threads, .*", tool("qopt-inspect", tmp_path / "m.qopt", "--kernels").stdout, re.M
    )
    assert kernels and all(re.search(r" threads, [\d,]+ bytes shared, PTX only$", line) for line in kernels)


def test_tables(tool, stories):
    text = tool("qopt-compile", stories, "--target", "cuda", "--emit", "kernels", "--report").stdout
    assert re.search(r"^sm_90a +5 +1 .*: skinny_linear blocks_per_sm=", text, re.MULTILINE)
    step = r"^decode step on sm_90a \(H200 SXM\), 1 sequence of 512 positions, {}: predicted.*; (\d+) launches"
    counts = [re.search(step.format(way), text, re.MULTILINE)[1] for way in ("greedy", "sampling")]
    assert counts[0] == counts[1]
    assert re.search(r"^ +[\d.]+ us  searches: 1 x ", text[text.index(" positions, sampling: ") :], re.MULTILINE)
    assert "us  dependency: gap of a dependent kernel (measured: " in text
    # A sum says of what: launches times the time of one, and the sizes of those that take the longest.
    sums = re.search(
        r"^  +([\d.]+) us  weights: ((?:\d+ x [\d.]+ us(?: \+ )?)+); those of \S+ us: ([\d.]+ kB) at",
        text,
        re.MULTILINE,
    )
    parts = re.findall(r"(\d+) x ([\d.]+) us", sums[2])
    assert sum(int(count) * float(one) for count, one in parts) == pytest.approx(float(sums[1]), rel=0.01)
    assert len(parts) > 1
    assert not re.search(r"\d\.\d{4}", re.sub(r"\b0\.0+", "0.", text)), "figures have three digits that count"


def test_report_of_an_artifact(tool, stories, tmp_path):
    done = tool("qopt-compile", stories, "--target", "cuda", "--report", "-o", tmp_path / "m.qopt")
    assert "decode step on sm_90a" in done.stdout


def test_ptx(tool, stories, stories_kernels):
    text = tool("qopt-compile", stories, "--target", "cuda", "--arch", "sm_80", "--emit", "ptx").stdout
    shown = [k["symbol"] for k in stories_kernels["kernels"] if k["architecture"] == "sm_80"]
    assert re.findall(r"^\.visible \.entry (\w+)\(", text, re.MULTILINE) == shown


def test_gpu(tool, stories, stories_kernels, tmp_path):
    """The kernels of each architecture as MLIR, the same text every time; what is read back is what becomes PTX."""
    command = ("qopt-compile", stories, "--target", "cuda", "--emit")
    text = tool(*command, "gpu", "--arch", "sm_80,sm_90a").stdout
    assert tool(*command, "gpu", "--arch", "sm_80,sm_90a").stdout == text
    for arch, part in zip(("sm_80", "sm_90a"), text.split("// -----\n"), strict=True):
        assert part.startswith(f"// Kernels for {arch}; ")
        shown = [kernel["symbol"] for kernel in stories_kernels["kernels"] if kernel["architecture"] == arch]
        assert re.findall(r"^  gpu\.func @(\w+)\(.* kernel attributes ", part, re.MULTILINE) == shown
        (tmp_path / "read.mlir").write_text(tool("qopt-opt", stdin=part).stdout)
        ptx = tool("qopt-translate", "--qopt-to-ptx", tmp_path / "read.mlir", "--arch", arch).stdout
        assert ptx == tool(*command, "ptx", "--arch", arch).stdout


def test_sass(tool, stories, stories_kernels):
    """The disassembly of every kernel, or one error that says which tool is missing."""
    command = ("qopt-compile", stories, "--target", "cuda", "--emit", "sass")
    for variable, name in (("QOPT_PTXAS", "ptxas"), ("QOPT_NVDISASM", "nvdisasm")):
        refused = tool(*command, check=False, environment={variable: "/nonexistent/tool"})
        assert refused.returncode == NOTFOUND and name.upper() in refused.stderr.upper()
        assert refused.stderr.count("error:") == 1 and not refused.stdout
    done = tool(*command, check=False)
    if done.returncode == NOTFOUND:
        pytest.skip(done.stderr)
    for kernel in stories_kernels["kernels"]:
        if kernel["architecture"] == "sm_90a":
            assert f".text.{kernel['symbol']}:" in done.stdout


def test_the_context_of_a_stage(tool, stories):
    for stage in ("scheduled", "kernels"):
        text = tool("qopt-compile", stories, "--context", 64, "--emit", stage).stdout
        assert "qopt.context = 64" in text


def test_a_step_to_the_logits(tool, tmp_path):
    """No kernel chooses among more than 262,144 tokens: a step ends with the logits, and there is one way to it."""
    sizes = ("--layers=1", "--hidden=64", "--heads=2", "--kv-heads=1", "--ffn=64", "--vocabulary=262145")
    model = synthetic(tmp_path, *sizes)
    (step,) = kernels_of(tool, model, "--weights", "int8", environment=NO_ASSEMBLER)["steps"]
    assert "sampling" not in step and step["launches"] > 0
    checked = tool("qopt-compile", model, "--weights", "int8", "--target", "cuda", "--check").stdout
    assert re.findall(r"1 sequence of \d+ positions, (.*): predicted", checked) == ["to the logits"]


@conftest.UNSANITIZED
def test_llama_3_8b_is_predicted_without_its_weights(tool, tmp_path):
    """16 GB of weights are neither read nor allocated; the H200 is predicted to write 500 tokens a second or more."""
    model = synthetic(tmp_path, "--model", "llama-3-8b")
    formats = ("--weights", "int4_g128", "--lm-head", "int8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    found = kernels_of(tool, model, *formats, environment=NO_ASSEMBLER)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak == before or peak < 1 << 20  # KiB
    (step,) = found["steps"]
    # Weights of the layers and the head, scales included, and 3 % for the cache; the embedding is one row.
    layers = 32 * (6144 * 4096 + 4096 * 4096 + 3 * 14336 * 4096) * 4.125 / 8
    weights = layers + 128256 * 4096
    assert weights <= step["predicted"]["bytes"] <= 1.06 * weights
    assert step["tokens_per_second"] >= 500
    # For 128,256 logits an H200 takes 95 us where a row asks for everything, 3 for the largest (bench/RESULTS.md).
    more = step["sampling"]["predicted"]["seconds"] - step["predicted"]["seconds"]
    assert 75e-6 < more < 110e-6 and step["sampling"]["launches"] == step["launches"]

"""Steps of the host: predicted from rates that were measured, and the formats that a bound on them chooses."""

import itertools
import json
import math
import pathlib

import conftest
import pytest

UNSUPPORTED, INFEASIBLE = 4, 5
CANDIDATES = ("--candidates", "int4_asym,int8,f16", "--kv-candidates", "int8,f16", "--algorithm", "rtn")


@pytest.fixture(scope="module")
def usual():
    """The committed rates."""
    source = (conftest.SOURCE / "lib/Driver/UsualHostRates.cpp").read_text()
    return json.loads(source.split('R"json(')[1].split(')json"')[0])


@pytest.fixture(scope="module")
def work(tool, stories_artifact, tmp_path_factory):
    """A folder with calib.txt, text that the model writes, and a store of its scores."""
    folder = tmp_path_factory.mktemp("latency")
    texts = []
    for seed in range(16):
        sampling = ("--temperature", 1, "--seed", seed, "--max-tokens", 300, "--json")
        texts.append(json.loads(tool("qopt-run", stories_artifact, "--prompt", "Once", *sampling).stdout)["text"])
    (folder / "calib.txt").write_text("\n".join(texts))
    return folder


def written(path, rates):
    path.write_text(json.dumps(rates))
    return path


def step_of(tool, model, *options):
    (step,) = json.loads(tool("qopt-compile", model, *options, "--check", "--json").stdout)["steps"]
    return step


def bounded(tool, stories, work, *options, check=True):
    """A compilation with a store, and its plan."""
    words = ("--calibrate", work / "calib.txt", "--store", work / "store", *CANDIDATES, "--context", 256)
    words = (*words, "--save-plan", work / "p.json", "-o", work / "m.qopt")
    done = tool("qopt-compile", stories, *words, *options, check=check)
    return done, json.loads((work / "p.json").read_text()) if done.returncode == 0 else None


def least_of(done):
    return float(done.stderr.split("the fastest plan of these candidates takes ")[1].split(" ms")[0])


def test_a_check_predicts_a_step(tool, stories, usual, tmp_path):
    step = step_of(tool, stories, "--context", 256)
    assert (step["architecture"], step["part"]) == (usual["name"], usual["part"])
    assert len(step["sha256"]) == 64 and (step["sequences"], step["context"]) == (1, 256)
    assert step["launches"] > 40 and sum(t["seconds"] for t in step["predicted"]["terms"]) == pytest.approx(
        step["predicted"]["seconds"]
    )
    many = step_of(tool, stories, "--context", 256, "--batch", 8)
    one = step["predicted"]["seconds"]
    assert many["sequences"] == 8 and one < many["predicted"]["seconds"] < 8 * one
    assert many["tokens_per_second"] == pytest.approx(8 / many["predicted"]["seconds"])
    longer = step_of(tool, stories, "--context", 512)
    assert longer["predicted"]["seconds"] > one
    text = tool("qopt-compile", stories, "--check").stdout
    assert f"  decode step on {usual['name']} ({usual['part']}), 1 sequence of 512 positions, to the logits: " in text


def test_what_is_twice_as_slow_takes_twice_as_long(tool, stories, usual, tmp_path):
    def slower(value, key=""):
        if isinstance(value, dict):
            return {name: slower(of, name) for name, of in value.items()}
        if key == "weight_ps":
            return [[tokens, 2 * time] for tokens, time in value]
        if isinstance(value, list):
            return [slower(of, key) for of in value]
        factor = 0.5 if key == "gb_s" else 2
        return value * factor if key.endswith(("_us", "_ns", "_ps", "gb_s")) else value

    own = step_of(tool, stories, "--weights", "int8")["predicted"]["seconds"]
    rates = written(tmp_path / "slow.json", slower(usual) | {"name": "slow"})
    slow = step_of(tool, stories, "--weights", "int8", "--host-rates", rates)
    assert slow["architecture"] == "slow"
    assert slow["predicted"]["seconds"] == pytest.approx(2 * own, rel=1e-6)


def test_a_latency_is_met_and_recorded(tool, stories, work, usual):
    done, _ = bounded(tool, stories, work, "--max-latency", "1us", check=False)
    assert done.returncode == INFEASIBLE
    least = least_of(done)
    losses = []
    for factor in (1, 1.05, 3):
        _, plan = bounded(tool, stories, work, "--max-latency", f"{least * factor:.5f}ms")
        step = step_of(tool, stories, "--context", 256, "--plan", work / "p.json")
        assert step["predicted"]["seconds"] * 1e3 <= least * factor * (1 + 1e-6)
        assert plan["host_rates"] == f"{usual['name']} sha256 {step['sha256']}"
        losses.append(plan["predicted_kl"])
    assert losses[0] > losses[1] > losses[2]
    # With time enough nothing is rounded that need not be.
    assert {tensor["format"] for tensor in plan["tensors"]} == {"f32"}
    assert {weight["format"] for weight in plan["weights"]} == {"f16"}
    artifact = json.loads(tool("qopt-inspect", work / "m.qopt", "--json", "--plan").stdout)
    assert usual["name"] in json.dumps(artifact)


def test_more_sequences_take_more(tool, stories, work):
    least = []
    for batch in (1, 16):
        done, _ = bounded(tool, stories, work, "--max-latency", "1us", "--batch", batch, check=False)
        least.append(least_of(done))
    assert least[0] * 1.5 < least[1] < least[0] * 16
    _, plan = bounded(tool, stories, work, "--max-latency", f"{least[1] * 1.02:.5f}ms", "--batch", 16)
    assert plan["budget"].endswith(" for 16 sequences")
    step = step_of(tool, stories, "--context", 256, "--plan", work / "p.json", "--batch", 16)
    assert step["predicted"]["seconds"] * 1e3 <= least[1] * 1.02 * (1 + 1e-6)


def test_the_rates_decide(tool, stories, work, usual, tmp_path):
    """Where integers are slow, the fastest plan has none of them; where floats are, nothing else."""
    formats = []
    for slow in (lambda name: name.startswith("int"), lambda name: name == "f16"):
        rates = json.loads(json.dumps(usual))
        for linear in rates["linears"]:
            if slow(linear["weights"]):
                linear["weight_ps"] = [[tokens, 1000 * time + 1000] for tokens, time in linear["weight_ps"]]
        path = written(tmp_path / "rates.json", rates)
        done, _ = bounded(tool, stories, work, "--host-rates", path, "--max-latency", "1us", check=False)
        limit = f"{least_of(done) * 1.001:.5f}ms"
        _, plan = bounded(tool, stories, work, "--host-rates", path, "--max-latency", limit)
        tables = {"model.embed_tokens.weight"}
        formats.append({weight["format"] for weight in plan["weights"] if weight["name"] not in tables})
    assert formats[0] == {"f16"} and "f16" not in formats[1]


def test_the_choice_is_the_best_of_all(tool, stories, work):
    """All but what reads two tensors is fixed: no combination that takes no more time costs less."""
    own = bounded(tool, stories, work, "--max-latency", "1s")[1]
    names = [weight["name"] for weight in own["weights"]]
    chosen = [own["tensors"][3], own["tensors"][6]]
    kept = {name for tensor in chosen for name in tensor["weights"]}
    fixed = []
    for name in names:
        if name not in kept:
            fixed += ["--format", f"{name}=f16"]
    for tensor in own["tensors"]:
        if tensor["name"] not in {of["name"] for of in chosen}:
            for name in tensor["weights"]:
                fixed += ["--activation-format", f"{name}=f32"]
    fixed += ["--kv", "f16"]
    options = [option for option in CANDIDATES if option not in ("--kv-candidates", "int8,f16")]
    words = ("--calibrate", work / "calib.txt", "--store", work / "store", *options, "--context", 256, *fixed)
    words = (*words, "--save-plan", work / "e.json", "-o", work / "e.qopt")
    least = least_of(tool("qopt-compile", stories, *words, "--max-latency", "1us", check=False))
    tool("qopt-compile", stories, *words, "--max-latency", f"{least * 1.02:.5f}ms")
    plan = json.loads((work / "e.json").read_text())
    weights = {weight["name"]: weight for weight in plan["weights"]}
    free = [tensor for tensor in plan["tensors"] if "alternatives" in tensor]
    assert len(free) == 2

    def options_of(tensor):
        for reads in tensor["alternatives"]:
            readers = [
                [
                    (f["predicted_kl"], f["step_us_by"][reads["format"]])
                    for f in weights[name]["alternatives"]
                    if reads["format"] in f.get("step_us_by", {})
                ]
                for name in tensor["weights"]
            ]
            for combination in itertools.product(*readers):
                yield (
                    reads["predicted_kl"] + sum(kl for kl, _ in combination),
                    reads["step_us"] + sum(time for _, time in combination),
                )

    def price(tensor):
        chosen = [weights[name] for name in tensor["weights"]]
        return (
            tensor["predicted_kl"] + sum(weight["predicted_kl"] for weight in chosen),
            tensor["step_us"] + sum(weight["step_us"] for weight in chosen),
        )

    had = [price(tensor) for tensor in free]
    time = sum(of for _, of in had)
    best = min(
        sum(kl for kl, _ in both)
        for both in itertools.product(*(list(options_of(tensor)) for tensor in free))
        if sum(of for _, of in both) <= time + 1e-9
    )
    assert sum(kl for kl, _ in had) == pytest.approx(best, rel=1e-6)
    assert len({tensor["format"] for tensor in free} | {weights[n]["format"] for t in free for n in t["weights"]}) > 1


def test_activations_are_told_and_made_again_from_the_plan(tool, stories, work):
    least = least_of(bounded(tool, stories, work, "--max-latency", "1us", check=False)[0])
    _, plan = bounded(tool, stories, work, "--max-latency", f"{least * 1.03:.5f}ms")
    read = [name for tensor in plan["tensors"] for name in tensor["weights"]]
    assert len(read) == len(set(read)) and set(read) <= {weight["name"] for weight in plan["weights"]}
    formats = {weight["name"]: weight["format"] for weight in plan["weights"]}
    for tensor in plan["tensors"]:
        assert {of["format"] for of in tensor["alternatives"]} >= {"f32", "int8", "fp8_e4m3"}
        costs = {of["format"]: of["predicted_kl"] for of in tensor["alternatives"]}
        assert costs["f32"] == 0 < costs["int8"] < costs["fp8_e4m3"]
        assert " KL" in tensor["reason"]
        if tensor["format"] == "int8":
            assert {formats[name] for name in tensor["weights"]} == {"int8"}
    total = sum(of["predicted_kl"] for part in ("weights", "tensors", "caches") for of in plan[part])
    assert plan["predicted_kl"] == pytest.approx(total, rel=1e-4)
    tool("qopt-compile", stories, "--plan", work / "p.json", "--context", 256, "-o", work / "again.qopt")
    found = []
    for name in ("m.qopt", "again.qopt"):
        text = tool("qopt-inspect", work / name, "--json").stdout
        found.append([segment["sha256"] for segment in json.loads(text)["segments"]])
    assert found[0] == found[1]


def test_predictions_are_what_one_tensor_alone_does(tool, stories, work):
    """KL of a model with int8 weights and one tensor in codes beside the one with none, over three layers."""
    _, plan = bounded(tool, stories, work, "--max-latency", "1s")
    exact = ("--weights", "int8", "--embedding", "int8", "--activations", "f32", "--kv", "f32")
    tool("qopt-compile", stories, *exact, "-o", work / "f.qopt")
    windows = ("--text", work / "calib.txt", "--window", 512)
    tool("qopt-eval", work / "f.qopt", *windows, "--save-logits", work / "l.npy")
    for tensor in plan["tensors"][1::5]:
        predicted = next(of["predicted_kl"] for of in tensor["alternatives"] if of["format"] == "int8")
        named = [word for name in tensor["weights"] for word in ("--activation-format", f"{name}=int8")]
        tool("qopt-compile", stories, *exact, *named, "-o", work / "c.qopt")
        found = json.loads(tool("qopt-eval", work / "c.qopt", *windows, "--reference", work / "l.npy", "--json").stdout)
        measured = found["kl"]["mean"]
        assert abs(math.log(predicted / measured)) < math.log(1.6), (tensor["name"], predicted, measured)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(schema="qopt-host-9"), 'expected "qopt-host-1"'),
        (lambda r: r.pop("reads"), "missing value at (root).reads"),
        (lambda r: r.update(reads=[]), "expected one or more, with rising bytes"),
        (lambda r: r.update(call_us=-1), "expected a number from 0 to 1e15"),
        (lambda r: r["rows"].pop(0), "expected norm, activation, quantize, rotary and rotary_table"),
        (lambda r: r["linears"][0].update(weights="int9"), "expected the name of a format"),
        (lambda r: r["linears"][0].update(weight_ps=[[2, 1], [1, 1]]), "expected pairs of rising tokens and times"),
        (lambda r: r["caches"][0].update(part="queries"), 'expected "keys" or "values"'),
    ],
)
def test_rates_that_are_none_are_refused(tool, stories, usual, tmp_path, change, message):
    rates = json.loads(json.dumps(usual))
    change(rates)
    path = written(tmp_path / "rates.json", rates)
    done = tool("qopt-compile", stories, "--host-rates", path, "--check", check=False)
    assert done.returncode == 2 and message in done.stderr and str(path) in done.stderr


def test_what_was_not_measured_is_told(tool, stories, work, usual, tmp_path):
    usual = json.loads(json.dumps(usual))
    usual["linears"] = [linear for linear in usual["linears"] if linear["reads"] != "f32"]
    path = written(tmp_path / "rates.json", usual)
    message = "have none of weights in f16 and activations in f32; measure them with describe_host"
    done = tool("qopt-compile", stories, "--weights", "f16", "--host-rates", path, "--check")
    assert message in done.stderr and "it is not predicted" in done.stdout
    done, _ = bounded(tool, stories, work, "--host-rates", path, "--max-latency", "1ms", check=False)
    assert done.returncode == UNSUPPORTED and "activations in f32" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host-rates", "none.json", "--check"), '--host-rates: cannot read "none.json"'),
        (("--host-rates", "none.json"), "--host-rates is for --max-latency and --check"),
        (("--host-rates", "none.json", "--target", "cuda", "--check"), "--host-rates is for steps of the host"),
        (("--batch", 2), "--batch is for --max-memory"),
        (("--activation-format", "x"), '--activation-format is "x"; expected NAME=FORMAT'),
        (("--activation-format", "x=int8_tensor"), "with one of f32, int8_g32_sf32, int8, fp8_e4m3"),
        (("--activation-format", "x=int8"), '--activation-format "x=int8" matches no linear of the model'),
    ],
)
def test_what_makes_no_sense_is_refused(tool, stories, tmp_path, options, message):
    done = (
        tool("qopt-compile", stories, *options, "-o", tmp_path / "m.qopt", check=False)
        if ("--check" not in options)
        else tool("qopt-compile", stories, *options, check=False)
    )
    assert done.returncode and message in done.stderr and not (tmp_path / "m.qopt").exists()


def is_described(usual):
    """Whether this machine is the one of the committed rates."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    return cpuinfo.exists() and usual["part"].rsplit(",", 1)[0] in cpuinfo.read_text()


def measured_step(tool, artifact, context):
    """Seconds of a step of one thread, the best of many: others may have the processor, too."""
    quick = ("--prompt", 0, "--context", context, "--tokens", 16, "--repeats", 21, "--bandwidth-mib", 8, "--threads", 1)
    found = json.loads(tool("qopt-bench", artifact, *quick, "--json").stdout)["decode"]
    return min(found["p50_ms"] / 1e3, 1 / max(found["repeats"]))


def test_steps_take_what_is_predicted(tool, stories, usual, tmp_path):
    """Of a model that the cache holds: their order everywhere, and on the machine that was described each within a
    factor.

    Formats and contexts differ by a factor of three in all. What an engine does beside kernels is not predicted: it
    adds some microseconds to all, of which the shortest steps have twenty."""
    asked = [
        (("--weights", "int8", "--activations", "int8"), 32),
        (("--weights", "int8", "--activations", "int8"), 450),
        (("--weights", "f32", "--activations", "f32"), 450),
    ]
    predicted, measured = [], []
    for options, context in asked:
        step = step_of(tool, stories, *options, "--context", context)
        predicted.append(step["predicted"]["seconds"])
        tool("qopt-compile", stories, *options, "-o", tmp_path / "m.qopt")
        measured.append(measured_step(tool, tmp_path / "m.qopt", context))
    assert sorted(predicted) == predicted and sorted(measured) == measured, (predicted, measured)
    if is_described(usual):
        for one, other in zip(predicted, measured, strict=True):
            assert 0.4 < one / other < 1.3, (predicted, measured)

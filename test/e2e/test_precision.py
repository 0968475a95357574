"""Formats under a budget: chosen by what they do, within it, written down, and the same again from the plan."""

import json
import re
import shutil

import pytest

CANDIDATES = ("int2_asym", "int3_asym", "int4_asym", "int8")


@pytest.fixture(scope="module")
def text(tool, stories_artifact, tmp_path_factory):
    """Text that the model writes."""
    stories = []
    for seed in range(24):
        sampling = ("--temperature", 1, "--seed", seed, "--max-tokens", 300, "--json")
        stories.append(json.loads(tool("qopt-run", stories_artifact, "--prompt", "Once", *sampling).stdout)["text"])
    path = tmp_path_factory.mktemp("text") / "calib.txt"
    path.write_text("\n".join(stories))
    return path


def budget(text, *options, candidates=CANDIDATES):
    return ("--calibrate", text, "--candidates", ",".join(candidates), "--activations", "f32", *options)


@pytest.fixture(scope="module")
def chosen(tool, stories, text):
    """m.qopt and plan.json of 4 bits a weight."""
    folder = text.parent
    options = budget(text, "--bits", 4, "--save-plan", folder / "plan.json")
    done = tool("qopt-compile", stories, *options, "--json", "-o", folder / "m.qopt")
    return folder, json.loads(done.stdout), json.loads((folder / "plan.json").read_text())


def test_the_budget_is_met_and_not_exceeded(tool, chosen):
    folder, _, plan = chosen
    assert 3.98 < plan["bits"] <= 4
    assert plan["bytes"] == sum(weight["bytes"] for weight in plan["weights"])
    assert inspected(tool, folder / "m.qopt")["weights"]["stored_bits"] == pytest.approx(plan["bits"], rel=1e-5)


def test_the_plan_says_what_the_artifact_has(chosen):
    _, summary, plan = chosen
    planned = {weight["name"]: weight["format"] for weight in plan["weights"]}
    assert len(set(planned.values())) >= 3
    built = {name: weight["format"] for weight in summary["weights"] for name in weight["name"].split("+")}
    assert planned.items() <= built.items()


def test_the_plan_says_what_others_would_have_cost(chosen):
    _, _, plan = chosen
    for weight in plan["weights"]:
        assert [entry["format"] for entry in weight["alternatives"]] == list(CANDIDATES)
        sizes, costs = ([entry[key] for entry in weight["alternatives"]] for key in ("bytes", "predicted_kl"))
        assert sizes == sorted(sizes) and costs == sorted(costs, reverse=True)
        assert " KL" in weight["reason"]
        assert weight["algorithm"] in ("rtn", "gptq", "kronecker")
    total = sum(weight["predicted_kl"] for weight in plan["weights"])
    assert plan["predicted_kl"] == pytest.approx(total, rel=1e-4)


def divergence(tool, artifact, reference, folder):
    options = ("--text", folder / "calib.txt", "--reference", reference, "--json")
    return json.loads(tool("qopt-eval", artifact, *options).stdout)["kl"]["mean"]


def inspected(tool, artifact):
    return json.loads(tool("qopt-inspect", artifact, "--json").stdout)


def test_it_is_closer_to_the_model_than_mixing_at_random(tool, stories, chosen):
    """What formats in random places give is between the formats' own divergences, by their shares."""
    folder, _, plan = chosen
    f32 = ("--weights", "f32", "--activations", "f32", "--kv", "f32")
    tool("qopt-compile", stories, *f32, "-o", folder / "f32.qopt")
    tool("qopt-eval", folder / "f32.qopt", "--text", folder / "calib.txt", "--save-logits", folder / "l.npy")
    measured = []
    for name in ("int3_asym", "int4_asym"):
        uniform = ("--weights", name, "--embedding", name, "--activations", "f32", "--calibrate", folder / "calib.txt")
        tool("qopt-compile", stories, *uniform, "-o", folder / "u.qopt")
        bits = inspected(tool, folder / "u.qopt")["weights"]["stored_bits"]
        measured.append((bits, divergence(tool, folder / "u.qopt", folder / "l.npy", folder)))
    (low, worse), (high, better) = measured
    assert low < plan["bits"] < high
    random = better + (worse - better) * (high - plan["bits"]) / (high - low)
    mixed = divergence(tool, folder / "m.qopt", folder / "l.npy", folder)
    assert mixed < 0.85 * random, (mixed, random, measured)


def test_the_plan_compiles_to_the_same_weights(tool, stories, chosen):
    folder, _, _ = chosen
    tool("qopt-compile", stories, "--plan", folder / "plan.json", "-o", folder / "again.qopt")
    digests = [
        [segment["sha256"] for segment in inspected(tool, folder / name)["segments"] if segment["kind"] == "Weight"]
        for name in ("m.qopt", "again.qopt")
    ]
    assert len(digests[0]) > 20 and digests[0] == digests[1]


def test_another_budget_goes_on_from_the_scores_of_the_first(tool, stories, text, tmp_path):
    """The second has no curvature yet when it calibrates behind the head in f16."""
    for bits in (13, 12):
        options = ("--bits", bits, "--store", tmp_path / "store", "--save-plan", tmp_path / "p.json")
        options = budget(text, *options, candidates=("int8", "f16"))
        tool("qopt-compile", stories, *options, "--calibrate-tokens", 2048, "-o", tmp_path / "m.qopt")
        plan = json.loads((tmp_path / "p.json").read_text())
        assert bits - 0.1 < plan["bits"] <= bits and plan["weights"][0]["format"] == "f16"


def test_a_size_is_met(tool, stories, text, tmp_path):
    tool("qopt-compile", stories, *budget(text, "--max-size", "250kB"), "-o", tmp_path / "m.qopt")
    assert 245_000 < (tmp_path / "m.qopt").stat().st_size <= 250_000


def test_memory_is_met(tool, stories, text, tmp_path):
    """More sequences leave less for weights; all of it is counted."""
    bits = []
    size = 1_440_000
    for sequences in (1, 2):
        memory = ("--max-memory", size, "--batch", sequences, "--context", 64, "--kv", "f16")
        tool(
            "qopt-compile",
            stories,
            *budget(text, *memory, "--save-plan", tmp_path / "p.json"),
            "-o",
            tmp_path / "m.qopt",
        )
        plan = json.loads((tmp_path / "p.json").read_text())
        assert plan["budget"] == f"memory of {size} for {sequences} sequences"
        segments = inspected(tool, tmp_path / "m.qopt")["segments"]
        weights = sum(segment["bytes"] for segment in segments if segment["kind"] in ("Weight", "Constant"))
        cache = sequences * 64 * inspected(tool, tmp_path / "m.qopt")["model"]["cache_bytes_per_token"]
        assert weights + cache < size
        bits.append(plan["bits"])
    assert bits[0] > bits[1]


def test_the_least_latency_is_met(tool, stories, text, tmp_path):
    gpu = ("--target", "cuda", "--calibrate", text, "--algorithm", "rtn", "--save-plan", tmp_path / "p.json")
    gpu = (*gpu, "--candidates", "int8,f16", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *gpu, "--max-latency", "1us", check=False)
    least = float(done.stderr.split("candidates takes ")[1].split(" ms a step")[0])
    bits = []
    for factor in (1.001, 2):
        tool("qopt-compile", stories, *gpu, "--max-latency", f"{least * factor:.4f}ms")
        bits.append(json.loads((tmp_path / "p.json").read_text())["bits"])
    assert bits[0] < 13 and bits[1] == pytest.approx(16)


def test_what_options_ask_for_is_no_choice(tool, stories, text, tmp_path):
    fixed = ("--format", "re:^node_linear(_[1-6])?$=int8", "--save-plan", tmp_path / "p.json")
    tool("qopt-compile", stories, *budget(text, "--bits", 5, *fixed), "-o", tmp_path / "m.qopt")
    weights = json.loads((tmp_path / "p.json").read_text())["weights"]
    first = [weight for weight in weights if re.fullmatch("node_linear(_[1-6])?", weight["name"])]
    assert len(first) == 7
    assert all(w["format"] == "int8" and w["reason"] == "asked for" and "alternatives" not in w for w in first)
    assert any(weight["format"] != "int8" for weight in weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bits", 2), "--bits is 2.00, but the smallest plan of these candidates has"),
        (("--max-size", "0.1MB"), "--max-size is 0.1MB, but the smallest plan of these candidates takes"),
        (("--max-size", "much"), '--max-size is "much"; expected a size as 1.2GB, 900MiB or 4096'),
        (("--bits", 4, "--weights", "int8"), "leave --weights out"),
        (("--bits", 4, "--candidates", "int9"), "--candidates: "),
        (("--max-memory", "100kB"), "--max-memory is 100kB, but the smallest plan of these candidates takes"),
        (("--max-memory", "2 apples"), '--max-memory is "2 apples"; expected a size as 1.2GB, 900MiB or 4096'),
        (("--max-latency", "2 days"), '--max-latency is "2 days"; expected'),
        ((), "--candidates is for --bits and other budgets"),
    ],
)
def test_what_cannot_be_met_is_refused(tool, stories, text, tmp_path, options, message):
    done = tool("qopt-compile", stories, *budget(text, *options), "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode in (2, 5)
    assert message in done.stderr
    assert not (tmp_path / "m.qopt").exists()


def test_the_nearest_that_could_be_met_is_met(tool, stories, text, tmp_path):
    done = tool("qopt-compile", stories, *budget(text, "--bits", 2), "-o", tmp_path / "m.qopt", check=False)
    least = done.stderr.split("has ")[1].split(" bits")[0]
    tool("qopt-compile", stories, *budget(text, "--bits", least), "-o", tmp_path / "m.qopt")


def edited(chosen, tmp_path, change):
    plan = json.loads(json.dumps(chosen[2]))
    change(plan)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p["weights"].pop(), "the plan is for another model: it has no weight"),
        (lambda p: p["weights"][0].update(rows=7), " is 7 x "),
        (lambda p: p["weights"][0].update(name="other"), "(2 such differences)"),
        (lambda p: p["weights"][0].update(format="int9"), "expected the name of a format"),
        (lambda p: p["weights"][0].pop("rows"), "rows"),
        (lambda p: p.update(target="cuda"), "the plan is for --target cuda, not host"),
        (lambda p: p.update(schema="qopt-plan-9"), 'expected "qopt-plan-1"'),
        (lambda p: p["calibration"].update(sha256="00"), "is another one than the plan was made with"),
        (lambda p: p["calibration"].update(text="none.txt"), "none.txt"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(tool, stories, chosen, tmp_path, change, message):
    path = edited(chosen, tmp_path, change)
    done = tool("qopt-compile", stories, "--plan", path, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode in (2, 9)
    assert message in done.stderr
    assert not (tmp_path / "m.qopt").exists()


def test_an_edited_plan_is_followed(tool, stories, chosen, tmp_path):
    path = edited(chosen, tmp_path, lambda plan: plan["weights"][3].update(format="int8", algorithm="rtn"))
    done = tool("qopt-compile", stories, "--plan", path, "--json", "-o", tmp_path / "m.qopt")
    name = chosen[2]["weights"][3]["name"]
    built = {n: weight["format"] for weight in json.loads(done.stdout)["weights"] for n in weight["name"].split("+")}
    assert built[name] == "int8"


def test_options_that_the_plan_has_are_refused(tool, stories, chosen, tmp_path):
    plan = ("--plan", chosen[0] / "plan.json", "-o", tmp_path / "m.qopt")
    for option, message in (
        (("--weights", "int8"), "leave --weights out"),
        (("--kv", "f32"), '--kv is "f32", but the plan says ""'),
    ):
        done = tool("qopt-compile", stories, *plan, *option, check=False)
        assert done.returncode == 2 and message in done.stderr


def test_no_other_file_is_replaced_by_a_plan(tool, stories, text, tmp_path):
    shutil.copy(text, tmp_path / "notes.json")
    options = ("--weights", "int8", "--save-plan", tmp_path / "notes.json", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *options, check=False)
    assert done.returncode != 0 and "a plan of qopt-compile" in done.stderr
    assert (tmp_path / "notes.json").read_bytes() == text.read_bytes()


def test_formats_that_were_asked_for_are_a_plan_too(tool, stories, tmp_path):
    options = ("--weights", "int4", "--format", "node_linear_6=int8", "--save-plan", tmp_path / "p.json")
    tool("qopt-compile", stories, *options, "-o", tmp_path / "a.qopt")
    plan = json.loads((tmp_path / "p.json").read_text())
    assert "calibration" not in plan and "budget" not in plan
    tool("qopt-compile", stories, "--plan", tmp_path / "p.json", "-o", tmp_path / "b.qopt")
    segments = [inspected(tool, tmp_path / name)["segments"] for name in ("a.qopt", "b.qopt")]
    assert segments[0] == segments[1]

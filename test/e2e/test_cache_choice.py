"""Formats of the cache under budgets on memory and latency, by layer, and exchanges that are measured behind the
choice."""

import json

import numpy as np
import pytest

EXACT = ("--weights", "f32", "--embedding", "f32", "--activations", "f32", "--kv", "f32")
WEIGHTS = ("--candidates", "int4_asym,int8", "--algorithm", "rtn")


@pytest.fixture(scope="module")
def work(tool, stories, stories_artifact, tmp_path_factory):
    """calib.txt, text that the model writes; plan.json, chosen under a budget on memory that it fills; m.qopt."""
    folder = tmp_path_factory.mktemp("caches")
    texts = []
    for seed in range(16):
        sampling = ("--temperature", 1, "--seed", seed, "--max-tokens", 300, "--json")
        texts.append(json.loads(tool("qopt-run", stories_artifact, "--prompt", "Once", *sampling).stdout)["text"])
    (folder / "calib.txt").write_text("\n".join(texts))
    options = ("--calibrate", folder / "calib.txt", "--store", folder / "store", *WEIGHTS, "--moves", 3)
    memory = ("--max-memory", "1600kB", "--batch", 4, "--context", 128, "--save-plan", folder / "plan.json")
    tool("qopt-compile", stories, *options, *memory, "-o", folder / "m.qopt")
    return folder


def caches_of(folder):
    return {cache["name"]: cache for cache in json.loads((folder / "plan.json").read_text())["caches"]}


def test_the_artifact_has_what_was_chosen(tool, work):
    caches = caches_of(work)
    layers = json.loads(tool("qopt-inspect", work / "m.qopt", "--json").stdout)["model"]["cache_layers"]
    found = {f"cache.{i}.{part}": layer[part] for i, layer in enumerate(layers) for part in ("key", "value")}
    assert found == {name: cache["format"] for name, cache in caches.items()}
    assert len(set(found.values())) >= 2
    for cache in caches.values():
        sizes, costs = ([entry[key] for entry in cache["alternatives"]] for key in ("bytes", "predicted_kl"))
        assert sizes == sorted(sizes) and min(costs) == costs[-1]


def test_predictions_are_what_one_cache_alone_does(tool, stories, work):
    """KL of the unquantized model with one cache in a format, over three orders of magnitude."""
    tool("qopt-compile", stories, *EXACT, "-o", work / "f.qopt")
    windows = ("--text", work / "calib.txt", "--window", 512)
    tool("qopt-eval", work / "f.qopt", *windows, "--save-logits", work / "l.npy")
    caches = caches_of(work)
    for name, form in (
        ("cache.0.key", "int8"),
        ("cache.1.key", "int4"),
        ("cache.1.key", "int4_asym_g32_zf"),
        ("cache.3.value", "int4"),
    ):
        tool("qopt-compile", stories, *EXACT, "--kv-format", f"{name}={form}", "-o", work / "c.qopt")
        found = json.loads(tool("qopt-eval", work / "c.qopt", *windows, "--reference", work / "l.npy", "--json").stdout)
        predicted = next(a["predicted_kl"] for a in caches[name]["alternatives"] if a["format"] == form)
        assert abs(np.log(predicted / found["kl"]["mean"])) < np.log(1.6), (name, form, predicted, found["kl"]["mean"])


# Of single caches: format, and latest and first positions in f16.
KEPT = (
    ("cache.1.key", "int4_asym_g32_zf", 32, 0),
    ("cache.1.key", "int4_asym_g32_zf", 64, 16),
    ("cache.3.key", "int4_asym_g32_zf", 32, 0),
    ("cache.1.key", "int8", 32, 0),
    ("cache.3.value", "int4", 32, 0),
    ("cache.3.value", "int4", 64, 16),
)


LIMIT = 2_180_000


def spelt(form, recent, first):
    return form + (f",recent={recent}" if recent else "") + (f",first={first}" if first else "")


@pytest.fixture(scope="module")
def kept(tool, stories, work):
    """A plan whose alternatives keep positions, under a budget that lets some layers keep some: kept.json,
    kept.qopt."""
    candidates = sorted({spelt(*entry[1:]) for entry in KEPT}) + ["int4", "int4_asym_g32_zf", "int8", "f16"]
    options = ("--calibrate", work / "calib.txt", "--store", work / "store", *WEIGHTS, "--moves", 2)
    memory = ("--max-memory", LIMIT, "--batch", 4, "--context", 512, "--kv-candidates", ",".join(candidates))
    tool("qopt-compile", stories, *options, *memory, "--save-plan", work / "kept.json", "-o", work / "kept.qopt")
    return json.loads((work / "kept.json").read_text())


def test_predictions_know_which_queries_read_codes(tool, stories, work, kept):
    """As above, with latest and first positions in f16; without them the same formats cost ten times that."""
    tool("qopt-compile", stories, *EXACT, "-o", work / "f.qopt")
    windows = ("--text", work / "calib.txt", "--window", 512)
    tool("qopt-eval", work / "f.qopt", *windows, "--save-logits", work / "l.npy")
    caches = {cache["name"]: cache for cache in kept["caches"]}

    def predicted(name, form, recent, first):
        same = (form, recent, first)
        entries = caches[name]["alternatives"]
        return next(a["predicted_kl"] for a in entries if (a["format"], a.get("recent", 0), a.get("first", 0)) == same)

    for entry in KEPT:
        words = ("--kv-format", f"{entry[0]}={spelt(*entry[1:])}", "-o", work / "c.qopt")
        tool("qopt-compile", stories, *EXACT, *words)
        found = json.loads(tool("qopt-eval", work / "c.qopt", *windows, "--reference", work / "l.npy", "--json").stdout)
        measured = found["kl"]["mean"]
        assert abs(np.log(predicted(*entry) / measured)) < np.log(1.6), (entry, predicted(*entry), measured)
        assert predicted(*entry) < predicted(*entry[:2], 0, 0) / 10


def test_layers_keep_what_was_chosen(tool, stories, work, kept):
    """Keys and values of a layer the same; the memory is what the plan's entries take, that of slots included."""
    layers = json.loads(tool("qopt-inspect", work / "kept.qopt", "--json").stdout)["model"]["cache_layers"]
    caches = {cache["name"]: cache for cache in kept["caches"]}
    halves = []
    for i, layer in enumerate(layers):
        for part in ("key", "value"):
            cache = caches[f"cache.{i}.{part}"]
            assert layer[part] == cache["format"]
            assert (layer["recent"], layer["first"]) == (cache.get("recent", 0), cache.get("first", 0))
        halves.append((layer["recent"], layer["first"]))
    assert len(set(halves)) >= 2, halves
    checked = ("--plan", work / "kept.json", "--batch", 4, "--context", 512, "--check", "--json")
    said = json.loads(tool("qopt-compile", stories, *checked).stdout)["memory"]
    assert 0.99 * LIMIT < said["serving_bytes"] <= LIMIT
    parts = {part["what"]: part["bytes"] for part in said["serving_parts"]}
    slots = next(bytes_ for what, bytes_ in parts.items() if what.startswith("latest keys"))
    of_slot = [sum(halves[i]) * layer["kv_heads"] * layer["key_size"] * 4 for i, layer in enumerate(layers)]
    open_groups = [
        int(layer["key"].split("_g")[1].split("_")[0]) * layer["kv_heads"] * layer["key_size"] * 2
        if "_g" in layer["key"] and not layer["recent"]
        else 0
        for layer in layers
    ]
    assert slots == 5 * (sum(of_slot) + sum(open_groups))


def test_a_latency_is_met_where_layers_keep_positions(tool, stories, work, tmp_path):
    """Each pair of a layer's keys and values has a price, that of its positions once; the latter are read in f16."""
    words = ("--calibrate", work / "calib.txt", "--store", work / "store", "--context", 256, *WEIGHTS)
    words = (
        *words,
        "--kv-candidates",
        "int4,int4,recent=32,int8,recent=64,first=16,f16",
        "--save-plan",
        tmp_path / "p.json",
    )
    words = (*words, "-o", tmp_path / "m.qopt", "--max-latency")
    done = tool("qopt-compile", stories, *words, "0.1us", check=False)
    least = float(done.stderr.split("the fastest plan of these candidates takes ")[1].split(" ms")[0])
    tool("qopt-compile", stories, *words, f"{2 * least:.5f}ms")
    caches = json.loads((tmp_path / "p.json").read_text())["caches"]
    for key, value in zip(caches[::2], caches[1::2], strict=True):
        assert [key.get(word, 0) for word in ("recent", "first")] == [
            value.get(word, 0) for word in ("recent", "first")
        ]
        times = [
            {(a["format"], a.get("recent", 0)): a["step_us"] for a in cache["alternatives"]} for cache in (key, value)
        ]
        # Codes of 32 positions fewer are unpacked; values leave what positions take to keys.
        assert times[0]["int4", 32] < times[0]["int4", 0] and times[1]["int4", 32] == times[1]["int4", 0]


def test_a_fixed_part_of_a_layer_decides_what_the_other_keeps(tool, stories, work, tmp_path):
    text = ("--calibrate", work / "calib.txt", "--store", work / "store", *WEIGHTS, "--max-memory", "4MB", "--batch", 4)
    fixed = (*text, "--context", 128, "--kv-format", "cache.2.key=int8,recent=32", "-o", tmp_path / "m.qopt")
    candidates = ("--kv-candidates", "int4,int8,int8,recent=32,f16,recent=32", "--save-plan", tmp_path / "p.json")
    tool("qopt-compile", stories, *fixed, *candidates)
    caches = {cache["name"]: cache for cache in json.loads((tmp_path / "p.json").read_text())["caches"]}
    assert (caches["cache.2.key"]["format"], caches["cache.2.key"]["recent"]) == ("int8", 32)
    assert (caches["cache.2.value"]["format"], caches["cache.2.value"]["recent"]) == ("f16", 32)
    assert {entry["recent"] for entry in caches["cache.2.value"]["alternatives"]} == {32}
    done = tool("qopt-compile", stories, *fixed, "--kv-candidates", "int8,f16", check=False)
    assert 'no candidates for "cache.2.key" and "cache.2.value" keep the same latest and first' in done.stderr


@pytest.mark.parametrize("target", ["host", "cuda"])
@pytest.mark.usefixtures("ptx_only")
def test_memory_is_filled_and_never_exceeded(tool, stories, work, target):
    """Weights and cache as the artifact says, and beside them what an engine works in."""
    size, batch = 1_800_000, 4
    words = ("--target", target, "--context", 128)
    text = ("--calibrate", work / "calib.txt", "--store", work / "store", "--algorithm", "rtn")
    text = (*text, "--candidates", "int3_asym,int4_asym,int8,f16" if target == "host" else "int8,f16")
    memory = ("--max-memory", size, "--batch", batch, "--save-plan", work / "f.json", "-o", work / "f.qopt")
    tool("qopt-compile", stories, *words, *text, *memory)
    checked = ("--plan", work / "f.json", "--batch", batch, "--check", "--json")
    said = json.loads(tool("qopt-compile", stories, *words, *checked).stdout)["memory"]
    assert 0.995 * size < said["serving_bytes"] <= size
    parts = {part["what"]: part["bytes"] for part in said["serving_parts"]}
    segments = json.loads(tool("qopt-inspect", work / "f.qopt", "--json").stdout)["segments"]
    stored = sum(segment["bytes"] for segment in segments if segment["kind"] in ("Weight", "Constant"))
    assert parts["weights and constants"] == stored
    if target == "cuda":  # nothing measures an engine on the emulator
        return
    quick = ("--prompt", 16, "--context", 100, "--tokens", 2, "--repeats", 1, "--bandwidth-mib", 8, "--batch", batch)
    used = json.loads(tool("qopt-bench", work / "f.qopt", *quick, "--json").stdout)["session_bytes"]
    steps = next(bytes_ for what, bytes_ in parts.items() if what.startswith("steps of"))
    assert 0 < used <= steps, (used, parts)


def test_exchanges_are_measured_and_kept_where_they_help(work):
    moves = json.loads((work / "plan.json").read_text())["moves"]
    assert len(moves["tried"]) == 3 and moves["tokens"] > 0
    best = moves["kl_before"]
    for move in moves["tried"]:
        assert move["smaller"] != move["larger"]
        assert not move["kept"] or move["kl"] < best
        best = move["kl"] if move["kept"] else best
    assert moves["kl_after"] == pytest.approx(best)


def test_a_latency_is_met_by_weights_and_caches(tool, stories, work, tmp_path):
    """All that a step reads has a price; together with a budget on bits, too."""
    gpu = ("--target", "cuda", "--calibrate", work / "calib.txt", "--store", work / "store", "--algorithm", "rtn")
    gpu = (*gpu, "--candidates", "int4_g32,int8,f16", "--kv-candidates", "int4,int8,f16", "--json")
    gpu = (*gpu, "--save-plan", tmp_path / "p.json", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *gpu, "--max-latency", "1us", check=False)
    least = float(done.stderr.split("the fastest plan of these candidates takes ")[1].split(" ms")[0])
    bits, caches = [], []
    for factor, others in ((1, ()), (1.01, ()), (1.01, ("--bits", 7, "--moves", 2)), (2, ())):
        limit = f"{least * factor:.5f}ms"
        found = json.loads(tool("qopt-compile", stories, *gpu, "--max-latency", limit, *others).stdout)
        (step,) = found["steps"]
        assert step["predicted"]["seconds"] * 1e6 <= float(limit[:-2]) * 1000
        if factor < 2 and not others:
            assert step["predicted"]["seconds"] * 1e6 > 0.995 * float(limit[:-2]) * 1000
        plan = json.loads((tmp_path / "p.json").read_text())
        bits.append(plan["bits"])
        caches.append([cache["format"] for cache in plan["caches"]])
    assert bits[0] < bits[1] < bits[3] and 6.5 < bits[2] <= 7
    assert len(caches[0]) == 10 and caches[3] == ["f16"] * 10
    for entry in (*plan["weights"], *plan["caches"]):
        times = [alternative["step_us"] for alternative in entry["alternatives"]]
        assert min(times) == 0 < max(times) and "us of a step" in entry["reason"]
    assert plan["weights"][1]["alternatives"][2]["step_us"] > plan["weights"][1]["alternatives"][1]["step_us"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--bits", 6, "--kv-candidates", "int8"),
            "--kv-candidates is for --max-memory and --max-latency, which choose",
        ),
        (("--max-memory", "2MB", "--kv", "int8", "--kv-candidates", "int8"), "where no --kv is given; leave it out"),
        (("--max-memory", "2MB", "--kv-candidates", "int7"), '--kv-candidates: format "int7": unknown element type'),
        (("--max-memory", "2MB", "--kv-candidates", "lut4"), '--kv-candidates is "lut4'),
        (
            ("--max-memory", "2MB", "--kv-candidates", "int8,before_rotary"),
            '--kv-candidates is "int8,before_rotary"; whether keys are stored ahead of their rotation is no choice',
        ),
        (("--max-memory", "2MB", "--kv-candidates", "int8,first=16"), "first positions are kept beside latest ones"),
        (("--max-memory", "2MB", "--kv-candidates", "int8,recent=5"), "expected a multiple of 32 latest"),
        (("--moves", 3), "--moves exchanges formats within a budget; give --bits or another one, or leave it out"),
    ],
)
def test_what_makes_no_sense_is_refused(tool, stories, work, options, message):
    words = ("--calibrate", work / "calib.txt", *options, "-o", work / "none.qopt")
    done = tool("qopt-compile", stories, *words, check=False)
    assert done.returncode and message in done.stderr and not (work / "none.qopt").exists()

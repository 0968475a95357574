"""Caches whose layers have formats and positions in f16 of their own, by `--kv-format` and by plan."""

import json
import re

import numpy as np
import pytest
from conftest import NO_ASSEMBLER, PTX_ONLY
from distributions import divergences
from e2e.llama_reference import Llama
from e2e.test_cache_formats import gaps_of
from e2e.test_key_groups import in_groups, logits_of

# Of five layers; what stands first wins.
MIXED = ("cache.0.key=int4_asym_g32_zf", "cache.3.key=int4_g32", "re:^cache\\.[01]\\.value=int8")


def options(entries):
    return [word for entry in entries for word in ("--kv-format", entry)]


def layers_of(tool, artifact):
    layers = json.loads(tool("qopt-inspect", artifact, "--json").stdout)["model"]["cache_layers"]
    return [(layer["key"], layer["value"]) for layer in layers]


@pytest.fixture(scope="module")
def tokens(stories):
    text = json.loads((stories / "generate.json").read_text())
    return np.array([*text["prompt_ids"], *text["new_ids"]], np.int32)


def test_each_layer_has_its_own(tool, stories, tmp_path, tokens):
    """Against a model in NumPy that stores the keys of two layers in groups, and those of no other."""
    stored = {0: in_groups("int4_asym_g32_zf"), 3: in_groups("int4_g32")}
    artifact = tmp_path / "m.qopt"
    exact = ("--weights", "f32", "--activations", "f32", "--kv", "f32")
    tool("qopt-compile", stories, *exact, *options(MIXED[:2]), "-o", artifact)
    keys = [key for key, _ in layers_of(tool, artifact)]
    assert keys == ["int4_asym_g32_zf", "f32", "f32", "int4_g32", "f32"]
    found = logits_of(tool, artifact, tokens, None)
    plain, expected, other = (Llama(stories, stored=s).logits(tokens, None) for s in ({}, stored, {0: stored[0]}))
    assert divergences(expected, found).mean() <= divergences(plain, expected).mean() / 20
    assert divergences(expected, found).mean() <= divergences(other, expected).mean() / 20


def test_all_layers_alike_are_the_cache_of_one_format(tool, stories, tmp_path, tokens):
    logits = []
    for words in (["--kv", "int8,int4"], options(["re:key=int8", "re:value=int4"])):
        tool("qopt-compile", stories, *words, "-o", tmp_path / "m.qopt")
        assert layers_of(tool, tmp_path / "m.qopt") == [("int8", "int4")] * 5
        logits.append(logits_of(tool, tmp_path / "m.qopt", tokens, 16))
    assert np.array_equal(*logits)


def test_the_plan_has_them(tool, stories, tmp_path):
    """Listed, edited and compiled again; what the plan says stands above --kv."""
    plan, artifact = tmp_path / "plan.json", tmp_path / "m.qopt"
    words = ["--kv", "f16", *options(["cache.2.value=int8"])]
    tool("qopt-compile", stories, *words, "--save-plan", plan, "-o", artifact)
    written = json.loads(plan.read_text())
    caches = {cache["name"]: cache for cache in written["caches"]}
    assert list(caches)[:3] == ["cache.0.key", "cache.0.value", "cache.1.key"] and len(caches) == 10
    assert caches["cache.2.value"]["format"] == "int8"
    heads, channels = (caches["cache.2.value"][name] for name in ("heads", "channels"))
    assert caches["cache.2.value"]["bytes"] == heads * (channels + 2)
    assert caches["cache.2.key"]["bytes"] == heads * channels * 2
    tool("qopt-compile", stories, "--plan", plan, "-o", tmp_path / "again.qopt")
    assert layers_of(tool, tmp_path / "again.qopt") == layers_of(tool, artifact)
    caches["cache.4.key"]["format"] = "int4"
    plan.write_text(json.dumps(written))
    tool("qopt-compile", stories, "--plan", plan, "-o", tmp_path / "again.qopt")
    assert layers_of(tool, tmp_path / "again.qopt")[4] == ("int4", "f16")
    caches["cache.4.key"]["format"] = "int4_g16"
    plan.write_text(json.dumps(written))
    done = tool("qopt-compile", stories, "--plan", plan, "-o", tmp_path / "again.qopt", check=False)
    assert 'is "cache.4.key=int4_g16"; a group of keys is of 16 positions' in done.stderr


# Of five layers: latest and first positions of two, of another the latest, keys in groups without any, and plain ones.
KEPT = (
    "cache.0.key=int4_g32,recent=32,first=16",
    "cache.1.value=f32,recent=64",
    "cache.1.key=int4_asym_g32_zf",
    "cache.3.key=int4_asym_g32_zf",
)
EXACT = ("--weights", "f32", "--activations", "f32")
HALVES = [(32, 16), (64, 0), (0, 0), (0, 0), (0, 0)]


def halves_of(tool, artifact):
    layers = json.loads(tool("qopt-inspect", artifact, "--json").stdout)["model"]["cache_layers"]
    return [(layer["recent"], layer["first"]) for layer in layers]


@pytest.mark.parametrize("step", [None, 40, 1])
def test_each_layer_keeps_its_own_positions(tool, stories, tmp_path, tokens, step):
    """Against NumPy; a model in which one layer keeps another number is further from it than the artifact by far."""
    tool("qopt-compile", stories, *EXACT, "--kv", "f32", *options(KEPT), "-o", tmp_path / "m.qopt")
    assert halves_of(tool, tmp_path / "m.qopt") == HALVES
    found = logits_of(tool, tmp_path / "m.qopt", tokens, step)
    stored = {0: in_groups("int4_g32"), 1: in_groups("int4_asym_g32_zf"), 3: in_groups("int4_asym_g32_zf")}

    def expected(halves):
        return Llama(stories, stored=stored, kept=dict(enumerate(halves))).logits(tokens, step)

    loss = divergences(expected(HALVES), found).mean()
    others = (
        [(64, 16), *HALVES[1:]],
        [(32, 0), *HALVES[1:]],
        [HALVES[0], (32, 0), *HALVES[2:]],
        [(32, 16), (64, 0)] * 2,
    )
    for other in others:
        assert loss <= divergences(expected(HALVES), expected(other)).mean() / 10, other


def test_all_layers_with_words_are_a_cache_with_words(tool, stories, tmp_path, tokens):
    """A layer's own number stands above that of all, and 0 is none."""
    logits = []
    entries = ["re:key=int4_g32,recent=64,first=16", "re:value=int8"]
    for words in (
        ["--kv", "int4_g32,int8,recent=64,first=16"],
        options(entries),
        ["--kv", "int8,recent=32", *options(entries)],
    ):
        tool("qopt-compile", stories, *words, "-o", tmp_path / "m.qopt")
        assert halves_of(tool, tmp_path / "m.qopt") == [(64, 16)] * 5
        logits.append(logits_of(tool, tmp_path / "m.qopt", tokens, 16))
    assert np.array_equal(logits[0], logits[1]) and np.array_equal(logits[0], logits[2])
    none = options(["re:cache\\.[1-4]\\.=int8,recent=0"])
    tool("qopt-compile", stories, "--kv", "int8,int8,recent=32,first=16", *none, "-o", tmp_path / "m.qopt")
    assert halves_of(tool, tmp_path / "m.qopt") == [(32, 16)] + [(0, 0)] * 4


def test_a_sequence_takes_what_its_layers_keep(tool, stories, tmp_path):
    bytes_of = []
    for entries in (
        [],
        ["cache.1.key=int8,recent=32"],
        ["cache.1.key=int8,recent=32", "cache.4.value=int8,recent=96,first=16"],
    ):
        tool("qopt-compile", stories, "--kv", "int8", *options(entries), "-o", tmp_path / "m.qopt")
        model = json.loads(tool("qopt-inspect", tmp_path / "m.qopt", "--json").stdout)["model"]
        bytes_of.append(model["cache_bytes_per_sequence"])
    heads, size = (model["cache_layers"][0][name] for name in ("kv_heads", "key_size"))
    assert bytes_of == [0, 32 * heads * size * 4, (32 + 96 + 16) * heads * size * 4]
    said = tool("qopt-inspect", tmp_path / "m.qopt").stdout
    assert "latest 32 and first 0 in f16" in said and "latest 96 and first 16 in f16" in said


@pytest.mark.parametrize("step", [None, 40])
def test_keys_of_one_layer_ahead_of_their_rotation(tool, stories, tmp_path, tokens, step):
    entries = ["cache.2.key=int4_g32,before_rotary", "cache.3.key=int4_g32"]
    tool("qopt-compile", stories, *EXACT, "--kv", "f32", *options(entries), "-o", tmp_path / "m.qopt")
    layers = json.loads(tool("qopt-inspect", tmp_path / "m.qopt", "--json").stdout)["model"]["cache_layers"]
    assert [layer["before_rotary"] for layer in layers] == [False, False, True, False, False]
    found = logits_of(tool, tmp_path / "m.qopt", tokens, step)
    stored = {2: in_groups("int4_g32"), 3: in_groups("int4_g32")}
    expected, *others = (Llama(stories, stored=stored, ahead=a).logits(tokens, step) for a in ({2}, (), {3}, {2, 3}))
    for other in others:
        assert divergences(expected, found).mean() <= divergences(other, expected).mean() / 20


def test_the_plan_has_positions(tool, stories, tmp_path, tokens):
    """Beside --kv of all layers, too; compiled again it is the same, and edited it is not."""
    plan, artifact = tmp_path / "plan.json", tmp_path / "m.qopt"
    entries = ["cache.1.value=int4,recent=0", "cache.3.key=int4_g32,recent=96,first=16,before_rotary"]
    words = ["--kv", "int8,int8,recent=32,first=16", *options(entries)]
    tool("qopt-compile", stories, *words, "--save-plan", plan, "-o", artifact)
    halves = [(32, 16), (0, 0), (32, 16), (96, 16), (32, 16)]
    assert halves_of(tool, artifact) == halves
    written = json.loads(plan.read_text())
    caches = {cache["name"]: cache for cache in written["caches"]}
    for layer, (recent, first) in enumerate(halves):
        for part in ("key", "value"):
            cache = caches[f"cache.{layer}.{part}"]
            assert (cache.get("recent", 0), cache.get("first", 0)) == (recent, first)
    assert [name for name, cache in caches.items() if "stored" in cache] == ["cache.3.key"]
    again = tmp_path / "again.qopt"
    tool("qopt-compile", stories, "--plan", plan, "-o", again)
    assert halves_of(tool, again) == halves
    assert np.array_equal(*(logits_of(tool, path, tokens, 16) for path in (artifact, again)))
    for part in ("key", "value"):
        caches[f"cache.4.{part}"].update(recent=64, first=0)
    plan.write_text(json.dumps(written))
    tool("qopt-compile", stories, "--plan", plan, "-o", again)
    assert halves_of(tool, again) == [*halves[:4], (64, 0)]
    caches["cache.4.value"]["recent"] = 96
    plan.write_text(json.dumps(written))
    done = tool("qopt-compile", stories, "--plan", plan, "-o", again, check=False)
    assert "the plan keeps 64 latest and 0 first positions of cache.4.key and 96 and 0 of cache.4.value" in done.stderr
    caches["cache.4.value"].update(recent=64, stored="before_rotary")
    plan.write_text(json.dumps(written))
    done = tool("qopt-compile", stories, "--plan", plan, "-o", again, check=False)
    assert 'expected "before_rotary", of keys' in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("cache.0.key=int8,recent=40",), "expected a multiple of 32 latest and of 16 first positions"),
        (("cache.0.key=int8,first=16",), "first positions are kept beside latest ones; add recent=32"),
        (
            ("cache.0.key=int4_g64,recent=32",),
            "keys in groups of 64 positions have that many latest ones at least; got 32",
        ),
        (("cache.0.value=int8,before_rotary",), "values are not rotated; before_rotary is for keys"),
        (("cache.0.key=int8,recent=x",), '"recent=x" of "int8,recent=x" is no word behind a format of a cache'),
        (
            ("cache.0.key=int8,recent=32", "cache.0.value=int8,recent=64"),
            "for keys and recent=64 for values of layer 0",
        ),
    ],
)
def test_words_that_make_no_sense(tool, stories, tmp_path, words, message):
    done = tool("qopt-compile", stories, *options(words), "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode and message in done.stderr and not (tmp_path / "m.qopt").exists()


def test_gpus_and_their_order_of_sums_refuse_words_of_a_layer(tool, stories, tmp_path):
    for target, word, message in (
        (("--target", "cuda"), "before_rotary", "keys ahead of their rotation are read by the host alone"),
        (("--sum-order", "sm_90a"), "recent=32", "latest positions have no order of a GPU's sums on the host"),
    ):
        words = (*target, *options([f"cache.1.key=int8,{word}"]), "-o", tmp_path / "m.qopt")
        done = tool("qopt-compile", stories, *words, check=False)
        assert done.returncode and message in done.stderr


def test_gpu(tool, stories, tmp_path):
    """One page table serves layers with groups of keys and without; the host prefers the emulator's tokens."""
    gaps = gaps_of(tool, stories, tmp_path, ("--weights", "f16", "--kv", "f16", *options(MIXED)), 60)
    assert gaps.max() <= 0.05, gaps


ON_GPU = (
    "cache.0.key=int2_asym_g32_zf,recent=32,first=16",
    "cache.2.key=int2_asym_g32_zf,recent=64",
    "cache.3.key=int8_g32",
)


@PTX_ONLY
def test_a_gpus_layers_keep_their_own_positions(tool, stories, tmp_path, tokens):
    """One page table with slots serves layers with latest positions, with groups alone and plain ones, whatever the
    steps: the emulator is near the host, and a host whose layers keep other positions, or all the same, is not."""
    exact = ("--activations", "f16", "--weights", "f16")

    def logits(name, target, words, *options):
        path = tmp_path / f"{name}.qopt"
        tool(
            "qopt-compile",
            stories,
            *exact,
            "--target",
            target,
            "--kv",
            "f16",
            *words,
            "-o",
            path,
            environment=NO_ASSEMBLER,
        )
        device = ("--device", "emulator") if target == "cuda" else ()
        return path, logits_of(tool, path, tokens[:120], *options, *device)

    words = options(ON_GPU)
    _, host = logits("host", "host", words, 7)
    others = ([re.sub(",recent.*", "", entry) for entry in ON_GPU], [entry.replace("64", "32") for entry in ON_GPU])
    apart = [divergences(host, logits("other", "host", options(other), 7)[1]).mean() for other in others]
    gpu, _ = logits("gpu", "cuda", words, 120)
    assert halves_of(tool, gpu) == [(32, 16), (0, 0), (64, 0), (0, 0), (0, 0)]
    for chunk in (1, 7, 50):
        found = logits_of(tool, gpu, tokens[:120], chunk, "--device", "emulator")
        assert divergences(host, found).mean() <= min(apart) / 5, (chunk, apart)


def test_gpus_refuse_what_no_kernel_of_theirs_reads(tool, stories, tmp_path):
    words = ("--target", "cuda", *options(["cache.1.value=bf16"]), "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *words, check=False)
    assert done.returncode and not (tmp_path / "m.qopt").exists()
    assert 'error: --kv-format is "cache.1.value=bf16"; with activations in f16 a GPU keeps keys and' in done.stderr

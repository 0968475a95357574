"""Inputs that fuzzing starts from: `python -m fuzz.seeds TARGET FOLDER` in `test/` writes those of one harness.

They are the files of the hostile corpus, small models, tokenizers and plans, and the inputs that were findings
(`test/fuzz/findings`). A dictionary of the format's words is written beside FOLDER, as FOLDER.dict.
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import warnings

import conftest
import onnx
from hostile import bombs, containers, external_data, graphs, packed_operators, plans, tokenizer_files
from onnx.backend.test.loader import load_model_tests

from lib.Import.Onnx import tiny_models

HERE = pathlib.Path(__file__).resolve().parent
LONGEST = 1 << 16
PLAN_OFFSET = 24  # in an artifact's header


def written(parts, name):
    """(name, bytes) of the file `name` of each entry of parts of the hostile corpus."""
    for part in parts:
        for entry in part.entries():
            with tempfile.TemporaryDirectory() as place:
                folder = pathlib.Path(place) / "entry"
                folder.mkdir()
                entry.write(folder)
                for path in sorted(folder.rglob(name)):
                    if path.is_file() and not path.is_symlink() and path.stat().st_size <= LONGEST:
                        yield entry.name, path.read_bytes()


def onnx_import():
    yield from written((containers, external_data, graphs, bombs, packed_operators), "model.onnx")
    for schema in onnx.defs.get_all_schemas():
        yield schema.name, model_of(schema).SerializeToString()


def model_of(schema):
    """One node of an operator, with arguments and the attributes that it asks for, whatever they should be."""
    values = {"INT": 1, "INTS": [1, 0], "FLOAT": 0.5, "FLOATS": [0.5, 2.0], "STRING": "a", "STRINGS": ["a", "b"]}
    needed = {a.name: values.get(a.type.name) for a in schema.attributes.values() if a.required}
    attributes = {name: value for name, value in needed.items() if value is not None}
    inputs = [f"x{i}" for i in range(max(schema.min_input, min(schema.max_input, 3)))]
    outputs = [f"y{i}" for i in range(max(schema.min_output, 1))]
    node = onnx.helper.make_node(schema.name, inputs, outputs, domain=schema.domain, **attributes)
    domains = [schema.domain] if schema.domain else []
    return tiny_models.model_of([node], inputs, outputs, opset=21, domains=domains)


def node_tests():
    """ONNX's own, which take ten seconds to make."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the arithmetic of their expected results
        tests = load_model_tests(kind="node")
    for test in tests:
        yield test.name, test.model.SerializeToString()


def external_data_of_graphs():
    """The graphs alone; what a tensor expects is its first dimension."""
    for name, content in written((external_data,), "model.onnx"):
        graph = onnx.load_from_string(content).graph
        for tensor in graph.initializer:
            tensor.dims[:] = [64]
        yield name, graph.SerializeToString()


def tokenizer():
    yield from written((tokenizer_files,), "tokenizer.json")
    yield "stories", (conftest.STORIES / "tokenizer.json").read_bytes()
    for name, content in tokenizers_of_every_part():
        yield name, json.dumps(content).encode()


def tokenizers_of_every_part():
    """Small tokenizers that together have every part that a tokenizer.json may have."""
    vocabulary = {token: i for i, token in enumerate(["<unk>", "<s>", "a", "b", "ab", "Ġ", "▁", "##b", "Ġa", "▁a"])}
    bpe = {"type": "BPE", "vocab": vocabulary, "merges": ["a b", "Ġ a", "▁ a"], "unk_token": "<unk>"}
    unigram = {"type": "Unigram", "vocab": [[t, -float(i)] for t, i in vocabulary.items()], "unk_id": 0}
    pieces = {"type": "WordPiece", "vocab": vocabulary, "unk_token": "<unk>", "continuing_subword_prefix": "##"}
    words = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}
    for model in (bpe, unigram, pieces, words, bpe | {"byte_fallback": True, "ignore_merges": True}):
        yield model["type"] + str(len(model)), {"version": "1.0", "model": model, "added_tokens": []}
    split = {"type": "Split", "pattern": {"Regex": r"\s+|\p{L}+|[^\s]"}, "behavior": "Isolated", "invert": False}
    parts = {
        "normalizer": [
            *({"type": kind} for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt")),
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            {"type": "Strip", "strip_left": True, "strip_right": True},
            {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True},
            {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]},
        ],
        "pre_tokenizer": [
            *({"type": kind} for kind in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts")),
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            {"type": "Digits", "individual_digits": True},
            {"type": "Punctuation", "behavior": "Contiguous"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
            {"type": "Sequence", "pretokenizers": [split, {"type": "ByteLevel", "use_regex": False}]},
            split | {"behavior": "MergedWithNext"},
        ],
        "decoder": [
            *({"type": kind} for kind in ("ByteLevel", "ByteFallback", "Fuse")),
            {"type": "WordPiece", "prefix": "##", "cleanup": True},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
            {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}]},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
        "post_processor": [
            {"type": "BertProcessing", "sep": ["<s>", 1], "cls": ["<unk>", 0]},
            {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
            },
        ],
        "added_tokens": [
            [{"id": 1, "content": "<s>", "special": True, "lstrip": True, "rstrip": True, "single_word": False}],
            [{"id": 10, "content": "time", "special": False, "normalized": True, "single_word": True}],
        ],
        "truncation": [{"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}],
        "padding": [
            {"strategy": {"Fixed": 8}, "direction": "Left", "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"}
        ],
    }
    for key, values in parts.items():
        for i, value in enumerate(values):
            yield f"{key}-{i}", {"version": "1.0", "added_tokens": [], "model": bpe} | {key: value}


def run(program, *arguments):
    path = next(p for p in (conftest.BUILD / "bin" / program, conftest.BUILD / "test/bin" / program) if p.exists())
    subprocess.run([path, *map(str, arguments)], check=True, capture_output=True)


def artifact():
    """Whole ones that are small, and plans of those that have weights."""
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        run("write-artifacts", folder)
        for name, options in {
            "host": [],
            "int8": ["--weights", "int8", "--kv", "int8"],
            "cuda": ["--target", "cuda", "--arch", "sm_90a"],
            "nodes": ["--as", "graph"],
        }.items():
            run("qopt-compile", conftest.STORIES, *options, "-o", folder / f"{name}.qopt")
        for path in sorted(folder.glob("*.qopt")):
            content = path.read_bytes()
            (at,) = struct.unpack_from("<Q", content, PLAN_OFFSET)
            yield f"{path.stem}.plan", content[at:]
            if len(content) <= LONGEST:
                yield path.name, content


def plan():
    yield from written((plans,), "plan.json")
    with tempfile.TemporaryDirectory() as place:
        path = pathlib.Path(place) / "plan.json"
        for name, options in {"formats": ["--weights", "int8", "--kv", "int8"], "host": []}.items():
            run("qopt-compile", conftest.STORIES, *options, "--save-plan", path, "-o", f"{place}/model.qopt")
            made = json.loads(path.read_text())
            made["weights"] = made["weights"][:3]
            yield name, json.dumps(made).encode()
    entry = {
        "format": "int4_g32",
        "bytes": 9,
        "predicted_kl": 0.5,
        "step_us": 0.1,
        "algorithm": "gptq",
        "reason": "small",
    }
    calibration = {"text": "a.txt", "sha256": "00", "tokens": 9, "algorithm": "best", "seed": 1, "window": 8}
    calibration["inputs"] = "original"
    source = {"file": "a", "domain": "b", "slice": "c", "sha256": "00", "weight": 0.5, "windows": 2}
    tried = {
        "smaller": "w",
        "smaller_format": "int3_g32",
        "larger": "v",
        "larger_format": "int8",
        "kl": 0.1,
        "kept": True,
    }
    every = {
        "schema": "qopt-plan-1",
        "target": "host",
        "budget": "4 bits per weight",
        "activations": "f32",
        "kv": "f16",
        "calibration": calibration | {"sources": [source]},
        "moves": {"tokens": 9, "kl_before": 0.5, "kl_after": 0.4, "tried": [tried]},
        "tuning": {"steps": 9, "kept": 3, "tokens": 9, "kl_before": 0.5, "kl_after": 0.4},
        "caches": [entry | {"name": "cache.0.key", "heads": 1, "channels": 8, "row": 8, "alternatives": [entry]}],
        "weights": [entry | {"name": "w", "rows": 4, "columns": 4, "source": "f32", "alternatives": [entry]}],
    }
    yield "every-key", json.dumps(every).encode()


def words_of_onnx(_):
    schemas = onnx.defs.get_all_schemas()
    return sorted({schema.name for schema in schemas} | {name for schema in schemas for name in schema.attributes})


def words_of_json(seeds):
    """The keys and the short texts of the seeds that are JSON."""
    found = set()

    def visit(value):
        if isinstance(value, dict):
            found.update(value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
            visit(inner)
        if isinstance(value, str):
            found.add(value)

    for content in seeds:
        try:
            visit(json.loads(content))
        except (ValueError, RecursionError):
            continue
    return sorted(word for word in found if word.isascii() and word.isprintable() and 2 < len(word) < 24)[:500]


#: Of operators; keys of external_data and names of the harness's files; what a plan begins with. Others: of the seeds.
WORDS = {
    "OnnxImport": words_of_onnx,
    "ExternalData": lambda _: [
        *("location", "offset", "length", "checksum", "basepath"),
        *("w.bin", "sub/v.bin", "link", "up", "hard", "pipe", "secret"),
    ],
    "Artifact": lambda _: ["QPLN"],
}
TARGETS = {
    "OnnxImport": onnx_import,
    "ExternalData": external_data_of_graphs,
    "Tokenizer": tokenizer,
    "Artifact": artifact,
    "Plan": plan,
}


def write(target, folder, more=()):
    """Fills `folder` with the seeds of a harness, and with `more`; the number of them."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = {name: content for name, content in [*TARGETS[target](), *more] if len(content) <= LONGEST}
    for path in (HERE / "findings" / target).glob("*"):
        seeds[f"finding-{path.name}"] = path.read_bytes()
    for name, content in seeds.items():
        (folder / name).write_bytes(content)
    words = WORDS[target](seeds.values()) if target in WORDS else words_of_json(seeds.values())
    folder.with_name(folder.name + ".dict").write_text("".join(json.dumps(word) + "\n" for word in words))
    return len(seeds)


def main():
    target, folder = sys.argv[1:]
    more = node_tests() if target == "OnnxImport" else ()
    print(f"{write(target, pathlib.Path(folder), more)} seeds in {folder}")


if __name__ == "__main__":
    main()

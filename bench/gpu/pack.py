"""Packs what `./x gpu` needs on a machine with a GPU and without this project: made where the compiler is built.

    ./x gpu pack [--output FILE.tar.xz] [--books FOLDER] [--model FILE.qopt …] [--only tools,models,kernels]

The pack has the runtime's tools and library, linked statically but for what lies beside them; small models with the
tokens that they must write; the small launches that are compared and the kernels that are measured. --books adds the
28M model of that folder in int4, --model an artifact whose decoding is measured: one of gigabytes is small enough where
its rows repeat, as bench/synthetic.py --repeat-rows makes them.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

import numpy
import tokenizers

from . import catalog, folding, make

SOURCE = pathlib.Path(__file__).resolve().parents[2]
STORIES = SOURCE / "test/data/stories260k"
PARTS = ("tools", "models", "kernels")
ARCHITECTURES = ("sm_80", "sm_90a")
MOST_BYTES = 40_000_000
PROMPTS = ["Once upon a time", "The little dog"]
#: Options of qopt-compile, and how many tokens are compared.
MODELS = {
    "stories-f16": ([], 200),
    "stories-int8": (["--weights", "int8"], 60),
    "stories-kv-int8": (["--kv", "int8"], 60),
    "stories-kv-int8-int4": (["--kv", "int8,int4"], 60),
    "stories-kv-groups": (["--kv", "int8_g32,f16"], 60),
    "stories-kv-latest": (["--kv", "int4_asym_g32_zf,int8,recent=32,first=16"], 60),
    "stories-kv-layers": (["--kv", "int8", "--kv-format", "re:^cache.[13].key=int3_asym_g32_zf,recent=32"], 60),
    "stories-int4": (["--weights", "int4", "--kv", "int8"], 60),
    "stories-w8a8": (["--weights", "int8", "--activations", "int8"], 60),
}
BOOKS = (["--weights", "int4_g128", "--lm-head", "int8"], 16)
BOOKS_PROMPTS = ["It was a dark", "She looked at"]
#: Libraries of the C and C++ compilers, which every machine with PyTorch has, in versions that its own programs need.
SYSTEM = re.compile(r"lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+)\.so|ld-linux|linux-vdso")


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=SOURCE)
    if done.returncode:
        sys.exit(f"error: {' '.join(map(str, command))} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def add_tools(folder, build):
    """bin/ and lib/, from a build of the runtime alone."""
    static = build / "gpu-build"
    compilers = ["-DCMAKE_C_COMPILER=clang-22", "-DCMAKE_CXX_COMPILER=clang++-22", "-DCMAKE_BUILD_TYPE=Release"]
    options = ["-DQOPT_STATIC=ON", "-DQOPT_COMPILER=OFF", "-DQOPT_PYTHON=OFF"]
    # What lies in lib/ is found from bin/ and from lib/, and by nothing else of that machine.
    options += ["-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON", "-DCMAKE_INSTALL_RPATH=$ORIGIN/../lib;$ORIGIN"]
    if shutil.which("ccache"):
        options += [f"-DCMAKE_{language}_COMPILER_LAUNCHER=ccache" for language in ("C", "CXX")]
    run("cmake", "-S", SOURCE, "-B", static, "-G", "Ninja", *compilers, *options)
    tools = ["qopt-run", "qopt-bench"]
    run("ninja", "-C", static, *tools, "qopt_runtime")
    (folder / "bin").mkdir()
    (folder / "lib").mkdir()
    for tool in tools:
        shutil.copy(static / "bin" / tool, folder / "bin")
    library = static / "lib/libqopt_runtime.so"
    library = library if library.exists() else next(static.rglob("libqopt_runtime.so"))
    shutil.copy(library.resolve(), folder / "lib/libqopt_runtime.so")
    for line in run("ldd", static / "bin/qopt-run").splitlines():
        name, _, path = line.strip().partition(" => ")
        if path and not SYSTEM.match(name):
            shutil.copy(path.split()[0], folder / "lib" / name)


def certain(build, artifact, source, prompt, tokens):
    """How many tokens, from the first, are further ahead of the next best than steps of other lengths move a logit: by
    kernels for other numbers of tokens, whose sums have another order, the emulator chooses the same.
    """
    given = tokenizers.Tokenizer.from_file(str(source / "tokenizer.json")).encode(prompt).ids
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        window, logits = pathlib.Path(scratch, "t.npy"), pathlib.Path(scratch, "l.npy")
        numpy.save(window, numpy.array([given + tokens], numpy.int32))
        for chunk in (8, 64):
            command = [build / "bin/qopt-eval", artifact, "--device", "emulator", "--tokens", window, "--chunk", chunk]
            run(*command, "--save-logits", logits)
            found.append(numpy.load(logits)[0, len(given) - 1 : -1])
    moved = numpy.maximum.accumulate(abs(found[0] - found[1]).max(-1))
    second, first = numpy.sort(found[0], -1)[:, -2:].T
    return next((i for i, near in enumerate(first - second <= 2 * moved) if near), len(tokens))


def add_model(folder, build, arch, name, source, model, prompts):
    """An artifact, and the tokens that the emulator writes with it: what the kernels compute, without a GPU."""
    options, count = model
    artifact = folder / "models" / f"{name}.qopt"
    run(build / "bin/qopt-compile", source, "--target", "cuda", "--arch", arch, *options, "-o", artifact)
    expected = []
    for prompt in prompts:
        command = [build / "bin/qopt-run", artifact, "--device", "emulator", "--prompt", prompt, "--ignore-end"]
        expected.append(json.loads(run(*command, "--max-tokens", count, "--json"))["tokens"])
    sure = [certain(build, artifact, source, *pair) for pair in zip(prompts, expected, strict=True)]
    return {"name": name, "prompts": prompts, "tokens": expected, "certain": sure}


def add_models(folder, options):
    (folder / "models").mkdir()
    models = []
    for name, model in MODELS.items():
        say(f"model {name}")
        models.append(add_model(folder, options.build, options.arch, name, STORIES, model, PROMPTS))
    if options.books:
        say("model books-int4")
        books = "books-int4", options.books, BOOKS, BOOKS_PROMPTS
        models.append(add_model(folder, options.build, options.arch, *books))
    return models


def add_measured(folder, models):
    """Artifacts that are only measured, each different block of theirs once."""
    (folder / "measured").mkdir()
    for model in models:
        part = folding.fold(model, folder / f"measured/{model.stem}.npz")
        say(f"{model.name}: folded to {100 * part:.1f} %")


def add_kernels(folder, options):
    failed = make.make_all(list(catalog.checks()), folder / "checks", options.build, options.arch)
    entries = [entry for entry in catalog.entries() if entry.quick or not options.quick]
    return failed | make.make_all(entries, folder / "kernels", options.build, options.arch)


def compress(folder, output):
    """A file that is there is whole: it has another name until then."""
    unfinished = output.with_name(output.name + ".unfinished")
    try:
        with tarfile.open(unfinished, "w:xz", preset=6) as archive:
            for path in sorted(folder.rglob("*")):
                archive.add(path, path.relative_to(folder), recursive=False)
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)


def pack(options):
    folder = options.output.resolve().parent / "gpu-pack"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    contents = {"made": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "models": [], "failed": {}}
    parts = options.only.split(",")
    if "tools" in parts:
        say("tools")
        add_tools(folder, options.build)
    if "models" in parts:
        contents["models"] = add_models(folder, options)
        add_measured(folder, options.model)
    if "kernels" in parts:
        say("kernels")
        contents["failed"] = add_kernels(folder, options)
    (folder / "pack.json").write_text(json.dumps(contents, indent=1) + "\n")
    compress(folder, options.output)
    size = options.output.stat().st_size
    for name, reason in contents["failed"].items():
        say(f"not made: {name}: {reason}")
    say(f"{options.output}: {size / 1e6:.1f} MB")
    if size > MOST_BYTES:
        sys.exit(f"error: {options.output} has {size / 1e6:.1f} MB; at most {MOST_BYTES / 1e6:.1f} can be carried")
    if contents["failed"]:
        sys.exit(f"error: {len(contents['failed'])} kernels are not in {options.output}; their reasons are above")


def parts(text):
    unknown = [part for part in text.split(",") if part not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f'no part "{unknown[0]}"; expected some of {", ".join(PARTS)}')
    return text


def existing(text):
    path = pathlib.Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f'there is no "{path}"')
    return path


def main():
    parser = argparse.ArgumentParser(
        prog="./x gpu pack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build", help="build folder")
    parser.add_argument("--output", type=pathlib.Path, help="file to write [gpu.tar.xz in the build folder]")
    parser.add_argument("--books", type=existing, help="folder of the 28M model in f16")
    parser.add_argument("--model", type=existing, action="append", default=[], help="artifact to measure; repeat")
    parser.add_argument("--only", type=parts, default=",".join(PARTS), help="parts with commas between [all]")
    parser.add_argument("--arch", choices=ARCHITECTURES, default="sm_90a", help="architecture of the GPU [sm_90a]")
    parser.add_argument("--quick", action="store_true", help="only the kernels that a quick look measures")
    options = parser.parse_args()
    options.build = options.build.resolve()
    options.output = options.output or options.build / "gpu.tar.xz"
    pack(options)


if __name__ == "__main__":
    main()

"""On a GPU: a pack of `./x gpu pack` gives the emulator's tokens, and its launches what the formulas give.

REQUIRES: cuda. The marker `cuda` is for tests that need a GPU; they look for a pack in QOPT_GPU_PACK and are skipped
without one.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
from gpu import driver, families, runtime  # noqa: E402

PACK = pathlib.Path(os.environ["QOPT_GPU_PACK"]) if "QOPT_GPU_PACK" in os.environ else None
MODELS = json.loads((PACK / "pack.json").read_text())["models"] if PACK else []
CHECKS = sorted((PACK / "checks").glob("*.json")) if PACK else []
pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not PACK, reason="needs a GPU and a pack (./x gpu)")]


def named(models):
    return [pytest.param(model, id=model["name"]) for model in models]


@pytest.mark.parametrize("model", named(MODELS))
def test_tokens(model):
    """Greedy tokens are those that the emulator computed when the pack was made, up to a choice between equals: sums
    inside an instruction have no order that the emulator could follow.
    """
    artifact = PACK / f"models/{model['name']}.qopt"
    for prompt, expected, certain in zip(model["prompts"], model["tokens"], model["certain"], strict=True):
        command = [PACK / "bin/qopt-run", artifact, "--device", "cuda", "--prompt", prompt, "--ignore-end"]
        done = subprocess.run([*command, "--max-tokens", str(len(expected)), "--json"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert certain > 0 and json.loads(done.stdout)["tokens"][:certain] == expected[:certain]


@pytest.mark.parametrize("model", named(MODELS))
def test_two_sequences(model):
    """Both prompts in one ragged step each write what they write alone, up to a choice between equals."""
    engine = runtime.Engine(PACK / "lib/libqopt_runtime.so", PACK / f"models/{model['name']}.qopt", "cuda")
    count = min(40, *map(len, model["tokens"]))
    found = engine.generate(model["prompts"], count)
    engine.close()
    for tokens, expected, certain in zip(found, model["tokens"], model["certain"], strict=True):
        assert min(count, certain) > 0 and tokens[: min(count, certain)] == expected[: min(count, certain)]


@pytest.fixture(scope="session")
def gpu():
    try:
        return driver.Driver()
    except driver.NoGpuError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("path", CHECKS, ids=lambda path: path.stem)
def test_launch(gpu, path):
    case = families.case_of(path)
    assert 0 <= families.check(case, driver.launch(case, gpu)) <= 1


def test_pack_is_whole():
    assert MODELS and CHECKS and (PACK / "bin/qopt-run").exists()

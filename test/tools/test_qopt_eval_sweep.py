"""Artifacts of one model beside each other: figures and bits are those of each by itself."""

import json
import re

import numpy as np
import pytest

USAGE = 2
BITS = (("int8", 8), ("int4", 4), ("int3", 3))


@pytest.fixture(scope="module")
def folder(tool, stories, stories_artifact, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    np.save(folder / "t.npy", np.random.default_rng(3).integers(3, 500, (4, 48)).astype(np.int32))
    for name, _ in BITS:
        tool("qopt-compile", stories, "--weights", name, "-o", folder / f"{name}.qopt")
    return folder


def evaluated(tool, folder, model, reference, *options):
    words = ("--tokens", folder / "t.npy", "--reference", reference, "--json", *options)
    return json.loads(tool("qopt-eval", folder / model, *words).stdout)


def test_each_artifact_has_its_own_figures(tool, folder, stories_artifact):
    html = folder / "sweep.html"
    others = [word for name in ("int3", "int8") for word in ("--sweep", folder / f"{name}.qopt")]
    found = evaluated(tool, folder, "int4.qopt", stories_artifact, *others, "--html", html)["sweep"]
    assert [point["model"].rsplit("/", 1)[1] for point in found] == ["int3.qopt", "int4.qopt", "int8.qopt"]
    bits = [point["bits"] for point in found]
    assert bits == sorted(bits)
    for point in found:
        name = point["model"].rsplit("/", 1)[1]
        alone = evaluated(tool, folder, name, stories_artifact)
        assert point["kl"]["mean"] == pytest.approx(alone["kl"]["mean"], rel=1e-9)
        assert point["bytes"] == (folder / name).stat().st_size
        weights = json.loads(tool("qopt-inspect", folder / name, "--json").stdout)["weights"]
        assert point["bits"] == pytest.approx(weights["packed_bits"])
    page = html.read_text()
    assert "KL against bits" in page and len(re.findall('<circle class="s0"', page.split("KL against bits")[1])) >= 3


def test_layers_have_their_bits(tool, stories, folder, stories_artifact, tmp_path):
    options = ("--weights", "int4", "--format", "re:^node_linear_10$=int8")
    tool("qopt-compile", stories, *options, "-o", folder / "mixed.qopt")
    layers = evaluated(tool, folder, "mixed.qopt", stories_artifact)["layer_bits"]
    bits = {layer["name"]: layer["bits"] for layer in layers}
    assert bits["node_linear_10"] > 1.5 * bits["node_linear_3"]
    assert bits["node_linear_3"] == pytest.approx(bits["node_linear_17"])


def test_artifacts_of_other_vocabularies_are_refused(tool, folder, stories_artifact, artifacts):
    words = ("--tokens", folder / "t.npy", "--reference", stories_artifact)
    done = tool("qopt-eval", folder / "int4.qopt", *words, "--sweep", artifacts / "decoder.qopt", check=False)
    assert done.returncode == USAGE and "--sweep: '" in done.stderr and "has a vocabulary of" in done.stderr

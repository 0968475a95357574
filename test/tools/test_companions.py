"""What lies beside a model beyond its sizes: folders of the hub, sampling, names of tokens, templates of chats."""

import json
import os
import shutil

import pytest
import qopt

USAGE, BAD_MODEL, NOT_FOUND = 2, 3, 9
DRAWS = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "repetition_penalty": 1.1}
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


@pytest.fixture
def model(stories, tmp_path):
    """A copy of the model's folder."""
    shutil.copytree(stories, tmp_path / "model")
    return tmp_path / "model"


def write(folder, name, value):
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))


def inspected(tool, folder):
    """The model's part of what qopt-inspect says."""
    tool("qopt-compile", folder, "-o", folder / "m.qopt")
    return json.loads(tool("qopt-inspect", folder / "m.qopt", "--json").stdout)["model"]


def test_a_folder_of_the_hub(tool, stories, model, tmp_path):
    """The model in onnx/, all else above it: the same artifact, from the folder, from onnx/ and from the file."""
    tool("qopt-compile", stories, "-o", tmp_path / "plain.qopt")
    (model / "onnx").mkdir()
    (model / "model.onnx").rename(model / "onnx/model.onnx")
    for path in (model, model / "onnx", model / "onnx/model.onnx"):
        tool("qopt-compile", path, "-o", tmp_path / "hub.qopt")
        assert (tmp_path / "hub.qopt").read_bytes() == (tmp_path / "plain.qopt").read_bytes()
    (model / "onnx/model.onnx").rename(model / "onnx/model_q4.onnx")
    done = tool("qopt-compile", model, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == NOT_FOUND and f'name it, "{model}/onnx/model_q4.onnx"' in done.stderr, done.stderr


@pytest.mark.parametrize("file", ["generation_config.json", "genai_config.json"])
def test_sampling(tool, model, file):
    """Stored, shown, and used where it is asked for; what is given goes before it."""
    write(model, file, {"search": DRAWS, "model": {}} if file.startswith("genai") else DRAWS)
    wanted = {name: value for name, value in DRAWS.items() if name != "do_sample"}
    assert inspected(tool, model)["sampling"] == wanted
    loaded = qopt.load(model / "m.qopt")
    assert loaded.sampling == wanted and loaded.chat_template is None

    def tokens(*options):
        run = ("--prompt", "Once", "--max-tokens", 24, "--seed", 3, "--json", *options)
        return json.loads(tool("qopt-run", model / "m.qopt", *run).stdout)["tokens"]

    given = [word for name, value in wanted.items() for word in ("--" + name.replace("_", "-"), value)]
    assert (
        tokens("--sample") == tokens(*given) == loaded.generate("Once", max_tokens=24, seed=3, **loaded.sampling).tokens
    )
    assert tokens("--sample", "--temperature", 2) == tokens(*given[2:], "--temperature", 2) != tokens("--sample")


def test_what_is_not_drawn_has_no_temperature(tool, model):
    """As in transformers: without do_sample the rest is of no use, but for the penalty."""
    write(model, "generation_config.json", DRAWS | {"do_sample": False})
    assert inspected(tool, model)["sampling"] == {"repetition_penalty": 1.1}
    write(model, "generation_config.json", {"temperature": 0.6})
    assert inspected(tool, model)["sampling"] == {}
    done = tool("qopt-run", model / "m.qopt", "--prompt", "Once", "--sample", check=False)
    assert done.returncode == USAGE and "do not say how tokens are drawn; give --temperature instead" in done.stderr


def test_chat_templates(tool, model):
    """A text, one of several, or a file, which goes first."""
    for value in (TEMPLATE, [{"name": "tools", "template": "no"}, {"name": "default", "template": TEMPLATE}]):
        write(model, "tokenizer_config.json", {"chat_template": value})
        assert inspected(tool, model)["chat_template"] == TEMPLATE
        assert qopt.load(model / "m.qopt").chat_template == TEMPLATE
    write(model, "chat_template.jinja", "{{ messages }}")
    assert inspected(tool, model)["chat_template"] == "{{ messages }}"
    assert "chat template: 14 characters" in tool("qopt-inspect", model / "m.qopt").stdout


@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
def test_tokens_by_name(tool, model, file):
    """Where no file says the ids; those that are said go before."""
    write(model, file, {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}})
    config = json.loads((model / "config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"]) == (1, 2)
    (model / "generation_config.json").unlink()
    write(model, "config.json", config | {"bos_token_id": None, "eos_token_id": [5, 6]})
    found = inspected(tool, model)
    assert (found["begin_token"], found["end_tokens"]) == (1, [5, 6])
    write(model, "config.json", config | {"bos_token_id": 7, "eos_token_id": None})
    found = inspected(tool, model)
    assert (found["begin_token"], found["end_tokens"]) == (7, [2])


@pytest.mark.parametrize(
    ("file", "value", "words"),
    [
        ("generation_config.json", {"do_sample": "yes"}, "do_sample is no true or false"),
        ("generation_config.json", DRAWS | {"top_p": 1.5}, "--top-p must be above 0 and at most 1"),
        ("generation_config.json", DRAWS | {"temperature": "hot"}, "temperature is no number"),
        ("generation_config.json", DRAWS | {"top_k": -3}, "--top-k must be"),
        ("tokenizer_config.json", {"chat_template": 3}, "chat_template is no text or list of named ones"),
        ("tokenizer_config.json", {"chat_template": ["x"]}, "chat_template is no list of objects with name and"),
        ("tokenizer_config.json", {"eos_token": 3}, "eos_token is no text or object with content"),
        ("special_tokens_map.json", "[" * 50000 + "]" * 50000, "is not JSON"),
    ],
)
def test_bad_values(tool, model, file, value, words):
    write(model, file, value)
    done = tool("qopt-compile", model, "-o", model / "m.qopt", check=False)
    assert done.returncode == BAD_MODEL and file in done.stderr and words in done.stderr, done.stderr
    (model / file).unlink()
    os.mkfifo(model / file)
    done = tool("qopt-compile", model, "-o", model / "m.qopt", check=False)
    assert done.returncode == NOT_FOUND and "it is a pipe; expected a regular file" in done.stderr

"""qopt-eval --choices: scores, accuracies and flips are NumPy's from the logits of context and option."""

import json

import numpy as np
import pytest
from distributions import surprises

USAGE, INFEASIBLE, NOT_FOUND = 2, 5, 9
NEEDED = 'expected {"context": text or token ids, "options": [two or more], "answer": index}'


def drawn_questions():
    random = np.random.default_rng(3)
    ids = lambda least, most: random.integers(0, 50, random.integers(least, most)).tolist()  # noqa: E731
    return [
        {"context": ids(1, 30), "options": [ids(1, 6) for _ in range(4)], "answer": int(random.integers(4))}
        for _ in range(40)
    ]


QUESTIONS = drawn_questions()


def write(path, questions):
    path.write_text("".join(json.dumps(question) + "\n" for question in questions))
    return path


@pytest.fixture(scope="module")
def folder(tool, artifacts, tmp_path_factory):
    return tmp_path_factory.mktemp("choices")


def chosen(tool, artifact, folder):
    """The choices by NumPy, each text padded to one length: what follows a token does not change its logits."""
    texts = [(q["context"] + option, len(q["context"])) for q in QUESTIONS for option in q["options"]]
    padded = np.array([text + [0] * (40 - len(text)) for text, _ in texts], np.int32)
    np.save(folder / "padded.npy", padded)
    tool("qopt-eval", artifact, "--tokens", folder / "padded.npy", "--save-logits", folder / "logits.npy")
    lost = surprises(np.load(folder / "logits.npy"), padded)
    scores = [-row[first - 1 : len(text) - 1].mean() for row, (text, first) in zip(lost, texts, strict=True)]
    return np.array(scores).reshape(-1, 4).argmax(-1)


def test_accuracy_and_flips(tool, artifacts, folder):
    answers = np.array([question["answer"] for question in QUESTIONS])
    ours, theirs = (chosen(tool, artifacts / f"{name}.qopt", folder) for name in ("other", "decoder"))
    run = ("--choices", write(folder / "choices.jsonl", QUESTIONS), "--reference", artifacts / "decoder.qopt")
    found = json.loads(tool("qopt-eval", artifacts / "other.qopt", *run, "--json").stdout)["choices"]
    assert found["questions"] == 40
    expected = {
        "accuracy": (found["accuracy_percent"], ours == answers),
        "reference": (found["reference"]["accuracy_percent"], theirs == answers),
        "flips": (found["reference"]["flips_percent"], (ours == answers) != (theirs == answers)),
        "changes": (found["reference"]["changes_percent"], ours != theirs),
    }
    for name, (got, each) in expected.items():
        assert got["mean"] == pytest.approx(100 * each.mean(), rel=1e-6), name
        # Normal approximation of the bootstrap's interval, which is of steps of one question.
        half = 196 * each.std() / np.sqrt(40)
        assert got["high"] - got["low"] == pytest.approx(2 * half, abs=100 / 40 * 2), name
    assert 0 < expected["flips"][1].mean() < expected["changes"][1].mean()


def test_texts(tool, stories_artifact, folder):
    """An option's tokens are scored with those that it shares with the end of the context."""
    questions = [
        {"context": "Once upon a", "options": [" time", " spoon"], "answer": 0},
        {"context": "The girl was very happ", "options": ["zzk", "y"], "answer": 1},
    ]
    run = ("--choices", write(folder / "texts.jsonl", questions))
    shown = tool("qopt-eval", stories_artifact, *run).stdout
    assert shown.startswith("2 questions: right 100 % (95 %: 100 to 100)\n")


def test_other_steps_choose_the_same(tool, artifacts, folder):
    run = ("--choices", write(folder / "choices.jsonl", QUESTIONS), "--floor-chunk", 1)
    found = json.loads(tool("qopt-eval", artifacts / "other.qopt", *run, "--json").stdout)["choices"]
    assert found["floor"]["flips_percent"]["mean"] == found["floor"]["changes_percent"]["mean"] == 0
    assert found["floor"]["accuracy_percent"] == found["accuracy_percent"]


GOOD = {"context": [1, 2], "options": [[3], [4]], "answer": 0}
BAD = {
    "{": NEEDED,
    "[]": NEEDED,
    json.dumps({"context": [1], "options": [[3], [4]]}): NEEDED,
    json.dumps(GOOD | {"answer": 0.5}): NEEDED,
    json.dumps(GOOD | {"answer": 2}): "answer is 2; expected 0 to 1",
    json.dumps(GOOD | {"answer": -1}): "answer is -1; expected 0 to 1",
    json.dumps(GOOD | {"options": [[3]]}): "expected two options or more, got 1",
    json.dumps(GOOD | {"options": [[3], "a"]}): "context and options are of two kinds; expected texts, or lists of",
    json.dumps(GOOD | {"options": [[3], [50]]}): "50 is no token; expected a number from 0 to 49",
    json.dumps(GOOD | {"context": [1.5]}): "1.5 is no token; expected a number from 0 to 49",
    json.dumps(GOOD | {"context": []}): "the context has no token; the first token of an option is predicted from one",
    json.dumps(GOOD | {"options": [[3], []]}): "an option has no token of its own",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_lines(tool, artifacts, tmp_path, line):
    (tmp_path / "c.jsonl").write_text(json.dumps(GOOD) + "\n\n" + line + "\n")
    failed = tool("qopt-eval", artifacts / "decoder.qopt", "--choices", tmp_path / "c.jsonl", check=False)
    assert failed.returncode == USAGE
    assert failed.stderr.startswith(f"error: '{tmp_path}/c.jsonl' line 3: {BAD[line]}"), failed.stderr


def test_errors(tool, artifacts, tmp_path):
    decoder = artifacts / "decoder.qopt"
    good = write(tmp_path / "good.jsonl", [GOOD])
    np.save(tmp_path / "l.npy", np.zeros((1, 2, 50), np.float32))
    (tmp_path / "empty.jsonl").write_text("\n")
    long = write(tmp_path / "long.jsonl", [GOOD | {"context": [1] * 100}])
    text = write(tmp_path / "text.jsonl", [{"context": "a", "options": ["b", "c"], "answer": 0}])
    cases = [
        (("--choices", tmp_path / "none.jsonl"), NOT_FOUND, "cannot read"),
        (("--choices", tmp_path / "empty.jsonl"), USAGE, "empty.jsonl' has no question; expected one in each line"),
        (("--choices", long), INFEASIBLE, "line 1: context and option have 101 tokens, more than the model's context"),
        (("--choices", text), USAGE, "has no tokenizer; give --tokenizer tokenizer.json, or --choices with lists"),
        (("--choices", good, "--reference", tmp_path / "l.npy"), USAGE, "has logits of windows; --choices expects an"),
        (("--choices", good, "--report", good), USAGE, "which is read too"),
        (("--choices", good, "--chunk", 2, "--floor-chunk", 2), USAGE, "--floor-chunk is --chunk, and the same steps"),
    ]
    for option in (("--window", 4), ("--windows", 4), ("--save-logits", tmp_path / "x.npy"), ("--max-perplexity", 9)):
        cases.append((("--choices", good, *option), USAGE, f"{option[0]} is for --text or --tokens, and there is nei"))
    for arguments, code, message in cases:
        failed = tool("qopt-eval", decoder, *arguments, check=False)
        assert failed.returncode == code and message in failed.stderr, failed.stderr

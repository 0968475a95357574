"""qopt-eval --html: one well-formed page with the report's figures, whose plots have points where the figures are."""

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

USAGE = 2
TOKENS = np.random.default_rng(2).integers(0, 50, (6, 40)).astype(np.int32)
QUESTIONS = [{"context": [1, 2, place], "options": [[3], [4, 5]], "answer": place % 2} for place in range(8)]


@pytest.fixture(scope="module")
def made(tool, artifacts, tmp_path_factory):
    """The JSON and the page of a run with everything in it."""
    folder = tmp_path_factory.mktemp("html")
    np.save(folder / "a.npy", TOKENS[:4])
    np.save(folder / "b.npy", TOKENS[4:])
    (folder / "c.jsonl").write_text("\n".join(map(json.dumps, QUESTIONS)))
    run = ("--tokens", f'<b> & "co"={folder}/a.npy', "--tokens", f"b={folder}/b.npy", "--retrieval")
    run += ("--choices", folder / "c.jsonl", "--reference", artifacts / "decoder.qopt", "--floor-chunk", 3)
    run += ("--report", folder / "r.json", "--html", folder / "r.html")
    tool("qopt-eval", artifacts / "other.qopt", *run)
    return json.loads((folder / "r.json").read_text()), (folder / "r.html").read_text()


@pytest.fixture(scope="module")
def page(made):
    return ElementTree.fromstring(made[1].partition("-->")[2])


def cells(page, first):
    """The rows of the table whose first title is `first`."""
    tables = [[["".join(cell.itertext()) for cell in row] for row in table] for table in page.iter("table")]
    return [rows for rows in tables if rows[0][0] == first]


def plot(page, title):
    return next(svg for svg in page.iter("svg") if svg.find("title").text == title)


def test_nothing_from_elsewhere(made):
    assert not re.search(r"<script|<link|<img|<iframe|src=|href=|url\(|@import|https?:|\bon\w+=", made[1])


def test_figures(made, page):
    report = made[0]
    rows = {row[0]: row[1:] for row in cells(page, "figure")[0]}
    numbers = {name: [cell.split(" ")[0] for cell in row] for name, row in rows.items()}
    sides = (report, report["reference"], report["floor"])
    assert numbers["perplexity"] == [f"{side['perplexity']:.4g}" for side in sides]
    assert numbers["KL, 99.9 %"] == [f"{report['kl']['p999']:.4g}", "", f"{report['floor']['kl']['p999']:.4g}"]
    assert rows["perplexity"][0].endswith(f"({report['perplexity_low']:.4g} to {report['perplexity_high']:.4g})")
    assert '<b> & "co"' in [row[0] for row in cells(page, "domain")[0]]
    flips = report["choices"]["reference"]["flips_percent"]["mean"]
    assert cells(page, "figure")[1][2][2].split(" ")[0] == f"{flips:.4g}"
    depths = cells(page, "needle at")[0][1:]
    assert [row[0] for row in depths] == ["10 %", "30 %", "50 %", "70 %", "90 %", "nowhere"]
    assert [row[2].split(" ")[0] for row in depths] == [f"{d['rank']['mean']:.4g}" for d in report["retrieval"]]


def heights(svg, style):
    return np.array([float(circle.get("cy")) for circle in svg.iter("circle") if circle.get("class") == style])


def test_points_stand_where_the_figures_are(made, page):
    """One line takes a plot's figures to its heights, and a larger figure is higher."""
    report = made[0]
    depths = report["retrieval"]
    sides = (depths, [depth["reference"] for depth in depths], [depth["floor"] for depth in depths])
    values = np.concatenate([[side["probability_percent"]["mean"] for side in each] for each in sides])
    svg = plot(page, "probability of the needle's value, %")
    found = np.concatenate([heights(svg, f"s{i}") for i in range(3)])
    slope, start = np.polyfit(values, found, 1)
    np.testing.assert_allclose(slope * values + start, found, atol=0.02)
    assert slope < 0
    bars = [line for line in svg.iter("line") if line.get("class") == "s0" and line.get("x1") == line.get("x2")]
    lows = [depth["probability_percent"]["low"] for depth in depths]
    np.testing.assert_allclose([float(line.get("y1")) for line in bars], slope * np.array(lows) + start, atol=0.5)


def test_reliability(made, page):
    bins = [b for b in made[0]["calibration_error_percent"]["bins"] if b["count"]]
    svg = plot(page, "how often the first choice is right, by its probability")
    found = heights(svg, "s0")
    np.testing.assert_allclose(found, [256 - 216 * b["accuracy"] for b in bins], atol=0.02)
    across = [float(circle.get("cx")) for circle in svg.iter("circle") if circle.get("class") == "s0"]
    np.testing.assert_allclose(across, [64 + 400 * b["confidence"] for b in bins], atol=0.02)


def test_names_that_are_long_and_not_utf8(tool, artifacts, tmp_path):
    np.save(tmp_path / "t.npy", TOKENS)
    name = b"caf\xe9 caf\xe9 caf\xe9 caf\xe9 caf\xe9 caf\xe9".decode(errors="surrogateescape")
    run = ("--tokens", f"{name}={tmp_path}/t.npy", "--tokens", f"{name}{name}={tmp_path}/t.npy")
    run += ("--report", tmp_path / "r.json", "--html", tmp_path / "r.html")
    tool("qopt-eval", artifacts / "other.qopt", *run, "--json")
    names = [domain["name"] for domain in json.loads((tmp_path / "r.json").read_text())["domains"]]
    assert names[0] == " ".join(["caf\ufffd"] * 6)
    assert b'<text text-anchor="middle" x="364.00" y="274.00">caf\xe9' in (tmp_path / "r.html").read_bytes()
    assert "\u2026</text>".encode() in (tmp_path / "r.html").read_bytes()


def test_a_side_has_one_colour(page):
    """The floor is no reference where there is none."""
    for svg in page.iter("svg"):
        names = {circle.get("class"): circle.find("title").text.split(":")[0] for circle in svg.iter("circle")}
        assert names.items() <= {"s0": "model", "s1": "reference", "s2": "floor"}.items()


def test_domains_are_not_joined(page):
    """They have no order, as the tokens seen have one."""
    joined = [len(list(svg.iter("polyline"))) for svg in page.iter("svg") if svg.find("title").text == "perplexity"]
    assert joined == [0, 3]


def test_everything_is_inside_its_frame(page):
    for svg in page.iter("svg"):
        for circle in svg.iter("circle"):
            assert 64 <= float(circle.get("cx")) <= 464 and 40 <= float(circle.get("cy")) <= 256


def test_one_window_alone(tool, artifacts, tmp_path):
    """No interval, no reference and no slice: the page says so and is still one."""
    np.save(tmp_path / "t.npy", TOKENS[:1, :8])
    run = ("--tokens", tmp_path / "t.npy", "--html", tmp_path / "r.html")
    for _again in range(2):  # a page may be replaced
        tool("qopt-eval", artifacts / "other.qopt", *run)
    text = (tmp_path / "r.html").read_text()
    ElementTree.fromstring(text.partition("-->")[2])
    assert "No intervals: intervals are drawn from windows, and there is one." in text and "nan" not in text


def test_errors(tool, artifacts, tmp_path):
    np.save(tmp_path / "t.npy", TOKENS)
    (tmp_path / "page.html").write_text("<!DOCTYPE html>\n<p>mine</p>\n")
    run = ("qopt-eval", artifacts / "other.qopt", "--tokens", tmp_path / "t.npy", "--html")
    for more, message in (
        ((tmp_path / "page.html",), "it is not a page of qopt-eval; remove it or name another file for --html"),
        ((tmp_path / "t.npy",), "which is read too"),
        ((tmp_path / "x", "--report", tmp_path / "x"), "which --report writes too; name another file"),
        ((tmp_path / "x", "--save-logits", tmp_path / "x"), "which --save-logits writes too; name another file"),
    ):
        refused = tool(*run, *more, check=False)
        assert refused.returncode == USAGE and message in refused.stderr, refused.stderr
    assert (tmp_path / "page.html").read_text().endswith("<p>mine</p>\n") and not (tmp_path / "x").exists()

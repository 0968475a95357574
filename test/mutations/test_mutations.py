"""The seeded defects are of the code as it is; mutate.py makes them."""

import pytest
from mutations import mutate

MUTATIONS, LISTS = mutate.read_mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation["name"] for mutation in MUTATIONS])
def test_place(mutation):
    """The text that a defect replaces stands at one place, and its tests are there."""
    text = (mutate.SOURCE / mutation["file"]).read_text()
    assert text.count(mutation["old"]) == 1 and mutation["new"] != mutation["old"]
    for test in (test for name in mutation["tests"] for test in LISTS[name]):
        kind, _, what = test.rpartition(":")
        assert not kind or (mutate.SOURCE / "test" / what).exists(), test


def test_names():
    assert len({mutation["name"] for mutation in MUTATIONS}) == len(MUTATIONS) >= 40


def test_files_are_put_back(tmp_path, monkeypatch):
    """Even where a build or test ends with an exception."""
    monkeypatch.setattr(mutate, "SOURCE", tmp_path)
    (tmp_path / "a.cpp").write_text("x + 1;\n")
    mutation = {"name": "sum", "file": "a.cpp", "old": "x + 1", "new": "x - 1"}
    with pytest.raises(ZeroDivisionError), mutate.made(mutation):
        assert (tmp_path / "a.cpp").read_text() == "x - 1;\n"
        raise ZeroDivisionError
    assert (tmp_path / "a.cpp").read_text() == "x + 1;\n"

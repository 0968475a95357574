"""Artifacts for tests of the tools that need no compiler."""

import pytest


@pytest.fixture(scope="session")
def artifacts(tool, tmp_path_factory):
    """A folder with decoder.qopt, other.qopt and graph.qopt, see write-artifacts.cpp."""
    folder = tmp_path_factory.mktemp("artifacts")
    tool("write-artifacts", folder)
    return folder

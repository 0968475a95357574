"""lit configuration: text tests of passes, dialects and tools (FileCheck, -verify-diagnostics)."""

import os

import lit.formats

config.name = "qopt"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "data"]
config.test_source_root = os.path.join(config.qopt_source, "test")
config.test_exec_root = os.path.join(config.qopt_build, "test", "lit")
config.environment["PATH"] = os.pathsep.join(
    [
        os.path.join(config.qopt_build, "bin"),
        os.path.join(config.qopt_build, "venv", "bin"),
        config.llvm_tools,
        os.environ["PATH"],
    ]
)
config.environment["QOPT_CODE_CACHE"] = os.environ.get("QOPT_CODE_CACHE", "off")
config.environment["PYTHONPATH"] = os.path.join(config.qopt_source, "test")
config.substitutions.append(("%data", os.path.join(config.qopt_source, "test", "data")))

# Models that lie beside the repository; tests that need them say `REQUIRES: shared-models`.
shared = os.environ.get("QOPT_SHARED", os.path.join(config.qopt_source, "..", "shared"))
if os.path.isdir(os.path.join(shared, "zoo")):
    config.available_features.add("shared-models")
    config.substitutions.append(("%shared", os.path.realpath(shared)))

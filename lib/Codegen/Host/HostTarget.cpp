// The table of host targets.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Host/HostTarget.h"

using namespace qopt;
using namespace qopt::codegen;

namespace {
struct TargetRow {
  const char *name, *triple, *cpu, *features;
  bool nativeHalf;
};
} // namespace

static constexpr const char *linuxX86 = "x86_64-unknown-linux-gnu";
static constexpr const char *linuxArm = "aarch64-unknown-linux-gnu";

static constexpr TargetRow targetRows[] = {
    {"x86-64-v2", linuxX86, "x86-64-v2", "", false},
    {"x86-64-v3", linuxX86, "x86-64-v3", "", true},
    {"x86-64-v4", linuxX86, "x86-64-v4", "", true},
    {"aarch64", linuxArm, "generic", "", true},
};

static HostTarget fromRow(const TargetRow &row) {
  return {row.name, row.triple, row.cpu, row.features, row.nativeHalf};
}

HostTarget codegen::defaultHostTarget() { return fromRow(targetRows[1]); }

StatusOr<HostTarget> codegen::parseHostTarget(llvm::StringRef name) {
  std::string known;
  for (const TargetRow &row : targetRows) {
    if (name == row.name)
      return fromRow(row);
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  return Status(StatusCode::InvalidArgument,
                "unknown host target \"" + name.str() + "\"; expected one of " +
                    known);
}

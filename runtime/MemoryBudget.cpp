// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/MemoryBudget.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace qopt::runtime {

std::string spellBytes(size_t bytes) {
  struct Unit {
    double bytes;
    const char *name;
  };
  char text[40];
  for (const Unit &unit : {Unit{1e9, "GB"}, Unit{1e6, "MB"}, Unit{1e3, "kB"}})
    if (double(bytes) >= unit.bytes) {
      std::snprintf(text, sizeof text, "%.2f %s", double(bytes) / unit.bytes,
                    unit.name);
      return text;
    }
  return std::to_string(bytes) + " bytes";
}

Status checkBudget(const std::string &device, size_t free,
                   std::span<const MemoryPart> parts) {
  std::vector<MemoryPart> sorted(parts.begin(), parts.end());
  std::ranges::sort(sorted, [](const MemoryPart &a, const MemoryPart &b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.what < b.what;
  });
  size_t needed = 0;
  std::string list, remedies;
  for (const MemoryPart &part : sorted) {
    needed += part.bytes;
    if (part.bytes == 0)
      continue;
    list +=
        (list.empty() ? "" : ", ") + part.what + " " + spellBytes(part.bytes);
    if (!part.remedy.empty())
      remedies += (remedies.empty() ? "; use " : ", or ") + part.remedy;
  }
  if (needed <= free)
    return {};
  return Status(StatusCode::OutOfResources,
                device + " has " + spellBytes(free) + " free and " +
                    spellBytes(needed) + " are needed: " + list + remedies);
}

} // namespace qopt::runtime

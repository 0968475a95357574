// Input: a plan.json. One that is read is written again, and what was written
// is read as the same plan.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Require.h"
#include "lib/Driver/PrecisionPlan.h"

using namespace qopt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string text(reinterpret_cast<const char *>(data), size);
  auto plan = driver::parsePlan(text, "plan.json");
  if (!plan) {
    fuzz::requireMessage(plan.status());
    return 0;
  }
  std::string written = driver::toJson(*plan);
  auto again = driver::parsePlan(written, "plan.json");
  fuzz::require(again.ok(), "a plan that was written can be read");
  fuzz::require(driver::toJson(*again) == written,
                "a plan that was read is written as it was");
  return 0;
}

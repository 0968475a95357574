// Formats in a plan and formats in lib/Quant are the same thing twice; this is
// the bridge.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_PLAN_PLANFORMAT_H
#define QOPT_RUNTIME_PLAN_PLANFORMAT_H

#include "lib/Quant/Format.h"
#include "runtime/plan/Plan_generated.h"

#include <cstdint>
#include <memory>

namespace qopt::runtime {

/// For readers: `format` has passed the verifier.
quant::Format toFormat(const plan::Format &format);
/// For writers.
std::unique_ptr<plan::FormatT> fromFormat(const quant::Format &format);

/// Where the three arrays of canonical storage (lib/Quant/Storage.h) lie in one
/// constant: codes first, then scales, then zero points, each at a multiple of
/// 64 bytes.
struct CanonicalLayout {
  int64_t scales = 0;
  int64_t zeros = 0;
  int64_t bytes = 0;
};
CanonicalLayout canonicalLayout(const quant::Format &format, int64_t rows,
                                int64_t columns);

/// Bytes of one element.
int64_t bytesOf(plan::DType type);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_PLAN_PLANFORMAT_H

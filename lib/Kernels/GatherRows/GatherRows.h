// The family `gather_rows`: y[i, :] = table[ids[i], :]. Two operations are
// such: the embedding, whose table is a weight in canonical storage (f32, f16,
// bf16, or codes with scales, zero points and code books, lib/Quant/Storage.h)
// and whose ids are tokens, and the choice of the rows whose logits are asked,
// whose table is a tensor that the kernel before wrote.
//
// A code becomes (q − zero) · scale in f32, as dequantizeRows does, and is
// rounded once to the result's type. The row of an id outside the table is NaN:
// nothing is read out of bounds, and nobody takes it for a result.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_GATHERROWS_GATHERROWS_H
#define QOPT_LIB_KERNELS_GATHERROWS_GATHERROWS_H

#include "lib/Kernels/LaunchShape.h"
#include "lib/Kernels/StreamCost.h"
#include "lib/Quant/Format.h"

#include <string>

namespace qopt::kernels::gather_rows {

enum class Table : uint8_t {
  Weight, ///< nobody writes it
  Tensor, ///< of the kernel before; how many rows it has is an argument
};

struct Problem {
  Table table = Table::Weight;
  quant::Format format; ///< of the table; floating point for a tensor
  int64_t rows = 0;     ///< of a weight
  int64_t columns = 0;
  quant::ElementType output = quant::ElementType::F16; ///< f16, bf16 or f32
  bool operator==(const Problem &) const = default;
};

struct Schedule {
  int threads = 128;
  int width = 1; ///< elements that a thread makes: 1, 2, 4 or 8
  std::string_view why;

  /// Names every number, for the IR and for reports: visit(name, member).
  template <typename Self, typename Visit>
  static void visitFields(Self &self, Visit visit) {
    visit("threads", self.threads);
    visit("width", self.width);
  }
};

Status isValid(const Problem &problem);
Status isValid(const Problem &problem, const Schedule &schedule,
               const target::Target &target);

StatusOr<Schedule> chooseSchedule(const Problem &problem,
                                  const target::Target &target);

/// For as many rows as there are ids.
LaunchShape launchOf(const Problem &problem, const Schedule &schedule);

/// `embedding_<arch>_<format>_<out>_<rows>x<columns>` or
/// `select_rows_<arch>_<type>_<out>_<columns>`.
std::string symbolOf(const Problem &problem, const target::Target &target);

StreamCost costOf(const Problem &problem, const Schedule &schedule, int64_t ids,
                  const target::Target &target);

} // namespace qopt::kernels::gather_rows

#endif // QOPT_LIB_KERNELS_GATHERROWS_GATHERROWS_H

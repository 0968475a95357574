// What a family gives to qopt-kernel: from words to a problem and its schedule,
// the arguments of a launch in their order, and the generator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTKERNEL_FAMILY_H
#define QOPT_TOOLS_QOPTKERNEL_FAMILY_H

#include "lib/Target/Target.h"
#include "tools/qopt-kernel/Words.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

#include <array>
#include <functional>
#include <type_traits>
#include <utility>

namespace qopt::kernel_tool {

/// What a launch does with an argument.
enum class Use : uint8_t {
  Read,
  Write,
  Update,    ///< has a content before, part of which is replaced
  Workspace, ///< undefined before
  Counters,  ///< zero before, and again after
  Value,     ///< an i32 passed by value
};

/// An argument; what its name stands for is the family's business.
struct Argument {
  std::string name;
  Use use;
  std::string type; ///< f16, bf16, f32, int8, i32, i64, u32, u8
  std::vector<int64_t> shape;
  int64_t value = 0;
};

/// A kernel before it is built.
struct Description {
  std::string symbol;
  std::vector<Argument> arguments;
  std::array<int64_t, 3> grid = {1, 1, 1};
  int threads = 32;
  int64_t sharedBytes = 0;
  llvm::json::Object schedule; ///< as chosen: its words, and why
  llvm::json::Object sizes;    ///< what follows from it; in flight: of an SM
  llvm::json::Object layout;   ///< where operands have their elements
  llvm::json::Object cost;     ///< seconds, bytes, flops and terms
  std::function<StatusOr<mlir::gpu::GPUFuncOp>(mlir::gpu::GPUModuleOp)> build;
};

/// Asks for the words of its problem and its schedule, in this order, also
/// where they are wrong.
using Describe = StatusOr<Description>(Words &problem, Words &schedule,
                                       const target::Target &target);

struct Family {
  std::string_view name;
  Describe *describe;
};

Describe describeSkinnyLinear, describeSkinnyLinearAppend, describeGemm,
    describeGemmAppend, describeAttentionDecode, describeAttentionPrefill,
    describeNorm, describeQuantize, describeGatedActivation,
    describeRotaryTable, describeRotaryAppend, describeGatherRows,
    describeCheckIndices, describeArgmax, describeSampling;

/// Changes the numbers of a schedule that the words name; a list has as many.
template <typename Schedule>
void changeSchedule(Words &words, Schedule &schedule) {
  Schedule::visitFields(schedule, [&](llvm::StringRef name, auto &field) {
    using Field = std::remove_cvref_t<decltype(field)>;
    if constexpr (std::is_same_v<Field, bool>) {
      field = words.flag(name, field);
    } else if constexpr (std::is_integral_v<Field>) {
      int64_t number = words.number(name, field);
      if (!std::in_range<Field>(number))
        words.refuse(name, "is too large");
      field = Field(number);
    } else {
      std::vector<int64_t> numbers =
          words.numbers(name, {field.begin(), field.end()});
      field.assign(numbers.begin(), numbers.end());
    }
  });
}

/// What `choose` gives for a problem, with what the words change of it. Where
/// the problem is wrong, the schedule's words are asked for none the less.
template <typename Choose>
auto scheduleOf(const Words &problem, Words &words, Choose choose)
    -> decltype(choose()) {
  Status wrong = problem.finish();
  auto chosen = wrong.ok() ? choose() : decltype(choose())(wrong);
  if (!chosen.ok()) {
    std::remove_cvref_t<decltype(*chosen)> any;
    changeSchedule(words, any);
    return chosen;
  }
  changeSchedule(words, *chosen);
  if (Status unknown = words.finish(); !unknown.ok())
    return unknown;
  return chosen;
}

/// The name of an element type in a record.
std::string nameOf(quant::ElementType type);

/// What each code of a floating point type stands for; null: no number.
llvm::json::Array describeNumbers(quant::ElementType type);

/// The schedule's words and its reason.
template <typename Schedule>
llvm::json::Object describeSchedule(const Words &words,
                                    const Schedule &schedule) {
  llvm::json::Object object = words.values();
  object["why"] = std::string(schedule.why);
  return object;
}

/// Terms of a prediction with their reasons, whichever family's they are.
template <typename Cost>
llvm::json::Object describeCost(const Cost &cost, int64_t bytes, double flops) {
  llvm::json::Array terms;
  for (const auto &term : cost.terms)
    terms.push_back(llvm::json::Object{{"name", std::string(term.name)},
                                       {"seconds", term.seconds},
                                       {"why", term.why}});
  return llvm::json::Object{{"seconds", cost.seconds},
                            {"roof_part", cost.roofPart},
                            {"bytes", bytes},
                            {"flops", flops},
                            {"terms", std::move(terms)}};
}

} // namespace qopt::kernel_tool

#endif // QOPT_TOOLS_QOPTKERNEL_FAMILY_H

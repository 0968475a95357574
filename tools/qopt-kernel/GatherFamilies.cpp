// gather_rows and check_indices in words: what reads at indices, and what looks
// at the indices themselves.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/CheckIndices/CheckIndicesGenerator.h"
#include "lib/Kernels/GatherRows/GatherRowsGenerator.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include "tools/qopt-kernel/RowFamily.h"

#include <algorithm>

namespace qopt::kernel_tool {

using namespace kernels;

static std::string typeOfScales(quant::ScaleType type) {
  switch (type) {
  case quant::ScaleType::F16:
    return "f16";
  case quant::ScaleType::BF16:
    return "bf16";
  case quant::ScaleType::E8m0:
    return "e8m0";
  default:
    return "f32";
  }
}

/// Where canonical storage (lib/Quant/Storage.h) has its elements, and what
/// they stand for.
static llvm::json::Object describeStorage(const quant::Format &format,
                                          int64_t columns) {
  const quant::Element &element = quant::elementOf(format.element);
  bool fractions = format.zero == quant::ZeroType::Float;
  std::string scale = format.isFloat() ? "" : typeOfScales(format.scale);
  llvm::json::Object layout{
      {"element", std::string(element.name)},
      {"element_bits", int64_t(element.bits)},
      {"signed", element.isInteger() && format.isSymmetric()},
      {"groups", quant::groupsPerRow(format, columns)},
      {"group_columns", quant::groupColumns(format, columns)},
      {"one_scale", format.granularity == quant::Granularity::Tensor},
      {"scale_type", scale},
      {"zero_type", fractions ? scale : ""},
      {"zero_bits",
       format.isSymmetric() || fractions ? 0 : quant::zeroBits(format)}};
  if (element.bookSize)
    layout["book_numbers"] = element.bookSize;
  else if (element.encode && !element.isFloat)
    layout["numbers"] = describeNumbers(format.element);
  if (format.hasTwoLevels()) {
    layout["scale_type"] = format.hasScaleFields() ? "f16" : "f32";
    layout["scale_code_bits"] = quant::scaleCodeBits(format);
    layout["scale_codes"] = !format.hasScaleFields()         ? "fp8_e4m3"
                            : quant::hasSignedScales(format) ? "signed"
                                                             : "unsigned";
    layout["scale_units"] = quant::unitsPerRow(format, columns);
    layout["groups_of_unit"] = std::min(quant::groupsPerScaleUnit(format),
                                        quant::groupsPerRow(format, columns));
  }
  return layout;
}

static std::vector<Argument> argumentsOf(const gather_rows::Problem &problem,
                                         int64_t ids) {
  const quant::Format &format = problem.format;
  int64_t rows = problem.rows, columns = problem.columns;
  std::vector<Argument> list{
      {"ids", Use::Read, "i32", {ids}},
      {"table", Use::Read, "u8", {quant::codeBytes(format, rows, columns)}}};
  if (int64_t bytes = quant::scaleBytes(format, rows, columns))
    list.push_back({"scales", Use::Read, "u8", {bytes}});
  if (int64_t bytes = quant::zeroBytes(format, rows, columns))
    list.push_back({"zeros", Use::Read, "u8", {bytes}});
  list.push_back(
      {"result", Use::Write, nameOf(problem.output), {ids, columns}});
  if (problem.table == gather_rows::Table::Tensor)
    list.push_back({"rows", Use::Value, "i32", {}, rows});
  return list;
}

StatusOr<Description> describeGatherRows(Words &words, Words &scheduleWords,
                                         const target::Target &target) {
  using namespace gather_rows;
  int64_t ids = words.count("ids", 16);
  Problem problem;
  problem.rows = words.count("rows", 32000);
  problem.columns = words.count("columns", 4096);
  problem.table = words.choice<Table>("table", {"weight", "tensor"});
  problem.format = words.format("format", "f16");
  problem.output = words.element("output", "f16");
  auto description =
      describeRows(problem, ids, words, scheduleWords, target,
                   [&](const Schedule &) { return argumentsOf(problem, ids); });
  if (description.ok())
    description->layout = describeStorage(problem.format, problem.columns);
  return description;
}

StatusOr<Description> describeCheckIndices(Words &words, Words &scheduleWords,
                                           const target::Target &target) {
  using namespace check_indices;
  int64_t count = words.count("count", 1000);
  int64_t limit = words.count("limit", 32000);
  if (words.number("outside", 1) > count)
    words.refuse("outside",
                 "so many of the indices lie outside, which are less");
  Problem problem;
  problem.integer = words.choice<Integer>("integer", {"i32", "i64"});
  problem.interval =
      words.choice<Interval>("interval", {"from_zero", "from_either_end"});
  problem.limits = int(words.count("limits", 1));
  auto argumentsOf = [&](const Schedule &) {
    bool isLong = problem.integer == Integer::Long;
    std::vector<Argument> list{
        {"indices", Use::Read, isLong ? "i64" : "i32", {count}},
        {"report", Use::Write, "u8", {16}},
        {"count", Use::Value, "i32", {}, count}};
    for (int i = 0; i < problem.limits; ++i)
      list.push_back(
          {"limit" + std::to_string(i), Use::Value, "i32", {}, limit + i});
    return list;
  };
  auto description =
      describeRows(problem, count, words, scheduleWords, target, argumentsOf);
  if (description.ok())
    description->grid = {1, 1, 1}; // all indices are one row
  return description;
}

} // namespace qopt::kernel_tool

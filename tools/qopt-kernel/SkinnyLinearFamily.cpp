// skinny_linear in words, and its packed layout as tables: where each element
// of a unit lies is found by packing units that differ in one bit, so that a
// reader of the record packs as lib/Kernels does. With int8=1 the activations
// are codes, with a scale a token.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGenerator.h"
#include "lib/Quant/Element.h"
#include "tools/qopt-kernel/Family.h"

#include "llvm/ADT/bit.h"

#include <algorithm>
#include <optional>

namespace qopt::kernel_tool {

using namespace kernels::skinny_linear;

namespace {
/// Canonical storage of one strip and unit, and how it is packed.
struct Unit {
  Segment segment;
  std::vector<uint8_t> codes, scales, zeros;

  explicit Unit(const quant::Format &format) : segment{stripRows, format} {
    codes.resize(quant::codeBytes(format, stripRows, unitColumns));
    scales.resize(quant::scaleBytes(format, stripRows, unitColumns));
    zeros.resize(quant::zeroBytes(format, stripRows, unitColumns));
  }
  std::vector<uint8_t> pack() const {
    std::vector<uint8_t> packed(packedBytes(segment, unitColumns, false));
    packSegment(segment, unitColumns, false,
                {codes.data(), scales.data(), zeros.data()}, packed.data());
    return packed;
  }
};
} // namespace

/// The lowest bit in which the arrays differ.
static std::optional<int64_t> differingBit(const std::vector<uint8_t> &a,
                                           const std::vector<uint8_t> &b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i])
      return int64_t(i) * 8 + llvm::countr_zero(uint8_t(a[i] ^ b[i]));
  return std::nullopt;
}

/// Bit offsets of the elements of a unit, [row][column].
static llvm::json::Array codePlaces(const Unit &empty) {
  int64_t bits = quant::elementOf(empty.segment.weight.element).bits;
  int64_t rowBytes = quant::bytesPerRow(empty.segment.weight, unitColumns);
  std::vector<uint8_t> before = empty.pack();
  llvm::json::Array places;
  for (int64_t row = 0; row < stripRows; ++row)
    for (int64_t column = 0; column < unitColumns; ++column) {
      Unit unit = empty;
      int64_t bit = column * bits;
      unit.codes[row * rowBytes + bit / 8] ^= uint8_t(1u << bit % 8);
      places.push_back(differingBit(before, unit.pack()).value_or(-1));
    }
  return places;
}

/// Byte offsets of the values of a plane, [row][group]; behind the units where
/// they belong to rows.
static llvm::json::Array planePlaces(const Unit &empty,
                                     std::vector<uint8_t> Unit::*array,
                                     int64_t valueBytes) {
  std::vector<uint8_t> before = empty.pack();
  llvm::json::Array places;
  for (size_t at = 0; at < (empty.*array).size(); at += size_t(valueBytes)) {
    Unit unit = empty;
    // The highest byte: 1 is a small number in every type of scale.
    (unit.*array)[at + size_t(valueBytes) - 1] ^= 1;
    std::optional<int64_t> bit = differingBit(before, unit.pack());
    places.push_back(bit ? *bit / 8 - (valueBytes - 1) : -1);
  }
  return places;
}

llvm::json::Object describeWeights(const Problem &problem,
                                   int64_t scaleOffset) {
  const quant::Format &format = problem.segments.front().weight;
  Unit empty(format);
  int64_t bits = quant::elementOf(format.element).bits;
  bool centred =
      quant::elementOf(format.element).isInteger() && format.isSymmetric();
  llvm::json::Object layout{
      {"strip_rows", stripRows},
      {"unit_columns", unitColumns},
      {"unit_bytes", unitBytes(format)},
      {"element_bits", bits},
      {"code_offset", centred ? int64_t(1) << (bits - 1) : 0},
      {"code_places", codePlaces(empty)},
      {"group_columns",
       format.isFloat() ? 0 : quant::groupColumns(format, problem.columns)},
      {"row_scales_at", hasRowScales(format) ? scaleOffset : -1}};
  if (!format.isFloat() && !hasRowScales(format))
    layout["scale_places"] =
        planePlaces(empty, &Unit::scales, quant::bytesPerScale(format));
  return layout;
}

static std::vector<Argument> argumentsOf(const Problem &problem,
                                         const Plan &plan, int64_t tokens) {
  int64_t columns = problem.outputColumns();
  std::string activation = nameOf(problem.activation);
  std::vector<Argument> list{
      {"x", Use::Read, activation, {tokens, problem.columns}},
      {"weights", Use::Read, "u8", {packedBytes(problem)}},
      {"y", Use::Write, nameOf(problem.output), {tokens, columns}},
      {"workspace",
       Use::Workspace,
       "f32",
       {std::max<int64_t>(plan.workspaceBytes / 4, 1)}},
      {"counters",
       Use::Counters,
       "u32",
       {std::max<int64_t>(plan.counters, 1)}}};
  if (problem.readsCodes())
    list.push_back({"token_scales", Use::Read, "f32", {tokens}});
  if (!problem.norm.empty())
    list.push_back({"norm_scale", Use::Read, activation, {problem.columns}});
  list.push_back({"tokens", Use::Value, "i32", {}, tokens});
  return list;
}

static llvm::json::Object describe(const Words &words, const Plan &plan,
                                   const Schedule &schedule) {
  llvm::json::Object object = words.values();
  object["why"] = std::string(schedule.why);
  object["token_tiles"] = plan.tokenTiles;
  object["stage_bytes"] = plan.stageBytes;
  object["bytes_in_flight"] = plan.stageBytes * schedule.stages;
  return object;
}

StatusOr<Description> describeSkinnyLinear(Words &words, Words &scheduleWords,
                                           const target::Target &target) {
  int64_t tokens = std::max<int64_t>(words.number("tokens", 1), 1);
  Problem problem;
  problem.tokens = bucketOf(tokens);
  int64_t rows = words.number("rows", 4096);
  problem.columns = words.number("columns", 4096);
  problem.segments = {{rows, words.format("weights", "int4_g128")}};
  problem.activation = words.element("activation", "f16");
  problem.output = words.element("output", "f16");
  if (words.flag("int8", false))
    problem.activation = quant::ElementType::Int8;
  if (words.flag("norm", false))
    problem.norm = {{1e-5f, problem.activation}};
  Status wrong = words.finish();
  if (wrong.ok() && tokens > largestBucket)
    wrong =
        Status(StatusCode::InvalidArgument, "tokens: expected 1 to 64, got \"" +
                                                std::to_string(tokens) + "\"");
  auto chosen =
      wrong.ok() ? chooseSchedule(problem, target) : StatusOr<Schedule>(wrong);
  Schedule schedule = chosen.ok() ? *chosen : Schedule();
  changeSchedule(scheduleWords, schedule);
  if (!chosen.ok())
    return chosen.status();
  QOPT_RETURN_IF_ERROR(scheduleWords.finish());
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  Plan plan = planOf(problem, schedule);
  Description result;
  result.symbol = symbolOf(problem, target);
  result.arguments = argumentsOf(problem, plan, tokens);
  result.grid = {schedule.grid, 1, 1};
  result.threads = schedule.threads();
  result.sharedBytes = plan.sharedBytes;
  result.schedule = describe(scheduleWords, plan, schedule);
  result.layout =
      describeWeights(problem, segmentPlanOf(problem, schedule, 0).scaleOffset);
  Cost cost = costOf(problem, schedule, target);
  result.cost = describeCost(
      cost, cost.weightBytes + cost.activationBytes + cost.outputBytes,
      2.0 * double(rows) * double(problem.columns) * double(tokens));
  result.build = [=, &target](mlir::gpu::GPUModuleOp module) {
    return buildKernel(module, problem, schedule, target, nullptr);
  };
  return result;
}

} // namespace qopt::kernel_tool

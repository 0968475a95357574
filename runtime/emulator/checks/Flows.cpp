// How undefined bits go through each instruction: the table behind flowOf.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Program.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace qopt::emulator {
namespace {

/// The modifiers that are types.
std::vector<ptx::Type> typesOf(const ptx::Instruction &instruction) {
  std::vector<ptx::Type> types;
  for (const std::string &modifier : instruction.modifiers)
    if (ptx::Type type = ptx::typeNamed(modifier); type != ptx::Type::None)
      types.push_back(type);
  return types;
}

bool isInteger(ptx::Type type) {
  return !isFloat(type) && type != ptx::Type::Pred && sizeOf(type) != 0 &&
         type < ptx::Type::U16x2;
}

bool isPairOfHalves(ptx::Type type) {
  return type == ptx::Type::F16x2 || type == ptx::Type::BF16x2 ||
         type == ptx::Type::U16x2 || type == ptx::Type::S16x2;
}

bool has(const ptx::Instruction &instruction, std::string_view name) {
  return std::find(instruction.modifiers.begin(), instruction.modifiers.end(),
                   name) != instruction.modifiers.end();
}

FlowRule arithmetic(const ptx::Instruction &instruction,
                    const std::vector<ptx::Type> &types) {
  if (types.empty())
    return {};
  if (isPairOfHalves(types.back()))
    return {Flow::Halves};
  bool wraps = isInteger(types.back()) && !has(instruction, "sat") &&
               !has(instruction, "hi");
  bool named = instruction.opcode == "add" || instruction.opcode == "sub" ||
               instruction.opcode == "mul" || instruction.opcode == "mad" ||
               instruction.opcode == "neg";
  return {wraps && named && !has(instruction, "cc") ? Flow::Carries
                                                    : Flow::Any};
}

FlowRule conversion(const ptx::Instruction &instruction,
                    const std::vector<ptx::Type> &types) {
  if (types.size() != 2)
    return {};
  if (isInteger(types[0]) && isInteger(types[1]) &&
      instruction.modifiers.size() == 2)
    return {Flow::Moves};
  bool pair = isPairOfHalves(types[0]) || types[0] == ptx::Type::E4M3x2 ||
              types[0] == ptx::Type::E5M2x2;
  return {pair ? Flow::Pair : Flow::Any};
}

} // namespace

FlowRule flowOf(const ptx::Instruction &instruction) {
  static const std::unordered_map<std::string_view, FlowRule> named = {
      {"mov", {Flow::Moves}},       {"cvta", {Flow::Moves}},
      {"brev", {Flow::Moves}},      {"shl", {Flow::Moves, 1}},
      {"shr", {Flow::Moves, 1}},    {"bfe", {Flow::Moves, 1}},
      {"shfl", {Flow::Moves, 1}},   {"selp", {Flow::Moves, 2}},
      {"prmt", {Flow::Moves, 2}},   {"bfi", {Flow::Moves, 2}},
      {"shf", {Flow::Moves, 2}},    {"movmatrix", {Flow::Moves}},
      {"and", {Flow::Logic}},       {"or", {Flow::Logic}},
      {"xor", {Flow::Logic}},       {"not", {Flow::Logic}},
      {"lop3", {Flow::Logic}},      {"setp", {Flow::Compare}},
      {"vote", {Flow::Vote}},       {"match", {Flow::WholeWarp}},
      {"redux", {Flow::WholeWarp}}, {"mma", {Flow::Product}},
      {"wmma", {Flow::Fragments}}};
  if (auto found = named.find(instruction.opcode); found != named.end())
    return found->second;
  std::vector<ptx::Type> types = typesOf(instruction);
  if (instruction.opcode == "cvt")
    return conversion(instruction, types);
  return instruction.opcode == "set" ? FlowRule()
                                     : arithmetic(instruction, types);
}

} // namespace qopt::emulator

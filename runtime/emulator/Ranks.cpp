// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Ranks.h"

#include <algorithm>

namespace qopt::emulator {
namespace {

struct BasicBlock {
  uint32_t first = 0, end = 0; ///< instructions, within the function
  std::vector<uint32_t> successors;
  std::vector<uint32_t> predecessors;
  uint32_t depth = 0; ///< loops around it
};

class ControlFlow {
public:
  ControlFlow(const ptx::Function &function, uint32_t size)
      : function(function), size(size) {
    findBlocks();
    order = postOrder();
    findDominators();
    findLoops();
    order = postOrder(); // now with the loops known
  }

  /// Blocks in the order of their ranks.
  const std::vector<uint32_t> &blockOrder() const { return order; }
  const BasicBlock &block(uint32_t index) const { return blocks[index]; }
  uint32_t count() const { return uint32_t(blocks.size()); }

private:
  /// The last instruction, at size − 1, is the decoder's own ret.
  const ptx::Instruction *at(uint32_t position) const {
    return position < function.body.size() ? &function.body[position] : nullptr;
  }

  std::vector<uint32_t> targets(uint32_t position) const {
    const ptx::Instruction *instruction = at(position);
    if (!instruction)
      return {};
    if (instruction->opcode == "bra")
      return {instruction->operands[0].index};
    if (instruction->opcode == "brx" && instruction->operands.size() > 1)
      return function.tables[instruction->operands[1].index];
    return {};
  }

  bool fallsThrough(uint32_t position) const {
    const ptx::Instruction *instruction = at(position);
    if (!instruction)
      return false;
    const std::string &opcode = instruction->opcode;
    bool ends = opcode == "bra" || opcode == "brx" || opcode == "ret" ||
                opcode == "exit" || opcode == "trap";
    return !ends || instruction->guard >= 0;
  }

  void findBlocks() {
    std::vector<bool> leads(size + 1);
    leads[0] = true;
    for (uint32_t i = 0; i < size; ++i) {
      std::vector<uint32_t> to = targets(i);
      for (uint32_t target : to)
        leads[target] = true;
      if (!to.empty() || !fallsThrough(i))
        leads[i + 1] = true;
    }
    std::vector<uint32_t> blockOf(size);
    for (uint32_t i = 0; i < size; ++i) {
      if (leads[i])
        blocks.push_back(
            {.first = i, .end = i, .successors = {}, .predecessors = {}});
      blocks.back().end = i + 1;
      blockOf[i] = uint32_t(blocks.size() - 1);
    }
    for (uint32_t i = 0; i < blocks.size(); ++i) {
      uint32_t last = blocks[i].end - 1;
      for (uint32_t target : targets(last))
        blocks[i].successors.push_back(blockOf[target]);
      if (fallsThrough(last))
        blocks[i].successors.push_back(i + 1);
      for (uint32_t successor : blocks[i].successors)
        blocks[successor].predecessors.push_back(i);
    }
  }

  /// Depth first without recursion; the ways out of a loop are gone first, so
  /// that in the reversed order they come behind the loop's other blocks.
  std::vector<uint32_t> postOrder() {
    std::vector<uint32_t> finished;
    std::vector<uint8_t> seen(blocks.size());
    std::vector<std::pair<uint32_t, size_t>> open{{0, 0}};
    std::vector<std::vector<uint32_t>> ordered(blocks.size());
    auto enter = [&](uint32_t index) {
      seen[index] = 1;
      ordered[index] = blocks[index].successors;
      std::sort(ordered[index].begin(), ordered[index].end(),
                [&](uint32_t a, uint32_t b) {
                  return std::pair(blocks[a].depth, a) <
                         std::pair(blocks[b].depth, b);
                });
    };
    enter(0);
    while (!open.empty()) {
      auto &[index, next] = open.back();
      if (next == ordered[index].size()) {
        finished.push_back(index);
        open.pop_back();
        continue;
      }
      uint32_t successor = ordered[index][next++];
      if (seen[successor])
        continue;
      enter(successor);
      open.push_back({successor, 0});
    }
    std::reverse(finished.begin(), finished.end());
    for (uint32_t i = 0; i < blocks.size(); ++i)
      if (!seen[i])
        finished.push_back(i); // never reached
    return finished;
  }

  /// Immediate dominators by iteration (Cooper, Harvey and Kennedy).
  void findDominators() {
    std::vector<uint32_t> number(blocks.size());
    for (uint32_t i = 0; i < order.size(); ++i)
      number[order[i]] = i;
    constexpr uint32_t none = ~0u;
    dominator.assign(blocks.size(), none);
    dominator[0] = 0;
    for (bool changed = true; changed;) {
      changed = false;
      for (uint32_t index : order) {
        uint32_t meet = index == 0 ? 0 : none;
        for (uint32_t from : blocks[index].predecessors) {
          if (index == 0 || dominator[from] == none)
            continue;
          if (meet == none) {
            meet = from;
            continue;
          }
          uint32_t other = from;
          while (meet != other)
            (number[meet] > number[other] ? meet : other) =
                dominator[number[meet] > number[other] ? meet : other];
        }
        changed |= meet != none && dominator[index] != meet;
        if (meet != none)
          dominator[index] = meet;
      }
    }
  }

  bool dominates(uint32_t a, uint32_t b) const {
    while (b != a && b != 0 && dominator[b] != ~0u)
      b = dominator[b];
    return a == b;
  }

  /// Natural loops: of every back edge, what reaches it without its header.
  void findLoops() {
    for (uint32_t header = 0; header < blocks.size(); ++header) {
      std::vector<uint32_t> open;
      std::vector<bool> inside(blocks.size());
      inside[header] = true;
      for (uint32_t from : blocks[header].predecessors)
        if (dominates(header, from))
          open.push_back(from);
      if (open.empty())
        continue;
      while (!open.empty()) {
        uint32_t index = open.back();
        open.pop_back();
        if (inside[index])
          continue;
        inside[index] = true;
        open.insert(open.end(), blocks[index].predecessors.begin(),
                    blocks[index].predecessors.end());
      }
      for (uint32_t i = 0; i < blocks.size(); ++i)
        blocks[i].depth += inside[i];
    }
  }

  const ptx::Function &function;
  uint32_t size;
  std::vector<BasicBlock> blocks;
  std::vector<uint32_t> order;
  std::vector<uint32_t> dominator;
};

} // namespace

void rankInstructions(Program &program, const ptx::Function &function,
                      uint32_t first) {
  uint32_t size = uint32_t(program.code.size()) - first;
  ControlFlow flow(function, size);
  uint32_t rank = 0;
  for (uint32_t index : flow.blockOrder())
    for (uint32_t i = flow.block(index).first; i < flow.block(index).end; ++i)
      program.code[first + i].rank = rank++;
}

} // namespace qopt::emulator

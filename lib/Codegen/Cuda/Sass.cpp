// The reader of nvdisasm's text: labels, instructions, backward branches.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/Sass.h"

#include "lib/Codegen/Cuda/CudaTool.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::codegen;

namespace {
/// Reads line by line; labels are known by the address behind them.
class SassReader {
public:
  void read(llvm::StringRef line);
  std::vector<SassKernel> finish();

private:
  void finishKernel();
  void addLoops(SassKernel &kernel);

  std::vector<SassKernel> kernels;
  std::map<std::string, uint64_t> labels;
  std::vector<std::string> pendingLabels;
};
} // namespace

/// "        /*0100*/   @P0 BRA `(.L_x_1) ;" without what is around.
static bool parseInstruction(llvm::StringRef line,
                             SassInstruction &instruction) {
  line = line.trim();
  if (!line.consume_front("/*"))
    return false;
  auto [address, rest] = line.split("*/");
  if (address.getAsInteger(16, instruction.address))
    return false;
  rest = rest.split(';').first.trim();
  if (rest.empty())
    return false;
  if (rest.starts_with("@")) {
    auto [predicate, behind] = rest.split(' ');
    instruction.predicate = predicate.str();
    rest = behind.trim();
  }
  auto [opcode, operands] = rest.split(' ');
  instruction.opcode = opcode.str();
  instruction.operands = operands.trim().str();
  return true;
}

void SassReader::read(llvm::StringRef line) {
  llvm::StringRef trimmed = line.trim();
  if (trimmed.starts_with(".text.") && trimmed.ends_with(":")) {
    finishKernel();
    kernels.emplace_back().symbol = trimmed.drop_front(6).drop_back().str();
    return;
  }
  if (kernels.empty())
    return;
  if (trimmed.starts_with(".L") && trimmed.ends_with(":")) {
    pendingLabels.push_back(trimmed.drop_back().str());
    return;
  }
  SassInstruction instruction;
  if (!parseInstruction(line, instruction))
    return;
  for (const std::string &label : pendingLabels)
    labels[label] = instruction.address;
  pendingLabels.clear();
  kernels.back().instructions.push_back(std::move(instruction));
}

/// The label in "`(.L_x_1)", also behind a predicate or a register.
static std::string labelOf(llvm::StringRef operands) {
  size_t at = operands.find("`(");
  if (at == llvm::StringRef::npos)
    return "";
  return operands.substr(at + 2)
      .take_until([](char c) { return c == ')'; })
      .str();
}

void SassReader::addLoops(SassKernel &kernel) {
  std::map<uint64_t, uint64_t> ends; // a loop with two back edges is one
  for (const SassInstruction &instruction : kernel.instructions) {
    if (!llvm::StringRef(instruction.opcode).starts_with("BRA"))
      continue;
    auto label = labels.find(labelOf(instruction.operands));
    if (label == labels.end() || label->second > instruction.address)
      continue;
    uint64_t &end = ends[label->second];
    end = std::max(end, instruction.address);
  }
  for (auto [begin, end] : ends)
    kernel.loops.push_back({begin, end, 1, true});
  for (SassLoop &loop : kernel.loops)
    for (SassLoop &other : kernel.loops)
      if (&loop != &other && other.begin <= loop.begin &&
          other.end >= loop.end) {
        ++loop.depth;
        other.innermost = false;
      }
}

void SassReader::finishKernel() {
  if (kernels.empty())
    return;
  SassKernel &kernel = kernels.back();
  // Behind the last instruction: a branch to itself, then NOPs.
  auto &instructions = kernel.instructions;
  while (!instructions.empty() && instructions.back().opcode == "NOP")
    instructions.pop_back();
  if (!instructions.empty() && instructions.back().opcode == "BRA" &&
      instructions.back().predicate.empty()) {
    auto label = labels.find(labelOf(instructions.back().operands));
    if (label != labels.end() && label->second == instructions.back().address)
      instructions.pop_back();
  }
  addLoops(kernel);
  labels.clear();
  pendingLabels.clear();
}

std::vector<SassKernel> SassReader::finish() {
  finishKernel();
  return std::move(kernels);
}

std::vector<SassKernel> codegen::parseSass(llvm::StringRef text) {
  SassReader reader;
  while (!text.empty()) {
    auto [line, rest] = text.split('\n');
    reader.read(line);
    text = rest;
  }
  return reader.finish();
}

std::map<std::string, int> SassKernel::count(uint64_t begin,
                                             uint64_t end) const {
  std::map<std::string, int> counts;
  for (const SassInstruction &instruction : instructions)
    if (instruction.address >= begin && instruction.address <= end)
      ++counts[llvm::StringRef(instruction.opcode).split('.').first.str()];
  return counts;
}

std::map<std::string, int> SassKernel::count() const {
  return count(0, UINT64_MAX);
}

std::map<std::string, int> SassKernel::count(const SassLoop &loop) const {
  return count(loop.begin, loop.end);
}

int SassKernel::halfProducts(const SassLoop &loop) const {
  return int(llvm::count_if(instructions, [&](const SassInstruction &each) {
    return each.address >= loop.begin && each.address <= loop.end &&
           llvm::StringRef(each.opcode).starts_with("HMMA.16816");
  }));
}

const SassLoop *SassKernel::mainLoop(llvm::StringRef opcode) const {
  const SassLoop *best = nullptr;
  int most = -1;
  for (const SassLoop &loop : loops) {
    if (!loop.innermost)
      continue;
    int number = 0;
    for (const auto &[name, times] : count(loop))
      if (opcode.empty() || opcode == name)
        number += times;
    if (number > most) {
      best = &loop;
      most = number;
    }
  }
  return best;
}

StatusOr<std::string> codegen::disassemble(llvm::StringRef cubin) {
  StatusOr<std::string> program = findCudaTool("nvdisasm", "QOPT_NVDISASM");
  if (!program)
    return program.status();
  TemporaryFolder folder("qopt-sass");
  QOPT_RETURN_IF_ERROR(folder.made());
  std::string path = folder.file("kernels.cubin");
  QOPT_RETURN_IF_ERROR(writeFile(path, cubin));
  StatusOr<ToolOutput> output = runCudaTool(*program, {"-c", path});
  if (!output)
    return output.status();
  if (output->status != 0)
    return Status(StatusCode::Internal,
                  "nvdisasm cannot read the assembled code: " +
                      llvm::StringRef(output->text).trim().str());
  return output->text;
}

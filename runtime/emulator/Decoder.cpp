// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Decoder.h"

#include "runtime/emulator/Ranks.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace qopt::emulator {
namespace {

/// Marks a register's offset until the constants before it are counted.
constexpr uint32_t registerTag = 0x80000000u;

uint32_t align(uint64_t value, uint64_t alignment) {
  return uint32_t((value + alignment - 1) / alignment * alignment);
}

struct SpecialName {
  std::string_view name;
  SpecialSlot slot;
};

/// With all modifiers: "ld.global.v4.u32".
std::string fullName(const ptx::Instruction &instruction) {
  std::string name = instruction.opcode;
  for (const std::string &modifier : instruction.modifiers)
    (name += '.') += modifier;
  return name;
}

/// The space of a memory instruction's bytes.
const char *spaceOf(const ptx::Instruction &instruction) {
  for (const std::string &modifier : instruction.modifiers)
    for (std::string_view space :
         {"global", "shared", "local", "const", "param"})
      if (modifier.starts_with(space) &&
          (modifier.size() == space.size() ||
           modifier.compare(space.size(), 2, "::") == 0))
        return space.data();
  return "generic";
}

constexpr SpecialName specialNames[] = {
    {"%tid.x", SpecialSlot::TidX},
    {"%tid.y", SpecialSlot::TidY},
    {"%tid.z", SpecialSlot::TidZ},
    {"%ntid.x", SpecialSlot::NtidX},
    {"%ntid.y", SpecialSlot::NtidY},
    {"%ntid.z", SpecialSlot::NtidZ},
    {"%ctaid.x", SpecialSlot::CtaidX},
    {"%ctaid.y", SpecialSlot::CtaidY},
    {"%ctaid.z", SpecialSlot::CtaidZ},
    {"%nctaid.x", SpecialSlot::NctaidX},
    {"%nctaid.y", SpecialSlot::NctaidY},
    {"%nctaid.z", SpecialSlot::NctaidZ},
    {"%laneid", SpecialSlot::LaneId},
    {"%warpid", SpecialSlot::WarpId},
    {"%nwarpid", SpecialSlot::NWarpId},
    {"%smid", SpecialSlot::SmId},
    {"%nsmid", SpecialSlot::NSmId},
    {"%gridid", SpecialSlot::GridId},
    {"%lanemask_eq", SpecialSlot::LaneMaskEq},
    {"%lanemask_le", SpecialSlot::LaneMaskLe},
    {"%lanemask_lt", SpecialSlot::LaneMaskLt},
    {"%lanemask_ge", SpecialSlot::LaneMaskGe},
    {"%lanemask_gt", SpecialSlot::LaneMaskGt},
    {"%dynamic_smem_size", SpecialSlot::DynamicShared},
    {"%total_smem_size", SpecialSlot::TotalShared},
    {"%aggr_smem_size", SpecialSlot::TotalShared},
    {"WARP_SZ", SpecialSlot::WarpSize},
    {"%clusterid.x", SpecialSlot::ClusteridX},
    {"%clusterid.y", SpecialSlot::ClusteridY},
    {"%clusterid.z", SpecialSlot::ClusteridZ},
    {"%nclusterid.x", SpecialSlot::NclusteridX},
    {"%nclusterid.y", SpecialSlot::NclusteridY},
    {"%nclusterid.z", SpecialSlot::NclusteridZ},
    {"%cluster_ctaid.x", SpecialSlot::ClusterCtaidX},
    {"%cluster_ctaid.y", SpecialSlot::ClusterCtaidY},
    {"%cluster_ctaid.z", SpecialSlot::ClusterCtaidZ},
    {"%cluster_nctaid.x", SpecialSlot::ClusterNctaidX},
    {"%cluster_nctaid.y", SpecialSlot::ClusterNctaidY},
    {"%cluster_nctaid.z", SpecialSlot::ClusterNctaidZ},
    {"%cluster_ctarank", SpecialSlot::ClusterCtarank},
    {"%cluster_nctarank", SpecialSlot::ClusterNctarank},
    {"%is_explicit_cluster", SpecialSlot::IsExplicitCluster},
};

} // namespace

Decoder::Decoder(const ptx::Module &module, uint32_t kernel,
                 const std::vector<uint64_t> &addresses, Program &program)
    : module(module), program(program), kernel(kernel), addresses(addresses) {
  addLogic3(families);
  addControl(families);
  addCalls(families);
  addMemory(families);
  addAtomics(families);
  addAsync(families);
  addMbarriers(families);
  addBarriers(families);
  addClusters(families);
  addWarpOps(families);
  addMatrix(families);
  addMma(families);
  addStack(families);
  addVideo(families);
  addScalarVideo(families);
  addWmma(families);
  addPacking(families);
  addSetp(families);
}

Status Decoder::run() {
  program.name = module.functions[kernel].name;
  program.module = &module;
  program.kernel = &module.functions[kernel];
  program.constants.assign(firstConstantSlot, 0);
  findAddressed();
  bool good = collectFunctions(kernel);
  if (good) {
    markRecursion();
    good = placeShared() && placeFrames();
    placeParameters();
    for (uint32_t i = 0; i < reachable.size() && good; ++i)
      good = decodeFunction(i);
  }
  if (!good)
    return Status(unsupported ? StatusCode::Unsupported
                              : StatusCode::InvalidArgument,
                  error);
  finishSlots();
  return Status();
}

bool Decoder::fail(const std::string &message) {
  if (error.empty()) {
    error = "kernel '" + program.name + "'";
    if (current)
      error += ", ptx line " + std::to_string(current->line) + " (" +
               module.lineText(current->line) + ")";
    error += ": " + message;
  }
  return false;
}

bool Decoder::unknown() {
  unsupported = true;
  return fail("the emulator has no instruction '" + fullName(*current) + "'");
}

/// The kernel and what it calls, directly or not.
bool Decoder::collectFunctions(uint32_t moduleFunction) {
  for (uint32_t known : reachable)
    if (known == moduleFunction)
      return true;
  size_t index = reachable.size();
  reachable.push_back(moduleFunction);
  callees.emplace_back();
  const ptx::Function &function = module.functions[moduleFunction];
  auto collect = [&](uint32_t callee) {
    const ptx::Function &called = module.functions[callee];
    if (!called.defined && systemCall(called.name))
      return true;
    callees[index].push_back(callee);
    return collectFunctions(callee);
  };
  for (const ptx::Instruction &instruction : function.body) {
    if (instruction.opcode != "call")
      continue;
    bool named = false;
    for (const ptx::Operand &operand : instruction.operands)
      if (operand.kind == ptx::Operand::Function) {
        named = true;
        if (!collect(operand.index))
          return false;
      }
    if (!named)
      for (uint32_t callee : addressedFunctions)
        if (!collect(callee))
          return false;
  }
  return true;
}

/// The functions that a call through an address may reach.
void Decoder::findAddressed() {
  // Mostly the module has nothing but kernels.
  if (std::none_of(module.functions.begin(), module.functions.end(),
                   [](const ptx::Function &function) {
                     return function.defined && !function.entry;
                   }))
    return;
  std::vector<bool> taken(module.functions.size());
  for (const ptx::Variable &variable : module.variables)
    for (const ptx::Relocation &relocation : variable.relocations)
      if (relocation.function >= 0)
        taken[size_t(relocation.function)] = true;
  for (const ptx::Function &function : module.functions)
    for (const ptx::Instruction &instruction : function.body)
      for (const ptx::Operand &operand : instruction.operands)
        if (instruction.opcode != "call" &&
            operand.kind == ptx::Operand::Function)
          taken[operand.index] = true;
  for (uint32_t i = 0; i < taken.size(); ++i)
    if (taken[i] && module.functions[i].defined && !module.functions[i].entry)
      addressedFunctions.push_back(i);
}

uint32_t Decoder::functionIndex(uint32_t moduleFunction) {
  for (uint32_t i = 0; i < reachable.size(); ++i)
    if (reachable[i] == moduleFunction)
      return i;
  return 0;
}

const FunctionLayout &Decoder::layoutOf(uint32_t moduleFunction) {
  return program.functions[functionIndex(moduleFunction)];
}

/// A function that can reach itself is recursive.
void Decoder::markRecursion() {
  program.functions.resize(reachable.size());
  for (uint32_t start = 0; start < reachable.size(); ++start) {
    std::vector<uint32_t> open = callees[start];
    std::vector<bool> seen(reachable.size());
    while (!open.empty()) {
      uint32_t next = functionIndex(open.back());
      open.pop_back();
      if (seen[next])
        continue;
      seen[next] = true;
      open.insert(open.end(), callees[next].begin(), callees[next].end());
    }
    program.functions[start].recursive = seen[start];
  }
}

/// Shared variables in order of their declaration, as ptxas counts them: those
/// that the reachable functions declare, and those of the module that they use.
/// Arrays of open size start behind all others.
bool Decoder::placeShared() {
  std::vector<bool> used(module.variables.size());
  auto visit = [&](auto &&self, const ptx::Operand &operand) -> void {
    if (operand.kind == ptx::Operand::Variable)
      used[operand.index] = true;
    for (const ptx::Operand &element : operand.elements)
      self(self, element);
  };
  for (uint32_t index : reachable) {
    for (uint32_t variable : module.functions[index].variables)
      used[variable] = true;
    for (const ptx::Instruction &instruction : module.functions[index].body)
      for (const ptx::Operand &operand : instruction.operands)
        visit(visit, operand);
  }
  uint64_t end = 0;
  uint32_t dynamicAlign = 16;
  for (uint32_t i = 0; i < module.variables.size(); ++i) {
    const ptx::Variable &variable = module.variables[i];
    if (variable.space != ptx::Space::Shared || !used[i])
      continue;
    if (variable.bytes == 0) {
      dynamicAlign = std::max(dynamicAlign, variable.align);
      continue;
    }
    end = align(uint32_t(end), variable.align);
    places[i] = {ptx::Space::Shared, sharedBase + end, false};
    end += variable.bytes;
    if (end > mostShared)
      return fail("its variables have " + std::to_string(end) +
                  " bytes of shared memory; a block has at most " +
                  std::to_string(mostShared));
  }
  program.staticShared = uint32_t(end);
  program.dynamicSharedOffset = end ? align(uint32_t(end), dynamicAlign) : 0;
  for (uint32_t i = 0; i < module.variables.size(); ++i)
    if (module.variables[i].space == ptx::Space::Shared &&
        module.variables[i].bytes == 0)
      places[i] = {ptx::Space::Shared, sharedBase + program.dynamicSharedOffset,
                   false};
  return true;
}

/// Local variables and the parameters of calls lie in the frame of a function.
/// One that calls itself has room for where it returns to.
bool Decoder::placeFrames() {
  uint64_t all = 0;
  for (uint32_t i = 0; i < reachable.size(); ++i) {
    const ptx::Function &function = module.functions[reachable[i]];
    constexpr uint64_t returnBytes = 16;
    uint64_t end = program.functions[i].recursive ? returnBytes : 0;
    for (uint32_t index : function.variables) {
      const ptx::Variable &variable = module.variables[index];
      if (variable.space != ptx::Space::Local &&
          variable.space != ptx::Space::Param)
        continue;
      end = align(uint32_t(end), variable.align);
      places[index] = {ptx::Space::Local, end, true};
      end += variable.bytes;
      if (all + end > mostLocal)
        return fail("its functions have " + std::to_string(all + end) +
                    " bytes of local memory or more; a thread has at most " +
                    std::to_string(mostLocal));
    }
    program.functions[i].frameBytes = align(uint32_t(end), 16);
    all += program.functions[i].frameBytes;
  }
  return true;
}

void Decoder::placeParameters() {
  uint32_t end = 0;
  for (const ptx::Operand &formal : program.kernel->parameters) {
    const ptx::Variable &variable = module.variables[formal.index];
    end = align(end, variable.align);
    places[formal.index] = {ptx::Space::Param, parameterWindow + end, false};
    program.parameters.push_back({end, end, uint32_t(variable.bytes)});
    end += uint32_t(variable.bytes);
  }
  program.parameterBytes = end;
}

uint32_t Decoder::frameOffset(uint32_t variable) const {
  return uint32_t(places.at(variable).address);
}

bool Decoder::decodeFunction(uint32_t index) {
  currentIndex = index;
  currentFunction = &module.functions[reachable[index]];
  firstPosition = uint32_t(program.code.size());
  program.functions[index].first = firstPosition;
  std::vector<uint32_t> &slots = registerSlots.emplace_back();
  for (ptx::Type type : currentFunction->registers) {
    uint32_t size = std::max(sizeOf(type), 4u);
    slots.push_back(registerTag | registerBytesUsed);
    // A register of 128 bits is two of 64.
    uint32_t part = type == ptx::Type::Pred ? 0 : std::min(size, 8u);
    for (uint32_t at = 0; at < size; at += 8)
      program.functions[index].registers.push_back(
          {registerTag | (registerBytesUsed + at * lanes), part});
    registerBytesUsed += size * lanes;
  }
  if (!currentFunction->defined) {
    current = nullptr;
    unsupported = true;
    return fail("function '" + currentFunction->name +
                "' is called but not defined in the module");
  }
  for (const ptx::Instruction &instruction : currentFunction->body) {
    current = &instruction;
    if (!decodeInstruction())
      return false;
  }
  // A body that ends without ret or exit ends with one.
  ptx::Instruction last;
  last.opcode = "ret";
  last.line = currentFunction->body.empty() ? currentFunction->line
                                            : currentFunction->body.back().line;
  current = &last;
  bool good = decodeInstruction();
  program.sources.back() = nullptr;
  rankInstructions(program, *currentFunction, firstPosition);
  current = nullptr;
  return good;
}

bool Decoder::decodeInstruction() {
  inst = Inst();
  access = AccessSize();
  destinationSlots.clear();
  sourceSlots.clear();
  auto family = families.find(current->opcode);
  bool good =
      family != families.end() ? family->second(*this) : decodeFromTable();
  if (good && program.code.size() != program.sources.size())
    return fail("the instruction is not implemented");
  return good;
}

bool Decoder::decodeFromTable() {
  std::string name = current->opcode;
  for (const std::string &modifier : current->modifiers)
    if (modifier != "uni" && modifier != "to")
      name += "." + modifier;
  const OpEntry *entry = nullptr;
  if (current->opcode == "cvt" && operands() == 2 &&
      registerBytes(operand(1)) == 8)
    entry = OpTable::get().find(name + " of b64");
  if (!entry)
    entry = OpTable::get().find(name);
  if (!entry)
    return unknown();
  if (operands() != entry->operands)
    return fail("'" + name + "' takes " + std::to_string(entry->operands) +
                " operands, got " + std::to_string(operands()));
  if (!destination(operand(0), entry->types[0]))
    return false;
  for (unsigned i = 1; i < entry->operands; ++i)
    if (!source(operand(i), entry->types[i]))
      return false;
  addConditionCode();
  return emit(entry->run);
}

/// add.cc gives it, addc takes it: behind the operands that handlers look at.
void Decoder::addConditionCode() {
  const OperandSlot code = {slotOf(SpecialSlot::ConditionCode), 1};
  if (has("cc"))
    destinationSlots.push_back(code);
  for (const char *name : {"addc", "subc", "madc"})
    if (current->opcode == name)
      sourceSlots.push_back(code);
}

bool Decoder::emit(Handler run) {
  inst.run = run;
  inst.line = current->line;
  inst.destinations = uint8_t(destinationSlots.size());
  inst.sources = uint8_t(sourceSlots.size());
  std::vector<uint32_t> &slots = program.slotLists.emplace_back();
  std::vector<uint8_t> &bits = program.operandBits.emplace_back();
  for (const std::vector<OperandSlot> *list : {&destinationSlots, &sourceSlots})
    for (OperandSlot slot : *list) {
      slots.push_back(slot.place);
      bits.push_back(slot.bits);
    }
  inst.slots = slots.data();
  if (current->guard >= 0) {
    inst.guard = registerSlots[currentIndex][size_t(current->guard)];
    inst.guardNegated = current->guardNegated;
  }
  program.code.push_back(inst);
  program.sources.push_back(current);
  access.space = spaceOf(*current);
  program.accesses.push_back(access);
  auto [opcode, isNew] = opcodes.try_emplace(
      fullName(*current), uint32_t(program.opcodeNames.size()));
  if (isNew)
    program.opcodeNames.push_back(opcode->first);
  program.opcodes.push_back(opcode->second);
  program.flows.push_back(flowOf(*current));
  return true;
}

/// Registers lie behind the constants, whose number is known now.
void Decoder::finishSlots() {
  uint32_t first = uint32_t(program.constants.size());
  auto finish = [&](uint32_t &slot) {
    if (slot & registerTag)
      slot = (slot & ~registerTag) + first;
  };
  for (std::vector<uint32_t> &list : program.slotLists)
    for (uint32_t &slot : list)
      finish(slot);
  for (Inst &code : program.code)
    finish(code.guard);
  for (FunctionLayout &layout : program.functions)
    for (auto &[slot, bytes] : layout.registers)
      finish(slot);
  program.fileBytes = first + registerBytesUsed;
  size_t most = 0;
  for (const std::vector<uint32_t> &list : program.slotLists)
    most = std::max(most, list.size());
  program.scratchOperands = uint32_t(most);
}

uint32_t Decoder::constantSlot(uint64_t bits, bool wide) {
  auto [known, isNew] = constants.try_emplace({bits, wide}, 0);
  if (!isNew)
    return known->second;
  uint32_t slot = uint32_t(program.constants.size());
  unsigned size = wide ? 8 : 4;
  program.constants.resize(slot + size * lanes);
  for (unsigned lane = 0; lane < lanes; ++lane)
    std::memcpy(&program.constants[slot + lane * size], &bits, size);
  return known->second = slot;
}

bool Decoder::specialSlot(const std::string &name, uint32_t &slot) {
  for (const SpecialName &special : specialNames)
    if (special.name == name) {
      slot = slotOf(special.slot);
      return true;
    }
  return false;
}

StatusOr<std::unique_ptr<Program>>
decode(const ptx::Module &module, uint32_t kernel,
       const std::vector<uint64_t> &addresses) {
  auto program = std::make_unique<Program>();
  QOPT_RETURN_IF_ERROR(Decoder(module, kernel, addresses, *program).run());
  return program;
}

} // namespace qopt::emulator

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Emulator.h"

#include "runtime/emulator/Program.h"

#include <cstring>
#include <map>
#include <mutex>

namespace qopt::emulator {

struct Module::State {
  explicit State(Memory &memory) : memory(memory) {}
  ~State() {
    for (uint64_t address : addresses)
      if (address)
        (void)memory.release(address);
  }

  Memory &memory;
  ptx::Module parsed;
  std::vector<uint64_t> addresses; ///< by variable; 0: not in global memory
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<Program>> programs;
};

namespace {

/// Memory for the variables, with their values.
Status placeVariables(const ptx::Module &parsed, Memory &memory,
                      std::vector<uint64_t> &addresses) {
  addresses.assign(parsed.variables.size(), 0);
  for (size_t i = 0; i < parsed.variables.size(); ++i) {
    const ptx::Variable &variable = parsed.variables[i];
    bool inMemory = variable.space == ptx::Space::Global ||
                    variable.space == ptx::Space::Const;
    if (!inMemory || variable.bytes == 0)
      continue;
    StatusOr<uint64_t> address = memory.allocate(variable.bytes);
    if (!address.ok())
      return address.status();
    addresses[i] = *address;
    memory.setName(*address, variable.name);
  }
  for (size_t i = 0; i < parsed.variables.size(); ++i) {
    const ptx::Variable &variable = parsed.variables[i];
    if (!addresses[i])
      continue;
    // Without a value a variable is zero.
    std::vector<uint8_t> value = variable.initial;
    value.resize(variable.bytes);
    for (const ptx::Relocation &relocation : variable.relocations) {
      uint64_t target = uint64_t(relocation.addend) +
                        (relocation.function >= 0
                             ? functionAddress(uint32_t(relocation.function))
                             : addresses[size_t(relocation.variable)]);
      if (relocation.offset + 8 <= value.size())
        std::memcpy(value.data() + relocation.offset, &target, 8);
    }
    QOPT_RETURN_IF_ERROR(
        memory.write(addresses[i], value.data(), value.size()));
    if (variable.space == ptx::Space::Const)
      memory.protect(addresses[i]);
  }
  return Status();
}

} // namespace

Module::Module(std::unique_ptr<State> state) : state(std::move(state)) {}
Module::~Module() = default;

StatusOr<std::unique_ptr<Module>> Module::parse(std::string ptx,
                                                Memory &memory) {
  auto state = std::make_unique<State>(memory);
  QOPT_RETURN_IF_ERROR(ptx::parse(std::move(ptx), state->parsed));
  QOPT_RETURN_IF_ERROR(placeVariables(state->parsed, memory, state->addresses));
  return std::unique_ptr<Module>(new Module(std::move(state)));
}

std::vector<std::string> Module::kernelNames() const {
  std::vector<std::string> names;
  for (const ptx::Function &function : state->parsed.functions)
    if (function.entry && function.defined)
      names.push_back(function.name);
  return names;
}

StatusOr<Kernel> Module::kernel(const std::string &name) {
  std::lock_guard<std::mutex> lock(state->mutex);
  if (auto known = state->programs.find(name); known != state->programs.end())
    return Kernel(known->second.get());
  for (uint32_t i = 0; i < state->parsed.functions.size(); ++i) {
    const ptx::Function &function = state->parsed.functions[i];
    if (!function.entry || !function.defined || function.name != name)
      continue;
    StatusOr<std::unique_ptr<Program>> program =
        decode(state->parsed, i, state->addresses);
    if (!program.ok())
      return program.status();
    std::unique_ptr<Program> &kept = state->programs[name];
    kept = std::move(*program);
    return Kernel(kept.get());
  }
  std::string all;
  for (const std::string &known : kernelNames())
    all += (all.empty() ? "'" : ", '") + known + "'";
  return Status(StatusCode::NotFound,
                "the module has no kernel '" + name + "'" +
                    (all.empty() ? "" : "; it has " + all));
}

StatusOr<uint64_t> Module::variable(const std::string &name) const {
  for (size_t i = 0; i < state->parsed.variables.size(); ++i)
    if (state->parsed.variables[i].name == name && state->addresses[i])
      return state->addresses[i];
  return Status(StatusCode::NotFound,
                "the module has no variable '" + name + "' in global memory");
}

const std::string &Kernel::name() const { return program->name; }
size_t Kernel::parameters() const { return program->parameters.size(); }
size_t Kernel::parameterBytes(size_t index) const {
  return program->parameters[index].bytes;
}
static const ptx::Variable &parameterOf(const Program &program, size_t index) {
  return program.module->variables[program.kernel->parameters[index].index];
}
const std::string &Kernel::parameterName(size_t index) const {
  return parameterOf(*program, index).name;
}
ptx::Type Kernel::parameterType(size_t index) const {
  return parameterOf(*program, index).type;
}
size_t Kernel::parameterOffset(size_t index) const {
  return program->parameters[index].from;
}
size_t Kernel::argumentBytes() const { return program->parameterBytes; }
size_t Kernel::staticSharedBytes() const { return program->staticShared; }

} // namespace qopt::emulator

// call: of a function by its name or through its address, and of the system.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Block.h"
#include "runtime/emulator/Decoder.h"

namespace qopt::emulator {
namespace {

Step runCall(Warp &warp, const Inst &inst, uint32_t mask) {
  return warp.call(inst, inst.target, mask);
}

/// Lanes with one address call together, the others after them. aux: index into
/// Program::indirectCalls.
Step runIndirect(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint64_t *addresses = warp.lanes64(inst.source(0));
  uint64_t address = addresses[std::countr_zero(mask)];
  uint32_t together = 0;
  forLanes(mask, [&](unsigned lane) {
    together |= uint32_t(addresses[lane] == address) << lane;
  });
  const IndirectCall &call = warp.program.indirectCalls[inst.aux];
  if (auto site = call.sites.find(address); site != call.sites.end()) {
    warp.leaveBehind(mask & ~together);
    return warp.call(inst, site->second, together);
  }
  char text[64];
  std::snprintf(text, sizeof text, "0x%llx is not the address of a function",
                static_cast<unsigned long long>(address));
  auto other = call.others.find(address);
  warp.report(inst, FindingKind::InvalidUse, together,
              other == call.others.end()
                  ? text
                  : "the parameters or results are not those of '" +
                        other->second + "'");
  return Step::Stopped;
}

struct CallOperands {
  const ptx::Operand *results = nullptr;
  const ptx::Operand *callee = nullptr;
  const ptx::Operand *arguments = nullptr;
};

/// The variables at the call are as many and as large as the function's.
bool isMatch(const Decoder &decoder, const ptx::Operand &atCall,
             const std::vector<ptx::Operand> &formals) {
  if (atCall.elements.size() != formals.size())
    return false;
  for (size_t i = 0; i < formals.size(); ++i)
    if (atCall.elements[i].kind != ptx::Operand::Variable ||
        formals[i].kind != ptx::Operand::Variable ||
        decoder.module.variables[atCall.elements[i].index].bytes !=
            decoder.module.variables[formals[i].index].bytes)
      return false;
  return true;
}

/// Pairs the variables at the call with those of the function.
bool pairParameters(Decoder &decoder, const ptx::Operand &atCall,
                    const std::vector<ptx::Operand> &formals,
                    std::vector<ParameterCopy> &copies, bool toFormal) {
  if (atCall.elements.size() != formals.size())
    return decoder.fail("expected " + std::to_string(formals.size()) +
                        " parameters, got " +
                        std::to_string(atCall.elements.size()));
  for (size_t i = 0; i < formals.size(); ++i) {
    if (atCall.elements[i].kind != ptx::Operand::Variable ||
        formals[i].kind != ptx::Operand::Variable)
      return decoder.fail("parameters in registers are not supported; pass "
                          ".param variables");
    uint32_t caller = decoder.frameOffset(atCall.elements[i].index);
    uint32_t callee = decoder.frameOffset(formals[i].index);
    uint32_t bytes = uint32_t(decoder.module.variables[formals[i].index].bytes);
    copies.push_back(toFormal ? ParameterCopy{caller, callee, bytes}
                              : ParameterCopy{callee, caller, bytes});
  }
  return true;
}

/// The index into Program::calls of a call of the function.
bool addSite(Decoder &decoder, const CallOperands &call, uint32_t callee,
             uint32_t &index) {
  const ptx::Function &function = decoder.module.functions[callee];
  CallSite site;
  site.callee = decoder.functionIndex(callee);
  if (!pairParameters(decoder, *call.arguments, function.parameters,
                      site.arguments, true) ||
      !pairParameters(decoder, *call.results, function.results, site.results,
                      false))
    return false;
  index = uint32_t(decoder.program.calls.size());
  decoder.program.calls.push_back(std::move(site));
  return true;
}

/// Every function of the module that it may mean is a call of its own.
bool decodeIndirect(Decoder &decoder, const CallOperands &call) {
  if (!decoder.source(*call.callee, OperandType::LongWord))
    return false;
  IndirectCall sites;
  for (uint32_t callee : decoder.addressed()) {
    const ptx::Function &function = decoder.module.functions[callee];
    if (!isMatch(decoder, *call.arguments, function.parameters) ||
        !isMatch(decoder, *call.results, function.results)) {
      sites.others[functionAddress(callee)] = function.name;
      continue;
    }
    uint32_t index;
    if (!addSite(decoder, call, callee, index))
      return false;
    sites.sites[functionAddress(callee)] = index;
  }
  decoder.inst.aux = uint32_t(decoder.program.indirectCalls.size());
  decoder.program.indirectCalls.push_back(std::move(sites));
  return decoder.emit(&runIndirect);
}

bool decodeSystemCall(Decoder &decoder, const CallOperands &call,
                      Handler handler) {
  const ptx::Function &function = decoder.module.functions[call.callee->index];
  if (!isMatch(decoder, *call.arguments, function.parameters) ||
      !isMatch(decoder, *call.results, function.results))
    return decoder.fail("expected the parameters that '" + function.name +
                        "' is declared with");
  decoder.program.usesHeap |=
      function.name == "malloc" || function.name == "free";
  CallSite site;
  auto place = [&](const ptx::Operand &parameter) {
    uint32_t offset = decoder.frameOffset(parameter.index);
    return ParameterCopy{
        offset, offset,
        uint32_t(decoder.module.variables[parameter.index].bytes)};
  };
  for (const ptx::Operand &argument : call.arguments->elements)
    site.arguments.push_back(place(argument));
  for (const ptx::Operand &result : call.results->elements)
    site.results.push_back(place(result));
  decoder.inst.target = uint32_t(decoder.program.calls.size());
  decoder.program.calls.push_back(std::move(site));
  return decoder.emit(handler);
}

/// call (results), function, (arguments), with both lists optional. Behind an
/// address stands a prototype, too, which says what the lists say.
bool decodeCall(Decoder &decoder) {
  static const ptx::Operand none = [] {
    ptx::Operand empty;
    empty.kind = ptx::Operand::Vector;
    return empty;
  }();
  size_t at = 0;
  CallOperands call = {&none, nullptr, &none};
  if (decoder.operands() > 1 && decoder.operand(0).kind == ptx::Operand::Vector)
    call.results = &decoder.operand(at++);
  if (at >= decoder.operands())
    return decoder.fail("expected the function to call");
  call.callee = &decoder.operand(at++);
  if (at < decoder.operands() &&
      decoder.operand(at).kind == ptx::Operand::Vector)
    call.arguments = &decoder.operand(at);
  if (call.callee->kind == ptx::Operand::Register)
    return decodeIndirect(decoder, call);
  if (call.callee->kind != ptx::Operand::Function)
    return decoder.fail("expected a function or a register with its address");
  const ptx::Function &function = decoder.module.functions[call.callee->index];
  if (Handler handler = systemCall(function.name); handler && !function.defined)
    return decodeSystemCall(decoder, call, handler);
  return addSite(decoder, call, call.callee->index, decoder.inst.target) &&
         decoder.emit(&runCall);
}

} // namespace

void addCalls(FamilyTable &table) { table["call"] = &decodeCall; }

} // namespace qopt::emulator

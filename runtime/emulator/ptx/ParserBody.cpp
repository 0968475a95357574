// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ptx/Parser.h"

namespace qopt::emulator::ptx {

bool Parser::parseBody() {
  if (!expect("{"))
    return false;
  while (!scopes.empty())
    if (!parseStatement())
      return false;
  for (const Instruction &instruction : function->body)
    for (const Operand &operand : instruction.operands)
      if (!checkResolved(operand, instruction.line))
        return false;
  for (const PendingTable &table : pendingTables)
    if (!table.labels.empty() &&
        function->tables[size_t(&table - pendingTables.data())].empty())
      return fail("a label of the .branchtargets of line " +
                  std::to_string(table.line) + " does not exist");
  return true;
}

bool Parser::checkResolved(const Operand &operand, uint32_t line) {
  if (operand.kind == Operand::Name) {
    error = "ptx line " + std::to_string(line) + ": unknown name '" +
            operand.name + "'";
    return false;
  }
  for (const Operand &element : operand.elements)
    if (!checkResolved(element, line))
      return false;
  return true;
}

bool Parser::parseStatement() {
  const Token &token = peek();
  if (token.kind == Token::End)
    return fail("expected '}'");
  if (accept("{")) {
    scopes.emplace_back().firstInstruction = function->body.size();
    return true;
  }
  if (accept("}"))
    return closeScope();
  if (accept(";"))
    return true;
  if (token.is(".loc") || token.is(".file")) {
    skipLine();
    return true;
  }
  if (token.is(".pragma"))
    return skipPast(";");
  if (accept(".reg"))
    return parseRegisters();
  if (accept(".shared"))
    return parseVariable(Space::Shared, false);
  if (accept(".local"))
    return parseVariable(Space::Local, false);
  if (accept(".param"))
    return parseVariable(Space::Param, false);
  if (accept(".global"))
    return parseVariable(Space::Global, false);
  if (accept(".const"))
    return parseVariable(Space::Const, false);
  if (token.kind == Token::Word && peek(1).is(":"))
    return parseLabel();
  return parseInstruction();
}

bool Parser::declareRegister(const std::string &name, Type type) {
  if (type == Type::None)
    return fail("'" + name + "' has no register type");
  scopes.back().registers[name] = uint32_t(function->registers.size());
  function->registers.push_back(type);
  return true;
}

/// .reg .b32 %r<10>, %x;
bool Parser::parseRegisters() {
  Type type = Type::None;
  while (peek().text.starts_with(".")) {
    Token word = take();
    type = typeNamed(word.text.substr(1));
    if (type == Type::None)
      return fail("'" + std::string(word.text) + "' is no register type");
  }
  do {
    std::string name(take().text);
    if (!accept("<")) {
      if (!declareRegister(name, type))
        return false;
      continue;
    }
    int64_t count;
    if (!parseInteger(count) || !expect(">"))
      return false;
    if (count < 0 || count > 1'000'000)
      return fail("too many registers '" + name + "'");
    for (int64_t i = 0; i < count; ++i)
      if (!declareRegister(name + std::to_string(i), type))
        return false;
  } while (accept(","));
  return expect(";");
}

bool Parser::parseLabel() {
  std::string name(take().text);
  take(); // ':'
  Scope &scope = scopes.back();
  if (accept(".branchtargets")) {
    PendingTable table;
    table.line = peek().line;
    do
      table.labels.emplace_back(take().text);
    while (accept(","));
    scope.tables[name] = uint32_t(pendingTables.size());
    pendingTables.push_back(std::move(table));
    function->tables.emplace_back();
    return expect(";");
  }
  if (peek().is(".callprototype") || peek().is(".calltargets")) {
    scope.tables[name] = uint32_t(pendingTables.size());
    pendingTables.emplace_back();
    function->tables.emplace_back();
    return skipPast(";");
  }
  scope.labels[name] = uint32_t(function->body.size());
  return true;
}

bool Parser::parseInstruction() {
  Instruction instruction;
  instruction.line = peek().line;
  if (accept("@")) {
    instruction.guardNegated = accept("!");
    Operand guard;
    if (!parseSimpleOperand(guard))
      return false;
    if (guard.kind != Operand::Register ||
        function->registers[guard.index] != Type::Pred)
      return fail("a guard must be a predicate register");
    instruction.guard = int32_t(guard.index);
    instruction.line = peek().line;
  }
  if (peek().kind != Token::Word)
    return fail("expected an instruction, got '" + std::string(peek().text) +
                "'");
  std::string_view text = take().text;
  for (size_t start = 0; start <= text.size();) {
    size_t dot = std::min(text.find('.', start), text.size());
    std::string part(text.substr(start, dot - start));
    if (start == 0)
      instruction.opcode = std::move(part);
    else
      instruction.modifiers.push_back(std::move(part));
    start = dot + 1;
  }
  while (!accept(";")) {
    Operand operand;
    if (!parseOperand(operand))
      return false;
    instruction.operands.push_back(std::move(operand));
    if (!peek().is(";") && !expect(","))
      return false;
  }
  function->body.push_back(std::move(instruction));
  return true;
}

/// An operand, or two joined by '|'.
bool Parser::parseOperand(Operand &operand) {
  if (!parseSimpleOperand(operand))
    return false;
  if (!accept("|"))
    return true;
  Operand pair;
  pair.kind = Operand::Vector;
  pair.elements.push_back(std::move(operand));
  if (!parseSimpleOperand(pair.elements.emplace_back()))
    return false;
  operand = std::move(pair);
  return true;
}

bool Parser::parseSimpleOperand(Operand &operand) {
  if (accept("{"))
    return parseList(operand, "}");
  if (accept("("))
    return parseList(operand, ")");
  if (accept("["))
    return parseAddress(operand);
  bool negated = accept("!");
  if (!negated && accept("-")) {
    if (peek().kind == Token::Number)
      return parseNumber(operand, true);
    negated = true;
  }
  if (peek().kind == Token::Number)
    return parseNumber(operand, false);
  if (peek().kind != Token::Word)
    return fail("expected an operand, got '" + std::string(peek().text) + "'");
  operand.name = std::string(take().text);
  resolve(operand);
  operand.negated = negated;
  if (peek().is("+") && peek(1).kind == Token::Number) {
    take();
    return parseInteger(operand.offset);
  }
  return true;
}

bool Parser::parseNumber(Operand &operand, bool negated) {
  Token token = take();
  StatusOr<Literal> literal = literalOf(token);
  if (!literal.ok())
    return fail("expected a number, got '" + std::string(token.text) +
                "'; behind 0f stand 8 hexadecimal digits, behind 0d 16");
  operand.kind = Operand::Immediate;
  operand.literal = literal->kind;
  operand.bits = literal->bits;
  if (negated)
    operand.bits = literal->kind == Literal::Integer
                       ? -literal->bits
                       : literal->bits ^ (literal->kind == Literal::Single
                                              ? uint64_t(1) << 31
                                              : uint64_t(1) << 63);
  return true;
}

/// [base], [base+4], [base+-4], [4], [map, {x, y}]
bool Parser::parseAddress(Operand &operand) {
  operand.kind = Operand::Address;
  if (peek().kind == Token::Word) {
    Operand &base = operand.elements.emplace_back();
    base.name = std::string(take().text);
    resolve(base);
  }
  bool plus = accept("+");
  if ((plus || peek().is("-") || operand.elements.empty()) &&
      !parseInteger(operand.offset))
    return false;
  while (accept(","))
    if (!parseOperand(operand.elements.emplace_back()))
      return false;
  return expect("]");
}

bool Parser::parseList(Operand &operand, std::string_view close) {
  operand.kind = Operand::Vector;
  while (!accept(close)) {
    if (!parseOperand(operand.elements.emplace_back()))
      return false;
    if (!peek().is(close) && !expect(","))
      return false;
  }
  return true;
}

/// Registers and variables are declared before they are used; labels may come
/// later and wait until their scope closes.
void Parser::resolve(Operand &operand) const {
  if (operand.name == "_") {
    operand.kind = Operand::Sink;
    return;
  }
  operand.kind = Operand::Name;
  auto found = [&](const Names &names, Operand::Kind kind) {
    auto entry = names.find(operand.name);
    if (entry == names.end())
      return false;
    operand.kind = kind;
    operand.index = entry->second;
    return true;
  };
  for (size_t i = scopes.size(); i-- > 0;)
    if (found(scopes[i].registers, Operand::Register) ||
        found(scopes[i].variables, Operand::Variable))
      return;
  if (size_t dot = operand.name.find('.'); dot != std::string::npos)
    for (size_t i = scopes.size(); i-- > 0;)
      if (auto entry = scopes[i].registers.find(operand.name.substr(0, dot));
          entry != scopes[i].registers.end()) {
        operand.kind = Operand::Register;
        operand.index = entry->second;
        operand.selector = operand.name.substr(dot + 1);
        operand.name.resize(dot);
        return;
      }
  if (found(moduleVariables, Operand::Variable) ||
      found(functions, Operand::Function))
    return;
  if (operand.name[0] == '%' || operand.name == "WARP_SZ")
    operand.kind = Operand::Special;
}

void Parser::resolveLater(Operand &operand, const Scope &scope) const {
  for (Operand &element : operand.elements)
    resolveLater(element, scope);
  if (operand.kind != Operand::Name && operand.kind != Operand::Function)
    return;
  if (auto label = scope.labels.find(operand.name);
      label != scope.labels.end()) {
    operand.kind = Operand::Label;
    operand.index = label->second;
  } else if (auto table = scope.tables.find(operand.name);
             table != scope.tables.end()) {
    operand.kind = Operand::Table;
    operand.index = table->second;
  }
}

bool Parser::closeScope() {
  const Scope &scope = scopes.back();
  for (size_t i = scope.firstInstruction; i < function->body.size(); ++i)
    for (Operand &operand : function->body[i].operands)
      resolveLater(operand, scope);
  for (size_t i = 0; i < pendingTables.size(); ++i) {
    std::vector<uint32_t> targets;
    for (const std::string &label : pendingTables[i].labels)
      if (auto found = scope.labels.find(label); found != scope.labels.end())
        targets.push_back(found->second);
    if (!targets.empty() && targets.size() == pendingTables[i].labels.size())
      function->tables[i] = std::move(targets);
  }
  scopes.pop_back();
  return true;
}

} // namespace qopt::emulator::ptx

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ptx/Parser.h"

#include <bit>
#include <cstring>

namespace qopt::emulator::ptx {

const Token &Parser::peek(size_t ahead) const {
  return tokens[std::min(at + ahead, tokens.size() - 1)];
}

bool Parser::accept(std::string_view text) {
  if (!peek().is(text))
    return false;
  take();
  return true;
}

bool Parser::expect(std::string_view text) {
  if (accept(text))
    return true;
  return fail("expected '" + std::string(text) + "', got '" +
              std::string(peek().text) + "'");
}

bool Parser::fail(const std::string &message) {
  if (error.empty())
    error = "ptx line " + std::to_string(peek().line) + ": " + message;
  return false;
}

bool Parser::parseInteger(int64_t &value) {
  bool negative = accept("-");
  if (peek().kind != Token::Number)
    return fail("expected a number, got '" + std::string(peek().text) + "'");
  StatusOr<Literal> literal = literalOf(take());
  if (!literal.ok() || literal->kind != Literal::Integer)
    return fail("expected an integer");
  value = negative ? -int64_t(literal->bits) : int64_t(literal->bits);
  return true;
}

void Parser::skipLine() {
  uint32_t line = peek().line;
  while (peek().kind != Token::End && peek().line == line)
    take();
}

bool Parser::skipPast(std::string_view end) {
  while (peek().kind != Token::End)
    if (take().is(end))
      return true;
  return fail("expected '" + std::string(end) + "'");
}

bool Parser::skipBraces() {
  while (!peek().is("{"))
    if (take().kind == Token::End)
      return fail("expected '{'");
  int depth = 0;
  do {
    Token token = take();
    if (token.kind == Token::End)
      return fail("expected '}'");
    depth += token.is("{") ? 1 : token.is("}") ? -1 : 0;
  } while (depth > 0);
  return true;
}

Status Parser::run() {
  while (peek().kind != Token::End)
    if (!parseTopLevel())
      break;
  if (error.empty())
    linkRelocations();
  if (!error.empty())
    return Status(StatusCode::InvalidArgument, error);
  if (module.version == 0)
    return Status(StatusCode::InvalidArgument, "ptx has no .version directive");
  return Status();
}

bool Parser::parseTopLevel() {
  bool external = false;
  while (peek().is(".visible") || peek().is(".weak") || peek().is(".extern") ||
         peek().is(".common"))
    external |= take().is(".extern");
  Token word = take();
  if (word.is(".version")) {
    std::string text(take().text);
    size_t dot = text.find('.');
    module.version = unsigned(std::strtoul(text.c_str(), nullptr, 10)) * 10 +
                     (dot == text.npos ? 0 : unsigned(text[dot + 1] - '0'));
    return true;
  }
  if (word.is(".target")) {
    module.target = std::string(take().text);
    while (accept(","))
      take();
    return true;
  }
  if (word.is(".address_size"))
    return take().is("64") || fail("only .address_size 64 is supported");
  if (word.is(".file")) {
    --at;
    skipLine();
    return true;
  }
  if (word.is(".section"))
    return skipBraces();
  if (word.is(".pragma") || word.is(".alias"))
    return skipPast(";");
  if (word.is(".entry") || word.is(".func"))
    return parseFunction(word.is(".entry"));
  if (word.is(".global"))
    return parseVariable(Space::Global, external);
  if (word.is(".const"))
    return parseVariable(Space::Const, external);
  if (word.is(".shared"))
    return parseVariable(Space::Shared, external);
  --at;
  return fail("unknown directive '" + std::string(word.text) + "'");
}

bool Parser::parseFunction(bool entry) {
  Function parsed;
  parsed.entry = entry;
  parsed.line = peek().line;
  function = &parsed;
  pendingTables.clear();
  scopes.assign(1, Scope());
  if (!entry && peek().is("(") && !parseFormals(parsed.results))
    return false;
  parsed.name = std::string(take().text);
  if (peek().is("(") && !parseFormals(parsed.parameters))
    return false;
  if (!parsePerformance())
    return false;
  // A declaration and its definition are one function: calls refer to it.
  auto [known, isNew] =
      functions.try_emplace(parsed.name, uint32_t(module.functions.size()));
  if (isNew)
    module.functions.emplace_back().name = parsed.name;
  uint32_t index = known->second;
  if (!accept(";")) {
    parsed.defined = true;
    if (module.functions[index].defined)
      return fail("function '" + parsed.name + "' is defined twice");
    if (!parseBody())
      return false;
  }
  if (!module.functions[index].defined)
    module.functions[index] = std::move(parsed);
  function = nullptr;
  return true;
}

/// (.param .b64 a, .reg .b32 b)
bool Parser::parseFormals(std::vector<Operand> &formals) {
  if (!expect("("))
    return false;
  while (!accept(")")) {
    Operand formal;
    if (accept(".reg")) {
      Type type = typeNamed(take().text.substr(1));
      formal.kind = Operand::Register;
      formal.index = uint32_t(function->registers.size());
      if (!declareRegister(std::string(take().text), type))
        return false;
    } else {
      if (!expect(".param") || !parseVariable(Space::Param, false))
        return false;
      formal.kind = Operand::Variable;
      formal.index = uint32_t(module.variables.size() - 1);
    }
    formals.push_back(formal);
    if (!peek().is(")") && !expect(","))
      return false;
  }
  return true;
}

/// What stands between a function's parameters and its body.
bool Parser::parsePerformance() {
  int64_t ignored;
  while (peek().kind == Token::Word) {
    Token word = take();
    if (word.is(".maxntid")) {
      if (!parseTriple(function->maximumThreads))
        return false;
    } else if (word.is(".reqntid")) {
      if (!parseTriple(function->requiredThreads))
        return false;
    } else if (word.is(".reqnctapercluster")) {
      if (!parseTriple(function->requiredCluster))
        return false;
    } else if (word.is(".pragma")) {
      if (!skipPast(";"))
        return false;
    } else if (word.is(".minnctapersm") || word.is(".maxnreg") ||
               word.is(".maxnctapersm") || word.is(".abi_preserve") ||
               word.is(".abi_preserve_control")) {
      if (!parseInteger(ignored))
        return false;
    } else if (word.is(".maxclusterrank")) {
      if (!parseInteger(ignored))
        return false;
      function->maximumCluster = uint32_t(ignored);
    } else if (word.is(".explicitcluster")) {
      function->explicitCluster = true;
    } else if (word.is(".blocksareclusters")) {
      function->gridOfClusters = true;
    } else if (!word.is(".noreturn")) {
      --at;
      return fail("unknown directive '" + std::string(word.text) + "'");
    }
  }
  return true;
}

bool Parser::parseTriple(uint32_t (&values)[3]) {
  values[1] = values[2] = 1;
  for (int i = 0; i < 3; ++i) {
    int64_t value;
    if (!parseInteger(value))
      return false;
    values[i] = uint32_t(value);
    if (!accept(","))
      break;
  }
  return true;
}

/// After the space: attributes, type, name, extents, value. A formal parameter
/// ends before ',' or ')', which the caller takes; all else ends with ';'.
bool Parser::parseVariable(Space space, bool external) {
  Variable variable;
  variable.space = space;
  variable.external = external;
  variable.line = peek().line;
  uint64_t elements = 1;
  int64_t value;
  while (peek().text.starts_with(".")) {
    Token word = take();
    Type type = typeNamed(word.text.substr(1));
    if (type != Type::None) {
      variable.type = type;
    } else if (word.is(".align")) {
      if (!parseInteger(value))
        return false;
      variable.align = uint32_t(value);
    } else if (word.is(".v2") || word.is(".v4") || word.is(".v8")) {
      elements = word.is(".v2") ? 2 : word.is(".v4") ? 4 : 8;
    } else if (word.is(".attribute")) {
      if (!skipPast(")"))
        return false;
    } else if (!word.is(".ptr") && !word.is(".global") && !word.is(".const") &&
               !word.is(".shared") && !word.is(".local") &&
               !word.is(".texref")) {
      --at;
      return fail("unknown directive '" + std::string(word.text) + "'");
    }
  }
  if (variable.type == Type::None)
    return fail("expected a type, got '" + std::string(peek().text) + "'");
  variable.name = std::string(take().text);
  variable.bytes = elements * sizeOf(variable.type);
  variable.align = std::max<uint32_t>(
      variable.align, uint32_t(sizeOf(variable.type) * elements));
  if (!parseExtent(variable))
    return false;
  if (accept("=") && !parseInitialiser(variable))
    return false;
  uint32_t index = uint32_t(module.variables.size());
  if (function) {
    scopes.back().variables[variable.name] = index;
    function->variables.push_back(index);
  } else {
    // .extern and its definition share a name; the definition wins.
    moduleVariables[variable.name] = index;
  }
  module.variables.push_back(std::move(variable));
  bool formal = function && (peek().is(",") || peek().is(")"));
  return formal || expect(";");
}

bool Parser::parseExtent(Variable &variable) {
  while (accept("[")) {
    int64_t extent = 0;
    if (!peek().is("]") && !parseInteger(extent))
      return false;
    if (extent < 0 || uint64_t(extent) > (uint64_t(1) << 40))
      return fail("size of '" + variable.name + "' is out of range");
    variable.bytes *= uint64_t(extent);
    if (!expect("]"))
      return false;
  }
  return true;
}

bool Parser::parseInitialiser(Variable &variable) {
  if (!accept("{"))
    return parseInitialValue(variable);
  while (!accept("}")) {
    if (!parseInitialiser(variable))
      return false;
    if (!peek().is("}") && !expect(","))
      return false;
  }
  // An array without extent has that of its values.
  variable.bytes = std::max<uint64_t>(variable.bytes, variable.initial.size());
  return true;
}

bool Parser::parseInitialValue(Variable &variable) {
  unsigned size = sizeOf(variable.type);
  uint64_t bits = 0;
  bool negative = accept("-");
  if (peek().kind == Token::Number) {
    StatusOr<Literal> literal = literalOf(take());
    if (!literal.ok())
      return fail("expected a value");
    bits = negative ? -literal->bits : literal->bits;
    if (literal->kind == Literal::Double && variable.type == Type::F32)
      bits = std::bit_cast<uint32_t>(float(std::bit_cast<double>(bits)));
  } else {
    Relocation relocation;
    relocation.offset = variable.initial.size();
    relocation.generic = accept("generic");
    bool parenthesis = relocation.generic && expect("(");
    relocation.symbol = std::string(take().text);
    if (parenthesis && !expect(")"))
      return false;
    bool plus = accept("+");
    if ((plus || peek().is("-")) && !parseInteger(relocation.addend))
      return false;
    variable.relocations.push_back(relocation);
  }
  uint8_t bytes[8];
  std::memcpy(bytes, &bits, 8);
  variable.initial.insert(variable.initial.end(), bytes,
                          bytes + std::min(size, 8u));
  return true;
}

bool Parser::linkRelocations() {
  for (Variable &variable : module.variables)
    for (Relocation &relocation : variable.relocations) {
      auto found = moduleVariables.find(relocation.symbol);
      auto callee = functions.find(relocation.symbol);
      if (found != moduleVariables.end())
        relocation.variable = int(found->second);
      else if (callee != functions.end())
        relocation.function = int(callee->second);
      else
        return fail("'" + relocation.symbol + "' in the value of '" +
                    variable.name + "' is no variable and no function");
    }
  return true;
}

std::string Module::lineText(uint32_t line) const {
  if (line == 0 || line > lines.size())
    return {};
  std::string text; // compilers put tabs between its words
  for (char c : lines[line - 1]) {
    bool blank = c == ' ' || c == '\t' || c == '\r';
    if (!blank || (!text.empty() && text.back() != ' '))
      text += blank ? ' ' : c;
  }
  if (!text.empty() && text.back() == ' ')
    text.pop_back();
  return text;
}

Status parse(std::string text, Module &module) {
  module.source = std::move(text);
  std::string_view rest = module.source;
  while (!rest.empty()) {
    size_t end = rest.find('\n');
    module.lines.push_back(rest.substr(0, end));
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
  }
  StatusOr<std::vector<Token>> tokens = tokenize(module.source);
  if (!tokens.ok())
    return tokens.status();
  return Parser(std::move(*tokens), module).run();
}

} // namespace qopt::emulator::ptx

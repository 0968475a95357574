// The recursive-descent parser behind ptx::parse. Directives and declarations
// are in Parser.cpp, instructions, operands and names in ParserBody.cpp. A
// function returns false after it has set the error.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_PTX_PARSER_H
#define QOPT_RUNTIME_EMULATOR_PTX_PARSER_H

#include "runtime/emulator/ptx/Lexer.h"
#include "runtime/emulator/ptx/Module.h"

#include <unordered_map>

namespace qopt::emulator::ptx {

class Parser {
public:
  Parser(std::vector<Token> tokens, Module &module)
      : tokens(std::move(tokens)), module(module) {}

  Status run();

private:
  using Names = std::unordered_map<std::string, uint32_t>;

  /// What the braces of a body enclose: inline PTX opens scopes of its own.
  struct Scope {
    Names registers;
    Names variables;
    Names labels;
    Names tables;
    size_t firstInstruction = 0;
  };
  struct PendingTable {
    std::vector<std::string> labels;
    uint32_t line = 0;
  };

  // Tokens.
  const Token &peek(size_t ahead = 0) const;
  Token take() { return tokens[at + 1 < tokens.size() ? at++ : at]; }
  bool accept(std::string_view text);
  bool expect(std::string_view text);
  bool fail(const std::string &message);
  bool parseInteger(int64_t &value);
  void skipLine();
  bool skipPast(std::string_view end);
  bool skipBraces();

  // Parser.cpp
  bool parseTopLevel();
  bool parseFunction(bool entry);
  bool parseFormals(std::vector<Operand> &formals);
  bool parsePerformance();
  bool parseTriple(uint32_t (&values)[3]);
  bool parseVariable(Space space, bool external);
  bool parseExtent(Variable &variable);
  bool parseInitialiser(Variable &variable);
  bool parseInitialValue(Variable &variable);
  bool linkRelocations();

  // ParserBody.cpp
  bool parseBody();
  bool parseStatement();
  bool parseRegisters();
  bool parseLabel();
  bool parseInstruction();
  bool parseOperand(Operand &operand);
  bool parseSimpleOperand(Operand &operand);
  bool parseNumber(Operand &operand, bool negated);
  bool parseAddress(Operand &operand);
  bool parseList(Operand &operand, std::string_view close);
  void resolve(Operand &operand) const;
  bool declareRegister(const std::string &name, Type type);
  bool closeScope();
  void resolveLater(Operand &operand, const Scope &scope) const;
  bool checkResolved(const Operand &operand, uint32_t line);

  std::vector<Token> tokens;
  size_t at = 0;
  Module &module;
  Function *function = nullptr; ///< the one being parsed
  std::vector<Scope> scopes;
  std::vector<PendingTable> pendingTables; ///< as Function::tables
  Names moduleVariables;
  Names functions;
  std::string error;
};

} // namespace qopt::emulator::ptx

#endif // QOPT_RUNTIME_EMULATOR_PTX_PARSER_H

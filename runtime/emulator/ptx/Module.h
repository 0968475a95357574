// A PTX module as parsed: variables, functions, and instructions whose names
// are resolved to indices. Nothing is interpreted yet; the decoder gives the
// instructions their meaning.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_PTX_MODULE_H
#define QOPT_RUNTIME_EMULATOR_PTX_MODULE_H

#include "qopt/Status.h"
#include "runtime/emulator/ptx/Type.h"

#include <string>
#include <string_view>
#include <vector>

namespace qopt::emulator::ptx {

enum class Space : uint8_t {
  Generic,
  Global,
  Shared, ///< of the own block
  Local,
  Const,
  Param,
  SharedCluster, ///< of any block of the cluster
};

/// An initialiser's reference to the address of another variable or function.
struct Relocation {
  uint64_t offset = 0;
  std::string symbol;
  int64_t addend = 0;
  bool generic = false; ///< generic(symbol)
  int variable = -1;    ///< set when the whole module is known, or
  int function = -1;    ///< this one
};

struct Variable {
  std::string name;
  Space space = Space::Global;
  Type type = Type::None;
  uint32_t align = 1;
  uint64_t bytes = 0; ///< 0: an array of open size (.extern .shared x[])
  bool external = false;
  std::vector<uint8_t> initial; ///< the leading bytes; the rest is zero
  std::vector<Relocation> relocations;
  uint32_t line = 0;
};

struct Operand {
  enum Kind : uint8_t {
    Register, ///< index: into Function::registers
    Immediate,
    Special,  ///< name: "%tid.x"
    Variable, ///< index: into Module::variables
    Function, ///< index: into Module::functions
    Label,    ///< index: of an instruction of the function
    Table,    ///< index: into Function::tables
    Name,     ///< not resolved; no operand of a finished module is one
    Sink,     ///< "_"
    Vector,   ///< elements; also the (a, b) lists of calls
    Address,  ///< elements[0] is the base or none (absolute); offset
  };
  Kind kind = Sink;
  bool negated = false; ///< !p, or -x of a register
  uint8_t literal = 0;  ///< Literal::Kind of an immediate
  uint32_t index = 0;
  uint64_t bits = 0;  ///< of an immediate
  int64_t offset = 0; ///< of an address
  std::string name;
  std::string selector; ///< "h10" of %r1.h10, which video instructions have
  std::vector<Operand> elements;
};

struct Instruction {
  uint32_t line = 0;
  int32_t guard = -1; ///< a predicate register, or -1
  bool guardNegated = false;
  std::string opcode;                 ///< "ld"
  std::vector<std::string> modifiers; ///< "global", "v4", "u32"
  /// `setp … p|q` gives two operands p and q in one Vector.
  std::vector<Operand> operands;
};

struct Function {
  std::string name;
  bool entry = false;
  bool defined = false;
  uint32_t line = 0;
  std::vector<Type> registers;
  std::vector<Operand> results;    ///< Variable or Register
  std::vector<Operand> parameters; ///< Variable or Register
  std::vector<uint32_t> variables; ///< declared inside, and the parameters
  std::vector<Instruction> body;
  std::vector<std::vector<uint32_t>> tables; ///< .branchtargets: instructions
  uint32_t requiredThreads[3] = {0, 0, 0};   ///< .reqntid
  uint32_t maximumThreads[3] = {0, 0, 0};    ///< .maxntid
  uint32_t requiredCluster[3] = {0, 0, 0};   ///< .reqnctapercluster
  uint32_t maximumCluster = 0;               ///< .maxclusterrank; 0: none
  bool explicitCluster = false;              ///< .explicitcluster
  bool gridOfClusters = false;               ///< .blocksareclusters
};

struct Module {
  std::string source;
  std::vector<std::string_view> lines; ///< into source
  unsigned version = 0;                ///< 10 × major + minor
  std::string target;
  std::vector<Variable> variables;
  std::vector<Function> functions;

  Module() = default;
  Module(const Module &) = delete; ///< its lines point into it
  Module &operator=(const Module &) = delete;

  /// The text of a line without blanks at its ends.
  std::string lineText(uint32_t line) const;
};

/// Fills `module` from PTX text. The message names line and word.
Status parse(std::string text, Module &module);

} // namespace qopt::emulator::ptx

#endif // QOPT_RUNTIME_EMULATOR_PTX_MODULE_H

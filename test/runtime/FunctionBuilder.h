// Builds a function of a plan by hand and writes it into an artifact: what the
// compiler does, in a few lines, for the runtime's own tests.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_FUNCTIONBUILDER_H
#define QOPT_TEST_RUNTIME_FUNCTIONBUILDER_H

#include "runtime/ArtifactWriter.h"
#include "runtime/plan/PlanFormat.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace qopt::test {

class FunctionBuilder {
public:
  FunctionBuilder(std::string name, plan::FunctionKind kind) {
    function = std::make_unique<plan::FunctionT>();
    function->name = std::move(name);
    function->kind = kind;
  }

  uint32_t symbol(plan::SymbolKind kind, uint32_t lhs = 0, uint32_t rhs = 0,
                  int64_t value = 0, const char *name = "") {
    auto symbol = std::make_unique<plan::SymbolT>();
    symbol->kind = kind;
    symbol->lhs = lhs, symbol->rhs = rhs;
    symbol->value = value;
    symbol->name = name;
    function->symbols.push_back(std::move(symbol));
    return uint32_t(function->symbols.size() - 1);
  }
  uint32_t constant(int64_t value) {
    return symbol(plan::SymbolKind::Const, 0, 0, value);
  }

  /// A value with this storage; `shape` are symbols.
  uint32_t value(plan::DType type, std::vector<uint32_t> shape,
                 plan::Storage storage, std::string name = "") {
    auto value = std::make_unique<plan::ValueT>();
    value->dtype = type;
    value->shape = std::move(shape);
    value->storage = storage;
    value->name = std::move(name);
    auto id = uint32_t(function->values.size());
    std::vector<uint32_t> *signature =
        storage == plan::Storage::Input    ? &function->inputs
        : storage == plan::Storage::Output ? &function->outputs
                                           : nullptr;
    if (signature) {
      value->index = uint32_t(signature->size());
      signature->push_back(id);
    }
    function->values.push_back(std::move(value));
    return id;
  }
  uint32_t arena(std::vector<uint32_t> shape,
                 plan::DType type = plan::DType::F32) {
    return value(type, std::move(shape), plan::Storage::Arena);
  }
  /// A view of `base` from `offset` bytes (a symbol) on, of rows of `elements`
  /// that lie `stride` elements apart.
  uint32_t view(uint32_t base, uint32_t offset, std::vector<uint32_t> shape,
                uint32_t elements = 0, uint32_t stride = 0) {
    uint32_t id = value(function->values[base]->dtype, std::move(shape),
                        plan::Storage::Alias);
    function->values[id]->index = base;
    function->values[id]->offset = offset;
    function->values[id]->row_elements = elements;
    function->values[id]->row_stride = stride;
    return id;
  }
  /// Bytes that become a segment of their own, as a tensor of `type`.
  uint32_t constantBytes(plan::DType type, int64_t elements, const void *bytes,
                         size_t size) {
    uint32_t id = value(type, {constant(elements)}, plan::Storage::Constant);
    function->values[id]->index = uint32_t(segments.size());
    function->values[id]->bytes = size;
    const auto *begin = static_cast<const uint8_t *>(bytes);
    segments.push_back({plan::SegmentKind::Weight, {begin, begin + size}});
    return id;
  }
  uint32_t floats(const std::vector<float> &values) {
    return constantBytes(plan::DType::F32, int64_t(values.size()),
                         values.data(), values.size() * 4);
  }
  uint32_t weight(const std::vector<uint8_t> &bytes) {
    return constantBytes(plan::DType::U8, int64_t(bytes.size()), bytes.data(),
                         bytes.size());
  }

  /// The index of a segment with a code object.
  uint32_t code(std::vector<uint8_t> bytes) {
    segments.push_back({plan::SegmentKind::Code, std::move(bytes)});
    return uint32_t(segments.size() - 1);
  }

  template <typename Operation>
  void step(Operation operation, std::string origin = "") {
    auto step = std::make_unique<plan::StepT>();
    step->operation.Set(std::move(operation));
    step->origin = std::move(origin);
    function->steps.push_back(std::move(step));
  }

  void require(plan::Relation relation, uint32_t lhs, uint32_t rhs,
               std::string origin = "") {
    auto needed = std::make_unique<plan::RequirementT>();
    needed->relation = relation;
    needed->lhs = lhs, needed->rhs = rhs;
    needed->origin = std::move(origin);
    function->requirements.push_back(std::move(needed));
  }

  /// Writes an artifact with this function; the builder is spent.
  Status write(const std::string &path,
               std::unique_ptr<plan::DecoderT> decoder = nullptr,
               const std::string &tokenizer = "") {
    auto writer = runtime::ArtifactWriter::create(path);
    if (!writer.ok())
      return writer.status();
    for (const auto &[kind, bytes] : segments)
      if (auto index = (*writer)->addSegment(kind, "segment", bytes);
          !index.ok())
        return index.status();
    plan::PlanT plan;
    plan.manifest = std::make_unique<plan::ManifestT>();
    plan.manifest->compiler_version = "test";
    if (!tokenizer.empty()) {
      auto index = (*writer)->addSegment(
          plan::SegmentKind::Tokenizer, "tokenizer.json",
          {reinterpret_cast<const uint8_t *>(tokenizer.data()),
           tokenizer.size()});
      if (!index.ok())
        return index.status();
      plan.manifest->tokenizer_segment = int32_t(*index);
    }
    plan.functions.push_back(std::move(function));
    plan.decoder = std::move(decoder);
    return (*writer)->finish(plan);
  }

  std::unique_ptr<plan::FunctionT> function;
  std::vector<std::pair<plan::SegmentKind, std::vector<uint8_t>>> segments;
};

} // namespace qopt::test

#endif // QOPT_TEST_RUNTIME_FUNCTIONBUILDER_H

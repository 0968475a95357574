// The formats that a user asks for become part of the program here, as one
// operation before each use of a weight. Nothing is computed: codes are made
// when the artifact is written, one weight at a time. What a user may question,
// which weight got which format and why, is a remark.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "lib/Quant/Storage.h"
#include "mlir/IR/Remarks.h"
#include "passes/Quantize/FormatOverrides.h"
#include "passes/Quantize/Passes.h"

#define DEBUG_TYPE "qopt-quantize-weights"

namespace qopt::passes {
#define GEN_PASS_DEF_QUANTIZEWEIGHTSPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

namespace {

/// What a weight is to the model.
enum class Role { Linear, Head, TokenEmbedding, OtherEmbedding };

/// The formats of the options, where given.
struct RoleFormats {
  std::optional<quant::Format> weights, head, embedding, widest;
};

/// One use of a weight of the file.
struct WeightUse {
  WeightUserOpInterface user;
  WeightOp weight;
  Role role;
};

} // namespace

/// True when the result of `op` is returned without passing another weight:
/// what is left between is reshaping, scaling or capping.
static bool reachesReturn(Operation *op) {
  SmallVector<Operation *> work = {op};
  llvm::DenseSet<Operation *> seen;
  while (!work.empty()) {
    for (Operation *user : work.pop_back_val()->getUsers()) {
      if (user->hasTrait<OpTrait::ReturnLike>())
        return true;
      if (!isa<WeightUserOpInterface>(user) && seen.insert(user).second)
        work.push_back(user);
    }
  }
  return false;
}

/// Every use of a weight of the file in the function, with its role.
static SmallVector<WeightUse> collectUses(func::FuncOp function) {
  SmallVector<WeightUse> uses;
  int64_t vocabulary = 0;
  function.walk([&](WeightUserOpInterface user) {
    Value value = user.getWeightOperand().get();
    if (auto weight = value.getDefiningOp<WeightOp>())
      uses.push_back({user, weight, Role::Linear});
    // A table that positions look up is none of tokens, however long it is.
    auto embedding = dyn_cast<EmbeddingOp>(user.getOperation());
    bool byPosition =
        embedding && embedding.getIds().getDefiningOp<PositionsOp>();
    if (user.looksUpRows() && !byPosition)
      vocabulary =
          std::max(vocabulary, cast<WeightType>(value.getType()).getRows());
  });
  for (WeightUse &use : uses) {
    bool wholeVocabulary =
        use.weight.getResult().getType().getRows() == vocabulary;
    auto embedding = dyn_cast<EmbeddingOp>(use.user.getOperation());
    if (embedding && embedding.getIds().getDefiningOp<PositionsOp>())
      use.role = Role::OtherEmbedding;
    else if (use.user.looksUpRows())
      use.role = wholeVocabulary ? Role::TokenEmbedding : Role::OtherEmbedding;
    else if (wholeVocabulary && reachesReturn(use.user))
      use.role = Role::Head;
  }
  return uses;
}

/// True when two operations describe the same array of the file, perhaps under
/// two names.
static bool readsSameBytes(WeightOp a, WeightOp b) {
  return a == b || (isa<DenseResourceElementsAttr>(a.getCodes()) &&
                    a.getCodes() == b.getCodes() &&
                    a.getTransposed() == b.getTransposed());
}

/// The format that the options ask for, or nothing for the file's own.
static std::optional<quant::Format> formatOfRole(const WeightUse &use,
                                                 ArrayRef<WeightUse> uses,
                                                 const RoleFormats &asked) {
  std::optional<quant::Format> head = asked.head ? asked.head : asked.weights;
  switch (use.role) {
  case Role::Linear:
    return asked.weights;
  case Role::Head:
    return head;
  case Role::OtherEmbedding:
    return std::nullopt;
  case Role::TokenEmbedding:
    break;
  }
  bool tied = llvm::any_of(uses, [&](const WeightUse &other) {
    return other.role == Role::Head && readsSameBytes(other.weight, use.weight);
  });
  return asked.embedding || !tied ? asked.embedding : head;
}

/// Lets the use read its weight in another format.
static LogicalResult quantizeUse(WeightUse use, quant::Format format) {
  WeightOp weight = use.weight;
  WeightType type = weight.getResult().getType();
  if (!type.getFormat().isFloat()) {
    remark::missed(weight.getLoc(),
                   remark::RemarkOpts::name("Quantized").category(DEBUG_TYPE))
        << remark::add("\"{0}\" stays as the file quantized it, {1}",
                       weight.getName(), quant::spell(type.getFormat()));
    return success();
  }
  if (int64_t group = quant::groupColumns(format, type.getColumns());
      type.getColumns() % group)
    return weight.emitError()
           << "weight \"" << weight.getName() << "\": the group size " << group
           << " of \"" << quant::spell(format) << "\" does not divide its "
           << type.getColumns()
           << " columns; choose another format for it, for example with the "
              "override \""
           << weight.getName() << "=int8\"";
  OpBuilder builder(use.user);
  Value quantized = QuantizeWeightOp::create(builder, weight.getLoc(),
                                             type.withFormat(format), weight,
                                             Algorithm::RoundToNearest);
  use.user.getWeightOperand().set(quantized);
  remark::passed(weight.getLoc(),
                 remark::RemarkOpts::name("Quantized").category(DEBUG_TYPE))
      << remark::add("\"{0}\" becomes {1}", weight.getName(),
                     quant::spell(format));
  return success();
}

namespace {

struct QuantizeWeights
    : passes::impl::QuantizeWeightsPassBase<QuantizeWeights> {
  using QuantizeWeightsPassBase::QuantizeWeightsPassBase;

  /// Reads one option; an empty one is no format.
  LogicalResult readFormat(StringRef option, const std::string &text,
                           std::optional<quant::Format> &format) {
    if (text.empty())
      return success();
    StatusOr<quant::Format> parsed = quant::parseFormat(text);
    if (!parsed.ok())
      return getOperation().emitError()
             << "option \"" << option << "\": " << parsed.status().message();
    format = *parsed;
    return success();
  }

  /// Whether an option for one role finds a weight that has it.
  bool hasRole(StringRef option, std::optional<quant::Format> format, Role role,
               ArrayRef<WeightUse> uses) {
    if (!format || llvm::any_of(uses, [&](const WeightUse &use) {
          return use.role == role;
        }))
      return true;
    getOperation().emitError()
        << "option \"" << option << "\" is \"" << quant::spell(*format)
        << "\", but the model has no such weight; leave it out";
    return false;
  }

  void runOnOperation() override {
    RoleFormats asked;
    StatusOr<passes::FormatOverrides> named =
        passes::FormatOverrides::parse(llvm::to_vector(overrides));
    if (!named.ok())
      getOperation().emitError() << named.status().message();
    if (!named.ok() || failed(readFormat("weights", weights, asked.weights)) ||
        failed(readFormat("lm-head", lmHead, asked.head)) ||
        failed(readFormat("embedding", embedding, asked.embedding)) ||
        failed(readFormat("widest", widest, asked.widest)))
      return signalPassFailure();

    SmallVector<WeightUse> uses = collectUses(getOperation());
    // Every option and weight that does not fit is reported.
    bool allFit = hasRole("lm-head", asked.head, Role::Head, uses);
    allFit &= hasRole("embedding", asked.embedding, Role::TokenEmbedding, uses);
    for (const WeightUse &use : uses) {
      WeightOp weight = use.weight;
      std::optional<quant::Format> format = named->lookup(weight.getName());
      if (!format)
        format = formatOfRole(use, uses, asked);
      if (!format && weight.getResult().getType().getFormat().element ==
                         quant::ElementType::F32)
        format = asked.widest;
      if (!format || *format == weight.getResult().getType().getFormat())
        continue;
      allFit &= succeeded(quantizeUse(use, *format));
      ++quantized;
    }
    for (StringRef entry : named->unmatched()) {
      getOperation().emitError()
          << "override \"" << entry
          << "\" matches no weight of a linear or embedding";
      allFit = false;
    }
    if (!allFit)
      signalPassFailure();
  }
};

} // namespace

// The formats that a user asks for become part of the program here, as one
// operation before each use of a weight. Nothing is computed: codes are made
// when the artifact is written, one weight at a time. What a user may question,
// which weight got which format and why, is a remark.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/ErrorCode.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "lib/Quant/Storage.h"
#include "mlir/IR/Remarks.h"
#include "passes/Quantize/FormatOption.h"
#include "passes/Quantize/FormatOverrides.h"
#include "passes/Quantize/Passes.h"
#include "llvm/ADT/SetVector.h"
#include <map>
#include <set>

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

namespace {

/// The format that a weight is to have, and the option that says so.
struct Asked {
  quant::Format format;
  std::string option;    ///< as a user writes it: --lm-head int8
  bool byItself = false; ///< the option means this weight, not all of a kind
};

/// A use whose weight gets another format than it has.
struct Change {
  WeightUse use;
  Asked asked;
};

} // namespace

static Asked askedBy(StringRef option, quant::Format format, bool byItself) {
  return {format, (option + " " + quant::spell(format)).str(), byItself};
}

/// What the options for roles ask for, or nothing for the file's own format.
static std::optional<Asked> askedForRole(const WeightUse &use,
                                         ArrayRef<WeightUse> uses,
                                         const RoleFormats &formats) {
  std::optional<Asked> weights, head, embedding;
  if (formats.weights)
    weights = askedBy("--weights", *formats.weights, false);
  head = weights;
  if (formats.head)
    head = askedBy("--lm-head", *formats.head, true);
  if (formats.embedding)
    embedding = askedBy("--embedding", *formats.embedding, true);
  switch (use.role) {
  case Role::Linear:
    return weights;
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
  return embedding || !tied ? embedding : head;
}

/// Names of weights for a message, each once; the first eight of many.
static std::string listNames(ArrayRef<WeightOp> weights) {
  constexpr size_t shown = 8;
  llvm::SetVector<StringRef> names;
  for (WeightOp weight : weights)
    names.insert(weight.getName());
  std::string text;
  for (StringRef name : names.getArrayRef().take_front(shown))
    text += (text.empty() ? "\"" : ", \"") + name.str() + "\"";
  if (names.size() > shown)
    text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

/// Lets the use read its weight in another format.
static void quantizeUse(const Change &change, Algorithm algorithm) {
  WeightOp weight = change.use.weight;
  WeightType type = weight.getResult().getType();
  WeightUserOpInterface user = change.use.user;
  OpBuilder builder(user);
  Value quantized = QuantizeWeightOp::create(
      builder, weight.getLoc(), type.withFormat(change.asked.format), weight,
      change.asked.format.isFloat() ? Algorithm::RoundToNearest : algorithm);
  user.getWeightOperand().set(quantized);
  remark::passed(weight.getLoc(),
                 remark::RemarkOpts::name("Quantized").category(DEBUG_TYPE))
      << remark::add("\"{0}\" becomes {1}", weight.getName(),
                     quant::spell(change.asked.format));
}

namespace {

struct QuantizeWeights
    : passes::impl::QuantizeWeightsPassBase<QuantizeWeights> {
  using QuantizeWeightsPassBase::QuantizeWeightsPassBase;

  LogicalResult readFormat(StringRef option, const std::string &text,
                           std::optional<quant::Format> &format) {
    return passes::readFormat(getOperation(), option, text, format);
  }

  /// Whether an option for one role, or for all without one, finds a weight
  /// that has it.
  bool hasRole(StringRef option, std::optional<quant::Format> format,
               std::optional<Role> role, ArrayRef<WeightUse> uses) {
    if (!format || llvm::any_of(uses, [&](const WeightUse &use) {
          return !role || use.role == role;
        }))
      return true;
    getOperation().emitError()
        << "option \"" << option << "\" is \"" << quant::spell(*format)
        << "\", but the model has no such weight; leave it out";
    return false;
  }

  /// Takes out the weights that the file has quantized already: their codes
  /// are kept. That is an error where an option means this very weight.
  LogicalResult leaveQuantized(SmallVectorImpl<Change> &changes) {
    bool allFit = true;
    SmallVector<WeightOp> left;
    std::set<std::pair<Operation *, std::string>> told; // a weight's uses share
    std::string option;
    llvm::erase_if(changes, [&](Change &change) {
      WeightOp weight = change.use.weight;
      quant::Format format = weight.getResult().getType().getFormat();
      if (format.isFloat())
        return false;
      if (change.asked.byItself) {
        allFit = false;
        if (told.emplace(weight, change.asked.option).second)
          weight.emitError()
              << change.asked.option << ": the file has quantized the weight \""
              << weight.getName() << "\" already, as " << quant::spell(format)
              << "; leave the option out, or compile the model as it was "
                 "before that";
        return true;
      }
      remark::missed(weight.getLoc(),
                     remark::RemarkOpts::name("Quantized").category(DEBUG_TYPE))
          << remark::add("\"{0}\" stays as the file quantized it, {1}",
                         weight.getName(), quant::spell(format));
      left.push_back(weight);
      option = change.asked.option;
      return true;
    });
    if (!left.empty())
      getOperation().emitWarning()
          << option << " leaves weights as the file has quantized them: "
          << listNames(left);
    return success(allFit);
  }

  /// An algorithm by its name, for formats that it has; null behind an error.
  std::optional<Algorithm> readAlgorithm(ArrayRef<Change> changes) {
    std::optional<Algorithm> known = symbolizeAlgorithm(algorithm);
    if (!known)
      getOperation().emitError() << "option \"algorithm\" is \"" << algorithm
                                 << "\"; expected rtn, clip or hqq";
    if (known != Algorithm::HalfQuadratic)
      return known;
    SmallVector<WeightOp> misfits;
    std::string format;
    for (const Change &change : changes)
      if (const quant::Format &asked = change.asked.format;
          !asked.isFloat() && asked.zero != quant::ZeroType::Float) {
        misfits.push_back(change.use.weight);
        format = quant::spell(asked);
      }
    if (misfits.empty())
      return known;
    misfits.front().emitError()
        << "hqq moves zero points by fractions, which \"" << format << "\" of "
        << listNames(misfits)
        << " does not have; choose a format such as int4_asym_g64_zf, or the "
           "algorithm clip";
    return std::nullopt;
  }

  /// Whether linears of the device multiply such weights; rows that are looked
  /// up have any format.
  Status canRead(const Change &change) const {
    const quant::Format &format = change.asked.format;
    WeightUserOpInterface user = change.use.user;
    return device == "host" || format.isFloat() || user.looksUpRows()
               ? Status()
               : kernels::skinny_linear::isValidWeight(format);
  }

  /// One error for all weights of a format that the device does not read, and
  /// one for all of one width that groups do not divide.
  LogicalResult checkFormats(ArrayRef<Change> changes) {
    std::map<std::string, SmallVector<WeightOp>> unread, undivided;
    for (const Change &change : changes) {
      WeightOp weight = change.use.weight;
      // What the device does not read need not divide anything.
      Status read = canRead(change);
      std::string fault = quant::groupFault(
          change.asked.format, weight.getResult().getType().getColumns());
      if (!read.ok())
        unread[read.message()].push_back(weight);
      else if (!fault.empty())
        undivided[fault].push_back(weight);
    }
    for (auto &[fault, weights] : unread)
      withCode(weights.front().emitError(), &getContext(),
               StatusCode::Unsupported)
          << listNames(weights) << ": " << fault;
    for (auto &[fault, weights] : undivided)
      withCode(weights.front().emitError(), &getContext(),
               StatusCode::Infeasible)
          << fault << " of " << listNames(weights)
          << "; choose another format there, for example with --format '"
          << weights.front().getName() << "=int8'";
    return success(unread.empty() && undivided.empty());
  }

  void runOnOperation() override {
    if (device != "host" && device != "cuda") {
      getOperation().emitError()
          << "option \"device\" is \"" << device << "\"; expected host or cuda";
      return signalPassFailure();
    }
    RoleFormats asked;
    StatusOr<passes::FormatOverrides> named =
        passes::FormatOverrides::parse("--format", llvm::to_vector(overrides));
    if (!named.ok())
      getOperation().emitError() << named.status().message();
    if (!named.ok() || failed(readFormat("weights", weights, asked.weights)) ||
        failed(readFormat("lm-head", lmHead, asked.head)) ||
        failed(readFormat("embedding", embedding, asked.embedding)) ||
        failed(readFormat("widest", widest, asked.widest)))
      return signalPassFailure();

    SmallVector<WeightUse> uses = collectUses(getOperation());
    // Every option and weight that does not fit is reported.
    bool allFit = hasRole("weights", asked.weights, std::nullopt, uses);
    allFit &= hasRole("lm-head", asked.head, Role::Head, uses);
    allFit &= hasRole("embedding", asked.embedding, Role::TokenEmbedding, uses);
    SmallVector<Change> changes;
    for (const WeightUse &use : uses) {
      StringRef name = WeightOp(use.weight).getName();
      std::optional<Asked> change = askedForRole(use, uses, asked);
      if (std::optional<quant::Format> format = named->lookup(name))
        change = Asked{*format,
                       "--format '" + (name + "=").str() +
                           quant::spell(*format) + "'",
                       true};
      bool wide = WeightOp(use.weight).getResult().getType().getFormat() ==
                  quant::floatFormat(quant::ElementType::F32);
      if (!change && wide && asked.widest)
        change = Asked{*asked.widest, "the target", false};
      if (change && change->format !=
                        WeightOp(use.weight).getResult().getType().getFormat())
        changes.push_back({use, *change});
    }
    for (StringRef entry : named->unmatched()) {
      getOperation().emitError()
          << "--format \"" << entry
          << "\" matches no weight of a linear or embedding";
      allFit = false;
    }
    for (StringRef entry : named->hidden()) {
      getOperation().emitError()
          << "--format \"" << entry
          << "\" has no effect: all that it matches, an earlier one matches "
             "too; put it before that or leave it out";
      allFit = false;
    }
    allFit &= succeeded(leaveQuantized(changes));
    allFit &= succeeded(checkFormats(changes));
    std::optional<Algorithm> chosen = readAlgorithm(changes);
    if (!allFit || !chosen)
      return signalPassFailure();
    for (const Change &change : changes)
      quantizeUse(change, *chosen);
  }
};

} // namespace

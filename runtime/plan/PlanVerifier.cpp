// Checks a plan's own rules, once, when an artifact is opened.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/plan/PlanVerifier.h"

#include "lib/Quant/Element.h"
#include "runtime/plan/EvidenceFormat.h"
#include "runtime/plan/PlanFormat.h"
#include "runtime/plan/StepOperands.h"

#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::runtime {
namespace {

Status bad(const std::string &text) {
  return Status(StatusCode::BadArtifact, text);
}

template <typename Vector> uint32_t sizeOf(const Vector *vector) {
  return vector ? vector->size() : 0;
}

template <typename Enum> bool known(Enum value) {
  return value >= Enum::MIN && value <= Enum::MAX;
}

bool knownFormat(const plan::Format *format) {
  if (!format)
    return true;
  bool grouped = format->granularity() == plan::Granularity::Group ||
                 format->granularity() == plan::Granularity::Block;
  if (!known(format->element()))
    return false;
  const quant::Element &element =
      quant::elementOf(quant::ElementType(format->element()));
  return known(format->granularity()) && known(format->zero()) &&
         known(format->scale()) && known(format->range()) &&
         grouped == (format->group() > 0) &&
         element.isFloat ==
             (format->granularity() == plan::Granularity::None) &&
         (element.isInteger() || format->zero() == plan::ZeroPoint::None) &&
         quant::formatFault(toFormat(*format)).empty();
}

/// Whether a weight's bytes can be counted in 64 bits, whatever its format.
bool isCountable(uint64_t rows, uint64_t columns) {
  constexpr uint64_t most = uint64_t(1) << 48;
  return rows > 0 && columns > 0 && rows <= most / columns;
}

bool isCode(const plan::Plan &plan, uint32_t segment) {
  return segment < sizeOf(plan.segments()) &&
         plan.segments()->Get(segment)->kind() == plan::SegmentKind::Code;
}

/// The rules of a launch: ids in range, what only a decoder has, and variants
/// that leave no size out.
class LaunchVerifier {
public:
  LaunchVerifier(const plan::Plan &plan, const plan::Function &function)
      : plan(plan), function(function) {}

  bool verify(const plan::Launch &launch) const {
    if (!hasSymbol(launch.size()) || sizeOf(launch.variants()) == 0 ||
        launch.counter_bytes() % 4 != 0 ||
        (launch.until() && launch.until() <= launch.after()))
      return false;
    for (uint32_t i = 0; i < sizeOf(launch.variants()); ++i)
      if (!verifyVariant(*launch.variants()->Get(i)))
        return false;
    for (uint32_t i = 0; i < sizeOf(launch.arguments()); ++i)
      if (!verifyArgument(*launch.arguments()->Get(i), launch))
        return false;
    return !launch.check() || verifyCheck(*launch.check());
  }

private:
  bool hasSymbol(uint32_t id) const { return id < sizeOf(function.symbols()); }

  bool verifyVariant(const plan::Variant &variant) const {
    uint32_t rank = sizeOf(variant.grid());
    if (!isCode(plan, variant.segment()) || rank == 0 || rank > 3 ||
        variant.block() == 0 || variant.block() > 1024)
      return false;
    for (uint32_t size : *variant.grid())
      if (!hasSymbol(size))
        return false;
    return true;
  }

  bool verifyCheck(const plan::IndexCheck &check) const {
    for (uint32_t i = 0; i < sizeOf(check.limits()); ++i)
      if (!hasSymbol(check.limits()->Get(i)))
        return false;
    return sizeOf(check.limits()) > 0;
  }

  bool verifyArgument(const plan::Argument &argument,
                      const plan::Launch &launch) const {
    bool decoder = function.kind() == plan::FunctionKind::Decoder;
    switch (argument.kind()) {
    case plan::ArgumentKind::Value:
      return true; // the step's operands are checked as those of any other
    case plan::ArgumentKind::Symbol:
    case plan::ArgumentKind::Size:
      return hasSymbol(argument.index());
    case plan::ArgumentKind::IndexReport:
      return launch.check() != nullptr;
    case plan::ArgumentKind::Counters:
      return argument.index() < launch.counter_bytes() &&
             argument.index() % 4 == 0;
    case plan::ArgumentKind::CachePages:
      return decoder && plan.decoder() &&
             argument.index() < sizeOf(plan.decoder()->layers());
    default:
      return decoder && known(argument.kind());
    }
  }

  const plan::Plan &plan;
  const plan::Function &function;
};

/// One function's rules. `written` grows with the steps: a step may read what
/// an earlier one wrote.
class FunctionVerifier {
public:
  FunctionVerifier(const plan::Plan &plan, const plan::Function &function)
      : plan(plan), function(function) {}

  Status verify() {
    if (!known(function.kind()))
      return fail("its kind is unknown");
    // A decoder's steps read the state that only the plan's decoder has.
    if (isDecoder() &&
        (!plan.decoder() ||
         plan.functions()->Get(plan.decoder()->function()) != &function))
      return fail("it is a decoder, but not the plan's");
    if (isEncoder() &&
        (!plan.decoder() || plan.decoder()->encoder() < 0 ||
         uint32_t(plan.decoder()->encoder()) >= plan.functions()->size() ||
         plan.functions()->Get(uint32_t(plan.decoder()->encoder())) !=
             &function))
      return fail("it encodes sources, but not those of the plan's decoder");
    QOPT_RETURN_IF_ERROR(verifySymbols());
    QOPT_RETURN_IF_ERROR(verifyValues());
    QOPT_RETURN_IF_ERROR(
        verifySignature(function.inputs(), plan::Storage::Input));
    QOPT_RETURN_IF_ERROR(
        verifySignature(function.outputs(), plan::Storage::Output));
    QOPT_RETURN_IF_ERROR(verifyRequirements());
    return verifySteps();
  }

private:
  Status fail(const std::string &what) const {
    return bad("function '" + function.name()->str() + "': " + what);
  }
  bool hasSymbol(uint32_t id) const { return id < sizeOf(function.symbols()); }
  bool hasValue(uint32_t id) const { return id < sizeOf(function.values()); }
  bool hasSymbols(const flatbuffers::Vector<uint32_t> *ids) const {
    if (ids)
      for (uint32_t id : *ids)
        if (!hasSymbol(id))
          return false;
    return true;
  }

  bool verifyInputDim(const plan::Symbol &symbol) const {
    if (symbol.lhs() >= sizeOf(function.inputs()))
      return false;
    uint32_t value = function.inputs()->Get(symbol.lhs());
    return hasValue(value) &&
           symbol.rhs() < sizeOf(function.values()->Get(value)->shape());
  }

  bool verifySymbol(uint32_t id) const {
    const plan::Symbol &symbol = *function.symbols()->Get(id);
    bool decoder = function.kind() == plan::FunctionKind::Decoder;
    switch (symbol.kind()) {
    case plan::SymbolKind::Const:
      return true;
    case plan::SymbolKind::InputDim:
      return !decoder && verifyInputDim(symbol);
    case plan::SymbolKind::Tokens:
    case plan::SymbolKind::Sequences:
    case plan::SymbolKind::LogitRows:
      return decoder;
    default:
      return known(symbol.kind()) && symbol.lhs() < id && symbol.rhs() < id;
    }
  }

  Status verifySymbols() const {
    for (uint32_t id = 0; id < sizeOf(function.symbols()); ++id)
      if (!verifySymbol(id))
        return fail("symbol " + std::to_string(id) + " is not valid");
    return {};
  }

  Status verifyRequirements() const {
    for (uint32_t i = 0; i < sizeOf(function.requirements()); ++i) {
      const plan::Requirement &needed = *function.requirements()->Get(i);
      if (!known(needed.relation()) || !hasSymbol(needed.lhs()) ||
          !hasSymbol(needed.rhs()))
        return fail("requirement " + std::to_string(i) + " is not valid");
    }
    return {};
  }

  /// The bytes of a value whose sizes no input decides; nothing for any other.
  std::optional<int64_t> constantBytes(const plan::Value &value) const {
    int64_t bytes = bytesOf(value.dtype());
    for (uint32_t i = 0; i < sizeOf(value.shape()); ++i) {
      const plan::Symbol &size =
          *function.symbols()->Get(value.shape()->Get(i));
      if (size.kind() != plan::SymbolKind::Const || size.value() < 0 ||
          __builtin_mul_overflow(bytes, size.value(), &bytes))
        return std::nullopt;
    }
    return bytes;
  }

  /// A constant lies inside its segment and has the size that its shape says.
  bool verifyConstant(const plan::Value &value) const {
    if (value.index() >= sizeOf(plan.segments()) || value.quantized() ||
        value.offset() % 64 != 0)
      return false;
    uint64_t size = plan.segments()->Get(value.index())->size();
    std::optional<int64_t> expected = constantBytes(value);
    return expected && uint64_t(*expected) == value.bytes() &&
           value.offset() <= size && value.bytes() <= size - value.offset();
  }

  /// Activations with one scale of all rows have it, others have none.
  static bool hasItsScale(const plan::Value &value) {
    float scale = value.quantized_scale();
    return value.quantized() && toFormat(*value.quantized()).granularity ==
                                    quant::Granularity::Tensor
               ? std::isfinite(scale) && scale > 0
               : scale == 0;
  }

  bool verifyStorage(uint32_t id, const plan::Value &value) const {
    switch (value.storage()) {
    case plan::Storage::Input:
      return value.index() < sizeOf(function.inputs()) &&
             function.inputs()->Get(value.index()) == id;
    case plan::Storage::Output:
      return value.index() < sizeOf(function.outputs()) &&
             function.outputs()->Get(value.index()) == id;
    case plan::Storage::Arena:
      return true;
    case plan::Storage::Constant:
      return verifyConstant(value);
    case plan::Storage::Alias:
      return value.index() < id && value.offset() <= UINT32_MAX &&
             hasSymbol(uint32_t(value.offset()));
    }
    return false;
  }

  Status verifyValues() {
    roots.resize(sizeOf(function.values()));
    for (uint32_t id = 0; id < roots.size(); ++id) {
      const plan::Value &value = *function.values()->Get(id);
      bool strided = value.row_elements() > 0;
      if (!known(value.dtype()) || !knownFormat(value.quantized()) ||
          !hasItsScale(value) ||
          (strided &&
           (value.storage() != plan::Storage::Alias ||
            value.row_stride() < value.row_elements() || value.quantized())) ||
          !hasSymbols(value.shape()) || sizeOf(value.shape()) > 8 ||
          !verifyStorage(id, value))
        return fail("value " + std::to_string(id) + " is not valid");
      roots[id] =
          value.storage() == plan::Storage::Alias ? roots[value.index()] : id;
    }
    return {};
  }

  Status verifySignature(const flatbuffers::Vector<uint32_t> *ids,
                         plan::Storage storage) const {
    for (uint32_t i = 0; i < sizeOf(ids); ++i) {
      uint32_t id = ids->Get(i);
      if (!hasValue(id) || function.values()->Get(id)->storage() != storage ||
          function.values()->Get(id)->index() != i)
        return fail(std::string(plan::EnumNameStorage(storage)) + " " +
                    std::to_string(i) + " is not valid");
    }
    return {};
  }

  bool verifyAttributes(const plan::Step &step) const {
    switch (step.operation_type()) {
    case plan::Operation::Linear:
      return isCountable(step.operation_as_Linear()->n(),
                         step.operation_as_Linear()->k()) &&
             step.operation_as_Linear()->format() &&
             knownFormat(step.operation_as_Linear()->format()) &&
             known(step.operation_as_Linear()->layout());
    case plan::Operation::Embedding:
      return isCountable(step.operation_as_Embedding()->rows(),
                         step.operation_as_Embedding()->columns()) &&
             step.operation_as_Embedding()->format() &&
             knownFormat(step.operation_as_Embedding()->format()) &&
             known(step.operation_as_Embedding()->layout());
    case plan::Operation::Activation:
      return known(step.operation_as_Activation()->kind());
    case plan::Operation::GatedActivation:
      return known(step.operation_as_GatedActivation()->kind());
    case plan::Operation::Positions:
    case plan::Operation::SelectRows:
      return isDecoder();
    case plan::Operation::KvAppend:
      return (isDecoder() || isEncoder()) &&
             hasLayer(step.operation_as_KvAppend()->layer(), isEncoder());
    case plan::Operation::CachedAttention:
      return isDecoder() &&
             hasLayer(step.operation_as_CachedAttention()->layer(),
                      step.operation_as_CachedAttention()->source());
    case plan::Operation::Generated:
      return verifyGenerated(*step.operation_as_Generated());
    case plan::Operation::RotaryAppend:
      return isDecoder() &&
             hasLayer(step.operation_as_RotaryAppend()->layer(), false);
    case plan::Operation::Launch:
      return LaunchVerifier(plan, function).verify(*step.operation_as_Launch());
    case plan::Operation::CheckIndices:
      return sizeOf(step.operation_as_CheckIndices()->limits()) > 0 &&
             hasSymbols(step.operation_as_CheckIndices()->limits());
    case plan::Operation::Copy:
      return verifyCopy(*step.operation_as_Copy());
    default:
      return step.operation_type() != plan::Operation::NONE &&
             known(step.operation_type()) && step.operation();
    }
  }

  bool isDecoder() const {
    return function.kind() == plan::FunctionKind::Decoder;
  }
  bool isEncoder() const {
    return function.kind() == plan::FunctionKind::Encoder;
  }
  /// Whether it is a layer of sources, or of the sequences themselves.
  bool hasLayer(uint32_t layer, bool source) const {
    return plan.decoder() && layer < sizeOf(plan.decoder()->layers()) &&
           plan.decoder()->layers()->Get(layer)->source() == source;
  }
  bool verifyGenerated(const plan::Generated &generated) const {
    return isCode(plan, generated.segment()) &&
           hasSymbols(generated.indices()) && hasSymbol(generated.extent());
  }
  bool verifyCopy(const plan::Copy &copy) const {
    uint32_t rank = sizeOf(copy.shape());
    return rank <= 8 && sizeOf(copy.x_strides()) == rank &&
           sizeOf(copy.y_strides()) == rank && hasSymbols(copy.shape()) &&
           hasSymbols(copy.x_strides()) && hasSymbols(copy.y_strides()) &&
           hasSymbol(copy.x_offset()) && hasSymbol(copy.y_offset());
  }

  Status verifySteps() const {
    std::vector<bool> written(roots.size());
    for (uint32_t i = 0; i < sizeOf(function.steps()); ++i) {
      const plan::Step &step = *function.steps()->Get(i);
      auto failStep = [&](const char *what) {
        return fail("step " + std::to_string(i) + " (" + describe(step) + ") " +
                    what);
      };
      // The table must be there before operands are read from it.
      bool always = step.use() == plan::StepUse::Always;
      if (!known(step.operation_type()) || !step.operation() ||
          !known(step.use()) || (!always && !isDecoder()) ||
          !verifyAttributes(step))
        return failStep("is not valid");
      std::vector<StepOperand> operands = operandsOf(step);
      for (StepOperand operand : operands) {
        if (!hasValue(operand.value))
          return failStep("names a value that does not exist");
        plan::Storage storage = rootStorage(operand.value);
        bool planned =
            storage == plan::Storage::Arena || storage == plan::Storage::Output;
        if (operand.access == Access::Write && !planned)
          return failStep("writes to an input or a constant");
        if (operand.access == Access::Read && planned &&
            !written[roots[operand.value]])
          return failStep("reads what no step has written");
      }
      // What a step writes that may not run is for the caller alone.
      for (StepOperand operand : operands)
        if (operand.access == Access::Write &&
            (always || rootStorage(operand.value) == plan::Storage::Output))
          written[roots[operand.value]] = true;
    }
    for (uint32_t i = 0; i < sizeOf(function.outputs()); ++i)
      if (!written[function.outputs()->Get(i)])
        return fail("no step writes output " + std::to_string(i));
    return {};
  }

  plan::Storage rootStorage(uint32_t value) const {
    return function.values()->Get(roots[value])->storage();
  }

  const plan::Plan &plan;
  const plan::Function &function;
  std::vector<uint32_t> roots; ///< the value an alias finally lies in
};

Status verifyTokens(const plan::Decoder &decoder) {
  auto check = [&](const char *name, int64_t token, int64_t least) {
    if (token >= least && token < int64_t(decoder.vocabulary()))
      return Status();
    return bad(std::string("the decoder's ") + name + " is " +
               std::to_string(token) + ", outside its vocabulary of " +
               std::to_string(decoder.vocabulary()));
  };
  QOPT_RETURN_IF_ERROR(check("begin token", decoder.begin_token(), -1));
  for (uint32_t i = 0; i < sizeOf(decoder.end_tokens()); ++i)
    QOPT_RETURN_IF_ERROR(check("end token", decoder.end_tokens()->Get(i), 0));
  return {};
}

/// Layers of sources are filled by a function of the plan, and only they.
Status verifyEncoder(const plan::Plan &plan) {
  const plan::Decoder &decoder = *plan.decoder();
  constexpr uint32_t longestSource = 1 << 24;
  bool hasSources = false;
  for (uint32_t i = 0; i < sizeOf(decoder.layers()); ++i)
    hasSources |= decoder.layers()->Get(i)->source();
  if (!hasSources && decoder.encoder() < 0 && decoder.source() == 0)
    return {};
  if (!hasSources || decoder.encoder() < 0 ||
      uint32_t(decoder.encoder()) >= sizeOf(plan.functions()) ||
      decoder.source() == 0 || decoder.source() > longestSource)
    return bad("the decoder's layers of sources and its encoder do not fit");
  const plan::Function &encoder =
      *plan.functions()->Get(uint32_t(decoder.encoder()));
  if (encoder.kind() != plan::FunctionKind::Encoder ||
      sizeOf(encoder.outputs()) != 0)
    return bad("the decoder's encoder has the wrong signature");
  return {};
}

Status verifyDecoder(const plan::Plan &plan) {
  const plan::Decoder &decoder = *plan.decoder();
  const plan::Function &function = *plan.functions()->Get(decoder.function());
  uint32_t outputs = sizeOf(function.outputs());
  if (function.kind() != plan::FunctionKind::Decoder ||
      sizeOf(function.inputs()) != 1 || outputs < 1 || outputs > 2)
    return bad("the decoder's function has the wrong signature");
  constexpr uint32_t longestContext = 1 << 24, mostTokens = 1 << 30;
  if (decoder.page() == 0 || decoder.page() > 4096 || decoder.context() == 0 ||
      decoder.context() > longestContext || decoder.vocabulary() == 0 ||
      decoder.vocabulary() > mostTokens || decoder.step_tokens() > mostTokens)
    return bad("the decoder's page, context or vocabulary is out of range");
  QOPT_RETURN_IF_ERROR(verifyTokens(decoder));
  constexpr uint32_t mostLayers = 1 << 16, mostChannels = 1 << 24;
  if (sizeOf(decoder.layers()) > mostLayers)
    return bad("the decoder has more than " + std::to_string(mostLayers) +
               " cache layers");
  for (uint32_t i = 0; i < sizeOf(decoder.layers()); ++i) {
    const plan::CacheLayer &layer = *decoder.layers()->Get(i);
    if (layer.kv_heads() == 0 || layer.key_size() == 0 ||
        layer.value_size() == 0 ||
        layer.kv_heads() > mostChannels / layer.key_size() ||
        layer.kv_heads() > mostChannels / layer.value_size() || !layer.key() ||
        !layer.value() || !knownFormat(layer.key()) ||
        !knownFormat(layer.value()))
      return bad("cache layer " + std::to_string(i) + " is not valid");
  }
  return verifyEncoder(plan);
}

Status verifyManifest(const plan::Plan &plan) {
  const plan::Manifest &manifest = *plan.manifest();
  auto hasSegment = [&](int64_t index) {
    return index < int64_t(sizeOf(plan.segments()));
  };
  if (!hasSegment(manifest.tokenizer_segment()))
    return bad("the tokenizer's segment does not exist");
  for (uint32_t i = 0; i < sizeOf(manifest.weights()); ++i) {
    const plan::WeightRecord &weight = *manifest.weights()->Get(i);
    if (!hasSegment(weight.segment()) || !known(weight.layout()) ||
        !weight.format() || !knownFormat(weight.format()))
      return bad("weight record " + std::to_string(i) + " is not valid");
  }
  for (uint32_t i = 0; i < sizeOf(manifest.kernels()); ++i)
    if (!isCode(plan, manifest.kernels()->Get(i)->segment()))
      return bad("kernel record " + std::to_string(i) + " is not valid");
  return manifest.validation() ? verifyValidation(*manifest.validation())
                               : Status();
}

} // namespace

Status verifyPlan(const plan::Plan &plan) {
  if (!plan.manifest())
    return bad("the plan has no manifest");
  for (uint32_t i = 0; i < sizeOf(plan.segments()); ++i)
    if (!known(plan.segments()->Get(i)->kind()))
      return bad("segment " + std::to_string(i) + " is of an unknown kind");
  QOPT_RETURN_IF_ERROR(verifyManifest(plan));
  if (plan.decoder() && plan.decoder()->function() >= sizeOf(plan.functions()))
    return bad("the decoder names a function that does not exist");
  std::set<std::string_view> names; // a session chooses by name
  for (uint32_t i = 0; i < sizeOf(plan.functions()); ++i) {
    const plan::Function &function = *plan.functions()->Get(i);
    if (!names.insert(function.name()->string_view()).second)
      return bad("two functions are called \"" + function.name()->str() + "\"");
    QOPT_RETURN_IF_ERROR(FunctionVerifier(plan, function).verify());
  }
  return plan.decoder() ? verifyDecoder(plan) : Status();
}

} // namespace qopt::runtime

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CacheOption.h"
#include "lib/Quant/VectorCodes.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <utility>

using namespace llvm;

namespace qopt::driver {

namespace {
/// Says of `--kv` what is wrong with it.
struct Refusal {
  const CompileOptions &options;
  std::string option = "--kv", given = options.cache;
  Status operator()(StatusCode code, const std::string &why) const {
    return {code, option + " is \"" + given + "\"; " + why};
  }
};
} // namespace

/// `recent=N`, `first=N` or `before_rotary`.
static bool readWord(StringRef part, CacheOption &option) {
  if (part == "before_rotary")
    return !std::exchange(option.beforeRotary, true);
  int64_t *number = part.consume_front("recent=")  ? &option.recent
                    : part.consume_front("first=") ? &option.first
                                                   : nullptr;
  return number && *number == 0 && !part.getAsInteger(10, *number) &&
         *number > 0;
}

static Status checkPositions(const CacheOption &option, int64_t group,
                             const Refusal &refuse) {
  auto number = [](int64_t n) { return std::to_string(n); };
  if (option.recent % 32 != 0 || option.first % 16 != 0)
    return refuse(StatusCode::InvalidArgument,
                  "expected a multiple of 32 latest and of 16 first positions");
  if (option.first && !option.recent)
    return refuse(StatusCode::InvalidArgument,
                  "first positions are kept beside latest ones; add recent=32");
  if (option.recent && option.recent < group)
    return refuse(StatusCode::InvalidArgument,
                  "keys in groups of " + number(group) +
                      " positions have that many latest ones at least; got " +
                      number(option.recent));
  return {};
}

static Status checkFormats(const quant::Format &key, const quant::Format &value,
                           const Refusal &refuse) {
  if (quant::isVectorGroupFormat(key) && key.groupSize % 32 != 0)
    return refuse(StatusCode::InvalidArgument,
                  "a group of keys is of " + std::to_string(key.groupSize) +
                      " positions; expected a multiple of 32");
  for (const quant::Format &format : {key, value})
    if (!quant::isVectorFormat(format) && !quant::isVectorGroupFormat(format))
      return refuse(StatusCode::Unsupported,
                    "a cache is kept in f32, f16, bf16, int8, int4 or "
                    "fp8_e4m3, and in integers with groups (\"int4_g32,f16\")");
  return {};
}

/// Why a GPU's attention reads no such cache; empty where it does. A format
/// without scales is multiplied by queries as it lies there.
static std::string whyNoGpuCache(const CompileOptions &options,
                                 const quant::Format &format) {
  bool bf16 = StringRef(options.activations).starts_with("bf16");
  auto type = bf16 ? quant::ElementType::BF16 : quant::ElementType::F16;
  if (!format.isFloat() || format.element == type)
    return "";
  std::string activation = bf16 ? "bf16" : "f16", given = quant::spell(format);
  std::string way = given == "f32" ? "" : "; or give --activations " + given;
  return "with activations in " + activation +
         " a GPU keeps keys and values in " + activation +
         ", int8, int4 or fp8_e4m3, or in integers with groups" + way;
}

/// What the kernels of one target lack, and what the host does not have in the
/// order of a GPU's sums.
static Status checkTarget(const CacheOption &option, const quant::Format &key,
                          const quant::Format &value, const Refusal &refuse) {
  if (refuse.options.target != TargetDevice::Cuda &&
      refuse.options.sumOrder.empty())
    return {};
  if (option.beforeRotary)
    return refuse(StatusCode::Unsupported,
                  "keys ahead of their rotation are read by the host alone, "
                  "in its own order of sums; leave before_rotary out");
  if (option.recent && !refuse.options.sumOrder.empty())
    return refuse(StatusCode::Unsupported,
                  "latest positions have no order of a GPU's sums on the host");
  for (const quant::Format &format : {key, value})
    if (std::string why = whyNoGpuCache(refuse.options, format); !why.empty())
      return refuse(StatusCode::Unsupported, why);
  return {};
}

/// The checks of --kv, of keys or values alone.
static Status checkPart(const CacheOption &option, CachePart part,
                        const quant::Format &format, const Refusal &refuse) {
  bool bf16 = StringRef(refuse.options.activations).starts_with("bf16");
  quant::Format other = quant::floatFormat(bf16 ? quant::ElementType::BF16
                                                : quant::ElementType::F16);
  const quant::Format &key = part == CachePart::Keys ? format : other;
  const quant::Format &value = part == CachePart::Keys ? other : format;
  QOPT_RETURN_IF_ERROR(checkFormats(key, value, refuse));
  QOPT_RETURN_IF_ERROR(checkPositions(option, key.groupSize, refuse));
  return checkTarget(option, key, value, refuse);
}

std::vector<std::string> namedCacheCandidates(const CompileOptions &options) {
  if (!options.cacheCandidates.empty())
    return options.cacheCandidates;
  bool bf16 = StringRef(options.activations).starts_with("bf16");
  return {"int4_asym_g32_zf", "int4", "int8", bf16 ? "bf16" : "f16"};
}

Status checkCacheFormat(const CompileOptions &options, CachePart part,
                        const quant::Format &format) {
  Refusal refuse{options, "--kv-candidates", quant::spell(format)};
  return checkPart(CacheOption(), part, format, refuse);
}

std::vector<quant::Format> cacheCandidates(const CompileOptions &options,
                                           CachePart part) {
  std::vector<quant::Format> formats;
  for (const std::string &name : namedCacheCandidates(options)) {
    auto format = quant::parseFormat(name);
    if (format.ok() && checkCacheFormat(options, part, *format).ok())
      formats.push_back(*format);
  }
  return formats;
}

/// The checks of formats that --kv has, for each of --kv-format. Names and
/// patterns are the pass's to read, which knows the layers.
static Status checkLayers(const CompileOptions &options,
                          const CacheOption &option) {
  for (const std::string &entry : options.cacheFormats) {
    auto [name, format] = StringRef(entry).rsplit('=');
    Refusal refuse{options, "--kv-format", entry};
    if (name.empty() || format.empty())
      return refuse(StatusCode::InvalidArgument,
                    "expected cache.LAYER.key=FORMAT, cache.LAYER.value=FORMAT "
                    "or re:PATTERN=FORMAT");
    auto parsed = quant::parseFormat(format.str());
    if (!parsed.ok())
      return refuse(parsed.status().code(), parsed.status().message());
    // A pattern may mean both.
    (void)name.consume_back("$");
    if (!name.ends_with("value"))
      QOPT_RETURN_IF_ERROR(checkPart(option, CachePart::Keys, *parsed, refuse));
    if (!name.ends_with("key"))
      QOPT_RETURN_IF_ERROR(
          checkPart(option, CachePart::Values, *parsed, refuse));
  }
  return {};
}

/// What --kv says of all layers.
static StatusOr<CacheOption> parseCache(const CompileOptions &options) {
  CacheOption option;
  if (options.cache.empty())
    return option;
  Refusal refuse{options};
  SmallVector<StringRef> parts;
  StringRef(options.cache).split(parts, ',');
  option.keys = option.values = parts.front().str();
  bool good = !option.keys.empty();
  for (size_t i = 1; i < parts.size(); ++i) {
    if (i == 1 && !parts[i].contains('=') && parts[i] != "before_rotary")
      option.values = parts[i].str();
    else
      good &= readWord(parts[i], option);
  }
  if (!good || option.values.empty())
    return refuse(
        StatusCode::InvalidArgument,
        "expected a format, or one of keys and one of values with a "
        "comma between, and recent=N, first=N and before_rotary behind "
        "them");
  StatusOr<quant::Format> key = quant::parseFormat(option.keys);
  StatusOr<quant::Format> value = quant::parseFormat(option.values);
  for (const auto &format : {key, value})
    if (!format.ok())
      return Status(format.status().code(),
                    "--kv: " + format.status().message());
  QOPT_RETURN_IF_ERROR(checkFormats(*key, *value, refuse));
  QOPT_RETURN_IF_ERROR(checkPositions(option, key->groupSize, refuse));
  QOPT_RETURN_IF_ERROR(checkTarget(option, *key, *value, refuse));
  return option;
}

StatusOr<CacheOption> parseCacheOption(const CompileOptions &options) {
  StatusOr<CacheOption> option = parseCache(options);
  if (option.ok())
    QOPT_RETURN_IF_ERROR(checkLayers(options, *option));
  return option;
}

} // namespace qopt::driver

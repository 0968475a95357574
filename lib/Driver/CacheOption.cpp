// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CacheOption.h"
#include "lib/Quant/CacheFormat.h"
#include "lib/Quant/VectorCodes.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

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

/// What a layer's keys or values say, and of what they do not say what --kv
/// says of all.
static CacheOption ofLayer(CacheOption all, const quant::CacheFormat &own) {
  all.recent = own.recent.value_or(all.recent);
  all.first = own.first.value_or(all.recent ? all.first : 0);
  all.beforeRotary |= own.beforeRotary;
  return all;
}

/// The checks of --kv, of keys or values alone.
static Status checkPart(const CacheOption &all, CachePart part,
                        const quant::CacheFormat &own, const Refusal &refuse) {
  const quant::Format &format = own.format;
  CacheOption option = ofLayer(all, own);
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
    return quant::joinCacheWords(options.cacheCandidates);
  bool bf16 = StringRef(options.activations).starts_with("bf16");
  return {"int4_asym_g32_zf", "int4", "int8", bf16 ? "bf16" : "f16"};
}

Status checkCacheFormat(const CompileOptions &options, CachePart part,
                        const quant::CacheFormat &format) {
  Refusal refuse{options, "--kv-candidates", quant::spell(format)};
  if (format.beforeRotary)
    return refuse(StatusCode::Unsupported,
                  "whether keys are stored ahead of their rotation is no "
                  "choice of a budget; give it as --kv or --kv-format");
  return checkPart(CacheOption(), part, format, refuse);
}

std::vector<quant::CacheFormat> cacheCandidates(const CompileOptions &options,
                                                CachePart part) {
  std::vector<quant::CacheFormat> formats;
  for (const std::string &name : namedCacheCandidates(options)) {
    auto format = quant::parseCacheFormat(name);
    if (format.ok() && checkCacheFormat(options, part, *format).ok())
      formats.push_back(*format);
  }
  return formats;
}

/// The checks of formats that --kv has, of an entry of --kv-format. Names and
/// patterns are the pass's to read, which knows the layers.
static Status checkLayer(const CacheOption &all, StringRef entry,
                         const Refusal &refuse) {
  auto [name, format] =
      entry.take_front(quant::cacheWordsOf(entry)).rsplit('=');
  if (name.empty() || format.empty())
    return refuse(StatusCode::InvalidArgument,
                  "expected cache.LAYER.key=FORMAT, cache.LAYER.value=FORMAT "
                  "or re:PATTERN=FORMAT, and recent=N, first=N and "
                  "before_rotary behind it with commas between");
  auto parsed = quant::parseCacheFormat(entry.drop_front(name.size() + 1));
  if (!parsed.ok())
    return refuse(parsed.status().code(), parsed.status().message());
  // A pattern may mean both.
  (void)name.consume_back("$");
  if (name.ends_with("value") && parsed->beforeRotary)
    return refuse(StatusCode::InvalidArgument,
                  "values are not rotated; before_rotary is for keys");
  if (!name.ends_with("value"))
    QOPT_RETURN_IF_ERROR(checkPart(all, CachePart::Keys, *parsed, refuse));
  if (!name.ends_with("key"))
    QOPT_RETURN_IF_ERROR(checkPart(all, CachePart::Values, *parsed, refuse));
  return {};
}

StatusOr<CacheOption> parseCacheOfAll(const CompileOptions &options) {
  CacheOption option;
  if (options.cache.empty())
    return option;
  Refusal refuse{options};
  quant::CacheFormat words;
  SmallVector<StringRef> parts;
  StringRef(options.cache).split(parts, ',');
  option.keys = option.values = parts.front().str();
  bool good = !option.keys.empty();
  for (size_t i = 1; i < parts.size(); ++i) {
    if (i == 1 && !parts[i].contains('=') && parts[i] != "before_rotary")
      option.values = parts[i].str();
    else
      good &= quant::readCacheWord(parts[i], words);
  }
  good &= words.recent != 0 && words.first != 0;
  option = ofLayer(option, words);
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

std::string cacheOverride(const CompileOptions &options,
                          const PlannedCache &cache) {
  // What is wrong with it is said elsewhere.
  StatusOr<CacheOption> parsed = parseCacheOfAll(options);
  CacheOption all = parsed.ok() ? *parsed : CacheOption();
  quant::CacheFormat own{*quant::parseFormat(cache.chosen.format)};
  if (cache.chosen.recent != all.recent)
    own.recent = cache.chosen.recent;
  if (cache.chosen.first != (cache.chosen.recent ? all.first : 0))
    own.first = cache.chosen.first;
  own.beforeRotary = cache.isBeforeRotary && !all.beforeRotary;
  return cache.name + "=" + quant::spell(own);
}

StatusOr<CacheOption> parseCacheOption(const CompileOptions &options) {
  StatusOr<CacheOption> option = parseCacheOfAll(options);
  if (!option.ok())
    return option;
  for (const std::string &entry : options.cacheFormats)
    QOPT_RETURN_IF_ERROR(
        checkLayer(*option, entry, Refusal{options, "--kv-format", entry}));
  return option;
}

} // namespace qopt::driver

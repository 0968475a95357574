// The chain and the table of decoders; the steps themselves are in
// DecodeSteps.cpp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Decoder.h"
#include "runtime/Tokenizer/DecodeSteps.h"
#include "runtime/Tokenizer/Metaspace.h"
#include "runtime/Tokenizer/PartTable.h"
#include "runtime/Tokenizer/Utf8.h"

namespace qopt::runtime {

using nlohmann::json;

namespace {

/// The end of every chain.
class Collector : public DecodeStep {
public:
  void chunk(std::string_view text) override { collected += text; }
  void endToken() override {}
  void finish() override {}

  std::string collected;
};

using Made = StatusOr<std::vector<DecodeStepMaker>>;

template <typename Step> Made makePlain(const Part &, const json &) {
  return Made({[] { return std::make_unique<Step>(); }});
}

Made makeStrip(const Part &part, const json &) {
  std::string content;
  std::uint32_t start = 0, stop = 0;
  QOPT_RETURN_IF_ERROR(part.read("content", content));
  if (countCharacters(content) != 1)
    return part.wrong("content", "one character");
  QOPT_RETURN_IF_ERROR(part.readOptional("start", start));
  QOPT_RETURN_IF_ERROR(part.readOptional("stop", stop));
  return Made(
      {[=] { return std::make_unique<StripStep>(content, start, stop); }});
}

Made makeReplace(const Part &part, const json &) {
  std::string content;
  QOPT_RETURN_IF_ERROR(part.read("content", content));
  StatusOr<Pattern> pattern = readPattern(part);
  if (!pattern)
    return pattern.status();
  auto shared = std::make_shared<const Pattern>(std::move(*pattern));
  return Made({[=] { return std::make_unique<ReplaceStep>(shared, content); }});
}

Made makeMetaspace(const Part &part, const json &) {
  StatusOr<Metaspace> metaspace = readMetaspace(part);
  if (!metaspace)
    return metaspace.status();
  bool dropsFirst = metaspace->prepend != Metaspace::Prepend::Never;
  return Made({[symbol = metaspace->symbol, dropsFirst] {
    return std::make_unique<MetaspaceStep>(symbol, dropsFirst);
  }});
}

Made makeWordPiece(const Part &part, const json &) {
  std::string prefix;
  bool cleanup = true;
  QOPT_RETURN_IF_ERROR(part.read("prefix", prefix));
  QOPT_RETURN_IF_ERROR(part.read("cleanup", cleanup));
  return Made(
      {[=] { return std::make_unique<WordPieceStep>(prefix, cleanup); }});
}

Made makeBpe(const Part &part, const json &) {
  std::string suffix;
  QOPT_RETURN_IF_ERROR(part.read("suffix", suffix));
  return Made({[=] { return std::make_unique<SuffixStep>(suffix); }});
}

Made makeSequence(const Part &part, const json &) {
  std::vector<DecodeStepMaker> makers;
  auto read = [](const json &step) { return readDecoder(&step); };
  QOPT_RETURN_IF_ERROR(makeSteps(part, "decoders", read, [&](auto step) {
    makers.insert(makers.end(), step.begin(), step.end());
  }));
  return makers;
}

struct Row {
  const char *type;
  Made (*make)(const Part &, const json &);
};
constexpr Row table[] = {
    {"ByteLevel", makePlain<ByteLevelStep>},
    {"ByteFallback", makePlain<ByteFallbackStep>},
    {"Fuse", makePlain<FuseStep>},
    {"Strip", makeStrip},
    {"Replace", makeReplace},
    {"Metaspace", makeMetaspace},
    {"WordPiece", makeWordPiece},
    {"BPEDecoder", makeBpe},
    {"Sequence", makeSequence},
};

} // namespace

StatusOr<std::vector<DecodeStepMaker>> readDecoder(const json *spec) {
  if (!spec)
    return Made({[] { return std::make_unique<JoinStep>(); }});
  return makePart<std::vector<DecodeStepMaker>>("decoder", *spec, table);
}

DecodeChain::DecodeChain(const std::vector<DecodeStepMaker> &makers) {
  for (const DecodeStepMaker &make : makers)
    steps.push_back(make());
  auto collector = std::make_unique<Collector>();
  collected = &collector->collected;
  steps.push_back(std::move(collector));
  for (std::size_t i = 0; i + 1 < steps.size(); ++i)
    steps[i]->next = steps[i + 1].get();
}

void DecodeChain::push(std::string_view token) {
  steps.front()->chunk(token);
  steps.front()->endToken();
}

void DecodeChain::finish() {
  for (const auto &step : steps)
    step->finish();
}

std::string DecodeChain::take() {
  std::string text = std::move(*collected);
  collected->clear();
  return text;
}

} // namespace qopt::runtime

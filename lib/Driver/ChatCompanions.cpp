// Keys as transformers and onnxruntime-genai write them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ChatCompanions.h"
#include "qopt/Tokenizer.h"

using namespace llvm;

namespace qopt::driver {

/// A number that may be missing or null.
static Status readNumber(const std::string &path, const json::Object &config,
                         StringRef key, float &number) {
  const json::Value *value = config.get(key);
  if (!value || value->getAsNull())
    return Status();
  auto found = value->getAsNumber();
  if (!found)
    return wrongKind(path, key, "number");
  number = float(*found);
  return Status();
}

Status readSampling(const std::string &path, const json::Object &config,
                    Companions &result) {
  SamplingOptions options = result.sampling.value_or(SamplingOptions());
  QOPT_RETURN_IF_ERROR(readNumber(path, config, "repetition_penalty",
                                  options.repetitionPenalty));
  const json::Value *draws = config.get("do_sample");
  if (draws && !draws->getAsNull() && !draws->getAsBoolean())
    return wrongKind(path, "do_sample", "true or false");
  if (draws && draws->getAsBoolean().value_or(false)) {
    options.temperature = 1;
    float most = 0;
    QOPT_RETURN_IF_ERROR(
        readNumber(path, config, "temperature", options.temperature));
    QOPT_RETURN_IF_ERROR(readNumber(path, config, "top_k", most));
    QOPT_RETURN_IF_ERROR(readNumber(path, config, "top_p", options.topP));
    QOPT_RETURN_IF_ERROR(readNumber(path, config, "min_p", options.minP));
    options.topK = most >= 0 && most < float(INT32_MAX) ? int32_t(most) : -1;
  }
  if (Status status = checkSampling(options); !status.ok())
    return Status(StatusCode::BadModel,
                  "\"" + path + "\": " + status.message());
  if (options != SamplingOptions())
    result.sampling = options;
  return Status();
}

Status readChatTemplate(const std::string &path, const json::Object &config,
                        Companions &result) {
  const json::Value *value = config.get("chat_template");
  if (!value || value->getAsNull() || !result.chatTemplate.empty())
    return Status();
  if (auto text = value->getAsString()) {
    result.chatTemplate = text->str();
    return Status();
  }
  const json::Array *list = value->getAsArray();
  if (!list)
    return wrongKind(path, "chat_template", "text or list of named ones");
  for (const json::Value &entry : *list) {
    const json::Object *named = entry.getAsObject();
    auto name = named ? named->getString("name") : std::nullopt;
    auto text = named ? named->getString("template") : std::nullopt;
    if (!name || !text)
      return wrongKind(path, "chat_template",
                       "list of objects with name and template");
    if (*name == "default")
      result.chatTemplate = text->str();
  }
  return Status();
}

/// The content of a token, or nothing where the file does not name it.
static StatusOr<std::string> tokenNamed(const std::string &path, StringRef key,
                                        const json::Object &config) {
  const json::Value *value = config.get(key);
  if (!value || value->getAsNull())
    return std::string();
  auto text = value->getAsString();
  if (const json::Object *token = value->getAsObject())
    text = token->getString("content");
  if (!text)
    return wrongKind(path, key, "text or object with content");
  return text->str();
}

Status readNamedTokens(const std::string &path, const json::Object &config,
                       Companions &result) {
  bool wantsBegin = result.beginToken < 0, wantsEnd = result.endTokens.empty();
  auto begin = tokenNamed(path, "bos_token", config),
       end = tokenNamed(path, "eos_token", config);
  for (const Status &status : {begin.status(), end.status()})
    QOPT_RETURN_IF_ERROR(status);
  bool isAsked = (wantsBegin && !begin->empty()) || (wantsEnd && !end->empty());
  if (!isAsked || result.tokenizer.empty())
    return Status();
  auto tokenizer = Tokenizer::create(result.tokenizer);
  QOPT_RETURN_IF_ERROR(tokenizer.status());
  auto id = [&](const std::string &token) {
    return token.empty() ? std::nullopt : tokenizer->tokenToId(token);
  };
  if (auto found = wantsBegin ? id(*begin) : std::nullopt) {
    result.beginToken = *found;
    result.tokens.push_back({path, "bos_token", *found});
  }
  if (auto found = wantsEnd ? id(*end) : std::nullopt) {
    result.endTokens = {*found};
    result.tokens.push_back({path, "eos_token", *found});
  }
  return Status();
}

} // namespace qopt::driver

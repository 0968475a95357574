// Each file is optional; one that is there must be readable.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Companions.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace qopt::driver {

/// Only of a file: opening a pipe would wait for somebody to write.
static StatusOr<std::string> readFile(const std::string &path) {
  if (sys::fs::exists(path) && !sys::fs::is_regular_file(path))
    return Status(StatusCode::NotFound, "\"" + path + "\" is not a file");
  auto buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return Status(StatusCode::NotFound, "cannot read \"" + path + "\": " +
                                            buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

/// Whether objects and lists lie in each other deeper than a parser that calls
/// itself should follow.
static bool isTooDeep(StringRef text) {
  constexpr int deepest = 64;
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted && c == '\\')
      ++i;
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && (c == '{' || c == '[') && ++depth > deepest)
      return true;
    else if (!quoted && (c == '}' || c == ']'))
      --depth;
  }
  return false;
}

/// The JSON object in a file; nothing where the file does not exist.
static StatusOr<std::optional<json::Object>> readJson(const std::string &path) {
  using Result = StatusOr<std::optional<json::Object>>;
  if (!sys::fs::exists(path))
    return Result(std::nullopt);
  auto text = readFile(path);
  if (!text)
    return text.status();
  if (isTooDeep(*text))
    return Status(StatusCode::BadModel,
                  "\"" + path +
                      "\" has values more than 64 levels deep in each other");
  Expected<json::Value> value = json::parse(*text);
  if (!value)
    return Status(StatusCode::BadModel, "\"" + path + "\" is not JSON: " +
                                            toString(value.takeError()));
  json::Object *object = value->getAsObject();
  if (!object)
    return Status(StatusCode::BadModel,
                  "\"" + path + "\" is no JSON object; expected one");
  return Result(std::optional<json::Object>(std::move(*object)));
}

/// An integer of a file, refused where it cannot be what its key says.
static Status checkRange(const std::string &path, StringRef key, int64_t value,
                         int64_t least, int64_t most) {
  if (value >= least && value <= most)
    return Status();
  return Status(StatusCode::BadModel,
                "\"" + path + "\": " + key.str() + " is " +
                    std::to_string(value) + "; expected " +
                    std::to_string(least) + " to " + std::to_string(most));
}

/// A value that is there and not null, refused where it is of the wrong kind.
static Status wrongKind(const std::string &path, StringRef key,
                        StringRef expected) {
  return Status(StatusCode::BadModel,
                "\"" + path + "\": " + key.str() + " is no " + expected.str());
}

/// One token id or a list of them.
static Status readTokens(const std::string &path, StringRef key,
                         const json::Value *value,
                         std::vector<int32_t> &tokens) {
  if (!value || value->getAsNull())
    return Status();
  json::Array single{*value};
  const json::Array *list = value->getAsArray();
  std::vector<int64_t> numbers;
  for (const json::Value &entry : list ? *list : single) {
    auto token = entry.getAsInteger();
    if (!token)
      return wrongKind(path, key, "token id or list of them");
    numbers.push_back(*token);
  }
  if (!numbers.empty())
    tokens.clear();
  for (int64_t number : numbers) {
    QOPT_RETURN_IF_ERROR(checkRange(path, key, number, 0, INT32_MAX));
    tokens.push_back(static_cast<int32_t>(number));
  }
  return Status();
}

static Status readConfig(const std::string &path, const json::Object &config,
                         Companions &result) {
  for (StringRef key : {"max_position_embeddings", "n_positions",
                        "max_sequence_length", "context_length"}) {
    const json::Value *value = config.get(key);
    if (!value || value->getAsNull())
      continue;
    auto context = value->getAsInteger();
    if (!context)
      return wrongKind(path, key, "whole number");
    QOPT_RETURN_IF_ERROR(checkRange(path, key, *context, 1, longestContext));
    result.context = *context;
    result.contextSource = ("\"" + path + "\" says " + key).str();
  }
  const json::Value *begin = config.get("bos_token_id");
  if (begin && !begin->getAsNull()) {
    auto token = begin->getAsInteger();
    if (!token)
      return wrongKind(path, "bos_token_id", "token id");
    QOPT_RETURN_IF_ERROR(
        checkRange(path, "bos_token_id", *token, -1, INT32_MAX));
    result.beginToken = *token;
  }
  return readTokens(path, "eos_token_id", config.get("eos_token_id"),
                    result.endTokens);
}

StatusOr<Companions> findCompanions(const CompileOptions &options) {
  Companions result;
  result.model = options.model;
  if (sys::fs::is_directory(options.model))
    result.model = options.model + "/model.onnx";
  if (!sys::fs::exists(result.model))
    return Status(StatusCode::NotFound,
                  "there is no file \"" + result.model + "\"");
  std::string folder = sys::path::parent_path(result.model).str();
  std::string beside = folder.empty() ? "" : folder + "/";
  for (const char *name :
       {"config.json", "generation_config.json", "genai_config.json"}) {
    auto file = readJson(beside + name);
    if (!file)
      return file.status();
    if (!*file)
      continue;
    const json::Object *model = (*file)->getObject("model");
    QOPT_RETURN_IF_ERROR(
        readConfig(beside + name, model ? *model : **file, result));
  }
  std::string tokenizer = options.tokenizer;
  if (sys::fs::is_directory(tokenizer))
    tokenizer += "/tokenizer.json";
  if (tokenizer.empty() && sys::fs::exists(beside + "tokenizer.json"))
    tokenizer = beside + "tokenizer.json";
  if (!tokenizer.empty()) {
    auto text = readFile(tokenizer);
    if (!text)
      return text.status();
    if (text->empty())
      return Status(StatusCode::BadModel, "\"" + tokenizer +
                                              "\" is empty; expected a "
                                              "tokenizer.json");
    result.tokenizer = std::move(*text);
  }
  return result;
}

} // namespace qopt::driver

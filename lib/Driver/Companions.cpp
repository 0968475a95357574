// Each file is optional; one that is there must be readable.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Companions.h"
#include "lib/Driver/ParseJson.h"
#include "lib/Import/Onnx/LocateModel.h"
#include "runtime/InputFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace qopt::driver {

static StatusOr<std::string> readFile(const std::string &path) {
  StatusOr<runtime::InputFile> file = runtime::InputFile::open(path);
  return file.ok() ? file->text() : file.status();
}

/// The JSON object in a file; nothing where the file does not exist.
static StatusOr<std::optional<json::Object>> readJson(const std::string &path) {
  using Result = StatusOr<std::optional<json::Object>>;
  if (!sys::fs::exists(path))
    return Result(std::nullopt);
  auto text = readFile(path);
  if (!text)
    return text.status();
  StatusOr<json::Value> value = parseJson(*text);
  if (!value)
    return Status(StatusCode::BadModel,
                  "\"" + path + "\" is not JSON: " + value.status().message());
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
  for (int64_t number : numbers) {
    QOPT_RETURN_IF_ERROR(checkRange(path, key, number, 0, INT32_MAX));
    tokens.push_back(static_cast<int32_t>(number));
  }
  return Status();
}

/// A token id that may be missing; -1 says so.
static Status readToken(const std::string &path, StringRef key,
                        const json::Object &config, Companions &result) {
  const json::Value *value = config.get(key);
  if (!value || value->getAsNull())
    return Status();
  auto token = value->getAsInteger();
  if (!token)
    return wrongKind(path, key, "token id");
  QOPT_RETURN_IF_ERROR(checkRange(path, key, *token, -1, INT32_MAX));
  result.tokens.push_back({path, key.str(), *token});
  if (key == "bos_token_id")
    result.beginToken = *token;
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
  QOPT_RETURN_IF_ERROR(readToken(path, "bos_token_id", config, result));
  QOPT_RETURN_IF_ERROR(readToken(path, "pad_token_id", config, result));
  std::vector<int32_t> end;
  QOPT_RETURN_IF_ERROR(
      readTokens(path, "eos_token_id", config.get("eos_token_id"), end));
  for (int32_t token : end)
    result.tokens.push_back({path, "eos_token_id", token});
  if (!end.empty())
    result.endTokens = std::move(end);
  return Status();
}

Status checkTokens(const Companions &companions, int64_t vocabulary) {
  for (const NamedToken &token : companions.tokens)
    if (token.id >= vocabulary)
      return Status(StatusCode::BadModel,
                    "\"" + token.file + "\": " + token.key + " is " +
                        std::to_string(token.id) +
                        ", outside the model's vocabulary of " +
                        std::to_string(vocabulary) +
                        " tokens; give the file of this model");
  return Status();
}

StatusOr<Companions> findCompanions(const CompileOptions &options) {
  Companions result;
  StatusOr<std::string> located = import::locateModel(options.model);
  if (!located)
    return located.status();
  result.model = std::move(*located);
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

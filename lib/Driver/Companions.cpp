// Each file is optional; one that is there must be readable.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Companions.h"
#include "lib/Driver/ChatCompanions.h"
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

/// The JSON object in a file; nothing where there is no file.
static StatusOr<std::optional<json::Object>> readJson(const std::string &path) {
  using Result = StatusOr<std::optional<json::Object>>;
  if (path.empty())
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

Status wrongKind(const std::string &path, StringRef key, StringRef expected) {
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
  if (key == "decoder_start_token_id")
    result.startToken = *token;
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
  // For people: whatever it is, nothing depends on it.
  for (StringRef key : {"model_type", "type"})
    if (auto family = config.getString(key))
      result.family = family->str();
  QOPT_RETURN_IF_ERROR(readToken(path, "bos_token_id", config, result));
  QOPT_RETURN_IF_ERROR(readToken(path, "pad_token_id", config, result));
  QOPT_RETURN_IF_ERROR(
      readToken(path, "decoder_start_token_id", config, result));
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

/// Folders in which a model's companions may lie, with "/" behind them.
static std::vector<std::string> foldersOf(const std::string &model) {
  StringRef own = sys::path::parent_path(model);
  std::vector<std::string> folders = {own.empty() ? "" : own.str() + "/"};
  SmallString<256> real(own.empty() ? "." : own);
  (void)sys::fs::real_path(real.str().str(), real);
  if (sys::path::filename(real) == "onnx") // a repository of the hub
    folders.push_back(folders.front() + "../");
  return folders;
}

/// The path of a companion in the first folder that has it, or nothing.
static std::string findIn(const std::vector<std::string> &folders,
                          StringRef name) {
  for (const std::string &folder : folders)
    if (sys::fs::exists(folder + name))
      return folder + name.str();
  return "";
}

/// The file, or that of the folder, that was asked for, or the one beside the
/// model.
static Status readTokenizer(const std::vector<std::string> &folders,
                            std::string path, Companions &result) {
  if (sys::fs::is_directory(path))
    path += "/tokenizer.json";
  if (path.empty())
    path = findIn(folders, "tokenizer.json");
  if (path.empty())
    return Status();
  auto text = readFile(path);
  if (!text)
    return text.status();
  if (text->empty())
    return Status(StatusCode::BadModel,
                  "\"" + path + "\" is empty; expected a tokenizer.json");
  result.tokenizer = std::move(*text);
  return Status();
}

/// Sizes, token ids and sampling.
static Status readConfigs(const std::vector<std::string> &folders,
                          Companions &result) {
  for (const char *name :
       {"config.json", "generation_config.json", "genai_config.json"}) {
    std::string path = findIn(folders, name);
    auto file = readJson(path);
    QOPT_RETURN_IF_ERROR(file.status());
    if (!*file)
      continue;
    const json::Object *model = (*file)->getObject("model");
    QOPT_RETURN_IF_ERROR(readConfig(path, model ? *model : **file, result));
    const json::Object *search = (*file)->getObject("search");
    if (search || name == StringRef("generation_config.json"))
      QOPT_RETURN_IF_ERROR(
          readSampling(path, search ? *search : **file, result));
  }
  return Status();
}

/// Names of tokens, and the template of chats.
static Status readChats(const std::vector<std::string> &folders,
                        Companions &result) {
  if (std::string path = findIn(folders, "chat_template.jinja");
      !path.empty()) {
    auto text = readFile(path);
    if (!text)
      return text.status();
    result.chatTemplate = std::move(*text);
  }
  for (const char *name :
       {"tokenizer_config.json", "special_tokens_map.json"}) {
    std::string path = findIn(folders, name);
    auto file = readJson(path);
    QOPT_RETURN_IF_ERROR(file.status());
    if (!*file)
      continue;
    QOPT_RETURN_IF_ERROR(readChatTemplate(path, **file, result));
    QOPT_RETURN_IF_ERROR(readNamedTokens(path, **file, result));
  }
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
  std::vector<std::string> folders = foldersOf(result.model);
  QOPT_RETURN_IF_ERROR(readConfigs(folders, result));
  QOPT_RETURN_IF_ERROR(readTokenizer(folders, options.tokenizer, result));
  QOPT_RETURN_IF_ERROR(readChats(folders, result));
  return result;
}

} // namespace qopt::driver

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Io/FileAccess.h"
#include "tools/qopt-eval/Choices.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

namespace qopt::eval {
namespace {

using Json = nlohmann::json;

class QuestionReader {
public:
  QuestionReader(const std::string &path, const Artifact &artifact,
                 const TokenizerSource &source)
      : path(path), artifact(artifact), source(source) {}
  StatusOr<Question> read(const std::string &text, int64_t number);

private:
  StatusOr<Continuation> continuation(const Json &context, const Json &option);
  StatusOr<std::vector<int32_t>> ids(const Json &list) const;
  StatusOr<std::vector<int32_t>> encode(const std::string &text);
  Status check(const Continuation &option) const;
  Status bad(const std::string &what,
             StatusCode code = StatusCode::InvalidArgument) const {
    return {code, "'" + path + "' line " + std::to_string(line) + ": " + what};
  }

  const std::string &path;
  const Artifact &artifact;
  const TokenizerSource &source;
  std::optional<Tokenizer> tokenizer;
  int64_t line = 0;
};

} // namespace

StatusOr<std::vector<int32_t>> QuestionReader::ids(const Json &list) const {
  int64_t vocabulary = artifact.decoder().vocabulary;
  std::vector<int32_t> result;
  for (const Json &id : list) {
    if (!id.is_number_integer() || id < 0 || id >= vocabulary)
      return bad(id.dump() + " is no token; expected a number from 0 to " +
                 std::to_string(vocabulary - 1));
    result.push_back(id.get<int32_t>());
  }
  return result;
}

StatusOr<std::vector<int32_t>> QuestionReader::encode(const std::string &text) {
  if (!tokenizer) {
    StatusOr<Tokenizer> opened = source();
    if (!opened.ok())
      return opened.status();
    tokenizer = std::move(*opened);
  }
  return tokenizer->encodeWhole(text);
}

StatusOr<Continuation> QuestionReader::continuation(const Json &context,
                                                    const Json &option) {
  if (option.type() != context.type())
    return bad("context and options are of two kinds; expected texts, or lists "
               "of token ids");
  StatusOr<std::vector<int32_t>> before =
      context.is_array() ? ids(context) : encode(context.get<std::string>());
  if (!before.ok())
    return before.status();
  if (context.is_array()) {
    StatusOr<std::vector<int32_t>> after = ids(option);
    if (!after.ok())
      return after.status();
    Continuation result{*before, int64_t(before->size())};
    result.tokens.insert(result.tokens.end(), after->begin(), after->end());
    return result;
  }
  StatusOr<std::vector<int32_t>> whole =
      encode(context.get<std::string>() + option.get<std::string>());
  if (!whole.ok())
    return whole.status();
  // A token may be of both texts: it is scored with the option.
  auto parted = std::mismatch(before->begin(), before->end(), whole->begin(),
                              whole->end());
  return Continuation{*whole, parted.second - whole->begin()};
}

Status QuestionReader::check(const Continuation &option) const {
  auto length = int64_t(option.tokens.size());
  if (option.first < 1)
    return bad("the context has no token; the first token of an option is "
               "predicted from one");
  if (option.first == length)
    return bad("an option has no token of its own");
  if (length > artifact.decoder().context)
    return bad("context and option have " + std::to_string(length) +
                   " tokens, more than the model's context of " +
                   std::to_string(artifact.decoder().context),
               StatusCode::Infeasible);
  return {};
}

StatusOr<Question> QuestionReader::read(const std::string &text,
                                        int64_t number) {
  line = number;
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  auto isText = [](const Json &value) {
    return value.is_string() || value.is_array();
  };
  if (!json.is_object() || !isText(json["context"]) ||
      !json["options"].is_array() || !json["answer"].is_number_integer())
    return bad("expected {\"context\": text or token ids, \"options\": [two or "
               "more], \"answer\": index}");
  const Json &options = json["options"], &answer = json["answer"];
  if (options.size() < 2)
    return bad("expected two options or more, got " +
               std::to_string(options.size()));
  if (answer < 0 || answer >= options.size())
    return bad("answer is " + answer.dump() + "; expected 0 to " +
               std::to_string(options.size() - 1));
  Question question;
  question.answer = answer.get<size_t>();
  for (const Json &option : options) {
    StatusOr<Continuation> parsed = continuation(json["context"], option);
    if (!parsed.ok())
      return parsed.status();
    if (Status status = check(*parsed); !status.ok())
      return status;
    question.options.push_back(std::move(*parsed));
  }
  return question;
}

StatusOr<std::vector<Question>>
readQuestions(const std::string &path, const Artifact &artifact,
              const TokenizerSource &tokenizer) {
  StatusOr<std::string> text = io::readTextOrPipe(path);
  if (!text.ok())
    return text.status();
  QuestionReader reader(path, artifact, tokenizer);
  std::vector<Question> questions;
  std::istringstream lines(*text);
  std::string line;
  for (int64_t number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      continue;
    StatusOr<Question> question = reader.read(line, number);
    if (!question.ok())
      return question.status();
    questions.push_back(std::move(*question));
  }
  if (questions.empty())
    return Status(StatusCode::InvalidArgument,
                  "'" + path + "' has no question; expected one in each line");
  return questions;
}

} // namespace qopt::eval

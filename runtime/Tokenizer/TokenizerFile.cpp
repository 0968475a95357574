// Reading with nlohmann-json's event interface.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/TokenizerFile.h"

namespace qopt::runtime {

using nlohmann::json;

namespace {

/// Receives the events of the parser. `path` holds the key (objects) or nothing
/// (arrays) of every open container.
class Reader : public json::json_sax_t {
public:
  explicit Reader(TokenizerFile &file) : file(file) {}

  std::string problem;

  bool null() override { return value(nullptr); }
  bool boolean(bool v) override { return value(v); }
  bool number_integer(number_integer_t v) override { return value(v); }
  bool number_unsigned(number_unsigned_t v) override {
    if (list == List::Vocabulary && v < idLimit)
      return vocabularyId(static_cast<std::uint32_t>(v));
    return value(v);
  }
  bool number_float(number_float_t v, const string_t &) override {
    return value(v);
  }
  bool string(string_t &v) override {
    if (list == List::Scores && depth == listDepth + 1 && !token)
      return startToken(v);
    if (list == List::Merges)
      return merge(v);
    return value(std::move(v));
  }
  bool binary(binary_t &) override { return fail("binary data"); }
  bool start_object(std::size_t) override {
    List started = startsList();
    if (started == List::Merges)
      return fail("model: field \"merges\" is an object; expected a list");
    if (started == List::None)
      return open(json::object());
    beginList(started);
    return true;
  }
  bool start_array(std::size_t) override {
    List started = startsList();
    if (started == List::Vocabulary || started == List::Merges) {
      beginList(started == List::Merges ? started : List::Scores);
      return true;
    }
    if (list == List::Scores || list == List::Merges) {
      if (depth != listDepth)
        return failList();
      ++depth;
      before = file.vocabulary.size() + file.merges.size();
      return true;
    }
    return open(json::array());
  }
  bool key(string_t &v) override {
    if (list == List::Vocabulary)
      return startToken(v);
    keys.back() = std::move(v);
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override {
    if (list != List::None && depth > listDepth)
      return endPair();
    return close();
  }
  bool parse_error(std::size_t position, const std::string &,
                   const json::exception &) override {
    return fail("byte " + std::to_string(position) + " is not valid JSON");
  }

private:
  enum class List { None, Vocabulary, Scores, Merges };

  bool fail(std::string what) {
    if (problem.empty())
      problem = std::move(what);
    return false;
  }
  bool failList() {
    if (list == List::Merges)
      return fail("merge " + std::to_string(file.merges.size()) +
                  " of the model: expected \"left right\" or [left, right]");
    std::string which = std::to_string(file.vocabulary.size());
    if (list == List::Scores)
      return fail("entry " + which +
                  " of the vocabulary: expected [token, score]");
    return fail("entry " + which +
                " of the vocabulary: expected a token and its id, a whole "
                "number below " +
                std::to_string(idLimit));
  }

  /// Is the container that begins now the vocabulary or the merges of the
  /// model?
  List startsList() const {
    if (list != List::None || keys.size() != 2 || keys[0] != "model")
      return List::None;
    if (keys[1] == "vocab")
      return List::Vocabulary;
    return keys[1] == "merges" ? List::Merges : List::None;
  }
  void beginList(List which) {
    list = which;
    ++depth;
    listDepth = depth;
    file.hasScores |= which == List::Scores;
  }
  bool endPair() {
    --depth;
    std::size_t now = file.vocabulary.size() + file.merges.size();
    if (now != before + 1 || token || pendingMerge)
      return failList();
    return true;
  }

  bool startToken(string_t &v) {
    if (token)
      return failList();
    file.vocabulary.push_back({std::move(v), 0, 0});
    token = true;
    return true;
  }
  bool vocabularyId(std::uint32_t id) {
    file.vocabulary.back().id = id;
    token = false;
    return true;
  }
  bool merge(string_t &v) {
    if (depth == listDepth) {
      std::size_t space = v.find(' ');
      if (space == std::string::npos ||
          v.find(' ', space + 1) != std::string::npos)
        return failList();
      file.merges.emplace_back(v.substr(0, space), v.substr(space + 1));
    } else if (!pendingMerge) {
      left = std::move(v);
      pendingMerge = true;
    } else {
      file.merges.emplace_back(std::move(left), std::move(v));
      pendingMerge = false;
    }
    return true;
  }

  /// A scalar outside of the merges.
  bool value(json v) {
    if (list == List::Scores && token && v.is_number()) {
      VocabularyEntry &entry = file.vocabulary.back();
      entry.id = static_cast<std::uint32_t>(file.vocabulary.size() - 1);
      entry.score = v.get<double>();
      token = false;
      return file.vocabulary.size() <= idLimit || failList();
    }
    if (list != List::None)
      return failList();
    return place(std::move(v)) != nullptr;
  }
  json *place(json v) {
    if (containers.empty()) {
      file.tree = std::move(v);
      return &file.tree;
    }
    json &parent = *containers.back();
    if (parent.is_array()) {
      parent.push_back(std::move(v));
      return &parent.back();
    }
    json &slot = parent[keys.back()];
    slot = std::move(v);
    return &slot;
  }
  bool open(json container) {
    if (list != List::None)
      return failList();
    if (++depth > 64)
      return fail("it is nested more than 64 levels deep");
    containers.push_back(place(std::move(container)));
    keys.emplace_back();
    return true;
  }
  bool close() {
    if (list != List::None) {
      if (token)
        return failList();
      list = List::None;
    } else {
      containers.pop_back();
      keys.pop_back();
    }
    --depth;
    return true;
  }

  TokenizerFile &file;
  std::vector<json *> containers;
  std::vector<std::string> keys;
  List list = List::None;
  unsigned depth = 0, listDepth = 0;
  bool token = false; ///< a token waits for its id or score
  bool pendingMerge = false;
  std::size_t before = 0; ///< entries and merges before the open pair
  std::string left;
};

} // namespace

StatusOr<TokenizerFile> readTokenizerFile(std::string_view text) {
  if (text.size() >= sizeLimit)
    return Status(StatusCode::BadModel, "tokenizer: the file has " +
                                            std::to_string(text.size()) +
                                            " bytes; expected less than 1 GiB");
  TokenizerFile file;
  Reader reader(file);
  bool read = json::sax_parse(text.begin(), text.end(), &reader);
  if (!read)
    return Status(StatusCode::BadModel, "tokenizer: " + reader.problem);
  if (!file.tree.is_object())
    return Status(StatusCode::BadModel, "tokenizer: expected a JSON object");
  return file;
}

const json *Part::find(const char *key) const {
  if (!object.is_object())
    return nullptr;
  auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Status Part::wrong(const char *key, const char *expected) const {
  const json *field = find(key);
  return Status(
      StatusCode::BadModel,
      "tokenizer: " + name + ": field \"" + key + "\" " +
          (field ? std::string("is a ") + field->type_name() : "is missing") +
          "; expected " + expected);
}

Status Part::read(const char *key, std::string &value) const {
  const json *field = find(key);
  if (!field || !field->is_string())
    return wrong(key, "a text");
  value = *field->get_ptr<const std::string *>();
  return {};
}

Status Part::read(const char *key, bool &value) const {
  const json *field = find(key);
  if (!field || !field->is_boolean())
    return wrong(key, "true or false");
  value = *field->get_ptr<const bool *>();
  return {};
}

Status Part::read(const char *key, std::uint64_t &value) const {
  const json *field = find(key);
  const auto *number =
      field ? field->get_ptr<const json::number_unsigned_t *>() : nullptr;
  if (!number)
    return wrong(key, "a whole number");
  value = *number;
  return {};
}

Status Part::readOptional(const char *key, std::string &value) const {
  return find(key) ? read(key, value) : Status();
}

Status Part::readOptional(const char *key, bool &value) const {
  return find(key) ? read(key, value) : Status();
}

Status Part::readOptional(const char *key, std::uint32_t &value) const {
  const json *field = find(key);
  if (!field)
    return {};
  const auto *number = field->get_ptr<const json::number_unsigned_t *>();
  if (!number || *number > UINT32_MAX)
    return wrong(key, "a whole number");
  value = static_cast<std::uint32_t>(*number);
  return {};
}

Status Part::readAffix(const char *key, std::string &value) const {
  QOPT_RETURN_IF_ERROR(readOptional(key, value));
  if (value.size() < affixLimit)
    return {};
  return Status(StatusCode::BadModel,
                "tokenizer: " + name + ": field \"" + key + "\" has " +
                    std::to_string(value.size()) +
                    " bytes; expected less than " + std::to_string(affixLimit));
}

Status unsupportedPart(std::string_view kind, std::string_view type,
                       std::string_view supported) {
  return Status(
      StatusCode::Unsupported,
      "tokenizer: " + std::string(kind) + " \"" + std::string(type) +
          "\" is not supported; supported: " + std::string(supported));
}

} // namespace qopt::runtime

// Every post-processor reduces to the ids before and behind the text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/PostProcessor.h"
#include "runtime/Tokenizer/PartTable.h"

namespace qopt::runtime {

using nlohmann::json;

namespace {

using Made = StatusOr<Surroundings>;

bool isId(const json &value) {
  const auto *number = value.get_ptr<const json::number_unsigned_t *>();
  return number && *number < idLimit;
}

/// The field "special_tokens": {"[CLS]": {"ids": […]}, …}.
Status appendSpecial(const Part &part, const std::string &name,
                     std::vector<std::int32_t> &ids) {
  const json *specials = part.find("special_tokens");
  const json *special =
      specials ? Part(*specials, "").find(name.c_str()) : nullptr;
  const json *list = special ? Part(*special, "").find("ids") : nullptr;
  if (!list || !list->is_array())
    return Status(StatusCode::BadModel, "tokenizer: " + part.title() +
                                            ": \"special_tokens\" has no ids "
                                            "of \"" +
                                            name + "\"");
  for (const json &id : *list) {
    if (!isId(id))
      return part.wrong("special_tokens", "lists of ids");
    ids.push_back(id.get<std::int32_t>());
  }
  if (ids.size() < affixLimit)
    return {};
  return Status(StatusCode::BadModel,
                "tokenizer: " + part.title() + " puts " +
                    std::to_string(ids.size()) +
                    " tokens at one end of a text; expected less than " +
                    std::to_string(affixLimit));
}

Made makeTemplate(const Part &part, const json &) {
  const json *single = part.find("single");
  if (!single || !single->is_array())
    return part.wrong("single", "a list");
  Surroundings around;
  unsigned texts = 0;
  for (const json &item : *single) {
    Part piece(item, "");
    std::string name;
    if (const json *special = piece.find("SpecialToken")) {
      QOPT_RETURN_IF_ERROR(
          Part(*special, part.title() + ": SpecialToken").read("id", name));
      QOPT_RETURN_IF_ERROR(
          appendSpecial(part, name, texts ? around.behind : around.before));
    } else if (piece.find("Sequence")) {
      ++texts;
    } else {
      return part.wrong("single", "a list of SpecialToken and Sequence");
    }
  }
  if (texts != 1)
    return Status(StatusCode::Unsupported,
                  "tokenizer: " + part.title() + ": \"single\" has the text " +
                      std::to_string(texts) + " times; expected once");
  return around;
}

/// The fields "cls" and "sep": [token, id].
Made makeClsSep(const Part &part, const json &) {
  Surroundings around;
  for (auto [key, ids] :
       {std::pair("cls", &around.before), std::pair("sep", &around.behind)}) {
    const json *pair = part.find(key);
    if (!pair || !pair->is_array() || pair->size() != 2 || !isId((*pair)[1]))
      return part.wrong(key, "[token, id]");
    ids->push_back((*pair)[1].get<std::int32_t>());
  }
  return around;
}

/// ByteLevel only moves offsets, which nobody asks for here.
Made makeNothing(const Part &, const json &) { return Surroundings(); }

Made makeSequence(const Part &part, const json &) {
  Surroundings around;
  QOPT_RETURN_IF_ERROR(
      makeSteps(part, "processors", readPostProcessor, [&](Surroundings step) {
        // Each step puts its tokens around what the steps before it made.
        around.before.insert(around.before.begin(), step.before.begin(),
                             step.before.end());
        around.behind.insert(around.behind.end(), step.behind.begin(),
                             step.behind.end());
      }));
  return around;
}

struct Row {
  const char *type;
  Made (*make)(const Part &, const json &);
};
constexpr Row table[] = {
    {"TemplateProcessing", makeTemplate}, {"ByteLevel", makeNothing},
    {"BertProcessing", makeClsSep},       {"RobertaProcessing", makeClsSep},
    {"Sequence", makeSequence},
};

} // namespace

StatusOr<Surroundings> readPostProcessor(const json &spec) {
  return makePart<Surroundings>("post_processor", spec, table);
}

} // namespace qopt::runtime

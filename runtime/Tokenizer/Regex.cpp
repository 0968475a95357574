// Compiling with PCRE2 (just in time where the processor allows it) and
// searching under limits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Regex.h"
#include "runtime/Tokenizer/Utf8.h"

#include <algorithm>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace qopt::runtime {

struct Pattern::Code {
  pcre2_code *compiled = nullptr;

  Code() = default;
  Code(const Code &) = delete;
  Code &operator=(const Code &) = delete;
  ~Code() { pcre2_code_free(compiled); }
};

static std::string messageOf(int error) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(error, buffer, sizeof(buffer));
  return reinterpret_cast<const char *>(buffer);
}

/// What PCRE2 refuses although Oniguruma may take it, apart from what is no
/// expression at all.
static StatusCode codeOf(int error) {
  constexpr int unknownProperty = 147; // PCRE2_ERROR_UNKNOWN_PROPERTY has had
                                       // other names
  switch (error) {
  case unknownProperty:
  case PCRE2_ERROR_PARENTHESES_NEST_TOO_DEEP:
  case PCRE2_ERROR_PATTERN_TOO_LARGE:
  case PCRE2_ERROR_LOOKBEHIND_NOT_FIXED_LENGTH:
  case PCRE2_ERROR_LOOKBEHIND_TOO_COMPLICATED:
  case PCRE2_ERROR_LOOKBEHIND_TOO_LONG:
  case PCRE2_ERROR_PATTERN_TOO_COMPLICATED:
    return StatusCode::Unsupported;
  default:
    return StatusCode::BadModel;
  }
}

StatusOr<Pattern> Pattern::literal(std::string_view text) {
  if (text.empty()) // matches between all characters, as the expression does
    return regex("");
  Pattern pattern;
  pattern.source = text;
  return pattern;
}

StatusOr<Pattern> Pattern::regex(std::string_view expression) {
  StatusOr<std::string> translated = translateRegex(expression);
  if (!translated)
    return translated.status();
  std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)>
      context(pcre2_compile_context_create(nullptr),
              pcre2_compile_context_free);
  if (!context)
    return Status(StatusCode::OutOfResources, "out of memory");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  auto code = std::make_shared<Code>();
  int error = 0;
  PCRE2_SIZE offset = 0;
  code->compiled = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated->data()), translated->size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
      &offset, context.get());
  if (!code->compiled)
    return Status(codeOf(error),
                  titleOfRegex(expression) + ": " + messageOf(error));
  // Without it (a processor or a policy that forbids it) the interpreter runs.
  (void)pcre2_jit_compile(code->compiled, PCRE2_JIT_COMPLETE);
  Pattern pattern;
  pattern.source = expression;
  pattern.code = std::move(code);
  return pattern;
}

Status Pattern::findAll(std::string_view text,
                        std::vector<Match> &matches) const {
  matches.clear();
  if (code)
    return findRegex(text, matches);
  for (std::size_t at = text.find(source); at != std::string_view::npos;
       at = text.find(source, at + source.size()))
    matches.push_back({at, at + source.size()});
  return {};
}

namespace {
/// What one search needs; made once for all matches in a text.
class Search {
public:
  explicit Search(std::size_t length)
      : data(pcre2_match_data_create(1, nullptr)),
        context(pcre2_match_context_create(nullptr)) {
    // Enough for honest patterns on a text of this length (they step back a few
    // times for each character).
    auto limit = static_cast<uint32_t>(
        std::min<std::size_t>(2'000'000 + 16 * length, 2'000'000'000));
    if (context) {
      pcre2_set_match_limit(context, limit);
      pcre2_set_heap_limit(context, 256 * 1024); // in KiB
    }
  }
  ~Search() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
  Search(const Search &) = delete;
  Search &operator=(const Search &) = delete;

  bool ready() const { return data && context; }

  /// PCRE2's result; the interpreter goes on where the stack of compiled code
  /// is too small.
  int run(const pcre2_code *code, std::string_view text, std::size_t from) {
    auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int result = pcre2_match(code, subject, text.size(), from,
                             PCRE2_NO_UTF_CHECK, data, context);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT)
      result = pcre2_match(code, subject, text.size(), from,
                           PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, context);
    return result;
  }
  Match match() const {
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);
    return {ends[0], ends[1]};
  }

private:
  pcre2_match_data *data;
  pcre2_match_context *context;
};
} // namespace

Status Pattern::findRegex(std::string_view text,
                          std::vector<Match> &matches) const {
  if (text.empty())
    return {};
  Search search(text.size());
  if (!search.ready())
    return Status(StatusCode::OutOfResources, "out of memory");
  std::size_t from = 0;
  while (from <= text.size()) {
    int result = search.run(code->compiled, text, from);
    if (result == PCRE2_ERROR_NOMATCH)
      return {};
    if (result < 0)
      return Status(StatusCode::OutOfResources,
                    titleOfRegex(source) + " on a text of " +
                        std::to_string(text.size()) +
                        " bytes: " + messageOf(result));
    Match match = search.match();
    bool repeated = match.begin >= match.end && !matches.empty() &&
                    matches.back().end == match.end;
    if (repeated) {
      std::size_t length = 1;
      if (from < text.size())
        (void)firstCharacter(text.substr(from), length);
      from += length;
      continue;
    }
    match.begin = std::min(match.begin, match.end);
    matches.push_back(match);
    from = match.end;
  }
  return {};
}

} // namespace qopt::runtime

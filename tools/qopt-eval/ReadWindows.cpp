// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-eval/ReadWindows.h"

#include "lib/Io/FileAccess.h"
#include "lib/Tokens/NamedText.h"
#include "lib/Tokens/TokenFile.h"
#include "tools/cli/ModelFiles.h"

#include <algorithm>

namespace qopt::eval {

StatusOr<Tokenizer> needTokenizer(const Artifact &artifact,
                                  const EvalOptions &options,
                                  const std::string &instead) {
  StatusOr<std::optional<Tokenizer>> tokenizer =
      cli::openTokenizer(artifact, options.tokenizer);
  if (!tokenizer.ok())
    return tokenizer.status();
  if (!*tokenizer)
    return Status(StatusCode::InvalidArgument,
                  "artifact '" + artifact.path() +
                      "' has no tokenizer; give --tokenizer tokenizer.json, "
                      "or " +
                      instead);
  return std::move(**tokenizer);
}

namespace {

class WindowReader {
public:
  WindowReader(const Artifact &artifact, const EvalOptions &options)
      : artifact(artifact), options(options) {}
  StatusOr<TokenWindows> read();

private:
  StatusOr<TokenWindows> readText(const std::string &path,
                                  const Tokenizer &tokenizer) const;
  StatusOr<std::vector<int32_t>> begun(const std::vector<int32_t> &tokens,
                                       int64_t length) const;
  int64_t defaultLength() const { // 1 predicts nothing
    return std::clamp<int64_t>(artifact.decoder().context, 2, 512);
  }

  const Artifact &artifact;
  const EvalOptions &options;
};

} // namespace

/// With the model's begin token before every window's own tokens.
StatusOr<std::vector<int32_t>>
WindowReader::begun(const std::vector<int32_t> &tokens, int64_t length) const {
  int32_t begin = artifact.decoder().beginToken;
  if (begin < 0)
    return Status(StatusCode::InvalidArgument,
                  "--begin-each: the model has no begin token");
  std::vector<int32_t> result;
  for (int32_t token : tokens) {
    if (int64_t(result.size()) % length == 0)
      result.push_back(begin);
    result.push_back(token);
  }
  return result;
}

StatusOr<TokenWindows>
WindowReader::readText(const std::string &path,
                       const Tokenizer &tokenizer) const {
  int64_t length = options.window.value_or(defaultLength());
  StatusOr<std::string> text = io::readTextOrPipe(path);
  if (!text.ok())
    return text.status();
  StatusOr<std::vector<int32_t>> tokens =
      tokenizer.encodeWhole(*text, options.beginEach ? SpecialTokens::Exclude
                                                     : SpecialTokens::Include);
  if (tokens.ok() && options.beginEach)
    tokens = begun(*tokens, length);
  if (!tokens.ok())
    return tokens.status();
  return TokenWindows::cut(std::move(*tokens), length, path);
}

StatusOr<TokenWindows> WindowReader::read() {
  TokenWindows windows;
  std::optional<Tokenizer> tokenizer;
  if (!options.texts.empty()) {
    StatusOr<Tokenizer> found =
        needTokenizer(artifact, options, "the text as --tokens");
    if (!found.ok())
      return found.status();
    tokenizer = std::move(*found);
  }
  for (const std::string &text : tokenizer ? options.texts : options.tokens) {
    NamedText input = splitName(text);
    StatusOr<TokenWindows> more =
        tokenizer ? readText(input.path, *tokenizer)
                  : readTokenFile(input.path, defaultLength(), options.window);
    if (!more.ok())
      return more.status();
    if (Status status = windows.add(input.name, *more, options.windows);
        !status.ok())
      return status;
  }
  return windows;
}

StatusOr<TokenWindows> readWindows(const Artifact &artifact,
                                   const EvalOptions &options) {
  StatusOr<TokenWindows> windows = WindowReader(artifact, options).read();
  if (!windows.ok())
    return windows.status();
  int64_t context = artifact.decoder().context;
  if (windows->length() > context)
    return Status(StatusCode::Infeasible,
                  "windows of " + std::to_string(windows->length()) +
                      " tokens are longer than the model's context of " +
                      std::to_string(context));
  if (Status status = windows->check(artifact.decoder().vocabulary);
      !status.ok())
    return status;
  return windows;
}

} // namespace qopt::eval

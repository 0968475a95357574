// The steps of decoding. Steps that need a token as a whole derive from
// TokenStep; the others pass chunks through.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_DECODESTEPS_H
#define QOPT_RUNTIME_TOKENIZER_DECODESTEPS_H

#include "runtime/Tokenizer/Decoder.h"
#include "runtime/Tokenizer/Regex.h"

#include <optional>

namespace qopt::runtime {

/// Collects the chunks of a token.
class TokenStep : public DecodeStep {
public:
  void chunk(std::string_view text) final { pending += text; }
  void endToken() final {
    std::string whole = std::move(pending);
    pending.clear();
    token(std::move(whole));
    ++index;
  }
  void finish() override {}

protected:
  virtual void token(std::string text) = 0;
  void pass(std::string_view text) {
    next->chunk(text);
    next->endToken();
  }
  std::size_t index = 0; ///< of the current token

private:
  std::string pending;
};

/// No decoder in the file: tokens with spaces between them.
class JoinStep : public TokenStep {
  void token(std::string text) override;
};

/// Characters of the byte alphabet → bytes → one token of text; invalid bytes
/// become U+FFFD. A token with any other character stands for itself.
class ByteLevelStep : public TokenStep {
public:
  void finish() override;

private:
  void token(std::string text) override;
  std::string bytes; ///< the beginning of a character
  bool any = false;
};

/// Runs of <0xE2> and the like → text; a run that is not valid as a whole
/// becomes one U+FFFD for each byte.
class ByteFallbackStep : public TokenStep {
public:
  void finish() override { flush(); }

private:
  void token(std::string text) override;
  void flush();
  std::string bytes;
};

/// All tokens become one.
class FuseStep : public DecodeStep {
public:
  void chunk(std::string_view text) override { next->chunk(text); }
  void endToken() override {}
  void finish() override { next->endToken(); }
};

/// Cuts up to `start` characters `content` from the beginning of a token and up
/// to `stop` from its end.
class StripStep : public DecodeStep {
public:
  StripStep(std::string content, std::uint32_t start, std::uint32_t stop)
      : content(std::move(content)), start(start), stop(stop), left(start) {}
  void chunk(std::string_view text) override;
  void endToken() override;
  void finish() override {}

private:
  std::string content;
  std::uint32_t start, stop;
  std::uint32_t left;     ///< how many may still be cut from the beginning
  std::uint32_t held = 0; ///< how many were seen last; they may be the end
};

class ReplaceStep : public TokenStep {
public:
  ReplaceStep(std::shared_ptr<const Pattern> pattern, std::string content)
      : pattern(std::move(pattern)), content(std::move(content)) {}

private:
  void token(std::string text) override;
  std::shared_ptr<const Pattern> pattern;
  std::string content;
};

/// ▁ → space; in the first token it goes where encoding had put it there.
class MetaspaceStep : public TokenStep {
public:
  MetaspaceStep(std::string symbol, bool dropsFirst)
      : symbol(std::move(symbol)), dropsFirst(dropsFirst) {}

private:
  void token(std::string text) override;
  std::string symbol;
  bool dropsFirst;
};

/// ## joins; anything else gets a space before it. `cleanup` takes the spaces
/// before punctuation out again.
class WordPieceStep : public TokenStep {
public:
  WordPieceStep(std::string prefix, bool cleanup)
      : prefix(std::move(prefix)), cleanup(cleanup) {}

private:
  void token(std::string text) override;
  std::string prefix;
  bool cleanup;
};

/// The end-of-word suffix → space, in the last token → nothing. Holds one token
/// back to know which is the last.
class SuffixStep : public TokenStep {
public:
  explicit SuffixStep(std::string suffix) : suffix(std::move(suffix)) {}
  void finish() override;

private:
  void token(std::string text) override;
  std::string suffix;
  std::optional<std::string> held;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_DECODESTEPS_H

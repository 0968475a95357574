// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/TextReader.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/DecoderContext.h"
#include "lib/Tokens/TokenFile.h"
#include "runtime/Sha256.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;

namespace qopt::driver {

StatusOr<TextReader> TextReader::create(ModuleOp raised,
                                        const Companions &companions,
                                        std::string option) {
  func::FuncOp step = decoderStep(raised);
  if (!step)
    return Status(StatusCode::Unsupported,
                  option + " is given, but the model is no decoder of text");
  int64_t vocabulary =
      cast<RankedTensorType>(step.getResultTypes()[0]).getDimSize(1);
  auto asked = step->getAttrOfType<IntegerAttr>(ir::contextAttribute);
  TextReader reader(std::move(option), vocabulary,
                    asked ? asked.getInt() : companions.context);
  if (companions.tokenizer.empty())
    return reader;
  auto tokenizer = Tokenizer::create(companions.tokenizer);
  if (!tokenizer.ok())
    return tokenizer.status();
  reader.tokenizer = std::move(*tokenizer);
  return reader;
}

StatusOr<TokenWindows>
TextReader::windowsOf(const std::string &text,
                      const calibrate::TextSource &source,
                      const calibrate::WindowLimits &limits) const {
  if (!tokenizer)
    return Status(StatusCode::InvalidArgument,
                  option + " is text, but no tokenizer.json is beside the "
                           "model; give it as --tokenizer, or token ids as "
                           ".npy");
  return calibrate::windowsOfText(text, source, *tokenizer, limits);
}

StatusOr<TokenWindows>
TextReader::windowsOfTokens(const calibrate::TextSource &source,
                            const calibrate::WindowLimits &limits) const {
  auto windows = readTokenFile(source.path, limits.length);
  if (!windows.ok())
    return Status(windows.status().code(),
                  option + ": " + windows.status().message());
  auto refuse = [&](StatusCode code, const std::string &why) {
    return Status(code, source.role + " \"" + source.path + "\" " + why);
  };
  if (Status status = windows->check(limits.vocabulary); !status.ok())
    return refuse(status.code(), "is of another tokenizer than the model's: " +
                                     status.message());
  if (context && windows->length() > context)
    return refuse(StatusCode::Infeasible,
                  "has windows of " + std::to_string(windows->length()) +
                      " tokens, more than the model's context of " +
                      std::to_string(context));
  int64_t tokens = limits.most * limits.length;
  return windows->spread(std::max<int64_t>(tokens / windows->length(), 1));
}

StatusOr<WindowedText> TextReader::read(const calibrate::TextSource &source,
                                        int64_t windowLength,
                                        int64_t tokens) const {
  auto file = llvm::MemoryBuffer::getFile(source.path);
  if (!file)
    return Status(StatusCode::NotFound, option + ": cannot read \"" +
                                            source.path +
                                            "\": " + file.getError().message());
  calibrate::WindowLimits limits;
  limits.length = windowLength;
  limits.most = std::max<int64_t>(tokens / windowLength, 1);
  limits.vocabulary = vocabulary;
  StringRef bytes = (*file)->getBuffer();
  auto windows = isTokenFile(source.path)
                     ? windowsOfTokens(source, limits)
                     : windowsOf(bytes.str(), source, limits);
  if (!windows.ok())
    return windows.status();
  return WindowedText{std::move(*windows), runtime::spell(runtime::Sha256::of(
                                               bytes.data(), bytes.size()))};
}

} // namespace qopt::driver

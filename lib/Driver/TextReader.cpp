// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/TextReader.h"
#include "lib/Driver/DecoderContext.h"
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
  if (companions.tokenizer.empty())
    return Status(StatusCode::InvalidArgument,
                  option + " is text, but no tokenizer.json is beside the "
                           "model; give it as --tokenizer");
  auto tokenizer = Tokenizer::create(companions.tokenizer);
  if (!tokenizer.ok())
    return tokenizer.status();
  int64_t vocabulary =
      cast<RankedTensorType>(step.getResultTypes()[0]).getDimSize(1);
  return TextReader(std::move(option), vocabulary, std::move(*tokenizer));
}

StatusOr<WindowedText> TextReader::read(const calibrate::TextSource &source,
                                        int64_t windowLength,
                                        int64_t tokens) const {
  auto text = llvm::MemoryBuffer::getFile(source.path);
  if (!text)
    return Status(StatusCode::NotFound, option + ": cannot read \"" +
                                            source.path +
                                            "\": " + text.getError().message());
  calibrate::WindowLimits limits;
  limits.length = windowLength;
  limits.most = std::max<int64_t>(tokens / windowLength, 1);
  limits.vocabulary = vocabulary;
  StringRef bytes = (*text)->getBuffer();
  auto windows =
      calibrate::windowsOfText(bytes.str(), source, tokenizer, limits);
  if (!windows.ok())
    return windows.status();
  return WindowedText{std::move(*windows), runtime::spell(runtime::Sha256::of(
                                               bytes.data(), bytes.size()))};
}

} // namespace qopt::driver

// Goes on with a text: open an artifact, encode, generate token by token,
// decode.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <qopt/Artifact.h>
#include <qopt/Engine.h>
#include <qopt/Tokenizer.h>

#include <iostream>

static int fail(const qopt::Status &status) {
  std::cerr << "error: " << status.message() << '\n';
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    std::cerr << "usage: generate model.qopt PROMPT\n";
    return 2;
  }
  auto artifact = qopt::Artifact::open(argv[1]);
  if (!artifact.ok())
    return fail(artifact.status());
  auto tokenizer = qopt::Tokenizer::create((*artifact)->tokenizerJson());
  if (!tokenizer.ok())
    return fail(tokenizer.status());
  auto engine = qopt::Engine::create(*artifact);
  if (!engine.ok())
    return fail(engine.status());
  auto prompt = tokenizer->encodeWhole(argv[2]);
  if (!prompt.ok())
    return fail(prompt.status());

  qopt::Request request;
  request.prompt = *prompt;
  request.maxTokens = 50;
  qopt::TokenStream text(*tokenizer);
  auto result = (*engine)->generate(request, [&](int32_t token) {
    std::cout << text.push(token) << std::flush;
    return true; // false stops
  });
  if (!result.ok())
    return fail(result.status());
  std::cout << text.finish() << '\n';
}

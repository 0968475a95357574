// An engine of the tiny decoder through the C interface.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_CINTERFACEFIXTURE_H
#define QOPT_TEST_RUNTIME_CINTERFACEFIXTURE_H

#include "qopt/qopt.h"

#include "FunctionBuilder.h"
#include "TemporaryFolder.h"
#include "TinyDecoder.h"

#include <gtest/gtest.h>

namespace qopt::test {

/// A tokenizer of 50 letters: id 0 is "a", id 26 "A".
inline std::string letters() {
  std::string vocabulary;
  for (int i = 0; i < 50; ++i)
    vocabulary += (i ? ", \"" : "\"") +
                  std::string(1, char(i < 26 ? 'a' + i : 'A' + i - 26)) +
                  "\": " + std::to_string(i);
  return R"({"version": "1.0", "added_tokens": [], "normalizer": null,
    "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
    "model": {"type": "BPE", "dropout": null, "unk_token": null,
      "continuing_subword_prefix": null, "end_of_word_suffix": null,
      "fuse_unk": false, "byte_fallback": false, "merges": [],
      "vocab": {)" +
         vocabulary + "}}}";
}

class CInterfaceFixture : public ::testing::Test {
protected:
  void SetUp() override {
    path = folder.file("tiny.qopt");
    open("");
  }
  void TearDown() override {
    qopt_engine_release(engine);
    qopt_artifact_release(artifact);
  }
  /// The decoder with a tokenizer, or "", in place of the one that is open.
  void open(const std::string &tokenizer) {
    TearDown();
    engine = nullptr, artifact = nullptr;
    ASSERT_TRUE(model.write(path, -1, tokenizer).ok());
    ASSERT_EQ(qopt_artifact_open(path.c_str(), QOPT_OPEN_CHECKED, &artifact),
              QOPT_OK)
        << qopt_last_error();
    ASSERT_EQ(qopt_engine_create(artifact, nullptr, &engine), QOPT_OK)
        << qopt_last_error();
  }
  static qopt_request request(const std::vector<int32_t> &prompt,
                              int64_t maxTokens) {
    qopt_request result;
    qopt_request_defaults(&result);
    result.tokens = prompt.data();
    result.token_count = prompt.size();
    result.max_tokens = maxTokens;
    return result;
  }

  TemporaryFolder folder;
  TinyDecoder model;
  std::string path;
  qopt_artifact *artifact = nullptr;
  qopt_engine *engine = nullptr;
};

/// A graph of y0 [n] = relu(x0 [n]) and y1 = relu(x1), and a session on it.
class CGraphFixture : public ::testing::Test {
protected:
  void SetUp() override {
    FunctionBuilder f("main", plan::FunctionKind::Graph);
    uint32_t n = f.symbol(plan::SymbolKind::InputDim, 0, 0, 0, "n");
    for (std::string i : {"0", "1"}) {
      plan::ActivationT relu;
      relu.x = f.value(plan::DType::F32, {n}, plan::Storage::Input, "x" + i);
      relu.y = f.value(plan::DType::F32, {n}, plan::Storage::Output, "y" + i);
      relu.kind = plan::ActivationKind::Relu;
      f.step(std::move(relu));
    }
    std::string path = folder.file("relu.qopt");
    ASSERT_TRUE(f.write(path).ok());
    ASSERT_EQ(qopt_artifact_open(path.c_str(), 0, &graph), QOPT_OK);
    ASSERT_EQ(qopt_session_create(graph, 1, nullptr, &session), QOPT_OK);
  }
  void TearDown() override {
    qopt_session_release(session);
    qopt_artifact_release(graph);
  }

  TemporaryFolder folder;
  qopt_artifact *graph = nullptr;
  qopt_session *session = nullptr;
  float x[2][3] = {{-1, 2, -3}, {4, -5, 6}};
  int64_t shape[1] = {3};
};

/// Whether the last error's message has these words.
inline bool says(const char *part) {
  return std::string(qopt_last_error()).find(part) != std::string::npos;
}

} // namespace qopt::test

#endif // QOPT_TEST_RUNTIME_CINTERFACEFIXTURE_H

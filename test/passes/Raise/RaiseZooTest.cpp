// Every layer of real exporters' models is raised: files of the shared zoo are
// imported and raised, and what remains is counted. A decoder has one cached
// attention a layer and no onnx operator left.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Import/Onnx/Importer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>

using namespace mlir;
using namespace qopt;

namespace {

struct Model {
  const char *folder;
  int layers;
  int window = 0; ///< of every layer; -1: they differ
};

std::ostream &operator<<(std::ostream &out, const Model &model) {
  return out << model.folder;
}

class RaiseZooTest : public testing::TestWithParam<Model> {
protected:
  void SetUp() override {
    const char *set = std::getenv("QOPT_SHARED");
    folder = std::filesystem::path(set ? set : SHARED_FOLDER) / "zoo" /
             GetParam().folder;
    if (!std::filesystem::exists(folder))
      GTEST_SKIP() << "the shared models are not at " << folder
                   << " (set QOPT_SHARED)";
    DialectRegistry registry;
    registerAllDialects(registry);
    context = std::make_unique<MLIRContext>(registry);
    auto imported = import::importOnnx(folder.string(), {}, *context);
    ASSERT_TRUE(imported.ok()) << imported.status().message();
    module = std::move(*imported);
    std::string messages;
    ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) {
      messages += diagnostic.str() + "\n";
    });
    PassManager manager(context.get());
    passes::addRaiseStage(manager, passes::ModelShape::Automatic);
    EXPECT_TRUE(succeeded(manager.run(*module))) << messages;
    said = messages;
  }

  template <typename Op> int count() {
    int number = 0;
    module->walk([&](Op) { ++number; });
    return number;
  }

  std::filesystem::path folder;
  std::unique_ptr<MLIRContext> context;
  OwningOpRef<ModuleOp> module;
  std::string said;
};

class Decoders : public RaiseZooTest {};

TEST_P(Decoders, haveNoOnnxOperatorLeft) {
  ASSERT_TRUE(module->lookupSymbol("step")) << said;
  EXPECT_EQ(count<ir::CachedAttentionOp>(), GetParam().layers) << said;
  EXPECT_EQ(count<ir::KVAppendOp>(), GetParam().layers);
  module->walk([&](Operation *op) {
    EXPECT_FALSE(isa_and_nonnull<onnx::OnnxDialect>(op->getDialect()))
        << op->getName().getStringRef().str();
  });
  module->walk([&](ir::CachedAttentionOp op) {
    if (GetParam().window >= 0)
      EXPECT_EQ(op.getWindow().value_or(0), GetParam().window);
  });
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, Decoders,
    testing::Values(
        Model{"stories260k-optimum", 5}, Model{"stories260k-dynamo", 5},
        Model{"stories260k-dynamo-eager18", 5},
        Model{"stories260k-genai-fp32", 5}, Model{"stories260k-genai-int4", 5},
        Model{"books-llama-28m-genai-int4", 8},
        Model{"../models/books-llama-28m", 8},
        Model{"families/llama-optimum", 2}, Model{"families/llama-dynamo", 2},
        Model{"families/llama-genai-fp32", 2},
        Model{"families/llama-genai-fp16-cuda", 2},
        Model{"families/llama-genai-int4", 2},
        Model{"families/llama3-rope-optimum", 2},
        Model{"families/llama3-rope-dynamo", 2},
        Model{"families/qwen2-optimum", 2}, Model{"families/qwen2-dynamo", 2},
        Model{"families/qwen3-optimum", 2}, Model{"families/qwen3-dynamo", 2},
        Model{"families/mistral-optimum", 2, 5},
        Model{"families/mistral-dynamo", 2, 5},
        Model{"families/gptj-optimum", 2}, Model{"families/gptj-dynamo", 2},
        Model{"families/stablelm-optimum", 2},
        Model{"families/stablelm-dynamo", 2},
        Model{"families/gemma2-optimum", 2, -1},
        Model{"families/gemma2-dynamo", 2, -1},
        Model{"families/granite-optimum", 2},
        Model{"families/granite-dynamo", 2},
        Model{"families/smollm3-optimum", 2},
        Model{"families/smollm3-dynamo", 2}, Model{"families/gpt2-optimum", 2},
        Model{"families/gpt2-dynamo", 2}));

class Encoders : public RaiseZooTest {};

TEST_P(Encoders, haveTheirAttentionNormsAndActivations) {
  EXPECT_EQ(count<ir::AttentionOp>(), GetParam().layers) << said;
  EXPECT_GE(count<ir::LayerNormOp>(), 2 * GetParam().layers + 1);
  EXPECT_GE(count<ir::ActivationOp>(), GetParam().layers);
  // Queries, keys and values are one in what onnxruntime fused.
  EXPECT_GE(count<ir::LinearOp>(), 4 * GetParam().layers);
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, Encoders,
    testing::Values(
        Model{"families/bert-optimum", 2}, Model{"families/bert-dynamo", 2},
        Model{"families/bert-ortfused", 2},
        Model{"families/roberta-optimum", 2},
        Model{"families/roberta-dynamo", 2},
        Model{"families/roberta-ortfused", 2},
        Model{"families/distilbert-optimum", 2},
        Model{"families/distilbert-dynamo", 2},
        Model{"families/distilbert-ortfused", 2},
        Model{"families/mpnet-optimum", 2}, Model{"families/mpnet-dynamo", 2},
        Model{"families/deberta-v2-optimum", 2},
        Model{"families/deberta-v2-dynamo", 2},
        Model{"families/vit-optimum", 2}, Model{"families/vit-dynamo", 2},
        Model{"families/vit-ortfused", 2}));

} // namespace

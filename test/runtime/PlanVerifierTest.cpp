// A plan that breaks its own rules is refused when the artifact is opened, even
// though every digest is right; random changes to a plan never get further than
// an error.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Engine.h"
#include "qopt/Session.h"

#include "FunctionBuilder.h"
#include "TemporaryFolder.h"
#include "TinyDecoder.h"
#include "runtime/ArtifactFile.h"
#include "runtime/ArtifactFormat.h"
#include "runtime/Sha256.h"
#include "runtime/plan/PlanVerifier.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <random>

using namespace qopt;

namespace {

class PlanVerifierTest : public ::testing::Test {
protected:
  void SetUp() override {
    path = folder.file("tiny.qopt");
    ASSERT_TRUE(qopt::test::TinyDecoder().write(path).ok());
    auto file = runtime::ArtifactFile::open(path);
    ASSERT_TRUE(file.ok());
    (*file)->plan().UnPackTo(&plan);
  }

  /// The message after one change.
  std::string messageAfter(const std::function<void(plan::PlanT &)> &change) {
    change(plan);
    flatbuffers::FlatBufferBuilder builder;
    plan::FinishPlanBuffer(builder, plan::Plan::Pack(builder, &plan));
    return runtime::verifyPlan(*plan::GetPlan(builder.GetBufferPointer()))
        .message();
  }
  bool refuses(const std::function<void(plan::PlanT &)> &change,
               const std::string &part) {
    std::string message = messageAfter(change);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    return !message.empty();
  }

  qopt::test::TemporaryFolder folder;
  std::string path;
  plan::PlanT plan;
};

TEST_F(PlanVerifierTest, AcceptsWhatTheWriterWrites) {
  EXPECT_EQ(messageAfter([](plan::PlanT &) {}), "");
}

TEST_F(PlanVerifierTest, RefusesASymbolThatUsesALaterOne) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        plan::SymbolT &symbol = *plan.functions[0]->symbols[3];
        symbol.kind = plan::SymbolKind::Add;
        symbol.lhs = 3;
      },
      "symbol 3 is not valid"));
}

TEST_F(PlanVerifierTest, RefusesARequirementOfNoSymbol) {
  auto needs = [](uint32_t lhs, plan::Relation relation) {
    return [=](plan::PlanT &plan) {
      auto needed = std::make_unique<plan::RequirementT>();
      needed->relation = relation;
      needed->lhs = lhs;
      plan.functions[0]->requirements.clear();
      plan.functions[0]->requirements.push_back(std::move(needed));
    };
  };
  EXPECT_EQ(messageAfter(needs(0, plan::Relation::Equal)), "");
  EXPECT_TRUE(refuses(needs(1000, plan::Relation::Equal),
                      "requirement 0 is not valid"));
  EXPECT_TRUE(
      refuses(needs(0, plan::Relation(9)), "requirement 0 is not valid"));
}

TEST_F(PlanVerifierTest, RefusesACheckWithoutLimits) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        auto step = std::make_unique<plan::StepT>();
        plan::CheckIndicesT check;
        check.x = plan.functions[0]->inputs[0];
        step->operation.Set(std::move(check));
        auto &steps = plan.functions[0]->steps;
        steps.insert(steps.begin(), std::move(step));
      },
      "check_indices) is not valid"));
}

/// Activations with one scale of all rows have it, others have none.
TEST_F(PlanVerifierTest, RefusesAScaleOfActivationsThatIsNone) {
  auto quantized = [](plan::Granularity granularity, float scale) {
    return [=](plan::PlanT &plan) {
      for (auto &value : plan.functions[0]->values)
        if (value->storage == plan::Storage::Arena) {
          value->quantized = std::make_unique<plan::FormatT>();
          value->quantized->element = plan::Element::Int8;
          value->quantized->granularity = granularity;
          value->quantized_scale = scale;
          return;
        }
    };
  };
  EXPECT_EQ(messageAfter(quantized(plan::Granularity::Tensor, 0.5f)), "");
  EXPECT_EQ(messageAfter(quantized(plan::Granularity::Channel, 0)), "");
  for (float scale : {0.0f, -1.0f, HUGE_VALF, NAN})
    EXPECT_TRUE(
        refuses(quantized(plan::Granularity::Tensor, scale), "is not valid"));
  EXPECT_TRUE(
      refuses(quantized(plan::Granularity::Channel, 0.5f), "is not valid"));
}

TEST_F(PlanVerifierTest, RefusesAnAliasOfALaterValue) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        for (uint32_t i = 0; i < plan.functions[0]->values.size(); ++i)
          if (plan.functions[0]->values[i]->storage == plan::Storage::Alias)
            plan.functions[0]->values[i]->index = i;
      },
      "is not valid"));
}

/// A launch that is valid but for what `change` does to it, as the plan's last
/// step.
static void addLaunch(plan::PlanT &plan,
                      const std::function<void(plan::LaunchT &)> &change) {
  auto code = std::make_unique<plan::SegmentT>();
  code->kind = plan::SegmentKind::Code;
  plan.segments.push_back(std::move(code));
  plan::LaunchT launch;
  auto variant = std::make_unique<plan::VariantT>();
  variant->segment = uint32_t(plan.segments.size() - 1);
  variant->symbol = "kernel";
  variant->grid = {0};
  variant->block = 128;
  launch.variants.push_back(std::move(variant));
  for (auto kind : {plan::ArgumentKind::Symbol, plan::ArgumentKind::Counters,
                    plan::ArgumentKind::CachePages, plan::ArgumentKind::Size,
                    plan::ArgumentKind::IndexReport}) {
    auto argument = std::make_unique<plan::ArgumentT>();
    argument->kind = kind;
    launch.arguments.push_back(std::move(argument));
  }
  launch.counter_bytes = 8;
  launch.check = std::make_unique<plan::IndexCheckT>();
  launch.check->limits = {0};
  change(launch);
  auto step = std::make_unique<plan::StepT>();
  step->operation.Set(std::move(launch));
  plan.functions[0]->steps.push_back(std::move(step));
}

TEST_F(PlanVerifierTest, AcceptsALaunch) {
  EXPECT_EQ(messageAfter([](plan::PlanT &plan) {
              addLaunch(plan, [](plan::LaunchT &) {});
            }),
            "");
}

/// A second output that a step of this use casts from the logits.
static void addTokens(plan::PlanT &plan, plan::StepUse use) {
  plan::FunctionT &function = *plan.functions[0];
  auto tokens = std::make_unique<plan::ValueT>(
      *function.values[size_t(function.outputs[0])]);
  tokens->index = 1;
  function.values.push_back(std::move(tokens));
  function.outputs.push_back(uint32_t(function.values.size() - 1));
  plan::CastT cast;
  cast.x = function.outputs[0];
  cast.y = function.outputs[1];
  function.steps.push_back(std::make_unique<plan::StepT>());
  function.steps.back()->operation.Set(std::move(cast));
  function.steps.back()->use = use;
}

TEST_F(PlanVerifierTest, AcceptsStepsThatChooseTokens) {
  EXPECT_EQ(messageAfter([](plan::PlanT &plan) {
              addTokens(plan, plan::StepUse::Greedy);
            }),
            "");
}

TEST_F(PlanVerifierTest, RefusesStepsOfAnotherUse) {
  EXPECT_TRUE(
      refuses([](plan::PlanT &plan) { addTokens(plan, plan::StepUse(3)); },
              "is not valid"));
}

TEST_F(PlanVerifierTest, RefusesToReadWhatMayNotBeWritten) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        plan.functions[0]->steps[0]->use = plan::StepUse::Greedy;
      },
      "reads what no step has written"));
}

TEST_F(PlanVerifierTest, RefusesAThirdOutput) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        addTokens(plan, plan::StepUse::Greedy);
        plan::FunctionT &function = *plan.functions[0];
        auto third = std::make_unique<plan::ValueT>(*function.values.back());
        third->index = 2;
        function.values.push_back(std::move(third));
        function.outputs.push_back(uint32_t(function.values.size() - 1));
        plan::CastT cast;
        cast.x = function.outputs[0];
        cast.y = function.outputs[2];
        function.steps.push_back(std::make_unique<plan::StepT>());
        function.steps.back()->operation.Set(std::move(cast));
      },
      "wrong signature"));
}

// The host has no steps that choose.
TEST_F(PlanVerifierTest, ADecoderOfTheHostGivesLogitsAlone) {
  qopt::test::FunctionBuilder f("step", plan::FunctionKind::Decoder);
  uint32_t ids = f.value(plan::DType::I32, {f.symbol(plan::SymbolKind::Tokens)},
                         plan::Storage::Input, "tokens");
  uint32_t rows = f.symbol(plan::SymbolKind::LogitRows);
  for (plan::DType type : {plan::DType::F32, plan::DType::I32}) {
    plan::CastT cast;
    cast.x = ids;
    cast.y = f.value(type, {rows}, plan::Storage::Output, "output");
    f.step(std::move(cast));
  }
  auto decoder = std::make_unique<plan::DecoderT>();
  decoder->vocabulary = 1;
  decoder->context = 8;
  ASSERT_TRUE(f.write(path, std::move(decoder)).ok());
  auto artifact = Artifact::open(path);
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  auto engine = Engine::create(*artifact);
  EXPECT_EQ(engine.status().code(), StatusCode::BadArtifact);
}

TEST_F(PlanVerifierTest, RefusesALaunchThatNamesWhatIsNotThere) {
  std::function<void(plan::LaunchT &)> changes[] = {
      [](plan::LaunchT &launch) { launch.size = 1000; },
      [](plan::LaunchT &launch) { launch.after = launch.until = 8; },
      [](plan::LaunchT &launch) { launch.variants.clear(); },
      [](plan::LaunchT &launch) { launch.variants[0]->segment = 0; },
      [](plan::LaunchT &launch) { launch.variants[0]->grid = {}; },
      [](plan::LaunchT &launch) { launch.variants[0]->grid = {0, 0, 0, 0}; },
      [](plan::LaunchT &launch) { launch.variants[0]->grid = {1000}; },
      [](plan::LaunchT &launch) { launch.variants[0]->block = 2048; },
      [](plan::LaunchT &launch) { launch.arguments[0]->index = 1000; },
      [](plan::LaunchT &launch) { launch.arguments[1]->index = 8; },
      [](plan::LaunchT &launch) { launch.arguments[1]->index = 2; },
      [](plan::LaunchT &launch) { launch.arguments[2]->index = 7; },
      [](plan::LaunchT &launch) { launch.arguments[3]->index = 1000; },
      [](plan::LaunchT &launch) { launch.check.reset(); },
      [](plan::LaunchT &launch) { launch.check->limits.clear(); },
      [](plan::LaunchT &launch) { launch.check->limits = {1000}; },
  };
  for (size_t i = 0; i < std::size(changes); ++i) {
    SCOPED_TRACE(i);
    SetUp();
    EXPECT_TRUE(refuses([&](plan::PlanT &plan) { addLaunch(plan, changes[i]); },
                        "is not valid"));
  }
}

TEST_F(PlanVerifierTest, RefusesAConstantOutsideItsSegment) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        for (auto &value : plan.functions[0]->values)
          if (value->storage == plan::Storage::Constant)
            value->offset = ~uint64_t(0) - 10;
      },
      "is not valid"));
}

TEST_F(PlanVerifierTest, RefusesAConstantOfAnotherSizeThanItsShape) {
  std::function<void(plan::ValueT &)> changes[] = {
      [](plan::ValueT &value) { value.bytes -= 4; },
      [](plan::ValueT &value) { value.dtype = plan::DType::F16; },
      [](plan::ValueT &value) { value.shape.clear(); },
      [](plan::ValueT &value) { value.offset = 4, value.bytes = 0; },
  };
  for (size_t i = 0; i < std::size(changes); ++i) {
    SCOPED_TRACE(i);
    SetUp();
    EXPECT_TRUE(refuses(
        [&](plan::PlanT &plan) {
          for (auto &value : plan.functions[0]->values)
            if (value->storage == plan::Storage::Constant)
              return changes[i](*value);
        },
        "is not valid"));
  }
}

TEST_F(PlanVerifierTest, RefusesReadingWhatIsNotWritten) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        auto &steps = plan.functions[0]->steps;
        steps.erase(steps.begin());
      },
      "reads what no step has written"));
}

TEST_F(PlanVerifierTest, RefusesWritingToAConstant) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        auto *norm = plan.functions[0]->steps[1]->operation.AsRmsNorm();
        norm->y = norm->scale;
      },
      "writes to an input or a constant"));
}

TEST_F(PlanVerifierTest, RefusesALayerThatTheCacheLacks) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        for (auto &step : plan.functions[0]->steps)
          if (auto *append = step->operation.AsKvAppend())
            append->layer = 1;
      },
      "kv_append) is not valid"));
}

/// Sizes whose products would wrap around and then fit what is there.
TEST_F(PlanVerifierTest, RefusesSizesThatCannotBeCounted) {
  std::function<void(plan::PlanT &)> layers[] = {
      [](plan::PlanT &plan) { plan.decoder->layers[0]->kv_heads = 1u << 31; },
      [](plan::PlanT &plan) { plan.decoder->layers[0]->key_size = UINT32_MAX; },
      [](plan::PlanT &plan) { plan.decoder->layers[0]->value_size = 1u << 31; },
  };
  for (auto &change : layers) {
    SetUp();
    EXPECT_TRUE(refuses(change, "cache layer 0 is not valid"));
  }
  std::function<void(plan::DecoderT &)> decoders[] = {
      [](plan::DecoderT &decoder) { decoder.context = UINT32_MAX; },
      [](plan::DecoderT &decoder) { decoder.vocabulary = UINT32_MAX; },
      [](plan::DecoderT &decoder) { decoder.step_tokens = UINT32_MAX; },
  };
  for (auto &change : decoders) {
    SetUp();
    EXPECT_TRUE(
        refuses([&](plan::PlanT &plan) { change(*plan.decoder); },
                "the decoder's page, context or vocabulary is out of range"));
  }
  SetUp();
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        for (auto &step : plan.functions[0]->steps)
          if (auto *linear = step->operation.AsLinear())
            linear->n = linear->k = 1u << 31;
      },
      "step 2 (linear of 'qkv') is not valid"));
  SetUp();
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        for (auto &step : plan.functions[0]->steps)
          if (auto *embedding = step->operation.AsEmbedding())
            embedding->rows = embedding->columns = 1u << 31;
      },
      "step 0 (embedding of 'embed') is not valid"));
}

/// Its steps would read a state that nobody has.
TEST_F(PlanVerifierTest, RefusesADecoderThatIsNotThePlans) {
  EXPECT_TRUE(refuses([](plan::PlanT &plan) { plan.decoder.reset(); },
                      "it is a decoder, but not the plan's"));
  SetUp();
  EXPECT_TRUE(refuses([](plan::PlanT &plan) { plan.decoder->function = 1; },
                      "names a function that does not exist"));
  SetUp();
  EXPECT_TRUE(refuses([](plan::PlanT &plan) { plan.functions.clear(); },
                      "names a function that does not exist"));
}

TEST_F(PlanVerifierTest, RefusesTwoFunctionsOfOneName) {
  auto add = [](plan::PlanT &plan, const std::string &name) {
    plan.functions.push_back(std::make_unique<plan::FunctionT>());
    plan.functions.back()->name = name;
  };
  EXPECT_EQ(messageAfter([&](plan::PlanT &plan) { add(plan, "another"); }), "");
  EXPECT_TRUE(refuses(
      [&](plan::PlanT &plan) { add(plan, plan.functions.front()->name); },
      "two functions are called \""));
}

TEST_F(PlanVerifierTest, RefusesTokensOutsideTheVocabulary) {
  for (int32_t token : {50, -2, INT32_MAX, INT32_MIN}) {
    SetUp();
    EXPECT_TRUE(
        refuses([&](plan::PlanT &plan) { plan.decoder->begin_token = token; },
                "the decoder's begin token is " + std::to_string(token) +
                    ", outside its vocabulary of 50"));
    SetUp();
    EXPECT_TRUE(refuses(
        [&](plan::PlanT &plan) { plan.decoder->end_tokens = {2, token}; },
        "the decoder's end token is " + std::to_string(token) +
            ", outside its vocabulary of 50"));
  }
  SetUp();
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) { plan.decoder->end_tokens = {-1}; }, "end token"));
}

TEST_F(PlanVerifierTest, RefusesAGroupWithoutASize) {
  EXPECT_TRUE(refuses(
      [](plan::PlanT &plan) {
        plan.decoder->layers[0]->key->granularity = plan::Granularity::Group;
      },
      "cache layer 0 is not valid"));
}

TEST_F(PlanVerifierTest, RefusesScalesThatAnElementHasNot) {
  using plan::Element, plan::Granularity, plan::ZeroPoint;
  auto key = [](Element element, Granularity granularity, ZeroPoint zero) {
    return [=](plan::PlanT &plan) {
      plan::FormatT &format = *plan.decoder->layers[0]->key;
      format.element = element;
      format.granularity = granularity;
      format.zero = zero;
    };
  };
  const char *message = "cache layer 0 is not valid";
  EXPECT_EQ(messageAfter(
                key(Element::Fp8E4m3, Granularity::Channel, ZeroPoint::None)),
            "");
  EXPECT_TRUE(refuses(key(Element::Fp8E4m3, Granularity::None, ZeroPoint::None),
                      message));
  EXPECT_TRUE(refuses(
      key(Element::Fp8E4m3, Granularity::Channel, ZeroPoint::U8), message));
  EXPECT_TRUE(refuses(key(Element::F16, Granularity::Channel, ZeroPoint::None),
                      message));
  EXPECT_TRUE(
      refuses(key(Element::Int8, Granularity::None, ZeroPoint::None), message));
}

TEST_F(PlanVerifierTest, RefusesTwoLevelsOfScalesWithoutSuchGroups) {
  using plan::Granularity, plan::ScaleType;
  auto key = [](Granularity granularity, uint32_t group, ScaleType scale) {
    return [=](plan::PlanT &plan) {
      plan::FormatT &format = *plan.decoder->layers[0]->key;
      format.element = plan::Element::Int8;
      format.granularity = granularity;
      format.group = group;
      format.scale = scale;
    };
  };
  const char *message = "cache layer 0 is not valid";
  for (ScaleType scale : {ScaleType::Code6, ScaleType::Code8}) {
    EXPECT_TRUE(refuses(key(Granularity::Channel, 0, scale), message));
    EXPECT_TRUE(refuses(key(Granularity::Group, 24, scale), message));
    EXPECT_TRUE(refuses(key(Granularity::Group, 256, scale), message));
  }
  EXPECT_EQ(messageAfter(key(Granularity::Group, 32, ScaleType::F16)), "");
}

/// Bytes of the plan replaced at random, with digests to match; what opens is
/// given to `run`. How many opened.
int damagePlans(
    const std::string &path, unsigned seed,
    const std::function<void(std::shared_ptr<const Artifact>)> &run) {
  std::ifstream in(path, std::ios::binary);
  std::string whole((std::istreambuf_iterator<char>(in)), {});
  in.close();
  runtime::ArtifactHeader header;
  std::memcpy(&header, whole.data(), sizeof(header));
  std::mt19937_64 random(seed);
  int opened = 0;
  for (int trial = 0; trial < 800; ++trial) {
    std::string damaged = whole;
    for (int change = 0; change < 1 + trial % 3; ++change)
      damaged[header.planOffset + random() % header.planSize] =
          char(trial % 2 ? random() : random() % 8);
    runtime::Digest digest = runtime::Sha256::of(
        damaged.data() + header.planOffset, header.planSize);
    std::copy(digest.begin(), digest.end(), header.planDigest);
    digest = runtime::Sha256::of(
        &header, offsetof(runtime::ArtifactHeader, headerDigest));
    std::copy(digest.begin(), digest.end(), header.headerDigest);
    std::memcpy(damaged.data(), &header, sizeof(header));
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
    auto artifact = Artifact::open(path);
    if (!artifact.ok())
      continue;
    ++opened;
    run(*artifact);
  }
  return opened;
}

// Whatever bytes a plan has, opening and running it end in a status.
TEST_F(PlanVerifierTest, RandomDecodersNeverCrash) {
  auto generate = [](std::shared_ptr<const Artifact> artifact) {
    EngineOptions options;
    options.threads = 1;
    options.maxSequences = 1;
    options.cacheTokens = 64;
    auto engine = Engine::create(std::move(artifact), options);
    if (!engine.ok())
      return;
    Request request;
    request.prompt = {1, 2, 3};
    request.maxTokens = 3;
    (void)(*engine)->generate(request).ok();
  };
  EXPECT_GT(damagePlans(path, 11, generate), 0);
}

/// A graph with every kind of step that needs no weight.
void writeManySteps(const std::string &path) {
  qopt::test::FunctionBuilder f("main", plan::FunctionKind::Graph);
  uint32_t rows = f.symbol(plan::SymbolKind::InputDim, 0, 0, 0, "rows");
  uint32_t c32 = f.constant(32), c16 = f.constant(16), one = f.constant(1);
  uint32_t two = f.constant(2), zero = f.constant(0);
  uint32_t x =
      f.value(plan::DType::F32, {rows, c32}, plan::Storage::Input, "x");
  uint32_t y =
      f.value(plan::DType::F64, {rows, c16}, plan::Storage::Output, "y");
  uint32_t coded = f.arena({rows, c32}, plan::DType::U8);
  f.function->values[coded]->quantized =
      runtime::fromFormat(*quant::parseFormat("int8_g32_sf32"));
  f.require(plan::Relation::AtMost, rows, c32, "node");
  f.require(plan::Relation::MultipleOf, c32, c16);
  plan::QuantizeActivationsT quantize;
  quantize.x = x, quantize.y = coded;
  plan::DequantizeT dequantize;
  dequantize.x = coded, dequantize.y = f.arena({rows, c32});
  plan::LayerNormT norm;
  norm.x = dequantize.y, norm.y = f.arena({rows, c32});
  norm.scale = f.floats(std::vector<float>(32, 1.f));
  norm.bias = int32_t(norm.scale);
  plan::RotaryT rotary;
  rotary.x = norm.y, rotary.y = f.arena({rows, c32});
  rotary.cos = rotary.sin = f.floats(std::vector<float>(8, 0.5f));
  rotary.heads = 2, rotary.head_size = 16, rotary.rotated = 16;
  uint32_t heads = f.view(rotary.y, zero, {one, rows, two, c16});
  uint32_t keys = f.arena({one, two, rows, c16});
  plan::CopyT copy;
  copy.x = rotary.y, copy.y = keys;
  copy.shape = {two, rows, c16};
  copy.x_strides = {c16, c32, one};
  copy.y_strides = {f.symbol(plan::SymbolKind::Mul, rows, c16), c16, one};
  copy.x_offset = copy.y_offset = zero;
  plan::AttentionT attention;
  attention.q = heads, attention.k = attention.v = keys;
  attention.y = f.arena({one, rows, two, c16});
  attention.mask = int32_t(f.floats({0.5f}));
  attention.causal = true;
  plan::GatedActivationT gated;
  gated.gate = f.view(attention.y, zero, {rows, c32});
  gated.y = f.arena({rows, c16});
  plan::ActivationT activation;
  activation.x = gated.y, activation.y = f.arena({rows, c16});
  plan::CastT convert;
  convert.x = activation.y, convert.y = y;
  f.step(std::move(quantize));
  f.step(std::move(dequantize));
  f.step(std::move(norm));
  f.step(std::move(rotary));
  f.step(std::move(copy));
  f.step(std::move(attention));
  f.step(std::move(gated));
  f.step(std::move(activation));
  f.step(std::move(convert));
  ASSERT_TRUE(f.write(path).ok());
}

TEST_F(PlanVerifierTest, RandomGraphsNeverCrash) {
  writeManySteps(path);
  std::vector<float> x(3 * 32, 0.5f);
  TensorView view = {"x", DType::F32, {3, 32}, x.data()};
  int completed = 0;
  auto run = [&](std::shared_ptr<const Artifact> artifact) {
    auto session = Session::create(std::move(artifact), {.threads = 1});
    if (session.ok())
      completed += (*session)->run({view}).ok();
  };
  auto whole = Artifact::open(path);
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  run(*whole);
  EXPECT_EQ(completed, 1);
  EXPECT_GT(damagePlans(path, 5, run), 0);
  EXPECT_GT(completed, 1); // a name or a float was changed
}

} // namespace

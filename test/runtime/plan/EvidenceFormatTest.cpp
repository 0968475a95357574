// What was measured comes back as it was written, and a record that contradicts
// itself is refused.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/plan/EvidenceFormat.h"

#include <cmath>
#include <gtest/gtest.h>

namespace qopt::runtime {
namespace {

ValidationSummary measured() {
  ValidationSummary summary;
  summary.device = "the host";
  summary.seed = 7;
  summary.texts = {{"tales", "tales.txt", std::string(64, 'a')}};
  SliceSummary slice;
  slice.name = "all";
  slice.windows = 3;
  slice.predictions = 30;
  slice.perplexity = 4.5;
  slice.referencePerplexity = 4;
  slice.perplexityIncrease = 12.5;
  slice.divergence = 0.125;
  slice.divergenceLow = 0.1;
  slice.divergenceHigh = 0.15;
  slice.divergence99 = 1;
  slice.mostDivergence = 2;
  slice.sameTop = 90;
  summary.slices = {slice};
  summary.gates = {{"max-kl", "all", 0.2, 0.125},
                   {"max-perplexity-increase", "all", 12, 12.5},
                   {"min-top1", "all", 90, 90}};
  return summary;
}

Status verified(const ValidationSummary &summary) {
  flatbuffers::FlatBufferBuilder builder;
  auto record = fromValidation(summary);
  builder.Finish(plan::Validation::Pack(builder, record.get()));
  return verifyValidation(
      *flatbuffers::GetRoot<plan::Validation>(builder.GetBufferPointer()));
}

TEST(EvidenceFormat, ComesBackAsItWas) {
  flatbuffers::FlatBufferBuilder builder;
  auto record = fromValidation(measured());
  builder.Finish(plan::Validation::Pack(builder, record.get()));
  ValidationSummary back = toValidation(
      *flatbuffers::GetRoot<plan::Validation>(builder.GetBufferPointer()));
  EXPECT_EQ(back.device, "the host");
  EXPECT_EQ(back.seed, 7u);
  EXPECT_EQ(back.texts[0].file, "tales.txt");
  EXPECT_EQ(back.slices[0].predictions, 30);
  EXPECT_EQ(back.slices[0].divergenceHigh, 0.15);
  EXPECT_EQ(back.slices[0].sameTop, 90);
  ASSERT_EQ(back.gates.size(), 3u);
  EXPECT_TRUE(back.gates[0].isMet());
  EXPECT_FALSE(back.gates[1].isMet());
  EXPECT_TRUE(back.gates[2].isMet());
  EXPECT_FALSE(back.isMet());
}

ValidationSummary measuredGraph() {
  ValidationSummary summary;
  summary.device = "the host";
  OutputSummary classes;
  classes.slice = "all";
  classes.output = "logits";
  classes.samples = 5;
  classes.rows = 10;
  classes.error = 0.01;
  classes.errorLow = 0.005;
  classes.errorHigh = 0.02;
  classes.hasLogits = true;
  classes.divergence = 0.125;
  classes.mostDivergence = 2;
  classes.sameTop = 90;
  OutputSummary hidden = classes;
  hidden.output = "hidden";
  hidden.hasLogits = false;
  hidden.divergence = hidden.mostDivergence = hidden.sameTop = 0;
  summary.outputs = {classes, hidden};
  summary.gates = {{"max-kl", "all", 0.2, 0.125, "logits"},
                   {"max-error", "all", 0.005, 0.01, "hidden"}};
  return summary;
}

TEST(EvidenceFormat, OutputsOfAGraphComeBack) {
  flatbuffers::FlatBufferBuilder builder;
  auto record = fromValidation(measuredGraph());
  builder.Finish(plan::Validation::Pack(builder, record.get()));
  ValidationSummary back = toValidation(
      *flatbuffers::GetRoot<plan::Validation>(builder.GetBufferPointer()));
  ASSERT_EQ(back.outputs.size(), 2u);
  EXPECT_EQ(back.outputs[0].output, "logits");
  EXPECT_EQ(back.outputs[0].rows, 10);
  EXPECT_EQ(back.outputs[0].errorHigh, 0.02);
  EXPECT_EQ(back.outputs[0].mostDivergence, 2);
  EXPECT_EQ(back.outputs[0].sameTop, 90);
  EXPECT_TRUE(back.outputs[0].hasLogits);
  EXPECT_FALSE(back.outputs[1].hasLogits);
  EXPECT_EQ(back.gates[1].output, "hidden");
  EXPECT_TRUE(back.gates[0].isMet());
  EXPECT_FALSE(back.gates[1].isMet());
  EXPECT_TRUE(verified(back).ok());
  back.outputs[1].rows = 0; // of an empty output
  EXPECT_TRUE(verified(back).ok());
}

TEST(EvidenceFormat, AValueThatIsNoNumberMissesEveryLimit) {
  EXPECT_FALSE((GateSummary{"max-kl", "all", 1, std::nan("")}).isMet());
  EXPECT_FALSE((GateSummary{"min-top1", "all", 1, std::nan("")}).isMet());
}

TEST(EvidenceFormat, RefusesWhatContradictsItself) {
  EXPECT_TRUE(verified(measured()).ok());
  auto refuses = [](void (*change)(ValidationSummary &), const char *part) {
    ValidationSummary summary = measured();
    change(summary);
    Status status = verified(summary);
    EXPECT_EQ(status.code(), StatusCode::BadArtifact);
    EXPECT_NE(status.message().find(part), std::string::npos)
        << status.message();
  };
  refuses([](ValidationSummary &s) { s.texts[0].sha256 = "abc"; },
          "the digest of text \"tales\"");
  refuses([](ValidationSummary &s) { s.slices[0].windows = 0; },
          "slice \"all\" is not valid");
  refuses([](ValidationSummary &s) { s.slices[0].divergence = -1; },
          "slice \"all\" is not valid");
  refuses([](ValidationSummary &s) { s.slices[0].perplexity = std::nan(""); },
          "slice \"all\" is not valid");
  refuses([](ValidationSummary &s) { s.gates[0].value = 0.1; },
          "has not the figure of slice \"all\"");
  refuses([](ValidationSummary &s) { s.gates[0].slice = "other"; },
          "is of no slice or limit");
  refuses([](ValidationSummary &s) { s.gates[0].option = "max-size"; },
          "has not the figure");
  refuses(
      [](ValidationSummary &s) {
        s = measuredGraph();
        s.outputs[1].error = -1;
      },
      "output \"hidden\" is not valid");
  refuses(
      [](ValidationSummary &s) {
        s = measuredGraph();
        s.outputs[0].samples = 0;
      },
      "output \"logits\" is not valid");
  refuses( // of what is no prediction
      [](ValidationSummary &s) {
        s = measuredGraph();
        s.gates[1] = {"max-kl", "all", 1, 0, "hidden"};
      },
      "has not the figure");
  refuses(
      [](ValidationSummary &s) {
        s = measuredGraph();
        s.gates[0].output = "other";
      },
      "is of no slice or limit");
}

} // namespace
} // namespace qopt::runtime

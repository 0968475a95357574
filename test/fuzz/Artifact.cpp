// Input: an artifact, or only a plan, which is put behind segments of zeros as
// its table has them. Header and digests are made to fit, as a stranger would.
// What opens is run, with few tokens or small inputs; machine code is a program
// of its author, so that artifacts with segments of it are only opened.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MemoryFile.h"
#include "qopt/Engine.h"
#include "qopt/Session.h"
#include "runtime/ArtifactFormat.h"
#include "runtime/LoadedModel.h"
#include "runtime/Sha256.h"
#include <cstring>
#include <vector>

using namespace qopt;
using runtime::ArtifactHeader;

/// Where the plan of a file begins whose segments are `plan`'s; 0: none of them
/// fits into `most` bytes.
static uint64_t endOfSegments(const uint8_t *plan, size_t size, uint64_t most) {
  flatbuffers::Verifier verifier(plan, size, 64, 100'000'000);
  uint64_t end = sizeof(ArtifactHeader);
  if (!plan::VerifyPlanBuffer(verifier) || !plan::GetPlan(plan)->segments())
    return runtime::segmentAlignment;
  for (const plan::Segment *segment : *plan::GetPlan(plan)->segments()) {
    end = runtime::alignSegment(end);
    if (segment->size() > most - end)
      return 0;
    end += segment->size();
  }
  return runtime::alignSegment(end);
}

static bool isWhole(const uint8_t *data, size_t size) {
  return size >= runtime::segmentAlignment &&
         std::equal(std::begin(runtime::artifactMagic),
                    std::end(runtime::artifactMagic), data);
}

/// The bytes of the file that an input means; empty: it would be too large.
static std::vector<uint8_t> fileOf(const uint8_t *data, size_t size) {
  ArtifactHeader header{};
  std::vector<uint8_t> file;
  if (isWhole(data, size)) {
    file.assign(data, data + size);
    std::memcpy(&header, data, sizeof(header));
  } else {
    uint64_t at = endOfSegments(data, size, uint64_t(1) << 18);
    if (at == 0)
      return {};
    file.resize(at);
    file.insert(file.end(), data, data + size);
    std::copy(std::begin(runtime::artifactMagic),
              std::end(runtime::artifactMagic), header.magic);
    header.version = runtime::formatVersion;
    header.headerSize = sizeof(header);
    header.fileSize = file.size();
    header.planOffset = at;
    header.planSize = size;
  }
  runtime::Digest digest{};
  if (header.planOffset <= file.size() &&
      header.planSize <= file.size() - header.planOffset)
    digest =
        runtime::Sha256::of(file.data() + header.planOffset, header.planSize);
  std::copy(digest.begin(), digest.end(), header.planDigest);
  digest = runtime::Sha256::of(&header, offsetof(ArtifactHeader, headerDigest));
  std::copy(digest.begin(), digest.end(), header.headerDigest);
  std::memcpy(file.data(), &header, sizeof(header));
  return file;
}

static bool hasCode(const plan::Plan &plan) {
  if (plan.segments())
    for (const plan::Segment *segment : *plan.segments())
      if (segment->kind() == plan::SegmentKind::Code)
        return true;
  return false;
}

static void runDecoder(std::shared_ptr<const Artifact> artifact) {
  EngineOptions options;
  options.threads = 1;
  options.device = "host";
  options.cacheTokens = 32;
  options.maxSequences = 2;
  options.chunkTokens = 16;
  auto engine = Engine::create(std::move(artifact), options);
  if (!engine.ok())
    return fuzz::requireMessage(engine.status());
  Request request;
  request.prompt = {0, 1, 2};
  request.maxTokens = 2;
  auto result = (*engine)->generate(request);
  if (!result.ok())
    fuzz::requireMessage(result.status());
}

static void runGraph(std::shared_ptr<const Artifact> artifact) {
  SessionOptions options;
  options.threads = 1;
  options.device = "host";
  auto session = Session::create(artifact, options);
  if (!session.ok())
    return fuzz::requireMessage(session.status());
  std::vector<Tensor> inputs;
  std::vector<TensorView> views;
  for (const TensorSpec &spec : artifact->inputs()) {
    std::vector<int64_t> shape;
    for (const std::string &dimension : spec.shape) {
      int64_t size = std::atoll(dimension.c_str());
      shape.push_back(size > 0 && size <= 64 ? size : 2);
    }
    if (shape.size() > 4)
      return;
    inputs.emplace_back(spec.name, spec.type, shape);
  }
  for (const Tensor &input : inputs)
    views.push_back(input.view());
  auto results = (*session)->run(views);
  if (!results.ok())
    fuzz::requireMessage(results.status());
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::vector<uint8_t> bytes = fileOf(data, size);
  if (bytes.empty())
    return -1;
  fuzz::MemoryFile file(bytes.data(), bytes.size());
  OpenOptions options;
  options.trust = true; // the digests of segments are the author's, too
  auto artifact = Artifact::open(file.path(), options);
  if (!artifact.ok()) {
    fuzz::requireMessage(artifact.status());
    return 0;
  }
  (void)(*artifact)->compilerVersion();
  (void)(*artifact)->target();
  (void)(*artifact)->tokenizerJson();
  if (hasCode((*artifact)->model()->plan()))
    return 0;
  if ((*artifact)->isDecoder())
    runDecoder(*artifact);
  else
    runGraph(*artifact);
  return 0;
}

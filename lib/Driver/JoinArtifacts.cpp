// Only places change: what a part's plan says of segment i, the whole's says of
// the segment that i became.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/JoinArtifacts.h"

#include "lib/Quant/Format.h"
#include "runtime/ArtifactFile.h"
#include "runtime/ArtifactWriter.h"
#include "runtime/Sha256.h"
#include "runtime/plan/PlanFormat.h"
#include "llvm/Support/FileSystem.h"

#include <map>
#include <tuple>

namespace qopt::driver {
namespace {

class Joining {
public:
  explicit Joining(runtime::ArtifactWriter &writer) : writer(writer) {}

  Status add(const JoinedPart &part) {
    // Written a moment ago by this process.
    auto file =
        runtime::ArtifactFile::open(part.path, runtime::Integrity::Trust);
    if (!file.ok())
      return file.status();
    std::unique_ptr<plan::PlanT> plan((*file)->plan().UnPack());
    if (plan->functions.size() != 1 || plan->decoder)
      return Status(StatusCode::Internal, "a part is one graph");
    QOPT_RETURN_IF_ERROR(addSegments(**file, *plan));
    addFunction(std::move(plan->functions.front()), part.name);
    addManifest(std::move(plan->manifest));
    return {};
  }

  Status finish(CompileSummary &summary) {
    runtime::Digest digest =
        runtime::Sha256::of(sources.data(), sources.size());
    whole.manifest->source_sha256.assign(digest.begin(), digest.end());
    for (const auto &record : whole.manifest->weights) {
      summary.parameters += uint64_t(record->rows) * record->columns;
      summary.weightBytes += record->bytes;
      flatbuffers::FlatBufferBuilder builder;
      builder.Finish(plan::Format::Pack(builder, record->format.get()));
      quant::Format format = runtime::toFormat(
          *flatbuffers::GetRoot<plan::Format>(builder.GetBufferPointer()));
      summary.weights.push_back({record->name, quant::spell(format),
                                 record->rows, record->columns, record->bytes});
    }
    return writer.finish(whole);
  }

private:
  /// Of every segment of the part the index in the whole.
  Status addSegments(const runtime::ArtifactFile &file,
                     const plan::PlanT &plan) {
    places.clear();
    before = uint32_t(known.size());
    for (uint32_t i = 0; i < plan.segments.size(); ++i) {
      const plan::SegmentT &segment = *plan.segments[i];
      auto [found, added] = known.try_emplace(
          std::tuple(segment.kind, segment.size, segment.sha256));
      if (added) {
        auto index =
            writer.addSegment(segment.kind, segment.name, file.segment(i));
        if (!index.ok())
          return index.status();
        found->second = *index;
      }
      places.push_back(found->second);
    }
    return {};
  }

  void addFunction(std::unique_ptr<plan::FunctionT> function,
                   const std::string &name) {
    function->name = name;
    for (auto &value : function->values)
      if (value->storage == plan::Storage::Constant)
        value->index = places[value->index];
    for (auto &step : function->steps)
      if (plan::GeneratedT *generated = step->operation.AsGenerated())
        generated->segment = places[generated->segment];
    whole.functions.push_back(std::move(function));
  }

  void addManifest(std::unique_ptr<plan::ManifestT> manifest) {
    std::vector<std::unique_ptr<plan::WeightRecordT>> weights;
    for (auto &record : manifest->weights)
      if (places[record->segment] >= before) {
        record->segment = places[record->segment];
        weights.push_back(std::move(record));
      }
    sources.insert(sources.end(), manifest->source_sha256.begin(),
                   manifest->source_sha256.end());
    if (whole.manifest) {
      whole.manifest->source_name += "+" + manifest->source_name;
      std::move(weights.begin(), weights.end(),
                std::back_inserter(whole.manifest->weights));
      return;
    }
    if (manifest->tokenizer_segment >= 0)
      manifest->tokenizer_segment =
          int32_t(places[uint32_t(manifest->tokenizer_segment)]);
    manifest->weights = std::move(weights);
    manifest->precision_plan.clear(); // of this part alone
    whole.manifest = std::move(manifest);
  }

  runtime::ArtifactWriter &writer;
  plan::PlanT whole;
  std::map<std::tuple<plan::SegmentKind, uint64_t, std::vector<uint8_t>>,
           uint32_t>
      known;
  std::vector<uint32_t> places; ///< of the part's segments
  uint32_t before = 0;          ///< segments of the parts before
  std::vector<uint8_t> sources; ///< digests of the files
};

} // namespace

Status joinArtifacts(llvm::ArrayRef<JoinedPart> parts,
                     const std::string &output, CompileSummary &summary) {
  auto writer = runtime::ArtifactWriter::create(output);
  if (!writer.ok())
    return writer.status();
  Joining joining(**writer);
  for (const JoinedPart &part : parts)
    QOPT_RETURN_IF_ERROR(joining.add(part));
  QOPT_RETURN_IF_ERROR(joining.finish(summary));
  (void)llvm::sys::fs::file_size(output, summary.artifactBytes);
  return {};
}

} // namespace qopt::driver

// What a compilation can be asked for. A default-constructed value compiles a
// model as its file has it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_COMPILEOPTIONS_H
#define QOPT_COMPILEOPTIONS_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qopt {

/// What the artifact is to be.
enum class ModelKind {
  Automatic, ///< a decoder where the model is one, else a graph
  Decoder,   ///< a causal language model: tokens in, logits out, a KV cache
  Graph,     ///< the model's own signature: tensors in, tensors out
};

/// Where a compilation stops; each earlier stage's result can be printed.
enum class Stage {
  Onnx,      ///< the file's operators, newest form
  Raised,    ///< what the model means
  Quantized, ///< with the formats of weights and activations
  Fused,     ///< fewer, larger operations
  Scheduled, ///< with kernels and layouts chosen
  Kernels,   ///< the remainder as kernels
  Gpu,       ///< GPU: the kernels in the dialects gpu, nvvm and ptx
  Ptx,       ///< GPU: the kernels as PTX
  Sass,      ///< GPU: the kernels' machine code, disassembled
  Artifact,  ///< the file that the runtime loads
};

/// The stage that a command line names ("onnx", "qopt", "quantized", "fused",
/// "scheduled", "kernels", "gpu", "ptx", "sass", "artifact").
struct StageName {
  const char *name;
  Stage stage;
  const char *description;
};
constexpr StageName stageNames[] = {
    {"onnx", Stage::Onnx, "the file's operators, newest form"},
    {"qopt", Stage::Raised, "what the model means"},
    {"quantized", Stage::Quantized, "with formats of weights and activations"},
    {"fused", Stage::Fused, "fewer, larger operations"},
    {"scheduled", Stage::Scheduled, "with kernels and layouts chosen"},
    {"kernels", Stage::Kernels, "the remainder as kernels"},
    {"gpu", Stage::Gpu, "GPU: the kernels in the dialects gpu, nvvm and ptx"},
    {"ptx", Stage::Ptx, "GPU: the kernels as PTX"},
    {"sass", Stage::Sass, "GPU: the kernels' machine code, disassembled"},
    {"artifact", Stage::Artifact, "the file that the runtime loads"},
};

constexpr int64_t longestContext = int64_t(1) << 24;
constexpr unsigned mostThreads = 1024;
constexpr int64_t mostMoves = 10000;
/// And for `tune`.
constexpr int64_t mostTuneSteps = 100000;

/// What the artifact runs on.
enum class TargetDevice {
  Host, ///< the processor: `cpu`
  Cuda, ///< NVIDIA GPUs: `architectures`
};

struct CompileOptions {
  std::string model;     ///< model.onnx, or the folder that holds it
  std::string output;    ///< the artifact; empty: see defaultOutput
  std::string tokenizer; ///< tokenizer.json; empty: the one beside the model
  ModelKind kind = ModelKind::Automatic;
  /// "NAME=VALUE": inputs of one boolean or integer that are constants of the
  /// artifact. An If on one of them is the branch that the value takes; inputs
  /// that only the other one reads go away.
  std::vector<std::string> inputs;

  /// Formats as lib/Quant spells them ("int4_g32"); empty: as in the file.
  std::string weights;
  std::string lmHead;    ///< of the last projection; empty: as `weights`
  std::string embedding; ///< of the token embedding; empty: as in the file
  /// "NAME=FORMAT" or "re:PATTERN=FORMAT", the first that matches a weight's
  /// name wins.
  std::vector<std::string> formats;
  /// What linears read: "f16" or "bf16", in which all values are between
  /// kernels, and on the host "f32". Or codes with one scale a token, where
  /// weights are the same with one scale a row: "int8", on the host also
  /// "fp8_e4m3"; beside them stands what values are elsewhere, as in
  /// "bf16,int8", else f32 on the host and f16 on a GPU. On the host also
  /// "int8_g32_sf32", with one scale for 32 columns, of all integer weights:
  /// what empty means there; on a GPU it means f16.
  std::string activations;
  /// The same for what single linears read, by their weight, "NAME=FORMAT" or
  /// "re:PATTERN=FORMAT": "f32", "int8_g32_sf32", "int8" or "fp8_e4m3", on a
  /// GPU "f16" or "int8"; the first that matches wins, all others are as
  /// `activations` says.
  std::vector<std::string> activationFormats;
  /// Formats of keys and values in the cache, "int8" or "key,value", and
  /// positions that are kept in f16, "…,recent=32,first=16"; empty: as in the
  /// model, on a GPU at most 16 bits.
  std::string cache;
  /// Of single layers of the cache, "cache.LAYER.key=FORMAT",
  /// "cache.LAYER.value=FORMAT" or "re:PATTERN=FORMAT"; the first that matches
  /// wins, all others are as `cache` says. Behind a format ",recent=32" and
  /// ",first=16" are of the layer's keys and values, 0 is none; of keys on the
  /// host also ",before_rotary".
  std::vector<std::string> cacheFormats;

  /// Text, or inputs of a graph (.npz), that weights are quantized by what they
  /// do on; empty: each weight is rounded by itself.
  std::string calibrate;
  /// How codes are chosen: with a text "best" of all for each weight, "awq",
  /// "gptq", "kronecker", or with or without one "rtn", "clip" or "hqq"
  /// (lib/Quant/algorithms/MatrixAlgorithm.h); empty: "best" with a text, "rtn"
  /// without.
  std::string algorithm;
  /// Of that at most so many tokens, spread over it.
  int64_t calibrateTokens = int64_t(1) << 16;

  /// What a layer reads while its weights are rounded: "quantized", what the
  /// layers ahead make with their codes, or "original", what they make as the
  /// file has them; empty: "quantized".
  std::string calibrateInputs;
  /// Behind that so many steps of gradient descent on the KL divergence from
  /// the unquantized model, over scales and weights of norms; codes stay. The
  /// best step on the part of the text that is held out is kept, or none.
  int64_t tune = 0;

  /// A folder in which a calibration keeps what it has done, so that one that
  /// was ended goes on, and the same again is free; empty: in the user's cache.
  std::string store;

  /// Instead of `weights`: at most so many stored bits for each element of the
  /// weights of linears and embeddings together, scales and zero points
  /// included; 0: no limit. Formats are chosen by what they do on `calibrate`.
  double bits = 0;
  /// The same for the artifact's file: "1.2GB", "900MiB" or bytes; empty: no
  /// limit.
  std::string maxSize;
  /// For what a decoder takes in memory while it serves `batch` sequences as
  /// long as the context: weights, cache, steps; of a graph weights and what it
  /// works in with `batch` samples of `calibrate`.
  std::string maxMemory;
  int64_t batch = 1;
  /// For the predicted time of a decode step of `batch` sequences, as long as
  /// `context` or, where that is 0, of at most 1024 positions, on the slowest
  /// of `architectures`, or on the host that `hostRates` describes: "2.1ms",
  /// "800us".
  std::string maxLatency;
  /// What the host's kernels take, as bench/describe_host measured it on the
  /// machine that serves; empty: a machine of the project's.
  std::string hostRates;
  /// What may be chosen; empty: what the target has fast kernels for.
  std::vector<std::string> candidates;
  /// The same for keys and values of each layer of the cache, which `maxMemory`
  /// and `maxLatency` choose where `cache` is empty.
  std::vector<std::string> cacheCandidates;
  /// Exchanges of formats between two weights or caches that are measured after
  /// the choice, as KL on the part of `calibrate` that no algorithm sees; what
  /// lowers it is kept.
  int64_t moves = 0;
  /// A file with the formats of all weights, as `savePlan` wrote it.
  std::string plan;
  std::string savePlan; ///< where the formats and their reasons are written

  /// Limits on what the artifact predicts beside the unquantized model, on the
  /// texts of `validate` together and on each of them: of the mean KL
  /// divergence in nats, of the perplexity in percent above the unquantized
  /// model's, of the tokens with the same first choice in percent. Where one is
  /// missed nothing is written. Of a graph the divergence and first choices are
  /// those of each output that is logits, and the error, the square of it
  /// beside that of the unquantized model's output, is limited of every one.
  std::optional<double> mostDivergence, mostPerplexityIncrease, leastSameTop,
      mostError;
  /// Texts, or inputs of a graph (.npz), to measure that on, "PATH" or
  /// "NAME=PATH"; empty: the part of `calibrate` that no algorithm sees.
  /// Measured without limits, too.
  std::vector<std::string> validate;
  bool keep = false; ///< write what misses a limit, too

  TargetDevice target = TargetDevice::Host;
  /// Of the GPUs that machine code is made for, "sm_90a,sm_80"; others of
  /// compute capability 8.0 and later use the PTX that is there too.
  std::string architectures = "sm_90a";
  /// The GPU whose kernels' order of sums the host follows, "sm_90a", with
  /// activations in f16 or bf16; empty: the host's own, which is fast.
  std::string sumOrder;
  std::string cpu = "x86-64-v3"; ///< of generated machine code
  int64_t context = 0;           ///< longest sequence; 0: as the model says
  unsigned threads = 0;          ///< of all stages; 0: one a processor
  bool strict = false;           ///< generic code is an error
};

} // namespace qopt

#endif // QOPT_COMPILEOPTIONS_H

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-inspect/PrintDescription.h"

#include "runtime/PrintableText.h"

#include <cstdio>

namespace qopt::inspect {

/// "1,056,512"
static std::string grouped(const Json &number) {
  std::string digits = std::to_string(number.get<int64_t>());
  for (size_t i = digits.size(); i > 3; i -= 3)
    digits.insert(i - 3, ",");
  return digits;
}

/// A text of the file, as a terminal may have it.
static std::string textOf(const Json &json) {
  return runtime::printable(json.get<std::string>());
}

static void printManifest(const Json &json) {
  std::printf("%s: %s bytes, made by qopt %s for %s\n",
              textOf(json["file"]).c_str(), grouped(json["bytes"]).c_str(),
              textOf(json["compiler_version"]).c_str(),
              textOf(json["target"]).c_str());
  if (!textOf(json["source_name"]).empty())
    std::printf("  from %s, sha256 %s\n", textOf(json["source_name"]).c_str(),
                textOf(json["source_sha256"]).c_str());
  if (!json["options"].empty()) {
    std::printf("  options:");
    for (const auto &[name, value] : json["options"].items())
      std::printf(" %s=%s", runtime::printable(name).c_str(),
                  textOf(value).c_str());
    std::printf("\n");
  }
  if (json["tokenizer_bytes"].get<int64_t>() == 0)
    std::printf("  no tokenizer\n");
  else
    std::printf("  tokenizer: %s bytes\n",
                grouped(json["tokenizer_bytes"]).c_str());
}

static void printTensors(const char *title, const Json &tensors) {
  std::printf("%s\n", title);
  for (const Json &tensor : tensors) {
    std::string shape;
    for (const Json &size : tensor["shape"])
      shape += (shape.empty() ? "" : ", ") + textOf(size);
    std::printf("  %s: %s[%s]\n", textOf(tensor["name"]).c_str(),
                textOf(tensor["type"]).c_str(), shape.c_str());
  }
}

/// Layers that are alike in one line.
static void printCacheLayers(const Json &layers) {
  std::string last;
  int64_t first = 0, index = 0;
  auto flush = [&] {
    if (!last.empty())
      std::printf("  layers %lld-%lld: %s\n", (long long)first,
                  (long long)index - 1, last.c_str());
  };
  for (const Json &layer : layers) {
    std::string line = layer["kv_heads"].dump() + " heads, keys " +
                       layer["key_size"].dump() + " x " + textOf(layer["key"]) +
                       ", values " + layer["value_size"].dump() + " x " +
                       textOf(layer["value"]);
    if (layer["source"] == true)
      line += ", of sources";
    if (layer["window"] != 0)
      line += ", window " + layer["window"].dump();
    if (layer["recent"] != 0)
      line += ", latest " + layer["recent"].dump() + " and first " +
              layer["first"].dump() + " in f16";
    if (layer["before_rotary"] == true)
      line += ", keys ahead of their rotation";
    if (line != last) {
      flush();
      first = index;
      last = line;
    }
    ++index;
  }
  flush();
}

static void printModel(const Json &json) {
  if (json["kind"] == "graphs") {
    for (const Json &graph : json["graphs"]) {
      std::string name = textOf(graph["name"]);
      printTensors((name + ": inputs").c_str(), graph["inputs"]);
      printTensors((name + ": outputs").c_str(), graph["outputs"]);
    }
    return;
  }
  if (json["kind"] == "graph") {
    printTensors("inputs", json["inputs"]);
    printTensors("outputs", json["outputs"]);
    return;
  }
  std::printf(
      "decoder: %s layers, vocabulary %s, context %s, begin token %s, "
      "end tokens %s\n",
      grouped(json["layers"]).c_str(), grouped(json["vocabulary"]).c_str(),
      grouped(json["context"]).c_str(), json["begin_token"].dump().c_str(),
      json["end_tokens"].dump().c_str());
  if (json["source"] != 0) {
    std::printf("sources of up to %s positions, encoded of\n",
                grouped(json["source"]).c_str());
    printTensors("inputs", json["inputs"]);
  }
  if (!json["sampling"].empty())
    std::printf("sampling of the model's files: %s\n",
                json["sampling"].dump().c_str());
  if (json["chat_template"] != "")
    std::printf(
        "chat template: %s characters (--json shows it)\n",
        grouped(json["chat_template"].get<std::string>().size()).c_str());
  std::printf("KV cache: %s bytes per token, pages of %s",
              grouped(json["cache_bytes_per_token"]).c_str(),
              grouped(json["cache_page"]).c_str());
  if (json["cache_bytes_per_sequence"] != 0)
    std::printf(", %s bytes per sequence",
                grouped(json["cache_bytes_per_sequence"]).c_str());
  std::printf("\n");
  printCacheLayers(json["cache_layers"]);
}

static void printTally(const char *indent, const std::string &name,
                       const Json &tally) {
  std::printf(
      "%s%-16s %15s parameters %15s bytes  bits: %.2f payload, %.2f "
      "with scales, %.2f packed\n",
      indent, name.c_str(), grouped(tally["parameters"]).c_str(),
      grouped(tally["bytes"]).c_str(), tally["payload_bits"].get<double>(),
      tally["stored_bits"].get<double>(), tally["packed_bits"].get<double>());
}

static void printWeights(const Json &json, bool list) {
  printTally("", "weights", json);
  for (const auto &[format, tally] : json["formats"].items())
    printTally("  ", format, tally);
  if (!list)
    return;
  for (const Json &weight : json["list"]) {
    std::string reason = textOf(weight["reason"]);
    std::printf(
        "  %s: %s x %s %s %s, %s bytes, %.2f bits%s%s\n",
        textOf(weight["name"]).c_str(), weight["rows"].dump().c_str(),
        weight["columns"].dump().c_str(), textOf(weight["format"]).c_str(),
        textOf(weight["layout"]).c_str(), grouped(weight["bytes"]).c_str(),
        weight["packed_bits"].get<double>(), reason.empty() ? "" : ": ",
        reason.c_str());
  }
}

static void printStep(size_t index, const Json &step) {
  std::string kernel = textOf(step["kernel"]);
  if (step.contains("symbol"))
    kernel += " " + textOf(step["symbol"]);
  if (step.contains("weight"))
    kernel += " " + textOf(step["weight"]["format"]) + " " +
              step["weight"]["rows"].dump() + "x" +
              step["weight"]["columns"].dump();
  std::printf("%5zu %s", index, kernel.c_str());
  if (!textOf(step["origin"]).empty())
    std::printf(" '%s'", textOf(step["origin"]).c_str());
  if (step.contains("use"))
    std::printf(" (%s)", textOf(step["use"]).c_str());
  std::printf(": constants %s, activations %s bytes\n",
              grouped(step["constant_bytes"]).c_str(),
              grouped(step["activation_bytes"]).c_str());
  if (step.contains("operands"))
    for (const Json &operand : step["operands"])
      std::printf(
          "        %-5s %%%s %s%s in %s at %s, %s bytes\n",
          textOf(operand["access"]).c_str(), operand["value"].dump().c_str(),
          textOf(operand["type"]).c_str(), operand["shape"].dump().c_str(),
          textOf(operand["where"]).c_str(), grouped(operand["offset"]).c_str(),
          grouped(operand["bytes"]).c_str());
}

static void printCounts(const Json &kernels, const char *how) {
  for (const auto &[kernel, count] : kernels.items())
    std::printf("  %6s %s%s\n", count.dump().c_str(), kernel.c_str(), how);
}

static void printFunction(const Json &function, bool list) {
  std::printf("function %s: %zu steps, arena %s bytes, lower bound %s\n",
              textOf(function["name"]).c_str(), function["steps"].size(),
              grouped(function["arena_bytes"]).c_str(),
              grouped(function["arena_lower_bound"]).c_str());
  bool samples = function.contains("sampling");
  printCounts(function["kernels"], samples ? ", greedy" : "");
  if (samples)
    printCounts(function["sampling"]["kernels"], ", sampling");
  if (list)
    for (const Json &needed : function["requirements"])
      std::printf("  requires %s and %s: %s, for %s\n",
                  textOf(needed["lhs"]).c_str(), textOf(needed["rhs"]).c_str(),
                  textOf(needed["relation"]).c_str(),
                  textOf(needed["origin"]).c_str());
  size_t index = 0;
  if (list)
    for (const Json &step : function["steps"])
      printStep(index++, step);
}

/// Registers and bytes, which only an assembler tells.
static std::string codeOf(const Json &kernel) {
  if (kernel["code_bytes"].get<int64_t>() == 0)
    return "PTX only";
  return kernel["registers"].dump() + " registers, " +
         grouped(kernel["code_bytes"]) + " bytes of code";
}

static void printKernels(const Json &kernels, const Json &segments, bool list) {
  int64_t bytes = 0;
  for (const Json &kernel : kernels)
    bytes += kernel["code_bytes"].get<int64_t>();
  if (!kernels.empty() || list)
    std::printf("GPU kernels: %zu, %s bytes of machine code\n", kernels.size(),
                grouped(bytes).c_str());
  if (list)
    for (const Json &kernel : kernels)
      std::printf(
          "  %s for %s: %s %s, %s threads, %s bytes shared, %s\n",
          textOf(kernel["symbol"]).c_str(),
          textOf(segments[kernel["segment"].get<size_t>()]["name"]).c_str(),
          textOf(kernel["family"]).c_str(), textOf(kernel["schedule"]).c_str(),
          kernel["threads"].dump().c_str(),
          grouped(kernel["shared_bytes"]).c_str(), codeOf(kernel).c_str());
}

static void printSegments(const Json &segments, bool list) {
  int64_t bytes = 0;
  for (const Json &segment : segments)
    bytes += segment["bytes"].get<int64_t>();
  std::printf("segments: %zu of %s bytes\n", segments.size(),
              grouped(bytes).c_str());
  if (list)
    for (const Json &segment : segments)
      std::printf(
          "  %-9s %s at %s, %s bytes, sha256 %s\n",
          textOf(segment["kind"]).c_str(), textOf(segment["name"]).c_str(),
          grouped(segment["offset"]).c_str(), grouped(segment["bytes"]).c_str(),
          textOf(segment["sha256"]).c_str());
}

void print(const Json &description, unsigned details) {
  auto wants = [&](Detail detail) { return (details & unsigned(detail)) != 0; };
  printManifest(description["manifest"]);
  printModel(description["model"]);
  printWeights(description["weights"], wants(Detail::Weights));
  for (const Json &function : description["functions"])
    printFunction(function, wants(Detail::Plan));
  printKernels(description["kernels"], description["segments"],
               wants(Detail::Kernels));
  printSegments(description["segments"], wants(Detail::Segments));
}

} // namespace qopt::inspect

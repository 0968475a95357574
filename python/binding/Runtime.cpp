// qopt._runtime: the public C++ headers of the runtime as Python classes, thin;
// what a user sees is made of them in python/qopt/model.py.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "python/binding/Arrays.h"
#include "python/binding/StatusError.h"
#include "qopt/Engine.h"
#include "qopt/Session.h"
#include "qopt/Tokenizer.h"
#include "qopt/Version.h"

#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <optional>

namespace nb = nanobind;
using namespace nb::literals;

namespace qopt::python {
namespace {

using NamedShape = std::pair<std::string, std::vector<std::string>>;

/// nanobind holds a non-const object; everything bound of it is const.
struct OpenArtifact {
  std::shared_ptr<const Artifact> artifact;
};

OpenArtifact openArtifact(const std::string &path, bool trust) {
  nb::gil_scoped_release release;
  return {valueOf(Artifact::open(path, {trust}))};
}

nb::list describe(const std::vector<TensorSpec> &specs) {
  nb::list list;
  for (const TensorSpec &spec : specs)
    list.append(nb::make_tuple(spec.name, spell(spec.type),
                               nb::tuple(nb::cast(spec.shape))));
  return list;
}

void bindArtifact(nb::module_ &m) {
  nb::class_<OpenArtifact>(m, "Artifact")
      .def_prop_ro("path",
                   [](const OpenArtifact &o) { return o.artifact->path(); })
      .def_prop_ro(
          "is_decoder",
          [](const OpenArtifact &o) { return o.artifact->isDecoder(); })
      .def_prop_ro(
          "functions",
          [](const OpenArtifact &o) { return o.artifact->functions(); })
      .def(
          "function",
          [](const OpenArtifact &o, const std::string &name) {
            return OpenArtifact{valueOf(o.artifact->function(name))};
          },
          "name"_a)
      .def_prop_ro(
          "inputs",
          [](const OpenArtifact &o) { return describe(o.artifact->inputs()); },
          nb::sig("def inputs(self) -> "
                  "list[tuple[str, str, tuple[str, ...]]]"))
      .def_prop_ro(
          "outputs",
          [](const OpenArtifact &o) { return describe(o.artifact->outputs()); },
          nb::sig("def outputs(self) -> "
                  "list[tuple[str, str, tuple[str, ...]]]"))
      .def_prop_ro("vocabulary",
                   [](const OpenArtifact &o) {
                     return o.artifact->decoder().vocabulary;
                   })
      .def_prop_ro(
          "context",
          [](const OpenArtifact &o) { return o.artifact->decoder().context; })
      .def_prop_ro("begin_token",
                   [](const OpenArtifact &o) {
                     return o.artifact->decoder().beginToken;
                   })
      .def_prop_ro(
          "end_tokens",
          [](const OpenArtifact &o) { return o.artifact->decoder().endTokens; })
      .def_prop_ro("chat_template",
                   [](const OpenArtifact &o) {
                     return o.artifact->decoder().chatTemplate;
                   })
      .def_prop_ro(
          "sampling",
          [](const OpenArtifact &o) { return o.artifact->decoder().sampling; })
      .def_prop_ro("tokenizer_json",
                   [](const OpenArtifact &o) {
                     return std::string(o.artifact->tokenizerJson());
                   })
      .def_prop_ro(
          "compiler_version",
          [](const OpenArtifact &o) { return o.artifact->compilerVersion(); })
      .def_prop_ro("target",
                   [](const OpenArtifact &o) { return o.artifact->target(); })
      .def_prop_ro("nbytes",
                   [](const OpenArtifact &o) { return o.artifact->bytes(); });
  m.def("open", &openArtifact, "path"_a, "trust"_a);
}

/// Names, arrays, and the type of those that are codes of one that NumPy lacks.
using NamedArrays =
    std::vector<std::tuple<std::string, InputArray, std::string>>;

/// Valid as long as the arrays.
std::vector<TensorView> viewsOf(const NamedArrays &arrays) {
  std::vector<TensorView> views;
  for (const auto &[name, array, coded] : arrays) {
    views.push_back(viewOf(name, array));
    if (!coded.empty())
      views.back().type = typeNamed(coded);
  }
  return views;
}

void bindSession(nb::module_ &m) {
  m.def(
      "is_input",
      [](nb::handle value) {
        InputArray array;
        return nb::try_cast(value, array);
      },
      "value"_a, "Whether a graph takes it as an array.");
  nb::class_<Session>(m, "Session")
      .def(
          "run",
          [](Session &session, const NamedArrays &inputs) {
            std::vector<TensorView> views = viewsOf(inputs);
            StatusOr<std::vector<Tensor>> outputs = Status();
            {
              nb::gil_scoped_release release;
              outputs = session.run(views);
            }
            nb::dict result;
            for (const Tensor &tensor : valueOf(std::move(outputs)))
              result[tensor.name().c_str()] = arrayOf(tensor);
            return result;
          },
          "inputs"_a,
          nb::sig("def run(self, inputs: "
                  "collections.abc.Sequence[tuple[str, object, str]]) -> "
                  "dict[str, numpy.typing.NDArray[typing.Any]]"))
      .def_prop_ro("memory", &Session::memory);
  m.def(
      "create_session",
      [](const OpenArtifact &o, int threads, std::string device) {
        return valueOf(
                   Session::create(o.artifact, {threads, std::move(device)}))
            .release();
      },
      "artifact"_a, "threads"_a, "device"_a, nb::rv_policy::take_ownership);
}

/// Asks Python for signals (Ctrl-C) and tells its callback; false stops.
bool tell(const std::optional<nb::callable> &callback, int32_t token) {
  nb::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() != 0)
    throw nb::python_error();
  return !callback || nb::cast<bool>((*callback)(token));
}

nb::dict generate(Engine &engine, Request request,
                  const std::optional<nb::callable> &callback) {
  StatusOr<GenerateResult> outcome = Status();
  std::exception_ptr raised;
  {
    nb::gil_scoped_release release;
    // The runtime takes no exceptions: the callback stops it, then it is
    // raised.
    outcome = engine.generate(std::move(request), [&](int32_t token) {
      try {
        return tell(callback, token);
      } catch (...) {
        raised = std::current_exception();
        return false;
      }
    });
  }
  if (raised)
    std::rethrow_exception(raised);
  GenerateResult result = valueOf(std::move(outcome));
  nb::dict dict;
  dict["tokens"] = result.tokens;
  dict["finish"] = result.finish == FinishReason::EndToken  ? "end"
                   : result.finish == FinishReason::Length  ? "length"
                   : result.finish == FinishReason::Context ? "context"
                                                            : "cancelled";
  dict["prefill_seconds"] = result.prefillSeconds;
  dict["decode_seconds"] = result.decodeSeconds;
  return dict;
}

std::vector<Tensor> copiesOf(const NamedArrays &arrays) {
  std::vector<Tensor> copies;
  for (const TensorView &view : viewsOf(arrays)) {
    copies.emplace_back(view.name, view.type, view.shape);
    if (copies.back().elements())
      std::memcpy(copies.back().data(), view.data, copies.back().bytes());
  }
  return copies;
}

nb::object logits(Engine &engine, const std::vector<int32_t> &tokens,
                  const NamedArrays &given) {
  std::vector<Tensor> source = copiesOf(given);
  int64_t vocabulary = engine.artifact().decoder().vocabulary;
  Tensor result("logits", DType::F32, {int64_t(tokens.size()), vocabulary});
  Status status;
  {
    nb::gil_scoped_release release;
    status = engine.evaluate(
        tokens,
        [&](int64_t first, std::span<const float> rows) {
          std::memcpy(result.as<float>() + first * vocabulary, rows.data(),
                      rows.size_bytes());
          return Status();
        },
        /*chunk=*/0, source);
  }
  check(status);
  return arrayOf(result);
}

void bindEngine(nb::module_ &m) {
  nb::class_<SamplingOptions>(m, "SamplingOptions")
      .def(nb::init<>())
      .def_rw("temperature", &SamplingOptions::temperature)
      .def_rw("top_k", &SamplingOptions::topK)
      .def_rw("top_p", &SamplingOptions::topP)
      .def_rw("min_p", &SamplingOptions::minP)
      .def_rw("repetition_penalty", &SamplingOptions::repetitionPenalty)
      .def_rw("seed", &SamplingOptions::seed)
      .def("check", [](const SamplingOptions &sampling) {
        check(checkSampling(sampling));
      });
  nb::class_<Engine>(m, "Engine")
      .def(
          "generate",
          [](Engine &engine, std::vector<int32_t> prompt, int64_t maxTokens,
             const SamplingOptions &sampling, bool ignoreEnd,
             std::optional<nb::callable> callback, const NamedArrays &source) {
            return generate(engine,
                            {std::move(prompt), maxTokens, sampling, ignoreEnd,
                             copiesOf(source)},
                            callback);
          },
          "prompt"_a, "max_tokens"_a, "sampling"_a, "ignore_end"_a,
          "callback"_a.none(), "source"_a,
          nb::sig("def generate(self, prompt: collections.abc.Sequence[int], "
                  "max_tokens: int, sampling: SamplingOptions, "
                  "ignore_end: bool, "
                  "callback: collections.abc.Callable[[int], bool] | None, "
                  "source: "
                  "collections.abc.Sequence[tuple[str, object, str]]) -> "
                  "dict[str, typing.Any]"))
      .def("logits", &logits, "tokens"_a, "source"_a,
           nb::sig("def logits(self, tokens: collections.abc.Sequence[int], "
                   "source: "
                   "collections.abc.Sequence[tuple[str, object, str]]) -> "
                   "numpy.typing.NDArray[typing.Any]"))
      .def_prop_ro("memory", &Engine::memory);
  m.def(
      "create_engine",
      [](const OpenArtifact &o, int threads, std::string device) {
        EngineOptions options;
        options.threads = threads;
        options.device = std::move(device);
        options.maxSequences = 1;
        return valueOf(Engine::create(o.artifact, options)).release();
      },
      "artifact"_a, "threads"_a, "device"_a, nb::rv_policy::take_ownership);
}

SpecialTokens include(bool yes) {
  return yes ? SpecialTokens::Include : SpecialTokens::Exclude;
}

std::string decode(const Tokenizer &tokenizer, const std::vector<int32_t> &ids,
                   bool specialTokens) {
  for (int32_t id : ids)
    if (!tokenizer.idToToken(id))
      check({StatusCode::InvalidArgument,
             "token " + std::to_string(id) +
                 " is not in the tokenizer's vocabulary of " +
                 std::to_string(tokenizer.vocabularySize())});
  return tokenizer.decode(ids, include(specialTokens));
}

void bindTokenizer(nb::module_ &m) {
  nb::class_<Tokenizer>(m, "Tokenizer")
      .def_static(
          "from_json",
          [](const std::string &json) {
            return valueOf(Tokenizer::create(json));
          },
          "json"_a)
      .def(
          "encode",
          [](const Tokenizer &tokenizer, const std::string &text,
             bool specialTokens) {
            return valueOf(tokenizer.encode(text, include(specialTokens)));
          },
          "text"_a, "special_tokens"_a)
      .def(
          "encode_whole",
          [](const Tokenizer &tokenizer, const std::string &text,
             bool specialTokens) {
            return valueOf(tokenizer.encodeWhole(text, include(specialTokens)));
          },
          "text"_a, "special_tokens"_a)
      .def("decode", &decode, "ids"_a, "special_tokens"_a)
      .def(
          "check_vocabulary",
          [](const Tokenizer &tokenizer, size_t size) {
            check(tokenizer.checkVocabulary(size));
          },
          "size"_a)
      .def_prop_ro("vocabulary_size", &Tokenizer::vocabularySize)
      .def("token_to_id", &Tokenizer::tokenToId, "token"_a)
      .def("id_to_token", &Tokenizer::idToToken, "id"_a);
}

void bindTokenStream(nb::module_ &m) {
  nb::class_<TokenStream>(m, "TokenStream",
                          "Decodes token by token, never half a character.")
      .def("__init__",
           [](TokenStream *self, const Tokenizer &tokenizer) {
             new (self) TokenStream(tokenizer);
           })
      .def("push", &TokenStream::push, "id"_a,
           "The text that became certain with this token.")
      .def("finish", &TokenStream::finish, "The rest.");
}

} // namespace
} // namespace qopt::python

NB_MODULE(_runtime, m) {
  m.doc() = "The runtime of qopt; use the package qopt.";
  m.attr("version") = qopt::versionString;
  qopt::python::registerStatusError();
  qopt::python::bindArtifact(m);
  qopt::python::bindSession(m);
  qopt::python::bindEngine(m);
  qopt::python::bindTokenizer(m);
  qopt::python::bindTokenStream(m);
}

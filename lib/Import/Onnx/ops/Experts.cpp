// Mixtures of experts of com.microsoft, MoE and QMoE, with standard operators:
// the softmax of the router's scores, the weights of its k largest, and every
// expert on all tokens times its weight, which is zero where a token does not
// take it. Weights of an expert are a part of the file's bytes, not a copy.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/ops/Experts.h"
#include "lib/Import/Onnx/GraphImporter.h"
#include "lib/Import/Onnx/ops/NodeBuilder.h"
#include "lib/Import/Onnx/ops/Upgrades.h"

using namespace mlir;

namespace qopt::import {
namespace {

Status refuse(const llvm::Twine &what) {
  return Status(StatusCode::Unsupported, what.str());
}

/// What MoE and QMoE say alike.
struct MixtureForm {
  int64_t taken = 1; ///< experts of a token
  bool normalized = false;
  std::string activation;
  int64_t fusion = 0; ///< of gate and up in fc1: 1 interleaved, 2 in a row
  float alpha = 1, beta = 0;
  std::optional<float> limit;

  static StatusOr<MixtureForm> of(NodeContext &node) {
    QOPT_RETURN_IF_ERROR(node.expect("use_sparse_mixer", 0));
    QOPT_RETURN_IF_ERROR(node.expect("swiglu_limit_after_activation", 0));
    MixtureForm form;
    form.taken = node.integer("k", 1);
    form.normalized = node.integer("normalize_routing_weights", 0) != 0;
    form.activation = node.text("activation_type", "relu");
    form.fusion = node.integer("swiglu_fusion", 0);
    form.alpha = node.number("activation_alpha", 1);
    form.beta = node.number("activation_beta", 0);
    if (node.hasAttribute("swiglu_limit"))
      form.limit = node.number("swiglu_limit", 0);
    static constexpr const char *known[] = {"relu", "gelu", "silu", "swiglu",
                                            "identity"};
    if (!llvm::is_contained(known, form.activation))
      return refuse("the activation_type \"" + form.activation +
                    "\" is not supported; expected relu, gelu, silu, swiglu "
                    "or identity");
    if (form.fusion < 0 || form.fusion > 2 ||
        (form.fusion && form.activation != "swiglu"))
      return refuse("swiglu_fusion is " + llvm::Twine(form.fusion) +
                    " with activation_type " + form.activation +
                    "; expected 0, 1 or 2, and 0 but for swiglu");
    return form;
  }
};

class MixtureBuilder {
public:
  MixtureBuilder(NodeContext &node, const MixtureForm &form)
      : node(node), form(form), b(node),
        type(cast<ShapedType>(node.input(0).getType()).getElementType()) {}

  /// `fc3` is null where the file has none.
  Status build(const Projection &fc1, const Projection &fc2,
               const Projection *fc3) {
    if (form.taken < 1 || form.taken > fc1.experts)
      return Status(StatusCode::BadModel, "k is " + std::to_string(form.taken) +
                                              "; expected 1 to the " +
                                              std::to_string(fc1.experts) +
                                              " experts");
    bool gated = form.activation == "swiglu";
    if (gated && (fc3 != nullptr) == (form.fusion != 0))
      return refuse("swiglu with swiglu_fusion " + llvm::Twine(form.fusion) +
                    (fc3 ? " and" : " without") + " fc3 is not supported");
    Value x =
        b.create("Reshape", {node.input(0), node.constant({-1, fc1.columns})});
    SmallVector<Value> weights = b.createAll(
        "Split",
        {routing(), node.constant(SmallVector<int64_t>(fc1.experts, 1))},
        static_cast<unsigned>(fc1.experts), b.axis(1));
    Value sum;
    for (int64_t expert = 0; expert < fc1.experts; ++expert) {
      Value h = product(x, fc1, expert);
      Value up = fc3 ? product(x, *fc3, expert) : Value();
      h = product(activated(h, up), fc2, expert);
      h = b.create("Mul", {h, weights[expert]});
      sum = sum ? b.create("Add", {sum, h}) : h;
    }
    Value shape = b.create("Shape", {node.input(0)});
    return b.finish({b.create("Reshape", {sum, shape})});
  }

private:
  Value number(double value) {
    auto scalar = RankedTensorType::get({}, type);
    return node.importer().constant(
        node.location(), DenseElementsAttr::get(
                             scalar, node.builder().getFloatAttr(type, value)));
  }

  /// [T, E]: the weights of the experts that a token takes, else 0.
  Value routing() {
    Value p = b.create("Softmax", {node.input(1)}, b.axis(-1));
    SmallVector<Value> largest =
        b.createAll("TopK", {p, node.constant({form.taken})}, 2, b.axis(-1));
    Value weights = largest[0];
    if (form.normalized)
      weights = b.create(
          "Div",
          {weights, b.create("ReduceSum", {weights, node.constant({-1})})});
    Value zeros = b.create("Expand", {number(0), b.create("Shape", {p})});
    return b.create("ScatterElements", {zeros, largest[1], weights},
                    b.axis(-1));
  }

  Value product(Value x, const Projection &all, int64_t expert) {
    ExpertWeights one = all.at(expert);
    auto constant = [&](ElementsAttr value) {
      return value ? node.importer().constant(node.location(), value)
                   : b.none();
    };
    Value weights = constant(one.weights), bias = constant(one.bias);
    NamedAttrList attrs;
    OpBuilder &builder = node.builder();
    if (!one.scales) {
      attrs.set("transB", builder.getBoolAttr(true));
      return b.create("Gemm", {x, weights, bias}, attrs);
    }
    attrs.set("N", builder.getI64IntegerAttr(all.rows));
    attrs.set("K", builder.getI64IntegerAttr(all.columns));
    attrs.set("bits", builder.getI64IntegerAttr(all.bits));
    attrs.set("block_size", builder.getI64IntegerAttr(one.block));
    return b.create(
        "ms.MatMulNBits",
        {x, weights, constant(one.scales), constant(one.zeros), b.none(), bias},
        attrs);
  }

  Value activated(Value h, Value up) {
    if (form.activation == "swiglu")
      return swiGlu(h, up);
    if (form.activation == "relu")
      h = b.create("Relu", {h});
    else if (form.activation == "gelu")
      h = b.create("Gelu", {h}, tanh());
    else if (form.activation == "silu")
      h = b.create("Mul", {h, b.create("Sigmoid", {h})});
    return up ? b.create("Mul", {h, up}) : h;
  }

  /// What onnxruntime takes for gelu here.
  NamedAttrList tanh() {
    NamedAttrList attrs;
    attrs.set("approximate", node.builder().getStringAttr("tanh"));
    return attrs;
  }

  /// g · sigmoid(alpha · g) · (l + beta) with g at most, l within ± the limit.
  Value swiGlu(Value g, Value l) {
    if (form.fusion)
      std::tie(g, l) = halves(g);
    if (form.limit) {
      g = b.create("Min", {g, number(*form.limit)});
      l = b.create("Max", {b.create("Min", {l, number(*form.limit)}),
                           number(-*form.limit)});
    }
    Value inner =
        form.alpha == 1 ? g : b.create("Mul", {g, number(form.alpha)});
    Value gate = b.create("Mul", {g, b.create("Sigmoid", {inner})});
    if (form.beta != 0)
      l = b.create("Add", {l, number(form.beta)});
    return b.create("Mul", {gate, l});
  }

  std::pair<Value, Value> halves(Value both) {
    if (!both)
      return {both, both};
    int64_t size = cast<ShapedType>(both.getType()).getDimSize(1) / 2;
    if (form.fusion == 2) {
      SmallVector<Value> parts = b.createAll(
          "Split", {both, node.constant({size, size})}, 2, b.axis(1));
      return {parts[0], parts[1]};
    }
    Value pairs = b.create("Reshape", {both, node.constant({-1, size, 2})});
    auto of = [&](int64_t which) {
      return b.create("Gather", {pairs, node.scalar(which)}, b.axis(2));
    };
    return {of(0), of(1)};
  }

  NodeContext &node;
  const MixtureForm &form;
  NodeBuilder b;
  Type type;
};

/// `projection` reads fc1, fc2 or fc3 (0, 1, 2) with so many columns.
Status buildMixture(
    NodeContext &node, const MixtureForm &form,
    llvm::function_ref<StatusOr<Projection>(unsigned which, int64_t columns)>
        projection,
    bool hasThird) {
  auto input = dyn_cast<RankedTensorType>(node.input(0).getType());
  int64_t hidden =
      input && input.getRank() ? input.getShape().back() : ShapedType::kDynamic;
  if (!input || (input.getRank() != 2 && input.getRank() != 3) ||
      ShapedType::isDynamic(hidden))
    return Status(StatusCode::BadModel,
                  "input 0 is no [tokens, hidden] or [batch, sequence, hidden] "
                  "of a known hidden size");
  auto fc1 = projection(0, hidden);
  if (!fc1)
    return fc1.status();
  auto fc2 = projection(1, form.fusion ? fc1->rows / 2 : fc1->rows);
  if (!fc2)
    return fc2.status();
  if (!hasThird)
    return MixtureBuilder(node, form).build(*fc1, *fc2, nullptr);
  auto fc3 = projection(2, hidden);
  if (!fc3)
    return fc3.status();
  return MixtureBuilder(node, form).build(*fc1, *fc2, &*fc3);
}

} // namespace

Status buildMoE(NodeContext &node) {
  auto form = MixtureForm::of(node);
  if (!form)
    return form.status();
  return buildMixture(
      node, *form,
      [&](unsigned which, int64_t columns) {
        return Projection::ofFloats(node, 2 + 2 * which, 3 + 2 * which,
                                    columns);
      },
      node.hasInput(6));
}

Status buildQMoE(NodeContext &node) {
  auto form = MixtureForm::of(node);
  if (!form)
    return form.status();
  // onnxruntime takes the softmax of the taken experts' scores alone, whatever
  // normalize_routing_weights says.
  form->normalized = true;
  if (std::string kind = node.text("quant_type", "int"); kind != "int")
    return refuse("quant_type \"" + kind + "\" is not supported; expected int");
  if (int64_t layout = node.integer("weights_prepacked", -1);
      layout != 0 && layout != -1)
    return refuse("weights in another runtime's layout (weights_prepacked " +
                  llvm::Twine(layout) +
                  ") are not supported; export with weights_prepacked 0");
  node.integer("accuracy_level", 0); // a least accuracy, which f32 has
  for (unsigned i = 14; i < 21; ++i)
    if (node.hasInput(i))
      return refuse("input " + llvm::Twine(i) +
                    " (router weights, global or activation scales) is not "
                    "supported");
  int64_t bits = node.integer("expert_weight_bits", 4);
  int64_t block = node.integer("block_size", 0);
  if ((bits != 2 && bits != 4 && bits != 8) ||
      (block != 0 && (block < 16 || (block & (block - 1)))))
    return refuse("expert_weight_bits " + llvm::Twine(bits) +
                  " and block_size " + llvm::Twine(block) +
                  " are not supported; expected 2, 4 or 8 bits and 0 or a "
                  "power of two from 16");
  static constexpr const char *own[] = {"fc1_expert_weight_bits",
                                        "fc2_expert_weight_bits",
                                        "fc3_expert_weight_bits"};
  return buildMixture(
      node, *form,
      [&](unsigned which, int64_t columns) {
        unsigned first = 2 + 3 * which;
        return Projection::ofCodes(
            node, {first, first + 1, first + 2, 11 + which}, columns,
            node.integer(own[which], bits), block);
      },
      node.hasInput(8));
}

} // namespace qopt::import

// From a graph to the body of a function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/GraphImporter.h"
#include "lib/Import/Onnx/CallLimits.h"
#include "lib/Import/Onnx/FixedInputs.h"
#include "lib/Import/Onnx/OpTable.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using onnx_file::GraphProto;
using onnx_file::NodeProto;
using onnx_file::TensorProto;

namespace qopt::import {

constexpr unsigned deepestBranch = 32;

static Status bad(const Twine &message) {
  return Status(StatusCode::BadModel, message.str());
}

/// A failure with the node it happened at.
static Status at(const std::string &where, const Status &status) {
  return Status(status.code(), where + ": " + status.message());
}

GraphImporter::GraphImporter(const ModelFile &file, MLIRContext &context,
                             ImportReport *report)
    : builder(&context), shapes(&context), tensors(file, &context, report),
      file(file), model(file.model()), context(context),
      modelOpsets(opsetsOf(model.opset_import())),
      functions(functionsOf(model)) {}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value GraphImporter::none() { return noneOp->getResult(0); }

Value GraphImporter::constant(Location loc, ElementsAttr value) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(noneOp);
  auto op = onnx::ConstantOp::create(builder, loc, value);
  // A constant has no operands that could be wrong.
  (void)shapes.inferResults(op);
  return op;
}

Status GraphImporter::inferTypes(Operation *op) {
  QOPT_RETURN_IF_ERROR(shapes.inferResults(op));
  for (Value result : op->getResults()) {
    if (onnx::isAbsent(result))
      continue;
    RankedTensorType type = shapes.typeOf(result);
    if (!type)
      return Status(StatusCode::Internal, "no shape was inferred");
    result.setType(type);
  }
  return {};
}

Value GraphImporter::foldContent(Value value) {
  const onnx::TensorFacts *facts = shapes.lookup(value);
  auto type = dyn_cast<RankedTensorType>(value.getType());
  Operation *op = value.getDefiningOp();
  if (!facts || !facts->content || !type || !type.hasStaticShape() ||
      !type.getElementType().isSignlessInteger() || !op)
    return value;
  SmallVector<APInt> elements;
  for (AffineExpr element : *facts->content) {
    std::optional<int64_t> number = onnx::constantValue(element);
    if (!number)
      return value;
    elements.emplace_back(type.getElementTypeBitWidth(), *number,
                          /*isSigned=*/true, /*implicitTrunc=*/true);
  }
  Value folded = constant(op->getLoc(), DenseElementsAttr::get(type, elements));
  if (op->use_empty() && op->getNumResults() == 1)
    op->erase();
  return folded;
}

StatusOr<Value> GraphImporter::lookup(const std::string &name) {
  for (Scope *inner = scope; inner; inner = inner->outer) {
    auto value = inner->values.find(name);
    if (value != inner->values.end())
      return value->second;
    auto initializer = inner->initializers.find(name);
    if (initializer == inner->initializers.end())
      continue;
    auto attribute = tensors.read(*initializer->second, name);
    if (!attribute)
      return at("initializer \"" + name + "\"", attribute.status());
    Value result =
        constant(NameLoc::get(builder.getStringAttr(name)), *attribute);
    inner->values[name] = result;
    return result;
  }
  return bad("reads \"" + name +
             "\", which no node before it, input or initializer provides");
}

Status GraphImporter::define(const std::string &name, Value value) {
  if (name.find('\0') != std::string::npos)
    return bad("a value name has a NUL character");
  if (scope->initializers.contains(name) ||
      !scope->values.try_emplace(name, value).second)
    return bad("the value \"" + name + "\" is defined twice");
  return {};
}

Status GraphImporter::collectInitializers(const GraphProto &graph) {
  if (graph.sparse_initializer_size() > 0)
    return Status(StatusCode::Unsupported,
                  "sparse initializers are not supported");
  for (const TensorProto &tensor : graph.initializer()) {
    const std::string &name = tensor.name();
    if (name.empty() || name.find('\0') != std::string::npos)
      return bad("an initializer's name is empty or has a NUL character");
    if (!scope->initializers.try_emplace(name, &tensor).second)
      return bad("the initializer \"" + name + "\" is defined twice");
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

onnx::NodeOrigin GraphImporter::originOf(const NodeProto &node) const {
  onnx::NodeOrigin origin;
  origin.name = scope->callPrefix + node.name();
  if (node.name().empty() && node.output_size() > 0)
    origin.name = scope->callPrefix + node.output(0);
  origin.opType = node.op_type();
  origin.domain = node.domain() == "ai.onnx" ? "" : node.domain();
  auto version = scope->opsets->find(origin.domain);
  origin.opset = version == scope->opsets->end() ? 1 : version->second;
  for (const auto &entry : node.metadata_props())
    origin.metadata.emplace_back(entry.key(), entry.value());
  return origin;
}

Status GraphImporter::importNodes(const Nodes &nodes) {
  for (const NodeProto &node : nodes)
    QOPT_RETURN_IF_ERROR(importNode(node));
  return {};
}

Status GraphImporter::importNode(const NodeProto &node) {
  onnx::NodeOrigin origin = originOf(node);
  std::string where = describe(origin);
  SmallVector<Value> inputs;
  for (const std::string &name : node.input()) {
    if (name.empty()) {
      inputs.push_back(none());
      continue;
    }
    StatusOr<Value> value = lookup(name);
    if (!value)
      return at(where, value.status());
    inputs.push_back(*value);
  }
  auto function = functions.find(
      functionKey(node.domain(), node.op_type(), node.overload()));
  if (function != functions.end()) {
    Status called = callFunction(node, *function->second, inputs);
    return called ? called : at(where, called);
  }
  const OpRow *row = findOp(node.domain(), node.op_type());
  if (!row)
    return at(where, Status(StatusCode::Unsupported, "unknown operator"));
  NodeContext state(*this, node, origin.opset, nodeLocation(&context, origin),
                    std::move(inputs));
  if (Status status = importThrough(*row, state); !status)
    return at(where, status);
  for (auto [name, value] : llvm::zip(node.output(), state.results()))
    if (!name.empty())
      if (Status status = define(name, value); !status)
        return at(where, status);
  return {};
}

Status GraphImporter::importInline(const GraphProto &graph,
                                   SmallVectorImpl<Value> &results) {
  if (branchDepth >= deepestBranch)
    return bad("graphs are nested more than " + Twine(deepestBranch) +
               " levels deep");
  Scope inner;
  inner.outer = scope;
  inner.opsets = scope->opsets;
  inner.callPrefix = scope->callPrefix;
  ++branchDepth;
  scope = &inner;
  llvm::scope_exit leaving([&] {
    scope = inner.outer;
    --branchDepth;
  });
  if (graph.input_size() > 0)
    return bad("a branch of If has inputs; expected none");
  QOPT_RETURN_IF_ERROR(collectInitializers(graph));
  QOPT_RETURN_IF_ERROR(importNodes(graph.node()));
  for (const auto &output : graph.output()) {
    StatusOr<Value> value = lookup(output.name());
    if (!value)
      return at("the branch's output", value.status());
    if (onnx::isAbsent(*value))
      return bad("the branch's output \"" + output.name() + "\" is absent");
    results.push_back(*value);
  }
  return {};
}

Status GraphImporter::importBranch(const GraphProto &graph, Region &region) {
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&region);
  SmallVector<Value> results;
  QOPT_RETURN_IF_ERROR(importInline(graph, results));
  onnx::YieldOp::create(builder, region.getParentOp()->getLoc(), results);
  return {};
}

//===----------------------------------------------------------------------===//
// Local functions
//===----------------------------------------------------------------------===//

using Attributes = llvm::StringMap<const onnx_file::AttributeProto *>;

/// Puts the caller's attributes where a function's nodes refer to them;
/// references to attributes that nobody gave disappear. Adds the size of the
/// copies to `copied`.
static Status resolveAttributes(NodeProto &node, const Attributes &given,
                                uint64_t &copied) {
  auto *attributes = node.mutable_attribute();
  for (int i = attributes->size() - 1; i >= 0; --i) {
    onnx_file::AttributeProto &attribute = *attributes->Mutable(i);
    if (attribute.has_g())
      for (NodeProto &inner : *attribute.mutable_g()->mutable_node())
        QOPT_RETURN_IF_ERROR(resolveAttributes(inner, given, copied));
    if (attribute.ref_attr_name().empty())
      continue;
    auto value = given.find(attribute.ref_attr_name());
    if (value == given.end()) {
      attributes->DeleteSubrange(i, 1);
      continue;
    }
    std::string name = attribute.name();
    // The nodes of a graph take many times the memory of their bytes.
    uint64_t weight = value->second->has_g() ? 16 : 1;
    QOPT_RETURN_IF_ERROR(
        takeInlined(copied, weight * value->second->ByteSizeLong()));
    attribute = *value->second;
    attribute.set_name(name);
  }
  return {};
}

static Attributes attributesOf(const NodeProto &node,
                               const onnx_file::FunctionProto &function) {
  Attributes given;
  for (const auto &attribute : function.attribute_proto())
    given[attribute.name()] = &attribute;
  for (const auto &attribute : node.attribute())
    given[attribute.name()] = &attribute;
  return given;
}

Status GraphImporter::callFunction(const NodeProto &node,
                                   const onnx_file::FunctionProto &function,
                                   ArrayRef<Value> inputs) {
  if (static_cast<int>(inputs.size()) > function.input_size() ||
      node.output_size() > function.output_size())
    return bad("the call has more inputs or outputs than the function");
  Scope body;
  Opsets opsets = opsetsOf(function.opset_import());
  body.opsets = &opsets;
  body.callPrefix = originOf(node).name + "/";
  for (int i = 0; i < function.input_size(); ++i)
    body.values[function.input(i)] =
        i < static_cast<int>(inputs.size()) ? inputs[i] : none();
  Attributes given = attributesOf(node, function);
  Scope *caller = scope;
  scope = &body;
  llvm::scope_exit leaving([&] { scope = caller; });
  // The nodes with attributes put in live until the call is over. Each has the
  // names of the calls around it in its own.
  QOPT_RETURN_IF_ERROR(takeInlined(
      copiedBytes,
      function.ByteSizeLong() + function.node_size() * body.callPrefix.size()));
  Nodes nodes(function.node());
  for (NodeProto &inner : nodes) {
    QOPT_RETURN_IF_ERROR(resolveAttributes(inner, given, copiedBytes));
    QOPT_RETURN_IF_ERROR(importNode(inner));
  }
  SmallVector<Value> results;
  for (int i = 0; i < node.output_size(); ++i) {
    StatusOr<Value> value = lookup(function.output(i));
    if (!value)
      return value.status();
    results.push_back(*value);
  }
  scope = caller;
  for (int i = 0; i < node.output_size(); ++i)
    if (!node.output(i).empty())
      QOPT_RETURN_IF_ERROR(define(node.output(i), results[i]));
  return {};
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

/// The type and dimension names of an input; names that the file leaves out are
/// made up, so that equal sizes of one input stay equal.
static Status readInput(const onnx_file::ValueInfoProto &input,
                        MLIRContext &context, Type &type, Attribute &dims) {
  Builder b(&context);
  const std::string &name = input.name();
  auto refuse = [&](StatusCode code, const Twine &why) {
    return Status(code, ("input \"" + name + "\" " + why).str());
  };
  if (!input.type().has_tensor_type())
    return refuse(StatusCode::Unsupported,
                  "is no tensor; sequences, maps and optionals are not "
                  "supported");
  const auto &tensor = input.type().tensor_type();
  Type element = elementType(tensor.elem_type(), &context);
  if (!element)
    return refuse(StatusCode::Unsupported,
                  "has elements of " + dataTypeName(tensor.elem_type()) +
                      ", which are not supported");
  if (!tensor.has_shape())
    return refuse(StatusCode::Unsupported, "has no shape; expected a rank");
  if (tensor.shape().dim_size() > 64)
    return refuse(StatusCode::BadModel, "has more than 64 dimensions");
  SmallVector<int64_t> shape;
  SmallVector<Attribute> names;
  int64_t bytes = 8;
  for (const auto &dim : tensor.shape().dim()) {
    std::string text = name + "_d" + std::to_string(names.size());
    if (dim.has_dim_value()) {
      if (dim.dim_value() < 0 ||
          llvm::MulOverflow(bytes, std::max<int64_t>(dim.dim_value(), 1),
                            bytes))
        return refuse(StatusCode::BadModel,
                      "has a negative dimension or is too large to address");
      shape.push_back(dim.dim_value());
      names.push_back(b.getI64IntegerAttr(dim.dim_value()));
      continue;
    }
    if (!dim.dim_param().empty())
      text = dim.dim_param();
    if (text.find('\0') != std::string::npos || text.size() > 256)
      return refuse(
          StatusCode::BadModel,
          "has a dimension name with a NUL or of over 256 characters");
    shape.push_back(ShapedType::kDynamic);
    names.push_back(b.getStringAttr(text));
  }
  type = RankedTensorType::get(shape, element);
  dims = b.getArrayAttr(names);
  return {};
}

StatusOr<func::FuncOp>
GraphImporter::declareFunction(const ImportOptions &options) {
  const GraphProto &graph = model.graph();
  StatusOr<FixedInputs> fixed = FixedInputs::parse(options.fixedInputs);
  if (!fixed)
    return fixed.status();
  SmallVector<Type> types;
  SmallVector<Attribute> dims;
  SmallVector<std::string> names, all;
  SmallVector<std::pair<std::string, ElementsAttr>> constants;
  for (const auto &input : graph.input()) {
    // Until IR 3 every initializer was an input too.
    if (scope->initializers.contains(input.name()))
      continue;
    Type type;
    Attribute sizes;
    QOPT_RETURN_IF_ERROR(readInput(input, context, type, sizes));
    all.push_back(input.name());
    StatusOr<ElementsAttr> value =
        fixed->valueOf(input.name(), cast<RankedTensorType>(type));
    if (!value)
      return value.status();
    if (*value) {
      constants.emplace_back(input.name(), *value);
      continue;
    }
    types.push_back(type);
    dims.push_back(sizes);
    names.push_back(input.name());
  }
  QOPT_RETURN_IF_ERROR(fixed->checkNames(all));
  auto function = func::FuncOp::create(builder, builder.getUnknownLoc(),
                                       options.functionName,
                                       builder.getFunctionType(types, {}));
  Block *entry = function.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  noneOp = onnx::NoneOp::create(builder, builder.getUnknownLoc());
  for (auto [index, name] : llvm::enumerate(names)) {
    function.setArgAttr(index, "qopt.name", builder.getStringAttr(name));
    function.setArgAttr(index, "onnx.dims", dims[index]);
    BlockArgument argument = entry->getArgument(index);
    argument.setLoc(NameLoc::get(builder.getStringAttr(name)));
    shapes.declare(argument, cast<ArrayAttr>(dims[index]));
    QOPT_RETURN_IF_ERROR(define(name, argument));
  }
  for (auto &[name, value] : constants)
    QOPT_RETURN_IF_ERROR(define(
        name, constant(NameLoc::get(builder.getStringAttr(name)), value)));
  return function;
}

/// The names of a result's dimensions as the inputs' names give them.
static ArrayAttr spellDims(const onnx::TensorFacts &facts,
                           const onnx::SymbolicDims &dims, Builder &b) {
  SmallVector<Attribute> names;
  for (AffineExpr size : facts.dims) {
    if (auto fixed = onnx::constantValue(size))
      names.push_back(b.getI64IntegerAttr(*fixed));
    else
      names.push_back(b.getStringAttr(dims.spell(size)));
  }
  return b.getArrayAttr(names);
}

Status GraphImporter::returnOutputs(func::FuncOp function) {
  SmallVector<Value> results;
  SmallVector<Type> types;
  const auto &outputs = model.graph().output();
  if (outputs.empty())
    return bad("the graph has no outputs");
  for (const auto &output : outputs) {
    StatusOr<Value> value = lookup(output.name());
    if (!value || onnx::isAbsent(*value))
      return bad("nothing provides the graph's output \"" + output.name() +
                 "\"");
    results.push_back(*value);
    types.push_back(value->getType());
    Type computed = cast<RankedTensorType>(types.back()).getElementType();
    int32_t declared = output.type().tensor_type().elem_type();
    if (output.type().has_tensor_type() && declared != 0 &&
        elementType(declared, &context) != computed)
      return bad("the output \"" + output.name() + "\" is declared as " +
                 dataTypeName(declared) + " but computed as another type");
  }
  func::ReturnOp::create(builder, builder.getUnknownLoc(), results);
  function.setFunctionType(
      builder.getFunctionType(function.getArgumentTypes(), types));
  for (auto [index, value] : llvm::enumerate(results)) {
    function.setResultAttr(index, "qopt.name",
                           builder.getStringAttr(outputs[index].name()));
    function.setResultAttr(
        index, "onnx.dims",
        spellDims(*shapes.lookup(value), shapes.dims(), builder));
  }
  return {};
}

/// Removes what no output needs, last op first.
static void eraseUnused(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (op.use_empty() && !op.hasTrait<OpTrait::IsTerminator>())
      op.erase();
    else
      for (Region &region : op.getRegions())
        for (Block &inner : region)
          eraseUnused(inner);
}

/// Of inputs that only branches read which are not taken a caller knows
/// nothing to give: exporters fill them with tensors of some other shape.
static Status dropUnread(func::FuncOp function) {
  llvm::BitVector unread(function.getNumArguments());
  for (BlockArgument argument : function.getArguments())
    if (argument.use_empty())
      unread.set(argument.getArgNumber());
  if (failed(function.eraseArguments(unread)))
    return Status(StatusCode::Internal, "an input could not be removed");
  return {};
}

StatusOr<OwningOpRef<ModuleOp>>
GraphImporter::run(const ImportOptions &options) {
  Builder b(&context);
  OwningOpRef<ModuleOp> module =
      ModuleOp::create(NameLoc::get(b.getStringAttr(file.path())));
  builder.setInsertionPointToStart(module->getBody());
  Scope top;
  top.opsets = &modelOpsets;
  scope = &top;
  QOPT_RETURN_IF_ERROR(collectInitializers(model.graph()));
  StatusOr<func::FuncOp> function = declareFunction(options);
  if (!function)
    return function.status();
  QOPT_RETURN_IF_ERROR(importNodes(model.graph().node()));
  QOPT_RETURN_IF_ERROR(returnOutputs(*function));
  eraseUnused(function->getBody().front());
  if (!options.fixedInputs.empty())
    QOPT_RETURN_IF_ERROR(dropUnread(*function));
  (*module)->setAttr(
      "onnx.producer",
      b.getStringAttr(model.producer_name() + " " + model.producer_version()));
  (*module)->setAttr("onnx.opset", b.getI64IntegerAttr(modelOpsets[""]));
  return module;
}

} // namespace qopt::import

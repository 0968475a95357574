// Every record of the dialect, for TableGen.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
include "dialects/QOpt/AttentionOps.td"
include "dialects/QOpt/CacheOps.td"
include "dialects/QOpt/CheckOps.td"
include "dialects/QOpt/FusedOps.td"
include "dialects/QOpt/GeneratedOps.td"
include "dialects/QOpt/LinearOps.td"
include "dialects/QOpt/NormOps.td"
include "dialects/QOpt/QuantOps.td"
include "dialects/QOpt/RoutingOps.td"
include "dialects/QOpt/WeightOps.td"

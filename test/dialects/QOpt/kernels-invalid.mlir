// What `qopt.kernels` and `qopt.context` may not be.
// RUN: qopt-opt %s -split-input-file -verify-diagnostics

func.func @no_kernel(%x: tensor<?x64xf16>, %s: tensor<64xf16>) -> tensor<?x64xf16> {
  // expected-error @+1 {{"qopt.kernels" is [8]; expected a list of #qopt.kernel}}
  %y = qopt.rms_norm %x, %s epsilon 1.0e-05 {qopt.kernels = [8]} : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
  return %y : tensor<?x64xf16>
}

// -----

func.func @falling(%x: tensor<?x64xf16>, %s: tensor<64xf16>) -> tensor<?x64xf16> {
  // expected-error @+1 {{its kernels for sm_90a do not rise by the most tokens that they serve}}
  %y = qopt.rms_norm %x, %s epsilon 1.0e-05 {qopt.kernels = [#qopt.kernel<norm, sm_90a, {}>, #qopt.kernel<norm, sm_90a, most = 8, {}>]} : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
  return %y : tensor<?x64xf16>
}

// -----

// expected-error @+1 {{"grid" is given twice}}
func.func private @twice() attributes {kernel = #qopt.kernel<norm, sm_90a, {grid = 1, grid = 2}>}

// -----

// expected-error @+1 {{"qopt.context" is "long"; expected a number of positions}}
func.func private @context() attributes {qopt.context = "long"}

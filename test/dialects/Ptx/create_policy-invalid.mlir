// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of ptx.create_policy is checked and has a message.

// (C1)
func.func @none() {
  // expected-error @+1 {{the fraction is 0.000000e+00; expected more than 0 and at most 1}}
  %p = ptx.create_policy evict_last fraction(0.0)
  return
}

// -----

// (C1)
func.func @more() {
  // expected-error @+1 {{the fraction is 1.500000e+00; expected more than 0 and at most 1}}
  %p = ptx.create_policy evict_last fraction(1.5)
  return
}

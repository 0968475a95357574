// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.rms_norm is checked and has a message.

// (C1)
func.func @scale(%x: tensor<?x64xf32>, %scale: tensor<32xf32>) {
  // expected-error @+1 {{the scale has shape 32; expected 64}}
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf32>, tensor<32xf32> -> tensor<?x64xf32>
  return
}

// -----

// (C1)
func.func @dynamic(%x: tensor<4x?xf32>, %scale: tensor<32xf32>) {
  // expected-error @+1 {{x has shape 4x?; expected a static last dimension}}
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<4x?xf32>, tensor<32xf32> -> tensor<4x?xf32>
  return
}

// -----

// (C2)
func.func @group(%x: tensor<?x48xf32>, %scale: tensor<48xf32>) {
  // expected-error @+1 {{the group size 32 of "int8_g32_sf32" does not divide the 48 columns}}
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x48xf32>, tensor<48xf32> -> !qopt.quantized<?x48, int8_g32_sf32>
  return
}

// -----

// (C3)
func.func @epsilon(%x: tensor<?x64xf32>, %scale: tensor<64xf32>) {
  // expected-error @+1 {{epsilon is a finite number that is not negative}}
  %y = qopt.rms_norm %x, %scale epsilon -1.0 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  return
}

// -----

// (C1)
func.func @heads(%x: tensor<?x4x16xf32>, %scale: tensor<2x16xf32>) {
  // expected-error @+1 {{the scale has shape 2x16; expected 4x16}}
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x4x16xf32>, tensor<2x16xf32> -> tensor<?x4x16xf32>
  return
}

// -----

// (C1)
func.func @dynamic_heads(%x: tensor<?x16xf32>, %scale: tensor<4x16xf32>) {
  // expected-error @+1 {{x has shape ?x16 and the scale 4x16; expected static heads}}
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x16xf32>, tensor<4x16xf32> -> tensor<?x16xf32>
  return
}

// -----

// (C1)
func.func @too_many_heads(%x: tensor<16xf32>, %scale: tensor<4x16xf32>) {
  // expected-error @+1 {{the scale has shape 4x16; expected 16}}
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<16xf32>, tensor<4x16xf32> -> tensor<16xf32>
  return
}

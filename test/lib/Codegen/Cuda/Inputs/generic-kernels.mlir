// Kernels as OutlineKernels makes them, one for each way in which work is divided. A test gives the sizes.
#id = affine_map<(a, b) -> (a, b)>
#row = affine_map<(a, b) -> (a)>
#column = affine_map<(a, b) -> (b)>

// An element is a thread's: y = exp(x) + bias, both sizes dynamic.
func.func @pointwise(%x: memref<f32>, %bias: memref<f32>, %y: memref<f32>, %m: index, %n: index, %begin: index, %end: index) {
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [%m, %n], strides: [%n, 1] : memref<f32> to memref<?x?xf32>
  %1 = memref.reinterpret_cast %bias to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  %2 = memref.reinterpret_cast %y to offset: [0], sizes: [%m, %n], strides: [%n, 1] : memref<f32> to memref<?x?xf32>
  linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]}
      ins(%0, %1 : memref<?x?xf32>, memref<?xf32>) outs(%2 : memref<?x?xf32>) {
    ^bb0(%a: f32, %c: f32, %b: f32):
      %e = math.exp %a : f32
      %s = arith.addf %e, %c : f32
      linalg.yield %s : f32
  }
  return
}

// Halves, and what needs f64 inside: y = tanh(x).
func.func @halves(%x: memref<f16>, %y: memref<f16>, %m: index, %n: index, %begin: index, %end: index) {
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [%m, %n], strides: [%n, 1] : memref<f16> to memref<?x?xf16>
  %1 = memref.reinterpret_cast %y to offset: [0], sizes: [%m, %n], strides: [%n, 1] : memref<f16> to memref<?x?xf16>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%0 : memref<?x?xf16>) outs(%1 : memref<?x?xf16>) {
    ^bb0(%a: f16, %b: f16):
      %t = math.tanh %a : f16
      linalg.yield %t : f16
  }
  return
}

// An element is a thread's, which walks down its column: neighbours read neighbours.
func.func @column_sum(%x: memref<f32>, %y: memref<f32>, %m: index, %n: index, %begin: index, %end: index) {
  %zero = arith.constant 0.0 : f32
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [%m, %n], strides: [%n, 1] : memref<f32> to memref<?x?xf32>
  %1 = memref.reinterpret_cast %y to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  linalg.fill ins(%zero : f32) outs(%1 : memref<?xf32>)
  linalg.generic {indexing_maps = [affine_map<(b, a) -> (a, b)>, affine_map<(b, a) -> (b)>], iterator_types = ["parallel", "reduction"]}
      ins(%0 : memref<?x?xf32>) outs(%1 : memref<?xf32>) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %b, %a : f32
      linalg.yield %s : f32
  }
  return
}

// A row of 100 is a warp's; the output's present content counts.
func.func @row_sum_warp(%x: memref<f32>, %y: memref<f32>, %m: index, %n: index, %begin: index, %end: index) {
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [%m, 100], strides: [100, 1] : memref<f32> to memref<?x100xf32>
  %1 = memref.reinterpret_cast %y to offset: [0], sizes: [%m], strides: [1] : memref<f32> to memref<?xf32>
  linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%0 : memref<?x100xf32>) outs(%1 : memref<?xf32>) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %b, %a : f32
      linalg.yield %s : f32
  }
  return
}

// A row whose length is not known is a block's: the largest number, and how many are even, in one kernel.
func.func @row_max_block(%x: memref<f32>, %k: memref<i64>, %y: memref<f32>, %c: memref<i64>, %m: index, %n: index, %begin: index, %end: index) {
  %lowest = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0 : i64
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [%m, %n], strides: [%n, 1] : memref<f32> to memref<?x?xf32>
  %1 = memref.reinterpret_cast %k to offset: [0], sizes: [%m, %n], strides: [%n, 1] : memref<i64> to memref<?x?xi64>
  %2 = memref.reinterpret_cast %y to offset: [0], sizes: [%m], strides: [1] : memref<f32> to memref<?xf32>
  %3 = memref.reinterpret_cast %c to offset: [0], sizes: [%m], strides: [1] : memref<i64> to memref<?xi64>
  linalg.fill ins(%lowest : f32) outs(%2 : memref<?xf32>)
  linalg.fill ins(%zero : i64) outs(%3 : memref<?xi64>)
  linalg.generic {indexing_maps = [#id, #id, #row, #row], iterator_types = ["parallel", "reduction"]}
      ins(%0, %1 : memref<?x?xf32>, memref<?x?xi64>) outs(%2, %3 : memref<?xf32>, memref<?xi64>) {
    ^bb0(%a: f32, %i: i64, %b: f32, %d: i64):
      %s = arith.maximumf %b, %a : f32
      %t = arith.addi %d, %i : i64
      linalg.yield %s, %t : f32, i64
  }
  return
}

// Two results that depend on each other have no op that joins them: the place of the largest, by one thread a row.
func.func @row_place(%x: memref<f32>, %y: memref<f32>, %p: memref<i64>, %m: index, %n: index, %begin: index, %end: index) {
  %lowest = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0 : i64
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [%m, %n], strides: [%n, 1] : memref<f32> to memref<?x?xf32>
  %1 = memref.reinterpret_cast %y to offset: [0], sizes: [%m], strides: [1] : memref<f32> to memref<?xf32>
  %2 = memref.reinterpret_cast %p to offset: [0], sizes: [%m], strides: [1] : memref<i64> to memref<?xi64>
  linalg.fill ins(%lowest : f32) outs(%1 : memref<?xf32>)
  linalg.fill ins(%zero : i64) outs(%2 : memref<?xi64>)
  linalg.generic {indexing_maps = [#id, #row, #row], iterator_types = ["parallel", "reduction"]}
      ins(%0 : memref<?x?xf32>) outs(%1, %2 : memref<?xf32>, memref<?xi64>) {
    ^bb0(%a: f32, %best: f32, %place: i64):
      %index = linalg.index 1 : index
      %here = arith.index_cast %index : index to i64
      %more = arith.cmpf ogt, %a, %best : f32
      %s = arith.select %more, %a, %best : f32
      %t = arith.select %more, %here, %place : i64
      linalg.yield %s, %t : f32, i64
  }
  return
}

// All of it is one thread's: y[i[j]] += x[j], whose places repeat.
func.func @scatter(%x: memref<f32>, %i: memref<i64>, %y: memref<f32>, %m: index, %n: index, %begin: index, %end: index) attributes {qopt.undivided} {
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [%m], strides: [1] : memref<f32> to memref<?xf32>
  %1 = memref.reinterpret_cast %i to offset: [0], sizes: [%m], strides: [1] : memref<i64> to memref<?xi64>
  %2 = memref.reinterpret_cast %y to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32>
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  scf.for %turn = %begin to %end step %one {
    scf.for %j = %zero to %m step %one {
      %a = memref.load %0[%j] : memref<?xf32>
      %p = memref.load %1[%j] : memref<?xi64>
      %place = arith.index_cast %p : i64 to index
      %b = memref.load %2[%place] : memref<?xf32>
      %s = arith.addf %a, %b : f32
      memref.store %s, %2[%place] : memref<?xf32>
    }
  }
  return
}

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 8, key = f16, value = f16, page = 16>
module attributes {random.options = ["--target", "host", "--activations", "bf16", "--sum-order", "sm_80", "--format", "w1=int3", "--format", "w3=nf4_sf16"], random.runs = [[70], [1]], random.seed = 100213 : i64} {
  func.func @step(%ids: tensor<?xi32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x8xf32>, !cache) attributes {qopt.decoder, qopt.context = 512 : i64} {
    %t = qopt.batch_dim %batch tokens
    %w0 = qopt.weight "w0" codes(dense<"0xF8BF443E5A06AABED8D2CEBF2DBFB8BF0A2DA13EBB8E8E3F94A5B13F5BFD7F3F"> : tensor<8x1xf32>) : !qopt.weight<8x1, f32>
    %n0 = qopt.embedding %ids, %w0 : tensor<?xi32>, !qopt.weight<8x1, f32> -> tensor<?x1xf32>
    %w1 = qopt.weight "w1" codes(dense<"0xBDDDE93FE567C7BFB7D5C13FD8495840D3F3BABE376C77BF533B373F67E6C73DDCE5F33F81EDA73F025DA53E8F9B613EDAECB93F9BAD263EB9136E3DB15110BE"> : tensor<16x1xf32>) : !qopt.weight<16x1, f32>
    %n1 = qopt.linear %n0, %w1 : tensor<?x1xf32>, !qopt.weight<16x1, f32> -> tensor<?x16xf32>
    %w2 = qopt.weight "w2" codes(dense<"0x155A5B3F7B0A9C3FB0EDFB3E8995B23F67DDFDBF59A25D3F07B2A8BED50CDC3FC83DBFBB1C3CA3BF30E6C03EEFC8C93E4CB7FBBE439564BF0E616DBE3EA08CBF"> : tensor<16x1xf32>) : !qopt.weight<16x1, f32>
    %n2 = qopt.linear %n0, %w2 : tensor<?x1xf32>, !qopt.weight<16x1, f32> -> tensor<?x16xf32>
    %w3 = qopt.weight "w3" codes(dense<"0xFFEB2DC0E3F6E83D9F6B0CBE7618B03F38A5B6BE6BF0AD3F39F0D73FD63F30BF88DF8BBF348877BFF6E229BE5163BABFBF86DB3DFA81A7BF8E7112BF0DD3C2BF"> : tensor<16x1xf32>) : !qopt.weight<16x1, f32>
    %n3 = qopt.linear %n0, %w3 : tensor<?x1xf32>, !qopt.weight<16x1, f32> -> tensor<?x16xf32>
    %v0 = tensor.expand_shape %n1 [[0], [1, 2]] output_shape [%t, 2, 8] : tensor<?x16xf32> into tensor<?x2x8xf32>
    %v1 = tensor.expand_shape %n2 [[0], [1, 2]] output_shape [%t, 2, 8] : tensor<?x16xf32> into tensor<?x2x8xf32>
    %v2 = tensor.expand_shape %n3 [[0], [1, 2]] output_shape [%t, 2, 8] : tensor<?x16xf32> into tensor<?x2x8xf32>
    %cache0 = qopt.kv_append %cache, %v1, %v2, %batch layer 0 : !cache, tensor<?x2x8xf32>
    %n4 = qopt.cached_attention %v0, %cache0, %batch layer 0 scale 3.535533906e-01 : tensor<?x2x8xf32>, !cache
    %v3 = tensor.collapse_shape %n4 [[0], [1, 2]] : tensor<?x2x8xf32> into tensor<?x16xf32>
    %w4 = qopt.weight "w4" codes(dense<"0xFBC4FBBD0D02A4BD06125EBC4F03E63C5CEB4FBEC275313E4772AEBB6F97F2BD7ADB2B3E08658BBDC1CC8CBE6720903E01BA793D54E2113E7B9A8EBC4DEC5B3C620091BD6B365FBD4665CA3B9F94E23C746892BECECC393E287CA8BE40E976BE0C98163E941872BD117589BE1BA797BE941ECB3DFA82933E065E893DD5DC0BBD4012B5BC62667B3DCB5AB23E9887A4BEC42B5C3DF36D8DBDB1F4833D2A4985BD737799BEBDED9EBE33DB523EC67B2E3ECD61963E53239CBBE8F357BE7030823E6F655E3E4FF772BDD92B00BE8CB88C3EC223F6BEBCE20DBCD2F8E53B7AA4403EB3B465BEC3E5603EDDA3753E565FA7BEC0C4953E95AF08BE47C995BCAAA7B3BE3E691C3CF787A63EE543103F537D1CBFB1B3FBBDB8BA7E3DA25C2DBFBAF5C73E9992CF3E3382B7BED8CCF4BE26C5F23EDDDEDC3C1723BBBEC1ED223F573B46BF485D0BBFED56CD3E7BA9DEBEDE129C3D64488A3E299C0CBE1C97093F71F3443D6CDE0FBE9D05A13E475510BFE75D89BD85134D3CFB3A64BE9540E73D2108B43DD228F8BD0AF1AE3D4485B6BD713BD4BD43F307BDDFC9ADBCF9261CBE7FEBC03D184545BE58EFC5BD11E03A3D3D89533ED3C08ABD5CB57ABE9CA4A0BDA09FE1BD9F7852BEB961933E0435043F98E82BBEF5639EBD6B230DBF5CAA80BE5633C83C33ADB1BDB37E4D3FED24A73ED7C952BEBA31D03E6834F53B8A2302BF70AB59BE"> : tensor<8x16xf32>) : !qopt.weight<8x16, f32>
    %rows = qopt.select_rows %v3, %batch : tensor<?x16xf32> -> tensor<?x16xf32>
    %logits = qopt.linear %rows, %w4 : tensor<?x16xf32>, !qopt.weight<8x16, f32> -> tensor<?x8xf32>
    return %logits, %cache0 : tensor<?x8xf32>, !cache
  }
}
